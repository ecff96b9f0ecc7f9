"""PostgreSQL: Ibis expressions compiled to SQL and run in the database, in one read-only snapshot. Layer: adapters.

Ibis' own backend brings pandas and pyarrow, 200 MB that nothing here needs: only its compiler is used, and psycopg.

Everything is asked in one transaction: it reads only, sees one state of the database however often it asks, and a
statement that takes too long is ended by the server. Only what was aggregated leaves the database.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import ibis
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.postgres import PostgresCompiler
from ibis.backends.sql.datatypes import PostgresType
from ibis.expr import datatypes

from ci_ml.adapters.tables.formats import Broken
from ci_ml.core.training import redact
from ci_ml.errors import DependencyError, UsageError

if TYPE_CHECKING:
    import psycopg

SCHEMES = ("postgres", "postgresql")
_CONNECT = 10  # seconds
_EXTRA = "pip install 'ci-ml[postgres]'; in CI, name postgres in CI_ML_EXTRAS"
_SHOWN = 300
# One host or several, each with its port: https://www.postgresql.org/docs/current/libpq-connect.html
_HOST = r"(\[[0-9A-Fa-f:.]+\]|[\w.-]*)(:[0-9]{1,5})?"
_HOSTS = re.compile(rf"{_HOST}(,{_HOST})*")
# A machine that is gone says nothing: after a minute without a sign of life it is taken for gone.
_ALIVE: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_COLUMNS = b"""
SELECT a.attname, format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, a.atttypmod), t.typtype
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


class _Compiler(PostgresCompiler):  # type: ignore[misc]  # Ibis ships no types
    """Ibis', but for casts of truth values: PostgreSQL casts them to integer, and to no other number."""

    def visit_Cast(self, op: Any, *, arg: sge.Expression, to: Any) -> sge.Expression:  # noqa: N802
        if op.arg.dtype.is_boolean() and to.is_numeric():
            arg = sge.cast(arg, sge.DataType.Type.INT)
        made: sge.Expression = super().visit_Cast(op, arg=arg, to=to)
        return made


