"""What to expect of a table, as lines of ci-ml.yaml with comments that say what was seen. Layer: render."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ci_ml.core.observed import Proposed
from ci_ml.render import safe

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset("true false null yes no on off y n".split())  # some of them are texts in YAML 1.2, and not in 1.1


def block(
    name: str, path: str, n: int, rows: Mapping[str, int], columns: Sequence[Proposed], indent: str = "  "
) -> str:
    """One table under `data`, its lines indented by what its neighbours are."""
    lines = [f"{name}:", f"  path: {scalar(path)}  # {n:,} row{'' if n == 1 else 's'}"]
    if rows:
        lines.append(f"  rows: {{{', '.join(f'{key}: {value}' for key, value in rows.items())}}}")
    lines.append("  columns:")
    for one in columns:
        keys = ", ".join(f"{key}: {_value(value)}" for key, value in one.keys.items())
        seen = f"  # {safe.printable(one.seen)}" if one.seen else ""
        lines.append(f"    {scalar(one.name)}: {{{keys}}}{seen}")
    return "".join(f"{indent}{line}\n" for line in lines)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return value if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit() else scalar(value)


def scalar(value: Any) -> str:
    """A value as YAML; a text in quotes unless it is a word."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    is_path = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]*\.[A-Za-z]+", text)
    return text if is_path else json.dumps(text, ensure_ascii=not text.isprintable())
