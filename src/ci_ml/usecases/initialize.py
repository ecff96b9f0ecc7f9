"""A first ci-ml.yaml: prediction tables and metrics of the repository, with margins that its test set can hold.

Layer: usecases. A margin is measured between the newest two versions of a table, or, where there is one version only,
estimated as if a retrained model changed one prediction in twenty.
"""

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import ibis

from ci_ml.core import catalogue, proposal
from ci_ml.core.config import TODO, Config
from ci_ml.core.gates import is_glob
from ci_ml.core.pipeline import Pipeline
from ci_ml.core.proposal import Answer, ColumnProfile, GateProposal, Proposal, TableProposal
from ci_ml.core.types import Contrast, Direction, Gap, MetricKey, Revision
from ci_ml.metrics.columns import Unusable
from ci_ml.ports import OpenTables, Tables
from ci_ml.stats import power
from ci_ml.stats.estimate import CONFIDENCE, NotEstimable
from ci_ml.stats.normal import critical
from ci_ml.usecases import evidence, tables
from ci_ml.usecases.evidence import Side

# How many predictions another training of the same model changes, where no two versions of a table say it.
CHANGED = 0.05
_ENDINGS = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")
_MOST_TABLES = 50
_MOST_BYTES = 2 * 2**30
_VALUES = 3
_MOST_NAMED = 10

# Gates on plain numbers: as many as people read, and what each may lose, of which nothing is known.
_MOST_GATES = 6
_GUESS = "2%"

# Asks which way a metric is better.
Ask = Callable[[str], Answer]


def propose(head: Side, before: Callable[[str], Iterator[Side]], open_tables: OpenTables, ask: Ask) -> Proposal:
    """Look at the files of a side. `before` gives earlier versions of a file, newest first."""
    found: list[TableProposal] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ci-ml-predictions-") as folder:
        places = dict(_tables(head, Path(folder)))
        with open_tables("duckdb", list(places.values())) as opened:
            for path, place in places.items():
                one = _profile(opened, path, place, [table.name for table in found])
                found += [one] if one else []
    judged = {table.name: tuple(_gates(table, head, before, open_tables)) for table in found}
    # A table of which nothing can be measured was taken for predictions by its columns' names alone.
    found = [table for table in found if table.labels or any(gate.measured for gate in judged[table.name])]
    gates = [gate for table in found for gate in judged[table.name]]
    if any(gate.margin for gate in gates):
        notes.append(
            "Margins are the smallest that this test set can hold: an unchanged model passes 80 % of the time."
        )
    if not found:
        named, unread = _numbers(head)
        numbers, others = proposal.worth_a_gate(named, _MOST_GATES)
        gates += [gate for name in numbers if (gate := _asked(name, ask(name)))]
        gates += [] if named else unread
        if others:
            more = ", ".join(others[:_MOST_NAMED]) + (", …" if others[_MOST_NAMED:] else "")
            notes.append(f"More numbers that a gate could be on: {more}")
    return Proposal(tables=tuple(found), gates=tuple(gates), notes=tuple(notes))


def _tables(head: Side, folder: Path) -> Iterator[tuple[str, Path]]:
    """Files that may be tables, those that stages make first."""
    made = head.pipeline.outputs()
    candidates = [path for path in sorted(made) if path.endswith(_ENDINGS)]
    candidates += sorted(path for path in head.tree.files() if path.endswith(_ENDINGS) and path not in made)
    inside = (head.project.outside(path) for path in candidates)
    for path in [path for path in inside if not path.startswith("../")][:_MOST_TABLES]:
        place = head.place(path, folder)
        if not isinstance(place, Gap) and place.stat().st_size <= _MOST_BYTES:
            yield path, place


def _profile(opened: Tables, path: str, place: Path, taken: Sequence[str]) -> TableProposal | None:
    try:
        table = opened.source(place, path, path).table
        (size,) = opened.engine.rows(table.aggregate(n=table.count()))
        columns = [_column(opened, table, name) for name in table.columns[:200]]
    except Unusable:
        return None
    return proposal.table(path, int(size["n"]), columns, taken)


def _column(opened: Tables, table: ibis.Table, name: str) -> ColumnProfile:
    column = table[name]
    number = column.try_cast("float64") if column.type().is_string() else column
    numeric = number.type().is_numeric() or number.type().is_boolean()
    number = number.cast("float64") if numeric else ibis.null("float64")
    (row,) = opened.engine.rows(
        table.aggregate(
            distinct=column.nunique(),
            nulls=column.isnull().cast("int64").sum(),
            texts=(column.notnull() & number.isnull()).cast("int64").sum(),
            fractions=(number % 1 != 0).cast("int64").sum(),
            low=number.min(),
            high=number.max(),
        )
    )
    values = opened.engine.rows(table.select(value=column.cast("string")).distinct().order_by("value").limit(_VALUES))
    return ColumnProfile(
        name=name,
        distinct=int(row["distinct"]),
        nulls=int(row["nulls"] or 0),
        numeric=numeric and not row["texts"],
        whole=not row["fractions"],
        low=row["low"],
        high=row["high"],
        values=tuple(str(found["value"]) for found in values),
    )


