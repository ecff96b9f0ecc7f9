"""`ci-ml retrain`: new data come in, a challenger is trained, judged on them beside the champion, and proposed or not."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import churning
from tests.e2e.project import DEADLINE, Project, alive, copy, ended, until

# Where new data come from: a file outside of the repository, as a warehouse is.
REFRESH = """\
import shutil, sys
shutil.copyfile(sys.argv[1], "data/raw.csv")
print("fetched", sys.argv[1])
"""
LEDGER = "refs/ci-ml/retraining"


@pytest.fixture(scope="module")
def churned(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("churning")
    project = churning.build(folder, environment)
    project.write("src/refresh.py", REFRESH)
    project.write(
        "ci-ml.yaml",
        f"{churning.CI_ML_YAML}retrain:\n  refresh: {{command: [python, src/refresh.py, ../warehouse.csv]}}\n",
    )
    project.commit("continuous training")
    project.git("clone", "--quiet", "--bare", ".", "../origin.git")
    project.git("remote", "add", "origin", "../origin.git")
    project.git("fetch", "--quiet", "origin")
    return folder


@pytest.fixture
def project(churned: Path, tmp_path: Path, environment: dict[str, str]) -> Project:
    copy(churned, tmp_path / "churning")
    return Project(root=tmp_path / "churning" / "repo", env=environment)


def arrive(project: Project, rows: str) -> None:
    """New data are in the warehouse."""
    (project.root.parent / "warehouse.csv").write_text(rows)


def record(project: Project) -> list[Any]:
    """The entries of the record, as the server has them."""
    project.git("fetch", "--quiet", "origin", f"+{LEDGER}:refs/test/ledger")
    return [json.loads(line) for line in project.git("show", "refs/test/ledger:entries.jsonl").splitlines()]


def proposed(project: Project) -> bool:
    return bool(project.git("ls-remote", "origin", "refs/heads/ci-ml/retrain"))


def test_a_challenger_that_learnt_from_new_data_is_pushed_with_its_data(project: Project) -> None:
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    head = project.git("rev-parse", "HEAD")
    done = project.ci_ml("retrain", "--why", "the monitor tripped", "--format", "json").expect(0)
    found = done.json()
    assert (found["schema"], found["outcome"]) == ("ci-ml/turn/v1", "pass")
    assert found["report"]["verdict"]["outcome"] == "pass"
    assert "refresh | fetched ../warehouse.csv" in done.err
    project.git("fetch", "--quiet", "origin", "ci-ml/retrain")
    assert project.git("rev-parse", "FETCH_HEAD^") == head
    changed = project.git("diff", "--name-only", f"{head}..FETCH_HEAD").splitlines()
    assert changed == ["data/raw.csv.dvc", "dvc.lock", "metrics.json"]
    assert project.git("rev-parse", "HEAD") == head  # the branch of whoever ran it stays where it was
    clone = project.clone("elsewhere", url=str(project.root.parent / "origin.git"))
    clone.git("checkout", "--quiet", "ci-ml/retrain")
    clone.dvc("remote", "modify", "--local", "storage", "url", str(project.root.parent / "remote"))
    clone.dvc("pull", "--quiet")
    clone.ci_ml("verify").expect(0)
    started, ended = record(project)
    assert (started["why"], ended["outcome"]) == ("the monitor tripped", "pass")


def test_a_bad_challenger_is_refused(project: Project) -> None:
    """What the warehouse has for labels is turned round in its older half: the model learns the contrary."""
    rows = churning.rows(10_000, 1200).split()
    head, older, newer = rows[0], rows[1:601], rows[601:]
    turned = [f"{row[:-1]}{1 - int(row[-1])}" for row in older]
    arrive(project, "\n".join([head, *turned, *newer]) + "\n")
    done = project.ci_ml("retrain", "--format", "json").expect(10)
    assert done.json()["report"]["verdict"]["outcome"] == "fail"
    assert "the work tree holds what came of it: `git restore :/ && dvc checkout` goes back" in done.err
    assert not proposed(project)
    assert record(project)[-1]["outcome"] == "fail"


def test_nothing_new_is_nothing_to_judge(project: Project) -> None:
    arrive(project, churning.rows(0, 800))
    done = project.ci_ml("retrain", "--format", "json").expect(0)
    found = done.json()
    assert found.keys() == {"schema", "outcome", "why", "sentence", "proposal", "report"}
    assert (found["outcome"], found["report"], found["proposal"]) == ("unchanged", None, None)
    assert found["sentence"] == "Nothing new: training on what is there gives what is committed."
    assert "the work tree holds" not in done.err
    assert not proposed(project)
    assert record(project)[-1]["outcome"] == "unchanged"
    assert project.status() == ""


@pytest.mark.thorough
def test_the_next_one_waits_for_the_cool_down(project: Project) -> None:
    project.edit("ci-ml.yaml", "retrain:\n", "retrain:\n  cool_down: 24h\n")
    project.commit("not too often")
    arrive(project, churning.rows(0, 800))
    project.ci_ml("retrain").expect(0)
    done = project.ci_ml("retrain").expect(0)
    assert done.out.startswith("No retraining: the last one ended at ")
    assert len(record(project)) == 2
    told = project.ci_ml("retrain", "--status").expect(0).out.splitlines()
    assert told[0].startswith("None may start now: the last one ended at ")
    assert "unchanged" in told[1]
    assert told[1].endswith(": by hand")
    found = project.ci_ml("retrain", "--status", "--format", "json").expect(0).json()
    assert found["refused"].endswith("(cool_down)")
    assert [run["outcome"] for run in found["runs"]] == ["unchanged"]
    assert len(record(project)) == 2
    project.ci_ml("retrain", "--force").expect(0)
    assert len(record(project)) == 4


def test_a_refresh_that_fails_is_an_error_and_in_the_record(project: Project) -> None:
    done = project.ci_ml("retrain")
    assert done.code == 3
    assert "retrain.refresh: python ended with exit code 1: " in done.err
    assert "No such file or directory: '../warehouse.csv'" in done.err
    last = record(project)[-1]
    assert last["outcome"] == "error"
    assert "retrain.refresh" in last["sentence"]


def test_a_work_tree_with_changes_is_left_alone(project: Project) -> None:
    project.edit("params.yaml", "steps: 3", "steps: 2")
    done = project.ci_ml("retrain").expect(2)
    assert "the work tree has changes that are not committed" in done.err
    assert project.status() == " M params.yaml"


@pytest.mark.thorough
def test_a_second_challenger_takes_the_place_of_the_first(project: Project) -> None:
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    project.ci_ml("retrain").expect(0)
    first = project.git("ls-remote", "origin", "refs/heads/ci-ml/retrain")
    project.git("checkout", "--quiet", "--", ".")
    arrive(project, churning.rows(20_000, 1200, boundary=2.0))
    project.ci_ml("retrain").expect(0)
    assert project.git("ls-remote", "origin", "refs/heads/ci-ml/retrain") != first


def test_there_is_no_record_before_the_first(project: Project) -> None:
    assert project.ci_ml("retrain", "--status").expect(0).out == "A retraining may start now.\n"


@pytest.mark.thorough
def test_nothing_is_pushed_that_nobody_wants_proposed(project: Project) -> None:
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    project.ci_ml("retrain", "--no-propose").expect(0)
    assert not proposed(project)
    assert "data/raw.csv.dvc" in project.status()
    project.git("restore", ":/")
    project.dvc("checkout", "--quiet")
    assert project.status() == ""
    project.ci_ml("verify").expect(0)


def refreshes(project: Project, script: str) -> None:
    project.write("src/refresh.py", script)
    project.commit("another refresh")


@pytest.mark.thorough
def test_a_refresh_is_seen_while_it_runs_and_without_secrets(project: Project) -> None:
    refreshes(
        project,
        "import os, sys, pathlib, time\n"
        "print('password', os.environ['DB_PASSWORD'], 'x' * 5000, flush=True)\n"
        "print('\\rprogress', end='\\r', flush=True)\n"
        "print('done', flush=True)\n"
        "while not pathlib.Path('../seen').exists(): time.sleep(0.01)\n",
    )
    pipes = {"stderr": subprocess.PIPE}
    with ended(project.start("retrain", env={"DB_PASSWORD": "hunter2222"}, **pipes)) as process:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        (project.root.parent / "seen").touch()
        rest = process.stderr.read().decode()
        assert process.wait(DEADLINE) == 0, rest
    assert line.startswith("refresh | password *** xxx")
    assert len(line) < 2100
    assert "hunter2222" not in rest
    assert "progress" not in rest


@pytest.mark.thorough
def test_a_refresh_that_is_stopped_takes_its_children_along(project: Project) -> None:
    """A shell lets what it starts in the background ignore Ctrl-C."""
    refreshes(
        project,
        "import json, os, signal, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '1000'], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))\n"
        "open('../pids.new', 'w').write(json.dumps([os.getpid(), child.pid]))\n"
        "os.rename('../pids.new', '../pids')\n"
        "time.sleep(1000)\n",
    )
    place = project.root.parent / "pids"
    with ended(project.start("retrain")) as process:
        until(place.exists, "the refresh runs")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 130
    for pid in json.loads(place.read_text()):
        until(lambda pid=pid: not alive(pid), f"process {pid} is gone")
    assert record(project)[-1]["sentence"] == "it was stopped"


@pytest.mark.thorough
def test_what_a_refresh_leaves_where_nobody_sees_it_is_told_and_not_proposed(project: Project) -> None:
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    refreshes(project, f"{REFRESH}open('dump.sql', 'w').write('all of it')\n")
    done = project.ci_ml("retrain").expect(0)
    assert "note: neither git nor DVC tracks dump.sql, and no stage reads it: it is not proposed" in done.err
    project.git("fetch", "--quiet", "origin", "ci-ml/retrain")
    assert "dump.sql" not in project.git("ls-tree", "-r", "--name-only", "FETCH_HEAD")


@pytest.mark.thorough
def test_data_that_git_ignores_and_dvc_does_not_know_are_told(project: Project) -> None:
    project.write("private/.gitignore", "*\n!.gitignore\n")
    project.write("private/extra.csv", "1\n")
    project.edit("dvc.yaml", "deps: [src/split.py, ", "deps: [private/extra.csv, src/split.py, ")
    project.ci_ml("train").expect(0)
    project.commit("a stage reads what only this machine has")
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    done = project.ci_ml("retrain", "--no-propose").expect(0)
    assert "note: git ignores private/extra.csv, and DVC does not track it: nobody else can train on it" in done.err


@pytest.mark.thorough
def test_an_import_is_brought_up_to_date_from_where_it_comes_from(
    project: Project, tmp_path: Path, environment: dict[str, str]
) -> None:
    source = Project(root=tmp_path / "source", env=environment)
    source.root.mkdir()
    source.git("init", "--quiet", "--initial-branch=main")
    source.dvc("init", "--quiet")
    source.write("raw.csv", churning.rows(0, 800))
    source.dvc("add", "--quiet", "raw.csv")
    source.commit("data")
    project.git("rm", "--quiet", "data/raw.csv.dvc")
    project.remove("data/raw.csv")
    project.dvc("import", "--quiet", str(source.root), "raw.csv", "--out", "data/raw.csv")
    project.edit("ci-ml.yaml", "{command: [python, src/refresh.py, ../warehouse.csv]}", "{update: data/raw.csv.dvc}")
    project.commit("data of another repository")
    assert project.ci_ml("retrain").expect(0).out.startswith("Nothing new")
    source.write("raw.csv", churning.rows(10_000, 1200, boundary=2.0))
    source.dvc("add", "--quiet", "raw.csv")
    source.commit("more data")
    project.ci_ml("retrain").expect(0)
    project.git("fetch", "--quiet", "origin", "ci-ml/retrain")
    assert source.git("rev-parse", "HEAD") in project.git("show", "FETCH_HEAD:data/raw.csv.dvc")


@pytest.mark.thorough
def test_a_stage_that_fetches_runs_whatever_dvc_thinks(project: Project) -> None:
    project.git("rm", "--quiet", "data/raw.csv.dvc")
    stages = project.yaml("dvc.yaml")
    stages["stages"]["fetch"] = {
        "cmd": "python src/refresh.py ../warehouse.csv",
        "deps": ["src/refresh.py"],
        "outs": ["data/raw.csv"],
    }
    project.write("dvc.yaml", stages)
    project.edit("ci-ml.yaml", "{command: [python, src/refresh.py, ../warehouse.csv]}", "{stages: fetch}")
    arrive(project, churning.rows(0, 800))
    project.ci_ml("train").expect(0)
    project.commit("a stage that fetches")
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    project.ci_ml("retrain").expect(0)
    assert proposed(project)


def test_without_a_remote_of_dvc_nothing_is_trained_that_could_not_be_proposed(project: Project) -> None:
    project.dvc("remote", "remove", "storage")
    project.commit("no remote")
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    done = project.ci_ml("retrain").expect(2)
    assert "there is no default remote of DVC: a challenger would be proposed whose data nobody has" in done.err
    assert not project.git("ls-remote", "origin", LEDGER)
    assert project.status() == ""
