"""Vega-Lite specifications of strangers, made harmless: nothing in them leads out of them. Layer: core.

A specification can fetch files, link, show pictures from elsewhere, make form elements and tell the page how to embed
it. None of that is left. What is left out is said by name, wherever it stands, also in rows of data: it is not asked
which of it a renderer would follow. A renderer of the result should still refuse to load anything, and interpret
expressions, which are kept.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
MOST_BYTES = 1_000_000
MOST_DEPTH = 60

_VEGA_LITE = re.compile(r"https?://vega\.github\.io/schema/vega-lite/v[0-9.]+(-[a-z0-9.]+)?(\.json)?", re.IGNORECASE)
# What addresses are given by, what tells a page how to embed a plot or where, pictures of pointers and in tooltips, and
# what makes as many rows as it likes out of nothing.
_OUTSIDE = frozenset("url href src usermeta embedoptions element cursor image loader baseurl sequence".split())
# The same in a text, which may be a style or an expression.
_CALLS = re.compile(r"url\s*\(|@import|\bsequence\s*\(", re.IGNORECASE)


class Unfit(ValueError):
    """This is no Vega-Lite specification that can be shown; the text says why."""


def clean(spec: object, show: Callable[[str], str] = str) -> dict[str, Any]:
    """A specification without anything that leads out of it; numbers that are none are null, texts what `show` makes.

    Raises Unfit.
    """
    if not isinstance(spec, Mapping):
        raise Unfit("it is not a JSON object")
    if not spec:
        raise Unfit("it is empty")
    schema = spec.get("$schema", SCHEMA)
    if not isinstance(schema, str) or not _VEGA_LITE.fullmatch(schema):
        raise Unfit("it is not Vega-Lite")
    found = _object(spec, 0, show)
    return {"$schema": schema, **{key: value for key, value in found.items() if key != "$schema"}}


def size(spec: dict[str, Any]) -> int:
    """How many bytes of JSON a specification is. Raises Unfit where that is too many."""
    found = len(json.dumps(spec).encode())
    if found > MOST_BYTES:
        raise Unfit(f"it is larger than {MOST_BYTES / 1e6:g} MB")
    return found


def _object(found: Mapping[Any, Any], depth: int, show: Callable[[str], str]) -> dict[str, Any]:
    kept = ((str(key), value) for key, value in found.items() if _is_inside(str(key), value))
    return {show(key): _value(value, depth + 1, show) for key, value in kept}


def _value(value: object, depth: int, show: Callable[[str], str]) -> Any:
    if depth > MOST_DEPTH:
        raise Unfit(f"it is nested more than {MOST_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return _object(value, depth, show)
    if isinstance(value, list | tuple):
        return [_value(item, depth + 1, show) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return "" if _CALLS.search(value) else show(value)
    return value if isinstance(value, bool | int | float) else None


def _is_inside(key: str, value: object) -> bool:
    """Whether a key stays."""
    name = key.strip().lower()
    is_image = value == "image" or (isinstance(value, Mapping) and value.get("type") == "image")
    if name in _OUTSIDE or (name in ("mark", "type") and is_image):
        return False
    # By name it ties a parameter to scales or a legend; as an object it makes form elements.
    return name != "bind" or isinstance(value, str)


def named(spec: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The specification with its sides called otherwise: in `rev` of rows, and where a scale lists them."""

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: _side(item, names) if key in ("rev", "domain") else renamed(item) for key, item in value.items()}

    found: dict[str, Any] = renamed(spec)
    return found


def _side(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_side(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
