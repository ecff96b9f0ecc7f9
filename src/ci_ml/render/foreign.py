"""Vega-Lite specifications from strangers, made harmless before they are drawn. Layer: render.

A specification can fetch files, link, show pictures from elsewhere and tell the page how to embed it. None of that is
left: what is drawn is data and marks. Whatever may still be evaluated is, by an interpreter without access to the page.
"""

import json
from typing import Any

from ci_ml.render import safe

MAX_BYTES = 1_000_000
_DEEPEST = 40
# `usermeta` configures the embedding page, and a `sequence` makes as many rows as it likes out of nothing.
_DROPPED = frozenset({"url", "href", "usermeta", "loader", "element", "src", "background", "sequence", "$schema"})


class NotDrawn(ValueError):
    """Why a specification is not drawn."""


def clean(spec: Any) -> dict[str, Any]:
    """The specification without anything that leads out of it. Raises NotDrawn when nothing can be drawn of it."""
    if not isinstance(spec, dict) or not spec:
        raise NotDrawn("it is no specification")
    schema = spec.get("$schema", "vega-lite")
    if not isinstance(schema, str) or "vega-lite" not in schema:
        raise NotDrawn("only Vega-Lite is drawn")
    try:
        size = len(json.dumps(spec))
    except RecursionError:
        raise NotDrawn("it is nested too deeply") from None
    if size > MAX_BYTES:
        raise NotDrawn(f"it is {size / 1e6:,.1f} MB large; up to {MAX_BYTES / 1e6:g} MB are drawn")
    found = _clean(spec, 0)
    assert isinstance(found, dict)
    return found


def _clean(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise NotDrawn("it is nested too deeply")
    if isinstance(value, dict):
        return {
            _text(str(key)): _rows(item, depth + 1) if key == "values" else _clean(item, depth + 1)
            for key, item in value.items()
            if not _leads_out(key, item)
        }
    if isinstance(value, list | tuple):
        return [_clean(item, depth + 1) for item in value]
    return _text(value) if isinstance(value, str) else value


def _rows(value: Any, depth: int) -> Any:
    """Data, whose columns may be called anything: nothing in it is an instruction."""
    if not isinstance(value, list):
        return _clean(value, depth)
    return [
        {_text(str(key)): _clean(item, depth + 1) for key, item in row.items()}
        if isinstance(row, dict)
        else _clean(row, depth + 1)
        for row in value
    ]


def _leads_out(key: str, value: Any) -> bool:
    if key in _DROPPED:
        return True
    is_image = value == "image" or (isinstance(value, dict) and value.get("type") == "image")
    # `bind` by name ties a parameter to scales or a legend; as an object it makes form elements.
    return (key in ("mark", "type") and is_image) or (key == "bind" and not isinstance(value, str))


def _text(text: str) -> str:
    """Text without characters that reorder or hide; line breaks and tabs are blanks in an expression."""
    if text.isprintable():
        return text
    return "".join(letter if letter in "\n\t" else safe.printable(letter) for letter in text)
