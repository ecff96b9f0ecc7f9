"""Base and head joined by id, one to one; whatever does not pair is an error that names examples. Layer: metrics."""

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass

import ibis

from ci_ml.core.catalogue import Task
from ci_ml.core.config import PredictionsConfig
from ci_ml.metrics import columns
from ci_ml.metrics.columns import Side, Source, Unusable, Wanted, shown
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.paired import Paired

_SHOWN = 3
MOST_CLASSES = 1_000
# More values than this are no slices, and are not spelt out.
MOST_VALUES = 100_000


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
        classes = " and ".join(f"{part.name} has scores for {columns.listed(part.classes)}" for part in (one, two))
        raise Unusable(f"{classes}: both sides need the same")
    sides = _Sides(engine, about, one, two, wanted)
    joined = sides.held()
    notices = sides.check(joined)
    extra = [*wanted.means, *wanted.customs]
    paired = Paired(
        table=joined.mutate(one=ibis.literal(1, "int64"), changed=joined.changed.cast("int64")),
        task=about.task,
        n=two.n,
        cuts={name: f"s{index}" for index, name in enumerate(wanted.slices)},
        values=sides.values,
        classes=_classes(engine, joined, about, one),
        columns={metric: (f"base_x{index}", f"head_x{index}") for index, metric in enumerate(extra)},
        clustered=about.cluster is not None,
    )
    return Pairing(paired=paired, sizes=sides.sizes, notices=notices)


class _Sides:
    """Both sides, and how they are joined."""

    def __init__(self, engine: Engine, about: PredictionsConfig, one: Side, two: Side, wanted: Wanted) -> None:
        self.engine, self.about, self.one, self.two, self.wanted = engine, about, one, two, wanted
        self.sizes: dict[str, int] = {}
        self.values: dict[str, list[str | None]] = {}
        left, right = (_prefixed(part, name) for part, name in ((one, "base"), (two, "head")))
        left, right = _alike(left, right, "id")
        if about.cluster:
            left, right = _alike(left, right, "cluster")
        for index, name in enumerate(wanted.slices):
            left, right = self._coded(left, right, name, f"s{index}")
        if one is two:
            own = {f"base_{name.removeprefix('head_')}": right[name] for name in right.columns}
            self.every = right.mutate(**own)
        else:
            self.every = left.join(right, left.base_id == right.head_id, how="outer")

    def _coded(self, left: ibis.Table, right: ibis.Table, name: str, key: str) -> tuple[ibis.Table, ibis.Table]:
        """Both sides with a slice column as numbers; the base's values, or the head's where the base has none."""
        slices = [name in part.slices for part in (self.one, self.two)]
        if not any(slices):
            raise Unusable(f"{self.two.name} has no column {shown(name)} to make slices of")
        if all(slices):
            left, right = _alike(left, right, f"slice {name}")
        own, column = (left, f"base_slice {name}") if slices[0] else (right, f"head_slice {name}")
        listed = own.select(value=own[column]).distinct()
        numbered = listed.mutate(
            code=ibis.row_number().over(order_by=listed.value).cast("int32"), text=listed.value.cast("string")
        )
        known = self.engine.hold(numbered)
        (row,) = self.engine.rows(known.aggregate(n=known.count()))
        self.sizes[name] = int(row["n"])
        if self.sizes[name] <= MOST_VALUES:
            ordered = self.engine.rows(known.select("code", "text").order_by("code"))
            self.values[name] = [row["text"] for row in ordered]
            left = _numbered(left, f"base_slice {name}", known, f"base_{key}") if slices[0] else left
            right = _numbered(right, f"head_slice {name}", known, f"head_{key}") if slices[1] else right
        else:
            left = left.rename({f"base_{key}": f"base_slice {name}"}) if slices[0] else left
            right = right.rename({f"head_{key}": f"head_slice {name}"}) if slices[1] else right
        return left, right

    def held(self) -> ibis.Table:
        """Both sides beside each other, also where one of them is missing, computed once."""
        # Never more rows than this, unless ids repeat: then the join could be as large as their product.
        return self.engine.hold(self.every.select(**self._chosen()), self.one.n + self.two.n + 1)

    def _chosen(self) -> dict[str, ibis.Value]:
        table, about = self.every, self.about
        chosen: dict[str, ibis.Value] = {
            "label": table.head_label if about.labels == "head" else table.base_label,
            "with_base": table.base_id.notnull(),
            "with_head": table.head_id.notnull(),
            "relabelled": self._differs("label"),
        }
        predicted = [name for name in self.two.table.columns if name.startswith(("class", "score", "value"))]
        for name in predicted:
            chosen |= {f"{side}_{name}": table[f"{side}_{name}"] for side in ("base", "head")}
        chosen["changed"] = functools.reduce(operator.or_, map(self._differs, predicted))
        for index, metric in enumerate([*self.wanted.means, *self.wanted.customs]):
            chosen |= {f"{side}_x{index}": table[f"{side}_{metric}"] for side in ("base", "head")}
        if self.wanted.ids:
            chosen["id"] = table.head_id.cast("string")
        if about.cluster:
            chosen |= {"cluster": table.base_cluster, "moved": self._differs("cluster")}
        for index, name in enumerate(self.wanted.slices):
            own = "base" if name in self.one.slices else "head"
            chosen[f"s{index}"] = table[f"{own}_s{index}"]
            if name in self.one.slices & self.two.slices:
                same = table[f"base_s{index}"].identical_to(table[f"head_s{index}"])
                chosen[f"moved_{index}"] = ~same
        return chosen

    def _differs(self, name: str) -> ibis.Value:
        return self.every[f"base_{name}"] != self.every[f"head_{name}"]

    def check(self, joined: ibis.Table) -> tuple[str, ...]:
        """Raises Unusable for whatever does not pair; answers what a reader should know all the same."""
        flags = ("with_base", "with_head", "relabelled", "moved")
        counted = {name: joined[name].cast("int64").sum() for name in joined.columns if name.startswith(flags)}
        (row,) = self.engine.rows(joined.aggregate(rows=joined.count(), **counted))
        found = {name: int(value or 0) for name, value in row.items()}
        if found["with_base"] != self.one.n or found["with_head"] != self.two.n or self._repeated():
            raise Unusable(self._twice())
        for own, other, where in ((self.one, self.two, "with_head"), (self.two, self.one, "with_base")):
            if count := found["rows"] - found[where]:
                side = "base" if own is self.one else "head"
                raise Unusable(
                    f"{_many(count)} of {own.name} are not in {other.name} ({self._ids(~self._chosen()[where], side)}):"
                    " both sides have to be of the same test examples"
                )
        if count := found.get("moved", 0):
            what = f"the {shown(self.about.cluster)} of {count:,} examples differs between the sides"
            raise Unusable(f"{what} ({self._ids(self._differs('cluster'), 'head')})")
        return (*self._relabelled(found["relabelled"]), *self._moved(found))

    def _repeated(self) -> bool:
        """Whether ids repeat on the one side that stands for both: no join would show it."""
        if self.one is not self.two:
            return False
        (row,) = self.engine.rows(self.two.table.aggregate(n=self.two.table.id.nunique()))
        return int(row["n"]) != self.two.n

    def _relabelled(self, count: int) -> list[str]:
        if not count:
            return []
        if self.about.labels != "head":
            raise Unusable(
                f"{count:,} labels differ between {self.one.name} and {self.two.name} "
                f"({self._ids(self._differs('label'), 'head')}): "
                "if they were corrected, say `labels: head`, and both sides are judged by the new ones"
            )
        return [f"{count:,} labels of {self.two.name} changed: both sides are judged by the head's (labels: head)"]

    def _moved(self, found: Mapping[str, int]) -> list[str]:
        return [
            f"{count:,} examples of {self.two.name} have another {shown(name)} than before: slices are the base's"
            for index, name in enumerate(self.wanted.slices)
            if (count := found.get(f"moved_{index}", 0))
        ]

    def _ids(self, rows: ibis.Value, side: str) -> str:
        """The first ids of some rows, looked up again: nobody else needs ids once the sides are joined."""
        found = self.every.filter(rows).select(key=self.every[f"{side}_id"]).order_by("key").limit(_SHOWN)
        return f"{shown(self.about.id)} {', '.join(shown(row['key']) for row in self.engine.rows(found))}"

    def _twice(self) -> str:
        """Which ids are there more than once, on the first side that has such."""
        for part in (self.one, self.two):
            grouped = part.table.group_by("id").aggregate(times=part.table.count())
            often = grouped.filter(grouped.times > 1)
            if rows := self.engine.rows(often.order_by([ibis.desc("times"), "id"]).limit(_SHOWN)):
                (count,) = self.engine.rows(often.aggregate(n=often.count()))
                named = ", ".join(f"{shown(row['id'])} {row['times']:,} times" for row in rows)
                ids = "id is" if count["n"] == 1 else "ids are"
                key = shown(self.about.id)
                return f"{count['n']:,} {ids} in {part.name} more than once ({key} {named}): one row for each example"
        raise AssertionError("a join has other rows than its sides, and no id repeats")


