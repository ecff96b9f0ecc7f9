"""GitLab, as far as ci-ml goes: merge requests, issues, notes, commit statuses, labels, members, merging by itself.

    with GitLab() as forge:
        project = forge.project("acme/churn", members={"mona": "developer"})
        change = project.merge_request(7, head="c0ffee…", branch="deeper", source="stranger/churn")
        change.note("mona", "hi")
        token = forge.token(kind="project", role="developer")
        … forge.url, token …
        assert change.notes[-1].body == "…"

What it does where the documentation is silent is what GitLab's source does; the names of its files are given.
As a process of its own: `python -m tests.fakes.gitlab --setup FILE` (see `process`).
"""

import email
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from tests.fakes.git_server import heads
from tests.fakes.server import Answer, Logged, PrimaryLimit, Refused, Request, SecondaryLimit, Server, Throttled

BODY_LIMIT = 1_000_000
DESCRIPTION_LIMIT = 255
# https://docs.gitlab.com/api/access_requests/#valid-access-levels
LEVELS = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
# app/models/commit_status.rb: the event for each state, and the states from which it leads there.
TRANSITIONS = {
    "pending": ("enqueue", {"created"}),
    "running": ("run", {"created", "pending"}),  # a new one is enqueued first
    "success": ("success", {"created", "pending", "running"}),
    "failed": ("drop", {"created", "pending", "running"}),
    "canceled": ("cancel", {"created", "pending", "running"}),
    "skipped": ("skip", {"created", "pending"}),
}
# https://docs.gitlab.com/user/project/quick_actions/ (a few of them)
QUICK_ACTIONS = {"approve", "assign", "close", "label", "merge", "reopen", "spend", "title", "unapprove", "unlabel"}
# lib/gitlab/quick_actions/extractor.rb: where a line that begins with a slash is none.
_SPARED = r"^```.+?\n```$|^<[^>]+?>\n.+?\n</[^>]+?>$|^>>>.+?\n>>>$"


def moment(when: datetime | None) -> str | None:
    return None if when is None else f"{when:%Y-%m-%dT%H:%M:%S}.000Z"


# The memory.


@dataclass(frozen=True)
class User:
    """A person, or the bot of a project access token."""

    username: str
    id: int

    @property
    def bot(self) -> bool:
        return re.fullmatch(r"(project|group)_\d+_bot_\w+", self.username) is not None


@dataclass
class Token:
    """A secret: personal, project (both: access token with scopes), or job."""

    kind: str
    user: User
    scopes: tuple[str, ...] = ()
    project: "Project | None" = None  # of a job
    pipeline: int | None = None
    state: str = "active"  # active, expired, revoked; a job's is over when it is not active


@dataclass
class Note:
    """A comment of an issue or a merge request; with `system`, one that GitLab made itself."""

    topic: "Topic"
    id: int
    author: User
    body: str
    created: datetime
    updated: datetime
    system: bool = False
    internal: bool = False
    edits: int = 0

    def edit(self, body: str) -> None:
        with self.topic.forge.lock:
            self.body, self.updated, self.edits = body, self.topic.forge.tick(), self.edits + 1
            self.topic.history.append(("edited", self.id, body))

    def delete(self) -> None:
        with self.topic.forge.lock:
            self.topic.notes.remove(self)
            self.topic.history.append(("deleted", self.id, self.body))


@dataclass(frozen=True)
class Event:
    """A label that somebody added or removed."""

    id: int
    action: str
    label: str
    user: User
    created: datetime


@dataclass(frozen=True)
class Pipeline:
    """A pipeline; statuses belong to one."""

    id: int
    sha: str
    ref: str
    source: str


@dataclass
class CommitStatus:
    """A status. It moves on while it is pending or running; after that the next report begins another."""

    id: int
    sha: str
    ref: str
    name: str
    pipeline: int
    author: User
    created: datetime
    state: str = "created"
    description: str | None = None
    target_url: str | None = None
    coverage: float | None = None
    retried: bool = False


@dataclass(kw_only=True)
class Topic:
    """An issue, or what a merge request has of one; with what a person would do to it."""

    project: "Project"
    iid: int
    id: int
    author: User
    title: str
    created: datetime
    updated: datetime
    description: str | None = None
    state: str = "opened"
    locked: bool = False
    labels: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    label_events: list[Event] = field(default_factory=list)
    quick_actions: list[str] = field(default_factory=list)  # what was carried out because a note said so
    history: list[tuple[str, int, str]] = field(default_factory=list)  # created, edited or deleted; id; body

    @property
    def forge(self) -> "GitLab":
        return self.project.forge

    def note(self, username: str, body: str, *, system: bool = False, internal: bool = False) -> Note:
        with self.forge.lock:
            now, author = self.forge.tick(), self.forge.user(username)
            made = Note(self, self.forge.identifier("note", 3_000), author, body, now, now, system, internal)
            self.notes.append(made)
            self.updated = now
            if not system:
                self.history.append(("created", made.id, body))
            return made

    def count(self, what: str) -> int:
        """How many notes were `created`, `edited` or `deleted`."""
        return sum(kind == what for kind, *_ in self.history)

    def label(self, username: str, name: str) -> None:
        with self.forge.lock:
            if name not in self.labels:
                self.labels.append(name)
                self._labelled("add", username, name)

    def unlabel(self, username: str, name: str) -> None:
        with self.forge.lock:
            if name in self.labels:
                self.labels.remove(name)
                self._labelled("remove", username, name)

    def close(self) -> None:
        with self.forge.lock:
            self.state, self.updated = "closed", self.forge.tick()

    def reopen(self) -> None:
        with self.forge.lock:
            self.state, self.updated = "opened", self.forge.tick()

    def lock(self) -> None:
        """Only members may write in the conversation from now on."""
        with self.forge.lock:
            self.locked = True

    def _labelled(self, action: str, username: str, name: str) -> None:
        event = self.forge.identifier("event", 100)
        self.label_events.append(Event(event, action, name, self.forge.user(username), self.forge.tick()))


