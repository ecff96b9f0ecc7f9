"""`ci-ml data check` and `data profile`, and what is expected of tables as a part of `ci-ml check`: the real command."""

import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.e2e.predictions import parquet, text
from tests.e2e.project import Project, Result, copy

Table = dict[str, list[Any]]


def people(n: int = 300, seed: int = 1, start: int = 0) -> Table:
    draw = random.Random(seed)
    return {
        "row": list(range(start, start + n)),
        "customer": [f"c{start + index}" for index in range(n)],
        "age": [draw.randint(18, 90) for _ in range(n)],
        "country": [draw.choice(["DE", "FR"]) for _ in range(n)],
        "email": [f"secret{index}@example.org" for index in range(n)],
        "churned": [int(index % 4 == 0) for index in range(n)],
    }


CONFIG = """\
version: 1
data:
  train:
    path: data/train.csv
    columns:
      age: {type: integer, min: 0, max: 120}
      country: {type: string, allowed: [DE, FR], missing: 1%}
      email: {matches: '[^@]+@[^@]+'}
    rows: {min: 100, change: 20%}
    unique: [[row]]
    rules: {adults: age >= 18}
    id: row
    label: churned
    disjoint_from: {table: test, by: customer}
    balance: 0.05
    integrity: true
    same_columns_as: {table: test, beyond: 5%}
  test: {path: data/test.csv}
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    root = tmp_path_factory.mktemp("data") / "repo"
    root.mkdir()
    project = Project(root=root, env=environment)
    project.git("init", "--quiet", "--initial-branch", "main")
    project.write("ci-ml.yaml", CONFIG)
    write(project, "train", people())
    write(project, "test", people(100, 2, 1000))
    project.commit("base")
    project.branch()
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path, environment: dict[str, str]) -> Project:
    copy(template, tmp_path / "repo")
    return Project(root=tmp_path / "repo", env=environment)


def write(project: Project, name: str, table: Table) -> None:
    project.write(f"data/{name}.csv", text(table, "t.csv"))


def with_(table: Table, **cells: Any) -> Table:
    """The table with another value in the first row of some columns."""
    return {name: [cells.get(name, values[0]), *values[1:]] for name, values in table.items()}


def statuses(result: Result) -> dict[str, str]:
    return {item["metric"]: item["status"] for item in result.json()["comparisons"]}


def broken(result: Result) -> set[str]:
    return {name for name, status in statuses(result).items() if status != "held"}


def test_tables_that_are_as_expected_pass(project: Project) -> None:
    write(project, "train", people(310))
    result = project.ci_ml("data", "check").expect(0)
    assert "All 20 expectations hold and nothing drifted." in result.out
    assert project.status() == " M data/train.csv"  # nothing was written


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (with_(people(), age=-3), {"train.age: at least 0", "train: adults"}),
        (with_(people(), age=121), {"train.age: at most 120"}),
        (with_(people(), age="old"), {"train.age: integer", "train.age: at least 0", "train.age: at most 120", "train: adults"}),
        (with_(people(), country="XX"), {"train.country: one of DE, FR"}),
        (with_(people(), email="nobody"), {"train.email: matches [^@]+@[^@]+"}),
        (with_(people(), row=1), {"train.row: unique"}),
        (with_(people(), customer="c1000"), {"train: no customer of test"}),
        (people(99), {"train: at least 100 rows", "train: number of rows within 20% of the base"}),
        (people(400), {"train: number of rows within 20% of the base"}),
        ({**people(), "churned": [int(index % 2) for index in range(300)]}, {"train: balance of churned as in the base"}),
        ({**people(), "country": ["DE"] * 300}, {"train: no new constant columns", "train: ranges and categories cover test"}),
        ({**people(), "copy": people()["age"]}, {"train: no new copied columns", "train: same columns as test", "train: no row of test"}),
    ],
)  # fmt: skip
def test_what_is_not_as_expected_blocks_and_is_named(project: Project, table: Table, names: set[str]) -> None:
    write(project, "train", table)
    result = project.ci_ml("data", "check", "--format", "json").expect(10)
    assert broken(result) == names


def test_a_row_of_the_test_set_in_the_training_set_is_found_whatever_its_id(project: Project) -> None:
    leaked = {name: [*values[:1], *people()[name][1:]] for name, values in people(100, 2, 1000).items()}
    write(project, "train", {**leaked, "row": people()["row"]})
    found = broken(project.ci_ml("data", "check", "--format", "json").expect(10))
    assert found == {"train: no customer of test", "train: no row of test"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda project: project.remove("data/train.csv"), "in the work tree, no file data/train.csv"),
        (lambda project: write(project, "train", people(0)), "data/train.csv has no rows"),
        (lambda project: project.write("data/train.csv", b"\x00\xff"), "data/train.csv cannot be read"),
        (
            lambda project: write(project, "train", {("years" if name == "age" else name): values for name, values in people().items()}),
            "data/train.csv has no column age; it has: row, customer, years",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_undecided_and_says_why(project: Project, change: Any, said: str) -> None:
    change(project)
    result = project.ci_ml("data", "check", "--format", "json")
    assert result.code in (10, 11), result.text
    reasons = [item["reason"] for item in result.json()["comparisons"] if item["status"] == "missing"]
    assert said in reasons[0]
    assert "train.age: integer" in {name for name, status in statuses(result).items() if status == "missing"}


@pytest.mark.thorough
def test_no_value_is_shown_unless_somebody_asks(project: Project) -> None:
    write(project, "train", with_(people(), email="secret-of-mine"))
    for form in ("terminal", "markdown", "json"):
        assert "secret-of-mine" not in project.ci_ml("data", "check", "--format", form).expect(10).out
    assert "row 0, email secret-of-mine" in project.ci_ml("data", "check", "--examples", "1").expect(10).out


@pytest.mark.thorough
def test_a_change_is_judged_by_what_the_base_expects(project: Project) -> None:
    write(project, "train", with_(people(), age=121))
    project.edit("ci-ml.yaml", "max: 120", "max: 130")
    assert broken(project.ci_ml("data", "check", "--format", "json").expect(10)) == {"train.age: at most 120"}
    assert "train.age: at most 130" in project.ci_ml("data", "check", "--policy", "head").expect(0).out
    project.write("ci-ml.yaml", "version: 1\n")
    assert broken(project.ci_ml("data", "check", "--format", "json").expect(10)) == {"train.age: at most 120"}


@pytest.mark.thorough
def test_tables_are_a_part_of_check_with_the_same_report(project: Project) -> None:
    project.write("metrics.json", {"accuracy": 0.9})
    gates = 'gates:\n  - {metric: "metrics.json:accuracy", direction: higher}\n'
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + gates)
    project.commit("gates")
    project.git("branch", "--force", "main")
    project.commit("change")
    assert (
        "The one gated metric held and all 20 expectations hold and nothing drifted."
        in project.ci_ml("check").expect(0).out
    )
    write(project, "train", with_(people(), age=-3))
    result = project.ci_ml("check").expect(10)
    assert "train.age: at least 0 does not hold in 1 of 300 rows; it has to hold in all." in result.out
    page = project.ci_ml("report", "--format", "html").expect(0).out
    assert "train.age: at least 0" in page
    for form in ("junit", "csv", "openmetrics", "codequality", "annotations", "markdown"):
        project.ci_ml("report", "--format", form).expect(0)
    assert "broken" not in project.ci_ml("report", "--explain", "train.age: at least 0").expect(0).out


def test_some_tables_alone_and_none_that_there_is_not(project: Project) -> None:
    result = project.ci_ml("data", "check", "tests").expect(2)
    assert "there is no table tests under data" in result.err
    assert "there are: train, test" in result.err
    assert "nothing is expected of" in project.ci_ml("data", "check", "test").expect(2).err


def test_what_only_warns_does_not_block(project: Project) -> None:
    project.edit("ci-ml.yaml", "    id: row\n", "    id: row\n    severity: warn\n")
    write(project, "train", with_(people(), age=-3))
    result = project.ci_ml("data", "check", "--policy", "head", "--format", "json").expect(0)
    assert result.json()["verdict"]["outcome"] == "warn"


def test_a_table_that_the_base_has_not_is_judged_by_itself_and_its_change_is_new(project: Project) -> None:
    project.edit("ci-ml.yaml", "data/train.csv", "data/other.csv")
    write(project, "other", people(300, 5))
    result = project.ci_ml("data", "check", "--policy", "head", "--format", "json").expect(0)
    new = {name for name, status in statuses(result).items() if status == "new"}
    assert new == {"train: number of rows within 20% of the base", "train: balance of churned as in the base"}


@pytest.mark.thorough
def test_names_and_values_of_strangers_are_harmless_everywhere(project: Project) -> None:
    name = "a`|<img src=x onerror=alert(1)>\x1b[2J@me"
    table = {**people(), name: ["\x1b]0;x\x07<script>"] * 300}
    parquet(table, project.root / "data/train.parquet")
    project.write(
        "ci-ml.yaml",
        "version: 1\ndata:\n  train: {path: data/train.parquet, closed: true, examples: 5, columns: {age: {}}}\n",
    )
    shown = [
        project.ci_ml("data", "check", "--policy", "head", "--format", form).expect(10).out
        for form in ("terminal", "markdown")
    ]
    project.ci_ml("check", "--policy", "head").expect(10)
    shown.append(project.ci_ml("report", "--format", "html").expect(0).out)
    for out in shown:
        assert "\x1b" not in out
    assert "<img" not in shown[1] + shown[2].replace("<img class", "")


def test_types_of_parquet_are_those_of_the_file(project: Project) -> None:
    parquet({**people(), "age": [float(age) for age in people()["age"]]}, project.root / "data/train.parquet")
    project.edit("ci-ml.yaml", "data/train.csv", "data/train.parquet")
    result = project.ci_ml("data", "check", "--policy", "head", "--format", "json").expect(10)
    (reason,) = [item["reason"] for item in result.json()["comparisons"] if item["metric"] == "train.age: integer"]
    assert reason == "train.age: integer does not hold: the column is float64."


# --- A model of pandera


MODEL = """\
from pandera.ibis import DataFrameModel, Field

