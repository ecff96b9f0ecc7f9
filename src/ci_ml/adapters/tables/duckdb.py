"""The engine inside this process: Ibis expressions compiled to SQL, run by DuckDB. Layer: adapters.

Ibis' own DuckDB backend brings pandas and pyarrow, 200 MB that nothing here needs: only its compiler is used.
Tables are data of strangers: DuckDB may read the files that it is given and nothing else, loads no extensions, and
keeps what does not fit into memory in a temporary folder.
"""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler
from ibis.backends.sql.datatypes import DuckDBType

from ci_ml.adapters.tables.formats import Broken, Format, memory_limit
from ci_ml.errors import DependencyError

# Texts are read as texts, and become numbers later, where one that is none can be told with its row.
_TEXT = "read_csv({{path}}, header=true, delim='{delimiter}', quote='\"', escape='\"', all_varchar=true{{more}})"
_READERS = {
    Format.PARQUET: "read_parquet({path})",
    Format.CSV: _TEXT.format(delimiter=","),
    Format.TSV: _TEXT.format(delimiter="\t"),
    Format.JSONL: "read_json({path}, format='newline_delimited', sample_size=-1, maximum_depth=1{more})",
}


class DuckDB:
    """An embedded database that is gone with the process."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._names = (f"t{number}" for number in itertools.count())
        self._compiler = DuckDBCompiler()

    def read(self, path: Path, kind: Format, *, packed: bool) -> ibis.Table:
        """A file as a table. Raises Broken when it is not what its name says."""
        name = next(self._names)
        # An error in the middle of a text is found here, and not by whoever asks first.
        kept = "VIEW" if kind is Format.PARQUET else "TEMP TABLE"
        source = _reader(path, kind, packed=packed)
        _read(self._connection, f"CREATE {kept} {name} AS SELECT * FROM {source}")  # noqa: S608  escaped
        return self._table(name)

    def rows(self, table: ibis.Table) -> list[Mapping[str, Any]]:
        """The rows of a small result."""
        answer = self._run(self._sql(table))
        names = list(table.columns)
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def hold(self, table: ibis.Table, most: int | None = None) -> ibis.Table:
        """Compute a table once; the database spills it to disk when memory is short."""
        name = next(self._names)
        self._run(f"CREATE TEMP TABLE {name} AS {self._sql(table if most is None else table.limit(most))}")
        return ibis.table(table.schema(), name=name)

    def put(self, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> ibis.Table:
        """A small table of our own."""
        name = next(self._names)
        schema = ibis.schema(dict(types))
        listed = ", ".join(f"{_quoted(column)} {DuckDBType.to_string(kind)}" for column, kind in schema.items())
        self._run(f"CREATE TEMP TABLE {name} ({listed})")
        parameters = ", ".join(f"unnest(?::{DuckDBType.to_string(kind)}[])" for kind in schema.values())
        self._connection.execute(
            f"INSERT INTO {name} SELECT {parameters}",
            [list(columns[column]) for column in schema],
        )
        return ibis.table(schema, name=name)

    def _table(self, name: str) -> ibis.Table:
        described = self._connection.execute(f"DESCRIBE {name}").fetchall()
        schema = {column: DuckDBType.from_string(kind) for column, kind, *_ in described}
        return ibis.table(ibis.schema(schema), name=name)

    def _sql(self, table: ibis.Table) -> str:
        return str(self._compiler.to_sqlglot(table.as_table()).sql(dialect="duckdb"))

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql)
        except duckdb.OutOfMemoryException as error:
            hint = "give it more with CI_ML_MEMORY=8GB, or make room in the folder for temporary files (TMPDIR)"
            raise DependencyError(f"DuckDB ran out of memory: {_words(error)}", hint) from None
        except duckdb.IOException as error:
            raise DependencyError(f"DuckDB could not go on: {_words(error)}", "is the disk full?") from None
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:  # a broken Parquet file, mostly
            raise Broken(_words(error)) from None


def _reader(path: Path, kind: Format, *, packed: bool) -> str:
    return _READERS[kind].format(path=_text(str(path)), more=", compression='gzip'" if packed else "")


def _read(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Run what reads a file. Raises Broken when that is not what its name says."""
    try:
        connection.execute(sql)
    except duckdb.Error as error:
        raise Broken(_words(error)) from None


def as_parquet(path: Path, kind: Format, target: Path, *, packed: bool) -> None:
    """Write a text's table as Parquet, for engines that would read the text in a way of their own. Raises Broken."""
    with _connected([path, target], None) as connection:
        source = _reader(path, kind, packed=packed)
        _read(connection, f"COPY (SELECT * FROM {source}) TO {_text(str(target))} (FORMAT parquet)")  # noqa: S608


def _text(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _words(error: duckdb.Error) -> str:
    """The first line of what DuckDB says, without the name of its kind."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.partition(": ")[2] or line


@contextmanager
def engine(files: Sequence[Path], memory: str | None = None) -> Iterator[DuckDB]:
    """A database that may read these files and no others."""
    with _connected(files, memory) as connection:
        yield DuckDB(connection)


@contextmanager
def _connected(files: Sequence[Path], memory: str | None) -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory(prefix="ci-ml-tables-") as folder, contextlib.closing(duckdb.connect()) as found:
        settings = {
            "memory_limit": _text(memory_limit(memory)),
            "temp_directory": _text(folder),
            "threads": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allowed_paths": f"[{', '.join(_text(str(path)) for path in files)}]",
            "enable_external_access": "false",
            "lock_configuration": "true",
        }
        for name, value in settings.items():
            found.execute(f"SET {name} = {value}")
        yield found