@dataclass(kw_only=True)
class MergeRequest(Topic):
    """A merge request, with what a person would do to it."""

    head: str
    branch: str
    source: "Project | None"  # None: the fork was deleted
    base: str
    base_branch: str
    draft: bool = False
    automatic: User | None = None  # who wants it merged once its pipeline has succeeded
    approvals: dict[str, datetime] = field(default_factory=dict)  # by whom, and when; a push takes none of them back
    versions: list[datetime] = field(default_factory=list)  # when each head came
    commit: str | None = None  # the one that stands for it once it is merged

    def approve(self, username: str) -> None:
        with self.forge.lock:
            self.note(username, "approved this merge request", system=True)
            self.approvals[username] = self.notes[-1].created

    def unapprove(self, username: str) -> None:
        with self.forge.lock:
            del self.approvals[username]
            self.note(username, "unapproved this merge request", system=True)

    def push(self, sha: str, username: str | None = None) -> None:
        """The head is another commit now; GitLab says so in a system note."""
        with self.forge.lock:
            self.head = sha
            self.versions.append(self.forge.tick())
            self.project.commits.add(sha)
            if self.source:
                self.source.commit(sha, branch=self.branch)
            self.note(username or self.author.username, f"added 1 commit\n\n* {sha[:8]}", system=True)

    def merge(self, commit: str | None = None) -> None:
        with self.forge.lock:
            self.state, self.commit = "merged", commit
            if commit:
                self.project.commits.add(commit)

    def delete_fork(self) -> None:
        with self.forge.lock:
            self.source = None


@dataclass
class Project:
    """A project, with its members and what CI left on its commits."""

    forge: "GitLab"
    id: int
    path: str  # namespace/name
    private: bool
    default_branch: str
    members: dict[str, str]  # username -> guest, …, owner
    commits: set[str] = field(default_factory=set)
    branches: dict[str, str] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    merge_requests: dict[int, MergeRequest] = field(default_factory=dict)
    issues: dict[int, Topic] = field(default_factory=dict)
    has_issues: bool = True
    bare: Path | None = None  # what is pushed there is known here
    pipelines: list[Pipeline] = field(default_factory=list)
    statuses: list[CommitStatus] = field(default_factory=list)
    must_succeed: bool = False  # "Pipelines must succeed"
    skipped_counts: bool = False  # "Skipped pipelines are considered successful"
    personal: bool = False  # in a user's namespace, not in a group's
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)  # by their address below the project
    environments: set[str] = field(default_factory=set)  # that are protected
    schedules: dict[int, dict[str, str]] = field(default_factory=dict)  # the variables of active ones

    @property
    def namespace(self) -> str:
        return self.path.rpartition("/")[0]

    def commit(self, sha: str, *, branch: str | None = None) -> str:
        with self.forge.lock:
            self.commits.add(sha)
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
            for change in self.merge_requests.values():
                moved = known.get(change.branch, change.head) != change.head
                if change.source is self and change.state == "opened" and moved:
                    change.push(known[change.branch])

    def pipeline(self, sha: str, ref: str, source: str = "merge_request_event") -> Pipeline:
        with self.forge.lock:
            made = Pipeline(self.forge.identifier("pipeline", 400), self.commit(sha), ref, source)
            self.pipelines.append(made)
            return made

    def merge_request(
        self,
        iid: int,
        *,
        head: str = "a" * 40,
        branch: str = "topic",
        source: str | None = None,
        base: str = "b" * 40,
        base_branch: str | None = None,
        author: str | None = None,
        title: str = "A change",
        description: str | None = None,
    ) -> MergeRequest:
        """A merge request from `branch` of `source` (a path; by default this project itself)."""
        with self.forge.lock:
            origin = self.forge.project(source) if source and source != self.path else self
            into = base_branch or self.default_branch
            self.commit(base, branch=into)
            self.commit(head)  # also of a fork: GitLab keeps it at refs/merge-requests/N/head
            origin.commit(head, branch=branch)
            who = self.forge.user(author or origin.namespace)
            now = self.forge.tick()
            made = MergeRequest(
                project=self,
                iid=iid,
                id=self.forge.identifier("merge request", 5_000),
                head=head,
                branch=branch,
                source=origin,
                base=base,
                base_branch=into,
                author=who,
                title=title,
                description=description,
                created=now,
                updated=now,
            )
            self.merge_requests[iid] = made
            return made

    def issue(self, username: str, title: str, description: str | None = None) -> Topic:
        """An issue; they are counted apart from merge requests."""
        with self.forge.lock:
            iid, number = max([0, *self.issues]) + 1, self.forge.identifier("issue", 6_000)
            now, author = self.forge.tick(), self.forge.user(username)
            made = Topic(
                project=self,
                iid=iid,
                id=number,
                author=author,
                title=title,
                description=description,
                created=now,
                updated=now,
            )
            self.issues[iid] = made
            return made

    def variable(self, key: str, value: str, *, protected: bool = False) -> None:
        """A variable of CI jobs, masked."""
        about = {"variable_type": "env_var", "masked": True, "raw": False, "environment_scope": "*"}
        with self.forge.lock:
            self.variables[key] = {"key": key, "value": value, "protected": protected} | about

    def statuses_of(self, sha: str) -> list[CommitStatus]:
        """The newest of each name."""
        with self.forge.lock:
            return [status for status in self.statuses if status.sha == sha and not status.retried]

    def level(self, user: User) -> int:
        role = "owner" if user.username == self.namespace else self.members.get(user.username)
        return LEVELS[role] if role else 0


