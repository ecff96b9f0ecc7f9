"""Base and head joined by id, one to one; whatever does not pair is an error that names examples. Layer: metrics."""

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis

from ci_ml.core.catalogue import Task
from ci_ml.core.config import PredictionsConfig
from ci_ml.metrics import columns
from ci_ml.metrics.columns import Side, Source, Unusable, Wanted
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.paired import Paired

_SHOWN = 3
MOST_CLASSES = 1_000


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """The joined table, how many values each slice column has, and what a reader should know about it."""

    paired: Paired
    sizes: Mapping[str, int]
    notices: tuple[str, ...] = ()


def pair(engine: Engine, about: PredictionsConfig, base: Source | None, head: Source, wanted: Wanted) -> Pairing:
    """Check and join both sides; without a base the head stands for both. Raises Unusable."""
    two = columns.side(engine, head, about, wanted)
    one = columns.side(engine, base, about, wanted) if base else two
    if one.classes != two.classes:
        raise Unusable(f"{one.name} has scores for {', '.join(one.classes)}, {two.name} for {', '.join(two.classes)}")
    for name in wanted.slices:
        if name not in one.slices | two.slices:
            raise Unusable(f"{two.name} has no column {name} to make slices of")
    # Never more rows than this, unless ids repeat: then the join could be as large as their product.
    most = one.n + two.n + 1
    joined = engine.hold(_joined(one, two, wanted, about), most)
    notices = _check(engine, joined, one, two, wanted, about)
    classes = _classes(engine, joined, about, one)
    sizes = _sizes(engine, joined, wanted)
    combinations = 1
    for size in sizes.values():
        combinations *= size + 1
    paired = Paired(
        table=joined,
        task=about.task,
        n=two.n,
        cuts={name: f"s{index}" for index, name in enumerate(wanted.slices)},
        combinations=combinations,
        classes=classes,
        columns={metric: (f"base_x{index}", f"head_x{index}") for index, metric in enumerate(_extra(wanted))},
        clustered=about.cluster is not None,
    )
    return Pairing(paired=paired, sizes=sizes, notices=notices)


def _extra(wanted: Wanted) -> list[str]:
    return [*wanted.means, *wanted.customs]


def _joined(one: Side, two: Side, wanted: Wanted, about: PredictionsConfig) -> ibis.Table:
    """Both sides beside each other, also where one of them is missing."""
    left, right = (_prefixed(part, name) for part, name in ((one, "base"), (two, "head")))
    if left.base_id.type() != right.head_id.type():
        left = left.mutate(base_id=left.base_id.cast("string"))
        right = right.mutate(head_id=right.head_id.cast("string"))
    if one is two:
        table = right.mutate(**{f"base_{name}": right[f"head_{name}"] for name in two.table.columns})
    else:
        table = left.join(right, left.base_id == right.head_id, how="outer")
    label = table.head_label if about.labels == "head" else table.base_label
    chosen: dict[str, ibis.Value] = {
        "one": ibis.literal(1, "int64"),
        "label": label,
        "base_id": table.base_id,
        "head_id": table.head_id,
        "relabelled": (table.base_label != table.head_label).cast("int64"),
    }
    predicted = [name for name in two.table.columns if name.startswith(("class", "score", "value"))]
    for name in predicted:
        chosen |= {f"base_{name}": table[f"base_{name}"], f"head_{name}": table[f"head_{name}"]}
    differs = [table[f"base_{name}"] != table[f"head_{name}"] for name in predicted]
    chosen["changed"] = functools.reduce(operator.or_, differs).cast("int64")
    for index, metric in enumerate(_extra(wanted)):
        chosen |= {f"base_x{index}": table[f"base_{metric}"], f"head_x{index}": table[f"head_{metric}"]}
    if about.cluster:
        chosen["cluster"] = table.base_cluster.cast("string")
        chosen["moved"] = (table.base_cluster.cast("string") != table.head_cluster.cast("string")).cast("int64")
    for index, name in enumerate(wanted.slices):
        own = "base" if name in one.slices else "head"
        chosen[f"s{index}"] = table[f"{own}_slice {name}"]
        if name in one.slices & two.slices:
            chosen[f"moved_{index}"] = (table[f"base_slice {name}"] != table[f"head_slice {name}"]).cast("int64")
    return table.select(**chosen)


def _prefixed(part: Side, name: str) -> ibis.Table:
    return part.table.rename({f"{name}_{column}": column for column in part.table.columns})


