"""Training is logged to a real MLflow server and to the embedded store; MLflow's troubles never cost a training."""

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e import watching
from tests.e2e.project import DEADLINE, Project, Result, copy, until

pytestmark = pytest.mark.thorough

USER, PASSWORD = "alice", "hunter2-of-alice"

OWN_RUN = """\
import mlflow

mlflow.set_experiment("theirs")
with mlflow.start_run(run_name="inner"):
    mlflow.log_metric("inner", 1.5)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class Server:
    """An MLflow server and what it knows."""

    url: str

    def ask(self, path: str, **question: Any) -> Any:
        answer = requests.post(f"{self.url}/api/2.0/mlflow/{path}", json=question, timeout=DEADLINE)
        assert answer.ok, answer.text
        return answer.json()

    def experiments(self) -> dict[str, str]:
        """Ids by name."""
        return {
            item["name"]: item["experiment_id"]
            for item in self.ask("experiments/search", max_results=100)["experiments"]
        }

    def runs(self, experiment: str) -> list["Run"]:
        number = self.experiments().get(experiment)
        found = self.ask("runs/search", experiment_ids=[number]).get("runs", []) if number else []
        return [Run.of(item) for item in found]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of an MLflow store."""

    id: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]

    @classmethod
    def of(cls, item: Any) -> "Run":
        data = item["data"]
        return cls(
            id=item["info"]["run_id"],
            status=item["info"]["status"],
            **{
                part: {entry["key"]: entry["value"] for entry in data.get(part, [])}
                for part in ("params", "metrics", "tags")
            },
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Server]:
    """`mlflow server` on SQLite, as a process."""
    folder = tmp_path_factory.mktemp("mlflow")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        url.rpartition(":")[2],
        "--workers",
        "1",
    ]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/store.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # its workers cost many seconds
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            until(lambda: process.poll() is not None or healthy(url), "the server of MLflow answers")
            assert process.poll() is None, (folder / "log").read_text()
            yield Server(url=url)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE)


def healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


def tracked(project: Project) -> Project:
    """A change that has to be trained, in a project that is tracked."""
    project.write("ci-ml.yaml", project.read("ci-ml.yaml").replace("track: false", "track: true"))
    project.commit()
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.commit()
    return project


# --- A server ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A training whose stage logs a run of its own, on a server whose address holds a password."""

    project: Project
    training: Result
    record: dict[str, Any]
    secret: dict[str, str]


