"""Files of predictions as tables: what is read alike, what is told in one sentence, and what a database may not do."""

import gzip
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb as database
import ibis
import pyarrow as pa
import pytest
from pyarrow import parquet

from ci_ml.adapters.tables import duckdb, formats
from ci_ml.adapters.tables.formats import Broken, Format
from ci_ml.errors import DependencyError, UsageError

GOOD = "id,label,score\n1,1,0.75\n2,0,0.5\n3,0,1e-3\n"
ROWS = [("1", "1", "0.75"), ("2", "0", "0.5"), ("3", "0", "1e-3")]
LINES = b'{"id": 1, "label": true, "score": 0.75}\n{"id": 2, "label": false, "score": 0.5}\n'


def write(folder: Path, name: str, data: str | bytes) -> Path:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data if isinstance(data, bytes) else data.encode())
    return place


def read(place: Path, name: str = "") -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names and rows of a file's table, in the order of the first column."""
    kind, packed = formats.of(name or place.name)
    with duckdb.engine([place]) as engine:
        table = engine.read(place, kind, packed=packed)
        rows = engine.rows(table.order_by(table.columns[0]))
        return list(table.columns), [tuple(row.values()) for row in rows]


def shortened(value: object) -> str:
    return ascii(value)[-30:]


def broken(place: Path) -> str:
    """The sentence about a file that cannot be read."""
    with pytest.raises(Broken) as raised:
        read(place)
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 200
    return text


class TestTexts:
    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("plain.csv", GOOD),
            ("bom.csv", b"\xef\xbb\xbf" + GOOD.encode()),
            ("windows.csv", GOOD.replace("\n", "\r\n")),
            ("old-mac.csv", GOOD.replace("\n", "\r")),
            ("no-end.csv", GOOD.rstrip("\n")),
            ("blank-lines.csv", GOOD + "\n\n"),
            ("quoted.csv", GOOD.replace("id", '"id"').replace("0.75", '"0.75"')),
            ("blanks.csv", GOOD.replace("label", " label ")),
            ("tabs.tsv", GOOD.replace(",", "\t")),
            ("packed.csv.gz", gzip.compress(GOOD.encode(), mtime=0)),
        ],
    )
    def test_are_read_alike_however_they_are_written(self, tmp_path: Path, name: str, data: str | bytes) -> None:
        assert read(write(tmp_path, name, data)) == (["id", "label", "score"], ROWS)

    def test_hold_what_is_written_and_nothing_that_a_database_makes_of_it(self, tmp_path: Path) -> None:
        place = write(tmp_path, "p.csv", 'id,a,b\n001,2024-01-01,"a ""b"", c\nd"\n2,NULL,\n1_0,true,""\n')
        names, rows = read(place)
        assert names == ["id", "a", "b"]
        assert sorted(rows) == [("001", "2024-01-01", 'a "b", c\nd'), ("1_0", "true", None), ("2", "NULL", None)]

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (GOOD + "4,1\n", "line 5 has 2 values where the header has 3 names"),
            (GOOD + "4,1,0.5,9\n", "line 5 has 4 values where the header has 3 names"),
            (GOOD + '4,"1,0.5\n5,1,0.5\n', "line 5 has a quote that is not closed"),
            (GOOD + '4,"1"1,0.5\n', "line 5 has a quote that is not closed"),
            (GOOD.replace("\n", "\r\n", 2), "its lines do not all end alike"),
            ("# written by a script\n" + GOOD, "values where the header has 1 names"),
            ("id,score,id\n1,2,3\n", "two of its columns are called 'id'"),
            (",,\n1,2,3\n", "its first line holds no names"),
            ("", "it is empty"),
            ("\n\n", "it is empty"),
            (GOOD.encode("utf-16"), "it is not UTF-8"),
            (GOOD.encode() + b"4,\xe9,0.5\n", "UTF-8"),
            (GOOD.encode() + b"0" * 2_000_000 + b"4,\xe9,0.5\n", "line 5"),
            (bytes(range(256)) * 9, "UTF-8"),
            (gzip.compress(GOOD.encode(), mtime=0), "UTF-8"),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "`git lfs pull`"),
        ],
        ids=shortened,
    )
    def test_that_are_broken_are_told_by_their_line(self, tmp_path: Path, data: str | bytes, words: str) -> None:
        assert words in broken(write(tmp_path, "p.csv", data))

    def test_that_are_broken_far_down_are_told_by_their_line(self, tmp_path: Path) -> None:
        rows = "".join(f"{index},1,0.5\n" for index in range(300_000))
        place = write(tmp_path, "p.csv", f"id,label,score\n{rows}x\n1,1,1\n")
        assert broken(place) == "line 300002 has 1 values where the header has 3 names"

    def test_that_are_not_packed_as_their_name_says_are_told(self, tmp_path: Path) -> None:
        assert "ot a gzipped file" in broken(write(tmp_path, "p.csv.gz", GOOD))
        whole = gzip.compress(random.Random(1).randbytes(9999).hex().encode())
        assert "ended before" in broken(write(tmp_path, "q.csv.gz", whole[:-99]))

    def test_of_one_row_and_of_none(self, tmp_path: Path) -> None:
        assert read(write(tmp_path, "none.csv", "id,label\n")) == (["id", "label"], [])
        assert read(write(tmp_path, "one.csv", "id,label\n1,0\n")) == (["id", "label"], [("1", "0")])

    def test_whose_columns_differ_by_case_only_keep_both(self, tmp_path: Path) -> None:
        assert read(write(tmp_path, "p.csv", "id,ID,score\n1,2,3\n")) == (["id", "ID_1", "score"], [("1", "2", "3")])

    @pytest.mark.parametrize("name", ['a"b', "a.b", "a b", "a'b", "a;--", "é", "select", "a\nb", "{path}", "$1", "%s"])
    def test_may_call_a_column_anything(self, tmp_path: Path, name: str) -> None:
        written = name.replace('"', '""')
        place = write(tmp_path, "p.csv", f'id,"{written}"\n1,2\n')
        assert read(place) == (["id", name], [("1", "2")])
        table = pa.table({"id": ["1"], name: ["2"]})
        parquet.write_table(table, tmp_path / "p.parquet")
        assert read(tmp_path / "p.parquet") == (["id", name], [("1", "2")])


