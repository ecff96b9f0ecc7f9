"""`ci-ml train`: what runs, what is pulled, what is shown while it runs, and what is left when it does not end well."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from tests.e2e.project import DEADLINE, Project, alive, ended, objects, until

NO_TRACK = "version: 1\ntrain: {track: false}\ngates: []\n"


def states(project: Project) -> dict[str, str]:
    """What training.json says became of each stage."""
    return {stage["name"]: stage["state"] for stage in project.json(".ci-ml/training.json")["stages"]}


def snapshot(project: Project) -> dict[str, str]:
    """Every file outside git's, DVC's and ci-ml's own folders, by digest."""
    return {
        str(place.relative_to(project.root)): hashlib.sha256(place.read_bytes()).hexdigest()
        for place in sorted(project.root.rglob("*"))
        if place.is_file() and place.relative_to(project.root).parts[0] not in (".git", ".dvc", ".ci-ml")
    }


def one_stage(project: Project, command: str, **stage: Any) -> None:
    """A pipeline of one stage, with the script it calls left to the test."""
    project.dvc("init", "--quiet")
    project.write("ci-ml.yaml", NO_TRACK)
    project.write("dvc.yaml", {"stages": {"only": {"cmd": command, **stage}}})
    project.commit()


# --- What runs -------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_only_what_is_stale_runs_and_nothing_the_second_time(project: Project) -> None:
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 2")
    first = project.ci_ml("train").expect(0)
    assert states(project) == {"prepare": "skipped", "train": "ran", "evaluate": "ran"}
    assert "train | trained 2 steps" in first.err
    project.commit()
    before = snapshot(project)
    second = project.ci_ml("train").expect(0)
    assert states(project) == {"prepare": "skipped", "train": "skipped", "evaluate": "skipped"}
    assert "trained" not in second.err
    assert snapshot(project) == before
    assert project.status() == ""


@pytest.mark.thorough
def test_targets_of_the_command_line_and_of_the_configuration(project: Project) -> None:
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.ci_ml("train", "train").expect(0)
    assert states(project) == {"prepare": "skipped", "train": "ran"}
    project.edit("ci-ml.yaml", "train: {track: false}", "train: {track: false, targets: [prepare], when: always}")
    project.ci_ml("train").expect(0)
    assert states(project) == {"prepare": "ran"}


@pytest.mark.thorough
def test_what_the_run_cache_knows_is_cached(project: Project) -> None:
    for steps in ("2", "3"):
        project.edit("params.yaml", f"steps: {5 - int(steps)}", f"steps: {steps}")
        project.ci_ml("train").expect(0)
    assert states(project) == {"prepare": "skipped", "train": "cached", "evaluate": "cached"}
    assert project.status() == ""


def test_several_dvc_yaml_files_and_templates(project: Project) -> None:
    project.write(
        "more/dvc.yaml",
        'vars: [{n: 2}]\nstages:\n  loop:\n    foreach: [a, b]\n    do:\n      cmd: echo ${item} ${n} > ${item}.txt\n      outs: ["${item}.txt"]\n',
    )
    project.ci_ml("train").expect(0)
    assert {name: state for name, state in states(project).items() if "loop" in name} == {
        "more/dvc.yaml:loop@a": "ran",
        "more/dvc.yaml:loop@b": "ran",
    }
    assert project.read("more/b.txt") == "b 2\n"


def test_it_ends_with_what_it_came_to(project: Project) -> None:
    project.edit("params.yaml", "steps: 3", "steps: 4")
    first, second = project.ci_ml("train").expect(0).out.splitlines()[:2]
    assert first.startswith("✓ 2 ran, 1 did not change · ")
    assert second == f"recorded in {project.root}/.ci-ml/training.json"


def test_nothing_to_train_is_said(project: Project) -> None:
    project.write("dvc.yaml", "stages: {}\n")
    assert project.ci_ml("train").expect(0).out.startswith("✓ there are no stages")


@pytest.mark.thorough
@pytest.mark.parametrize("target", ["nope", "nope.dvc", "dvc.yaml:nope", "src/train.py"])
def test_a_target_that_nobody_knows_is_a_usage_error(project: Project, target: str) -> None:
    done = project.ci_ml("train", target).expect(2)
    assert target.rpartition(":")[2] in done.err
    assert "hint: `ci-ml verify` names every stage" in done.err


# --- What is pulled -----------------------------------------------------------------------------------------------------


