"""What families need of whatever runs their expressions. Layer: metrics."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import ibis

Row = Mapping[str, Any]


class Engine(Protocol):
    """Runs Ibis expressions: DuckDB in this process, or a backend of Ibis."""

    def rows(self, table: ibis.Table) -> list[Row]:
        """The rows of a small result, by column name."""
        ...

    def hold(self, table: ibis.Table, most: int | None = None) -> ibis.Table:
        """Compute a table once and keep it, on disk where memory does not suffice.

        `most` is a number of rows after which nobody cares for more: an engine may stop there.
        """
        ...

    def put(self, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> ibis.Table:
        """A small table of our own numbers, to join with."""
        ...

    def sample(self, table: ibis.Table, most: int, seed: int) -> list[Row]:
        """Some rows of a table, each as likely as any other: `most`, or somewhat fewer or more, or all of fewer."""
        ...
