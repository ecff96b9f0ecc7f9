"""Jinja's sandbox with limits, so that a mistake in a template ends in an error and not in a machine at a standstill.

Layer: render. Loops together take so many steps, no text or list grows longer than so many characters or items, and no
number has more digits than that takes. Filters and methods that pad, join or replace are looked at before they begin;
the others make nothing that is much larger than what they are given.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.compiler import CodeGenerator
from jinja2.environment import Environment
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

# More than the longest CI file needs. GitLab reads files of up to 2 MB.
MOST_STEPS = 100_000
MOST_LETTERS = 2_000_000
_MOST_BITS = 4_096
# Whatever pads a text takes a width: as a number, or within a format.
_WIDEST = 10_000
_WIDE = re.compile(r"[%{][^%{}]*\d{5}|%[^%a-zA-Z]*\*|\{[^{}]*\{")
_FORMATS = frozenset({"format", "format_map"})
_GROWING = frozenset({"batch", "indent", "replace", "translate", "wordwrap"})
_JOINING = "join"
# Jinja's filters that are looked at. Of methods, all those of texts and numbers are.
_FILTERS = _FORMATS | _GROWING | {_JOINING, "center", "slice", "tojson"}


class _Counting(NodeTransformer):
    """Has every loop count its steps, and every `~` look how much it makes."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  Jinja's own names, here and below
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "steps")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "short")


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno, environment=node.environment)


class _Generator(CodeGenerator):
    def visit_Template(self, node: nodes.Template, frame: Any = None) -> None:  # noqa: N802
        super().visit_Template(_Counting().visit(node), frame)


class Bounded(ImmutableSandboxedEnvironment):
    """An environment for one file: what it may do is counted from its first template to its last."""

    code_generator_class = _Generator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(
        self,
        *,
        finalize: Callable[[Any], Any],
        most_steps: int = MOST_STEPS,
        most_letters: int = MOST_LETTERS,
        **options: Any,
    ) -> None:
        super().__init__(finalize=lambda value: self._printed(finalize(value)), **options)
        self._steps = self._letters = 0
        self._most_steps, self._most_letters = most_steps, most_letters
        self.globals["range"] = self._range
        del self.globals["lipsum"]  # which makes as much as it is told, and nobody's report is about Cicero
        self.filters |= {name: self._filter(name, self.filters[name]) for name in _FILTERS & self.filters.keys()}
        self.filters |= {"steps": self._counter(), "short": self._shortener()}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator, if what it makes is not too large."""
        if operator == "+":
            self._fits(_length(left) + _length(right))
        elif operator == "*":
            self._fits(max(_length(left) * _number(right), _length(right) * _number(left)))
            _small(_number(left).bit_length() + _number(right).bit_length())
        elif operator == "**":
            _small(_number(left).bit_length() * _number(right))
        elif isinstance(left, str):
            raise SecurityError("% with a text: write it with ~")
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  as in Jinja
        """A function or method: one that pads, repeats or replaces gets nothing that is too large."""
        if isinstance(own := getattr(__obj, "__self__", None), str | bytes | int):
            args = __self._bounded(getattr(__obj, "__name__", ""), own, args, kwargs)
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """What Jinja makes of `format` of a text, if its text asks for no width that is too large."""
        if isinstance(own := getattr(value, "__self__", None), str) and getattr(value, "__name__", "") in _FORMATS:
            _formats(own)
        return super().wrap_str_format(value)

    def _filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)  # and with it what tells Jinja that it wants a context first
        def bounded(*args: Any, **kwargs: Any) -> Any:
            first = 1 if isinstance(args[0], Context | Environment | EvalContext) else 0
            own, given = args[first], args[first + 1 :]
            if name == _JOINING:
                own = self._joined(own, max(map(_length, given), default=0))
            else:
                self._bounded(name, own, given, kwargs)
            return function(*args[:first], own, *given, **kwargs)

        return bounded

    def _bounded(self, name: str, own: Any, args: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """What a method or filter of this name is given. Raises SecurityError where it would make too much of `own`."""
        if name == _JOINING:
            return tuple(list(self._joined(one, _length(own))) for one in args)
        given = (*args, *named.values())
        if name in _FORMATS:
            _formats(own)
        elif any(abs(_number(one)) > _WIDEST for one in given):
            raise SecurityError(f"a number of more than {_WIDEST:,} for {name}")
        elif name in _GROWING:
            parts = [part for one in given for part in (one.values() if isinstance(one, dict) else (one,))]
            self._fits(_length(own) * max(map(_length, parts), default=0))
        return tuple(args)

    def _joined(self, values: Iterable[Any], between: int) -> Iterator[Any]:
        length = 0
        for value in values:
            length += _length(value) + between
            self._fits(length)
            yield value

    def _counter(self) -> Callable[[Context, Iterable[Any]], Iterator[Any]]:
        @pass_context  # and so not worked out before there is one
        def counted(_: Context, values: Iterable[Any]) -> Iterator[Any]:
            for value in values:
                self._spend(1)
                yield value

        return counted

    def _shortener(self) -> Callable[[Context, str], str]:
        @pass_context
        def short(_: Context, text: str) -> str:
            self._fits(len(text))
            return text

        return short

    def _range(self, *bounds: int) -> range:
        found = range(*bounds)
        if len(found) <= self._most_steps:  # before a filter makes a list of it
            self._spend(len(found))
            return found
        raise self._endless()

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > self._most_steps:
            raise self._endless()

    def _endless(self) -> SecurityError:
        return SecurityError(f"loops of more than {self._most_steps:,} steps")

    def _printed(self, value: Any) -> Any:
        self._letters += len(value) if isinstance(value, str) else 1
        self._fits(self._letters)
        return value

    def _fits(self, length: int) -> None:
        if length > self._most_letters:
            raise SecurityError(f"more than {self._most_letters:,} letters")


def _formats(text: Any) -> None:
    if isinstance(text, str) and _WIDE.search(text):
        raise SecurityError(f"a width of {_WIDEST:,} or more, or one that is not written out, in a format")


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _small(bits: int) -> None:
    if bits > _MOST_BITS:
        raise SecurityError("a number that is too large")
