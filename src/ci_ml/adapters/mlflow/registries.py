"""Which kind of registry an address means: MLflow's own, or GitLab's. Layer: adapters."""

from ci_ml.adapters.mlflow import gitlab, registry
from ci_ml.adapters.mlflow.tracking import Tracking


def opened(tracking: Tracking, other: str | None) -> registry.Models | gitlab.GitLabModels:
    """The registry of a tracking server or store; `other` is another address for it, if any."""
    if gitlab.speaks(other or tracking.address()):
        return gitlab.GitLabModels(tracking=tracking)
    return registry.Models(tracking=tracking, registry=other or None)
