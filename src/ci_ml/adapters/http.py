"""The only door to HTTP. Layer: adapters.

One client speaks to one server. It waits and asks again where that helps: when the server is busy (5xx), limits the
rate (429, and GitHub's 403 for its secondary limits) or breaks off in the middle. What is not idempotent is repeated
only when it cannot have happened. A token goes to the server it belongs to: redirects to another are refused.

Whatever a server, a proxy or an address does ends in a ForgeError: no job may fail because of a forge.
"""

import contextlib
import datetime as dt
import email.utils
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ci_ml import __version__
from ci_ml.errors import ForgeError, Refused, Unanswered

if TYPE_CHECKING:
    import requests
    import tenacity

_MAX_BYTES = 32 * 1024 * 1024
_CONNECT, _READ = 10.0, 30.0
_WHOLE, _LAST = 30.0, 5.0  # seconds for one request, and when there is no patience left
_REDIRECTS = 3
_SECONDARY = 60.0  # https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: "at least one minute"
_FIRST, _LONGEST = 1.0, 30.0
_NUMBER = re.compile(r"[0-9]{1,11}")

Query = Mapping[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said: the JSON of the body (None when it is empty), the links of the page to its neighbours, and
    its headers, whose names have no case.
    """

    body: Any
    links: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def items(self) -> list[Any]:
        """What a page lists. Raises TypeError when it is no list: an empty page is not the same as none."""
        if not isinstance(self.body, list):
            raise TypeError(f"a list was expected, not {type(self.body).__name__}")
        return self.body


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file as the body of a request; `kind` is its media type."""

    name: str
    data: bytes
    kind: str


Body = Mapping[str, Any] | Upload | None


@contextlib.contextmanager
def understood(name: str) -> Iterator[None]:
    """What follows takes an answer apart: one of another shape than documented is no answer, and no crash of ours."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Unanswered(f"{name} answered in a way that ci-ml does not understand", perhaps=True) from error


class _Again(Exception):
    """It may work later; `after` is the server's own word on when, in seconds."""

    def __init__(self, error: ForgeError, after: float | None = None) -> None:
        super().__init__(error.what)
        self.error = error
        self.after = after


@dataclass(kw_only=True)
class Client:
    """One server.

    `patience` bounds the seconds that are spent on pauses and on requests that fail, over all requests together; one
    that is asked for after that gets one attempt of a few seconds.
    """

    name: str
    base: str
    headers: Mapping[str, str] = field(repr=False)
    patience: float = 120.0
    whole: float = _WHOLE
    pause: Callable[[float], None] = time.sleep
    _spent: float = field(default=0.0, init=False)

    def get(self, path: str, query: Query | None = None) -> Answer:
        """Read. `path` is relative to the base, or the address of a page that the server gave.

        Raises Refused for a 4xx answer, Unanswered when there is none that can be used.
        """
        return self._ask("GET", path, query=query, repeatable=True)

    def send(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        repeatable: bool | None = None,
    ) -> Answer:
        """Write; a POST that may have happened is not repeated (Unanswered then says so) unless it is `repeatable`.

        Raises Refused for a 4xx answer, Unanswered when there is none that can be used.
        """
        return self._ask(method, path, body=body, repeatable=method != "POST" if repeatable is None else repeatable)

    @cached_property
    def _session(self) -> "requests.Session":
        import requests

        # Said here, because the library's own words would show the token.
        if not all(value.isascii() and value.isprintable() for value in self.headers.values()):
            raise Refused(f"the token for {self.name} holds characters that no token has", 401)
        session = requests.Session()
        session.auth = lambda request: request  # or requests would send what ~/.netrc has for the host
        session.headers.update({"User-Agent": f"ci-ml/{__version__}", **self.headers})
        return session

    def _ask(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        query: Query | None = None,
        body: Body = None,
    ) -> Answer:
        import tenacity

        address = path if path.startswith(("http://", "https://")) else f"{self.base.rstrip('/')}/{path.lstrip('/')}"
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Again),
            wait=self._wait,
            stop=self._is_enough,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._attempt, method, address, query, body, repeatable)
        except _Again as again:
            raise again.error from None

    def _wait(self, state: "tenacity.RetryCallState") -> float:
        again = state.outcome.exception() if state.outcome else None
        if isinstance(again, _Again) and again.after is not None:
            return again.after
        return min(_LONGEST, _FIRST * 2.0 ** (state.attempt_number - 1))

    def _is_enough(self, state: "tenacity.RetryCallState") -> bool:
        return self._spent + self._wait(state) > self.patience

    def _sleep(self, seconds: float) -> None:
        self._spent += seconds
        self.pause(seconds)

    def _attempt(self, method: str, address: str, query: Query | None, body: Body, repeatable: bool) -> Answer:
        """One attempt, which takes no longer than it may, whatever the server does: it may send a byte a second."""
        seconds = min(self.whole, max(_LAST, self.patience - self._spent))
        begun = time.monotonic()
        try:
            return _within(seconds, lambda: self._once(method, address, query, body, repeatable))
        except TimeoutError:
            self.__dict__.pop("_session", None)  # the connection is still waited for
            self._spent += time.monotonic() - begun
            problem = Unanswered(f"{self.name} at {self._host} took too long", perhaps=not repeatable)
            if repeatable:
                raise _Again(problem) from None
            raise problem from None
        except _Again:
            self._spent += time.monotonic() - begun
            raise
        except (OSError, ValueError, ArithmeticError, RecursionError) as error:
            # Addresses, certificates and headers can be wrong in more ways than the library has words for.
            what = f"{self.name} at {self._host} cannot be asked: {type(error).__name__}"
            raise Unanswered(what, "check its address, the proxy and REQUESTS_CA_BUNDLE", perhaps=True) from None

    def _once(self, method: str, address: str, query: Query | None, body: Body, repeatable: bool) -> Answer:
        for _ in range(_REDIRECTS + 1):
            response, content = self._exchange(method, address, query, body, repeatable)
            if response.status_code not in (301, 302, 307, 308):
                return self._judge(response, content, repeatable)
            address, query = self._followed(address, response), None
        raise Refused(f"{self.name} redirects for ever", 310)

    def _exchange(
        self, method: str, address: str, query: Query | None, body: Body, repeatable: bool
    ) -> "tuple[requests.Response, bytes]":
        import requests

        try:
            is_elsewhere = _origin(address) != _origin(self.base)
        except ValueError:
            raise Unanswered(f"{address} is not an address") from None
        if is_elsewhere:
            raise Refused(f"{self.name} leads to another server, {urlsplit(address).hostname}", 310)
        session = self._session
        content: dict[str, Any] = {"json": body}
        if isinstance(body, Upload):
            content = {"files": {"file": (body.name, body.data, body.kind)}}
        settings: dict[str, Any] = {"timeout": (_CONNECT, _READ), "stream": True, "allow_redirects": False}
        try:
            with session.request(method, address, params=query, **content, **settings) as response:
                return response, b"".join(self._limited(response))
        except requests.exceptions.SSLError as error:
            hint = "check its certificate and REQUESTS_CA_BUNDLE"
            raise Unanswered(f"{self.name} at {self._host} cannot be trusted: {_cause(error)}", hint) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            raise Unanswered(f"{self.base!r} is not the address of {self.name}") from None
        except requests.exceptions.RequestException as error:
            unsent = _never_sent(error)
            problem = Unanswered(
                f"{self.name} at {self._host} did not answer: {_cause(error)}", perhaps=not (unsent or repeatable)
            )
            if repeatable or unsent:
                raise _Again(problem) from None
            raise problem from None

    def _limited(self, response: "requests.Response") -> Any:
        size = 0
        for chunk in response.iter_content(64 * 1024):
            size += len(chunk)
            if size > _MAX_BYTES:
                raise Refused(f"an answer of {self.name} is larger than {_MAX_BYTES // 2**20} MiB", 310)
            yield chunk

    def _judge(self, response: "requests.Response", content: bytes, repeatable: bool) -> Answer:
        status = response.status_code
        body = _json(content)
        said = f"{self.name} answered {status}{_explained(body)}"
        after = _limit(response, body)
        if after is not None:
            raise _Again(Unanswered(f"{said}; it asks to wait {after:.0f} s"), after)
        if status >= 500:
            problem = Unanswered(said, perhaps=not repeatable)
            if repeatable:
                raise _Again(problem, _retry_after(response))
            raise problem
        if status >= 400:
            raise Refused(said, status)
        if status not in (200, 201, 202, 204):
            raise Unanswered(said, perhaps=not repeatable)
        if content.strip() and body is None:  # a proxy's page, or half of an answer without a length
            broken = Unanswered(f"{self.name} at {self._host} answered with no JSON", perhaps=not repeatable)
            if repeatable:
                raise _Again(broken)
            raise broken
        links = {name: link["url"] for name, link in response.links.items() if "url" in link}
        return Answer(body=body, links=links, headers=response.headers)

    def _followed(self, address: str, response: "requests.Response") -> str:
        return urljoin(address, response.headers.get("Location", ""))

    @property
    def _host(self) -> str:
        return urlsplit(self.base).hostname or self.base