def test_nothing_is_pulled_when_nothing_is_stale(project: Project) -> None:
    clone = project.clone("clone")
    clone.ci_ml("train").expect(0)
    assert set(states(clone).values()) == {"skipped"}
    assert clone.cached() == set()


def test_only_what_a_stale_stage_needs_is_pulled(project: Project) -> None:
    clone = project.clone("clone")
    clone.edit("src/evaluate.py", "score(x) > 0.5", "score(x) > 0.6")
    clone.ci_ml("train").expect(0)
    assert states(clone) == {"prepare": "skipped", "train": "skipped", "evaluate": "ran"}
    pulled = clone.cached() & project.remote_files()
    assert pulled == {project.digest("data/raw.csv"), project.digest("model.json")}
    assert not (clone.root / "data/clean.csv").exists()


@pytest.mark.thorough
def test_a_part_of_a_folder_is_pulled_only_when_it_changed(empty: Project) -> None:
    folder = "mkdir folder && cp params.yaml folder/part.txt && echo same >folder/other.txt"
    empty.dvc("init", "--quiet")
    empty.dvc("remote", "add", "--quiet", "--default", "storage", str(empty.root.parent / "remote"))
    empty.write("ci-ml.yaml", NO_TRACK)
    empty.write("params.yaml", {"a": 1})
    stages = {
        "make": {"cmd": folder, "deps": ["params.yaml"], "outs": ["folder"]},
        "part": {"cmd": "cp folder/part.txt part.txt", "deps": ["folder/part.txt"], "outs": ["part.txt"]},
        "other": {"cmd": "cp folder/other.txt other.txt", "deps": ["folder/other.txt"], "outs": ["other.txt"]},
    }
    empty.write("dvc.yaml", {"stages": stages})
    empty.dvc("repro", "--quiet")
    empty.write("params.yaml", {"a": 2})
    empty.dvc("repro", "--quiet", "make")
    empty.dvc("push", "--quiet")
    empty.commit()
    clone = empty.clone("clone")
    clone.ci_ml("train").expect(0)
    assert states(clone) == {"make": "skipped", "part": "ran", "other": "skipped"}
    assert clone.read("part.txt") == empty.read("params.yaml")
    assert not (clone.root / "folder/other.txt").exists()


