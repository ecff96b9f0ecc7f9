"""Vega-Lite specifications of strangers, made harmless: nothing in them is fetched from anywhere. Layer: core.

What is left out is said by name, wherever it stands, also in rows of data: it is not asked which of it a renderer
would follow. A renderer of the result should still refuse to load anything, as expressions are kept.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
MOST_DEPTH = 60

_VEGA_LITE = re.compile(r"https?://vega\.github\.io/schema/vega-lite/v[0-9.]+(-[a-z0-9.]+)?(\.json)?", re.IGNORECASE)
# What addresses are given by, what tells a page how to embed a plot or where, and pictures of pointers.
_OUTSIDE = frozenset("url href src usermeta embedoptions element cursor image loader baseurl".split())
# A picture that is there itself; of these types none holds a program.
_INLINE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
_CSS = re.compile(r"url\s*\(|@import", re.IGNORECASE)


class Unfit(ValueError):
    """This is no Vega-Lite specification that can be shown; the text says why."""


def clean(spec: object) -> dict[str, Any]:
    """A specification without anything that loads from outside; numbers that are none are null. Raises Unfit."""
    if not isinstance(spec, Mapping):
        raise Unfit("it is not a JSON object")
    schema = spec.get("$schema", SCHEMA)
    if not isinstance(schema, str) or not _VEGA_LITE.fullmatch(schema):
        raise Unfit("it is not Vega-Lite")
    found = _object(spec, 0)
    return {"$schema": schema, **{key: value for key, value in found.items() if key != "$schema"}}


def _object(found: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {str(key): _value(value, depth + 1) for key, value in found.items() if _kept(str(key), value)}


def _value(value: object, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise Unfit(f"it is nested more than {MOST_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, list | tuple):
        return [_value(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return "" if _CSS.search(value) else value
    return value if isinstance(value, bool | int | float) else None


def _kept(key: str, value: object) -> bool:
    """Whether a key stays: none of an address, but for a picture that is there itself."""
    if key.strip().lower() not in _OUTSIDE:
        return True
    return isinstance(value, str) and _INLINE.fullmatch(value) is not None


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
