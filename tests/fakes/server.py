"""What both fake forges are built on: a real HTTP server with a memory, a log, and faults on demand.

The forge itself (`github`, `gitlab`) turns a `Request` into an `Answer`. Everything a network does to the two on their way is
here, so that a test asks for it the same way for each forge.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

# Nothing waits for the clock; this only ends a test whose own thread never released what it holds.
PATIENCE = 60.0


class Clock:
    """A clock that stands still until it is told to move, but for one second with every write."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        self.now = start

    def advance(self, seconds: float = 1) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@dataclass(frozen=True)
class Request:
    """What a client sent. `path` is as it came, still encoded, without the server's prefix."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON; None where there is none. GitLab's clients also send forms."""
        if not self.body:
            return None
        if "x-www-form-urlencoded" in self.headers.get("content-type", ""):
            return dict(parse_qsl(self.body.decode(), keep_blank_values=True))
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What goes back: a JSON document, or with `text` something that is none."""

    status: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None

    @property
    def payload(self) -> bytes:
        if self.text is not None:
            return self.text.encode()
        return b"" if self.status in {204, 304} else json.dumps(self.document, ensure_ascii=False).encode()


class Refused(Exception):
    """An answer that says no; raised from anywhere, so that the code of an endpoint reads straight."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.document or answer.text}")
        self.answer = answer


@dataclass
class Logged:
    """One request as the log keeps it. `status` is None where nothing was answered."""

    method: str
    path: str
    query: dict[str, str]
    token: str  # the kind of token: actions, pat, …; anonymous; unknown
    headers: dict[str, str] = field(repr=False)  # without the secret
    status: int | None = None

    def __str__(self) -> str:
        query = "&".join(f"{key}={value}" for key, value in self.query.items())
        return f"{self.method} {self.path}{'?' if query else ''}{query} -> {self.status}"


# Faults: what may happen to a request instead of, or on top of, its answer.


@dataclass(frozen=True)
class Status:
    """An answer with this status, from the forge's front end. Nothing was done."""

    code: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Throttled:
    """429 with Retry-After (seconds, or a date), in the words of the forge."""

    retry_after: int | str | None = 60


@dataclass(frozen=True)
class SecondaryLimit:
    """GitHub's 403 for too much at once. It may come without Retry-After."""

    retry_after: int | str | None = 60


@dataclass(frozen=True)
class PrimaryLimit:
    """GitHub's 403 for a spent hourly budget: `x-ratelimit-remaining` is 0, `x-ratelimit-reset` this many seconds ahead.

    Ahead of the forge's clock; for a client that looks at its own, start it with `Clock(datetime.now(UTC))`.
    """

    seconds: int = 120


@dataclass(frozen=True)
class Reset:
    """The connection breaks. With `done` only after the request was carried out, which the client cannot know."""

    done: bool = False


@dataclass(frozen=True)
class Half:
    """The request is carried out, but half of the answer's body is missing when the connection ends."""


@dataclass(frozen=True)
class Page:
    """A page for people, of a proxy or a captive portal, where JSON was expected."""

    code: int = 200
    html: str = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Company proxy</h1></body></html>"


@dataclass(frozen=True)
class Redirect:
    """Go there instead. {path} in the location is the path and query that were asked for."""

    location: str
    code: int = 301


@dataclass(frozen=True)
class Hang:
    """Nothing is answered until the test releases it; the request is carried out then."""

    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        self.released.set()


Fault = Status | Throttled | SecondaryLimit | PrimaryLimit | Reset | Half | Page | Redirect | Hang


@dataclass
class Trigger:
    """Which requests something happens to: the first `times` that match, after `after` that also do."""

    action: Fault | Callable[[Request], object]
    method: str | None
    path: re.Pattern[str]
    times: int | None
    after: int
    hits: int = 0  # how often it happened

    def takes(self, request: Request) -> bool:
        if self.times == 0 or (self.method or request.method) != request.method:
            return False
        if not self.path.search(unquote(request.path)):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times = None if self.times is None else self.times - 1
        self.hits += 1
        return True


