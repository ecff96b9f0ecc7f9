"""Tables of predictions wherever they are kept, and what `ci-ml check` makes of them."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.predictions import ABOUT, Table, customers, missing, text, wobbling, write
from tests.e2e.project import Project, ended, strict, until

# What each table is in the base, and in the change; None where it is not there.
SMALL = customers(150, seed=20)
TABLES: dict[str, tuple[str, Table | None, Table | None]] = {
    name: (path, customers(1200, seed), missing(customers(1200, seed), 5))
    for seed, (name, path) in enumerate(
        {
            "git": "a folder/p é.csv",
            "tabs": "tabs.tsv",
            "packed": "packed.csv.gz",
            "lines": "lines.jsonl",
            "cached": "cached.parquet",
            "remote": "remote.parquet",
            "folder": "folder/deep/p.csv",
        }.items()
    )
} | {
    "same": ("same.parquet", customers(1200, 30), customers(1200, 30)),
    "ends": ("ends.csv", customers(1200, 31), customers(1200, 31)),  # with the other line ends in the change
    "few": ("few.csv", SMALL, wobbling(SMALL, 0.2)),
    "new": ("new.csv", None, customers(1200, 32)),
    "gone": ("gone.csv", customers(1200, 33), None),
    "broken": ("broken.csv", None, customers(1200, 34)),  # broken in the base
    "lost": ("lost.parquet", customers(1200, 36), missing(customers(1200, 36), 5)),  # the base's is nowhere
    "stale": ("stale.parquet", customers(1200, 35), customers(1200, 35)),  # not what DVC records, in the change
}
STORED = ("cached.parquet", "remote.parquet", "same.parquet", "stale.parquet", "lost.parquet", "folder")
WORSE = ("git", "tabs", "packed", "lines", "cached", "remote", "folder")

_INIT = """
import sys
from dvc.repo import Repo
with Repo.init() as repo, repo.config.edit() as config:
    config["remote"]["storage"] = {"url": "../remote"}
    config["core"] = {"remote": "storage", "autostage": False, "analytics": False}
"""
_ADD = """
import sys
from dvc.repo import Repo
with Repo() as repo:
    repo.add(sys.argv[1:])
    repo.push()
"""


def config(*names: str, **gate: Any) -> str:
    """Gates on the accuracy of these tables."""
    more = "".join(f", {key}: {value}" for key, value in gate.items())
    tables = [f"  {name}: {{path: {TABLES[name][0]}, {ABOUT}}}" for name in names]
    gates = [f"  - {{metric: {name}.accuracy, margin: 0.02{more}}}" for name in names]
    return "\n".join(["version: 1", "predictions:", *tables, "gates:", *gates, ""])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Project:
    """A DVC project with a base and a change on a branch, and everything on the remote."""
    project = Project(root=tmp_path_factory.mktemp("stored") / "repo", env=environment)
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    for path, base, _ in TABLES.values():
        if base:
            write(project, path, base)
    project.write("broken.csv", b"row,churned,p\n1,1,0.5\n2,0\n")
    project.write("ci-ml.yaml", config(*TABLES))
    for name in ("same", "few", "new", "gone", "remote"):
        project.write(f"{name}.yaml", config(name))
    project.write("bar.yaml", config("git", "tabs", "packed"))
    project.write("proof.yaml", config("few", require="non_inferior"))
    assert project.run(sys.executable, "-c", _INIT + _ADD, *STORED).code == 0
    project.commit("base")
    project.branch()
    for path, _, head in TABLES.values():
        if head:
            write(project, path, head)
    project.write("ends.csv", text(customers(1200, 31), "ends.csv").replace(b"\n", b"\r\n"))
    project.remove("gone.csv")
    assert project.run(sys.executable, "-c", _ADD, *STORED).code == 0
    project.commit("change")
    write(project, "stale.parquet", missing(customers(1200, 35), 5))
    for store in stores(project):
        (store / recorded(project, "lost.parquet")).unlink()
    return project


def stores(project: Project) -> list[Path]:
    """The cache of DVC, and its remote."""
    return [place / "files" / "md5" for place in (project.root / ".dvc" / "cache", project.root.parent / "remote")]


def recorded(project: Project, path: str) -> str:
    """Where a store of DVC has the base's version of a file."""
    digest = project.git("show", f"main:{path}.dvc").partition("md5: ")[2][:32]
    return f"{digest[:2]}/{digest[2:]}"


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    """A copy for this test alone."""
    shutil.copytree(template.root.parent, tmp_path / "stored", symlinks=True)
    return Project(root=tmp_path / "stored" / "repo", env=template.env)


@pytest.fixture(scope="module")
def report(template: Project) -> Any:
    """All tables in one check."""
    return template.ci_ml("check", "--format", "json").expect(10).json()


def of(report: Any, name: str) -> Any:
    """The comparison of a table, of which there is one."""
    (found,) = (item for item in report["comparisons"] if item["metric"] == f"{name}.accuracy")
    return found


def accuracy(table: Table) -> float:
    right = sum((p >= 0.5) == bool(label) for p, label in zip(table["p"], table["churned"], strict=True))
    return right / len(table["p"])


# --- Where a table is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORSE)
def test_a_change_that_made_the_model_worse_is_found_wherever_the_table_is(report: Any, name: str) -> None:
    _, base, head = TABLES[name]
    assert base
    assert head
    item = of(report, name)
    assert (item["status"], item["impact"], item["method"], item["n"]) == ("regressed", "fail", "tango", 1200)
    assert (item["base"], item["head"]) == (pytest.approx(accuracy(base)), pytest.approx(accuracy(head)))
    low, high = item["interval"]
    assert low < item["head"] - item["base"] < high < -0.02


