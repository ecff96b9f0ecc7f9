"""A PostgreSQL server of a test's own: Debian's, on a port of its own, gone when the test is.

It does not run as root, so under root it runs as whom Debian's package made for it.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

USER, PASSWORD = "ada", "p@ss/w:rd%of#ada"
_DEADLINE = 60.0
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "'127.0.0.1'",
    "max_connections": "50",
    "shared_buffers": "'64MB'",
    "shared_preload_libraries": "pg_stat_statements",
}


def programs() -> Path | None:
    """The folder of the newest version's programs; Debian does not put them on PATH."""
    if found := shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: float(path.parts[-3]))
    return installed[-1].parent if installed else None


@dataclass(kw_only=True)
class Postgres:
    """A running server."""

    port: int
    folder: Path
    bin: Path
    account: str | None
    _names: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def url(self, database: str = "postgres", user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements, each on its own; the rows of the last."""
        import psycopg

        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                done = connection.execute(statement.encode())
                rows = done.fetchall() if done.description else []
        return rows

    def database(self) -> str:
        """An empty database of its own."""
        name = f"test_{next(self._names)}"
        self.run(f"CREATE DATABASE {name}")
        return name

    def end(self, how: str = "immediate") -> None:
        """As when the machine is gone (`immediate`), or shut down by somebody (`fast`)."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._do("pg_ctl", "stop", "--silent", f"--mode={how}", f"--pgdata={self.folder}/data")

    def start(self) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        options += f" -p {self.port} -c unix_socket_directories={self.folder}"
        self._do(
            "pg_ctl", "start", "--silent", "--wait", f"--timeout={_DEADLINE:.0f}",
            f"--pgdata={self.folder}/data", f"--log={self.folder}/log", f"--options={options}",
        )  # fmt: skip

    def create(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.account:
            shutil.chown(self.folder, self.account)
            shutil.chown(secret, self.account)
        self._do(
            "initdb", f"--pgdata={self.folder}/data", f"--username={USER}", f"--pwfile={secret}", "--no-sync",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8",
        )  # fmt: skip

    def _do(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.bin / program), *arguments],
            user=self.account,
            group=self.account and pwd.getpwnam(self.account).pw_gid,
            extra_groups=[] if self.account else None,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would stay open as long as the server runs
            stderr=subprocess.DEVNULL,
            timeout=_DEADLINE,
        )
        done.check_returncode()


def _account() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@contextlib.contextmanager
def served() -> Iterator[Postgres]:
    """A running server; the test is skipped where PostgreSQL is not installed."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed (on Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="ci-ml-postgres-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    server = Postgres(port=port, folder=folder, bin=found, account=_account())
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)