class GitLab(Server):
    """The server. Its `url` is `CI_API_V4_URL`, its `origin` `CI_SERVER_URL`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"prefix": "/api/v4"} | options))
        self.users: dict[str, User] = {}
        self.groups: dict[str, set[str]] = {}  # path -> usernames
        self.says_when = True  # as GitLab 18 does of approvals
        self.projects: list[Project] = []
        self.tokens: dict[str, Token] = {}

    # Setting up.

    def user(self, username: str) -> User:
        with self.lock:
            if username not in self.users:
                self.users[username] = User(username, self.identifier("user", 20))
            return self.users[username]

    def project(
        self,
        path: str,
        *,
        private: bool = False,
        default_branch: str = "main",
        members: Mapping[str, str] | None = None,
    ) -> Project:
        """The project at a path; made at the first call."""
        with self.lock:
            for known in self.projects:
                if known.path == path:
                    return known
            people = {self.user(name).username: role for name, role in (members or {}).items()}
            made = Project(self, self.identifier("project", 40), path, private, default_branch, people)
            self.user(made.namespace)
            self.projects.append(made)
            return made

    def token(
        self,
        secret: str | None = None,
        *,
        kind: str = "project",
        username: str | None = None,
        scopes: Iterable[str] = ("api",),
        role: str = "developer",
        project: str | None = None,
        pipeline: int | None = None,
    ) -> str:
        """A secret. A project token brings its own bot, a member with `role`; a job's is its user's, for one project."""
        with self.lock:
            number = self.identifier("token")
            shape = {"personal": "glpat-", "project": "glpat-", "job": "glcbt-64_"}[kind]
            secret = secret or f"{shape}{number:020d}"
            where = self.project(project) if project else next(iter(self.projects), None)
            if kind == "project":
                assert where is not None, "a project token needs a project"
                username = username or f"project_{where.id}_bot_{number:032x}"
                where.members[username] = role
            who = self.user(username or "mona")
            self.tokens[secret] = Token(kind, who, tuple(scopes), where, pipeline)
            return secret

    def revoke(self, secret: str, state: str = "revoked") -> None:
        """`expired`, `revoked`, or a job that is over."""
        with self.lock:
            self.tokens[secret].state = state

    def state(self) -> dict[str, Any]:
        with self.lock:
            return {
                "projects": {project.path: _remembered(project) for project in self.projects},
                "requests": [str(entry) for entry in self.requests],
                "problems": self.problems,
            }

    # Answering.

    def identity(self, request: Request) -> str:
        secret = _secret(request)
        if secret is None:
            return "anonymous"
        return self.tokens[secret].kind if secret in self.tokens else "unknown"

    def refusal(self, fault: Throttled | SecondaryLimit | PrimaryLimit) -> Answer:
        # https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers
        seconds = fault.seconds if isinstance(fault, PrimaryLimit) else fault.retry_after
        reset = int(self.clock.now.timestamp()) + (seconds if isinstance(seconds, int) else 60)
        headers = {
            "Content-Type": "text/plain",
            "RateLimit-Limit": "60",
            "RateLimit-Name": "throttle_authenticated_api",
            "RateLimit-Observed": "61",
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(reset),
        }
        if not isinstance(fault, PrimaryLimit) and fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        return Answer(429, text="Retry later\n", headers=headers)

    def answer(self, request: Request, logged: Logged) -> Answer:
        for (method, pattern), endpoint in ENDPOINTS.items():
            matched = re.fullmatch(pattern, request.path)
            if matched and method == request.method:
                arguments = {name: unquote(text) for name, text in matched.groupdict().items()}
                call = Call(self, request, self._authenticated(request, endpoint), arguments)
                if endpoint.members and call.token is None:
                    raise _refused(401, "401 Unauthorized")
                return endpoint.run(call)
        return Answer(404, {"error": "404 Not Found"})

    def _authenticated(self, request: Request, endpoint: "Endpoint") -> Token | None:
        """lib/gitlab/auth/auth_finders.rb: where a job token is of no use, it is as if there was none."""
        secret = _secret(request)
        if secret is None:
            return None
        token = self.tokens.get(secret)
        by_job = secret.startswith("glcbt-") or "job-token" in request.headers
        if by_job:
            if not endpoint.job:
                return None
            if token is None or token.kind != "job" or token.state != "active":
                raise _refused(401, "401 Unauthorized")
            return token
        if token is None:
            raise _refused(401, "401 Unauthorized")
        return self._valid(token, request, endpoint)

    def _valid(self, token: Token, request: Request, endpoint: "Endpoint") -> Token:
        """lib/api/api_guard.rb"""
        reasons = {
            "expired": "Token is expired. You can either do re-authorization or token refresh.",
            "revoked": "Token was revoked. You have to re-authorize from the user.",
        }
        if token.state in reasons:
            raise Refused(Answer(401, {"error": "invalid_token", "error_description": reasons[token.state]}))
        enough = {"api", *endpoint.scopes} | ({"read_api"} if request.method == "GET" else set())
        if not enough & set(token.scopes):
            text = "The request requires higher privileges than provided by the access token."
            scope = " ".join(sorted(enough))
            raise Refused(Answer(403, {"error": "insufficient_scope", "error_description": text, "scope": scope}))
        return token


# A request on its way to an endpoint.


@dataclass(frozen=True)
class Endpoint:
    """What runs, and who gets that far."""

    run: "Callable[[Call], Answer]"
    job: bool = False  # https://docs.gitlab.com/ci/jobs/ci_job_token/#job-token-access
    members: bool = False  # nobody without a token, not even for a public project
    scopes: tuple[str, ...] = ()  # beside api


@dataclass
class Call:
    """One request with everything an endpoint wants to know about it."""

    forge: GitLab
    request: Request
    token: Token | None
    arguments: dict[str, str]

    @property
    def user(self) -> User:
        assert self.token is not None
        return self.token.user

    def parameters(self) -> dict[str, Any]:
        """GitLab takes them from the address as well as from the body."""
        kind = self.request.headers.get("content-type", "")
        if self.request.body and not re.match(r"application/(json|x-www-form-urlencoded)\b", kind):
            raise Refused(Answer(415, {"error": f"The provided content-type '{kind}' is not supported."}))
        try:
            return self.request.query | (self.request.document or {})
        except ValueError:
            problem = {"error": "message body does not match declared format"}
            raise Refused(Answer(400, problem)) from None

    def level(self, project: Project) -> int:
        return project.level(self.token.user) if self.token else 0

    def project(self) -> Project:
        """A project that may not be seen does not exist; a job token only reaches its own, and what is public."""
        wanted = self.arguments["id"]
        for project in self.forge.projects:
            if wanted in {str(project.id), project.path}:
                own = self.token is None or self.token.kind != "job" or self.token.project is project
                if not project.private or (own and self.level(project)):
                    project.fetch()
                    return project
        raise _refused(404, "404 Project Not Found")

    def require(self, project: Project, role: str) -> None:
        if self.level(project) < LEVELS[role]:
            raise _refused(403, "403 Forbidden")

    def change(self, project: Project, missing: str = "404 Not found") -> MergeRequest:
        change = project.merge_requests.get(int(self.arguments["iid"]))
        if change is None:
            raise _refused(404, missing)
        return change

    def topic(self, project: Project) -> Topic:
        """The issue or merge request that an address names."""
        if "/issues/" not in self.request.path:
            return self.change(project, "404 MergeRequest Not Found")
        found = project.issues.get(int(self.arguments["iid"]))
        if found is None or not project.has_issues:
            raise _refused(404, "404 Issue Not Found")
        return found

    def note(self, change: Topic) -> Note:
        for note in change.notes:
            if note.id == int(self.arguments["note"]):
                return note
        raise _refused(404, "404 Not found")

    def paged(self, things: Sequence[Any], show: Callable[[Any], Any], **named: str) -> Answer:
        """One page, with the headers of lib/gitlab/pagination/offset_header_builder.rb."""
        page, size = self._number("page", 1), min(self._number("per_page", 20), 100)
        last = max(1, -(-len(things) // size))
        after, before = page + 1 if page < last else None, page - 1 if page > 1 else None
        query = {"id": self.arguments["id"]} | named | self.request.query | {"per_page": str(size)}
        links = [
            f'<{self.forge.url}{self.request.path}?{urlencode(query | {"page": str(number)})}>; rel="{relation}"'
            for relation, number in (("prev", before), ("next", after), ("first", 1), ("last", last))
            if number
        ]
        headers = {
            "X-Per-Page": str(size),
            "X-Page": str(page),
            "X-Next-Page": str(after or ""),
            "X-Prev-Page": str(before or ""),
            "X-Total": str(len(things)),
            "X-Total-Pages": str(last),
            "Link": ", ".join(links),
        }
        return Answer(200, [show(thing) for thing in things[(page - 1) * size : page * size]], headers)

    def _number(self, name: str, default: int) -> int:
        text = self.request.query.get(name, str(default))
        if not text.isdecimal():
            raise Refused(Answer(400, {"error": f"{name} is invalid"}))
        if not int(text):
            raise Refused(Answer(400, {"error": f"{name} does not have a valid value"}))
        return int(text)


def _secret(request: Request) -> str | None:
    _, _, bearer = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("private-token") or bearer.strip() or request.headers.get("job-token") or None


def _refused(status: int, message: Any) -> Refused:
    return Refused(Answer(status, {"message": message}))


# The endpoints.


def _myself(call: Call) -> Answer:
    return Answer(200, _shown_user(call.forge, call.user) | {"bot": call.user.bot, "two_factor_enabled": False})


def _user(call: Call) -> Answer:
    """Only here, and not where a user is part of something else, does GitLab say who is a bot."""
    for user in call.forge.users.values():
        if str(user.id) == call.arguments["user"]:
            return Answer(200, _shown_user(call.forge, user) | {"bot": user.bot})
    raise _refused(404, "404 User Not Found")


def _job(call: Call) -> Answer:
    """Whose job asks. Only a job has one."""
    if call.token is None or call.token.kind != "job" or call.token.project is None:
        raise _refused(401, "401 Unauthorized")
    project = call.token.project
    runs = next((one for one in project.pipelines if one.id == call.token.pipeline), None)
    shown = runs and {"id": runs.id, "project_id": project.id, "sha": runs.sha, "ref": runs.ref, "status": "running"}
    return Answer(
        200,
        {
            "id": 900,
            "name": "gate",
            "stage": "test",
            "status": "running",
            "ref": runs and runs.ref,
            "user": _shown_user(call.forge, call.user),
            "pipeline": shown,
            "web_url": f"{call.forge.origin}/{project.path}/-/jobs/900",
        },
    )


def _own_token(call: Call) -> Answer:
    """https://docs.gitlab.com/api/personal_access_tokens/#self-inform"""
    assert call.token is not None
    about = {"id": 1, "name": "ci-ml", "revoked": False, "active": True, "user_id": call.user.id}
    return Answer(200, about | {"scopes": list(call.token.scopes)})


