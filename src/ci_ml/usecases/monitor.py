"""Production against what was recorded with the model: its inputs, its predictions, and how right they were.

Layer: usecases. Importing this costs half a second (Ibis).
"""

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ci_ml.core import apart, drifted
from ci_ml.core.catalogue import Family, Task
from ci_ml.core.compare import Comparison
from ci_ml.core.config import Config, GateConfig, PredictionsConfig
from ci_ml.core.drifts import Drift, DriftConfig
from ci_ml.core.monitoring import LabelsConfig, MonitorConfig, PlaceConfig, TableConfig
from ci_ml.core.profiles import Profile
from ci_ml.core.types import Gap, Severity
from ci_ml.metrics import profiles, windows
from ci_ml.metrics.columns import Custom, Source, Unusable, key, listed, shown
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.profiles import Sample
from ci_ml.ports import OpenTables, OpenWarehouse, Tables, Warehouse
from ci_ml.usecases import drift, tables
from ci_ml.usecases.evidence import Side

# The profile of a table under `data` that was recorded with the model, or why there is none.
Recorded = Callable[[str], Profile | Gap]


@dataclass(frozen=True, kw_only=True)
class Watching:
    """What is watched, and what it takes to read it. `now` is the end of every window."""

    name: str
    config: Config
    side: Side
    now: dt.datetime
    open_tables: OpenTables
    open_warehouse: OpenWarehouse
    recorded: Recorded

    @property
    def about(self) -> MonitorConfig:
        """Its configuration."""
        return self.config.monitor[self.name]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen: comparisons, how many rows of which span, what a reader should know, and drift by what moved."""

    comparisons: tuple[Comparison, ...]
    rows: int | None = None
    span: str = ""
    notices: tuple[str, ...] = ()
    drifts: Mapping[str, Drift] = field(default_factory=dict)


@dataclass
class _Found:
    """What comes together while it is looked."""

    comparisons: list[Comparison] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    drifts: dict[str, Drift] = field(default_factory=dict)

    def missing(self, name: str, what: str, reason: str) -> None:
        """Something could not be compared."""
        self.comparisons.append(drifted.unmeasured(name, Gap(reason=reason), Severity.BLOCK, what))


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """Production's rows in their window, and the engine that reads them; `files` reads what was recorded."""

    engine: Engine
    source: Source
    rows: int
    span: str
    files: Tables
    warehouse: Warehouse | None


def watch(watching: Watching) -> Seen:
    """Compare production with what was recorded.

    What cannot be compared is missing, and blocks. Raises UsageError where an address is not set, DependencyError when
    a database breaks off.
    """
    found = _Found()
    with tempfile.TemporaryDirectory(prefix="ci-ml-monitor-") as folder:
        try:
            with _opened(watching, Path(folder), found) as (opened, places):
                for what, look in _LOOKS.items():
                    try:
                        look(watching, opened, places, found)
                    except Unusable as error:
                        found.missing(watching.name, what, str(error))
                return Seen(
                    comparisons=tuple(found.comparisons),
                    rows=opened.rows,
                    span=opened.span,
                    notices=tuple(dict.fromkeys(found.notices)),
                    drifts=found.drifts,
                )
        except Unusable as error:
            found.missing(watching.name, "production", str(error))
            return Seen(comparisons=tuple(found.comparisons), notices=tuple(found.notices))


# --- Opening ----------------------------------------------------------------------------------------------------------

_Places = dict[str, Path | Gap]


