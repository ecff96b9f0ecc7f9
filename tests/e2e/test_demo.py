"""`ci-ml demo`, run as a user runs it: the story it tells, the project it leaves behind, and what stops it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci_ml.core.report import Report, load
from ci_ml.core.types import Outcome, Status
from ci_ml.render import markdown, terminal

pytest.importorskip("sklearn")
pytestmark = pytest.mark.thorough

DEADLINE = 300.0
CI_ML = (sys.executable, "-m", "ci_ml")


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def run(*command: str, cwd: Path, env: Mapping[str, str]) -> Done:
    done = subprocess.run(command, cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=DEADLINE)
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Built:
    """A folder in which `ci-ml demo` was run, how that ended, and the environment for more commands."""

    place: Path
    done: Done
    env: dict[str, str]

    @property
    def root(self) -> Path:
        return self.place / "ci-ml-demo"

    def ci_ml(self, *arguments: str) -> Done:
        return run(*CI_ML, *arguments, cwd=self.root, env=self.env)

    def git(self, *arguments: str) -> str:
        done = run("git", *arguments, cwd=self.root, env=self.env)
        assert done.code == 0, done.err
        return done.out.strip()

    def report(self) -> Report:
        return load((self.root / ".ci-ml" / "report.json").read_bytes(), "report.json")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with an empty home, no identity, git on PATH, and no Python that has scikit-learn."""
    home = tmp_path_factory.mktemp("home")
    tools = home / "bin"
    tools.mkdir()
    git = shutil.which("git")
    assert git
    (tools / "git").symlink_to(git)
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join((str(tools), "/usr/bin", "/bin")),
        "LC_ALL": "C.UTF-8",
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, bare: dict[str, str]) -> Built:
    """The demo, built inside a CI job and a git hook of somebody else, none of which may reach it."""
    place = tmp_path_factory.mktemp("a place")
    foreign = {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_BASE_REF": "nowhere",
        "GITHUB_SHA": "0" * 40,
        "GIT_DIR": str(place / "nothing.git"),
        "GIT_AUTHOR_NAME": "Somebody",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "DVC_REMOTE": "nowhere",
    }
    done = run(*CI_ML, "demo", cwd=place, env={**bare, **foreign})
    path = os.pathsep.join((str(Path(sys.executable).parent), bare["PATH"]))
    active = {**bare, "PATH": path, "VIRTUAL_ENV": sys.prefix}
    return Built(place, done, active)


@pytest.fixture
def mine(built: Built, tmp_path: Path) -> Built:
    """A copy of the demo that a test may change. DVC knows files by their times, so they are kept."""
    shutil.copytree(built.place, tmp_path / "copy", symlinks=True)
    return Built(tmp_path / "copy", built.done, built.env)


def test_it_works_without_a_word_on_stderr(built: Built) -> None:
    assert (built.done.code, built.done.err) == (0, "")


def test_it_leaves_a_clean_repository_with_three_trained_branches(built: Built) -> None:
    assert built.git("status", "--porcelain") == ""
    assert built.git("branch", "--show-current") == "drop-class-weight"
    branches = built.git("branch", "--format=%(refname:short)").split()
    assert branches == ["drop-class-weight", "main", "more-measurements"]
    assert set(built.git("log", "--all", "--format=%an").splitlines()) == {"ci-ml demo"}
    tracked = set(built.git("ls-files").split())
    assert {
        "ci-ml.yaml",
        "dvc.lock",
        "dvc.yaml",
        "params.yaml",
        "eval/predictions.csv",
        "data/tumours.csv.dvc",
    } <= tracked
    assert not {"data/tumours.csv", "data/train.csv", "model/classifier.joblib", ".ci-ml-demo"} & tracked
    assert list((built.root / "dvc-storage").rglob("*"))
    assert built.ci_ml("verify").code == 0


def test_a_change_is_one_line_of_params(built: Built) -> None:
    for branch in ("more-measurements", "drop-class-weight"):
        changed = built.git("diff", "--numstat", "main", branch, "--", "params.yaml", "src", "dvc.yaml", "ci-ml.yaml")
        assert changed.split() == ["1", "1", "params.yaml"]


def test_it_shows_both_reports_on_the_worse_branch_as_they_are(built: Built) -> None:
    report = built.report()
    assert report.head.sha == built.git("rev-parse", "drop-class-weight")
    assert terminal.report(report, width=120) in built.done.out
    assert markdown.report(report) in built.done.out


def test_what_it_says_about_the_project_is_true(built: Built) -> None:
    rows = (built.root / "data" / "tumours.csv").read_text().splitlines()[1:]
    assert f"{len(rows)} biopsies" in built.done.out
    assert "five gates" in built.done.out
    assert len(built.report().comparisons) == 5


def test_the_worse_branch_misses_tumours_and_is_blocked(mine: Built) -> None:
    done = mine.ci_ml("check")
    assert done.code == 10
    report = mine.report()
    assert (report.verdict.outcome, report.base.sha) == (Outcome.FAIL, mine.git("rev-parse", "main"))
    regressed = [item for item in report.comparisons if item.status is Status.REGRESSED]
    assert [item.metric for item in regressed] == ["test.recall"]
    assert " ".join(regressed[0].reason.split()) in " ".join(mine.done.out.split())
    accuracy = next(item for item in report.comparisons if item.metric == "test.accuracy")
    assert accuracy.delta == pytest.approx(0.0, abs=0.005), "the point of the story: accuracy does not tell"
    assert accuracy.status is Status.INCONCLUSIVE


