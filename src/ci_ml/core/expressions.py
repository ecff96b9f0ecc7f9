"""An expression over the columns of a table, such as `end >= start`: read, and nothing but that. Layer: core.

It is parsed as SQL and then stripped to what the tree of a harmless expression may hold. There are no functions but
those that are named here, no questions to other tables, and nothing that reads a file: everything else is refused,
by what it is called.
"""

import re
from collections.abc import Iterator
from typing import Any

LONGEST = 1000
_DEEPEST = 50

# What a tree may hold, by the names of sqlglot's classes.
_LEAVES = frozenset("Column Literal Boolean Null".split())
_LOGIC = frozenset("And Or Not Paren Is In Between Case If".split())
_COMPARISONS = frozenset("EQ NEQ GT GTE LT LTE".split())
_ARITHMETIC = frozenset("Add Sub Mul Div Mod Neg".split())
_FUNCTIONS = frozenset("Abs Length Lower Upper Trim Coalesce StartsWith EndsWith RegexpLike Year Month Day".split())
# What a model of pandera becomes on its way here as well: 1::TINYINT is how a compiler writes 1.
_CASTS = frozenset("Cast TryCast IsNan IsInf".split())
_KNOWN = _LEAVES | _LOGIC | _COMPARISONS | _ARITHMETIC | _FUNCTIONS | _CASTS
_PARTS = frozenset("Identifier DataType DataTypeParam Var".split())
_SAID = "columns, numbers, texts, comparisons, and/or/not, in, between, is null, case, arithmetic"
_CALLS = "abs, length, lower, upper, trim, coalesce, starts_with, ends_with, regexp_matches, year, month, day"

Node = Any  # of sqlglot, which has no types


def parse(text: str, longest: int = LONGEST) -> Node:
    """The tree of an expression. Raises ValueError with what is wrong with it."""
    import sqlglot  # 0.1 s: only who has such rules pays for it
    from sqlglot.errors import SqlglotError

    if len(text) > longest:
        raise ValueError(f"is {len(text):,} characters long, and {longest:,} are read")
    try:
        found = sqlglot.parse_one(text, dialect="duckdb")
        _allowed(found)
    except SqlglotError as error:
        raise ValueError(f"is no expression: {_words(str(error))}") from None
    except RecursionError:
        raise ValueError(f"is nested deeper than {_DEEPEST} levels") from None
    return found


def _words(said: str) -> str:
    """What the parser says, without its colours and the text that it was given."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    return plain.partition("\n")[0].strip().rstrip(".")


def _allowed(tree: Node) -> None:
    level = [tree]
    for _ in range(_DEEPEST):
        for node in level:
            _allow(node)
        level = [child for node in level for child in node.iter_expressions()]
        if not level:
            return
    raise ValueError(f"is nested deeper than {_DEEPEST} levels")


def _allow(node: Node) -> None:
    kind = type(node).__name__
    if kind in _PARTS:
        return
    if kind not in _KNOWN:
        raise ValueError(f"{_called(node)} is not known: an expression holds {_SAID}, and {_CALLS}")
    if kind == "Column" and any(node.args.get(part) for part in ("table", "db", "catalog")):
        raise ValueError(f"{_called(node)} is no column of this table: quote a name that holds a dot")
    if kind == "In" and any(node.args.get(part) for part in ("query", "unnest", "field")):
        raise ValueError("`in` is asked of a list of values, and of nothing else")


def _called(node: Node) -> str:
    """What stands in the text, in short."""
    name = node.name if type(node).__name__ in ("Anonymous", "Column") else ""
    text = name or node.sql(dialect="duckdb")
    return text if len(text) <= 40 else f"{text[:39]}…"


def asks_for_nan(tree: Node) -> bool:
    """Whether an expression says itself what becomes of NaN."""
    return any(type(node).__name__ == "IsNan" for node in _walk(tree))


def columns(tree: Node) -> tuple[str, ...]:
    """The columns that an expression is about, in the order in which it names them."""
    return tuple(dict.fromkeys(node.name for node in _walk(tree) if type(node).__name__ == "Column"))


def _walk(tree: Node) -> Iterator[Node]:
    yield from tree.walk(bfs=False)