@contextmanager
def _opened(watching: Watching, folder: Path, found: _Found) -> Iterator[tuple[_Opened, _Places]]:
    """Production's rows, and the places of everything else that is a file. Raises Unusable for too few rows."""
    about, config = watching.about, watching.config
    wanted: dict[str, str] = {}
    if about.reference is not None:
        wanted["reference"] = config.data[about.reference].path
    if about.predictions is not None and (path := config.predictions[about.predictions].path):
        wanted["predictions"] = path
    for name, table in (("production", about.production), ("labels", about.labels)):
        if table and table.path is not None:
            wanted[name] = table.path
    places: _Places = {}
    for name, path in wanted.items():
        inside = folder / name
        inside.mkdir()
        places[name] = watching.side.place(path, inside)
    files = [place for place in places.values() if isinstance(place, Path)]
    with ExitStack() as stack:
        read = stack.enter_context(watching.open_tables(config.engine, files))
        engine, source, warehouse = read.engine, None, None
        if about.production.source is not None:
            warehouse = stack.enter_context(watching.open_warehouse(about.production.source))
            engine, source = warehouse.engine, warehouse.table(about.production.source)
        else:
            source = _file(read, places, "production", about.production)
        source, rows, span = _window(engine, source, about.production, watching.now, found)
        if rows < about.min_rows:
            what = f"{source.name} has {rows:,} row{'' if rows == 1 else 's'}{f' {span}' if span else ''}"
            raise Unusable(f"{what}, and {about.min_rows:,} are needed to judge by (min_rows)")
        opened = _Opened(engine=engine, source=source, rows=rows, span=span, files=read, warehouse=warehouse)
        yield opened, places


def _file(read: Tables, places: _Places, name: str, table: PlaceConfig) -> Source:
    place = places[name]
    if isinstance(place, Gap):
        raise Unusable(place.reason)
    assert table.path is not None
    return read.source(place, table.path, table.path)


def _window(
    engine: Engine, source: Source, table: TableConfig, now: dt.datetime, found: _Found
) -> tuple[Source, int, str]:
    if table.span is None:
        (row,) = engine.rows(source.table.aggregate(n=source.table.count()))
        if not row["n"]:
            raise Unusable(f"{source.name} has no rows")
        return source, int(row["n"]), ""
    inside = windows.window(engine, source, table.span, now)
    found.notices += inside.notices
    return inside.source, inside.n, f"from {inside.start:%Y-%m-%d %H:%M} to {inside.end:%Y-%m-%d %H:%M} UTC"


# --- What the model was asked -----------------------------------------------------------------------------------------


def _inputs(watching: Watching, opened: _Opened, places: _Places, found: _Found) -> None:
    name = watching.about.reference
    if name is None:
        return
    reference = _reference(watching, opened, places, name, found)
    if isinstance(reference, Gap):
        raise Unusable(reference.reason)
    profile, sample = reference
    config = _without(watching.about.drift, _others(watching))
    judged = drift.of_profile(opened.engine, profile, opened.source, config, sample, examples=0)
    found.drifts[watching.name] = judged
    found.comparisons += drifted.comparisons(watching.name, judged, Severity.BLOCK)
    if added := [column for column in judged.added if column not in _expected(watching)]:
        found.notices.append(f"{opened.source.name} has columns that {name} has not: {listed(added)}")


def _reference(
    watching: Watching, opened: _Opened, places: _Places, name: str, found: _Found
) -> tuple[Profile, Sample | None] | Gap:
    """The table that the model was trained on, as dvc.lock has it, else its profile as it was recorded."""
    about, place = watching.about, places["reference"]
    if about.model is None and not isinstance(place, Gap):
        path = watching.config.data[name].path
        source = opened.files.source(place, path, path)
        return profiles.reference(opened.files.engine, source, about.drift.columns.chosen)
    recorded = watching.recorded(name)
    if isinstance(recorded, Gap):
        return recorded if about.model else Gap(reason=f"{_reason(place)}; and {recorded.reason}")
    found.notices.append(f"{name} is compared by the profile that was recorded of it, so not as a whole")
    return recorded, None


def _reason(place: Path | Gap) -> str:
    return place.reason if isinstance(place, Gap) else str(place)


def _others(watching: Watching) -> set[str]:
    """What is no input: ids, and labels, which arrive later than the rows that they belong to."""
    about, config = watching.about, watching.config
    named = [config.data[about.reference]] if about.reference is not None else []
    known = {name for table in named for name in (table.id, table.label)}
    if about.predictions is not None:
        predicted = config.predictions[about.predictions]
        known |= {predicted.id, predicted.label}
    return {name for name in known if name is not None}