def _many(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _prefixed(part: Side, name: str) -> ibis.Table:
    return part.table.rename({f"{name}_{column}": column for column in part.table.columns})


def _alike(left: ibis.Table, right: ibis.Table, name: str) -> tuple[ibis.Table, ibis.Table]:
    """Both sides with a column that can be compared: as it is where the types agree, else as text."""
    one, two = left[f"base_{name}"], right[f"head_{name}"]
    if one.type().copy(nullable=True) == two.type().copy(nullable=True):
        return left, right
    if one.type().is_signed_integer() and two.type().is_signed_integer():
        one, two = one.cast("int64"), two.cast("int64")
    else:
        one, two = columns.key(one), columns.key(two)
    return left.mutate(**{f"base_{name}": one}), right.mutate(**{f"head_{name}": two})


def _numbered(side: ibis.Table, column: str, known: ibis.Table, key: str) -> ibis.Table:
    """A side with the numbers of a slice column's values."""
    codes = known.select(value=known.value, **{key: known.code})
    return side.left_join(codes, side[column].identical_to(codes.value)).drop("value", column)


def _classes(engine: Engine, joined: ibis.Table, about: PredictionsConfig, one: Side) -> tuple[str, ...]:
    if about.task is not Task.MULTICLASS:
        return ()
    if one.classes:
        return one.classes
    parts = [joined.select(name=joined[column]).distinct() for column in ("label", "base_class", "head_class")]
    every = ibis.union(*parts, distinct=True)
    found = sorted(str(row["name"]) for row in engine.rows(every.limit(MOST_CLASSES + 1)))
    if len(found) > MOST_CLASSES:
        raise Unusable(f"{one.name} has more than {MOST_CLASSES:,} classes: is {shown(about.label)} a class?")
    if len(found) < 2:
        raise Unusable(f"{one.name} has one class only, {columns.listed(found)}")
    return tuple(found)