def test_the_verdict_is_statistical(mine: Built) -> None:
    assert mine.ci_ml("check").code == 10
    for item in mine.report().comparisons:
        assert item.interval is not None
        assert item.n in (106, 284)
        low, high = item.interval
        assert item.delta is not None
        assert low <= item.delta <= high
    predictions = (mine.root / "eval" / "predictions.csv").read_text().splitlines()[1:]
    malignant = [line.split(",") for line in predictions if line.split(",")[1] == "1"]
    recall = next(item for item in mine.report().comparisons if item.metric == "test.recall")
    assert recall.n == len(malignant)
    assert recall.head == pytest.approx(sum(line[2] == "1" for line in malignant) / len(malignant))


def test_the_better_branch_passes_in_ci_without_training_again(mine: Built) -> None:
    mine.git("switch", "--quiet", "more-measurements")
    done = mine.ci_ml("ci")
    assert done.code == 0
    report = mine.report()
    assert report.verdict.outcome is Outcome.PASS
    assert {item.status for item in report.comparisons} == {Status.IMPROVED}
    assert report.training
    assert not [stage.name for stage in report.training.stages if stage.state == "ran"]
    assert report.verdict.sentence.split(": ")[0] in mine.done.out
    assert mine.git("status", "--porcelain") == ""


def test_the_numbers_come_out_of_the_training(mine: Built) -> None:
    metrics = mine.root / "eval" / "metrics.json"
    before = json.loads(metrics.read_text())["test"]
    for stage in ("prepare", "train", "evaluate"):
        assert run("python", f"src/{stage}.py", cwd=mine.root, env=mine.env).code == 0
    assert json.loads(metrics.read_text())["test"] == before
    assert f"recall {before['recall']:.3f}" in mine.done.out


def test_what_it_says_to_try_works(mine: Built) -> None:
    tries = [line.partition("#")[0].strip() for line in mine.done.out.rpartition("Now you")[2].splitlines()]
    commands = [line for line in tries if line.startswith(("ci-ml ", "git "))]
    assert len(commands) >= 3
    codes = [
        subprocess.run(["sh", "-c", line], cwd=mine.root, env=mine.env, capture_output=True).returncode
        for line in commands
    ]
    assert codes[:3] == [10, 0, 0]


def test_it_says_how_to_activate_an_environment_that_is_not_active(built: Built) -> None:
    assert ("/bin/activate" in built.done.out) == (sys.prefix != sys.base_prefix)


@pytest.mark.thorough
def test_it_starts_again_where_an_earlier_demo_was_interrupted(mine: Built) -> None:
    (mine.root / "left.txt").write_text("from before")
    process = subprocess.Popen([*CI_ML, "demo"], cwd=mine.place, env=mine.env, stdout=subprocess.PIPE)
    try:
        before = time.monotonic()
        while (mine.root / "left.txt").exists() or not (mine.root / "data").is_dir():
            assert process.poll() is None
            assert time.monotonic() - before < DEADLINE
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    again = run(*CI_ML, "demo", cwd=mine.place, env=mine.env)
    assert (again.code, again.err) == (0, "")
    assert "/bin/activate" not in again.out, "this time it is active"
    assert not (mine.root / "left.txt").exists()
    assert mine.git("rev-list", "--count", "HEAD") == "3"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_somebody_elses_folder_is_left_alone(tmp_path: Path, bare: dict[str, str]) -> None:
    folder = tmp_path / "ci-ml-demo"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    (folder / ".ci-ml-demo").write_text("not what the demo writes")
    done = run(*CI_ML, "demo", cwd=tmp_path, env=bare)
    assert (done.code, done.out) == (2, "")
    assert "was not made by `ci-ml demo`" in done.err
    assert "--output" in done.err
    assert files(folder) == {"thesis.txt": b"years of work", ".ci-ml-demo": b"not what the demo writes"}


def test_a_file_in_the_way_is_left_alone(tmp_path: Path, bare: dict[str, str]) -> None:
    (tmp_path / "notes").write_text("mine")
    done = run(*CI_ML, "demo", "--output", "notes/demo", cwd=tmp_path, env=bare)
    assert done.code == 3
    assert "could not be written" in done.err
    assert "Traceback" not in done.err
    assert files(tmp_path) == {"notes": b"mine"}


def test_without_scikit_learn_it_says_how_to_get_it(tmp_path: Path, bare: dict[str, str]) -> None:
    without = "import sys; sys.modules['sklearn'] = None; from ci_ml.__main__ import main; main()"
    done = run(sys.executable, "-c", without, "demo", cwd=tmp_path, env=bare)
    assert (done.code, done.out) == (2, "")
    assert "scikit-learn" in done.err
    assert "pip install 'ci-ml[demo]'" in done.err
    assert not list(tmp_path.iterdir())


def test_without_git_it_says_so(tmp_path: Path, bare: dict[str, str]) -> None:
    done = run(*CI_ML, "demo", cwd=tmp_path, env={**bare, "PATH": str(tmp_path)})
    assert (done.code, done.out) == (3, "")
    assert "git is not installed" in done.err
    assert not list(tmp_path.iterdir())