def _expected(watching: Watching) -> set[str | None]:
    """What production has beside what the model was trained on: when it was asked, and what it answered."""
    about, name = watching.about, watching.about.predictions
    known: set[str | None] = {*_others(watching), about.production.span.column if about.production.span else None}
    if name is not None:
        predicted = watching.config.predictions[name]
        known |= {predicted.score, predicted.prediction, predicted.cluster}
    return known


def _without(config: DriftConfig, names: set[str]) -> DriftConfig:
    """The same without columns that nobody has asked for by name."""
    columns = config.columns
    if columns.only is not None:
        return config
    left = tuple(sorted({*columns.except_, *(names - set(columns.never))}))
    return config.model_copy(update={"columns": columns.model_copy(update={"except_": left})})


# --- What it answered, and how right that was -------------------------------------------------------------------------


def _answers(watching: Watching, opened: _Opened, places: _Places, found: _Found) -> None:
    name = watching.about.predictions
    if name is None:
        return
    about = watching.config.predictions[name]
    place = places.get("predictions", Gap(reason=f"{name} is one table for each seed: name one with `path`"))
    if isinstance(place, Gap):
        raise Unusable(place.reason)
    assert about.path is not None
    recorded = opened.files.source(place, about.path, about.path)
    _scores(watching, opened, about, recorded, found)
    asked = [gate for gate in watching.config.gates if _is_judged(gate, name)]
    if not asked:
        found.notices.append(f"no gate is about {name}: how right the model is was not asked")
        return
    labelled = _labelled(watching, opened, places, about, found)
    if labelled is None:
        return
    if about.label in recorded.table.columns:
        # What arrives first need not be as the rest: this is shown, and what decides is how right the model is.
        judged = _judged(watching, opened, recorded, labelled, (about.label,), blocks=False)
        found.drifts[f"{watching.name} labels"] = judged
        if judged.unknown:
            found.notices += [
                f"whether labels drifted is unknown: {one.gap.reason}" for one in judged.columns if one.gap
            ]
        else:
            found.comparisons += drifted.columns(f"{watching.name} labels", judged, Severity.BLOCK)
    theirs = _measured(watching, about, asked, opened.files, recorded)
    mine = _measured(watching, about, asked, _Read(engine=opened.engine, files=opened.files), labelled)
    found.comparisons += apart.comparisons(theirs, mine)


def _is_judged(gate: GateConfig, name: str) -> bool:
    """Whether a gate of the table can judge other examples: what compares a model with the one before cannot."""
    if gate.asked is None or gate.asked[0] != name or gate.gap is not None:
        return False
    return gate.asked[1].known.family is not Family.FLIPS


def _scores(watching: Watching, opened: _Opened, about: PredictionsConfig, recorded: Source, found: _Found) -> None:
    """Whether the answers are distributed as they were on the test set."""
    judged = _judged(watching, opened, recorded, opened.source, _answer_columns(about, recorded), blocks=True)
    name = f"{watching.name} predictions"
    found.drifts[name] = judged
    found.comparisons += drifted.columns(name, judged, Severity.BLOCK)


def _judged(
    watching: Watching, opened: _Opened, recorded: Source, current: Source, names: tuple[str, ...], *, blocks: bool
) -> Drift:
    """These columns of production against those of the test set."""
    columns = {"only": names, "never": names if blocks else ()}
    asked = DriftConfig.model_validate({"columns": columns, "multivariate": False})
    config = asked.model_copy(update={"limits": watching.about.drift.limits, "alpha": watching.about.drift.alpha})
    profile, _ = profiles.reference(opened.files.engine, recorded, config.columns.chosen)
    return drift.of_profile(opened.engine, profile, current, config, examples=0)


def _answer_columns(about: PredictionsConfig, recorded: Source) -> tuple[str, ...]:
    named = [about.prediction] if about.prediction else []
    if about.score and about.task is Task.MULTICLASS:
        start, _, end = about.score.partition("*")
        named += [name for name in recorded.table.columns if name.startswith(start) and name.endswith(end)]
    elif about.score:
        named.append(about.score)
    if not named:
        raise Unusable(f"{recorded.name} has no column {shown(about.score or 'of answers')}")
    return tuple(dict.fromkeys(named))