@pytest.fixture(scope="module")
def s3() -> Any:
    """An S3 server on this machine, with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def test_only_what_is_needed_is_pulled_from_s3(project: Project, s3: str) -> None:
    keys = {
        "AWS_ACCESS_KEY_ID": "key-of-the-test",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    project.write(
        ".dvc/config",
        f"[core]\n    remote = bucket\n    analytics = false\n['remote \"bucket\"']\n    url = s3://data/store\n    endpointurl = {s3}\n",
    )
    project.commit()
    setup = "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='data')"
    assert project.run(sys.executable, "-c", setup, s3, env=keys).code == 0
    assert project.run(sys.executable, "-m", "dvc", "push", "--quiet", env=keys).code == 0
    clone = project.clone("clone")
    clone.edit("src/train.py", "slope = offset = 0.0", "slope = offset = 0.5")
    clone.edit("src/evaluate.py", 'open("data/raw.csv")', 'open("data/raw.csv")')
    result = clone.ci_ml("train", "train", env=keys).expect(0)
    assert states(clone) == {"prepare": "skipped", "train": "ran"}
    known = {project.digest(path) for path in ("data/raw.csv", "data/clean.csv", "model.json")}
    assert clone.cached() & known == {project.digest("data/clean.csv")}
    everything = result.out + result.err + clone.read(".ci-ml/training.json")
    assert "secret-of-the-test" not in everything


@pytest.mark.thorough
def test_a_new_stage_runs_where_none_of_its_data_is_here(project: Project) -> None:
    project.write("data/more/a.txt", "a\n")
    project.dvc("add", "--quiet", "data/more")
    project.dvc("push", "--quiet")
    project.edit(
        "dvc.yaml",
        "stages:\n",
        "stages:\n  copy:\n    cmd: cp data/more/a.txt copied.txt\n    deps: [data/more/a.txt]\n    outs: [copied.txt]\n",
    )
    project.commit()
    clone = project.clone("clone")
    clone.ci_ml("train").expect(0)
    assert states(clone)["copy"] == "ran"
    assert clone.read("copied.txt") == "a\n"
    clone.ci_ml("verify").expect(0)


@pytest.mark.thorough
def test_a_new_output_makes_its_stage_run(project: Project) -> None:
    project.edit("dvc.yaml", "outs: [model.json]", "outs: [model.json, model.log]")
    project.write("src/train.py", project.read("src/train.py") + 'open("model.log", "w").write("done")\n')
    project.ci_ml("train").expect(0)
    project.remove("model.log")
    project.remove("model.json")
    project.edit("dvc.yaml", "outs: [model.json, model.log]", "outs: [model.json, model.log, model.txt]")
    project.edit("src/train.py", 'open("model.log"', 'open("model.txt", "w").write("x"); open("model.log"')
    project.ci_ml("train").expect(0)
    assert states(project)["train"] == "ran"
    project.ci_ml("verify").expect(0)


def test_an_unreachable_remote_is_named(project: Project, tmp_path: Path) -> None:
    clone = project.clone("clone")
    clone.edit(".dvc/config", "../../remote", "../../nowhere")
    clone.edit("src/evaluate.py", "score(x) > 0.5", "score(x) > 0.6")
    before = snapshot(clone)
    result = clone.ci_ml("train").expect(3)
    message = result.err[result.err.index("error: ") :]
    assert "data/raw.csv" in message
    assert "hint: " in message
    assert "\\x1b" not in message
    assert snapshot(clone) == before


# --- Failure -------------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_failing_stage_leaves_everything_as_it_was(project: Project) -> None:
    project.edit("src/train.py", 'print("trained"', 'print("tail of the run"); raise SystemExit(7); print("trained"')
    project.edit("params.yaml", "steps: 3", "steps: 2")
    before = snapshot(project)
    result = project.ci_ml("train").expect(3)
    assert "error: stage 'train' failed with exit code 7: python src/train.py" in result.err
    assert "  tail of the run" in result.err.splitlines()
    assert snapshot(project) == before  # model.json had been written already
    assert states(project) == {"prepare": "skipped", "train": "failed"}
    record = project.json(".ci-ml/training.json")
    assert (record["outcome"], record["schema"]) == ("failed", "ci-ml/training/v1")
    project.edit("src/train.py", "raise SystemExit(7); ", "")
    project.ci_ml("train").expect(0)
    assert states(project)["train"] == "ran"


def test_metrics_in_git_survive_a_stage_that_fails_over_them(project: Project) -> None:
    project.write(
        "src/evaluate.py", "open('metrics.json', 'w').write('{\"accuracy\": ')\nraise ValueError('no accuracy')\n"
    )
    before = snapshot(project)
    result = project.ci_ml("train")
    assert result.code == 3
    assert "stage 'evaluate' failed with exit code 1: python src/evaluate.py" in result.err
    assert "ValueError: no accuracy" in result.err  # the stage's own traceback is what its author needs
    assert snapshot(project) == before


@pytest.mark.thorough
def test_what_ran_before_a_failure_is_kept(project: Project) -> None:
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.edit("src/evaluate.py", "import json", "raise SystemExit('no')\nimport json")
    project.ci_ml("train").expect(3)
    assert states(project) == {"prepare": "skipped", "train": "ran", "evaluate": "failed"}
    project.edit("src/evaluate.py", "raise SystemExit('no')\n", "")
    project.ci_ml("train").expect(0)
    assert states(project) == {"prepare": "skipped", "train": "skipped", "evaluate": "ran"}


@pytest.mark.thorough
def test_outputs_that_are_not_cached_come_back_folders_and_all(empty: Project) -> None:
    script = """\