class TestJsonLines:
    def test_are_texts_like_csv(self, tmp_path: Path) -> None:
        wanted = (["id", "label", "score"], [("1", "true", "0.75"), ("2", "false", "0.5")])
        assert read(write(tmp_path, "p.jsonl", LINES)) == wanted
        assert read(write(tmp_path, "p.ndjson", b"\n" + LINES.replace(b"\n", b"\n\n"))) == wanted
        assert read(write(tmp_path, "p.jsonl.gz", gzip.compress(LINES))) == wanted

    def test_may_leave_keys_out(self, tmp_path: Path) -> None:
        place = write(tmp_path, "p.jsonl", '{"id": 1, "a": null}\n{"id": 2}\n{"id": 3, "b": "x"}\n')
        assert read(place) == (["id", "a", "b"], [("1", None, None), ("2", None, None), ("3", None, "x")])

    def test_hold_what_is_written_and_nothing_that_a_database_makes_of_it(self, tmp_path: Path) -> None:
        line = '{"id": 18446744073709551617, "day": "2024-01-01", "n": NaN, "one": 1.0, "more": {"a": [1]}, "a": "\\u00e9"}'
        names, rows = read(write(tmp_path, "p.jsonl", line + "\n"))
        assert dict(zip(names, rows[0], strict=True)) == {
            "id": "18446744073709551617",
            "day": "2024-01-01",
            "n": "NaN",
            "one": "1.0",
            "more": '{"a":[1]}',
            "a": "é",
        }

    def test_may_have_many_keys(self, tmp_path: Path) -> None:
        line = ", ".join(f'"p_{index}": 0.5' for index in range(1000))
        names, rows = read(write(tmp_path, "p.jsonl", f"{{{line}}}\n" * 3))
        assert (len(names), len(rows), rows[0][999]) == (1000, 3, "0.5")

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (LINES + b'{"id": 3, "label":\n' + LINES, "line 3 is not JSON: Expecting value (character"),
            (LINES + b'{"id": 3', "line 3 is not JSON"),
            (b'{"id": 1}{"id": 2}\n', "line 1 is not JSON: Extra data"),
            (b'{\n"id": 1\n}\n', "line 1 is not JSON"),
            (b'[{"id": 1}]\n', "line 1 is no JSON object"),
            (b"1\n2\n", "line 1 is no JSON object"),
            (LINES + b"5\n", "line 3 is no JSON object"),
            (b"{}\n{}\n", "line 1 has no value with a name"),
            (b'{"": 1, "id": 2}\n', "line 1 has no value with a name"),
            (LINES + b'{"id": 3, "id": 4}\n', "line 3 has 'id' twice"),
            (b"\xef\xbb\xbf" + LINES, "line 1 begins with a byte order mark"),
            (LINES + b'{"id": "\xe9"}\n', "line 3 is not UTF-8"),
            (b"", "it is empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "`git lfs pull`"),
        ],
        ids=shortened,
    )
    def test_that_are_broken_are_told_by_their_line(self, tmp_path: Path, data: bytes, words: str) -> None:
        assert words in broken(write(tmp_path, "p.jsonl", data))


