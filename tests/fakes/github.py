"""GitHub, as far as ci-ml goes: pull requests, issues, comments, statuses, labels, permissions, merging by itself.

    with GitHub() as forge:
        repo = forge.repository("acme/churn", collaborators={"mona": "write"})
        pull = repo.pull(7, head="c0ffee…", branch="deeper", source="stranger/churn")
        pull.comment("mona", "hi")
        token = forge.token(permissions={"pull-requests": "write", "statuses": "write"})
        … forge.url, token …
        assert pull.comments[-1].body == "…"

Every answer is compared with GitHub's published OpenAPI description where that is installed (see `description`).
As a process of its own: `python -m tests.fakes.github --setup FILE` (see `process`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from tests.fakes import github_objects
from tests.fakes.description import Description
from tests.fakes.git_server import heads
from tests.fakes.github_objects import Objects
from tests.fakes.server import (
    Answer,
    Clock,
    Logged,
    PrimaryLimit,
    Refused,
    Request,
    SecondaryLimit,
    Server,
    Throttled,
)

BODY_LIMIT = 65_536
DESCRIPTION_LIMIT = 140
STATUSES_LIMIT = 1_000  # for each commit and context
VERSIONS = ("2022-11-28", "2026-03-10")
ROLES = {"read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}
DOCS = "https://docs.github.com/rest"
BOT = "github-actions[bot]"
# Requests an hour. https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
BUDGETS = {"actions": 1_000, "app": 5_000, "pat": 5_000, "fine-grained": 5_000, "anonymous": 60}


def moment(when: datetime | None) -> str | None:
    return None if when is None else f"{when:%Y-%m-%dT%H:%M:%SZ}"


# The memory.


@dataclass(frozen=True)
class User:
    """A person or an app's bot."""

    login: str
    id: int

    @property
    def bot(self) -> bool:
        return self.login.endswith("[bot]")


