"""Promotions on an MLflow server as teams run it: PostgreSQL, artifacts on S3; two at once, and it goes down midway."""

import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests import mlflow_server, postgres
from tests.e2e import promoting
from tests.e2e.project import CI_ML_YAML, DEADLINE, Project, Result, copy
from tests.e2e.promoting import REGISTRY

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        mlflow_server.stored() as store,
        postgres.served() as database,
        mlflow_server.tracking(tmp_path_factory.mktemp("mlflow"), database, store) as url,
    ):
        yield url


@pytest.fixture
def project(
    trained: Path, environment: dict[str, str], server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Project:
    """A project with a remote, whose head was judged; its model has a name of its own on the server."""
    copy(trained, tmp_path / "p")
    env = {**environment, "MLFLOW_TRACKING_URI": server, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    made = Project(root=tmp_path / "p" / "repo", env=env)
    made.git("init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    made.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    made.write("ci-ml.yaml", CI_ML_YAML + REGISTRY.replace("churn:", f"{name(request)}:"))
    made.commit("a registry")
    made.git("push", "--quiet", "origin", "main")
    promoting.trained(made, 0.2)
    return made


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    return name(request)


def name(request: pytest.FixtureRequest) -> str:
    return f"m-{zlib.crc32(request.node.name.encode())}"


def aliases(server: str, model: str) -> dict[str, str]:
    answer = requests.get(f"{server}/api/2.0/mlflow/registered-models/get", {"name": model}, timeout=DEADLINE)
    found = answer.json().get("registered_model", {}).get("aliases", [])
    return {item["alias"]: item["version"] for item in found}


def versions(server: str, model: str) -> list[str]:
    answer = requests.get(
        f"{server}/api/2.0/mlflow/model-versions/search", {"filter": f"name = '{model}'"}, timeout=DEADLINE
    )
    return sorted(item["version"] for item in answer.json().get("model_versions", []))


def test_forth_and_back_with_the_ledger_on_the_server(project: Project, server: str, model: str) -> None:
    project.ci_ml("promote", model).expect(0)
    promoting.trained(project, 0.3)
    project.ci_ml("promote", model).expect(0)
    assert aliases(server, model) == {"champion": "2"}
    project.ci_ml("rollback", model, "--why", "it drifts").expect(0)
    assert aliases(server, model) == {"champion": "1"}
    assert "refs/ci-ml/ledger" in project.git("ls-remote", "origin")
    story = project.ci_ml("history", model, "--format", "json").expect(0).json()
    assert [row["version"] for row in story["changes"]] == ["1", "2", "1"]
    assert story["doubts"] == []


def test_two_promotions_at_once_of_two_commits(project: Project, server: str, model: str, tmp_path: Path) -> None:
    """From two clones: one wins and the other says so, or they come one after the other; nothing is half."""
    project.ci_ml("promote", model).expect(0)
    jobs = []
    for number, rate in enumerate((0.3, 0.4)):
        copy(project.root.parent, tmp_path / f"clone{number}")
        clone = Project(root=tmp_path / f"clone{number}" / "repo", env=project.env)
        promoting.trained(clone, rate)
        jobs.append(clone)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [clone.start("promote", model, **pipes) for clone in jobs]
    ended = []
    for process in running:
        out, err = process.communicate(timeout=DEADLINE)
        ended.append(Result(code=process.returncode, out=out.decode(), err=err.decode()))
    assert {done.code for done in ended} <= {0, 3}, [done.text for done in ended]
    assert any(done.code == 0 for done in ended)
    for done in ended:
        if done.code == 3:
            words = ("is under way", "another run was faster", "taken over", "moved by hand just now")
            assert any(text in done.err for text in words), done.text
    story = project.ci_ml("history", model, "--format", "json").expect(0).json()
    assert story["doubts"] == []
    assert story["ledger"] == story["aliases"] == aliases(server, model)
    assert len(story["changes"]) == 1 + sum(done.code == 0 for done in ended)
    assert len(set(versions(server, model))) == len(versions(server, model))


def test_a_registry_that_is_down_between_version_and_alias(project: Project, server: str, model: str) -> None:
    project.ci_ml("promote", model).expect(0)
    promoting.trained(project, 0.3)
    with between(server, "registered-models/alias") as address:
        down = Project(root=project.root, env={**project.env, "MLFLOW_TRACKING_URI": address})
        done = down.ci_ml("promote", model).expect(3)
        assert "run the same command again" in done.err
    assert aliases(server, model) == {"champion": "1"}
    assert versions(server, model) == ["1", "2"]
    assert "registry" not in project.ci_ml("history", model).expect(0).err
    project.ci_ml("promote", model).expect(0)
    assert aliases(server, model) == {"champion": "2"}
    assert versions(server, model) == ["1", "2"], "no twin"
    assert project.ci_ml("history", model, "--format", "json").expect(0).json()["doubts"] == []


@contextmanager
def between(server: str, refused: str) -> Iterator[str]:
    """A way to the server on which some requests get no answer."""

    class Way(BaseHTTPRequestHandler):
        def _go(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if self.command == "POST" and refused in self.path:
                self.close_connection = True
                return
            kept = {key: value for key, value in self.headers.items() if key.lower() not in ("host", "content-length")}
            answer = requests.request(self.command, server + self.path, data=body, headers=kept, timeout=DEADLINE)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _go  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    way = ThreadingHTTPServer(("127.0.0.1", 0), Way)
    threading.Thread(target=way.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{way.server_address[1]}"
    finally:
        way.shutdown()
        way.server_close()


_MEASURED = """\
import resource, sys
from ci_ml.__main__ import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
_LARGE = 400 * 2**20


def test_a_large_model_is_streamed(project: Project, server: str, model: str) -> None:
    """It takes no more memory than a small one, give or take a tenth of its size."""

    def peak() -> int:
        done = project.run(sys.executable, "-c", _MEASURED, "promote", model).expect(0)
        return int(done.err.split()[-1]) * 1024

    small = peak()
    script = project.read("src/train.py").replace(
        'json.dump({"slope": slope, "offset": offset}, open("model.json", "w"))',
        f'out = open("model.json", "w")\njson.dump({{"slope": slope, "offset": offset}}, out)\n'
        f'out.write(" " * 2**20)\nfor _ in range({_LARGE // 2**20}):\n    out.write(" " * 2**20)\nout.close()',
    )
    assert str(_LARGE // 2**20) in script
    project.write("src/train.py", script)
    promoting.trained(project, 0.3)
    assert (project.root / "model.json").stat().st_size > _LARGE
    assert peak() < small + _LARGE // 5
    assert aliases(server, model) == {"champion": "2"}
