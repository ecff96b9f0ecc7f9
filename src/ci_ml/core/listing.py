"""Some of many names, in a sentence that says how many it leaves out. Layer: core."""

from collections.abc import Iterable


def some(names: Iterable[str], most: int = 3, *, between: str = ", ") -> str:
    """`a, b, c and 4 more`."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return between.join(listed[:most]) + more
