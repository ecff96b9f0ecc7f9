"""Everything that can be wrong with a table of predictions: one sentence each that names the file, and never a pass."""

import gzip
from typing import Any

import pytest

from tests.e2e.predictions import ABOUT, Table, chosen, customers, parquet, text, write
from tests.e2e.project import Project

GOOD = customers(300)
BEFORE, AFTER = "{file} of {base}", "{file} of the work tree"


def with_(column: str, value: Any, *indices: int) -> Table:
    """The good table with another value in some rows of a column."""
    return {**GOOD, column: [value if index in indices else old for index, old in enumerate(GOOD[column])]}


def without(column: str) -> Table:
    return {name: values for name, values in GOOD.items() if name != column}


PACKED = text(GOOD, "p.csv.gz")
LINES = text(GOOD, "p.csv").splitlines(keepends=True)

# By name: the file, what it holds in the change (a table, or bytes), and what the sentence has to say.
BAD: dict[str, tuple[str, Table | bytes, list[str]]] = {
    "twice": ("twice.csv", chosen(GOOD, [0, 1, 1, 1, 2, 2, *range(3, 300)]), [AFTER, "more than once", "row", "1 3 times", "2 2 times"]),
    "fewer": ("fewer.csv", chosen(GOOD, range(290)), ["10 rows of " + BEFORE, "not in " + AFTER, "290, 291, 292"]),
    "more": ("more.csv", {**GOOD, "row": [*range(299), 999]}, ["1 row of " + BEFORE, "not in " + AFTER, "299"]),
    "labels": ("labels.csv", with_("churned", 1 - GOOD["churned"][7], 7), ["labels differ", "row 7", "`labels: head`"]),
    "one": ("one.csv", chosen(GOOD, [0]), ["299 rows of " + BEFORE]),
    "zero": ("zero.csv", chosen(GOOD, []), [AFTER, "no rows"]),
    "nan": ("nan.csv", with_("p", "nan", 5, 6), [AFTER, "2 values of p are NaN", "row 5", "row 6"]),
    "huge": ("huge.csv", with_("p", "1e200", 5), [AFTER, "1 value of p is beyond ±1e+140", "row 5"]),
    "infinite": ("infinite.csv", with_("p", "-inf", 5), [AFTER, "p", "infinite", "row 5"]),
    "empty": ("empty.csv", with_("p", None, 4), [AFTER, "no p", "row 4"]),
    "outside": ("outside.csv", with_("p", 1.5, 5, 7), [AFTER, "2 scores in p are outside 0..1", "row 5: 1.5"]),
    "words": ("words.csv", with_("p", "high", 5, 9), [AFTER, "2 values of p are not numbers", "row 5: high"]),
    "class": ("class.csv", with_("churned", 2, 5), [AFTER, "churned", "neither 1 nor 0", "row 5: 2", "`positive`"]),
    "nameless": ("nameless.csv", with_("row", None, 5), [AFTER, "1 row has no row"]),
    "column": ("column.csv", without("p"), [AFTER, "no column p", "it has: row, customer, country"]),
    "slice": ("slice.csv", without("plan"), []),  # the base has it still, and slices are the base's
    "typed": ("typed.parquet", {**GOOD, "p": [str(p) for p in GOOD["p"]]}, [AFTER, "column p holds", "not numbers"]),
    "cut": ("cut.parquet", b"", [AFTER, "cannot be read"]),
    "hole": ("hole.parquet", b"", [AFTER, "cannot be read"]),
    "fake": ("fake.parquet", b"PAR1" + b"x" * 99, [AFTER, "cannot be read"]),
    "gzip": ("gzip.csv.gz", PACKED[: len(PACKED) // 2], [AFTER, "cannot be read"]),
    "plain": ("plain.csv.gz", gzip.decompress(PACKED), [AFTER, "cannot be read"]),
    "quote": ("quote.csv", b"".join([LINES[0], b'1,"c1,DE,free,1,0.5,1\n', *LINES[3:]]), [AFTER, "cannot be read"]),
    "ragged": ("ragged.csv", b"".join([*LINES[:50], b"49,c1\n", *LINES[51:]]), [AFTER, "cannot be read"]),
    "latin": ("latin.csv", b"".join([*LINES[:9], LINES[9].replace(b"c", b"\xe9")]), [AFTER, "cannot be read"]),
    "bytes": ("bytes.csv", b"\x00\xff\xfe" * 99, [AFTER]),
    "nothing": ("nothing.csv", b"", [AFTER]),
    "comma": ("comma.csv", b"".join(LINES).replace(b",", b";"), [AFTER, "no column row", "row;customer"]),
    "lfs": ("lfs.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", ["lfs.csv is a pointer of Git LFS", "git lfs pull"]),
    "half": ("half.jsonl", text(GOOD, "p.jsonl")[:900], [AFTER, "cannot be read"]),
}  # fmt: skip


def damaged(project: Project, name: str) -> None:
    """A Parquet file that was cut off, or that has a hole where its data were."""
    place = project.root / f"{name}.parquet"
    parquet(GOOD, place)
    data = place.read_bytes()
    place.write_bytes(data[: len(data) // 2] if name == "cut" else data[:100] + bytes(800) + data[900:])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Any:
    """All of them in one check: every gate is undecided for a reason of its own."""
    project = Project(root=tmp_path_factory.mktemp("bad"), env=environment)
    project.git("init", "--quiet", "--initial-branch=main")
    lines = ["version: 1", "predictions:"]
    lines += [f"  {name}: {{path: {file}, {ABOUT}}}" for name, (file, *_) in BAD.items()]
    lines += ["gates:", *(f"  - {{metric: {name}.accuracy, margin: 0.01}}" for name in BAD if name != "slice")]
    lines += ["  - {metric: slice.accuracy, margin: 0.01, slices: {by: plan}}", "  - {metric: twice.recall}", ""]
    project.write("ci-ml.yaml", "\n".join(lines))
    for file, *_ in BAD.values():
        write(project, file, GOOD)
    project.commit()
    project.branch()
    for name, (file, content, _) in BAD.items():
        if isinstance(content, dict):
            write(project, file, content)
        elif content or not file.endswith(".parquet"):
            project.write(file, content)
        else:
            damaged(project, name)
    project.commit()
    return project.ci_ml("check", "--format", "json").expect(11).json()


def of(report: Any, name: str) -> list[Any]:
    return [item for item in report["comparisons"] if item["metric"] == f"{name}.accuracy"]


@pytest.mark.parametrize("name", [name for name in BAD if name != "slice"])
def test_is_one_sentence_and_no_pass(report: Any, name: str) -> None:
    (item,) = of(report, name)
    assert (item["status"], item["impact"], item["head"]) == ("missing", "undecided", None)
    reason = item["reason"]
    assert reason.startswith(f"{name}.accuracy cannot be judged: ")
    assert reason.endswith(".")
    assert "\n" not in reason
    assert len(reason) < 400
    file, _, words = BAD[name]
    for word in words:
        assert word.format(file=file, base=report["base"]["sha"][:7]) in reason, reason


def test_is_told_once_for_all_gates_on_a_table(report: Any) -> None:
    (again,) = (item for item in report["comparisons"] if item["metric"] == "twice.recall")
    assert (again["status"], again["impact"]) == ("missing", "undecided")
    assert again["reason"] == "twice.recall cannot be judged: for the same reason as twice.accuracy."


def test_a_slice_column_that_one_side_lost_is_the_other_sides(report: Any) -> None:
    assert {str(item["slice"]) for item in of(report, "slice")} == {
        "None", "{'plan': 'free'}", "{'plan': 'pro'}", "{'plan': None}"
    }  # fmt: skip
    assert {item["status"] for item in of(report, "slice") if item["n"] >= 100} == {"unchanged"}


def test_nothing_of_the_machine_is_in_a_sentence(report: Any) -> None:
    for item in report["comparisons"]:
        assert "/tmp" not in item["reason"]
        assert "DuckDB" not in item["reason"]


def test_a_base_that_is_wrong_is_missing_and_not_new(tmp_path: Any, environment: dict[str, str]) -> None:
    """Else the change that comes after a broken table would be judged by nothing."""
    project = Project(root=tmp_path, env=environment)
    project.git("init", "--quiet", "--initial-branch=main")
    write(project, "p.csv", with_("p", "nan", 5))
    gate = "{metric: test.accuracy, margin: 0.01}"
    project.write("ci-ml.yaml", f"version: 1\npredictions:\n  test: {{path: p.csv, {ABOUT}}}\ngates:\n  - {gate}\n")
    sha = project.commit()
    project.branch()
    write(project, "p.csv", GOOD)
    project.commit()
    found = project.ci_ml("check", "--format", "json").expect(11).json()
    assert [item["status"] for item in found["comparisons"]] == ["missing"]
    assert f"p.csv of {sha[:7]}: " in found["verdict"]["sentence"]
