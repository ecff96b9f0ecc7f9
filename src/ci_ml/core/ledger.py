"""What a ledger holds: lines that are only ever added to. Layer: core."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Page:
    """A ledger as it was read: its newest commit (None for an empty one), and its lines."""

    tip: str | None = None
    lines: bytes = b""
