"""Whether a packaged model answers what was evaluated, row by row. Layer: core. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = bool | int | float | str | None
_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Served:
    """What came of it: the rows that were compared, those that differ, and those that nobody has evaluated.

    `largest` is the largest difference of two numbers. `examples` say a few of what is wrong.
    """

    rows: int
    differing: int
    unknown: int
    largest: float
    examples: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the model that ships is the model that was judged, as far as this tells."""
        return self.rows > 0 and not self.differing and not self.unknown

    @property
    def sentence(self) -> str:
        """It, for people."""
        if self.same:
            off = f", up to {self.largest:.3g}" if self.largest else " exactly"
            return f"all {self.rows:,} rows are answered as they were evaluated{off}"
        if not self.rows:
            return "none of the rows was evaluated: the ids of the sample are not among those of the predictions"
        what = [f"{self.differing:,} of {self.rows:,} rows are answered otherwise"] if self.differing else []
        if self.unknown:
            what.append(f"{self.unknown:,} rows of the sample were never evaluated")
        return f"{' and '.join(what)}: {'; '.join(self.examples)}"


def compared(
    ids: Sequence[Value], answers: Sequence[Value], evaluated: Mapping[str, Value], tolerance: float
) -> Served:
    """Answers against what was evaluated, by id."""
    rows = differing = unknown = 0
    largest = 0.0
    examples: list[str] = []
    for id_, answer in zip(ids, answers, strict=True):
        key = spelled(id_)
        if key not in evaluated:
            unknown += 1
            continue
        rows += 1
        expected = evaluated[key]
        off = _off(answer, expected)
        if off is not None:
            largest = max(largest, off)
        if not _alike(answer, expected, off, tolerance):
            differing += 1
            if len(examples) < _EXAMPLES:
                examples.append(f"{key[:60]} gives {_said(answer)} and was evaluated as {_said(expected)}")
    return Served(rows=rows, differing=differing, unknown=unknown, largest=largest, examples=tuple(examples))


def spelled(value: Value) -> str:
    """A label or an id as two readers of one table agree on it: 1, 1.0 and "1" are one."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _off(one: Value, other: Value) -> float | None:
    if isinstance(one, bool | int | float) and isinstance(other, bool | int | float):
        return abs(float(one) - float(other))
    return None


def _alike(one: Value, other: Value, off: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return False  # no number is no answer, whoever gives it
    if off is None:
        return spelled(one) == spelled(other)
    return off <= tolerance * (1 + abs(float(other)))


def _said(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:60]