def _project(call: Call) -> Answer:
    """lib/api/entities/project_with_access.rb: the role comes with it; some settings only for members."""
    project = call.project()
    level = call.level(project)
    shown = _shown_project(call.forge, project)
    access = {"access_level": level, "notification_level": 3} if level else None
    shown["permissions"] = {"project_access": access, "group_access": None}
    if level or not project.private:
        shown["only_allow_merge_if_pipeline_succeeds"] = project.must_succeed
        shown["allow_merge_on_skipped_pipeline"] = project.skipped_counts
    return Answer(200, shown)


def _variable(call: Call) -> Answer:
    project = call.project()
    call.require(project, "maintainer")
    if call.arguments["key"] not in project.variables:
        raise _refused(404, "404 Variable Not Found")
    return Answer(200, project.variables[call.arguments["key"]])


def _protected_environment(call: Call) -> Answer:
    project, name = call.project(), call.arguments["name"]
    call.require(project, "maintainer")
    if name not in project.environments:
        raise _refused(404, "404 Not found")
    return Answer(200, {"name": name, "deploy_access_levels": [], "required_approval_count": 0, "approval_rules": []})


def _schedules(call: Call) -> Answer:
    project = call.project()
    call.require(project, "developer")
    return call.paged([*project.schedules], lambda number: {"id": number, "active": True})


def _schedule(call: Call) -> Answer:
    """lib/api/entities/ci/pipeline_schedule_details.rb: variables are for who may change the schedule."""
    project, number = call.project(), int(call.arguments["number"])
    call.require(project, "developer")
    if number not in project.schedules:
        raise _refused(404, "404 Pipeline Schedule Not Found")
    shown: dict[str, Any] = {"id": number, "active": True}
    if call.level(project) >= LEVELS["maintainer"]:
        variables = project.schedules[number].items()
        shown["variables"] = [{"variable_type": "env_var", "key": key, "value": value} for key, value in variables]
    return Answer(200, shown)


def _changes(call: Call) -> Answer:
    project, query = call.project(), call.request.query
    found = [
        change
        for change in project.merge_requests.values()
        if query.get("state", "all") in {"all", change.state}
        if query.get("source_branch", change.branch) == change.branch
        if query.get("target_branch", change.base_branch) == change.base_branch
        if query.get("iids[]", str(change.iid)) == str(change.iid)
    ]
    newest = sorted(found, key=lambda change: change.created, reverse=query.get("sort") != "asc")
    return call.paged(newest, lambda change: _shown_change(call.forge, change))


def _change(call: Call) -> Answer:
    return Answer(200, _shown_change(call.forge, call.change(call.project()), whole=True))


def _create_change(call: Call) -> Answer:
    """lib/api/merge_requests.rb; what is wrong with it comes as a list, and 409 when there is one already."""
    project = call.project()
    call.require(project, "developer")
    sent = call.parameters()
    for key in ("title", "source_branch", "target_branch"):
        if key not in sent:
            raise Refused(Answer(400, {"error": f"{key} is missing"}))
    branch, into = str(sent["source_branch"]), str(sent["target_branch"])
    for name, which in ((branch, "source_branch"), (into, "target_branch")):
        if name not in project.branches:
            raise _refused(400, {which: ["does not exist"]})
    for other in project.merge_requests.values():
        if other.state == "opened" and (other.branch, other.base_branch) == (branch, into) and other.source is project:
            text = f"Another open merge request already exists for this source branch: !{other.iid}"
            raise _refused(409, [text])
    description, commands = _quick_actions(str(sent.get("description") or ""))
    made = project.merge_request(
        max([0, *project.merge_requests]) + 1,
        head=project.branches[branch],
        branch=branch,
        base=project.branches[into],
        base_branch=into,
        author=call.user.username,
        title=str(sent["title"]),
        description=description,
    )
    _carry_out(call, made, commands)
    _relabel(call, made, {"labels": sent.get("labels", "")})
    return Answer(201, _shown_change(call.forge, made, whole=True))


