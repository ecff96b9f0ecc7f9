"""Columns that say nothing: constant, empty, or the copy of another. Layer: metrics. Two scans of a table."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import ibis

from ci_ml.metrics.columns import Source, Unusable
from ci_ml.metrics.engine import Engine, Row

_AT_ONCE = 100  # columns of one scan
_MOST_PAIRS = 10_000
_DIGITS = 2**31


@dataclass(frozen=True, kw_only=True)
class Integrity:
    """The columns that have one value alone, those without any, and those that equal an earlier one."""

    constant: frozenset[str]
    empty: frozenset[str]
    copies: Mapping[str, str]


def integrity(engine: Engine, source: Source) -> Integrity:
    """What is wrong with columns as such. Raises Unusable for a table in which every column would be constant."""
    table, names = source.table, source.table.columns
    rows: dict[str, Row] = {}
    n = 0
    for part in _batched(names):
        (row,) = engine.rows(table.aggregate(n=table.count(), **_asked(table, part)))
        n = int(row["n"])
        rows |= {name: {key: row[f"{key}{index}"] for key in _KEYS} for index, name in enumerate(part)}
    if n < 2:
        raise Unusable(f"{source.name} has {'one row' if n else 'no rows'}: every column would be constant")
    empty = frozenset(name for name, row in rows.items() if int(row["given"]) == 0)
    constant = frozenset(name for name, row in rows.items() if int(row["given"]) == n and row["low"] == row["high"])
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, row in rows.items():
        if name not in empty | constant:
            alike.setdefault((str(table[name].type()), *(row[key] for key in _KEYS)), []).append(name)
    return Integrity(constant=constant, empty=empty, copies=_copies(engine, source, list(alike.values())))


_KEYS = ("given", "low", "high", "hash")


def _batched(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(names[start : start + _AT_ONCE]) for start in range(0, len(names), _AT_ONCE))


def _asked(table: ibis.Table, names: Sequence[str]) -> dict[str, ibis.Value]:
    """Of each column how many values there are, the ends of them as text, and a sum over hashes of them."""
    found: dict[str, ibis.Value] = {}
    for index, name in enumerate(names):
        column = table[name]
        plain = column.type().is_numeric() or column.type().is_string() or column.type().is_temporal()
        ordered = column if plain else column.cast("string")
        found |= {
            f"given{index}": column.count(),
            f"low{index}": ordered.min().cast("string"),
            f"high{index}": ordered.max().cast("string"),
            f"hash{index}": (column.cast("string").hash() % _DIGITS).sum(),
        }
    return found


def _copies(engine: Engine, source: Source, alike: Sequence[Sequence[str]]) -> dict[str, str]:
    """Columns that look alike, compared row by row."""
    pairs = [pair for names in alike for pair in itertools.combinations(names, 2)]
    if len(pairs) > _MOST_PAIRS:
        raise Unusable(f"{len(pairs):,} pairs of columns look alike, and {_MOST_PAIRS:,} are compared")
    table = source.table
    found: dict[str, str] = {}
    for start in range(0, len(pairs), _AT_ONCE):
        part = pairs[start : start + _AT_ONCE]
        apart = {
            f"p{index}": table.count(where=~table[one].identical_to(table[other]))
            for index, (one, other) in enumerate(part)
        }
        (row,) = engine.rows(table.aggregate(**apart))
        for index, (one, other) in enumerate(part):
            if not int(row[f"p{index}"] or 0):
                found.setdefault(other, one)
    return found