class Server:
    """One forge on a port of the loopback interface, for as long as the `with` block lasts.

    Leaving the block raises what went wrong inside: an exception in the fake itself, or an answer that does not fit the
    forge's published description. No test can pass on an answer that the real forge would not give.
    """

    def __init__(self, *, prefix: str = "", host: str = "127.0.0.1", port: int = 0, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.lock = threading.RLock()  # held for every request and by everything that reads or writes the memory
        self.requests: list[Logged] = []
        self.problems: list[str] = []
        self.prefix = prefix
        self._faults: list[Trigger] = []
        self._hooks: list[Trigger] = []
        self._identifiers: dict[str, int] = {}
        self._http = _Listener((host, port), self)
        self.origin = f"http://{host}:{self._http.server_port}"

    @property
    def url(self) -> str:
        """The root of the REST API."""
        return self.origin + self.prefix

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for trigger in self._faults:
            if isinstance(trigger.action, Hang):
                trigger.action.release()
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()
        if self.problems and kind is None:
            raise AssertionError("the fake forge misbehaved:\n" + "\n".join(self.problems))

    # What a test may ask for.

    def fail(
        self, fault: Fault, method: str | None = None, path: str = "", *, times: int | None = 1, after: int = 0
    ) -> Trigger:
        """`fault` for the first `times` requests (None: all) of `method` whose path has `path` (a regex) in it."""
        return self._add(self._faults, Trigger(fault, method, re.compile(path), times, after))

    def before(
        self,
        action: Callable[[Request], object],
        method: str | None = None,
        path: str = "",
        *,
        times: int | None = 1,
        after: int = 0,
    ) -> Trigger:
        """Runs `action` when such a request has arrived and before it is looked at: what others do in the meantime."""
        return self._add(self._hooks, Trigger(action, method, re.compile(path), times, after))

    def heal(self) -> None:
        """No faults any more."""
        with self.lock:
            self._faults.clear()

    def asked(self, method: str | None = None, path: str = "") -> list[Logged]:
        """The requests so far, in the order they arrived: all, or of one method and with `path` (a regex) in theirs."""
        with self.lock:
            return [
                entry
                for entry in self.requests
                if (method or entry.method) == entry.method and re.search(path, unquote(entry.path))
            ]

    def state(self) -> dict[str, Any]:
        """The memory as JSON: what another process sees of it."""
        raise NotImplementedError

    # What a forge gives.

    def answer(self, request: Request, logged: Logged) -> Answer:
        raise NotImplementedError

    def refusal(self, fault: Throttled | SecondaryLimit | PrimaryLimit) -> Answer:
        """The forge's own words for a limit."""
        raise NotImplementedError

    def identity(self, request: Request) -> str:
        """What kind of token a request came with, for the log."""
        raise NotImplementedError

    def inspect(self, request: Request, answer: Answer) -> None:
        """Compares an answer with the forge's published description, where there is one."""

    def identifier(self, kind: str, start: int = 1) -> int:
        """The next id of a kind: the same in every run."""
        with self.lock:
            self._identifiers[kind] = self._identifiers.get(kind, start - 1) + 1
            return self._identifiers[kind]

    def tick(self) -> datetime:
        """The moment of a write; no two writes have the same."""
        with self.lock:
            return self.clock.advance()

    # How a request goes.

    def _add(self, triggers: list[Trigger], trigger: Trigger) -> Trigger:
        with self.lock:
            triggers.append(trigger)
        return trigger

    def _hooked(self, request: Request) -> list[Any]:
        with self.lock:
            return [trigger.action for trigger in self._hooks if trigger.takes(request)]

    def _faulted(self, request: Request) -> Any:
        """The first fault that takes the request; one that was asked for later waits for the next."""
        with self.lock:
            return next((trigger.action for trigger in self._faults if trigger.takes(request)), None)

    def handle(self, request: Request) -> tuple[Answer | None, Fault | None]:
        """The answer (None: the connection just ends), and the fault that is about how it is delivered."""
        with self.lock:
            secrets = {"authorization", "private-token", "job-token"}
            shown = {name: value for name, value in request.headers.items() if name not in secrets}
            logged = Logged(request.method, request.path, request.query, self.identity(request), shown)
            self.requests.append(logged)
        for action in self._hooked(request):
            action(request)  # without the lock: it may send requests itself
        fault = self._faulted(request)
        if isinstance(fault, Hang):
            fault.arrived.set()
            fault.released.wait(PATIENCE)
        replaced = self._replaced(fault, request)
        with self.lock:
            answer = replaced or self._done(request, logged, fault)
            if answer is not None and not (isinstance(fault, Reset) and fault.done):
                logged.status = answer.status
        return answer, fault

    def _replaced(self, fault: Fault | None, request: Request) -> Answer | None:
        """The answer of whatever stands before the forge."""
        match fault:
            case Status(code, document, headers):
                return Answer(code, document if document is not None else {"message": f"Server Error {code}"}, headers)
            case Throttled() | SecondaryLimit() | PrimaryLimit():
                return self.refusal(fault)
            case Page(code, html):
                return Answer(code, text=html, headers={"Content-Type": "text/html; charset=utf-8"})
            case Redirect(location, code):
                query = "&".join(f"{key}={value}" for key, value in request.query.items())
                there = location.replace("{path}", f"{self.prefix}{request.path}{'?' if query else ''}{query}")
                return Answer(code, {"message": "Moved Permanently", "url": there}, {"Location": there})
        return None

    def _done(self, request: Request, logged: Logged, fault: Fault | None) -> Answer | None:
        if isinstance(fault, Reset) and not fault.done:
            return None
        try:
            answer = self.answer(request, logged)
        except Refused as refused:
            answer = refused.answer
        self.inspect(request, answer)
        return answer

    def crashed(self, request: Request, error: Exception) -> Answer:
        """A bug of the fake; never to be taken for what the forge does."""
        self.problems.append(f"{request.method} {request.path}: {type(error).__name__}: {error}")
        return Answer(500, {"message": "the fake crashed", "error": f"{type(error).__name__}: {error}"})


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # fifty clients at once

    def __init__(self, address: tuple[str, int], forge: Server) -> None:
        self.forge = forge
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""

    def hang_up(self) -> None:
        """Ends the connections that clients keep open for their next request."""
        with self.forge.lock:
            for connection in list(self.connections):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it is gone already


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        super().setup()
        with self.server.forge.lock:
            self.server.connections.add(self.connection)

    def finish(self) -> None:
        with self.server.forge.lock:
            self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        """The forge keeps its own log."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date of an answer, by the forge's clock."""
        return super().date_time_string(self.server.forge.clock.now.timestamp() if timestamp is None else timestamp)

    def _serve(self) -> None:
        forge = self.server.forge
        address = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        request = Request(self.command, address.path, query, headers, body)
        if address.path == "/_fake/state":
            return self._send(Answer(200, forge.state()), None)
        if forge.prefix and not address.path.startswith((forge.prefix + "/", "/api/graphql")):
            return self._send(Answer(404, text="<html>Not Found</html>", headers={"Content-Type": "text/html"}), None)
        request = Request(self.command, address.path.removeprefix(forge.prefix), query, headers, body)
        try:
            answer, fault = forge.handle(request)
        except Exception as error:  # noqa: BLE001  (whatever it is, the test must hear of it)
            answer, fault = forge.crashed(request, error), None
        return self._send(answer, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _send(self, answer: Answer | None, fault: Fault | None) -> None:
        if answer is None or isinstance(fault, Reset):
            # With no time to linger, closing sends RST: the client sees a connection reset, not an end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.rfile.close()
            self.connection.close()
            return
        payload = answer.payload
        headers = {"Content-Type": "application/json; charset=utf-8", **answer.headers}
        if isinstance(fault, Half):
            self.close_connection = True
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload[: len(payload) // 2] if isinstance(fault, Half) else payload)