@pytest.fixture(scope="module")
def logged(
    server: Server, trained: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Logged:
    folder = tmp_path_factory.mktemp("logged")
    copy(trained, folder / "p")
    project = tracked(Project(root=folder / "p" / "repo", env=environment))
    project.write("src/train.py", project.read("src/train.py") + OWN_RUN)
    project.commit()
    env = {
        "MLFLOW_TRACKING_URI": server.url.replace("http://", f"http://{USER}:{PASSWORD}@"),
        "GITLAB_CI": "true",
        "CI_JOB_URL": "https://example.org/jobs/7",
    }
    training = project.ci_ml("train", env=env).expect(0)
    assert "View run inner" in training.err  # the stage's own MLflow says where its run is
    return Logged(project=project, training=training, record=project.json(".ci-ml/training.json"), secret=env)


def test_a_run_has_params_metrics_and_tags(server: Server, logged: Logged) -> None:
    (run,) = server.runs("repo")
    assert run.id == logged.record["mlflow_run"]
    assert run.status == "FINISHED"
    assert run.params == {"prepare": "{'keep': 1.0}", "train.rate": "0.1", "train.steps": "2"}
    metrics = logged.project.json("metrics.json")
    assert run.metrics == {
        "metrics.json_accuracy": metrics["accuracy"],
        "metrics.json_loss.log": metrics["loss"]["log"],
        "metrics.json_rows": metrics["rows"],
    }
    head = logged.project.git("rev-parse", "HEAD")
    assert run.tags == {
        **run.tags,
        "mlflow.source.git.commit": head,
        "ci-ml.commit": head,
        "ci-ml.dirty": "false",
        "ci-ml.lock": logged.record["lock"],
        "ci-ml.run_url": "https://example.org/jobs/7",
        "ci-ml.outcome": "success",
        "ci-ml.stages_run": "train evaluate",
        "ci-ml.packages": logged.record["environment"]["packages_digest"],
    }


def test_a_run_that_a_stage_logs_is_linked_and_not_broken(server: Server, logged: Logged) -> None:
    (inner,) = server.runs("theirs")
    (outer,) = server.runs("repo")
    assert (inner.status, inner.metrics) == ("FINISHED", {"inner": 1.5})
    assert inner.tags["ci-ml.parent_run"] == outer.id
    assert outer.tags["ci-ml.linked_runs"] == inner.id
    assert inner.tags["ci-ml.training"] == outer.tags["ci-ml.training"]
    assert logged.record["linked_runs"] == [inner.id]


def test_when_nothing_ran_nothing_is_logged(server: Server, logged: Logged) -> None:
    logged.project.ci_ml("train", "--output", "again", env=logged.secret).expect(0)
    assert len(server.runs("repo")) == 1
    assert logged.project.json("again/training.json")["mlflow_run"] is None


def test_a_password_in_the_address_is_shown_nowhere(logged: Logged) -> None:
    report = logged.project.ci_ml("check", "--format", "json", env=logged.secret).expect(0)
    assert report.json()["training"]["mlflow_run"] == logged.record["mlflow_run"]
    assert logged.record["mlflow_uri"].startswith("http://***@127.0.0.1:")
    places = {
        "the output of train": logged.training.out + logged.training.err,
        "the output of check": report.out + report.err,
        "training.json": logged.project.read(".ci-ml/training.json"),
        "report.json": logged.project.read(".ci-ml/report.json"),
    }
    for place, text in places.items():
        assert PASSWORD not in text, place
        assert f"{USER}:" not in text, place


def test_a_training_that_fails_is_logged_as_failed(server: Server, project: Project) -> None:
    tracked(project)
    project.write("src/evaluate.py", "raise SystemExit(4)\n")
    env = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "failures"}
    project.ci_ml("train", env=env).expect(3)
    (run,) = server.runs("failures")
    assert (run.status, run.tags["ci-ml.outcome"], run.tags["ci-ml.stages_run"]) == ("FAILED", "failed", "train")
    assert project.json(".ci-ml/training.json")["mlflow_run"] == run.id


def test_an_interrupted_training_leaves_no_run_that_looks_complete(server: Server, project: Project) -> None:
    tracked(project)
    project.write("src/train.py", "import os, time\nopen('.git/up', 'w')\ntime.sleep(1000)\n")
    with project.start(
        "train", env={"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "stopped"}
    ) as process:
        until((project.root / ".git/up").exists, "the stage runs")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
    assert [run.status for run in server.runs("stopped") if run.status == "FINISHED"] == []


def test_values_that_mlflow_refuses_are_made_to_fit(server: Server, project: Project) -> None:
    """Long values, names with other characters, many entries at once."""
    tracked(project)
    many = {f"metric {number}": number for number in range(1100)}
    project.write(
        "src/evaluate.py",
        f"import json\njson.dump({ {'ä/ö:ü': 1, 'nan': float('nan'), 'text': 'x', **many}!r}".replace(
            "nan,", "float('nan'),"
        )
        + ", open('metrics.json', 'w'))\n",
    )
    project.write("params.yaml", project.read("params.yaml").replace("rate: 0.1", f"rate: 0.1\n  name: {'x' * 7000}"))
    project.edit("dvc.yaml", "[train.rate, train.steps]", "[train]")
    env = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "odd names"}
    result = project.ci_ml("train", env=env).expect(0)
    assert "not logged" not in result.err
    (run,) = server.runs("odd names")
    assert run.status == "FINISHED"
    assert run.metrics["metrics.json_metric 1099"] == 1099
    assert len(run.metrics) == 1101