class Train(DataFrameModel):
    age: int = Field(ge=0, le=120)
    country: str = Field(isin=["DE", "FR"])
"""


@pytest.mark.thorough
def test_a_model_of_the_change_cannot_say_that_all_is_fine(project: Project) -> None:
    pytest.importorskip("pandera.ibis")
    project.write("schemas/train.py", MODEL)
    project.write(
        "ci-ml.yaml", "version: 1\ndata:\n  train: {path: data/train.csv, schema: 'schemas/train.py:Train'}\n"
    )
    project.commit("schema")
    project.git("branch", "--force", "main")
    project.commit("change")
    assert "All 7 expectations hold." in project.ci_ml("data", "check").expect(0).out
    write(project, "train", with_(people(), age=121))
    project.write("schemas/train.py", MODEL.replace("le=120", "le=200"))
    assert broken(project.ci_ml("data", "check", "--format", "json").expect(10)) == {"train.age: at most 120"}
    project.ci_ml("data", "check", "--policy", "head").expect(0)
    project.remove("schemas/train.py")
    assert broken(project.ci_ml("data", "check", "--format", "json").expect(10)) == {"train.age: at most 120"}
    result = project.ci_ml("data", "check", "--policy", "head").expect(11)
    assert "there is no file schemas/train.py" in result.out


# --- Profile


@pytest.mark.thorough
def test_a_profile_is_what_its_own_table_holds(project: Project) -> None:
    project.write("ci-ml.yaml", "# ours\nversion: 1  # of the format\n\ngates: []\n")
    shown = project.ci_ml("data", "profile", "data/train.csv").expect(0).out
    assert "      age: {type: integer, min: 0, max: 98}  # 18 … 90\n" in shown
    assert "      country: {type: string, allowed: [DE, FR]}  # 2 values\n" in shown
    assert "      row: {type: integer, unique: true}  # 0 … 299, no value twice\n" in shown
    assert project.status() == " M ci-ml.yaml"
    project.ci_ml("data", "profile", "data/train.csv", "--write").expect(0)
    assert project.read("ci-ml.yaml") == f"# ours\nversion: 1  # of the format\n\ngates: []\n\n{shown}"
    project.ci_ml("data", "profile", "data/test.csv", "--write").expect(0)
    assert project.read("ci-ml.yaml").startswith("# ours\nversion: 1  # of the format\n\ngates: []\n\ndata:\n  test:\n")
    project.ci_ml("data", "check", "--policy", "head").expect(0)
    again = project.ci_ml("data", "profile", "data/test.csv", "--write").expect(2)
    assert "test is under data already" in again.err


@pytest.mark.thorough
@pytest.mark.parametrize("config", ["version: 1\ndata: {}\n", "{version: 1}\n", "version: 1\ndata:\n"])
def test_a_file_without_a_place_for_a_table_stays_as_it_is(project: Project, config: str) -> None:
    project.write("ci-ml.yaml", config)
    result = project.ci_ml("data", "profile", "data/train.csv", "--write")
    assert result.code in (0, 2), result.text
    if result.code:
        assert project.read("ci-ml.yaml") == config
    else:
        project.ci_ml("data", "check", "--policy", "head").expect(0)


ODD = """
SELECT i AS "a: b", i % 3 = 0 AS yes, CASE WHEN i % 2 = 0 THEN 'nan'::DOUBLE ELSE i / 7.0 END AS odd,
  CASE WHEN i = 5 THEN 'inf'::DOUBLE ELSE i END AS wide, NULL::INTEGER AS none, -i::DECIMAL(9, 2) AS "true",
  DATE '2024-01-01' + i::INTEGER AS day, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS at, [i] AS many, 'x' || i % 2 AS "no",
  170141183460469231731687303715884105727::HUGEINT AS most, {'a': i} AS nested, uuid() AS key, TIME '10:00' AS clock,
  CASE WHEN i % 5 = 0 THEN NULL ELSE i % 4 END AS few, repeat(chr(10), 3) AS lines, 1e-9 * i AS tiny, i * 1e12 AS huge
