"""Which kind of registry an address means: MLflow's own, or GitLab's. Layer: adapters."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ci_ml.adapters.mlflow import gitlab, registry
from ci_ml.adapters.mlflow.tracking import Tracking


def opened(tracking: Tracking, other: str | None) -> registry.Models | gitlab.GitLabModels:
    """The registry of a tracking server or store; `other` is another address for it, if any."""
    if gitlab.speaks(other or tracking.address()):
        return gitlab.GitLabModels(tracking=tracking)
    return registry.Models(tracking=tracking, registry=other or None)


def missing(tracking: Tracking, other: str | None) -> Path | None:
    """The file or folder that a store on this machine would be in, if it is not there: to ask it would make it."""
    address = other or tracking.address()
    found = urlsplit(address)
    if found.scheme == "sqlite":
        place = Path(address.removeprefix("sqlite:///").partition("?")[0])
    elif found.scheme in ("", "file"):
        place = Path(unquote(found.path))
    else:
        return None
    return None if place.exists() else place