def _within(seconds: float, action: "Callable[[], Answer]") -> Answer:
    """What `action` returns or raises; TimeoutError after so many seconds, when it is left behind."""
    done: list[Answer] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(action())
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError
    return done[0]


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _limit(response: "requests.Response", body: Any) -> float | None:
    """How many seconds to wait when the answer says that there were too many requests; None when it says no such thing.

    https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    """
    status, headers = response.status_code, response.headers
    spent = headers.get("X-RateLimit-Remaining") == "0"
    secondary = "secondary rate limit" in _explained(body)
    if status != 429 and not (status == 403 and (spent or secondary or "Retry-After" in headers)):
        return None
    after = _retry_after(response)
    if after is not None:
        return after
    reset = headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset") or ""
    if spent and _NUMBER.fullmatch(reset):
        return max(1.0, int(reset) - time.time())
    return _SECONDARY


def _retry_after(response: "requests.Response") -> float | None:
    """The header in seconds; it may be a date. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    value = response.headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(value):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (moment - dt.datetime.now(moment.tzinfo)).total_seconds())


def _explained(body: Any) -> str:
    """What an error says in GitHub's and GitLab's shapes, shortened."""
    if not isinstance(body, dict):
        return ""
    said = body.get("message") or body.get("error_description") or body.get("error")
    details = body.get("errors")
    words = [_plain(said), *(_plain(item) for item in (details if isinstance(details, list) else [])[:3])]
    text = " ".join(" ".join(filter(None, words)).split())[:300]
    return f": {text}" if text else ""


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        inner = value.get("message")
        return _plain(inner) if inner else json.dumps(value)
    return value if isinstance(value, str) else json.dumps(value) if value else ""


def _never_sent(error: "requests.exceptions.RequestException") -> bool:
    """Whether the request cannot have reached the server, because there was no connection."""
    import requests
    import urllib3

    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ProxyError)


def _cause(error: Exception) -> str:
    """The innermost reason, in few words; requests wraps it three times."""
    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.exceptions.Timeout):
        return "it took too long"
    inner: Any = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    text = str(inner.args[-1] if isinstance(inner, Exception) and inner.args else inner)
    return " ".join(text.rpartition(">: ")[2].split())[:200]