class TestParquet:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        place = tmp_path / "p.parquet"
        rows = range(5_000)
        columns = {
            "id": rows,
            "score": [index % 97 / 97 for index in rows],
            "group": [f"g{index % 7}" for index in rows],
        }
        parquet.write_table(pa.table({name: list(values) for name, values in columns.items()}), place)
        return place

    def test_has_its_types(self, place: Path) -> None:
        with duckdb.engine([place]) as engine:
            table = engine.read(place, Format.PARQUET, packed=False)
            assert list(map(str, table.schema().values())) == ["int64", "float64", "string"]
            assert engine.rows(table.aggregate(n=table.count()))[0]["n"] == 5_000

    @pytest.mark.parametrize(
        "data", [b"", b"x", b"PAR1", b"PAR1" + b"x" * 200 + b"PAR1", GOOD.encode(), b"\0" * 5000], ids=shortened
    )
    def test_that_is_none_is_told(self, tmp_path: Path, data: bytes) -> None:
        assert broken(write(tmp_path, "q.parquet", data))

    def test_that_git_lfs_has_not_fetched_is_told(self, tmp_path: Path) -> None:
        data = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
        assert "`git lfs pull`" in broken(write(tmp_path, "q.parquet", data))

    def test_that_is_cut_off_is_told(self, place: Path) -> None:
        data = place.read_bytes()
        for share in (0.1, 0.5, 0.99):
            place.write_bytes(data[: int(len(data) * share)])
            assert str(place) in broken(place) or "too small" in broken(place)

    @pytest.mark.parametrize("seed", range(40))
    def test_with_damage_anywhere_is_read_or_told(self, place: Path, seed: int) -> None:
        """Not every damage can be seen; none may end in anything but a table or a sentence."""
        data, chance = bytearray(place.read_bytes()), random.Random(seed)
        for _ in range(chance.choice([1, 3, 30])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        place.write_bytes(data)
        try:
            with duckdb.engine([place], "500MB") as engine:
                table = engine.read(place, Format.PARQUET, packed=False)
                engine.rows(
                    table.aggregate(n=table.count(), **{f"x{i}": table[i].max() for i in range(len(table.columns))})
                )
        except (Broken, DependencyError) as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said
        assert len(said) < 400

    def test_columns_of_every_type_can_be_there(self, tmp_path: Path) -> None:
        with database.connect() as connection:
            connection.execute(
                "COPY (SELECT 1::TINYINT a, 1::UBIGINT b, 1::HUGEINT c, 1.5::DECIMAL(5,2) d, true e, 'x'::BLOB f, "
                "DATE '2024-01-01' g, TIMESTAMPTZ '2024-01-01' h, INTERVAL 1 DAY i, [1] j, {'a': 1} k, MAP {'a': 1} l, "
                f"uuid() m, TIME '10:00' n, NULL o, '{{}}'::JSON p) TO '{tmp_path}/p.parquet' (FORMAT parquet)"
            )
        with duckdb.engine([tmp_path / "p.parquet"]) as engine:
            table = engine.read(tmp_path / "p.parquet", Format.PARQUET, packed=False)
            assert len(table.columns) == 16
            texts = table.select(**{f"text_{name}": table[name].cast("string") for name in table.columns})
            (row,) = engine.rows(texts)
            assert (row["text_b"], row["text_d"], row["text_g"], row["text_o"]) == ("1", "1.50", "2024-01-01", None)


class TestPlaces:
    """A file is what its path says, whatever the path looks like to a database."""

    @pytest.mark.parametrize(
        "name", ["*.csv", "a[bc].csv", "?.csv", 'it\'s "it".csv', "**.csv", "a;b.csv", "{a,b}.csv"]
    )
    def test_names_are_no_patterns(self, tmp_path: Path, name: str) -> None:
        for other in ("b.csv", "ab.csv", "a.csv"):
            write(tmp_path, other, "id,label,score\n9,9,9\n")
        assert read(write(tmp_path, name, GOOD)) == (["id", "label", "score"], ROWS)

    def test_folders_are_no_columns(self, tmp_path: Path) -> None:
        assert read(write(tmp_path, "label=7/more=8/p.csv", GOOD)) == (["id", "label", "score"], ROWS)
        place = tmp_path / "label=7" / "p.parquet"
        parquet.write_table(pa.table({"id": [1], "label": [0]}), place)
        assert read(place) == (["id", "label"], [(1, 0)])

    def test_a_relative_path_is_one_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path, "p.csv", GOOD)
        monkeypatch.chdir(tmp_path)
        assert read(Path("p.csv")) == (["id", "label", "score"], ROWS)

    def test_what_is_said_names_the_file_and_not_what_stands_for_it(self, tmp_path: Path) -> None:
        place = write(tmp_path, "p.parquet", b"PAR1" + b"x" * 99 + b"PAR1")
        assert "ci-ml-" not in broken(place)


