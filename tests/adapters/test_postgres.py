"""A real PostgreSQL server: only what was asked for is read, in one snapshot, and no error shows a password."""

import datetime as dt
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ci_ml.adapters.tables import duckdb, postgres
from ci_ml.adapters.tables.formats import Broken, Format
from ci_ml.core.sources import SourceConfig, WindowConfig
from ci_ml.errors import DependencyError, UsageError
from ci_ml.metrics import windows
from ci_ml.metrics.columns import Source, Unusable
from ci_ml.wiring import tables
from tests.postgres import PASSWORD, USER, served
from tests.postgres import Postgres as Server

ROWS = 5_000
PREDICTIONS = f"""
CREATE TABLE predictions AS
SELECT i AS id, i / 10.0::float8 AS score, (i % 3)::text AS plan, i % 2 = 0 AS churned, i::numeric(10, 2) AS cost,
  timestamptz '2026-11-21 00:00:00+00' - i * interval '1 hour' AS created_at
FROM generate_series(1, {ROWS}) AS i
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as made:
        made.run("CREATE EXTENSION pg_stat_statements")
        yield made


@pytest.fixture(scope="module")
def filled(server: Server) -> str:
    """The address of a database with a table of predictions."""
    name = server.database()
    server.run(PREDICTIONS, database=name)
    return server.url(name)


@pytest.fixture
def empty(server: Server) -> str:
    return server.database()


def lines(error: pytest.ExceptionInfo[Any]) -> str:
    """All that anybody gets to read of an error, causes and all."""
    shown, found = "", error.value
    while found is not None:
        shown += f"{found}{getattr(found, 'hint', '')}"
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return shown


def unsecret(text: str) -> bool:
    pieces = [piece for piece in PASSWORD.replace("@", "/").replace("%", "/").split("/") if len(piece) > 2]
    return not any(piece in text for piece in (PASSWORD, "p%40ss%2Fw%3Ard%25of%23ada", *pieces))


# --- Reading -----------------------------------------------------------------------------------------------------------


def test_numbers_are_what_their_expressions_say(filled: str) -> None:
    with postgres.engine(filled) as engine:
        table = engine.table("predictions")
        found = engine.rows(
            table.aggregate(
                n=table.count(), ids=table.id.sum(), score=table.score.mean(), yes=table.churned.cast("int64").sum()
            )
        )
    total = ROWS * (ROWS + 1) // 2
    assert found == [{"n": ROWS, "ids": total, "score": pytest.approx(total / ROWS / 10), "yes": ROWS // 2}]
    assert [type(value) for value in found[0].values()] == [int, int, float, int]


def test_only_results_leave_the_database(server: Server, filled: str) -> None:
    server.run("SELECT pg_stat_statements_reset()")
    with postgres.engine(filled) as engine:
        table = engine.table("predictions")
        engine.rows(table.group_by("plan").aggregate(n=table.count(), mean=table.score.mean()))
        held = engine.hold(table.filter(table.churned))
        engine.rows(held.aggregate(n=held.count()))
        engine.rows(table.aggregate(n=table.count()))  # the last of a transaction is not counted
    most = server.run("SELECT max(rows), count(*) FROM pg_stat_statements WHERE query LIKE '%predictions%'")
    assert most[0][0] <= 6  # as many as the table has columns
    assert most[0][1] >= 2


def test_names_and_types_of_every_kind(server: Server, empty: str) -> None:
    server.run(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE DOMAIN share AS float8",
        'CREATE SCHEMA "Data Team"',
        'CREATE TABLE "Data Team"."Pre""dict" ("Mixed Case" int, m mood, d share, p point, j jsonb, u uuid, dropped int)',
        'ALTER TABLE "Data Team"."Pre""dict" DROP COLUMN dropped',
        """INSERT INTO "Data Team"."Pre""dict" VALUES (1, 'ok', 0.5, '(1,2)', '{"a": 1}', gen_random_uuid())""",
        database=empty,
    )
    with postgres.engine(server.url(empty)) as engine:
        table = engine.table('Pre"dict', "Data Team")
        assert list(table.columns) == ["Mixed Case", "m", "d", "p", "j", "u"]
        [row] = engine.rows(table.select("Mixed Case", "m", "d", "p"))
        assert row == {"Mixed Case": 1, "m": "ok", "d": 0.5, "p": "(1,2)"}
        happy = table.filter(table.m == "ok")
        assert engine.rows(happy.aggregate(n=happy.count())) == [{"n": 1}]


def test_our_own_small_tables_travel_exactly(filled: str) -> None:
    numbers = [0.1, 5e-324, math.inf, -math.inf, None, 1e308]
    words = ["x'); DROP TABLE predictions; --", "\\", "é\n", "%s {}", None, ""]
    with postgres.engine(filled) as engine:
        made = engine.put(
            {"a": numbers, "b": words, "c": [True, False, None] * 2}, {"a": "float64", "b": "string", "c": "boolean"}
        )
        assert engine.rows(made) == [
            {"a": a, "b": b, "c": c} for a, b, c in zip(numbers, words, [True, False, None] * 2, strict=True)
        ]
        odd = ['a"b', "{1,2}", "NULL", "a,b", " x ", "'", "\\'"]
        assert [row["a"] for row in engine.rows(engine.put({"a": odd}, {"a": "string"}))] == odd
        many = engine.put({"a": range(50_000), "b": [0.1] * 50_000}, {"a": "int64", "b": "float64"})
        assert engine.rows(many.aggregate(n=many.a.sum())) == [{"n": 50_000 * 49_999 // 2}]
        nan = engine.put({"a": [math.nan]}, {"a": "float64"})
        assert engine.rows(nan.aggregate(n=nan.a.isnan().cast("int64").sum())) == [{"n": 1}]
        assert engine.rows(engine.put({"a": []}, {"a": "int64"})) == []
        table, few = (
            engine.table("predictions"),
            engine.put({"plan": ["1"], "w": [2]}, {"plan": "string", "w": "int64"}),
        )
        joined = table.join(few, "plan")
        assert engine.rows(joined.aggregate(n=joined.count(), w=joined.w.sum())) == [{"n": 1667, "w": 3334}]


def test_all_that_is_asked_is_asked_of_one_state(server: Server, empty: str) -> None:
    server.run("CREATE TABLE t AS SELECT 1 AS a", database=empty)
    with postgres.engine(server.url(empty)) as engine:
        table = engine.table("t")
        before = engine.rows(table.aggregate(n=table.count()))
        server.run("INSERT INTO t VALUES (2)", database=empty)
        assert engine.rows(table.aggregate(n=table.count())) == before
    with postgres.engine(server.url(empty)) as engine:
        assert engine.rows(engine.table("t").aggregate(n=table.count())) == [{"n": 2}]


# --- What it may not do ------------------------------------------------------------------------------------------------


def test_nothing_is_written(server: Server, empty: str) -> None:
    server.run(
        "CREATE TABLE kept (a int)",
        "CREATE FUNCTION sly() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO kept VALUES (1) RETURNING a'",
        "CREATE VIEW innocent AS SELECT sly() AS a",
        database=empty,
    )
    with postgres.engine(server.url(empty)) as engine:
        table = engine.table("innocent")
        with pytest.raises(DependencyError, match="read-only") as found:
            engine.rows(table)
    assert found.value.exit_code == 3
    assert server.run("SELECT count(*) FROM kept", database=empty) == [(0,)]


def test_one_statement_at_a_time(filled: str) -> None:
    with postgres.engine(filled) as engine, pytest.raises(Exception, match="multiple commands"):
        engine._run("SELECT 1; COMMIT; DROP TABLE predictions")


def test_a_query_that_takes_too_long_is_ended_by_the_server(server: Server, empty: str) -> None:
    server.run("CREATE VIEW slow AS SELECT pg_sleep(60)::text AS a", database=empty)
    with postgres.engine(server.url(empty), seconds=0.2) as engine:
        table = engine.table("slow")
        with pytest.raises(DependencyError, match="took too long") as found:
            engine.rows(table)
    assert "CI_ML_QUERY_SECONDS" in str(found.value.hint)


def test_a_table_that_is_not_there_or_not_ours(server: Server, empty: str) -> None:
    server.run(
        "CREATE TABLE secret (a int)",
        "CREATE ROLE reader LOGIN PASSWORD 'reader-password'",
        database=empty,
    )
    with postgres.engine(server.url(empty, "reader", "reader-password")) as engine:
        with pytest.raises(UsageError, match="has no table nothing"):
            engine.table("nothing")
        with pytest.raises(UsageError, match=r"has no table other\.secret"):
            engine.table("secret", "other")
        with pytest.raises(DependencyError, match="permission denied") as found:
            engine.rows(engine.table("secret"))
    assert "GRANT SELECT" in str(found.value.hint)


def test_a_value_that_cannot_be_read_is_the_tables_fault(filled: str) -> None:
    with postgres.engine(filled) as engine:
        table = engine.table("predictions")
        wrong = table.aggregate(n=table.plan.concat("x").cast("int64").sum())
        with pytest.raises(Broken, match="invalid input syntax"):
            engine.rows(wrong)


# --- When it is gone ---------------------------------------------------------------------------------------------------


def test_a_server_that_dies_between_two_queries() -> None:
    with served() as server:
        with postgres.engine(server.url()) as engine:
            names = engine.table("pg_class", "pg_catalog")
            assert engine.rows(names.aggregate(n=names.count()))[0]["n"] > 0
            server.end("immediate")
            with pytest.raises(DependencyError, match="broke off") as found:
                engine.rows(names.aggregate(n=names.count()))
        assert found.value.exit_code == 3
        assert unsecret(lines(found))
        with pytest.raises(DependencyError, match="cannot be reached") as found, postgres.engine(server.url()):
            pass
        assert unsecret(lines(found))


def test_a_connection_that_is_ended_in_the_middle_of_a_query(server: Server, empty: str) -> None:
    server.run("CREATE VIEW slow AS SELECT pg_sleep(60)::text AS a", database=empty)
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%slow%' AND datname = '{empty}'"

    def end() -> None:
        while not server.run(f"{ended} AND state = 'active' AND application_name = 'ci-ml'"):
            pass

    with postgres.engine(server.url(empty)) as engine:
        table = engine.table("slow")
        killer = threading.Thread(target=end)
        killer.start()
        with pytest.raises(DependencyError, match="broke off") as found:
            engine.rows(table)
        killer.join()
    assert unsecret(lines(found))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("ada:p", "ada:q"), "password authentication failed"),
        (lambda url: url.replace("/postgres", "/nowhere"), 'database "nowhere" does not exist'),
        (lambda url: url.replace("127.0.0.1", "127.0.0.2"), "refused"),
    ],
)
def test_why_it_cannot_be_reached(server: Server, change: Any, words: str) -> None:
    with pytest.raises(DependencyError, match=words) as found, postgres.engine(change(server.url())):
        pass
    assert unsecret(lines(found))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://{USER}:{PASSWORD}@127.0.0.1:5432/db",  # not encoded
        f"postgresql://{USER}:p@ss@127.0.0.1/db",
        f"postgresql://{USER}:hunter2/more@127.0.0.1/db",
        f"postgresql://{USER}:hunter2#more@127.0.0.1/db",
        f"postgresql://{USER}:hunter2?more@127.0.0.1/db",
        f"postgresql://{USER}:hunter2@127.0.0.1:many/db",
        f"mysql://{USER}:hunter2@127.0.0.1/db",
        f"postgresql://{USER}:hunter2%zz@127.0.0.1/db",
        f"postgresql://{USER}:hunter2@127.0.0.1 port=1/db",
        "host=127.0.0.1 password=hunter2",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UsageError) as found, postgres.engine(url):
        pass
    shown = lines(found)
    assert unsecret(shown)
    assert "hunter2" not in shown
    assert "p@ss" not in shown
    assert "%40" in str(found.value.hint)


def test_one_of_several_hosts_will_do(server: Server) -> None:
    url = server.url().replace("@", "@127.0.0.1:1,")
    with postgres.engine(url) as engine:
        assert engine._called == f"postgresql://127.0.0.1:1,127.0.0.1:{server.port}/postgres"
    with pytest.raises(DependencyError, match="cannot be reached"), postgres.engine("postgresql:///db?host=/nowhere"):
        pass


def test_a_password_among_the_options_is_hidden(server: Server) -> None:
    url = f"postgresql://127.0.0.1:{server.port}/postgres?user={USER}&password=hunter2"
    with pytest.raises(DependencyError) as found, postgres.engine(url):
        pass
    assert "hunter2" not in lines(found)


def test_what_a_driver_repeats_of_an_address_is_hidden(server: Server) -> None:
    _, hidden = postgres._checked(server.url())
    raw = server.url().partition(":")[2].partition("@")[0].rpartition(":")[2]
    shown = postgres._words(Exception(f"no {PASSWORD} in {raw}\nor in {server.url()}"), hidden)
    assert unsecret(shown)
    assert shown.startswith("no *** in *** or in postgresql://")


# --- Windows of time ---------------------------------------------------------------------------------------------------

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
TEXTS = {
    "offsets": [
        "2026-11-21T00:30:00+02:00",
        "2026-11-20 23:30:00Z",
        "2026-11-20T21:59:59.9-0130",
        "2026-11-20 21:00:00Z",
        None,
    ],
    "plain": ["2026-11-20T23:00:00.5", "2026-11-20", "2026-11-20 22:00:00"],
    "mixed": ["2026-11-21T00:00:00+02:00", "2026-11-20 23:30:00"],
    "words": ["yesterday", "2026-11-20"],
}


def text_table(engine: Any, server: Server, tmp_path: Path, name: str, kind: str) -> Any:
    if kind == "duckdb":
        place = tmp_path / f"{name}.csv"
        place.write_text("id,t\n" + "".join(f"{index},{value or ''}\n" for index, value in enumerate(TEXTS[name])))
        return engine.read(place, Format.CSV, packed=False)
    return engine.table(name)


@pytest.fixture(scope="module")
def texts(server: Server) -> str:
    database = server.database()
    for name, values in TEXTS.items():
        rows = ", ".join(f"({index}, {'NULL' if value is None else repr(value)})" for index, value in enumerate(values))
        server.run(f"CREATE TABLE {name} (id int, t text)", f"INSERT INTO {name} VALUES {rows}", database=database)
    return server.url(database)


@pytest.fixture(params=["duckdb", "postgres"])
def reader(request: pytest.FixtureRequest, server: Server, texts: str, tmp_path: Path) -> Iterator[Any]:
    """Opens a window on one of the tables of texts, in each engine; returns the ids in it, and what was counted."""
    places = [tmp_path / f"{name}.csv" for name in TEXTS]
    for place in places:
        place.touch()
    with duckdb.engine(places) if request.param == "duckdb" else postgres.engine(texts) as engine:

        def read(name: str, last: str = "2h", zone: str | None = None) -> Any:
            table = text_table(engine, server, tmp_path, name, request.param)
            about = WindowConfig(column="t", last=last, zone=zone)
            seen = windows.window(engine, Source(table=table, name=name, typed=False), about, NOW)
            rows = engine.rows(seen.source.table.select(id=seen.source.table.id.cast("int64")).order_by("id"))
            return [row["id"] for row in rows], (seen.n, seen.missing, seen.later)

        yield read


def test_offsets_are_taken_into_account(reader: Any) -> None:
    assert reader("offsets") == ([0, 1, 2], (3, 1, 0))
    assert reader("offsets", last="1h") == ([1, 2], (2, 1, 0))


def test_times_without_an_offset_need_a_zone(reader: Any) -> None:
    with pytest.raises(Unusable, match="says no time zone"):
        reader("plain")
    assert reader("plain", zone="UTC") == ([0, 2], (2, 0, 0))
    assert reader("plain", zone="America/New_York", last="1d") == ([1], (1, 0, 2))  # there it is 19:00
    with pytest.raises(Unusable, match="has no rows from 2026-11-20 23:00 to 2026-11-21 00:00 UTC"):
        reader("plain", zone="Europe/Berlin", last="1h")  # 23:00 in Berlin is 22:00


def test_mixed_zones_and_words_are_refused(reader: Any) -> None:
    with pytest.raises(Unusable, match="mixes time zones: 1 values say their offset and 1 do not"):
        reader("mixed", zone="UTC")
    with pytest.raises(Unusable, match="holds 1 values that are no times"):
        reader("words", zone="UTC")


@pytest.fixture(scope="module")
def times(server: Server) -> str:
    database = server.database()
    server.run(
        "CREATE TABLE times (id int, moment timestamptz, clock timestamp, day date)",
        """INSERT INTO times VALUES
          (1, '2026-11-20 23:30+00', '2026-11-20 23:30', '2026-11-20'),
          (2, '2026-11-21 00:30+01', '2026-11-20 22:30', '2026-11-20'),
          (3, '2026-11-21 00:00+00', '2026-11-21 00:00', '2026-11-21'),
          (4, NULL, NULL, NULL),
          (5, '2020-01-01 00:00+00', '2020-01-01 00:00', '2020-01-01')""",
        database=database,
    )
    return server.url(database)


class TestColumnsOfTheDatabase:
    @pytest.mark.parametrize(
        ("column", "zone", "counts"),
        [
            ("moment", None, (2, 1, 1)),
            ("moment", "Europe/Berlin", (2, 1, 1)),
            ("clock", "UTC", (1, 1, 1)),
            ("clock", "Europe/Berlin", (1, 1, 0)),  # there it is 00:00 to 01:00
            ("day", "UTC", (0, 1, 1)),
        ],
    )
    def test_each_type(self, times: str, column: str, zone: str | None, counts: tuple[int, int, int]) -> None:
        about = WindowConfig(column=column, last="1h", zone=zone)
        with postgres.engine(times) as engine:
            source = Source(table=engine.table("times"), name="times", typed=True)
            if not counts[0]:
                with pytest.raises(Unusable, match="its newest is of 2026-11-21"):
                    windows.window(engine, source, about, NOW)
                return
            seen = windows.window(engine, source, about, NOW)
        assert (seen.n, seen.missing, seen.later) == counts
        assert len(seen.notices) == bool(counts[1]) + bool(counts[2])

    @pytest.mark.parametrize(
        ("column", "words"), [("id", "holds no times"), ("none", "has no column none"), ("clock", "no time zone")]
    )
    def test_what_is_no_time(self, times: str, column: str, words: str) -> None:
        with postgres.engine(times) as engine:
            source = Source(table=engine.table("times"), name="times", typed=True)
            with pytest.raises(Unusable, match=words):
                windows.window(engine, source, WindowConfig(column=column, last="1h"), NOW)

    def test_an_index_leads_past_what_is_old(self, server: Server, empty: str) -> None:
        server.run(
            PREDICTIONS.replace(f"{ROWS}) AS i", "200000) AS i"),
            "CREATE INDEX ON predictions (created_at)",
            "VACUUM ANALYZE predictions",
            database=empty,
        )
        server.run("SELECT pg_stat_reset()", database=empty)
        with postgres.engine(server.url(empty)) as engine:
            source = Source(table=engine.table("predictions"), name="predictions", typed=True)
            assert windows.window(engine, source, WindowConfig(column="created_at", last="7d"), NOW).n == 168
        server.run("SELECT pg_stat_force_next_flush()", database=empty)
        assert server.run("SELECT seq_scan FROM pg_stat_user_tables", database=empty) == [(0,)]


# --- ci-ml.yaml --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [f"postgresql://ada:{PASSWORD}@host/db", "CI_ML_WAREHOUSE", "$", "$A B", 3])
def test_an_address_in_the_clear_is_refused_without_repeating_it(url: object) -> None:
    with pytest.raises(ValidationError) as found:
        SourceConfig(url=url, table="predictions")
    [problem] = found.value.errors(include_input=False)
    assert "must name the environment variable" in problem["msg"]
    assert unsecret(problem["msg"])


@pytest.mark.parametrize("url", ["$CI_ML_WAREHOUSE", "${CI_ML_WAREHOUSE}"])
def test_the_variable_is_read(url: str) -> None:
    about = SourceConfig(url=url, table="analytics.predictions")
    assert about.place == ("analytics", "predictions")
    assert about.address({"CI_ML_WAREHOUSE": " postgres://x \n"}) == "postgres://x"
    with pytest.raises(UsageError, match="CI_ML_WAREHOUSE"):
        about.address({"CI_ML_WAREHOUSE": ""})


@pytest.mark.parametrize("last", ["7", "d", "-1d", "0h", "7 days", "99999w", 7, True])
def test_a_time_that_is_none(last: object) -> None:
    with pytest.raises(ValidationError, match="must be a length of time such as 30m"):
        WindowConfig(column="c", last=last)


def test_a_zone_that_is_none() -> None:
    with pytest.raises(ValidationError, match="Europe/Berlin"):
        WindowConfig(column="c", last="7d", zone="Middle/Earth")
    with pytest.raises(ValidationError, match="Europe/Berlin"):
        WindowConfig(column="c", last="7d", zone="../etc/passwd")


# --- Opened as ci-ml opens it ------------------------------------------------------------------------------------------


def test_two_tables_of_a_warehouse_can_be_joined(server: Server, filled: str) -> None:
    about = SourceConfig(url="$CI_ML_WAREHOUSE", table="predictions")
    with tables.warehouses({"CI_ML_WAREHOUSE": filled})(about) as warehouse:
        one = warehouse.table(about).table
        other = warehouse.table(SourceConfig(url="$CI_ML_WAREHOUSE", table="public.predictions")).table
        joined = one.join(other.select("id"), "id")
        assert warehouse.engine.rows(joined.aggregate(n=joined.count())) == [{"n": ROWS}]
        with pytest.raises(UsageError, match=r"is at \$OTHER"):
            warehouse.table(SourceConfig(url="$OTHER", table="predictions"))


def test_a_broken_value_is_told_by_the_tables_name(filled: str) -> None:
    about = SourceConfig(url="$CI_ML_WAREHOUSE", table="predictions")
    with tables.warehouses({"CI_ML_WAREHOUSE": filled})(about) as warehouse:
        table = warehouse.table(about).table
        wrong = table.aggregate(n=table.plan.concat("x").cast("int64").sum())
        with pytest.raises(Unusable, match="cannot be read"):
            warehouse.engine.rows(wrong)


@pytest.mark.parametrize("env", [{}, {"CI_ML_WAREHOUSE": "postgres://h/db", "CI_ML_QUERY_SECONDS": "soon"}])
def test_a_warehouse_that_cannot_be_asked_for(env: dict[str, str]) -> None:
    about = SourceConfig(url="$CI_ML_WAREHOUSE", table="predictions")
    with pytest.raises(UsageError), tables.warehouses(env)(about):
        pass


@pytest.mark.filterwarnings("ignore")
def test_any_other_engine_of_ibis(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "data.db") as connection:
        connection.execute("CREATE TABLE predictions AS SELECT 1 AS id, 0.5 AS score")
    connection.close()
    about = SourceConfig(url="$CI_ML_WAREHOUSE", table="predictions")
    with tables.warehouses({"CI_ML_WAREHOUSE": f"sqlite://{tmp_path}/data.db"})(about) as warehouse:
        table = warehouse.table(about).table
        assert warehouse.engine.rows(table.aggregate(n=table.count())) == [{"n": 1}]
        with pytest.raises(DependencyError):
            warehouse.table(SourceConfig(url="$CI_ML_WAREHOUSE", table="nothing"))