class Postgres:
    """A connection in its transaction; `called` is the database as it may be shown."""

    def __init__(self, connection: "psycopg.Connection[Any]", called: str, hidden: tuple[str, ...]) -> None:
        self._connection, self._called, self._hidden = connection, called, hidden
        self._compiler = _Compiler()

    def table(self, name: str, schema: str | None = None) -> ibis.Table:
        """A table or a view; types that Ibis does not know become texts. Raises UsageError when there is none."""
        quoted = sge.table_(name, db=schema, quoted=True).sql(dialect="postgres")
        (exists,) = self._run("SELECT to_regclass(%s)::text IS NOT NULL", (quoted,))
        if not exists[0]:
            what = f"{schema}.{name}" if schema else name
            raise UsageError(
                f"{self._called} has no table {what}", "is it in another schema, or may the user not see it?"
            )
        described = self._run(_COLUMNS.decode(), (quoted,))
        known = {column: _type(kind, of) for column, kind, of in described}
        odd = [column for column, kind in known.items() if kind.is_unknown()]
        found = ibis.table(known, name=name, database=schema)
        return found.mutate(**{column: found[column].cast("string") for column in odd}) if odd else found

    def rows(self, table: ibis.Table) -> list[Mapping[str, Any]]:
        """The rows of a small result."""
        wanted = [(name, _reader(kind)) for name, kind in table.schema().items()]
        sql = self._compiler.to_sqlglot(table.as_table()).sql(dialect="postgres")
        return [
            {name: value if value is None else read(value) for (name, read), value in zip(wanted, row, strict=True)}
            for row in self._run(sql)
        ]

    def hold(self, table: ibis.Table, most: int | None = None) -> ibis.Table:  # noqa: ARG002  nothing is kept
        """The same table: a transaction that reads only keeps nothing, and asked again it sees the same rows."""
        return table

    def sample(self, table: ibis.Table, most: int, seed: int) -> list[Mapping[str, Any]]:
        """Some rows of a table, as many as are asked for or a few less or more."""
        (counted,) = self.rows(table.aggregate(n=table.count()))
        if counted["n"] <= most:
            return self.rows(table)
        self._run("SELECT setseed(%s)", (1 / (seed + 2),))  # TABLESAMPLE takes tables only, and not what is selected
        return self.rows(table.filter(ibis.random() < most / counted["n"]))

    def put(self, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> ibis.Table:
        """A small table of our own, which travels in each query that names it."""
        schema = ibis.schema(dict(types))
        lists = [_array(columns[name], PostgresType.from_ibis(kind)) for name, kind in schema.items()]
        names = [sge.to_identifier(name, quoted=True) for name in schema]
        alias = sge.TableAlias(this=sge.to_identifier("own"), columns=names)
        query = sge.select("*").from_(sge.Unnest(expressions=lists, alias=alias))
        return _query(query.sql(dialect="postgres"), schema)

    def _run(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        import psycopg

        try:
            # Binary results are exact, and let the server take one statement only.
            rows: list[tuple[Any, ...]] = self._connection.execute(sql.encode(), parameters, binary=True).fetchall()
        except psycopg.errors.QueryCanceled:
            hint = "ask for a shorter window, index its column, or give it more with CI_ML_QUERY_SECONDS"
            raise DependencyError(f"{self._called} took too long for a query", hint) from None
        except psycopg.errors.InsufficientPrivilege as error:
            hint = "GRANT SELECT on it to the user of the URL, who needs no more than that"
            raise DependencyError(f"{self._called} refuses: {self._words(error)}", hint) from None
        except psycopg.DataError as error:  # a value that a cast or a function cannot take
            raise Broken(self._words(error)) from None
        except psycopg.errors.ReadOnlySqlTransaction as error:
            hint = "ask for a table or a view that only reads: nothing is ever written here"
            raise DependencyError(f"{self._called} refuses: {self._words(error)}", hint) from None
        except psycopg.ProgrammingError:
            raise  # our own mistakes
        except psycopg.Error as error:
            raise DependencyError(f"{self._called} broke off: {self._words(error)}", "run it again") from None
        return rows

    def _words(self, error: Exception) -> str:
        return _words(error, self._hidden)


@contextmanager
def engine(url: str, seconds: float = 600.0) -> Iterator[Postgres]:
    """A connection to the database of a URL; a query may take so many seconds.

    Raises UsageError when its driver is not installed or the URL is none, DependencyError when it cannot be reached.
    """
    try:
        import psycopg
    except ImportError as error:
        raise UsageError(f"PostgreSQL's driver is not there: {error}", _EXTRA) from None
    called, hidden = _checked(url)
    settings = {
        "timezone": "UTC",
        "statement_timeout": f"{max(1, round(seconds * 1000))}",
        "lock_timeout": "30000",
        "idle_in_transaction_session_timeout": "0",
    }
    try:
        connection: psycopg.Connection[Any] = psycopg.connect(
            url, autocommit=True, connect_timeout=_CONNECT, application_name="ci-ml", **_ALIVE
        )
        with contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for name, value in settings.items():
                connection.execute(f"SET LOCAL {name} = '{value}'".encode())
            kept = stack.pop_all()
    except psycopg.Error as error:
        raise DependencyError(f"{called} cannot be reached: {_words(error, hidden)}") from None
    with kept:
        yield Postgres(connection, called, hidden)


def _checked(url: str) -> tuple[str, tuple[str, ...]]:
    """How a database is called where others can read it, and what no text may hold. Raises UsageError.

    Where a password is not encoded, the driver takes parts of it for the host and shows them.
    """
    hint = "write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, and a character such as @ / : ? # % as %40"
    wrong = UsageError("the URL of the database is none", hint)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise wrong from None
    user, _, hosts = parts.netloc.rpartition("@")
    password = user.partition(":")[2]
    is_encoded = not re.search(r"[@:/?#]|%(?![0-9A-Fa-f]{2})", password)
    rest = f"{parts.path}{parts.query}"
    if parts.scheme not in SCHEMES or not is_encoded or not _HOSTS.fullmatch(hosts) or "@" in rest or parts.fragment:
        raise wrong
    query = [value for item in parts.query.split("&") for name, _, value in [item.partition("=")] if "pass" in name]
    hidden = {text for secret in (password, *query) if secret for text in (secret, unquote(secret))}
    return f"postgresql://{hosts or 'localhost'}{parts.path}", tuple(sorted(hidden, key=len, reverse=True))


def _words(error: Exception, hidden: tuple[str, ...]) -> str:
    """What the driver or the server says, on one line."""
    text = " ".join(redact(str(error), hidden).split())
    return text[:_SHOWN] or type(error).__name__


def _type(kind: str, of: str) -> Any:
    """Ibis' type for one of PostgreSQL's, `of` being what sort it is: unknown for what is best read as text."""
    known = PostgresType.from_string(kind)
    return datatypes.unknown if of == "e" or known.is_geospatial() else known


def _reader(kind: Any) -> Callable[[Any], Any]:
    """What makes of a result what its expression says it is: PostgreSQL adds up integers to decimals."""
    return int if kind.is_integer() else float if kind.is_floating() else lambda value: value


def _array(values: Sequence[Any], kind: sge.DataType) -> sge.Expression:
    """A column as one text that the server reads: exact, and one thing to parse however long it is.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
    """
    text = ",".join("NULL" if value is None else _item(value) for value in values)
    return sge.cast(
        sge.Literal.string(f"{{{text}}}"), sge.DataType(this=sge.DataType.Type.ARRAY, expressions=[kind], nested=True)
    )


def _item(value: Any) -> str:
    plain = repr(value) if isinstance(value, float) else str(value)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _query(sql: str, schema: ibis.Schema) -> ibis.Table:
    """A query as a table, without a connection to ask for its schema."""
    import ibis.expr.operations as ops

    return ops.SQLQueryResult(query=sql, schema=schema, source=_NOWHERE).to_expr()


class _Nowhere:
    """Stands where Ibis keeps the connection of a table: ours runs what was compiled, so none is asked."""

    name = "postgres"
    dialect = "postgres"


_NOWHERE = _Nowhere()
