"""Which engine aggregates tables of predictions, and where a user's own metrics come from. Layer: wiring."""

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci_ml.errors import UsageError
from ci_ml.ports import OpenTables, Tables

if TYPE_CHECKING:
    from ci_ml.adapters.tables.duckdb import DuckDB
    from ci_ml.metrics.columns import Custom, Source

GROUP = "ci_ml.metrics"


def opener(env: Mapping[str, str]) -> OpenTables:
    """What opens tables, once a gate asks for some: until then nothing of it is imported."""

    @contextmanager
    def opened(name: str, files: Sequence[Path]) -> Iterator[Tables]:
        from ci_ml.adapters.tables import duckdb

        if name != "duckdb":
            raise UsageError(f"the engine {name} is not there yet")
        with duckdb.engine(files, env.get("CI_ML_MEMORY")) as engine:
            yield _Tables(engine=engine)

    return opened


@dataclass(frozen=True, kw_only=True)
class _Tables:
    engine: "DuckDB"

    def source(self, place: Path, called: str, name: str) -> "Source":
        from ci_ml.adapters.tables import formats
        from ci_ml.metrics.columns import Source, Unusable

        kind, packed = formats.of(called)
        try:
            return Source(table=self.engine.read(place, kind, packed=packed), name=name, typed=kind.typed)
        except formats.Broken as error:
            raise Unusable(f"{name} cannot be read: {error}") from None

    def custom(self, name: str) -> "Custom":
        found = importlib.metadata.entry_points(group=GROUP, name=name)
        if not found:
            known = ", ".join(sorted(point.name for point in importlib.metadata.entry_points(group=GROUP)))
            raise UsageError(
                f"there is no metric custom({name}): no installed package has the entry point",
                f"installed are: {known}" if known else f"declare it in the group {GROUP} of a package of yours",
            )
        loaded: Custom = next(iter(found)).load()
        return loaded