def _merge_change(call: Call) -> Answer:
    """app/services/auto_merge_service.rb: at once if its pipeline has succeeded, and without a pipeline not at all."""
    project = call.project()
    change = call.change(project)
    if call.level(project) < LEVELS["developer"]:
        raise _refused(401, "401 Unauthorized")
    sent = call.parameters()
    if sent.get("sha", change.head) != change.head:
        raise _refused(409, f"SHA does not match HEAD of source branch: {change.head}")
    pipelines = [pipeline for pipeline in project.pipelines if pipeline.sha == change.head]
    later = sent.get("auto_merge") or sent.get("merge_when_pipeline_succeeds")
    if change.state != "opened" or change.draft or (later and not pipelines):
        raise _refused(405, "405 Method Not Allowed")
    change.merge() if not later else setattr(change, "automatic", call.user)
    return Answer(200, _shown_change(call.forge, change, whole=True))


def _update_change(call: Call) -> Answer:
    """Labels are only for those who may triage; from anyone else who may edit they are ignored, without a word."""
    project = call.project()
    change = call.change(project)
    if call.user != change.author:
        call.require(project, "developer")
    _edited(call, project, change)
    return Answer(200, _shown_change(call.forge, change, whole=True))


def _edited(call: Call, project: Project, topic: Topic) -> None:
    sent = call.parameters()
    if call.level(project) >= LEVELS["reporter"]:
        _relabel(call, topic, sent)
    if "title" in sent:
        topic.title = str(sent["title"])
    if "description" in sent:
        topic.description, commands = _quick_actions(str(sent["description"]))
        topic.history.append(("edited", topic.iid, topic.description))
        _carry_out(call, topic, commands)
    topic.updated = call.forge.tick()
    event = sent.get("state_event")
    if event in {"close", "reopen"}:
        topic.close() if event == "close" else topic.reopen()


def _issues(call: Call) -> Answer:
    """Those that whoever asks has made, unless the scope is `all`; none where issues are turned off."""
    project, query = call.project(), call.request.query
    by, sort = query.get("order_by", "created_at"), query.get("sort", "desc")
    scope = query.get("scope", "all")  # https://docs.gitlab.com/api/issues/#list-all-project-issues
    found = [
        issue
        for issue in project.issues.values()
        if project.has_issues
        if query.get("state", "all") in {"all", issue.state}
        if query.get("author_id", str(issue.author.id)) == str(issue.author.id)
        if scope == "all" or (call.token and issue.author == call.user)
    ]
    ordered = sorted(found, key=lambda one: getattr(one, by.removesuffix("_at")), reverse=sort == "desc")
    return call.paged(ordered, lambda issue: _shown_issue(call.forge, issue))


def _issue(call: Call) -> Answer:
    return Answer(200, _shown_issue(call.forge, call.topic(call.project())))


def _create_issue(call: Call) -> Answer:
    project = call.project()
    if not project.has_issues:
        raise _refused(403, "403 Forbidden")
    call.require(project, "guest")
    sent = call.parameters()
    if not str(sent.get("title", "")).strip():
        raise Refused(Answer(400, {"error": "title is missing"}))
    description, commands = _quick_actions(str(sent.get("description") or ""))
    if len(description) > BODY_LIMIT:
        raise _refused(400, {"description": ["is too long (maximum is 1000000 characters)"]})
    made = project.issue(call.user.username, str(sent["title"]), description)
    _carry_out(call, made, commands)
    if call.level(project) >= LEVELS["reporter"]:
        _relabel(call, made, {"labels": sent.get("labels", "")})
    return Answer(201, _shown_issue(call.forge, made))


def _update_issue(call: Call) -> Answer:
    project = call.project()
    issue = call.topic(project)
    if call.user != issue.author:
        call.require(project, "planner")
    _edited(call, project, issue)
    return Answer(200, _shown_issue(call.forge, issue))


def _relabel(call: Call, change: Topic, sent: Mapping[str, Any]) -> None:
    wanted = list(change.labels)
    if "labels" in sent:
        wanted = _names(sent["labels"])
    wanted += [name for name in _names(sent.get("add_labels")) if name not in wanted]
    removed = _names(sent.get("remove_labels"))
    wanted = [name for name in wanted if name not in removed]
    for name in [name for name in change.labels if name not in wanted]:
        change.unlabel(call.user.username, name)
    for name in wanted:
        change.label(call.user.username, name)


def _names(sent: Any) -> list[str]:
    return [name.strip() for name in (sent.split(",") if isinstance(sent, str) else sent or []) if name.strip()]


def _notes(call: Call) -> Answer:
    """Newest first, and GitLab's own notes among them."""
    project, query = call.project(), call.request.query
    change = call.topic(project)
    by, sort = query.get("order_by", "created_at"), query.get("sort", "desc")
    for name, value, allowed in (("order_by", by, {"created_at", "updated_at"}), ("sort", sort, {"asc", "desc"})):
        if value not in allowed:
            raise Refused(Answer(400, {"error": f"{name} does not have a valid value"}))
    visible = [note for note in change.notes if not note.internal or call.level(project) >= LEVELS["reporter"]]
    keys: dict[str, Callable[[Note], Any]] = {
        "created_at": lambda note: (note.created, note.id),
        "updated_at": lambda note: (note.updated, note.id),
    }
    ordered = sorted(visible, key=keys[by], reverse=sort == "desc")
    return call.paged(
        ordered,
        lambda note: _shown_note(call.forge, note),
        noteable_id=str(change.iid),
        order_by=by,
        sort=sort,
    )


def _note(call: Call) -> Answer:
    return Answer(200, _shown_note(call.forge, call.note(call.topic(call.project()))))


def _create_note(call: Call) -> Answer:
    project = call.project()
    change = call.topic(project)
    if change.locked and not call.level(project):
        raise _refused(403, "403 Forbidden")
    sent = call.parameters()
    body, commands = _quick_actions(_text(sent))
    _carry_out(call, change, commands)
    if not body:
        return _executed(commands)
    made = change.note(call.user.username, body, internal=sent.get("internal") in {True, "true"})
    return Answer(201, _shown_note(call.forge, made))


def _upload(call: Call) -> Answer:
    """https://docs.gitlab.com/api/project_markdown_uploads/#upload-a-file"""
    project = call.project()
    call.require(project, "guest")
    kind = call.request.headers.get("content-type", "")
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + call.request.body)
    sent = {part.get_param("name", header="content-disposition"): part for part in message.walk()}
    file = sent.get("file")
    if file is None:
        raise Refused(Answer(400, {"error": "file is missing"}))
    name, data = str(file.get_filename()), file.get_payload(decode=True)
    assert isinstance(data, bytes)
    url = f"/uploads/{hashlib.md5(data).hexdigest()}/{name}"
    project.uploads[url] = data
    alt = name.rpartition(".")[0]
    shown = {
        "id": len(project.uploads),
        "alt": alt,
        "url": url,
        "full_path": f"/-/project/{project.id}{url}",
        "markdown": f"![{alt}]({url})",
    }
    return Answer(201, shown)


