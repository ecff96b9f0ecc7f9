"""Jinja's sandbox with limits, so that a mistake in a template ends in an error and not in a machine at a standstill.

Layer: render. Loops together take so many steps, no text or list grows longer than so many characters or items, and no
number has more digits than that takes. It does not count what filters do inside, which all work on values of that size.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

# More than the longest CI file needs. GitLab reads files of up to 2 MB.
MOST_STEPS = 100_000
MOST_LETTERS = 2_000_000
_MOST_BITS = 4_096
# Whatever pads a text takes a width.
_WIDEST = 10_000


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
        # What filters are given counts, too: some pad a text as far as they are told.
        self.filters = {name: _narrow(function) for name, function in self.filters.items()}
        self.filters |= {"steps": self._counter(), "short": _short}

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > self._most_steps:
            raise SecurityError(f"loops of more than {self._most_steps:,} steps")

    def _counter(self) -> Callable[[Context, Iterable[Any]], Iterator[Any]]:
        @pass_context  # and so not worked out before there is one
        def counted(_: Context, values: Iterable[Any]) -> Iterator[Any]:
            for value in values:
                self._spend(1)
                yield value

        return counted

    def _range(self, *bounds: int) -> range:
        found = range(*bounds)
        if len(found) > self._most_steps:  # before a filter makes a list of it
            raise SecurityError(f"loops of more than {self._most_steps:,} steps")
        self._spend(len(found))
        return found

    def _printed(self, value: Any) -> Any:
        self._letters += len(value) if isinstance(value, str) else 1
        if self._letters > self._most_letters:
            raise SecurityError(f"more than {self._most_letters:,} letters")
        return value

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator, if what it makes is not too large."""
        _BINOPS[operator](left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  as in Jinja
        """A function or method: one that pads, repeats or replaces gets nothing that is too large."""
        if __obj != __self.globals["range"]:  # which looks itself
            _widths(args, kwargs)
        if getattr(__obj, "__name__", "") in _GROWING and isinstance(own := getattr(__obj, "__self__", None), str):
            _fits(len(own) * max((_length(one) for one in args), default=0))
        return super().call(__context, __obj, *args, **kwargs)


_GROWING = {"replace", "join"}


def _narrow(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def narrow(*args: Any, **kwargs: Any) -> Any:
        _widths(args[1:], kwargs)
        return function(*args, **kwargs)

    return narrow


def _widths(args: Iterable[Any], named: dict[str, Any]) -> None:
    if any(isinstance(one, int) and abs(one) > _WIDEST for one in (*args, *named.values())):
        raise SecurityError(f"a number of more than {_WIDEST:,} for a function")


@pass_context
def _short(_: Context, text: str) -> str:
    _fits(len(text))
    return text


def _fits(length: int) -> None:
    if length > MOST_LETTERS:
        raise SecurityError(f"more than {MOST_LETTERS:,} letters")


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def _added(left: Any, right: Any) -> None:
    _fits(_length(left) + _length(right))


def _multiplied(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(other, int):
            _fits(_length(one) * other)
    _small(_bits(left) + _bits(right))


def _raised(left: Any, right: Any) -> None:
    if isinstance(right, int):
        _small(_bits(left) * right)


def _small(bits: int) -> None:
    if bits > _MOST_BITS:
        raise SecurityError("a number that is too large")


def _formatted(left: Any, _: Any) -> None:
    if isinstance(left, str):
        raise SecurityError("% with a text: write it with ~")


_BINOPS: dict[str, Callable[[Any, Any], None]] = {"+": _added, "*": _multiplied, "**": _raised, "%": _formatted}