import os, pathlib, sys
for name in ("one.txt", "folder/a/b.txt"):
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(name).write_text(open("input.txt").read())
sys.exit(open("input.txt").read() == "bad")
"""
    empty.write("make.py", script)
    empty.write("input.txt", "good")
    one_stage(
        empty, "python make.py", deps=["input.txt"], outs=[{"one.txt": {"cache": False}}, {"folder": {"cache": False}}]
    )
    empty.ci_ml("train").expect(0)
    before = snapshot(empty)
    empty.write("input.txt", "bad")
    empty.ci_ml("train").expect(3)
    empty.write("input.txt", "good")
    assert snapshot(empty) == before


def test_a_missing_output_is_a_failure_of_its_stage(empty: Project) -> None:
    one_stage(empty, "echo hello", outs=["never.txt"])
    result = empty.ci_ml("train").expect(3)
    assert "only" in result.err
    assert "never.txt" in result.err


def test_a_stage_that_is_killed_is_a_failure_that_names_the_signal(empty: Project) -> None:
    one_stage(empty, "kill -KILL $$")
    result = empty.ci_ml("train").expect(3)
    assert "stage 'only' failed with exit code -9" in result.err


def test_a_remote_that_does_not_answer_is_an_error_of_the_remote(project: Project, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # closed again when the command runs
    clone = project.clone("clone")
    clone.write(
        ".dvc/config",
        f"[core]\n    remote = bucket\n['remote \"bucket\"']\n    url = s3://data/store\n    endpointurl = http://127.0.0.1:{port}\n",
    )
    clone.edit("src/evaluate.py", "score(x) > 0.5", "score(x) > 0.6")
    before = snapshot(clone)
    keys = {
        "AWS_ACCESS_KEY_ID": "key-of-the-test",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        "AWS_MAX_ATTEMPTS": "1",
    }
    result = clone.ci_ml("train", env=keys).expect(3)
    message = result.err[result.err.index("error: ") :]
    assert f"127.0.0.1:{port}" in message
    assert "hint: " in message
    assert "secret-of-the-test" not in result.err
    assert snapshot(clone) == before


@pytest.mark.thorough
def test_a_dvc_that_runs_already_is_said_so(project: Project) -> None:
    from dvc.repo import Repo

    project.edit("params.yaml", "steps: 3", "steps: 2")
    with Repo(str(project.root)) as repo, repo.lock:
        result = project.ci_ml("train").expect(3)
    assert "lock" in result.err
    project.ci_ml("train").expect(0)


# --- Interruption ------------------------------------------------------------------------------------------------------

STUCK = """\
import json, os, signal, subprocess, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
open("model.json", "w").write("half")
json.dump([os.getpid(), child.pid], open("pids.new", "w"))
os.rename("pids.new", ".git/pids")
time.sleep(1000)
"""


def stuck(project: Project, *arguments: str) -> None:
    """The stage `train` never ends, and starts a process of its own."""
    project.branch()
    project.write("src/train.py", STUCK)
    project.edit("dvc.yaml", "cmd: python src/train.py\n", f"cmd: {' '.join(['python src/train.py', *arguments])}\n")
    project.commit()


def running(project: Project, pid: int) -> set[int]:
    """A process and all its descendants, once the stage runs."""
    place = project.root / ".git/pids"
    until(place.exists, "the stage runs")
    return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)), *json.loads(place.read_text())}


def check_nothing_is_left(project: Project, before: dict[str, str], processes: set[int]) -> None:
    for pid in processes:
        until(lambda pid=pid: not alive(pid), f"process {pid} of {processes} is gone")
    assert snapshot(project) == before
    assert project.status() == ""
    assert not list((project.root / ".dvc/tmp").glob("ci-ml-*"))
    assert json.loads(project.dvc("status", "--json")).keys() == {"train"}  # works: nothing holds DVC's lock


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_run_leaves_no_process_no_lock_and_no_half_written_file(
    project: Project, number: signal.Signals
) -> None:
    stuck(project)
    before = snapshot(project)
    with ended(project.start("train")) as process:
        processes = running(project, process.pid)
        assert (project.root / "model.json").read_text() == "half"
        process.send_signal(number)
        code = process.wait(DEADLINE)
    assert code == (-number if number is signal.SIGKILL else 130)
    check_nothing_is_left(project, before, processes)
    if number is not signal.SIGKILL:
        assert project.json(".ci-ml/training.json")["outcome"] == "interrupted"


def test_control_c_reaches_the_whole_foreground_group(project: Project) -> None:
    stuck(project)
    before = snapshot(project)
    with ended(project.start("train", stderr=subprocess.PIPE)) as process:
        processes = running(project, process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(DEADLINE) == 130
        assert process.stderr is not None
        shown = process.stderr.read().decode()
    assert "interrupted" in shown
    assert "Traceback" not in shown.replace("train | Traceback", "")
    check_nothing_is_left(project, before, processes)


@pytest.mark.thorough
def test_a_stage_that_ignores_the_interrupt_is_ended_more_firmly(project: Project) -> None:
    stuck(project, "deaf")
    before = snapshot(project)
    with ended(project.start("train")) as process:
        processes = running(project, process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
    check_nothing_is_left(project, before, processes)


@pytest.mark.thorough
def test_an_interrupted_stage_is_no_success_even_if_it_says_so(project: Project) -> None:
    """Training loops like to catch Ctrl-C, save what they have and exit with 0."""
    stuck(project)
    project.edit(
        "src/train.py", "time.sleep(1000)\n", "try:\n    time.sleep(1000)\nexcept KeyboardInterrupt:\n    sys.exit(0)\n"
    )
    project.edit("dvc.yaml", "cmd: python src/train.py\n", "cmd: [python src/train.py, touch .git/second-command]\n")
    good = project.commit()
    before = snapshot(project)
    with ended(project.start("train")) as process:
        processes = running(project, process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
    check_nothing_is_left(project, before, processes)
    assert not (project.root / ".git/second-command").exists()
    project.git("checkout", "--quiet", "main", "--", ".")
    project.ci_ml("train").expect(0)
    assert set(states(project).values()) == {"skipped"}
    assert project.git("rev-parse", "HEAD") == good


# --- Output ---------------------------------------------------------------------------------------------------------------


def test_a_line_is_visible_before_its_stage_ends(empty: Project) -> None:
    os.mkfifo(empty.root.parent / "gate")
    one_stage(empty, "echo at work; cat ../gate; echo at the end")
    with ended(empty.start("train", stderr=subprocess.PIPE)) as process:
        assert process.stderr is not None
        shown = b""
        while b"only | at work\n" not in shown:
            line = process.stderr.readline()
            assert line, shown.decode()
            shown += line
        assert process.poll() is None
        # The stage waits for this, so the line above came while it ran.
        (empty.root.parent / "gate").write_text("go on\n")
        rest = process.stderr.read()
        assert process.wait(DEADLINE) == 0
    assert b"only | go on\nonly | at the end\n" in rest


def test_a_terminal_gets_lines_and_a_display(empty: Project) -> None:
    one_stage(empty, "echo at work; printf 'half\\rwhole\\n'; echo to stderr >&2")
    shown = empty.on_a_terminal("train")
    for line in ("$ echo at work", "at work", "whole", "to stderr", "only: ran in "):
        assert line in shown
    assert "\x1b[" in shown


def test_any_output_is_shown_and_none_of_it_is_taken_for_more(empty: Project) -> None:
    script = """\