def _edit_note(call: Call) -> Answer:
    """app/services/notes/update_service.rb: a note that becomes nothing but commands is deleted."""
    note = _own(call)
    body, commands = _quick_actions(_text(call.parameters()))
    _carry_out(call, note.topic, commands)
    if not body:
        note.delete()
        return _executed(commands)
    note.edit(body)
    return Answer(200, _shown_note(call.forge, note))


def _delete_note(call: Call) -> Answer:
    _own(call).delete()
    return Answer(204)


def _own(call: Call) -> Note:
    """app/policies/note_policy.rb: authors change their notes, Maintainers those of others, nobody GitLab's."""
    project = call.project()
    note = call.note(call.topic(project))
    if note.system:
        raise _refused(403, "403 Forbidden")
    if note.author != call.user:
        call.require(project, "maintainer")
    return note


def _text(sent: Mapping[str, Any]) -> str:
    if "body" not in sent:
        raise Refused(Answer(400, {"error": "body is missing"}))
    body = str(sent["body"])
    if not body.strip():
        raise _refused(400, '400 Bad request - Note {:note=>["can\'t be blank"]}')
    if len(body) > BODY_LIMIT:
        raise _refused(400, '400 Bad request - Note {:note=>["is too long (maximum is 1000000 characters)"]}')
    return body


