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

from ci_ml.adapters.tables import texts
from ci_ml.adapters.tables.formats import Broken, Format, memory_limit
from ci_ml.errors import DependencyError

_LINES = "format='newline_delimited', records=true, hive_partitioning=false"


class DuckDB:
    """An embedded database that is gone with the process."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, files: "_Files") -> None:
        self._connection, self._files = connection, files
        self._names = (f"t{number}" for number in itertools.count())
        self._compiler = DuckDBCompiler()

    def read(self, path: Path, kind: Format, *, packed: bool) -> ibis.Table:
        """A file as a table. Raises Broken when it is not what its name says."""
        name = next(self._names)
        # An error in the middle of a text is found here, and not by whoever asks first.
        kept = "VIEW" if kind is Format.PARQUET else "TEMP TABLE"
        source = _source(self._connection, self._files, path, kind, packed=packed)
        with _reading(self._files, path, kind, packed=packed):
            self._connection.execute(f"CREATE {kept} {name} AS SELECT * FROM {source}")  # noqa: S608  escaped
        return self._table(name)

    def rows(self, table: ibis.Table) -> list[Mapping[str, Any]]:
        """The rows of a small result."""
        names = list(table.columns)
        return [dict(zip(names, row, strict=True)) for row in self._run(self._sql(table))]

    def hold(self, table: ibis.Table, most: int | None = None) -> ibis.Table:
        """Compute a table once; the database spills it to disk when memory is short."""
        name = next(self._names)
        self._run(f"CREATE TEMP TABLE {name} AS {self._sql(table if most is None else table.limit(most))}")
        return ibis.table(table.schema(), name=name)

    def sample(self, table: ibis.Table, most: int, seed: int) -> list[Mapping[str, Any]]:
        """Some rows of a table, as many as are asked for or all; the same ones for the same file and seed."""
        names = list(table.columns)
        sql = f"SELECT * FROM ({self._sql(table)}) USING SAMPLE reservoir({most:d} ROWS) REPEATABLE ({seed:d})"  # noqa: S608
        return [dict(zip(names, row, strict=True)) for row in self._run(sql)]

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
        known = {"NULL": ibis.dtype("null"), '"NULL"': ibis.dtype("null")}
        schema = {column: known.get(kind) or DuckDBType.from_string(kind) for column, kind, *_ in described}
        return ibis.table(ibis.schema(schema), name=name)

    def _sql(self, table: ibis.Table) -> str:
        return str(self._compiler.to_sqlglot(table.as_table()).sql(dialect="duckdb"))

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.OutOfMemoryException as error:
            hint = "give it more with CI_ML_MEMORY=8GB, or make room in the folder for temporary files (TMPDIR)"
            raise DependencyError(f"DuckDB ran out of memory: {_words(error)}", hint) from None
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
            raise  # our own mistakes
        except duckdb.Error as error:
            words = self._files.named(_words(error))
            if isinstance(error, duckdb.IOException) and words == _words(error):  # not of a file that it was given
                raise DependencyError(f"DuckDB could not go on: {words}", "is the disk full?") from None
            raise Broken(words) from None  # a broken Parquet file, mostly


class _Files:
    """The files that may be read, by names of our own: what a path says (`*`, `y=7/`) means something to DuckDB."""

    def __init__(self, files: Sequence[Path], folder: Path) -> None:
        self._links = {path: folder / f"{index}.data" for index, path in enumerate(dict.fromkeys(files))}
        for path, link in self._links.items():
            link.symlink_to(path.absolute())

    def link(self, path: Path) -> str:
        """What a file is called here, as a text of SQL."""
        return _text(str(self._links[path]))

    def links(self) -> str:
        """All of them, as a list of SQL."""
        return f"[{', '.join(map(self.link, self._links))}]"

    def named(self, words: str) -> str:
        """What DuckDB says, with the files' own names."""
        for path, link in self._links.items():
            words = words.replace(str(link), str(path))
        return words


def _source(connection: duckdb.DuckDBPyConnection, files: _Files, path: Path, kind: Format, *, packed: bool) -> str:
    """The SQL that reads a file, all columns of a text as text. Raises Broken."""
    if not packed:
        texts.no_pointer(path)
    more = ", compression='gzip'" if packed else ""
    if kind is Format.PARQUET:
        return f"read_parquet({files.link(path)}, hive_partitioning=false)"
    if kind is Format.JSONL:
        options = f"{_LINES}, sample_size=-1, maximum_depth=1, map_inference_threshold=-1{more}"
        with _reading(files, path, kind, packed=packed):
            sql = f"DESCRIBE SELECT * FROM read_json({files.link(path)}, {options})"  # noqa: S608
            names = [name for name, *_ in connection.execute(sql).fetchall()]
        return f"read_json({files.link(path)}, {_LINES}, columns={_columns(names)}{more})"
    names = texts.distinct(texts.header(path, kind, packed=packed))
    how = f"auto_detect=false, header=true, delim='{texts.DELIMITERS[kind]}', quote='\"', escape='\"', strict_mode=true"
    return f"read_csv({files.link(path)}, {how}, hive_partitioning=false, columns={_columns(names)}{more})"


def _columns(names: Sequence[str]) -> str:
    listed = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in names)
    return f"{{{listed}}}"


@contextmanager
def _reading(files: _Files, path: Path, kind: Format, *, packed: bool) -> Iterator[None]:
    """Raises Broken, with what is wrong, when the file that is read in the block is not what its name says."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise DependencyError(
            f"DuckDB ran out of memory: {_words(error)}", "give it more with CI_ML_MEMORY=8GB"
        ) from None
    except duckdb.Error as error:
        words = texts.bad_line(path, packed=packed) if kind is Format.JSONL else texts.csv_words(str(error))
        raise Broken(words or files.named(_words(error))) from None


def as_parquet(path: Path, kind: Format, target: Path, *, packed: bool) -> None:
    """Write a text's table as Parquet, for engines that would read the text in a way of their own. Raises Broken."""
    with _connected([path], None, writes=target) as (connection, files):
        source = _source(connection, files, path, kind, packed=packed)
        with _reading(files, path, kind, packed=packed):
            connection.execute(f"COPY (SELECT * FROM {source}) TO {_text(str(target))} (FORMAT parquet)")  # noqa: S608


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
    with _connected(files, memory) as (connection, known):
        yield DuckDB(connection, known)


@contextmanager
def _connected(
    files: Sequence[Path], memory: str | None, writes: Path | None = None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, _Files]]:
    with (
        tempfile.TemporaryDirectory(prefix="ci-ml-tables-") as folder,
        tempfile.TemporaryDirectory(prefix="ci-ml-links-") as links,
        contextlib.closing(duckdb.connect()) as found,
    ):
        known = _Files(files, Path(links))
        allowed = known.links() if writes is None else f"list_append({known.links()}, {_text(str(writes))})"
        settings = {
            "memory_limit": _text(memory_limit(memory)),
            "temp_directory": _text(folder),
            "threads": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",  # a name is never a variable of this program
            "allowed_paths": allowed,
            "enable_external_access": "false",
            # What a Parquet file says of its values need not be so, and says nothing of NaN: `isnan` was false then.
            "disabled_optimizers": _text("statistics_propagation"),
            "lock_configuration": "true",
        }
        for name, value in settings.items():
            found.execute(f"SET {name} = {value}")
        yield found, known
