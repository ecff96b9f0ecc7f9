"""The part of MLflow's API that GitLab speaks, with memory.

As GitLab documents it (https://docs.gitlab.com/user/project/ml/experiment_tracking/mlflow_client/) and as its source
has it (lib/api/ml/mlflow): no aliases, no search of versions, semantic versions, a run for each version, one flat
folder of files for each, and tags that are set once.
"""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/api/v4/projects/7/ml/mlflow"
FILES = "/api/v4/projects/7/packages/ml_models"
_SEMANTIC = re.compile(r"\d+\.\d+\.\d+")


@dataclass
class Version:
    """A version of a model, and its run."""

    number: str
    run: str
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Project:
    """A GitLab project's registry. `refused` are methods and paths that get a 500."""

    url: str = ""
    token: str = "glpat-of-the-test"
    models: dict[str, dict[str, Version]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    @property
    def tracking(self) -> str:
        return f"{self.url}{PREFIX}"

    def of_run(self, run: str) -> Version | None:
        return next((one for versions in self.models.values() for one in versions.values() if one.run == run), None)

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if path.startswith(FILES):
            return self._file(method, path, body)
        name = path.removeprefix(f"{PREFIX}/api/2.0/mlflow/")
        sent = json.loads(body) if body and method != "GET" else query
        known = {
            "registered-models/create": self._create,
            "registered-models/get": self._get,
            "model-versions/create": self._version,
            "model-versions/get": self._found,
            "runs/get": self._run,
            "runs/set-tag": self._tag,
        }
        return known[name](sent) if name in known else (404, {"error": "404 Not Found"})

    def _create(self, sent: dict[str, Any]) -> tuple[int, Any]:
        if sent["name"] in self.models:
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS"}
        self.models[sent["name"]] = {}
        return 200, {"registered_model": {"name": sent["name"]}}

    def _get(self, sent: dict[str, Any]) -> tuple[int, Any]:
        if sent["name"] not in self.models:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}
        return 200, {"registered_model": {"name": sent["name"]}}

    def _version(self, sent: dict[str, Any]) -> tuple[int, Any]:
        tags = {item["key"]: item["value"] for item in sent.get("tags", [])}
        number, versions = tags.get("gitlab.version", ""), self.models[sent["name"]]
        if not _SEMANTIC.fullmatch(number) or number in versions:
            return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Version is invalid"}
        versions[number] = Version(number, uuid.uuid4().hex)  # MLflow remembers where the files of a run are
        return 200, {"model_version": self._shown(sent["name"], versions[number])}

    def _found(self, sent: dict[str, Any]) -> tuple[int, Any]:
        found = self.models.get(sent["name"], {}).get(sent["version"])
        if found is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}
        return 200, {"model_version": self._shown(sent["name"], found)}

    def _shown(self, name: str, version: Version) -> dict[str, Any]:
        return {"name": name, "version": version.number, "run_id": version.run, "status": "READY", "source": "api/v4"}

    def _run(self, sent: dict[str, Any]) -> tuple[int, Any]:
        found = self.of_run(sent["run_id"])
        if found is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}
        info = {
            "run_id": found.run, "run_uuid": found.run, "experiment_id": "1", "status": "RUNNING",
            "lifecycle_stage": "active", "artifact_uri": f"{self.url}{FILES}/{found.run}/files", "start_time": 0,
        }  # fmt: skip
        tags = [{"key": key, "value": value} for key, value in found.tags.items()]
        return 200, {"run": {"info": info, "data": {"tags": tags}}}

    def _tag(self, sent: dict[str, Any]) -> tuple[int, Any]:
        found = self.of_run(sent["run_id"])
        if found is None or sent["key"] in found.tags:
            return 400, {"error": "400 Bad request"}
        found.tags[sent["key"]] = sent["value"]
        return 200, {}

    def _file(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        run, _, name = path.removeprefix(f"{FILES}/").partition("/files/")
        found = self.of_run(run)
        if method != "PUT" or found is None or "/" in name:
            return 404, {"error": "404 Not Found"}
        found.files[name] = body
        return 201, {}


@contextmanager
def served() -> Iterator[Project]:
    """A project on a server of its own."""
    project = Project()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _go(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock:
                path = unquote(parts.path)
                project.log.append(f"{self.command} {path}")
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                if self.headers.get("Authorization") != f"Bearer {project.token}":
                    status, document = 401, {"message": "401 Unauthorized"}
                elif any(words in f"{self.command} {path}" for words in project.refused):
                    status, document = 400, {"error": "not now"}
                else:
                    status, document = project.answer(self.command, path, query, body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = _go  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    project.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield project
    finally:
        server.shutdown()
        server.server_close()
