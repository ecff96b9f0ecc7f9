"""Which engine aggregates tables, in files or a database, and where a user's own metrics come from. Layer: wiring."""

import importlib.metadata
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ci_ml.errors import UsageError
from ci_ml.ports import OpenTables, OpenWarehouse, Tables, Warehouse

if TYPE_CHECKING:
    import ibis

    from ci_ml.adapters.tables.duckdb import DuckDB
    from ci_ml.adapters.tables.ibis import Backend
    from ci_ml.adapters.tables.postgres import Postgres
    from ci_ml.core.sources import SourceConfig
    from ci_ml.metrics.columns import Custom, Source
    from ci_ml.metrics.engine import Row

GROUP = "ci_ml.metrics"
SECONDS = "CI_ML_QUERY_SECONDS"  # after which a database ends a query


def opener(env: Mapping[str, str]) -> OpenTables:
    """What opens tables, once a gate asks for some: until then nothing of it is imported."""

    @contextmanager
    def opened(name: str, files: Sequence[Path]) -> Iterator[Tables]:
        from ci_ml.adapters.tables import duckdb, ibis

        embedded = name == "duckdb"
        with duckdb.engine(files, env.get("CI_ML_MEMORY")) if embedded else ibis.engine(name) as engine:
            yield _Tables(engine=_Telling(engine=engine), reader=engine)

    return opened


def warehouses(env: Mapping[str, str]) -> OpenWarehouse:
    """What opens databases. Raises UsageError for a variable that is not set, or a URL that is none."""

    @contextmanager
    def opened(about: "SourceConfig") -> Iterator[Warehouse]:
        url = about.address(env)
        if not _is_url(url):
            hint = "postgresql://USER:PASSWORD@HOST:5432/DATABASE, with a character such as @ / : ? # % as %40"
            raise UsageError(f"{about.variable}, which has the address of {about.table}, is no URL", hint)
        if url.partition("://")[0] in ("postgres", "postgresql"):
            from ci_ml.adapters.tables import postgres

            with postgres.engine(url, _seconds(env)) as database:
                yield _Warehouse(engine=_Telling(engine=database), database=database, url=about.url)
        else:
            from ci_ml.adapters.tables import ibis

            with ibis.engine(url) as backend:
                yield _Warehouse(engine=_Telling(engine=backend), database=backend, url=about.url)

    return opened


def _is_url(text: str) -> bool:
    """Whether it can be read as one at all; what it says is for its engine."""
    try:
        parts = urlsplit(text)
        return bool(parts.scheme) and "://" in text and parts.port != 0
    except ValueError:
        return False


def _seconds(env: Mapping[str, str]) -> float:
    given = env.get(SECONDS, "")
    if given and not re.fullmatch(r"[0-9]{1,6}", given):
        raise UsageError(f"{SECONDS} is {given!r}, which is no number of seconds")
    return float(given or 600)


@dataclass(frozen=True, kw_only=True)
class _Telling:
    """The engine, which may find only later that a file is broken: then it is told by the file's name."""

    engine: "DuckDB | Backend | Postgres"
    names: dict[str, str] = field(default_factory=dict)

    def rows(self, table: "ibis.Table") -> "list[Row]":
        with self.told():
            return self.engine.rows(table)

    def hold(self, table: "ibis.Table", most: int | None = None) -> "ibis.Table":
        with self.told():
            return self.engine.hold(table, most)

    def sample(self, table: "ibis.Table", most: int, seed: int) -> "list[Row]":
        with self.told():
            return self.engine.sample(table, most, seed)

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
    reader: "DuckDB | Backend"

    def source(self, place: Path, called: str, name: str) -> "Source":
        from ci_ml.adapters.tables import formats
        from ci_ml.metrics.columns import Source

        kind, packed = formats.of(called)
        self.engine.names[str(place)] = name
        with self.engine.told(name):
            return Source(table=self.reader.read(place, kind, packed=packed), name=name, typed=kind.typed)

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


@dataclass(frozen=True, kw_only=True)
class _Warehouse:
    engine: _Telling
    database: "Backend | Postgres"
    url: str

    def table(self, about: "SourceConfig") -> "Source":
        from ci_ml.metrics.columns import Source

        if about.url != self.url:
            raise UsageError(f"{about.table} is at {about.url}, and this connection at {self.url}")
        schema, name = about.place
        return Source(table=self.database.table(name, schema), name=about.table, typed=True)
