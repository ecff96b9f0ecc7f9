"""A tracking server as teams run it: runs in PostgreSQL, artifacts on S3. All of it on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import requests
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from tests.postgres import Postgres

KEYS = {
    "AWS_ACCESS_KEY_ID": "key-of-the-test",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "models"
_DEADLINE = 180.0


@dataclass(kw_only=True)
class Store:
    """An S3 server with a bucket."""

    url: str
    server: ThreadedMotoServer

    @property
    def bucket(self) -> object:
        session = boto3.session.Session(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
        return session.resource("s3", endpoint_url=self.url, region_name=KEYS["AWS_DEFAULT_REGION"]).Bucket(BUCKET)


@contextmanager
def stored() -> Iterator[Store]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = Store(url=f"http://{host}:{port}", server=server)
        made.bucket.create()  # type: ignore[attr-defined]
        yield made
    finally:
        server.stop()


@contextmanager
def tracking(folder: Path, database: Postgres, store: Store) -> Iterator[str]:
    """The address of a server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    name = database.database()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database.url(name).replace("postgresql://", "postgresql+psycopg://")]
    command += ["--artifacts-destination", f"s3://{BUCKET}/artifacts"]
    env = {**os.environ, **KEYS, "MLFLOW_S3_ENDPOINT_URL": store.url, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(process, url, folder / "log")
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            if requests.get(f"{url}/health", timeout=5).ok:
                return
        except requests.RequestException:
            continue
    raise AssertionError(log.read_text())