def _quick_actions(text: str) -> tuple[str, list[str]]:
    """What is left of a note, and the commands in it: lines that begin with one, outside of code, HTML and quotes.

    Whoever posts what others wrote lets them act in the poster's name. White space at the end goes in any case, so a note
    may read differently from what was sent. https://docs.gitlab.com/user/project/quick_actions/
    """
    commands: list[str] = []

    def taken(found: re.Match[str]) -> str:
        if found["command"] is None:
            return found[0]
        commands.append(found["command"].strip())
        return ""

    names = "|".join(sorted(QUICK_ACTIONS))
    pattern = rf"{_SPARED}|^/(?P<command>(?:{names})(?: [^\n]*)?)(?:\s*\n|$)"
    left = re.sub(pattern, taken, text.replace("\r", ""), flags=re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return left.rstrip(), commands


def _executed(commands: Iterable[str]) -> Answer:
    """What there is to say when no note is left of what was sent."""
    return Answer(202, {"commands_changes": {}, "summary": [f"Executed /{command}." for command in commands]})


def _carry_out(call: Call, change: Topic, commands: Iterable[str]) -> None:
    for command in commands:
        change.quick_actions.append(command)
        name, _, rest = command.partition(" ")
        name = name.lower()
        labels = [quoted or plain for quoted, plain in re.findall(r'~(?:"([^"]+)"|(\S+))', rest)]
        for label in labels:
            {"label": change.label, "unlabel": change.unlabel}[name](call.user.username, label)
        if name in {"close", "reopen"}:
            {"close": change.close, "reopen": change.reopen}[name]()


def _create_status(call: Call) -> Answer:
    """app/services/ci/create_commit_status_service.rb"""
    project = call.project()
    call.require(project, "developer")
    sent, sha = call.parameters(), call.arguments["sha"]
    state = sent.get("state")
    if state not in TRANSITIONS:
        problem = "state does not have a valid value" if "state" in sent else "state is missing"
        raise Refused(Answer(400, {"error": problem}))
    if sha not in project.commits:
        raise _refused(404, "404 Commit Not Found")
    pipeline = _pipeline(project, sha, sent)
    status = _status(call, project, pipeline, sent)
    for key in ("target_url", "description", "coverage"):
        setattr(status, key, sent.get(key) or getattr(status, key))
    event, origins = TRANSITIONS[state]
    if status.state not in origins:
        text = f'Cannot transition status via :{event} from :{status.state} (Reason(s): Status cannot transition via "{event}")'
        raise _refused(400, text)
    if status not in project.statuses:
        for older in project.statuses_of(sha):
            older.retried |= older.name == status.name and older.ref == status.ref
        project.statuses.append(status)
    status.state = state
    return Answer(201, _shown_status(call.forge, status))


def _pipeline(project: Project, sha: str, sent: Mapping[str, Any]) -> Pipeline:
    """The newest pipeline of the commit; where there is none, one is made for a branch that has it."""
    wanted, ref = sent.get("pipeline_id"), sent.get("ref")
    for pipeline in reversed(project.pipelines):
        if pipeline.sha == sha and ref in {None, pipeline.ref} and str(wanted or pipeline.id) == str(pipeline.id):
            return pipeline
    if wanted:
        raise _refused(404, "404 Pipeline for pipeline_id, sha and ref Not Found")
    ref = ref or next((name for name, head in project.branches.items() if head == sha), None)
    if ref is None:  # as for a commit of a fork
        raise _refused(404, "404 References for commit Not Found")
    return project.pipeline(sha, ref, "external")


def _status(call: Call, project: Project, pipeline: Pipeline, sent: Mapping[str, Any]) -> CommitStatus:
    """The one that is still going, of the same name and person; else a new one."""
    name = sent.get("name") or sent.get("context") or "default"
    if len(sent.get("description") or "") > DESCRIPTION_LIMIT:
        raise _refused(400, {"description": ["is too long (maximum is 255 characters)"]})
    if not re.match(r"https?://", sent.get("target_url") or "https://"):
        raise _refused(400, {"target_url": ["is blocked: Only allowed schemes are http, https"]})
    for status in project.statuses:
        going = status.pipeline == pipeline.id and status.state in {"pending", "running"}
        if going and status.name == name and status.author == call.user:
            return status
    number = call.forge.identifier("status", 800)
    return CommitStatus(number, pipeline.sha, pipeline.ref, name, pipeline.id, call.user, call.forge.tick())


def _statuses(call: Call) -> Answer:
    project, query = call.project(), call.request.query
    if project.private:
        call.require(project, "reporter")
    if call.arguments["sha"] not in project.commits:
        raise _refused(404, "404 Commit Not Found")
    found = [
        status
        for status in project.statuses
        if status.sha == call.arguments["sha"]
        if query.get("all", "").lower() in {"true", "1"} or not status.retried
        if query.get("name", status.name) == status.name
        if query.get("ref", status.ref) == status.ref
        if query.get("pipeline_id", str(status.pipeline)) == str(status.pipeline)
    ]
    return call.paged(found, lambda status: _shown_status(call.forge, status))


def _commit_changes(call: Call) -> Answer:
    """https://docs.gitlab.com/api/commits/#list-all-merge-requests-associated-with-a-commit"""
    project = call.project()
    if call.arguments["sha"] not in project.commits:
        raise _refused(404, "404 Commit Not Found")
    found = [one for one in project.merge_requests.values() if call.arguments["sha"] in (one.head, one.commit)]
    return call.paged(found, lambda change: _shown_change(call.forge, change))


def _approvals(call: Call) -> Answer:
    """https://docs.gitlab.com/api/merge_request_approvals/; newer ones say when, older ones do not."""
    change = call.change(call.project())
    given = [
        {"user": _shown_user(call.forge, call.forge.user(name))}
        | ({"approved_at": moment(at)} if call.forge.says_when else {})
        for name, at in change.approvals.items()
    ]
    return Answer(200, {"approved": bool(given), "approved_by": given, "user_has_approved": False})


def _versions(call: Call) -> Answer:
    """The newest first."""
    change = call.change(call.project())
    found = list(reversed([change.created, *change.versions]))
    return call.paged(found, lambda at: {"id": 1, "head_commit_sha": change.head, "created_at": moment(at)})


def _group_member(call: Call) -> Answer:
    names = call.forge.groups.get(call.arguments["group"], ())
    for name in names:
        if str(call.forge.user(name).id) == call.arguments["user"]:
            return Answer(200, _shown_user(call.forge, call.forge.user(name)) | {"access_level": 30})
    raise _refused(404, "404 Not found")


def _label_events(call: Call) -> Answer:
    change = call.topic(call.project())
    return call.paged(change.label_events, lambda event: _shown_event(call.forge, change, event))


def _member(call: Call) -> Answer:
    project = call.project()
    for user in call.forge.users.values():
        level = project.level(user)
        if str(user.id) == call.arguments["user"] and level:
            more = {"access_level": level, "created_at": moment(call.forge.clock.now), "expires_at": None}
            return Answer(200, _shown_user(call.forge, user) | more | {"membership_state": "active"})
    raise _refused(404, "404 Not found")


_PROJECT = r"/projects/(?P<id>[^/]+)"
_CHANGE = _PROJECT + r"/merge_requests/(?P<iid>\d+)"
_ISSUE = _PROJECT + r"/issues/(?P<iid>\d+)"
ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("GET", r"/user"): Endpoint(_myself, members=True, scopes=("read_user",)),
    ("GET", r"/users/(?P<user>\d+)"): Endpoint(_user, members=True, scopes=("read_user",)),
    ("GET", r"/job"): Endpoint(_job, job=True),
    ("GET", r"/personal_access_tokens/self"): Endpoint(_own_token, members=True, scopes=("read_user", "self_rotate")),
    ("GET", _PROJECT): Endpoint(_project),
    ("GET", _PROJECT + r"/variables/(?P<key>\w+)"): Endpoint(_variable, members=True),
    ("GET", _PROJECT + r"/protected_environments/(?P<name>[\w-]+)"): Endpoint(_protected_environment, members=True),
    ("GET", _PROJECT + r"/pipeline_schedules"): Endpoint(_schedules, members=True),
    ("GET", _PROJECT + r"/pipeline_schedules/(?P<number>\d+)"): Endpoint(_schedule, members=True),
    ("GET", _PROJECT + r"/merge_requests"): Endpoint(_changes, job=True),
    ("GET", _CHANGE): Endpoint(_change, job=True),
    ("PUT", _CHANGE): Endpoint(_update_change, members=True),
    ("POST", _PROJECT + r"/merge_requests"): Endpoint(_create_change, members=True),
    ("PUT", _CHANGE + r"/merge"): Endpoint(_merge_change, members=True),
    ("GET", _PROJECT + r"/issues"): Endpoint(_issues),
    ("POST", _PROJECT + r"/issues"): Endpoint(_create_issue, members=True),
    ("GET", _ISSUE): Endpoint(_issue),
    ("PUT", _ISSUE): Endpoint(_update_issue, members=True),
    ("GET", _ISSUE + r"/notes"): Endpoint(_notes, members=True),
    ("POST", _ISSUE + r"/notes"): Endpoint(_create_note, members=True),
    ("GET", _ISSUE + r"/resource_label_events"): Endpoint(_label_events, members=True),
    ("POST", _PROJECT + r"/uploads"): Endpoint(_upload, members=True),
    ("GET", _CHANGE + r"/notes"): Endpoint(_notes, job=True, members=True),
    ("POST", _CHANGE + r"/notes"): Endpoint(_create_note, members=True),
    ("GET", _CHANGE + r"/notes/(?P<note>\d+)"): Endpoint(_note, job=True, members=True),
    ("PUT", _CHANGE + r"/notes/(?P<note>\d+)"): Endpoint(_edit_note, members=True),
    ("DELETE", _CHANGE + r"/notes/(?P<note>\d+)"): Endpoint(_delete_note, members=True),
    ("GET", _CHANGE + r"/resource_label_events"): Endpoint(_label_events, members=True),
    ("POST", _PROJECT + r"/statuses/(?P<sha>\w+)"): Endpoint(_create_status, members=True),
    ("GET", _PROJECT + r"/repository/commits/(?P<sha>\w+)/statuses"): Endpoint(_statuses, members=True),
    ("GET", _PROJECT + r"/repository/commits/(?P<sha>\w+)/merge_requests"): Endpoint(_commit_changes, members=True),
    ("GET", _CHANGE + r"/approvals"): Endpoint(_approvals, members=True),
    ("GET", _CHANGE + r"/versions"): Endpoint(_versions, members=True),
    ("GET", r"/groups/(?P<group>[^/]+)/members/all/(?P<user>\d+)"): Endpoint(_group_member, members=True),
    ("GET", _PROJECT + r"/members/all/(?P<user>\d+)"): Endpoint(_member, members=True),
    ("GET", _PROJECT + r"/members/(?P<user>\d+)"): Endpoint(_member, members=True),
}


# What things look like.


def _shown_user(forge: GitLab, user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username,
        "public_email": None,
        "name": user.username.title(),
        "state": "active",
        "locked": False,
        "avatar_url": f"{forge.origin}/uploads/user/avatar/{user.id}/avatar.png",
        "web_url": f"{forge.origin}/{user.username}",
    }


def _shown_project(forge: GitLab, project: Project) -> dict[str, Any]:
    name = project.path.rpartition("/")[2]
    web = f"{forge.origin}/{project.path}"
    namespace = {
        "id": 1,
        "name": project.namespace,
        "path": project.namespace,
        "kind": "user" if project.personal else "group",
    }
    return {
        "id": project.id,
        "name": name,
        "path": name,
        "path_with_namespace": project.path,
        "name_with_namespace": project.path.replace("/", " / "),
        "namespace": namespace | {"full_path": project.namespace},
        "default_branch": project.default_branch,
        "visibility": "private" if project.private else "public",
        "web_url": web,
        "http_url_to_repo": f"{web}.git",
        "ssh_url_to_repo": f"git@gitlab.example:{project.path}.git",
        "archived": False,
        "merge_requests_access_level": "enabled",
        "builds_access_level": "enabled",
    }


