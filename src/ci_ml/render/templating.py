"""How templates of reports are found, ours and those of a user, and what they may do. Layer: render.

A user's template replaces ours of the same name, or blocks of it: ours is always there as `ci-ml/NAME`.
All of them run in a sandbox.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FunctionLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ci_ml.errors import UsageError
from ci_ml.render.bounds import Bounded

NONE: Mapping[str, str] = {}
# What a template can do wrong while it is rendered: beside what Jinja says itself, whatever its expressions raise.
_FAULTS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
# More than the page of a report with 20,000 slices needs.
_MOST_STEPS = 2_000_000
_MOST_LETTERS = 64_000_000
_HINT = "see docs/reports.md"


def loader(own: Mapping[str, str]) -> BaseLoader:
    """Where templates of reports come from: the user's by their names, then ours; ours as `ci-ml/NAME` in any case."""
    ours = PackageLoader("ci_ml.render")
    return ChoiceLoader([FunctionLoader(own.get), ours, PrefixLoader({"ci-ml": ours})])


def environment(
    own: Mapping[str, str], *, autoescape: bool, finalize: Callable[[Any], Any] | None = None
) -> ImmutableSandboxedEnvironment:
    """A sandbox without a way out, where an undefined name is an error; templates of the user's have limits as well.

    What it may do is counted from its first template to its last: one environment is for one text. Raises UsageError
    for a template of the user's that has no name of ours.
    """
    if strange := sorted(own.keys() - names()):
        raise UsageError(
            f"the template {strange[0]} replaces none of ci-ml", f"there are: {', '.join(sorted(names()))}"
        )
    options: dict[str, Any] = {
        "loader": loader(own),
        "undefined": StrictUndefined,
        "autoescape": autoescape,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }
    if not own:
        return ImmutableSandboxedEnvironment(finalize=finalize, **options)
    return Bounded(
        finalize=finalize or (lambda value: value), most_steps=_MOST_STEPS, most_letters=_MOST_LETTERS, **options
    )


@cache
def names() -> frozenset[str]:
    """What our templates are called."""
    return frozenset(PackageLoader("ci_ml.render").list_templates())


def render(name: str, own: Mapping[str, str], values: Mapping[str, Any], *, escape: bool = False) -> str:
    """The text of a template, or of the user's that replaces it. Raises UsageError like `environment`, `rendered`."""
    return rendered(environment(own, autoescape=escape) if own else _usual(escape), name, values)


@cache
def _usual(escape: bool) -> ImmutableSandboxedEnvironment:
    return environment(NONE, autoescape=escape)


def rendered(made: ImmutableSandboxedEnvironment, name: str, values: Mapping[str, Any]) -> str:
    """The text of a template. Raises UsageError, with the line, for one of the user's that is broken."""
    try:
        return made.get_template(name).render(values)
    except TemplateSyntaxError as error:
        raise UsageError(f"the template {error.name or name}:{error.lineno}: {error}", _HINT) from None
    except _FAULTS as error:
        raise UsageError(f"the template {name}: {error}", _HINT) from None