def _gates(
    table: TableProposal, head: Side, before: Callable[[str], Iterator[Side]], open_tables: OpenTables
) -> Iterator[GateProposal]:
    names = proposal.metrics_of(table)
    if table.labels:
        yield from (GateProposal(metric=name) for name in names)
        return
    config = Config.model_validate(
        {
            "version": 1,
            "predictions": {table.name: {**table.keys, "task": table.task}},
            "gates": [{"metric": name} for name in names],
        }
    )
    measured = _measured(config, head, before(table.keys["path"]), open_tables)
    for name in names:
        found = measured.get(name)
        margin = _margin(name, found) if isinstance(found, Contrast) else None
        comment = ""
        if isinstance(found, Gap):
            comment = f"not measured: {found.reason}".replace("\n", " ")[:200]
        elif margin is not None and isinstance(found, Contrast) and found.base is None:
            comment = f"estimated as if a retrained model changed {CHANGED:.0%} of its predictions"
        yield GateProposal(metric=name, margin=margin, comment=comment, measured=not isinstance(found, Gap))


def _measured(config: Config, head: Side, before: Iterator[Side], open_tables: OpenTables) -> dict[str, Contrast | Gap]:
    """The contrasts with the newest version that differs; of the head alone where there is none."""
    alone = Side(project=head.project, revision=Revision(sha=None), tree=_Nothing(), pipeline=Pipeline(), data=None)
    found: dict[str, Contrast | Gap] = {}
    for base in (*before, alone):
        judged = tables.judge(config, base, head, open_tables)
        found = {str(item.gate.metric): item.contrast or Gap(reason=item.reason) for item in judged.comparisons}
        if any(isinstance(one, Contrast) and not one.identical for one in found.values()):
            break
    return found


class _Nothing:
    """A tree without files."""

    def files(self) -> frozenset[str]:
        return frozenset()

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes | Gap]:
        return {path: Gap(reason=f"no file {path}", absent=True) for path in paths}

    def place(self, path: str, folder: Path) -> Path | Gap:  # noqa: ARG002
        return Gap(reason=f"no file {path}", absent=True)


def _margin(name: str, found: Contrast) -> float | None:
    """The smallest margin that the test set can hold, rounded up."""
    try:
        if found.found is not None:
            least = power.smallest_margin_of(found.found)
        elif found.head_interval is not None:
            least = power.smallest_margin(_error(name, found, found.head_interval))
        else:
            return None
    except NotEstimable:
        return None
    return proposal.rounded(least) if least else None


def _error(name: str, found: Contrast, interval: tuple[float, float]) -> float:
    """The standard error of the change, as if a retrained model changed so many of its predictions.

    Two models that agree on most examples share most of the noise: √(2 (1 - r)) of it is left. Of classes it is no less
    than what so many changes make of accuracy, √(changed / n), whatever share of the examples that are counted.
    """
    own = (interval[1] - interval[0]) / (2 * critical(CONFIDENCE))
    shared = own * math.sqrt(2 * CHANGED)
    counted = catalogue.parse(name.partition(".")[2]).known.family is catalogue.Family.COUNTS
    return max(shared, math.sqrt(CHANGED / found.n)) if counted and found.n else shared


def _numbers(head: Side) -> tuple[list[str], list[GateProposal]]:
    """Numbers in DVC's metrics files, or in files that are called so where DVC knows none, as gates name them.

    A file of DVC's that is not here gets a gate on a number that the user has to name.
    """
    known = {path for path, (out, _) in head.pipeline.outputs().items() if out.metric} | {*head.pipeline.metrics}
    files = known or {path for path in head.tree.files() if proposal.may_hold_metrics(path)}
    inside = [path for path in sorted(map(head.project.outside, files)) if not _is_strange(path)][:_MOST_TABLES]
    names: list[str] = []
    unread: list[GateProposal] = []
    for path, values in evidence.parse_all(head.read(inside)).items():
        if isinstance(values, Gap):
            comment = f"{path} is not here ({values.reason}): pull it, or train, and name a number in it"
            metric = str(MetricKey(path=path, key=TODO))
            unread += [GateProposal(metric=metric, known=False, margin=_GUESS, comment=comment)] if known else []
            continue
        names += [str(MetricKey(path=path, key=key)) for key, value in values.items() if _is_number(path + key, value)]
    return names, unread


def _is_strange(path: str) -> bool:
    """Whether a file is outside of the project, or has a path that only Windows understands."""
    return path.startswith(("../", "/")) or "\\" in path


def _is_number(name: str, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_glob(name)


def _asked(name: str, answer: Answer) -> GateProposal | None:
    """A gate on a number. Nobody but the user knows which way it is better, or what it may lose."""
    if answer is Answer.SKIP:
        return None
    direction = None if answer is Answer.LATER else Direction(answer.value)
    return GateProposal(metric=name, direction=direction, known=False, margin=_GUESS)
