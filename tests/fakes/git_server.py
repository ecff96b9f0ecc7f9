"""A git server over HTTP, git's own `http-backend`, that asks for a name and a token before it takes a push."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit


@dataclass(kw_only=True)
class GitServer:
    """Bare repositories below `root`; `users` are tokens by the name that goes with them."""

    root: Path
    users: dict[str, str]
    url: str = ""
    refused: list[str] = field(default_factory=list)

    def repository(self, name: str) -> Path:
        """A new, empty repository that may be pushed to over HTTP."""
        place = self.root / f"{name}.git"
        git = ["git", "-c", "init.defaultBranch=main"]
        subprocess.run([*git, "init", "--quiet", "--bare", str(place)], check=True)
        subprocess.run(["git", "-C", str(place), "config", "http.receivepack", "true"], check=True)
        subprocess.run(["git", "-C", str(place), "config", "receive.advertisePushOptions", "true"], check=True)
        return place

    def knows(self, header: str) -> bool:
        """Whether a header of basic authentication is that of a user."""
        return header in {
            f"Basic {base64.b64encode(f'{name}:{token}'.encode()).decode()}" for name, token in self.users.items()
        }


def heads(bare: Path) -> dict[str, str]:
    """The branches of a repository, and where they are: what a forge knows that has it."""
    done = subprocess.run(
        ["git", "-C", str(bare), "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {name: sha for sha, _, name in (line.partition(" ") for line in done.stdout.splitlines())}


@contextmanager
def serve(root: Path, users: dict[str, str]) -> Iterator[GitServer]:
    """A running server, on a port of its own."""
    server = GitServer(root=root, users=users)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _answer(self, body: bytes) -> None:
            asked = urlsplit(self.path)
            if "receive-pack" in self.path and not server.knows(self.headers.get("Authorization", "")):
                server.refused.append(self.headers.get("Authorization", ""))
                self.send_response(403 if self.headers.get("Authorization") else 401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()
                return
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                capture_output=True,
                check=True,
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(server.root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "REMOTE_USER": "ci",
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": asked.path,
                    "QUERY_STRING": asked.query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                },
            ).stdout
            head, _, content = done.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing on the terminal of the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        server.url = f"http://127.0.0.1:{running.server_port}"
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            running.shutdown()
            thread.join()
