"""Templates of reports: ours, and those of the user, who may replace any of them, or blocks of one. Layer: render."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FunctionLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ci_ml.errors import UsageError

_ENDING = ".j2"
# What a template can do wrong while it is rendered: beside what Jinja says itself, whatever its expressions raise.
_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_HINT = "see docs/reports.md"


@cache
def builtin() -> Mapping[str, str]:
    """Our templates by name, such as `comment.md.j2`."""
    folder = resources.files("ci_ml.render") / "templates"
    found = (entry for entry in folder.iterdir() if entry.name.endswith(_ENDING))
    return {entry.name: entry.read_text(encoding="utf-8") for entry in found}


def render(name: str, own: Mapping[str, str], values: Mapping[str, Any], *, escape: bool = False) -> str:
    """Render a template; `own` replace ours of the same name, and find those under `ci-ml/`, to extend them.

    Raises UsageError when one of `own` is broken, or has no name of ours.
    """
    if strange := sorted(own.keys() - builtin().keys()):
        names = ", ".join(sorted(builtin()))
        raise UsageError(f"the template {strange[0]} replaces none of ci-ml", f"there are: {names}")
    try:
        return _environment(tuple(own.items()), escape).get_template(name).render(**values)
    except TemplateSyntaxError as error:
        raise UsageError(f"the template {error.name or name}:{error.lineno}: {error}", _HINT) from None
    except _FAULTS as error:
        if not own:
            raise
        raise UsageError(f"the template {name}: {error}", _HINT) from None


@cache
def _environment(own: tuple[tuple[str, str], ...], escape: bool) -> ImmutableSandboxedEnvironment:
    loaders: list[BaseLoader] = [
        FunctionLoader(dict(own).get),
        FunctionLoader(builtin().get),
        # Ours by a name that nobody replaces, for a template of the same name to extend.
        PrefixLoader({"ci-ml": FunctionLoader(builtin().get)}),
    ]
    return ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        undefined=StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
