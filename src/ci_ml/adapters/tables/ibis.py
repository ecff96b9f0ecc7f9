"""Any other engine that Ibis connects to: Spark, a warehouse. Layer: adapters.

The expressions are those that DuckDB runs. Files are brought in as Parquet: texts are read by DuckDB first, so that a
CSV file says the same to every engine.
"""

import itertools
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import ibis

from ci_ml.adapters.tables import duckdb
from ci_ml.adapters.tables.formats import Format
from ci_ml.errors import CiMlError, DependencyError, UsageError

# What to install for a scheme; the others are named like their extra of Ibis.
_EXTRAS = {"pyspark": "pip install 'ci-ml[spark]'"}
_TOLD = 300


class Backend:
    """A connection, and the tables that were made on it."""

    def __init__(self, connection: Any, folder: Path, called: str) -> None:
        self._connection, self._folder, self._called = connection, folder, called
        self._names = (f"ci_ml_{number}" for number in itertools.count())
        self._held: list[Any] = []  # a table that is kept is gone once nobody holds it

    def read(self, path: Path, kind: Format, *, packed: bool) -> ibis.Table:
        """A file as a table. Raises Broken when a text is not what its name says."""
        name = next(self._names)
        place = path
        if kind is not Format.PARQUET:
            place = self._folder / f"{name}.parquet"
            duckdb.as_parquet(path, kind, place, packed=packed)
        with self._asking():
            return self._connection.read_parquet(str(place), table_name=name)

    def table(self, name: str, schema: str | None = None) -> ibis.Table:
        """A table that is there. Raises DependencyError when it is not, or may not be seen."""
        with self._asking():
            return self._connection.table(name, database=schema)

    def rows(self, table: ibis.Table) -> list[Mapping[str, Any]]:
        """The rows of a small result."""
        with self._asking():
            found: list[Mapping[str, Any]] = self._connection.to_pyarrow(table.as_table()).to_pylist()
            return found

    def hold(self, table: ibis.Table, most: int | None = None) -> ibis.Table:  # noqa: ARG002  it cannot stop early
        """Compute a table once and keep it where the engine keeps such tables."""
        with self._asking():
            held = table.as_table().cache()
        self._held.append(held)
        return held

    def sample(self, table: ibis.Table, most: int, seed: int) -> list[Mapping[str, Any]]:
        """Some rows of a table, as many as are asked for or a few less or more.

        They are others each time where a backend, such as Spark, takes no seed.
        """
        (counted,) = self.rows(table.aggregate(n=table.count()))
        if counted["n"] <= most:
            return self.rows(table)
        share = most / counted["n"]
        sampled = table.sample(share, method="row", seed=seed)
        try:
            self._connection.compile(sampled)
        except ibis.common.exceptions.UnsupportedOperationError:
            sampled = table.sample(share, method="row")
        return self.rows(sampled)

    def put(self, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> ibis.Table:
        """A small table of our own: written as Parquet, for a backend does not see Ibis' own tables everywhere."""
        import pyarrow as pa
        from pyarrow import parquet

        name = next(self._names)
        schema = ibis.schema(dict(types))
        place = self._folder / f"{name}.parquet"
        table = pa.table({column: list(columns[column]) for column in schema}, schema=schema.to_pyarrow())
        parquet.write_table(table, place)
        with self._asking():
            return self._connection.read_parquet(str(place), table_name=name)

    def close(self) -> None:
        """Let go of what was kept, and of the connection."""
        for held in self._held:
            held.release()
        self._held.clear()
        self._connection.disconnect()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except CiMlError:
            raise
        except Exception as error:  # noqa: BLE001  every backend raises its own kinds
            raise DependencyError(f"the engine {self._called} failed: {_words(error)}") from None


@contextmanager
def engine(url: str) -> Iterator[Backend]:
    """A connection to the backend of a URL.

    Raises UsageError when its driver is not installed, DependencyError when it cannot be reached.
    """
    scheme = url.partition("://")[0]
    called = _without_secrets(url)
    try:
        connection = ibis.connect(url)
    except (ImportError, AttributeError, ValueError) as error:
        hint = _EXTRAS.get(scheme, f"pip install 'ibis-framework[{scheme}]'")
        raise UsageError(f"the engine {called} is not there: {_words(error, url)}", hint) from None
    except Exception as error:  # noqa: BLE001
        raise DependencyError(f"the engine {called} cannot be reached: {_words(error, url)}") from None
    with tempfile.TemporaryDirectory(prefix="ci-ml-tables-") as folder:
        found = Backend(connection, Path(folder), called)
        try:
            yield found
        finally:
            found.close()


def _without_secrets(url: str) -> str:
    """A URL as it may be shown: without its user, its password and its options."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _words(error: Exception, url: str = "") -> str:
    """The first line of what a backend says, in which no part of the URL's secrets is."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    parts = urlsplit(url)
    line = line.replace(url, _without_secrets(url)) if url else line
    for secret in filter(None, (parts.password, unquote(parts.password or ""), parts.query)):
        line = line.replace(secret, "***")
    return re.sub(r"\s+", " ", line)[:_TOLD]
