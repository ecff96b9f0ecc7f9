"""Profiles of tables, recorded with the training that they belong to, and found again by it. Layer: wiring.

They are what production is compared with where the table itself is not at hand.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TextIO

from ci_ml.adapters.mlflow import Tracking
from ci_ml.core import profiles
from ci_ml.core.config import Config
from ci_ml.core.monitoring import MonitorConfig
from ci_ml.core.profiles import Profile
from ci_ml.core.references import Reference
from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Gap
from ci_ml.errors import CiMlError, UsageError
from ci_ml.wiring import publishing, tables
from ci_ml.wiring.workspace import Workspace

if TYPE_CHECKING:  # Ibis costs half a second
    from ci_ml.ports import Tables


def name(table: str) -> str:
    """What the profile of a table under `data` is called among what is kept with a run."""
    return f"profile-{table}"


def keep(space: Workspace, config: Config, tracking: Tracking, run: str, stream: TextIO) -> None:
    """Keep the profiles of all tables that monitors compare with; what fails is a note, for the training is done."""
    watching: dict[str, list[MonitorConfig]] = {}
    for about in config.monitor.values():
        if about.reference is not None:
            watching.setdefault(about.reference, []).append(about)
    for table, monitors in watching.items():
        with publishing.harmless(stream):
            try:
                _keep(space, config, table, monitors, tracking, run)
            except (CiMlError, ValueError) as error:
                what = error.what if isinstance(error, CiMlError) else str(error)
                said = redact(what, secrets(space.env))
                print(f"note: no profile of {table} was recorded for `ci-ml monitor`: {said}", file=stream)


def _keep(
    space: Workspace, config: Config, table: str, monitors: Sequence[MonitorConfig], tracking: Tracking, run: str
) -> None:
    from ci_ml.metrics.columns import Unusable

    path = config.data[table].path
    with TemporaryDirectory(prefix="ci-ml-profile-") as folder:
        place = space.head_side().place(path, Path(folder))
        if isinstance(place, Gap):
            raise UsageError(place.reason)
        with tables.opener(space.env)(config.engine, [place]) as opened:
            try:
                found = _profile(opened, place, path, config.data[table].id, monitors)
            except Unusable as error:
                raise UsageError(str(error)) from None
    tracking.keep(run, name(table), profiles.document(found))


def _profile(opened: "Tables", place: Path, path: str, id_: str | None, monitors: Sequence[MonitorConfig]) -> Profile:
    """Every column that one of the monitors compares. An id names rows, and is recorded for nobody who did not ask."""
    from ci_ml.metrics import profiles as counting

    asked = [about.drift.columns for about in monitors]
    named = {column for chosen in asked for column in (*(chosen.only or ()), *chosen.never)}

    def chosen(column: str) -> bool:
        return (column != id_ or column in named) and any(columns.chosen(column) for columns in asked)

    found, _ = counting.reference(opened.engine, opened.source(place, path, path), chosen)
    return found


def find(space: Workspace, tracking: Tracking, about: MonitorConfig, table: str) -> Profile | Gap:
    """The profile of a table, as it was recorded of the model that a monitor names, or of this commit's."""
    if about.model is None and space.lock is None:
        return Gap(reason="there is no dvc.lock to find a training by")
    try:
        kept = tracking.kept(Reference.parse(about.model or f"lock:{space.lock}"), name(table))
        if isinstance(kept, Gap):
            return kept
        return profiles.read(kept.document, f"the profile of {table} in run {kept.run}")
    except CiMlError as error:
        return Gap(reason=error.what)
