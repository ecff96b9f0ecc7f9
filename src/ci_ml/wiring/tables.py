"""Which engine aggregates tables of predictions, and where a user's own metrics come from. Layer: wiring."""

import importlib.metadata
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci_ml.errors import UsageError
from ci_ml.ports import OpenTables, Tables

if TYPE_CHECKING:
    import ibis

    from ci_ml.adapters.tables.duckdb import DuckDB
    from ci_ml.adapters.tables.ibis import Backend
    from ci_ml.metrics.columns import Custom, Source
    from ci_ml.metrics.engine import Row

GROUP = "ci_ml.metrics"


def opener(env: Mapping[str, str]) -> OpenTables:
    """What opens tables, once a gate asks for some: until then nothing of it is imported."""

    @contextmanager
    def opened(name: str, files: Sequence[Path]) -> Iterator[Tables]:
        from ci_ml.adapters.tables import duckdb, ibis

        embedded = name == "duckdb"
        with duckdb.engine(files, env.get("CI_ML_MEMORY")) if embedded else ibis.engine(name) as engine:
            yield _Tables(engine=_Telling(engine=engine))

    return opened


@dataclass(frozen=True, kw_only=True)
class _Telling:
    """The engine, which may find only later that a file is broken: then it is told by the file's name."""

    engine: "DuckDB | Backend"
    names: dict[str, str] = field(default_factory=dict)

    def rows(self, table: "ibis.Table") -> "list[Row]":
        with self.told():
            return self.engine.rows(table)

    def hold(self, table: "ibis.Table", most: int | None = None) -> "ibis.Table":
        with self.told():
            return self.engine.hold(table, most)

    def put(self, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> "ibis.Table":
        return self.engine.put(columns, types)

    @contextmanager
    def told(self, name: str = "a table") -> Iterator[None]:
        """Whatever file turns out to be broken in the block is unusable; `name` is what it is if nobody says."""
        from ci_ml.adapters.tables import formats
        from ci_ml.metrics.columns import Unusable

        try:
            yield
        except formats.Broken as error:
            text = str(error)
            for place, called in sorted(self.names.items(), key=lambda item: -len(item[0])):
                if place in text:
                    text = re.sub(rf"""(file )?["']?{re.escape(place)}["']?""", "the file", text)
                    name = called
            raise Unusable(f"{name} cannot be read: {text}") from None


@dataclass(frozen=True, kw_only=True)
class _Tables:
    engine: _Telling

    def source(self, place: Path, called: str, name: str) -> "Source":
        from ci_ml.adapters.tables import formats
        from ci_ml.metrics.columns import Source

        kind, packed = formats.of(called)
        self.engine.names[str(place)] = name
        with self.engine.told(name):
            return Source(table=self.engine.engine.read(place, kind, packed=packed), name=name, typed=kind.typed)

    def custom(self, name: str) -> "Custom":
        found = importlib.metadata.entry_points(group=GROUP, name=name)
        if not found:
            known = ", ".join(sorted(point.name for point in importlib.metadata.entry_points(group=GROUP)))
            raise UsageError(
                f"there is no metric custom({name}): no installed package has the entry point",
                f"installed are: {known}" if known else f"declare it in the group {GROUP} of a package of yours",
            )
        point = next(iter(found))
        try:
            loaded: Custom = point.load()
        except Exception as error:  # noqa: BLE001  somebody else's module
            what = f"custom({name}) cannot be loaded from {point.value}: {type(error).__name__}: {error}"
            raise UsageError(what, "mend its package") from None
        if not callable(loaded):
            raise UsageError(f"custom({name}) is {point.value}, which is no function", "mend its package")
        return loaded