# --- No server, or a bad one ---------------------------------------------------------------------------------------------


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers everything with one status."""

    status = 500

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"no, alas\n")

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def refusing(status: int) -> Iterator[str]:
    """The address of a server that answers everything with one status."""
    handler = type("Handler", (Refusing,), {"status": status})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def check_only_a_notice(project: Project, uri: str, **env: str) -> str:
    """Training works although MLflow does not; hands back the notice."""
    tracked(project)
    result = project.ci_ml("train", env={"MLFLOW_TRACKING_URI": uri, **env}).expect(0)
    record = project.json(".ci-ml/training.json")
    assert (record["outcome"], record["mlflow_run"]) == ("success", None)
    assert [stage["state"] for stage in record["stages"]] == ["skipped", "ran", "ran"]
    notices = [line for line in result.err.splitlines() if line.startswith("note: the run was not logged: ")]
    assert len(notices) == 1, result.text
    assert len(notices[0]) < 1000
    assert PASSWORD not in result.text + project.read(".ci-ml/training.json")
    return notices[0]


def test_a_server_that_is_down_is_a_notice(project: Project) -> None:
    notice = check_only_a_notice(project, f"http://{USER}:{PASSWORD}@127.0.0.1:{free_port()}")
    assert "127.0.0.1" in notice


@pytest.mark.parametrize("status", [500, 403])
def test_a_server_that_refuses_is_a_notice(project: Project, status: int) -> None:
    with refusing(status) as address:
        notice = check_only_a_notice(project, f"http://{USER}:{PASSWORD}@{address}")
    assert str(status) in notice


def test_a_server_that_never_answers_is_a_notice(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        check_only_a_notice(project, address, MLFLOW_HTTP_REQUEST_TIMEOUT="1", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")


def test_an_address_that_is_none_is_a_notice(project: Project) -> None:
    check_only_a_notice(project, "nonsense://somewhere")


# --- The embedded store ---------------------------------------------------------------------------------------------------

_READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
runs = client.search_runs([item.experiment_id for item in client.search_experiments()])
print(json.dumps([[run.info.run_id, run.info.status, run.data.params, run.data.metrics, run.data.tags] for run in runs]))
"""


def test_without_a_server_the_run_is_in_a_local_store(project: Project) -> None:
    tracked(project)
    project.ci_ml("train").expect(0)
    record = project.json(".ci-ml/training.json")
    store = project.root / ".ci-ml/mlflow.db"
    assert record["mlflow_uri"] == f"sqlite:///{store}"
    done = project.run(sys.executable, "-c", _READ, f"sqlite:///{store}")
    assert done.code == 0, done.text
    ((run, status, params, metrics, tags),) = json.loads(done.out.splitlines()[-1])
    assert (run, status) == (record["mlflow_run"], "FINISHED")
    assert params["train.steps"] == "2"
    assert metrics["metrics.json_accuracy"] == project.json("metrics.json")["accuracy"]
    assert tags["ci-ml.commit"] == project.git("rev-parse", "HEAD")
    assert project.git("ls-files", "--others", "--exclude-standard") == ""


def test_json_stays_alone_on_stdout_when_the_run_is_logged(server: Server, project: Project) -> None:
    tracked(project)
    env = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "json"}
    report = project.ci_ml("ci", "--format", "json", env=env).expect(0).json()
    (run,) = server.runs("json")
    assert report["training"]["mlflow_run"] == run.id


