"""Expressions of ci-ml.yaml as those of Ibis. Layer: metrics. What may stand in one is said in `core.expressions`."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import ibis

from ci_ml.core.expectations import moment, pattern
from ci_ml.core.expressions import Node
from ci_ml.metrics.columns import Unusable, infinite, shown

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "GT": operator.gt,
    "GTE": operator.ge,
    "LT": operator.lt,
    "LTE": operator.le,
}
_COMPUTE: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": operator.truediv,
    "Mod": operator.mod,
}
_OF_TEXT: Mapping[str, Callable[[Any], Any]] = {
    "Length": lambda text: text.length(),
    "Lower": lambda text: text.lower(),
    "Upper": lambda text: text.upper(),
    "Trim": lambda text: text.strip(),
}
_OF_TIME: Mapping[str, Callable[[Any], Any]] = {
    "Year": lambda time: time.year(),
    "Month": lambda time: time.month(),
    "Day": lambda time: time.day(),
}
_OF_NUMBER: Mapping[str, Callable[[Any], Any]] = {
    "Abs": lambda number: number.abs(),
    "Neg": lambda number: -number,
    "IsNan": lambda number: number.cast("float64").isnan(),
    "IsInf": lambda number: infinite(number.cast("float64")),
}
_OF = {"text": _OF_TEXT, "time": _OF_TIME, "number": _OF_NUMBER}
_CAST = {
    "TINYINT": "int8",
    "SMALLINT": "int16",
    "INT": "int32",
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "FLOAT": "float32",
    "VARCHAR": "string",
    "TEXT": "string",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
}


class Translation:
    """One expression over the columns of a table; `column` gives a column by its name, or raises Unusable."""

    def __init__(self, column: Callable[[str], ibis.Value]) -> None:
        self._column = column

    def boolean(self, tree: Node) -> ibis.Value:
        """What holds in a row, or does not, or cannot be worked out there. Raises Unusable."""
        found = self.value(tree)
        if not found.type().is_boolean():
            raise Unusable(f"{_sql(tree)} is {found.type()}, and a rule is something that holds or does not")
        return found

    def value(self, node: Node) -> Any:
        """A part of an expression. Raises Unusable when its types do not fit."""
        kind = type(node).__name__
        if kind in _COMPARE:
            return self._comparison(node, self.value(node.this), self.value(node.expression), _COMPARE[kind])
        if kind in _COMPUTE:
            return self._computed(node, _COMPUTE[kind])
        for family, known in _OF.items():
            if kind in known:
                return known[kind](self._of(node, node.this, family))
        return getattr(self, f"_on_{kind.lower()}")(node)

    def _comparison(self, node: Node, one: Any, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        one, other = _alike(one, other)
        if _family(one) != _family(other) and "null" not in (_family(one), _family(other)):
            raise Unusable(f"{_sql(node)} compares {one.type()} with {other.type()}")
        return compare(one, other)

    def _computed(self, node: Node, compute: Callable[[Any, Any], Any]) -> Any:
        one, other = self.value(node.this), self.value(node.expression)
        if _family(one) != "number" or _family(other) != "number":
            raise Unusable(f"{_sql(node)} is arithmetic with {one.type()} and {other.type()}, which are no numbers")
        return compute(one, other)

    def _of(self, node: Node, part: Node, wanted: str) -> Any:
        found = self.value(part)
        if _family(found) != wanted:
            raise Unusable(f"{_sql(node)} is asked of {found.type()}, and needs a {wanted}")
        return found

    def _truth(self, node: Node) -> Any:
        return self._of(node, node, "truth")

    def _on_and(self, node: Node) -> Any:
        return self._truth(node.this) & self._truth(node.expression)

    def _on_or(self, node: Node) -> Any:
        return self._truth(node.this) | self._truth(node.expression)

    def _on_not(self, node: Node) -> Any:
        # Not `~`: Ibis writes NOT without brackets around it, where IS NULL or = after it would be read first.
        return self._truth(node.this) == ibis.literal(False)

    def _on_paren(self, node: Node) -> Any:
        return self.value(node.this)

    def _on_column(self, node: Node) -> Any:
        return self._column(node.name)

    def _on_literal(self, node: Node) -> Any:
        if node.is_string:
            return ibis.literal(node.name)
        try:
            return ibis.literal(int(node.name))
        except (ValueError, OverflowError, TypeError):
            return ibis.literal(float(node.name))

    def _on_boolean(self, node: Node) -> Any:
        return ibis.literal(bool(node.this))

    def _on_null(self, _: Node) -> Any:
        return ibis.null()

    def _on_is(self, node: Node) -> Any:
        found, kind = self.value(node.this), type(node.expression).__name__
        if kind == "Null":
            return found.isnull()
        if kind == "Boolean" and found.type().is_boolean():
            return found.fill_null(not node.expression.this) == bool(node.expression.this)
        raise Unusable(f"{_sql(node)}: `is` is asked of null, true and false")

    def _on_in(self, node: Node) -> Any:
        found = self.value(node.this)
        values = [self.value(item) for item in node.expressions]
        pairs = [_alike(found, value) for value in values]
        if any(_family(one) != _family(other) for one, other in pairs):
            raise Unusable(f"{_sql(node)} looks for values of another type than {found.type()}")
        return pairs[0][0].isin([other for _, other in pairs])

    def _on_between(self, node: Node) -> Any:
        found = self.value(node.this)
        low, high = (self.value(node.args[end]) for end in ("low", "high"))
        return self._comparison(node, found, low, operator.ge) & self._comparison(node, found, high, operator.le)

    def _on_case(self, node: Node) -> Any:
        branches = [(self._condition(node, part), self.value(part.args["true"])) for part in node.args["ifs"]]
        otherwise = node.args.get("default")
        return ibis.cases(*branches, else_=None if otherwise is None else self.value(otherwise))

    def _condition(self, node: Node, part: Node) -> Any:
        if node.this is None:
            return self._truth(part.this)
        return self._comparison(part, self.value(node.this), self.value(part.this), operator.eq)

    def _on_if(self, node: Node) -> Any:
        otherwise = node.args.get("false")
        return ibis.cases(
            (self._truth(node.this), self.value(node.args["true"])),
            else_=None if otherwise is None else self.value(otherwise),
        )

    def _on_coalesce(self, node: Node) -> Any:
        return ibis.coalesce(*(self.value(part) for part in (node.this, *node.expressions)))

    def _on_startswith(self, node: Node) -> Any:
        return self._of(node, node.this, "text").startswith(self._of(node, node.expression, "text"))

    def _on_endswith(self, node: Node) -> Any:
        return self._of(node, node.this, "text").endswith(self._of(node, node.expression, "text"))

    def _on_regexplike(self, node: Node) -> Any:
        text = node.expression
        if type(text).__name__ != "Literal" or not text.is_string:
            raise Unusable(f"{_sql(node)}: a pattern is written out")
        try:
            return self._of(node, node.this, "text").re_search(pattern(text.name))
        except ValueError as error:
            raise Unusable(f"{_sql(node)}: {error}") from None

    def _on_cast(self, node: Node) -> Any:
        name = node.args["to"].sql(dialect="duckdb").upper()
        if name not in _CAST:
            raise Unusable(f"{_sql(node)}: a value becomes {', '.join(sorted(_CAST))}, and nothing else")
        found = self.value(node.this)
        return found.cast(_CAST[name]) if type(node.this).__name__ == "Literal" else found.try_cast(_CAST[name])

    _on_trycast = _on_cast


def _alike(one: Any, other: Any) -> tuple[Any, Any]:
    """Two values of which one is a text that says when: `day >= '2024-01-31'`."""
    return _as_time(one, other), _as_time(other, one)


def _as_time(text: Any, time: Any) -> Any:
    op = text.op()
    if _family(time) != "time" or not isinstance(op, ibis.expr.operations.Literal) or not isinstance(op.value, str):
        return text
    if moment(op.value) is None:
        raise Unusable(f"{shown(op.value)} is no date such as 2024-01-31")
    return text.cast(time.type())


def _family(value: Any) -> str:
    kind = value.type()
    if kind.is_numeric() and not kind.is_boolean():
        return "number"
    if kind.is_temporal():
        return "time"
    return "text" if kind.is_string() else "truth" if kind.is_boolean() else "null" if kind.is_null() else str(kind)


def _sql(node: Node) -> str:
    return shown(node.sql(dialect="duckdb"))