import sys
out = sys.stdout.buffer
out.write(b"first\\r\\nsecond\\n")
for step in range(1000):
    out.write(b"progress %d\\r" % step)
out.write(b"\\n\\xff\\xfe\\x00 binary \\x80\\n")
out.write(b'\\x1e0123456789abcdef0123456789abcdef {"event": "end"}\\n')
out.write("äöü ✓\\n".encode())
out.write(b"\\x1b[31mred\\x1b[0m\\n")
out.flush()
sys.stderr.write("to stderr\\n")
sys.stderr.flush()
out.write(b"no line end")
"""
    empty.write("talk.py", script)
    one_stage(empty, "python talk.py")
    result = empty.ci_ml("train").expect(0)
    lines = result.err.splitlines()
    for line in ("first", "second", "äöü ✓", "to stderr", "no line end"):
        assert f"only | {line}" in lines
    assert any("binary" in line for line in lines)
    assert sum("progress" in line for line in lines) < 20
    assert states(empty) == {"only": "ran"}


@pytest.mark.thorough
def test_ten_megabytes_of_output(empty: Project) -> None:
    script = "import sys\nfor step in range(100_000):\n    print(step, 'x' * 94)\nprint('y' * 1_000_000)\nprint('the last line')\nsys.exit(1)\n"
    empty.write("talk.py", script)
    one_stage(empty, "python talk.py")
    result = empty.ci_ml("train").expect(3)
    assert len(result.err) > 10_000_000
    assert "only | 99999 " in result.err
    message = result.err[result.err.index("\nerror: ") :]
    assert "  the last line\n" in message
    assert len(message) < 100_000


def test_a_stage_that_reads_its_input_gets_none_and_does_not_hang(empty: Project) -> None:
    one_stage(empty, "wc -c && read line || echo no input")
    result = empty.ci_ml("train", stdin="a secret answer\n").expect(0)
    assert "only | 0" in result.err
    assert "only | no input" in result.err


def test_control_characters_of_a_stage_do_not_reach_the_error_message(empty: Project) -> None:
    one_stage(empty, "printf 'evil\\033[2Jline\\n'; exit 1")
    result = empty.ci_ml("train").expect(3)
    message = result.err[result.err.index("error: ") :]
    assert "\x1b" not in message


def test_a_secret_that_a_stage_prints_is_neither_shown_nor_kept(empty: Project) -> None:
    one_stage(empty, "echo token $API_TOKEN; echo https://user:hunter2pass@example.org/x; exit 1")
    result = empty.ci_ml("train", env={"API_TOKEN": "s3cr3t-value"}).expect(3)
    for text in (result.err, empty.read(".ci-ml/training.json")):
        assert "s3cr3t-value" not in text
        assert "hunter2pass" not in text


# --- The record ----------------------------------------------------------------------------------------------------------


def test_training_json_holds_what_somebody_may_ask_later(project: Project) -> None:
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 2")
    head = project.commit()
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://example.org",
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_RUN_ID": "7",
    }
    project.ci_ml("train", env=env).expect(0)
    record = project.json(".ci-ml/training.json")
    assert record["schema"] == "ci-ml/training/v1"
    assert (record["commit"], record["dirty"], record["outcome"]) == (head, False, "success")
    assert record["run_url"] == "https://example.org/a/b/actions/runs/7"
    assert all(stage["seconds"] >= 0 for stage in record["stages"])
    assert record["params"] == {"prepare": {"keep": 1.0}, "train.rate": 0.1, "train.steps": 2}
    assert record["data"] == {"data/raw.csv": f"md5:{project.digest('data/raw.csv')}"}
    code = {
        path: f"md5:{hashlib.md5((project.root / path).read_bytes()).hexdigest()}"
        for path in ("src/prepare.py", "src/train.py", "src/evaluate.py")
    }
    assert record["code"] == code
    assert record["outputs"] == {
        path: f"md5:{project.digest(path)}" for path in ("data/clean.csv", "model.json", "metrics.json")
    }
    assert record["lock"] == f"sha256:{hashlib.sha256((project.root / 'dvc.lock').read_bytes()).hexdigest()}"


def test_training_json_names_the_environment_that_trained(project: Project) -> None:
    import importlib.metadata
    import platform

    project.ci_ml("train").expect(0)
    environment = project.json(".ci-ml/training.json")["environment"]
    assert environment["interpreter"]["version"] == platform.python_version()
    assert environment["packages"]["pytest"] == importlib.metadata.version("pytest")
    listing = "\n".join(f"{name}=={version}" for name, version in sorted(environment["packages"].items()))
    assert environment["packages_digest"] == f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"
    assert environment["os"] == platform.platform()
    assert environment["cpu"]


def test_files_of_the_project_do_not_shadow_the_standard_library(project: Project) -> None:
    """`src` layouts have modules called json or logging; the probes and DVC's runner must not import those."""
    for name in ("json", "logging", "platform", "signal", "dvc"):
        project.write(f"{name}.py", "raise RuntimeError('imported from the project')\n")
    project.edit("dvc.yaml", "cmd: python src/prepare.py\n", "cmd: 'true'\n")
    project.edit("dvc.yaml", "    outs: [data/clean.csv]\n", "")
    # -P as in the command `ci-ml`; without it, `python -m` itself puts the current folder first.
    result = project.run(sys.executable, "-P", "-m", "ci_ml", "train", "prepare").expect(0)
    assert "imported from the project" not in result.err
    assert project.json(".ci-ml/training.json")["environment"]["packages"]


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("dvc.yaml", "stages:\n  train: {cmd: [\n", "dvc.yaml:"),
        ("dvc.yaml", "stages:\n  train: {deps: [a]}\n", "dvc.yaml"),
        (
            "dvc.lock",
            "<<<<<<< HEAD\nschema: '2.0'\n=======\nschema: '2.0'\n>>>>>>> other\n",
            "dvc.lock:1 holds conflict markers",
        ),
    ],
)
def test_broken_files_of_dvc_are_found_before_anything_runs(project: Project, path: str, text: str, words: str) -> None:
    project.write(path, text)
    before = snapshot(project)
    result = project.ci_ml("train").expect(2)
    assert words in result.err
    assert snapshot(project) == before


@pytest.mark.thorough
def test_the_cache_of_dvc_is_that_of_dvc(project: Project) -> None:
    """What train reproduces, DVC finds reproduced, and pushes."""
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.ci_ml("train").expect(0)
    assert json.loads(project.dvc("status", "--json")) == {}
    project.dvc("push", "--quiet")
    assert project.digest("model.json") in objects(project.root.parent / "remote/files/md5")