def _labelled(
    watching: Watching, opened: _Opened, places: _Places, about: PredictionsConfig, found: _Found
) -> Source | None:
    """Production's rows that have a label; None where none is expected. Raises Unusable for too few of them."""
    labels, source = watching.about.labels, opened.source
    if labels is False:
        found.notices.append("no labels arrive (`labels: false`): how right the model is stays unknown")
        return None
    if labels is None and about.label not in source.table.columns:
        why = f"{source.name} has no column {shown(about.label)}"
        raise Unusable(f"{why}: say where `labels` arrive, or `labels: false` where none do")
    if labels is not None:
        source = _joined(watching, opened, places, about, labels)
    label = source.table[about.label]
    there = label.notnull() & ~label.isnan() if label.type().is_floating() else label.notnull()
    known = Source(table=source.table.filter(there), name=source.name, typed=source.typed)
    (row,) = opened.engine.rows(known.table.aggregate(n=known.table.count()))
    n, least = int(row["n"]), watching.about.min_rows
    share = f"{n:,} of {opened.rows:,} rows of {source.name} have a label"
    if n < least:
        raise Unusable(f"{share}, and {least:,} are needed to judge by (min_rows): choose a window that labels reach")
    if n < opened.rows:
        found.notices.append(f"{share}: how right the model is was measured on these")
    return known


def _joined(
    watching: Watching, opened: _Opened, places: _Places, about: PredictionsConfig, labels: LabelsConfig
) -> Source:
    """Production with the labels that have arrived beside it. Raises Unusable for two labels of one prediction."""
    source = opened.source
    if labels.source is not None:
        warehouse = opened.warehouse
        if warehouse is None or labels.source.url != (watching.about.production.source or labels.source).url:
            raise Unusable("labels and production have to be in the same database, or both in files")
        other = warehouse.table(labels.source)
    elif opened.warehouse is not None:
        raise Unusable("labels and production have to be in the same database, or both in files")
    else:
        other = _file(opened.files, places, "labels", labels)
    id_, label = labels.id or about.id, labels.label or about.label
    for table, name in ((other, id_), (other, label), (source, about.id)):
        if name not in table.table.columns:
            raise Unusable(f"{table.name} has no column {shown(name)}")
    arrived = other.table.select(arrived_id=key(other.table[id_]), arrived_label=other.table[label])
    arrived = arrived.filter(arrived.arrived_label.notnull())
    twice = arrived.group_by("arrived_id").aggregate(n=arrived.count())
    several = twice.filter(twice.n > 1)
    (row,) = opened.engine.rows(several.aggregate(n=several.count()))
    if row["n"]:
        raise Unusable(
            f"{other.name} has more than one label for {int(row['n']):,} of its ids, and nobody knows which one counts"
        )
    rows = source.table.drop(about.label) if about.label in source.table.columns else source.table
    joined = rows.left_join(arrived, key(rows[about.id]) == arrived.arrived_id)
    table = joined.select(*rows.columns, **{about.label: joined.arrived_label})
    return Source(table=table, name=source.name, typed=source.typed)


def _measured(
    watching: Watching, about: PredictionsConfig, asked: list[GateConfig], read: Tables, source: Source
) -> list[Comparison]:
    measuring = tables.Measuring(about, asked, watching.config.confidence, read, [], [source])
    return list(measuring.judge(measuring.pairings()).comparisons)


_LOOKS = {"inputs": _inputs, "answers": _answers}


@dataclass(frozen=True, kw_only=True)
class _Read:
    """The engine of production, and what else gates ask for."""

    engine: Engine
    files: Tables

    def source(self, place: Path, called: str, name: str) -> Source:
        return self.files.source(place, called, name)

    def custom(self, name: str) -> Custom:
        return self.files.custom(name)