def _check(
    engine: Engine, joined: ibis.Table, one: Side, two: Side, wanted: Wanted, about: PredictionsConfig
) -> tuple[str, ...]:
    counted = {
        "with_base": joined.base_id.count(),
        "with_head": joined.head_id.count(),
        "only_base": joined.head_id.isnull().cast("int64").sum(),
        "only_head": joined.base_id.isnull().cast("int64").sum(),
        **{name: joined[name].sum() for name in joined.columns if name.startswith(("relabelled", "moved"))},
    }
    if one is two:
        counted["different"] = joined.head_id.nunique()
    (row,) = engine.rows(joined.aggregate(**counted))
    found = {name: int(value or 0) for name, value in row.items()}
    if found["with_base"] != one.n or found["with_head"] != two.n or found.get("different", two.n) != two.n:
        raise Unusable(_twice(engine, one, two, about))
    for own, other, count, where in ((one, two, found["only_base"], "head"), (two, one, found["only_head"], "base")):
        if count:
            ids = _ids(engine, joined, joined[f"{where}_id"].isnull(), "base" if where == "head" else "head")
            raise Unusable(
                f"{count:,} {'row' if count == 1 else 'rows'} of {own.name} are not in {other.name} "
                f"({about.id} {ids}): both sides have to be of the same test examples"
            )
    if found.get("moved"):
        ids = _ids(engine, joined, joined.moved > 0, "head")
        raise Unusable(
            f"the {about.cluster} of {found['moved']:,} examples differs between the sides ({about.id} {ids})"
        )
    return _relabelled(engine, joined, found, about, one, two, wanted)


def _relabelled(
    engine: Engine,
    joined: ibis.Table,
    found: Mapping[str, int],
    about: PredictionsConfig,
    one: Side,
    two: Side,
    wanted: Wanted,
) -> tuple[str, ...]:
    notices = []
    if count := found["relabelled"]:
        if about.labels != "head":
            ids = _ids(engine, joined, joined.relabelled > 0, "head")
            raise Unusable(
                f"{count:,} labels differ between {one.name} and {two.name} ({about.id} {ids}): "
                "if they were corrected, say `labels: head`, and both sides are judged by the new ones"
            )
        notices.append(f"{count:,} labels of {two.name} changed: both sides are judged by the head's (labels: head)")
    for index, name in enumerate(wanted.slices):
        if count := found.get(f"moved_{index}", 0):
            notices.append(f"{count:,} examples of {two.name} have another {name} than before: slices are the base's")
    return tuple(notices)


def _ids(engine: Engine, joined: ibis.Table, rows: ibis.Value, which: str) -> str:
    chosen = joined.filter(rows).select(key=joined[f"{which}_id"])
    return _listed([row["key"] for row in engine.rows(chosen.order_by("key").limit(_SHOWN))])


def _listed(values: Sequence[object]) -> str:
    return ", ".join(ascii(str(value)[:40]).strip("'\"") for value in values)


def _twice(engine: Engine, one: Side, two: Side, about: PredictionsConfig) -> str:
    """Which ids are there more than once, on the first side that has such."""
    for part in (one, two):
        grouped = part.table.group_by("id").aggregate(times=part.table.count())
        often = grouped.filter(grouped.times > 1)
        if rows := engine.rows(often.order_by([ibis.desc("times"), "id"]).limit(_SHOWN)):
            (count,) = engine.rows(often.aggregate(n=often.count()))
            listed = ", ".join(f"{_listed([row['id']])} {row['times']:,} times" for row in rows)
            ids = "id is" if count["n"] == 1 else "ids are"
            return f"{count['n']:,} {ids} in {part.name} more than once ({about.id} {listed}): one row for each example"
    raise AssertionError("a join has other rows than its sides, and no id repeats")


def _classes(engine: Engine, joined: ibis.Table, about: PredictionsConfig, one: Side) -> tuple[str, ...]:
    if about.task is not Task.MULTICLASS:
        return ()
    if one.classes:
        return one.classes
    parts = [joined.select(name=joined[column]).distinct() for column in ("label", "base_class", "head_class")]
    every = ibis.union(*parts, distinct=True)
    found = sorted(str(row["name"]) for row in engine.rows(every.limit(MOST_CLASSES + 1)))
    if len(found) > MOST_CLASSES:
        raise Unusable(f"{one.name} has more than {MOST_CLASSES:,} classes: is {about.label} a class?")
    if len(found) < 2:
        raise Unusable(f"{one.name} has one class only, {', '.join(found)}")
    return tuple(found)


def _sizes(engine: Engine, joined: ibis.Table, wanted: Wanted) -> dict[str, int]:
    """How many values each slice column has."""
    if not wanted.slices:
        return {}
    (row,) = engine.rows(
        joined.aggregate(**{f"s{index}": joined[f"s{index}"].nunique() for index in range(len(wanted.slices))})
    )
    return {name: int(row[f"s{index}"]) for index, name in enumerate(wanted.slices)}