@pytest.mark.parametrize("name", ["same", "ends"])
def test_the_same_predictions_are_unchanged_whatever_their_line_ends(report: Any, name: str) -> None:
    item = of(report, name)
    assert (item["status"], item["identical"], item["interval"]) == ("unchanged", True, [0, 0])
    assert item["reason"].endswith(": all 1,200 examples count alike.")


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("few", "inconclusive", "few.accuracy cannot be decided with 150 examples: a loss of up to "),
        ("new", "new", "new.accuracy is new: "),
        ("gone", "missing", "gone.accuracy cannot be judged: in the work tree, no file gone.csv."),
        (
            "lost",
            "missing",
            "in the base {base}, lost.parquet is tracked by DVC, and neither in its cache nor to be had from",
        ),
        ("broken", "missing", "broken.accuracy cannot be judged: broken.csv of {base} cannot be read: "),
        ("stale", "missing", "is not the version that dvc.lock records (`dvc checkout` restores it)"),
    ],
)
def test_what_cannot_be_decided_says_why(report: Any, name: str, status: str, words: str) -> None:
    item = of(report, name)
    assert item["status"] == status
    assert words.format(base=report["base"]["sha"][:7]) in item["reason"]


@pytest.mark.parametrize(
    ("gates", "code", "outcome", "sentence"),
    [
        ("same", 0, "pass", "same.accuracy is unchanged at "),
        ("few", 0, "warn", "few.accuracy cannot be decided with 150 examples: "),
        ("proof", 11, "undecided", "few.accuracy cannot be decided with 150 examples: "),
        ("new", 0, "warn", "The one metric under a gate is new: there is nothing to compare with yet."),
        ("gone", 11, "undecided", "gone.accuracy cannot be judged: in the work tree, no file gone.csv."),
    ],
)
def test_the_exit_code_is_that_of_the_contract(
    template: Project, tmp_path: Path, gates: str, code: int, outcome: str, sentence: str
) -> None:
    out = tmp_path / "out"
    result = template.ci_ml("check", "--config", f"{gates}.yaml", "--format", "json", "--output", str(out)).expect(code)
    verdict = result.json()["verdict"]
    assert verdict["outcome"] == outcome
    assert verdict["sentence"].startswith(sentence)


def test_of_a_remote_that_one_file_is_fetched_and_nothing_is_left_behind(project: Project, tmp_path: Path) -> None:
    """The base's table is nowhere but on the remote, and the remote has nothing else."""
    cache, remote = stores(project)
    for place in (*cache.glob("??/*"), *remote.glob("??/*")):
        if place != remote / recorded(project, "remote.parquet"):
            place.unlink()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    checked = project.ci_ml("check", "--config", "remote.yaml", "--format", "json", env={"TMPDIR": str(temporary)})
    assert of(checked.expect(10).json(), "remote")["status"] == "regressed"
    assert project.cached() == set()
    assert list(temporary.iterdir()) == []
    assert project.status() == ""


# --- Whose gates judge -------------------------------------------------------------------------------------------------


def test_a_change_is_judged_by_the_tables_and_gates_of_the_base(project: Project) -> None:
    """It widens a margin, deletes a table with its gate, and looks at another file for a third."""
    project.edit("bar.yaml", "git.accuracy, margin: 0.02", "git.accuracy, margin: 0.9")
    project.edit("bar.yaml", f"  tabs: {{path: tabs.tsv, {ABOUT}}}\n", "")
    project.edit("bar.yaml", "  - {metric: tabs.accuracy, margin: 0.02}\n", "")
    project.edit("bar.yaml", "packed.csv.gz", "ends.csv")
    project.commit("lower the bar")
    found = project.ci_ml("check", "--config", "bar.yaml", "--format", "json").expect(10).json()
    assert (found["policy"]["from"], found["policy"]["changed_in_head"]) == ("base", True)
    for name in ("git", "tabs", "packed"):
        assert (of(found, name)["status"], of(found, name)["margin"]) == ("regressed", 0.02)


# --- The rest of the command --------------------------------------------------------------------------------------------


def test_a_report_is_rendered_again_from_its_json_alone(template: Project, report: Any, tmp_path: Path) -> None:
    place = tmp_path / "report.json"
    place.write_bytes((template.root / ".ci-ml" / "report.json").read_bytes())
    assert strict(place.read_bytes()) == report
    again = template.ci_ml("report", str(place), "--format", "json", cwd=tmp_path).expect(0)
    assert again.json() == report


def test_memory_that_is_no_size_is_refused(template: Project, tmp_path: Path) -> None:
    arguments = ("check", "--config", "few.yaml", "--output", str(tmp_path))
    result = template.ci_ml(*arguments, env={"CI_ML_MEMORY": "a lot"}).expect(2)
    assert result.out == ""
    assert "error: CI_ML_MEMORY is 'a lot', which is no size\nhint: write it like 4GB\n" in result.err


def test_a_configuration_with_a_mistake_says_where(project: Project) -> None:
    project.write("ci-ml.yaml", config("git").replace("git.accuracy", "git.acuracy"))
    result = project.ci_ml("check").expect(2)
    assert result.out == ""
    assert "ci-ml.yaml:5: gates.0.metric: unknown metric acuracy; did you mean accuracy?" in result.err


def test_a_check_that_is_cancelled_leaves_no_copies_behind(project: Project, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with ended(project.start("check", env={"TMPDIR": str(temporary)})) as process:
        until(lambda: list(temporary.glob("ci-ml-*")), "a folder for copies")
        process.terminate()
        assert process.wait() == 130
    assert list(temporary.iterdir()) == []