class TestLimits:
    """Tables are data of strangers."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[duckdb.DuckDB]:
        place = write(tmp_path, "p.csv", GOOD)
        with duckdb.engine([place]) as found:
            found.read(place, Format.CSV, packed=False)
            yield found

    def test_no_other_file_is_read(self, engine: duckdb.DuckDB, tmp_path: Path) -> None:
        secret = write(tmp_path, "secret.csv", "token\nhush\n")
        table = ibis.table({"token": "string"}, name=str(secret))  # DuckDB reads files that are named like tables
        with pytest.raises(Broken, match="Cannot access file"):
            engine.rows(table)

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT * FROM read_text('{folder}/p.csv')",
            "SELECT * FROM read_csv('{folder}/*')",
            "SELECT * FROM glob('{folder}/*')",
            "SELECT * FROM read_csv('https://example.org/p.csv')",
            "COPY (SELECT 1) TO '{folder}/out.csv'",
            "ATTACH '{folder}/other.db'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET allowed_paths = ['/']",
            "RESET lock_configuration",
        ],
    )
    def test_nothing_is_asked_of_the_machine(self, engine: duckdb.DuckDB, tmp_path: Path, statement: str) -> None:
        with pytest.raises(database.Error):
            engine._connection.execute(statement.format(folder=tmp_path)).fetchall()
        assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]

    def test_a_name_is_no_variable_of_this_program(self, engine: duckdb.DuckDB) -> None:
        here = pa.table({"a": [1]})  # which DuckDB would find by its name
        with pytest.raises(database.CatalogException):
            engine.rows(ibis.table({"a": "int64"}, name="here"))
        assert here.num_rows == 1

    def test_memory_that_does_not_suffice_is_said_with_what_to_do(self, tmp_path: Path) -> None:
        place = write(tmp_path, "p.csv", "id,a\n" + "".join(f"{i},{i:0100}\n" for i in range(200_000)))
        with pytest.raises(DependencyError, match="memory") as raised, duckdb.engine([place], "5MB") as engine:
            engine.read(place, Format.CSV, packed=False)
        assert "CI_ML_MEMORY" in (raised.value.hint or "")

    def test_memory_is_a_size(self) -> None:
        with pytest.raises(UsageError, match="CI_ML_MEMORY is 'much'"), duckdb.engine([], "much"):
            pass

    def test_nothing_is_left_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        place = write(tmp_path, "p.csv", GOOD)
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        read(place)
        assert list((tmp_path / "tmp").iterdir()) == []
        assert place.exists()


def test_a_text_is_written_as_parquet_for_other_engines(tmp_path: Path) -> None:
    place = write(tmp_path, "p.csv", GOOD)
    duckdb.as_parquet(place, Format.CSV, tmp_path / "p.parquet", packed=False)
    assert parquet.read_table(tmp_path / "p.parquet").to_pydict() == {
        "id": ["1", "2", "3"],
        "label": ["1", "0", "0"],
        "score": ["0.75", "0.5", "1e-3"],
    }
    with pytest.raises(Broken, match="line 2"):
        duckdb.as_parquet(write(tmp_path, "q.csv", "a\n1,2\n"), Format.CSV, tmp_path / "q.parquet", packed=False)


def test_a_large_text_is_read_in_a_moment(tmp_path: Path) -> None:
    rows = "".join(f"{index},{index % 2},0.5\n" for index in range(500_000))
    place = write(tmp_path, "p.csv", f"id,label,score\n{rows}")
    begun = time.monotonic()
    with duckdb.engine([place]) as engine:
        table = engine.read(place, Format.CSV, packed=False)
        assert engine.rows(table.aggregate(n=table.count())) == [{"n": 500_000}]
    assert time.monotonic() - begun < 20