FROM range(200) t(i)
"""


@pytest.mark.thorough
def test_no_table_breaks_its_own_profile(project: Project) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({ODD}) TO '{project.root / 'data/odd.parquet'}' (FORMAT parquet)")
        connection.execute(f"COPY ({ODD}) TO '{project.root / 'data/text.csv'}' (FORMAT csv, HEADER)")
    project.write("ci-ml.yaml", "version: 1\n")
    for name in ("odd.parquet", "text.csv"):
        project.ci_ml("data", "profile", f"data/{name}", "--write").expect(0)
    project.ci_ml("data", "check", "--policy", "head").expect(0)


@pytest.mark.thorough
def test_a_table_that_dvc_keeps_is_judged_where_it_is(
    trained: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    copy(trained, tmp_path / "dvc")
    project = Project(root=tmp_path / "dvc" / "repo", env=environment)
    write(project, "people", people())
    project.dvc("add", "data/people.csv")
    project.write("ci-ml.yaml", "version: 1\ndata:\n  people: {path: data/people.csv, columns: {age: {max: 120}}}\n")
    project.commit("people")
    project.remove("data/people.csv")
    assert "All 2 expectations hold." in project.ci_ml("data", "check", "--policy", "head").expect(0).out
    assert "1 table under data is there" in project.ci_ml("doctor").out
    write(project, "people", with_(people(), age=121))  # not what data/people.csv.dvc records
    result = project.ci_ml("data", "check", "--policy", "head").expect(11)
    assert "is not the version that dvc.lock records" in " ".join(result.out.split())


def test_the_doctor_says_which_tables_are_nowhere(project: Project) -> None:
    project.remove("data/test.csv")
    result = project.ci_ml("doctor")
    assert "there is no file data/test.csv, of which something is expected" in " ".join(result.out.split())
    assert result.code == 2