@dataclass
class Token:
    """Who asks, and what the secret allows. Integrations (actions, app) act for themselves, the others for a person."""

    kind: str  # actions, app, pat, fine-grained
    user: User
    permissions: dict[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    repositories: tuple[str, ...] | None = None  # None: every one
    limit: int = 5_000
    expired: bool = False
    used: int = 0
    window: datetime | None = None

    @property
    def integration(self) -> bool:
        return self.kind in {"actions", "app"}

    @property
    def granular(self) -> bool:
        return self.kind != "pat"

    def may(self, *alternatives: str) -> bool:
        """Whether one of these, such as `issues=write`, is granted. Reading metadata always is."""
        for alternative in alternatives:
            name, _, level = alternative.partition("=")
            granted = self.permissions.get(name, "read" if name == "metadata" else "none")
            if granted == "write" or granted == level:
                return True
        return False


@dataclass
class Comment:
    """One comment of a conversation."""

    topic: "Topic"
    id: int
    user: User
    body: str
    created: datetime
    updated: datetime
    edits: int = 0
    minimized: str | None = None  # the reason

    def edit(self, body: str) -> None:
        with self.topic.forge.lock:
            self.body, self.updated, self.edits = body, self.topic.forge.tick(), self.edits + 1
            self.topic.history.append(("edited", self.id, body))

    def delete(self) -> None:
        with self.topic.forge.lock:
            self.topic.comments.remove(self)
            self.topic.history.append(("deleted", self.id, self.body))

    def minimize(self, reason: str = "outdated") -> None:
        """Hides it, as a person does in the browser."""
        with self.topic.forge.lock:
            self.minimized = reason


@dataclass(frozen=True)
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str = "ededed"


@dataclass(frozen=True)
class Event:
    """Something that happened to a pull request, such as `labeled`."""

    id: int
    kind: str
    actor: User
    created: datetime
    label: Label | None = None


@dataclass(frozen=True)
class CommitStatus:
    """One status; a later one of the same context does not replace it, only hides it."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: User
    created: datetime


@dataclass
class Review:
    """What somebody said of a commit of a pull request."""

    id: int
    user: User
    state: str  # APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED
    sha: str
    created: datetime


@dataclass(kw_only=True)
class Topic:
    """An issue, or what a pull request has of one; with what a person would do to it."""

    repository: "Repository"
    number: int
    user: User
    title: str
    created: datetime
    updated: datetime
    body: str | None = None
    state: str = "open"
    reason: str | None = None  # why it was closed, or that it was reopened
    locked: bool = False
    closed: datetime | None = None
    labels: list[Label] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    history: list[tuple[str, int, str]] = field(default_factory=list)  # created, edited or deleted; id; body

    @property
    def forge(self) -> "GitHub":
        return self.repository.forge

    def comment(self, login: str, body: str) -> Comment:
        with self.forge.lock:
            now = self.forge.tick()
            author = self.forge.user(login)
            made = Comment(self, self.forge.identifier("comment", 1_000_000), author, body, now, now)
            self.updated = now
            self.comments.append(made)
            self.history.append(("created", made.id, body))
            return made

    def count(self, what: str) -> int:
        """How many comments were `created`, `edited` or `deleted`."""
        return sum(kind == what for kind, *_ in self.history)

    def label(self, login: str, name: str) -> None:
        with self.forge.lock:
            label = self.repository.label(name)
            if label not in self.labels:
                self.labels.append(label)
                self._happened("labeled", login, label)

    def unlabel(self, login: str, name: str) -> None:
        with self.forge.lock:
            label = self.repository.label(name)
            if label in self.labels:
                self.labels.remove(label)
                self._happened("unlabeled", login, label)

    def close(self, login: str | None = None) -> None:
        with self.forge.lock:
            self.state, self.closed, self.reason = "closed", self.forge.tick(), "completed"
            self._happened("closed", login or self.user.login)

    def reopen(self, login: str | None = None) -> None:
        with self.forge.lock:
            self.state, self.closed, self.reason = "open", None, "reopened"
            self._happened("reopened", login or self.user.login)

    def lock(self, login: str = "mona") -> None:
        """Only collaborators may write in the conversation from now on."""
        with self.forge.lock:
            self.locked = True
            self._happened("locked", login)

    def _happened(self, kind: str, login: str, label: Label | None = None) -> None:
        number = self.forge.identifier("event", 5_000_000)
        self.updated = self.forge.tick()
        self.events.append(Event(number, kind, self.forge.user(login), self.updated, label))


@dataclass(kw_only=True)
class Pull(Topic):
    """A pull request, with what a person would do to it."""

    head: str
    branch: str
    source: "Repository | None"  # None: the fork was deleted
    owner: str  # of the source, which GitHub still names then
    base: str
    base_branch: str
    merged: bool = False
    automatic: tuple[User, str] | None = None  # who wants it merged once it may be, and how
    reviews: list[Review] = field(default_factory=list)
    commit: str | None = None  # the one that stands for it once it is merged

    def review(self, login: str, state: str = "APPROVED") -> Review:
        """Somebody says something of the last commit."""
        with self.forge.lock:
            number = self.forge.identifier("review", 7_000)
            made = Review(number, self.forge.user(login), state, self.head, self.forge.tick())
            self.reviews.append(made)
            return made

    def push(self, sha: str, login: str | None = None) -> None:
        """The head is another commit now, as after a force-push."""
        with self.forge.lock:
            self.head = sha
            self.repository.commit(sha)
            self._happened("head_ref_force_pushed", login or self.user.login)

    def merge(self, login: str = "mona", commit: str | None = None) -> None:
        with self.forge.lock:
            self.merged, self.commit = True, commit
            if commit:
                self.repository.commit(commit)
            self._happened("merged", login)
            self.close(login)

    def delete_fork(self) -> None:
        """The repository that the change comes from is gone; the change itself is not."""
        with self.forge.lock:
            self.source = None


@dataclass
class Repository:
    """A repository, with its people and what CI left on its commits."""

    forge: "GitHub"
    id: int
    name: str  # owner/name
    private: bool
    default_branch: str
    collaborators: dict[str, str]  # login -> read, triage, write, maintain or admin
    fork: bool = False
    former: list[str] = field(default_factory=list)  # names it had
    commits: dict[str, tuple[str, ...]] = field(default_factory=dict)  # sha -> parents
    branches: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    issues: dict[int, Topic] = field(default_factory=dict)
    has_issues: bool = True
    may_open: bool = True  # "Allow GitHub Actions to create and approve pull requests"
    may_wait: bool = True  # "Allow auto-merge"
    bare: Path | None = None  # what is pushed there is known here
    labels: dict[str, Label] = field(default_factory=dict)
    statuses: list[CommitStatus] = field(default_factory=list)
    objects: Objects = field(default_factory=Objects)
    rules: list[dict[str, Any]] = field(default_factory=list)  # of rulesets, all for the default branch
    protected: tuple[str, ...] | None = (
        None  # the checks that the older branch protection requires; None: there is none
    )
    secrets: set[str] = field(default_factory=set)  # of GitHub Actions
    # By name: the branches that may deploy there, None for all of them, () for protected ones; and the secrets there.
    environments: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    apart: dict[str, set[str]] = field(default_factory=dict)
    proposals: bool = False  # "Allow GitHub Actions to create and approve pull requests"
    created: datetime = field(default_factory=lambda: Clock().now)

    @property
    def owner(self) -> str:
        return self.name.partition("/")[0]

    def commit(self, sha: str, *parents: str, branch: str | None = None) -> str:
        with self.forge.lock:
            self.commits.setdefault(sha, parents)
            if branch:
                self.branches[branch] = sha
            return sha

    def fetch(self) -> None:
        """Look at what was pushed: branches that are new or gone, and requests whose head has moved."""
        if self.bare is None:
            return
        with self.forge.lock:
            known = heads(self.bare)
            self.branches.clear()
            for branch, sha in known.items():
                self.commit(sha, branch=branch)
            for pull in self.pulls.values():
                if pull.source is self and pull.state == "open" and known.get(pull.branch, pull.head) != pull.head:
                    pull.push(known[pull.branch])

    def label(self, name: str) -> Label:
        """The label of that name, whatever its case; made where there is none, as GitHub does."""
        with self.forge.lock:
            made = Label(self.forge.identifier("label", 200), name)
            return self.labels.setdefault(name.casefold(), made)

    def pull(
        self,
        number: int,
        *,
        head: str = "a" * 40,
        branch: str = "topic",
        source: str | None = None,
        base: str = "b" * 40,
        base_branch: str | None = None,
        user: str | None = None,
        title: str = "A change",
        body: str | None = None,
    ) -> Pull:
        """A pull request from `branch` of `source` (owner/name; by default this repository itself)."""
        with self.forge.lock:
            origin = self.forge.repository(source, fork=True) if source and source != self.name else self
            into = base_branch or self.default_branch
            self.commit(base, branch=into)
            self.commit(head, base)  # also of a fork: GitHub keeps it at refs/pull/N/head
            origin.commit(head, base, branch=branch)
            author = self.forge.user(user or origin.owner)
            now = self.forge.tick()
            made = Pull(
                repository=self,
                number=number,
                head=head,
                branch=branch,
                source=origin,
                owner=origin.owner,
                base=base,
                base_branch=into,
                user=author,
                title=title,
                body=body,
                created=now,
                updated=now,
            )
            self.pulls[number] = made
            return made

    def issue(self, login: str, title: str, body: str | None = None) -> Topic:
        """An issue, with the next number: pull requests count as well."""
        with self.forge.lock:
            now = self.forge.tick()
            author = self.forge.user(login)
            made = Topic(
                repository=self, number=self.next(), user=author, title=title, body=body, created=now, updated=now
            )
            self.issues[made.number] = made
            return made

    def next(self) -> int:
        return max([0, *self.pulls, *self.issues]) + 1

    def statuses_of(self, sha: str) -> list[CommitStatus]:
        """The newest of each context, in the order they were first made."""
        with self.forge.lock:
            newest = {status.context.casefold(): status for status in self.statuses if status.sha == sha}
            return list(newest.values())

    def require(self, *checks: str) -> None:
        """A ruleset that requires these checks on the default branch."""
        listed = [{"context": check} for check in checks]
        more = {"required_status_checks": listed, "strict_required_status_checks_policy": False}
        self._rule("required_status_checks", more)

    def queue(self) -> None:
        """A ruleset with a merge queue before the default branch."""
        numbers = ("max_entries_to_build", "max_entries_to_merge", "min_entries_to_merge")
        more = {"grouping_strategy": "ALLGREEN", "merge_method": "MERGE", "check_response_timeout_minutes": 60}
        self._rule("merge_queue", more | dict.fromkeys(numbers, 1) | {"min_entries_to_merge_wait_minutes": 5})

    def _rule(self, kind: str, parameters: dict[str, Any]) -> None:
        with self.forge.lock:
            number = self.forge.identifier("ruleset", 300)
            source = {"ruleset_source_type": "Repository", "ruleset_source": self.name, "ruleset_id": number}
            self.rules.append({"type": kind, "parameters": parameters} | source)

    def rename(self, name: str) -> None:
        """Requests for the old name are redirected from now on."""
        with self.forge.lock:
            self.former.append(self.name)
            self.name = name

    def role(self, login: str) -> str | None:
        return "admin" if login == self.owner else self.collaborators.get(login)


class GitHub(Server):
    """The server. `prefix="/api/v3"` makes it an Enterprise Server."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.users: dict[str, User] = {}
        self.repositories: list[Repository] = []
        self.tokens: dict[str, Token] = {}
        self.teams: dict[str, set[str]] = {}  # organization/team -> logins
        self._anonymous = Token("anonymous", User("", 0), limit=BUDGETS["anonymous"])
        self._description = Description.installed()
        self.user(BOT, 41_898_282)  # the same on all of github.com

    @property
    def graphql_url(self) -> str:
        """`GITHUB_GRAPHQL_URL`: beside the REST API on an Enterprise Server, below it elsewhere."""
        return self.origin + ("/api/graphql" if self.prefix else "/graphql")

    # Setting up.

    def user(self, login: str, number: int | None = None) -> User:
        with self.lock:
            if login not in self.users:
                self.users[login] = User(login, number or self.identifier("user", 100))
            return self.users[login]

    def repository(
        self,
        name: str,
        *,
        private: bool = False,
        default_branch: str = "main",
        collaborators: Mapping[str, str] | None = None,
        fork: bool = False,
    ) -> Repository:
        """The repository owner/name; made at the first call."""
        with self.lock:
            known = self._find(name)
            if known is None:
                people = {self.user(login).login: role for login, role in (collaborators or {}).items()}
                number = self.identifier("repository", 9_000)
                known = Repository(self, number, name, private, default_branch, people, fork)
                self.user(known.owner)
                self.repositories.append(known)
            return known

    def token(
        self,
        secret: str | None = None,
        *,
        kind: str = "actions",
        login: str | None = None,
        permissions: Mapping[str, str] | None = None,
        scopes: Iterable[str] = (),
        repositories: Iterable[str] | None = None,
        limit: int | None = None,
    ) -> str:
        """A secret. Permissions as a workflow spells them (`pull-requests`) or as the API does (`pull_requests`)."""
        with self.lock:
            shape = {"actions": "ghs_", "app": "ghs_", "pat": "ghp_", "fine-grained": "github_pat_"}[kind]
            secret = secret or f"{shape}{self.identifier('token'):036d}"
            who = self.user(login or {"actions": BOT, "app": "ci-ml[bot]"}.get(kind, "mona"))
            granted = {name.replace("-", "_"): level for name, level in (permissions or {}).items()}
            reach = None if repositories is None else tuple(repositories)
            self.tokens[secret] = Token(kind, who, granted, tuple(scopes), reach, limit or BUDGETS[kind])
            return secret

    def revoke(self, secret: str) -> None:
        """As after its job ended: from now on nobody knows it."""
        with self.lock:
            self.tokens[secret].expired = True

    def state(self) -> dict[str, Any]:
        with self.lock:
            return {
                "repositories": {repo.name: _remembered(repo) for repo in self.repositories},
                "requests": [str(entry) for entry in self.requests],
                "problems": self.problems,
            }

    # Answering.

    def identity(self, request: Request) -> str:
        secret = _secret(request)
        if secret is None:
            return "anonymous"
        return self.tokens[secret].kind if secret in self.tokens else "unknown"

    def inspect(self, request: Request, answer: Answer) -> None:
        if self._description is not None:
            self.problems += self._description.problems(request, answer)

    def refusal(self, fault: Throttled | SecondaryLimit | PrimaryLimit) -> Answer:
        # https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
        page = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"
        if isinstance(fault, PrimaryLimit):
            reset = int((self.clock.now + timedelta(seconds=fault.seconds)).timestamp())
            spent = {"x-ratelimit-limit": "1000", "x-ratelimit-remaining": "0", "x-ratelimit-used": "1000"}
            headers = spent | {"x-ratelimit-reset": str(reset), "x-ratelimit-resource": "core"}
            text = "API rate limit exceeded for installation ID 1."
            return Answer(403, _trouble(403, text, f"{page}#primary-rate-limits"), headers)
        text = (
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
            "For more on scraping GitHub and how it may affect your rights, please review our Terms of Service "
            "(https://docs.github.com/en/site-policy/github-terms/github-terms-of-service)"
        )
        code = 429 if isinstance(fault, Throttled) else 403
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return Answer(code, _trouble(code, text, f"{page}#about-secondary-rate-limits"), headers)

    def answer(self, request: Request, logged: Logged) -> Answer:
        if not request.headers.get("user-agent"):
            # https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent
            text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
            return Answer(403, text=text, headers={"Content-Type": "text/html; charset=utf-8"})
        version = request.headers.get("x-github-api-version", VERSIONS[0])
        if version not in VERSIONS:
            return Answer(400, _trouble(400, f"{version} is not a supported version.", DOCS))
        token = self._authenticated(request)
        spent = self._spend(token, request)
        try:
            answer = self._routed(request, token)
        except Refused as refused:
            answer = refused.answer
        extra = {"X-GitHub-Request-Id": f"FAKE:{len(self.requests)}", "x-github-api-version-selected": version}
        return Answer(answer.status, answer.document, extra | spent | answer.headers, answer.text)

    def _authenticated(self, request: Request) -> Token:
        secret = _secret(request)
        if secret is None:
            return self._anonymous
        token = self.tokens.get(secret)
        if token is None or token.expired:
            raise Refused(Answer(401, _trouble(401, "Bad credentials", DOCS)))
        return token

    def _spend(self, token: Token, request: Request) -> dict[str, str]:
        """Takes one request off the hour's budget. Asking for the rate limit itself is free."""
        if token.window is None or self.clock.now >= token.window:
            token.window, token.used = self.clock.now + timedelta(hours=1), 0
        if token.used >= token.limit:
            seconds = int((token.window - self.clock.now).total_seconds())
            raise Refused(self.refusal(PrimaryLimit(seconds)))
        token.used += request.path != "/rate_limit"
        return {f"x-ratelimit-{key}": str(value) for key, value in _budget(token).items()} | {
            "x-ratelimit-resource": "core"
        }

    def _routed(self, request: Request, token: Token) -> Answer:
        for (method, pattern), endpoint in ENDPOINTS.items():
            matched = re.fullmatch(pattern, request.path)
            if matched and method == request.method:
                arguments = {name: unquote(text) for name, text in matched.groupdict().items() if text is not None}
                call = Call(self, request, token, endpoint, arguments)
                answer = endpoint.run(call)
                return Answer(answer.status, answer.document, call.accepted | answer.headers, answer.text)
        return Answer(404, _trouble(404, "Not Found", DOCS))

    def _find(self, name: str) -> Repository | None:
        return next((repo for repo in self.repositories if repo.name.casefold() == name.casefold()), None)

    def find(self, call: "Call") -> Repository:
        """The repository that a path names, by name or id; a former name is answered with a redirect."""
        if "id" in call.arguments:
            known = next((repo for repo in self.repositories if repo.id == int(call.arguments["id"])), None)
        else:
            name = f"{call.arguments['owner']}/{call.arguments['repo']}"
            known = self._find(name) or self._moved(name, call)
        if known is None:
            raise call.refused(404, "Not Found")
        known.fetch()
        return known

    def _moved(self, name: str, call: "Call") -> Repository | None:
        for repo in self.repositories:
            if name in repo.former and call.sees(repo):
                rest = re.sub(r"^/repos/[^/]+/[^/]+", "", call.request.path)
                query = "&".join(f"{key}={quote(value)}" for key, value in call.request.query.items())
                there = f"{self.url}/repositories/{repo.id}{rest}{'?' if query else ''}{query}"
                # https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
                code = 301 if call.request.method == "GET" else 307
                page = f"{DOCS}/guides/best-practices-for-using-the-rest-api#follow-redirects"
                document = {"message": "Moved Permanently", "url": there, "documentation_url": page}
                raise Refused(Answer(code, document, {"Location": there}))
        return None


# A request on its way to an endpoint.


@dataclass(frozen=True)
class Endpoint:
    """What runs, what it needs, and where GitHub documents it."""

    run: "Callable[[Call], Answer]"
    page: str
    needs: tuple[str, ...] = ()  # permissions, each of which is enough
    scopes: tuple[str, ...] = ("repo",)  # of a classic token


@dataclass
class Call:
    """One request with everything an endpoint wants to know about it."""

    forge: GitHub
    request: Request
    token: Token
    endpoint: Endpoint
    arguments: dict[str, str]

    @property
    def writes(self) -> bool:
        return self.request.method != "GET"

    @property
    def accepted(self) -> dict[str, str]:
        """The headers that tell which permissions or scopes would do."""
        if self.token.kind == "pat":
            return {
                "X-OAuth-Scopes": ", ".join(self.token.scopes),
                "X-Accepted-OAuth-Scopes": ", ".join(self.endpoint.scopes),
            }
        if self.token.granular and self.endpoint.needs:
            return {"X-Accepted-GitHub-Permissions": "; ".join(self.endpoint.needs)}
        return {}

    def refused(self, status: int, message: str, **more: Any) -> Refused:
        page = more.pop("page", f"{DOCS}/{self.endpoint.page}")
        return Refused(Answer(status, _trouble(status, message, page) | more, self.accepted))

    def invalid(self, resource: str, code: str, where: str | None, message: str | None) -> Refused:
        error = {"resource": resource, "code": code, "field": where, "message": message}
        return self.refused(
            422, "Validation Failed", errors=[{key: text for key, text in error.items() if text is not None}]
        )

    def sees(self, repo: Repository) -> bool:
        """Whether a repository is there at all for this token. What it may not see does not exist: 404, never 403."""
        if not repo.private:
            return True
        within = self.token.repositories is None or repo.name in self.token.repositories
        if self.token.integration:
            return within
        member = repo.role(self.token.user.login) is not None
        return member and within and (self.token.granular or "repo" in self.token.scopes)

    def repository(self) -> Repository:
        """The repository, once it is settled that this token may do what it is about to."""
        repo = self.forge.find(self)
        if not self.sees(repo):
            raise self.refused(404, "Not Found")
        if self.writes and self.token is self.forge._anonymous:
            raise self.refused(401, "Requires authentication")
        if self.token.kind in {"actions", "app", "fine-grained"}:
            self._granted(repo)
        elif self.writes and not self._scoped(repo):
            raise self.refused(404, "Not Found")
        return repo

    def _granted(self, repo: Repository) -> None:
        """What is public can be read without any permission."""
        within = self.token.repositories is None or repo.name in self.token.repositories
        if (self.writes or repo.private) and not (within and self.token.may(*self.endpoint.needs)):
            what = "integration" if self.token.integration else "personal access token"
            raise self.refused(403, f"Resource not accessible by {what}")

    def _scoped(self, repo: Repository) -> bool:
        enough = set(self.endpoint.scopes) | (set() if repo.private else {"public_repo"})
        return bool(enough & set(self.token.scopes))

    def strong(self, repo: Repository, role: str) -> bool:
        """Whether whoever asks has at least this role. An integration has what its permissions say."""
        if self.token.integration:
            return True
        return ROLES.get(repo.role(self.token.user.login) or "", 0) >= ROLES[role]

    def pull(self, repo: Repository) -> Pull:
        pull = repo.pulls.get(int(self.arguments["number"]))
        if pull is None:
            raise self.refused(404, "Not Found")
        return pull

    def topic(self, repo: Repository) -> Topic:
        """An issue or a pull request: what is below /issues is there for both."""
        number = int(self.arguments["number"])
        found = repo.pulls.get(number) or repo.issues.get(number)
        if found is None:
            raise self.refused(404, "Not Found")
        return found

    def comment(self, repo: Repository) -> Comment:
        number = int(self.arguments["comment"])
        for topic in (*repo.pulls.values(), *repo.issues.values()):
            for comment in topic.comments:
                if comment.id == number:
                    return comment
        raise self.refused(404, "Not Found")

    def document(self) -> Any:
        try:
            return self.request.document or {}
        except ValueError:
            raise self.refused(400, "Problems parsing JSON") from None

    def paged(self, repo: Repository, things: Sequence[Any], show: Callable[[Any], Any]) -> Answer:
        """One page, and the Link header with the others.

        Its addresses name the repository by its id, whatever the request did.
        https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
        """
        page, size, last = _page(self.request, len(things))
        shown = [show(thing) for thing in things[(page - 1) * size : page * size]]
        rest = re.sub(r"^/(repos/[^/]+/[^/]+|repositories/\d+)", "", self.request.path)
        links = []
        for relation, number in (("prev", page - 1), ("next", page + 1), ("last", last), ("first", 1)):
            reached = page > 1 if relation in {"prev", "first"} else page < last
            if reached:
                query = "&".join(f"{k}={quote(v)}" for k, v in (self.request.query | {"page": str(number)}).items())
                links.append(f'<{self.forge.url}/repositories/{repo.id}{rest}?{query}>; rel="{relation}"')
        return Answer(200, shown, {"Link": ", ".join(links)} if links else {})


def _page(request: Request, total: int) -> tuple[int, int, int]:
    """Page, size and number of the last page. Nonsense means the default; more than 100 means 100."""

    def number(name: str, default: int) -> int:
        text = request.query.get(name, "")
        return int(text) if text.isdecimal() and int(text) else default

    size = min(number("per_page", 30), 100)
    return number("page", 1), size, max(1, -(-total // size))


def _secret(request: Request) -> str | None:
    """`Authorization: Bearer` and `token` mean the same."""
    _, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() or None


def _trouble(status: int, message: str, page: str) -> dict[str, Any]:
    return {"message": message, "documentation_url": page, "status": str(status)}


def _budget(token: Token) -> dict[str, int]:
    assert token.window is not None
    reset = int(token.window.timestamp())
    return {"limit": token.limit, "remaining": token.limit - token.used, "reset": reset, "used": token.used}


# The endpoints.


def _myself(call: Call) -> Answer:
    if call.token.kind == "anonymous":
        raise call.refused(401, "Requires authentication")
    if call.token.integration:  # a GITHUB_TOKEN is nobody's
        raise call.refused(403, "Resource not accessible by integration")
    return Answer(200, _profile(call.forge, call.token.user))


def _graphql(call: Call) -> Answer:
    """`viewer { login databaseId }`, or less of it, which every token may ask; and merging by itself."""
    if call.token.kind == "anonymous":
        page = "https://docs.github.com/graphql/guides/forming-calls-with-graphql#authenticating-with-graphql"
        raise call.refused(401, "This endpoint requires you to be authenticated.", page=page)
    sent = call.document()
    query = str(sent.get("query", ""))
    if re.search(r"\{\s*enablePullRequestAutoMerge\s*\(\s*input:\s*\$input\s*\)", query):
        return _merge_later(call, (sent.get("variables") or {}).get("input") or {})
    asked = re.fullmatch(r"\s*(?:query(?:\s+\w+)?\s*)?\{\s*viewer\s*\{([\s\w]+)\}\s*\}\s*", query)
    known = {"login": call.token.user.login, "databaseId": call.token.user.id}
    if asked and known.keys() >= set(asked[1].split()):
        return Answer(200, {"data": {"viewer": {name: known[name] for name in asked[1].split()}}})
    return Answer(200, {"errors": [{"type": "undefinedField", "message": f"the fake knows no answer to {query!r}"}]})


def _merge_later(call: Call, sent: Mapping[str, Any]) -> Answer:
    """https://docs.github.com/en/graphql/reference/mutations#enablepullrequestautomerge

    The words are those that people report: https://github.com/peter-evans/enable-pull-request-automerge/issues/343 and
    https://github.com/cli/cli/issues/3858.
    """

    def refused(kind: str, message: str) -> Answer:
        where = {"path": ["enablePullRequestAutoMerge"], "locations": [{"line": 1, "column": 1}]}
        return Answer(200, {"data": {name: None}, "errors": [{"type": kind, "message": message} | where]})

    name = "enablePullRequestAutoMerge"
    found = [
        pull
        for repo in call.forge.repositories
        for pull in repo.pulls.values()
        if f"PR_{repo.id}_{pull.number}" == sent.get("pullRequestId") and call.sees(repo)
    ]
    if not found:
        return refused("NOT_FOUND", f"Could not resolve to a node with the global id of '{sent.get('pullRequestId')}'")
    [pull] = found
    if call.token.granular and not (call.token.may("pull_requests=write") and call.token.may("contents=write")):
        what = "integration" if call.token.integration else "personal access token"
        return refused("FORBIDDEN", f"Resource not accessible by {what}")
    if not pull.repository.may_wait:
        return refused("UNPROCESSABLE", "Pull request Auto merge is not allowed for this repository")
    if sent.get("expectedHeadOid") not in {None, pull.head}:
        return refused("UNPROCESSABLE", "Head branch was modified. Review and try the merge again.")
    if not pull.repository.rules and not pull.repository.protected:
        return refused("UNPROCESSABLE", "Pull request Pull request is in clean status")
    pull.automatic = (call.token.user, str(sent.get("mergeMethod", "MERGE")).lower())
    actor = {"login": call.token.user.login, "url": f"{call.forge.origin}/{call.token.user.login}"}
    return Answer(200, {"data": {name: {"actor": actor, "clientMutationId": sent.get("clientMutationId")}}})


def _rate_limit(call: Call) -> Answer:
    budget = _budget(call.token)
    return Answer(200, {"resources": {"core": budget, "search": budget, "graphql": budget}, "rate": budget})


def _repository(call: Call) -> Answer:
    repo = call.repository()
    shown = _shown_repository(call.forge, repo)
    if call.token.kind in {"pat", "fine-grained"}:  # the role of its user, whatever the token itself was granted
        rank = ROLES.get(repo.role(call.token.user.login) or "", 0)
        names = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
        shown["permissions"] = {name: rank >= ROLES[role] for name, role in names.items()}
    return Answer(200, shown | {"network_count": 0, "subscribers_count": 0, "has_discussions": False})


def _branch(call: Call) -> Answer:
    """A branch, with what the older protection requires of it: told to everybody who may read."""
    repo = call.repository()
    name = call.arguments["branch"]
    if name not in repo.branches:
        raise call.refused(404, "Branch not found")
    here = f"{call.forge.url}/repos/{repo.name}/branches/{name}"
    checks = repo.protected if name == repo.default_branch else None
    return Answer(
        200,
        {
            "name": name,
            "commit": _shown_commit(call.forge, repo, repo.branches[name]),
            "_links": {"self": here, "html": f"{call.forge.origin}/{repo.name}/tree/{name}"},
            "protected": checks is not None,
            "protection": {
                "enabled": checks is not None,
                "required_status_checks": {
                    "enforcement_level": "non_admins" if checks else "off",
                    "contexts": list(checks or ()),
                    "checks": [{"context": check, "app_id": None} for check in checks or ()],
                },
            },
            "protection_url": f"{here}/protection",
        },
    )


def _rules(call: Call) -> Answer:
    """What rulesets ask for on a branch; one that is not there has none."""
    repo = call.repository()
    found = repo.rules if call.arguments["branch"] == repo.default_branch else []
    return call.paged(repo, found, lambda rule: rule)


def _workflow_permissions(call: Call) -> Answer:
    repo = call.repository()
    if not call.strong(repo, "admin"):
        raise call.refused(403, "Must have admin rights to Repository.")
    permissions = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": repo.proposals}
    return Answer(200, permissions)


def _actions_secret(call: Call) -> Answer:
    repo, name = call.repository(), call.arguments["name"]
    if not call.strong(repo, "write"):
        raise call.refused(403, "Must have write access to Repository.")
    if name not in repo.secrets:
        raise call.refused(404, "Not Found")
    when = moment(repo.created)
    return Answer(200, {"name": name, "created_at": when, "updated_at": when})


def _environment(call: Call) -> Answer:
    repo, name = call.repository(), call.arguments["name"]
    if name not in repo.environments:
        raise call.refused(404, "Not Found")
    branches, when = repo.environments[name], moment(repo.created)
    policy = (
        None if branches is None else {"protected_branches": not branches, "custom_branch_policies": bool(branches)}
    )
    place = f"{call.forge.url}/repos/{repo.name}/environments/{name}"
    shown = {"id": 1, "node_id": "E_1", "name": name, "url": place, "html_url": place, "protection_rules": []}
    return Answer(200, shown | {"created_at": when, "updated_at": when, "deployment_branch_policy": policy})


def _branch_policies(call: Call) -> Answer:
    repo, name = call.repository(), call.arguments["name"]
    listed = [{"id": 1, "node_id": "P_1", "name": one, "type": "branch"} for one in repo.environments[name] or ()]
    return Answer(200, {"total_count": len(listed), "branch_policies": listed})


def _environment_secret(call: Call) -> Answer:
    repo, when = call.repository(), moment(call.repository().created)
    if not call.strong(repo, "write"):
        raise call.refused(403, "Must have write access to Repository.")
    if call.arguments["secret"] not in repo.apart.get(call.arguments["name"], ()):
        raise call.refused(404, "Not Found")
    return Answer(200, {"name": call.arguments["secret"], "created_at": when, "updated_at": when})


def _commit(call: Call) -> Answer:
    repo = call.repository()
    return Answer(200, _shown_commit(call.forge, repo, _resolved(call, repo)))


def _pull(call: Call) -> Answer:
    return Answer(200, _shown_pull(call.forge, call.pull(call.repository()), whole=True))


def _pulls(call: Call) -> Answer:
    """`head=owner:branch` filters; without the owner GitHub ignores it, and so lists everything."""
    repo = call.repository()
    state, head, base = (call.request.query.get(key, "") for key in ("state", "head", "base"))
    found = [
        pull
        for pull in repo.pulls.values()
        if state == "all" or pull.state == (state or "open")
        if ":" not in head or head.casefold() == f"{pull.owner}:{pull.branch}".casefold()
        if not base or pull.base_branch == base
    ]
    newest = sorted(found, key=lambda pull: pull.created, reverse=call.request.query.get("direction") != "asc")
    return call.paged(repo, newest, lambda pull: _shown_pull(call.forge, pull))


def _create_pull(call: Call) -> Answer:
    repo = call.repository()
    sent = call.document()
    if call.token.kind == "actions" and not repo.may_open:
        raise call.refused(403, "GitHub Actions is not permitted to create or approve pull requests.")
    branch, into = str(sent.get("head", "")).removeprefix(f"{repo.owner}:"), str(sent.get("base", ""))
    for name, where in ((branch, "head"), (into, "base")):
        if name not in repo.branches:
            raise call.invalid("PullRequest", "invalid", where, None)
    if repo.branches[branch] == repo.branches[into]:
        raise call.invalid("PullRequest", "custom", None, f"No commits between {into} and {branch}")
    opened = [one for one in repo.pulls.values() if one.state == "open" and one.source is repo]
    if any((one.branch, one.base_branch) == (branch, into) for one in opened):
        raise call.invalid("PullRequest", "custom", None, f"A pull request already exists for {repo.owner}:{branch}.")
    made = repo.pull(
        repo.next(),
        head=repo.branches[branch],
        branch=branch,
        base=repo.branches[into],
        base_branch=into,
        user=call.token.user.login,
        title=_title(call, "PullRequest"),
        body=_long(call, "PullRequest"),
    )
    shown = _shown_pull(call.forge, made, whole=True)
    return Answer(201, shown, {"Location": shown["url"]})


def _edit_pull(call: Call) -> Answer:
    repo = call.repository()
    pull = call.pull(repo)
    _edited(call, pull, "PullRequest")
    return Answer(200, _shown_pull(call.forge, pull, whole=True))


def _with_issues(call: Call) -> Repository:
    repo = call.repository()
    if not repo.has_issues:
        raise call.refused(410, "Issues has been disabled in this repository.")
    return repo


def _issues(call: Call) -> Answer:
    """Pull requests are among them. Whoever asks for what somebody wrote gets nothing for a name that nobody has."""
    repo, query = _with_issues(call), call.request.query
    state, creator = query.get("state", "open"), query.get("creator")
    by = {"updated": lambda topic: topic.updated, "created": lambda topic: topic.created}[query.get("sort", "created")]
    labels = {name.casefold() for name in query.get("labels", "").split(",") if name}
    found = [
        topic
        for topic in (*repo.issues.values(), *repo.pulls.values())
        if state in {"all", topic.state}
        if creator in {None, topic.user.login}
        if labels <= {label.name.casefold() for label in topic.labels}
    ]
    ordered = sorted(found, key=by, reverse=query.get("direction", "desc") == "desc")
    return call.paged(repo, ordered, lambda topic: _shown_issue(call.forge, topic))


def _issue(call: Call) -> Answer:
    return Answer(200, _shown_issue(call.forge, call.topic(_with_issues(call))))


def _create_issue(call: Call) -> Answer:
    """Labels are dropped without a word for somebody who may not set any."""
    repo = _with_issues(call)
    made = repo.issue(call.token.user.login, _title(call, "Issue"), _long(call, "Issue"))
    for name in call.document().get("labels", []) if call.strong(repo, "triage") else []:
        made.label(call.token.user.login, name)
    shown = _shown_issue(call.forge, made)
    return Answer(201, shown, {"Location": shown["url"]})


def _edit_issue(call: Call) -> Answer:
    repo = _with_issues(call)
    topic = call.topic(repo)
    _edited(call, topic, "Issue")
    return Answer(200, _shown_issue(call.forge, topic))


def _edited(call: Call, topic: Topic, resource: str) -> None:
    sent = call.document()
    if topic.user != call.token.user and not call.strong(topic.repository, "write"):
        raise call.refused(403, "Must have admin rights to Repository.")
    if "title" in sent:
        topic.title = _title(call, resource)
    if "body" in sent:
        topic.body = _long(call, resource)
        topic.history.append(("edited", topic.number, topic.body or ""))
    topic.updated = call.forge.tick()
    state = sent.get("state", topic.state)
    if state != topic.state:
        topic.close(call.token.user.login) if state == "closed" else topic.reopen(call.token.user.login)


def _title(call: Call, resource: str) -> str:
    title = call.document().get("title")
    if not isinstance(title, str) or not title.strip():
        raise call.invalid(resource, "missing_field", "title", None)
    if len(title) > 256:
        raise call.invalid(resource, "custom", "title", "title is too long (maximum is 256 characters)")
    return title


def _long(call: Call, resource: str) -> str | None:
    body = call.document().get("body")
    if body and len(body) > BODY_LIMIT:
        raise call.invalid(resource, "custom", "body", "body is too long (maximum is 65536 characters)")
    return None if body is None else str(body)


def _commit_pulls(call: Call) -> Answer:
    """The pull requests from a branch of this repository with that head, and the merged ones into it.

    One from a fork is found by asking the fork: its commits are none of this repository's before they are merged.
    https://github.com/TooTallNate/nx.js/pull/410 and https://github.com/learningequality/kolibri/pull/14719 measured it.
    """
    repo = call.repository()
    sha = _resolved(call, repo)
    found = [
        pull
        for other in call.forge.repositories
        for pull in other.pulls.values()
        if sha in (pull.head, pull.commit) and call.sees(other)
        if pull.source is repo or (pull.merged and other is repo)
    ]
    return call.paged(repo, found, lambda pull: _shown_pull(call.forge, pull))


def _comments(call: Call) -> Answer:
    repo = call.repository()
    topic = call.topic(repo)
    since = call.request.query.get("since", "")
    found = [comment for comment in topic.comments if (moment(comment.updated) or "") >= since]
    return call.paged(repo, found, lambda comment: _shown_comment(call.forge, comment))


def _comment(call: Call) -> Answer:
    return Answer(200, _shown_comment(call.forge, call.comment(call.repository())))


def _create_comment(call: Call) -> Answer:
    repo = call.repository()
    topic = call.topic(repo)
    if topic.locked and (call.token.integration or not call.strong(repo, "write")):
        page = "https://docs.github.com/articles/locking-conversations/"
        raise call.refused(403, "Unable to create comment because issue is locked.", page=page)
    made = topic.comment(call.token.user.login, _body(call))
    shown = _shown_comment(call.forge, made)
    return Answer(201, shown, {"Location": shown["url"]})


def _edit_comment(call: Call) -> Answer:
    comment = _own(call)
    comment.edit(_body(call))
    return Answer(200, _shown_comment(call.forge, comment))


def _delete_comment(call: Call) -> Answer:
    _own(call).delete()
    return Answer(204)


def _own(call: Call) -> Comment:
    """A comment that whoever asks may change: one's own, or with the role for it anyone's."""
    repo = call.repository()
    comment = call.comment(repo)
    if comment.user != call.token.user and not call.strong(repo, "write"):
        raise call.refused(403, "Must have admin rights to Repository.")
    return comment


def _body(call: Call) -> str:
    body = call.document().get("body")
    if not isinstance(body, str):
        raise call.refused(422, 'Invalid request.\n\n"body" wasn\'t supplied.')
    if not body.strip():
        raise call.invalid("IssueComment", "unprocessable", "data", "Body cannot be blank")
    if len(body) > BODY_LIMIT:
        # The words of 2023 and later; before, the code was "custom", the field "body" and the message lower case.
        raise call.invalid("IssueComment", "unprocessable", "data", "Body is too long (maximum is 65536 characters)")
    return body


def _create_status(call: Call) -> Answer:
    repo = call.repository()
    if not call.strong(repo, "write"):
        raise call.refused(404, "Not Found")
    sha, sent = call.arguments["sha"], call.document()
    if sha not in repo.commits:
        raise call.refused(422, f"No commit found for SHA: {sha}")
    if sent.get("state") not in {"error", "failure", "pending", "success"}:
        raise call.invalid("Status", "custom", "state", "state is not included in the list")
    if len(sent.get("description") or "") > DESCRIPTION_LIMIT:
        raise call.invalid("Status", "custom", "description", "description is too long (maximum is 140 characters)")
    if not re.match(r"https?://", sent.get("target_url") or "https://"):
        raise call.invalid("Status", "custom", "target_url", "target_url must use http(s) scheme")
    context = sent.get("context") or "default"
    before = [status for status in repo.statuses if status.sha == sha and status.context == context]
    if len(before) >= STATUSES_LIMIT:
        raise call.invalid("Status", "custom", None, "This SHA and context has reached the maximum number of statuses.")
    made = CommitStatus(
        call.forge.identifier("status", 700),
        sha,
        sent["state"],
        context,
        sent.get("description"),
        sent.get("target_url"),
        call.token.user,
        call.forge.tick(),
    )
    repo.statuses.append(made)
    return Answer(201, _shown_status(call.forge, repo, made))


def _combined_status(call: Call) -> Answer:
    repo = call.repository()
    sha = _resolved(call, repo)
    newest = repo.statuses_of(sha)
    states = {status.state for status in newest}
    state = "failure" if states & {"error", "failure"} else "success" if states == {"success"} else "pending"
    page = call.paged(repo, newest, lambda status: _shown_status(call.forge, repo, status))
    root = f"{call.forge.url}/repos/{repo.name}/commits/{sha}"
    document = {
        "state": state,
        "statuses": [{key: text for key, text in one.items() if key != "creator"} for one in page.document],
        "sha": sha,
        "total_count": len(newest),
        "repository": _shown_repository(call.forge, repo),
        "commit_url": root,
        "url": f"{root}/status",
    }
    return Answer(200, document, page.headers)


def _statuses(call: Call) -> Answer:
    """Every status ever made, newest first."""
    repo = call.repository()
    sha = _resolved(call, repo)
    found = [status for status in reversed(repo.statuses) if status.sha == sha]
    return call.paged(repo, found, lambda status: _shown_status(call.forge, repo, status))


def _resolved(call: Call, repo: Repository) -> str:
    ref = call.arguments["sha"]
    sha = repo.branches.get(ref.removeprefix("heads/"), ref)
    if sha not in repo.commits:
        raise call.refused(422, f"No commit found for SHA: {ref}")
    return sha


def _reviews(call: Call) -> Answer:
    """The oldest first."""
    repo = call.repository()
    pull = call.pull(repo)
    return call.paged(repo, pull.reviews, lambda review: _shown_review(call.forge, pull, review))


def _membership(call: Call) -> Answer:
    """A workflow's token does not see an organization's teams."""
    if call.token.integration:
        raise call.refused(403, "Resource not accessible by integration")
    name = f"{call.arguments['organization']}/{call.arguments['team']}"
    if call.arguments["login"] not in call.forge.teams.get(name, ()):
        raise call.refused(404, "Not Found")
    url = f"{call.forge.url}/teams/1/memberships/{call.arguments['login']}"
    return Answer(200, {"url": url, "role": "member", "state": "active"})


def _events(call: Call) -> Answer:
    repo = call.repository()
    return call.paged(repo, call.topic(repo).events, lambda event: _shown_event(call.forge, repo, event))


def _labels(call: Call) -> Answer:
    repo = call.repository()
    return call.paged(repo, call.topic(repo).labels, lambda label: _shown_label(call.forge, repo, label))


def _add_labels(call: Call) -> Answer:
    repo = call.repository()
    topic = call.topic(repo)
    if not call.strong(repo, "triage"):
        raise call.refused(403, "Must have admin rights to Repository.")
    sent = call.document()
    for name in sent if isinstance(sent, list) else sent.get("labels", []):
        topic.label(call.token.user.login, name)
    return Answer(200, [_shown_label(call.forge, repo, label) for label in topic.labels])


def _remove_label(call: Call) -> Answer:
    repo = call.repository()
    topic = call.topic(repo)
    if not call.strong(repo, "triage"):
        raise call.refused(403, "Must have admin rights to Repository.")
    if call.arguments["label"].casefold() not in {label.name.casefold() for label in topic.labels}:
        raise call.refused(404, "Label does not exist")
    topic.unlabel(call.token.user.login, call.arguments["label"])
    return Answer(200, [_shown_label(call.forge, repo, label) for label in topic.labels])


def _permission(call: Call) -> Answer:
    """What somebody may do here. `permission` knows four levels; the role, and whether they may merge, is finer."""
    repo = call.repository()
    if call.token.kind == "anonymous":
        raise call.refused(401, "Requires authentication")
    if not call.strong(repo, "write"):
        raise call.refused(403, "Must have push access to view collaborator permission.")
    user = call.forge.users.get(call.arguments["login"])
    if user is None:
        raise call.refused(404, f"{call.arguments['login']} is not a user")
    # Of a public repository everybody is a reader.
    role = repo.role(user.login) or ("none" if repo.private else "read")
    held = ROLES.get(role, 0)
    needed = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
    may = {name: held >= ROLES[least] for name, least in needed.items()}
    legacy = {"maintain": "write", "triage": "read"}.get(role, role)
    shown = _shown_user(call.forge, user) | {"permissions": may, "role_name": role}
    return Answer(200, {"permission": legacy, "user": shown, "role_name": role})


_REPO = r"/(?:repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)|repositories/(?P<id>\d+))"
_TALK_READ = ("issues=read", "pull_requests=read")
_TALK_WRITE = ("issues=write", "pull_requests=write")
_PULLS = "pulls/pulls"
_ISSUES = "issues/issues"
_COMMENTS = "issues/comments"
_STATUSES = "commits/statuses"
_LABELS = "issues/labels"
ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("GET", r"/user"): Endpoint(_myself, "users/users#get-the-authenticated-user", scopes=()),
    ("POST", r"(?:/api)?/graphql"): Endpoint(_graphql, "graphql", scopes=()),
    ("GET", r"/rate_limit"): Endpoint(_rate_limit, "rate-limit/rate-limit", scopes=()),
    ("GET", _REPO): Endpoint(_repository, "repos/repos#get-a-repository", ("metadata=read",)),
    ("GET", _REPO + r"/branches/(?P<branch>[^/]+)"): Endpoint(
        _branch, "branches/branches#get-a-branch", ("contents=read",)
    ),
    ("GET", _REPO + r"/rules/branches/(?P<branch>[^/]+)"): Endpoint(
        _rules, "repos/rules#get-rules-for-a-branch", ("metadata=read",)
    ),
    ("GET", _REPO + r"/actions/permissions/workflow"): Endpoint(
        _workflow_permissions,
        "actions/permissions#get-default-workflow-permissions-for-a-repository",
        ("administration=read",),
    ),
    ("GET", _REPO + r"/environments/(?P<name>[\w-]+)"): Endpoint(
        _environment, "repos/get-environment", ("actions=read",)
    ),
    ("GET", _REPO + r"/environments/(?P<name>[\w-]+)/deployment-branch-policies"): Endpoint(
        _branch_policies, "repos/list-deployment-branch-policies", ("actions=read",)
    ),
    ("GET", _REPO + r"/environments/(?P<name>[\w-]+)/secrets/(?P<secret>\w+)"): Endpoint(
        _environment_secret, "actions/get-environment-secret", ("environments=read",)
    ),
    ("GET", _REPO + r"/actions/secrets/(?P<name>\w+)"): Endpoint(
        _actions_secret, "actions/secrets#get-a-repository-secret", ("secrets=read",)
    ),
    ("GET", _REPO + r"/pulls"): Endpoint(_pulls, f"{_PULLS}#list-pull-requests", ("pull_requests=read",)),
    ("GET", _REPO + r"/pulls/(?P<number>\d+)"): Endpoint(
        _pull, f"{_PULLS}#get-a-pull-request", ("pull_requests=read", "contents=read")
    ),
    ("GET", _REPO + r"/pulls/(?P<number>\d+)/reviews"): Endpoint(
        _reviews, "pulls/reviews#list-reviews-for-a-pull-request", ("pull_requests=read",)
    ),
    ("GET", r"/orgs/(?P<organization>[^/]+)/teams/(?P<team>[^/]+)/memberships/(?P<login>[^/]+)"): Endpoint(
        _membership, "teams/members#get-team-membership-for-a-user", ("members=read",)
    ),
    ("POST", _REPO + r"/pulls"): Endpoint(_create_pull, f"{_PULLS}#create-a-pull-request", ("pull_requests=write",)),
    ("PATCH", _REPO + r"/pulls/(?P<number>\d+)"): Endpoint(
        _edit_pull, f"{_PULLS}#update-a-pull-request", ("pull_requests=write",)
    ),
    ("GET", _REPO + r"/issues"): Endpoint(_issues, f"{_ISSUES}#list-repository-issues", ("issues=read",)),
    ("POST", _REPO + r"/issues"): Endpoint(_create_issue, f"{_ISSUES}#create-an-issue", ("issues=write",)),
    ("GET", _REPO + r"/issues/(?P<number>\d+)"): Endpoint(_issue, f"{_ISSUES}#get-an-issue", _TALK_READ),
    ("PATCH", _REPO + r"/issues/(?P<number>\d+)"): Endpoint(_edit_issue, f"{_ISSUES}#update-an-issue", _TALK_WRITE),
    ("GET", _REPO + r"/commits/(?P<sha>.+)/pulls"): Endpoint(
        _commit_pulls,
        "commits/commits#list-pull-requests-associated-with-a-commit",
        ("pull_requests=read", "contents=read"),
    ),
    ("GET", _REPO + r"/issues/(?P<number>\d+)/comments"): Endpoint(
        _comments, f"{_COMMENTS}#list-issue-comments", _TALK_READ
    ),
    ("POST", _REPO + r"/issues/(?P<number>\d+)/comments"): Endpoint(
        _create_comment, f"{_COMMENTS}#create-an-issue-comment", _TALK_WRITE
    ),
    ("GET", _REPO + r"/issues/comments/(?P<comment>\d+)"): Endpoint(
        _comment, f"{_COMMENTS}#get-an-issue-comment", _TALK_READ
    ),
    ("PATCH", _REPO + r"/issues/comments/(?P<comment>\d+)"): Endpoint(
        _edit_comment, f"{_COMMENTS}#update-an-issue-comment", _TALK_WRITE
    ),
    ("DELETE", _REPO + r"/issues/comments/(?P<comment>\d+)"): Endpoint(
        _delete_comment, f"{_COMMENTS}#delete-an-issue-comment", _TALK_WRITE
    ),
    ("POST", _REPO + r"/statuses/(?P<sha>[^/]+)"): Endpoint(
        _create_status, f"{_STATUSES}#create-a-commit-status", ("statuses=write",), ("repo", "repo:status")
    ),
    ("GET", _REPO + r"/commits/(?P<sha>.+)/status"): Endpoint(
        _combined_status,
        f"{_STATUSES}#get-the-combined-status-for-a-specific-reference",
        ("statuses=read",),
        ("repo", "repo:status"),
    ),
    ("GET", _REPO + r"/commits/(?P<sha>.+)/statuses"): Endpoint(
        _statuses,
        f"{_STATUSES}#list-commit-statuses-for-a-reference",
        ("statuses=read",),
        ("repo", "repo:status"),
    ),
    ("GET", _REPO + r"/commits/(?P<sha>[^/]+)"): Endpoint(_commit, "commits/commits#get-a-commit", ("contents=read",)),
    ("GET", _REPO + r"/issues/(?P<number>\d+)/events"): Endpoint(
        _events, "issues/events#list-issue-events", _TALK_READ
    ),
    ("GET", _REPO + r"/issues/(?P<number>\d+)/labels"): Endpoint(
        _labels, f"{_LABELS}#list-labels-for-an-issue", _TALK_READ
    ),
    ("POST", _REPO + r"/issues/(?P<number>\d+)/labels"): Endpoint(
        _add_labels, f"{_LABELS}#add-labels-to-an-issue", _TALK_WRITE
    ),
    ("DELETE", _REPO + r"/issues/(?P<number>\d+)/labels/(?P<label>[^/]+)"): Endpoint(
        _remove_label, f"{_LABELS}#remove-a-label-from-an-issue", _TALK_WRITE
    ),
    ("GET", _REPO + r"/collaborators/(?P<login>[^/]+)/permission"): Endpoint(
        _permission,
        "collaborators/collaborators#get-repository-permissions-for-a-user",
        ("metadata=read",),
    ),
    **{
        (method, _REPO + address): Endpoint(run, page, (needed,))
        for (method, address), (run, page, needed) in github_objects.ENDPOINTS.items()
    },
}


# What things look like.


def _shown_user(forge: GitHub, user: User) -> dict[str, Any]:
    root = f"{forge.url}/users/{quote(user.login)}"
    parts = {
        "followers": "",
        "following": "{/other_user}",
        "gists": "{/gist_id}",
        "starred": "{/owner}{/repo}",
        "subscriptions": "",
        "events": "{/privacy}",
        "received_events": "",
    }
    return {
        "login": user.login,
        "id": user.id,
        "node_id": f"U_{user.id}",
        "avatar_url": f"{forge.origin}/avatars/{user.id}",
        "gravatar_id": "",
        "url": root,
        "html_url": f"{forge.origin}/{'apps/' if user.bot else ''}{user.login.removesuffix('[bot]')}",
        **{f"{part}_url": f"{root}/{part}{rest}" for part, rest in parts.items()},
        "organizations_url": f"{root}/orgs",
        "repos_url": f"{root}/repos",
        "type": "Bot" if user.bot else "User",
        "user_view_type": "public",
        "site_admin": False,
    }


def _profile(forge: GitHub, user: User) -> dict[str, Any]:
    return _shown_user(forge, user) | {
        "name": None,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "public_repos": 1,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": "2011-01-25T18:44:36Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }


# Addresses below a repository, as templates: name of the key -> path.
_PLACES = {
    "archive": "{archive_format}{/ref}",
    "assignees": "assignees{/user}",
    "blobs": "git/blobs{/sha}",
    "branches": "branches{/branch}",
    "collaborators": "collaborators{/collaborator}",
    "comments": "comments{/number}",
    "commits": "commits{/sha}",
    "compare": "compare/{base}...{head}",
    "contents": "contents/{+path}",
    "contributors": "contributors",
    "deployments": "deployments",
    "downloads": "downloads",
    "events": "events",
    "forks": "forks",
    "git_commits": "git/commits{/sha}",
    "git_refs": "git/refs{/sha}",
    "git_tags": "git/tags{/sha}",
    "hooks": "hooks",
    "issue_comment": "issues/comments{/number}",
    "issue_events": "issues/events{/number}",
    "issues": "issues{/number}",
    "keys": "keys{/key_id}",
    "labels": "labels{/name}",
    "languages": "languages",
    "merges": "merges",
    "milestones": "milestones{/number}",
    "notifications": "notifications{?since,all,participating}",
    "pulls": "pulls{/number}",
    "releases": "releases{/id}",
    "stargazers": "stargazers",
    "statuses": "statuses/{sha}",
    "subscribers": "subscribers",
    "subscription": "subscription",
    "tags": "tags",
    "teams": "teams",
    "trees": "git/trees{/sha}",
}


def _shown_repository(forge: GitHub, repo: Repository) -> dict[str, Any]:
    root, web = f"{forge.url}/repos/{repo.name}", f"{forge.origin}/{repo.name}"
    counts = ("forks", "forks_count", "open_issues", "open_issues_count", "size", "stargazers_count")
    switches = {"has_downloads", "has_issues", "has_projects", "has_wiki", "has_pages", "archived", "disabled"}
    return {
        "id": repo.id,
        "node_id": f"R_{repo.id}",
        "name": repo.name.partition("/")[2],
        "full_name": repo.name,
        "owner": _shown_user(forge, forge.user(repo.owner)),
        "private": repo.private,
        "visibility": "private" if repo.private else "public",
        "html_url": web,
        "description": None,
        "fork": repo.fork,
        "url": root,
        **{f"{key}_url": f"{root}/{path}" for key, path in _PLACES.items()},
        "clone_url": f"{web}.git",
        "git_url": f"git:{web}.git",
        "ssh_url": f"git@{web}.git",
        "svn_url": web,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "default_branch": repo.default_branch,
        **dict.fromkeys((*counts, "watchers", "watchers_count"), 0),
        **{switch: switch == "has_issues" and repo.has_issues for switch in switches},
        "created_at": moment(repo.created),
        "updated_at": moment(repo.created),
        "pushed_at": moment(repo.created),
    }


def _shown_commit(forge: GitHub, repo: Repository, sha: str) -> dict[str, Any]:
    root, web = f"{forge.url}/repos/{repo.name}", f"{forge.origin}/{repo.name}"
    person = {"name": "Ada", "email": "ada@example.org", "date": moment(repo.created)}
    verification = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
    tree = {"sha": sha[::-1], "url": f"{root}/git/trees/{sha[::-1]}"}
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "url": f"{root}/commits/{sha}",
        "html_url": f"{web}/commit/{sha}",
        "comments_url": f"{root}/commits/{sha}/comments",
        "commit": {
            "url": f"{root}/git/commits/{sha}",
            "author": person,
            "committer": person,
            "message": "a commit",
            "comment_count": 0,
            "tree": tree,
            "verification": verification,
        },
        "author": _shown_user(forge, forge.user(repo.owner)),
        "committer": _shown_user(forge, forge.user(repo.owner)),
        "parents": [
            {"sha": parent, "url": f"{root}/commits/{parent}", "html_url": f"{web}/commit/{parent}"}
            for parent in repo.commits[sha]
        ],
    }


def _shown_pull(forge: GitHub, pull: Pull, *, whole: bool = False) -> dict[str, Any]:
    repo = pull.repository
    root, web = f"{forge.url}/repos/{repo.name}", f"{forge.origin}/{repo.name}/pull/{pull.number}"
    here, issue = f"{root}/pulls/{pull.number}", f"{root}/issues/{pull.number}"
    links = {
        "self": here,
        "html": web,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{here}/comments",
        "review_comment": f"{root}/pulls/comments{{/number}}",
        "commits": f"{here}/commits",
        "statuses": f"{root}/statuses/{pull.head}",
    }
    shown = {
        "id": 50_000 + pull.number,
        "node_id": f"PR_{repo.id}_{pull.number}",
        "number": pull.number,
        "url": here,
        "html_url": web,
        "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch",
        "issue_url": issue,
        **{f"{key}_url": text for key, text in links.items() if key not in {"self", "html", "issue"}},
        "_links": {key: {"href": text} for key, text in links.items()},
        "state": pull.state,
        "locked": pull.locked,
        "title": pull.title,
        "user": _shown_user(forge, pull.user),
        "body": pull.body,
        "labels": [_shown_label(forge, repo, label) for label in pull.labels],
        "milestone": None,
        "active_lock_reason": None,
        "created_at": moment(pull.created),
        "updated_at": moment(pull.updated),
        "closed_at": moment(pull.closed),
        "merged_at": moment(pull.closed) if pull.merged else None,
        "merge_commit_sha": pull.commit,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "head": _shown_end(forge, pull.owner, pull.branch, pull.head, pull.source),
        "base": _shown_end(forge, repo.owner, pull.base_branch, pull.base, repo),
        "author_association": _association(repo, pull.user),
        "auto_merge": pull.automatic
        and {
            "enabled_by": _shown_user(forge, pull.automatic[0]),
            "merge_method": pull.automatic[1],
            "commit_title": pull.title,
            "commit_message": "",
        },
        "draft": False,
    }
    return shown | (_shown_rest(pull) if whole else {})


def _shown_issue(forge: GitHub, topic: Topic) -> dict[str, Any]:
    repo = topic.repository
    is_pull = isinstance(topic, Pull)
    root, web = f"{forge.url}/repos/{repo.name}", f"{forge.origin}/{repo.name}"
    here = f"{root}/issues/{topic.number}"
    page = f"{web}/{'pull' if is_pull else 'issues'}/{topic.number}"
    faces = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    shown: dict[str, Any] = {
        "id": 60_000 + topic.number,
        "node_id": f"{'PR' if is_pull else 'I'}_{repo.id}_{topic.number}",
        "number": topic.number,
        "url": here,
        "html_url": page,
        "repository_url": root,
        "labels_url": f"{here}/labels{{/name}}",
        "comments_url": f"{here}/comments",
        "events_url": f"{here}/events",
        "timeline_url": f"{here}/timeline",
        "state": topic.state,
        "state_reason": topic.reason,
        "title": topic.title,
        "body": topic.body,
        "user": _shown_user(forge, topic.user),
        "labels": [_shown_label(forge, repo, label) for label in topic.labels],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": topic.locked,
        "active_lock_reason": None,
        "comments": len(topic.comments),
        "created_at": moment(topic.created),
        "updated_at": moment(topic.updated),
        "closed_at": moment(topic.closed),
        "closed_by": None,
        "author_association": _association(repo, topic.user),
        "performed_via_github_app": None,
        "reactions": {"url": f"{here}/reactions", "total_count": 0, **dict.fromkeys(faces, 0)},
    }
    if is_pull:
        there = {"url": f"{root}/pulls/{topic.number}", "html_url": page}
        shown["pull_request"] = there | {"diff_url": f"{page}.diff", "patch_url": f"{page}.patch", "merged_at": None}
    return shown


def _shown_end(forge: GitHub, owner: str, branch: str, sha: str, repo: Repository | None) -> dict[str, Any]:
    """One of the two ends of a pull request. The repository is null when the fork was deleted."""
    return {
        "label": f"{owner}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": _shown_user(forge, forge.user(owner)),
        "repo": repo and _shown_repository(forge, repo),
    }


def _shown_rest(pull: Pull) -> dict[str, Any]:
    """What only the pull request itself says, not the list."""
    return {
        "merged": pull.merged,
        "mergeable": None if pull.merged else True,
        "rebaseable": None,
        "mergeable_state": "unknown",
        "merged_by": None,
        "comments": len(pull.comments),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": 1,
        "additions": 1,
        "deletions": 1,
        "changed_files": 1,
    }


def _shown_review(forge: GitHub, pull: Pull, review: Review) -> dict[str, Any]:
    repo = pull.repository
    here, page = f"{forge.url}/repos/{repo.name}/pulls/{pull.number}", f"{forge.origin}/{repo.name}/pull/{pull.number}"
    page = f"{page}#pullrequestreview-{review.id}"
    return {
        "id": review.id,
        "node_id": f"PRR_{review.id}",
        "user": _shown_user(forge, review.user),
        "body": "",
        "state": review.state,
        "html_url": page,
        "pull_request_url": here,
        "author_association": _association(repo, review.user),
        "_links": {"html": {"href": page}, "pull_request": {"href": here}},
        "submitted_at": moment(review.created),
        "commit_id": review.sha,
    }


def _shown_comment(forge: GitHub, comment: Comment) -> dict[str, Any]:
    repo = comment.topic.repository
    url = f"{forge.url}/repos/{repo.name}/issues/comments/{comment.id}"
    faces = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {
        "id": comment.id,
        "node_id": f"IC_{comment.id}",
        "url": url,
        "html_url": f"{forge.origin}/{repo.name}/pull/{comment.topic.number}#issuecomment-{comment.id}",
        "issue_url": f"{forge.url}/repos/{repo.name}/issues/{comment.topic.number}",
        "user": _shown_user(forge, comment.user),
        "created_at": moment(comment.created),
        "updated_at": moment(comment.updated),
        "author_association": _association(repo, comment.user),
        "body": comment.body,
        "reactions": {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(faces, 0)},
        "performed_via_github_app": None,
        "minimized": comment.minimized and {"reason": comment.minimized},
    }


def _association(repo: Repository, user: User) -> str:
    if user.login == repo.owner:
        return "OWNER"
    return "COLLABORATOR" if user.login in repo.collaborators else "NONE"


def _shown_status(forge: GitHub, repo: Repository, status: CommitStatus) -> dict[str, Any]:
    return {
        "url": f"{forge.url}/repos/{repo.name}/statuses/{status.sha}",
        "avatar_url": f"{forge.origin}/avatars/{status.creator.id}",
        "id": status.id,
        "node_id": f"SC_{status.id}",
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": moment(status.created),
        "updated_at": moment(status.created),
        "creator": _shown_user(forge, status.creator),
    }


def _shown_label(forge: GitHub, repo: Repository, label: Label) -> dict[str, Any]:
    return {
        "id": label.id,
        "node_id": f"LA_{label.id}",
        "url": f"{forge.url}/repos/{repo.name}/labels/{quote(label.name)}",
        "name": label.name,
        "description": None,
        "color": label.color,
        "default": False,
    }


def _shown_event(forge: GitHub, repo: Repository, event: Event) -> dict[str, Any]:
    shown = {
        "id": event.id,
        "node_id": f"E_{event.id}",
        "url": f"{forge.url}/repos/{repo.name}/issues/events/{event.id}",
        "actor": _shown_user(forge, event.actor),
        "event": event.kind,
        "commit_id": None,
        "commit_url": None,
        "created_at": moment(event.created),
        "performed_via_github_app": None,
    }
    if event.label:
        shown["label"] = {"name": event.label.name, "color": event.label.color}
    if event.kind == "locked":
        shown["lock_reason"] = None
    return shown


def _remembered(repo: Repository) -> dict[str, Any]:
    """A repository's memory, for whoever looks at it from another process."""
    return {
        "pulls": {
            str(pull.number): {
                **_remembered_topic(pull),
                "head": pull.head,
                "branch": pull.branch,
                "base": pull.base_branch,
                "automatic": pull.automatic and pull.automatic[1],
            }
            for pull in repo.pulls.values()
        },
        "issues": {str(issue.number): _remembered_topic(issue) for issue in repo.issues.values()},
        "statuses": [
            {
                "sha": one.sha,
                "context": one.context,
                "state": one.state,
                "description": one.description,
                "target_url": one.target_url,
                "creator": one.creator.login,
            }
            for one in repo.statuses
        ],
    }


def _remembered_topic(topic: Topic) -> dict[str, Any]:
    return {
        "state": topic.state,
        "title": topic.title,
        "body": topic.body,
        "labels": [label.name for label in topic.labels],
        "comments": [
            {"id": one.id, "author": one.user.login, "body": one.body, "edits": one.edits} for one in topic.comments
        ],
        "history": [[kind, number] for kind, number, _ in topic.history],
    }


def populated(forge: GitHub, setup: Mapping[str, Any]) -> None:
    """Fills a forge from a document; its keys are the arguments of the methods that it calls."""
    for document in setup.get("repositories", []):
        pulls = document.get("pulls", [])
        left_out = {"pulls", "commits", "issues", "bare", "branches", "requires"}
        repo = forge.repository(**{key: thing for key, thing in document.items() if key not in left_out})
        repo.bare = Path(document["bare"]) if "bare" in document else None
        repo.branches.update(document.get("branches", {}))
        if checks := document.get("requires"):
            repo.require(*checks)
        for sha in document.get("commits", []):
            repo.commit(sha)
        for pull in pulls:
            made = repo.pull(**{key: thing for key, thing in pull.items() if key not in {"comments", "labels"}})
            for login, body in pull.get("comments", []):
                made.comment(login, body)
            for login, name in pull.get("labels", []):
                made.label(login, name)
        for login, title, body in document.get("issues", []):
            repo.issue(login, title, body)
    for token in setup.get("tokens", []):
        forge.token(**token)


if __name__ == "__main__":
    from tests.fakes.process import main

    main(GitHub, populated)