def test_ci_compares_the_time_of_each_stage_with_that_of_the_base(server: Server, project: Project) -> None:
    tracked(project)
    env = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "times"}
    project.edit("params.yaml", "steps: 2", "steps: 4")
    project.ci_ml("train", env=env).expect(0)
    trained = {stage["name"]: stage["seconds"] for stage in project.json(".ci-ml/training.json")["stages"]}
    project.commit("trained")
    (logged,) = server.runs("times")
    text = "".join(logged.tags[key] for key in sorted(logged.tags) if key.startswith("ci-ml.environment."))
    assert json.loads(text)["packages"] == project.json(".ci-ml/training.json")["environment"]["packages"]
    project.branch("later")
    project.edit("params.yaml", "steps: 4", "steps: 5")
    project.commit("change")
    project.ci_ml("ci", "--no-publish", "--base", "HEAD~1", env=env).expect(0)
    training = project.json(".ci-ml/report.json")["training"]
    assert training["before"]["run"] == logged.id
    assert training["before"]["stages"] == {name: trained[name] for name in ("train", "evaluate")}
    assert {stage["name"] for stage in training["stages"] if stage["state"] == "ran"} == {"train", "evaluate"}
    assert project.json(".ci-ml/report.json")["environment"] == {"differences": [], "missing": []}


def test_ci_says_in_what_else_the_base_was_trained(server: Server, project: Project, tmp_path: Path) -> None:
    """The stages run with another Python than before: one that has a package more."""
    tracked(project)
    env = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "environments"}
    project.ci_ml("train", env=env).expect(0)
    project.commit("trained")
    project.branch("later")
    project.edit("params.yaml", "steps: 2", "steps: 5")
    project.commit("change")
    about = tmp_path / "more" / "of_late-1.5.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: Of_Late\nVersion: 1.5\n")
    project.ci_ml("ci", "--no-publish", "--base", "HEAD~1", env={**env, "PYTHONPATH": str(tmp_path / "more")}).expect(0)
    assert project.json(".ci-ml/report.json")["environment"] == {
        "differences": [{"kind": "package", "name": "of-late", "base": None, "head": "1.5"}],
        "missing": [],
    }
    shown = project.ci_ml("report").expect(0).out
    assert "Environment: 1 package differs" in shown
    page = project.read(".ci-ml/report.html")
    assert "of-late" in page


def test_a_training_is_not_compared_with_itself(server: Server, project: Project) -> None:
    tracked(project)
    env = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "itself"}
    project.edit("ci-ml.yaml", "track: true", "track: true, when: always")
    project.dvc("repro", "--quiet")
    project.commit("always")
    project.write("NOTES.md", "Nothing that a stage reads.")
    project.commit("a note")
    project.ci_ml("ci", "--no-publish", "--base", "HEAD~1", env=env).expect(0)
    assert project.json(".ci-ml/report.json")["training"]["before"] is None
    first = project.json(".ci-ml/report.json")["training"]["mlflow_run"]
    project.ci_ml("ci", "--no-publish", "--base", "HEAD~1", env=env).expect(0)
    training = project.json(".ci-ml/report.json")["training"]
    assert training["before"]["run"] == first != training["mlflow_run"]


def test_production_is_compared_with_what_the_server_has_of_the_training(
    server: Server, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The job that watches has the code, and none of the data."""
    env = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "watched"}
    project = watching.build(tmp_path / "watched", {**environment, **env})
    project.edit("ci-ml.yaml", "train: {track: false}\n", "")
    project.edit("ci-ml.yaml", "    predictions: test\n", "")
    project.edit("params.yaml", "rate: 0.1", "rate: 0.11")
    done = project.ci_ml("train").expect(0)
    assert "note:" not in done.err
    project.commit("trained")
    [training] = server.runs("watched")
    job = project.clone("job")
    job.dvc("remote", "remove", "storage")
    job.write("model.json", project.json("model.json"))
    watching.produce(job, shift=3.0)
    done = job.ci_ml("monitor", "--format", "json").expect(10)
    assert any("by the profile that was recorded of it" in text for text in done.json()["notices"])
    found = {item["metric"]: item["head"] for item in done.json()["comparisons"]}
    [seen] = [run for run in server.runs("watched") if run.id != training.id]
    assert (seen.status, seen.tags["ci-ml.monitor"], seen.tags["ci-ml.outcome"]) == ("FINISHED", "live", "fail")
    assert seen.metrics["live.x drift"] == pytest.approx(found["live.x drift"])