def _shown_change(forge: GitLab, change: MergeRequest, *, whole: bool = False) -> dict[str, Any]:
    project = change.project
    shown = {
        "id": change.id,
        "iid": change.iid,
        "project_id": project.id,
        "title": change.title,
        "description": change.description,
        "state": change.state,
        "created_at": moment(change.created),
        "updated_at": moment(change.updated),
        "target_branch": change.base_branch,
        "source_branch": change.branch,
        "source_project_id": change.source and change.source.id,
        "target_project_id": project.id,
        "user_notes_count": sum(not note.system for note in change.notes),
        "author": _shown_user(forge, change.author),
        "labels": sorted(change.labels),
        "draft": change.draft,
        "merge_when_pipeline_succeeds": change.automatic is not None,
        "merge_user": change.automatic and _shown_user(forge, change.automatic),
        "discussion_locked": change.locked or None,
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "sha": change.head,
        "merge_commit_sha": change.commit,
        "squash_commit_sha": None,
        "references": {
            "short": f"!{change.iid}",
            "relative": f"!{change.iid}",
            "full": f"{project.path}!{change.iid}",
        },
        "web_url": f"{forge.origin}/{project.path}/-/merge_requests/{change.iid}",
    }
    if whole:
        shown["diff_refs"] = {"base_sha": change.base, "head_sha": change.head, "start_sha": change.base}
        newest = [one for one in project.pipelines if one.sha == change.head][-1:]
        shown["head_pipeline"] = {"id": newest[0].id, "sha": newest[0].sha, "ref": newest[0].ref} if newest else None
    return shown


def _shown_issue(forge: GitLab, issue: Topic) -> dict[str, Any]:
    project = issue.project
    return {
        "id": issue.id,
        "iid": issue.iid,
        "project_id": project.id,
        "title": issue.title,
        "description": issue.description,
        "state": issue.state,
        "created_at": moment(issue.created),
        "updated_at": moment(issue.updated),
        "closed_at": moment(issue.updated) if issue.state == "closed" else None,
        "labels": sorted(issue.labels),
        "author": _shown_user(forge, issue.author),
        "type": "ISSUE",
        "issue_type": "issue",
        "user_notes_count": sum(not note.system for note in issue.notes),
        "confidential": False,
        "discussion_locked": issue.locked or None,
        "web_url": f"{forge.origin}/{project.path}/-/issues/{issue.iid}",
        "references": {"short": f"#{issue.iid}", "relative": f"#{issue.iid}", "full": f"{project.path}#{issue.iid}"},
    }


def _noteable(topic: Topic) -> str:
    return "MergeRequest" if isinstance(topic, MergeRequest) else "Issue"


def _shown_note(forge: GitLab, note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "type": None,
        "body": note.body,
        "author": _shown_user(forge, note.author),
        "created_at": moment(note.created),
        "updated_at": moment(note.updated),
        "system": note.system,
        "noteable_id": note.topic.id,
        "noteable_type": _noteable(note.topic),
        "project_id": note.topic.project.id,
        "resolvable": False,
        "confidential": note.internal,
        "internal": note.internal,
        "imported": False,
        "imported_from": "none",
        "noteable_iid": note.topic.iid,
        "commands_changes": {},
    }


def _shown_status(forge: GitLab, status: CommitStatus) -> dict[str, Any]:
    over = status.state in {"success", "failed", "canceled", "skipped"}
    return {
        "id": status.id,
        "sha": status.sha,
        "ref": status.ref,
        "status": status.state,
        "name": status.name,
        "target_url": status.target_url,
        "description": status.description,
        "created_at": moment(status.created),
        "started_at": moment(status.created) if status.state == "running" else None,
        "finished_at": moment(status.created) if over else None,
        "allow_failure": False,
        "coverage": status.coverage,
        "pipeline_id": status.pipeline,
        "author": _shown_user(forge, status.author),
    }


def _shown_event(forge: GitLab, change: Topic, event: Event) -> dict[str, Any]:
    number = change.project.labels.setdefault(event.label, forge.identifier("label", 70))
    return {
        "id": event.id,
        "user": _shown_user(forge, event.user),
        "created_at": moment(event.created),
        "resource_type": _noteable(change),
        "resource_id": change.id,
        "label": {"id": number, "name": event.label, "color": "#34495E", "description": None},
        "action": event.action,
    }


def _remembered(project: Project) -> dict[str, Any]:
    """A project's memory, for whoever looks at it from another process."""
    return {
        "merge_requests": {
            str(change.iid): {
                **_remembered_topic(change),
                "head": change.head,
                "branch": change.branch,
                "base": change.base_branch,
                "automatic": change.automatic is not None,
            }
            for change in project.merge_requests.values()
        },
        "issues": {str(issue.iid): _remembered_topic(issue) for issue in project.issues.values()},
        "statuses": [
            {
                "sha": one.sha,
                "name": one.name,
                "state": one.state,
                "description": one.description,
                "target_url": one.target_url,
                "author": one.author.username,
            }
            for one in project.statuses
        ],
    }


def _remembered_topic(topic: Topic) -> dict[str, Any]:
    return {
        "state": topic.state,
        "title": topic.title,
        "description": topic.description,
        "labels": topic.labels,
        "quick_actions": topic.quick_actions,
        "notes": [
            {"id": one.id, "author": one.author.username, "body": one.body, "edits": one.edits, "system": one.system}
            for one in topic.notes
        ],
        "history": [[kind, number] for kind, number, _ in topic.history],
    }


def populated(forge: GitLab, setup: Mapping[str, Any]) -> None:
    """Fills a forge from a document; its keys are the arguments of the methods that it calls."""
    for document in setup.get("projects", []):
        left_out = {"merge_requests", "commits", "pipelines", "issues", "bare", "branches"}
        project = forge.project(**{key: thing for key, thing in document.items() if key not in left_out})
        project.bare = Path(document["bare"]) if "bare" in document else None
        project.branches.update(document.get("branches", {}))
        for sha in document.get("commits", []):
            project.commit(sha)
        for change in document.get("merge_requests", []):
            made = project.merge_request(
                **{key: thing for key, thing in change.items() if key not in {"notes", "labels"}}
            )
            for username, body in change.get("notes", []):
                made.note(username, body)
            for username, name in change.get("labels", []):
                made.label(username, name)
        for pipeline in document.get("pipelines", []):
            project.pipeline(**pipeline)
        for username, title, body in document.get("issues", []):
            project.issue(username, title, body)
    for token in setup.get("tokens", []):
        forge.token(**token)


if __name__ == "__main__":
    from tests.fakes.process import main

    main(GitLab, populated)
