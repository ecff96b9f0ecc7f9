"""How often each class was predicted as each class, on both sides. Layer: metrics."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import ibis

from ci_ml.core.catalogue import Task
from ci_ml.metrics.counts import CELL, names
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.paired import Paired, total

# How many classes are told apart.
MOST = 30

Matrix = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Both sides' counts by label (row) and prediction (column), of these classes.

    Where there are more than `MOST` classes they are those that are confused most often; then `others` is how many
    there are besides, and the last row and column are those together.
    """

    classes: tuple[str, ...]
    base: Matrix
    head: Matrix
    others: int = 0


def confusion(engine: Engine, paired: Paired) -> Confusion:
    """Count both sides in one query; where there are many classes four more find out which are confused."""
    known = names(paired)
    if len(known) <= MOST:
        base, head = _matrices(engine, paired.table, known)
        return Confusion(classes=known, base=base, head=head)
    chosen = _confused(engine, paired)
    table = paired.table.mutate(**{key: _known(paired.table[key], chosen) for key in CELL})
    base, head = _matrices(engine, table, (*chosen, None))
    return Confusion(classes=chosen, base=base, head=head, others=len(known) - MOST)


def _confused(engine: Engine, paired: Paired) -> tuple[str, ...]:
    """The classes with most wrong predictions, of examples that have them or for examples that do not."""
    wrong: Counter[str] = Counter()
    for side in ("base", "head"):
        table = paired.table.select("label", "one", said=paired.table[f"{side}_class"])
        off = table.filter(table.label != table.said)
        for key in ("label", "said"):
            wrong.update({str(row[key]): int(row["n"]) for row in engine.rows(total(off, [key], {"n": off.one}))})
    most = sorted(paired.classes, key=lambda name: (-wrong[name], name))[:MOST]
    return tuple(name for name in paired.classes if name in set(most))


def _matrices(engine: Engine, table: ibis.Table, classes: Sequence[str | None]) -> tuple[Matrix, Matrix]:
    order = {name: index for index, name in enumerate(classes)}
    base, head = ([[0] * len(order) for _ in order] for _ in range(2))
    for row in engine.rows(table.group_by(list(CELL)).aggregate(n=table.count())):
        label, one, two = (order[None if row[key] is None else str(row[key])] for key in CELL)
        base[label][one] += row["n"]
        head[label][two] += row["n"]
    return tuple(map(tuple, base)), tuple(map(tuple, head))


def _known(name: ibis.Value, classes: tuple[str, ...]) -> ibis.Value:
    """A class, or nothing for one of the others."""
    return name.isin(classes).ifelse(name, ibis.null("string"))


def of_two(paired: Paired, positive: object) -> tuple[str, str]:
    """What the classes of a binary table are called, once the positive one has a name."""
    assert paired.task is Task.BINARY
    return ("0", "1") if positive is None else (f"not {positive}", str(positive))
