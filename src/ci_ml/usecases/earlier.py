"""What gates on tables measured at earlier commits of the base branch. Layer: usecases.

Like `ci_ml.usecases.tables` it is imported only where there are such gates.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_ml.core.config import Config, GateConfig
from ci_ml.core.exhibits import HistoryPart, PointPart
from ci_ml.core.pipeline import Pipeline
from ci_ml.core.types import Revision
from ci_ml.errors import CiMlError
from ci_ml.metrics.columns import Unusable
from ci_ml.ports import History, OpenTables
from ci_ml.usecases.evidence import Side
from ci_ml.usecases.tables import Measuring, paths, placed, sources

# Tables beyond this are not read again for every commit: the sum of a side's files in bytes.
LARGEST = 5_000_000
# Whatever measures the change itself, small tables are measured here.
_ENGINE = "duckdb"


def history(config: Config, base: Side, past: History, open_tables: OpenTables, most: int) -> tuple[HistoryPart, ...]:
    """The metrics of tables at the last `most` commits that changed them, up to the base.

    Only tables that git tracks and that are small: others would have to be fetched, or would take long.
    """
    points: dict[str, list[PointPart]] = {}
    for name, about in config.predictions.items():
        asked = _whole(config.gates, name)
        tracked = [base.project.inside(path) for path in paths(about, base)]
        if not (asked and base.revision.sha and set(tracked) <= base.tree.files()):
            continue
        for sha, at in reversed(past.log(base.revision.sha, tracked, most)):
            for metric, value in _values(config, name, asked, _side(base, sha, past), open_tables).items():
                points.setdefault(metric, []).append(PointPart(sha=sha, at=at, value=value))
    return tuple(HistoryPart(metric=metric, points=tuple(found)) for metric, found in points.items() if len(found) > 1)


def _whole(gates: Sequence[GateConfig], name: str) -> list[GateConfig]:
    """The gates on a table, without their slices."""
    asked = [gate for gate in gates if gate.asked and gate.asked[0] == name and gate.gap is None]
    return [gate.model_copy(update={"slices": None}) for gate in asked]


def _side(base: Side, sha: str, past: History) -> Side:
    revision = Revision(sha=sha, why="an earlier commit")
    return Side(
        project=base.project, revision=revision, tree=past.tree(sha), pipeline=Pipeline(), data=None, commit=sha
    )


def _values(
    config: Config, name: str, asked: Sequence[GateConfig], side: Side, open_tables: OpenTables
) -> Mapping[str, float]:
    """Every metric that could be measured, by its name; what could not has no point."""
    about = config.predictions[name]
    with tempfile.TemporaryDirectory(prefix="ci-ml-earlier-") as folder:
        places = placed(about, side, Path(folder))
        if not isinstance(places, dict) or sum(place.stat().st_size for place in places.values()) > LARGEST:
            return {}
        try:
            with open_tables(_ENGINE, list(places.values())) as tables:
                measuring = Measuring(about, asked, config.confidence, tables, [], sources(tables, side, places))
                judged = measuring.judge(measuring.pairings())
        except (CiMlError, Unusable):
            return {}
    found = ((str(item.gate.metric), item.contrast) for item in judged.comparisons)
    return {metric: contrast.head for metric, contrast in found if contrast is not None}
