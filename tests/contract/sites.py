"""GitHub and GitLab behind one set of words, so that one test holds both adapters to the same contract."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ci_ml.adapters import github, gitlab, http
from ci_ml.core import report as reports
from ci_ml.core.publication import Marker, Status
from ci_ml.core.report import Report
from ci_ml.core.types import Change, Outcome, Run
from ci_ml.ports import Forge
from ci_ml.usecases import publish
from ci_ml.usecases.publish import Letter, Published
from tests.fakes.github import GitHub
from tests.fakes.gitlab import GitLab
from tests.fakes.server import Clock, Fault, Server, Trigger
from tests.reports import comparison, report

HEAD = "c" * 40
OLDER = "d" * 40


class Written(Protocol):
    """A comment as the fake keeps it."""

    body: str

    def edit(self, body: str) -> None: ...

    def delete(self) -> None: ...


@dataclass(kw_only=True)
class Site:
    """One forge with one open change in it, and the waits that a client asked for."""

    kind: str
    server: Any
    proposal: Any
    bot: str
    paths: dict[str, str]
    waits: list[float] = field(default_factory=list)
    token: str = ""
    pipeline: int | None = None
    knows_author: bool = False  # as the action tells it of the job's own token

    def client(self, token: str | None = None, *, patience: float = 120.0) -> http.Client:
        of = github if self.kind == "github" else gitlab
        return http.Client(
            name=self.name,
            base=self.server.url,
            headers=of.headers(self.token if token is None else token),
            patience=patience,
            whole=5.0,
            pause=self.waits.append,
        )

    @property
    def name(self) -> str:
        return {"github": "GitHub", "gitlab": "GitLab"}[self.kind]

    def forge(self, token: str | None = None, **options: Any) -> Forge:
        client = self.client(token, **options)
        if self.kind == "github":
            author = self.bot if token is None and self.knows_author else None
            return github.GitHub(client=client, repository="acme/churn", graphql=self.server.graphql_url, author=author)
        return gitlab.GitLab(client=client, project="acme/churn", web="https://gitlab.example/acme/churn")

    def page(self, run: int, attempt: int) -> str:
        """The page of a run, as the forge names it."""
        if self.kind == "github":
            return f"{self.server.origin}/acme/churn/actions/runs/{run}/attempts/{attempt}"
        return f"{self.server.origin}/acme/churn/-/jobs/{run * 100 + attempt}"

    def change(self, *, run: int = 5, attempt: int = 1, head: str = HEAD, **rest: Any) -> Change:
        known = {
            "forge": self.kind,
            "repository": "acme/churn",
            "number": 7,
            "head": head,
            "checked_out": head,
            "run": self.run(run, attempt),
            "run_url": self.page(run, attempt),
            "pipeline": self.pipeline,
        }
        return Change(**{**known, **rest})

    def run(self, run: int, attempt: int) -> Run:
        """A pipeline of GitLab is the same for all attempts at its jobs, which have numbers of their own."""
        if self.kind == "github":
            return Run(number=run, attempt=attempt)
        return Run(number=self.pipeline or 0, attempt=run * 100 + attempt)

    def publish(
        self,
        text: str = "hello",
        *,
        name: str = "churn",
        outcome: Outcome | None = Outcome.PASS,
        token: str | None = None,
        patience: float = 120.0,
        **change: Any,
    ) -> Published:
        """What a run does at its end, with a comment that says `text`."""
        about = self.change(**change)
        marker = Marker(name=name, head=about.head or "", run=about.run)
        status = Status(name=f"ci-ml/{name}", outcome=outcome, sentence=text, url=about.run_url)
        letter = Letter(marker=marker, status=status, body=lambda longest: f"{marker}\n{text}"[:longest])
        forge = self.forge(token, patience=patience)
        return publish.publish(letter, forge, about, publish.find(forge, about), self.waits.append)

    def waived(self, judged: Report, token: str | None = None, **change: Any) -> tuple[Report, str | None]:
        forge, about = self.forge(token), self.change(**change)
        return publish.waive(judged, forge, about, publish.find(forge, about))

    @property
    def written(self) -> list[Written]:
        """Every comment of the change, the oldest first."""
        found = self.proposal.comments if self.kind == "github" else [n for n in self.proposal.notes if not n.system]
        return list(found)

    @property
    def ours(self) -> list[str]:
        """What our own comments say, without their markers."""
        bodies = [item.body for item in self.written if self.author(item) == self.bot and item.body.startswith("<!--")]
        return [body.partition("\n")[2] for body in bodies]

    def author(self, item: Any) -> str:
        return str(item.user.login if self.kind == "github" else item.author.username)

    def say(self, person: str, body: str) -> Any:
        return self.proposal.comment(person, body) if self.kind == "github" else self.proposal.note(person, body)

    @property
    def statuses(self) -> list[tuple[str, str]]:
        """Name and state of every status on the head."""
        found = (self.server.repositories if self.kind == "github" else self.server.projects)[0].statuses_of(HEAD)
        return [(getattr(item, "context", None) or getattr(item, "name", ""), item.state) for item in found]

    def fail(self, fault: Fault, what: str, **options: Any) -> Trigger:
        method, _, path = self.paths[what].partition(" ")
        return self.server.fail(fault, method, path, **options)

    def before(self, action: Callable[[Any], object], what: str, **options: Any) -> Trigger:
        method, _, path = self.paths[what].partition(" ")
        return self.server.before(action, method, path, **options)


GITHUB = {
    "proposal": "GET /pulls/7$",
    "list": "GET /issues/7/comments",
    "create": "POST /issues/7/comments",
    "update": "PATCH /issues/comments/",
    "delete": "DELETE /issues/comments/",
    "status": "POST /statuses/",
    "statuses": "GET /statuses$",
    "events": "GET /issues/7/events",
    "role": "GET /permission$",
    "who": "POST /graphql$",
}
GITLAB = {
    "proposal": "GET /merge_requests/7$",
    "list": "GET /merge_requests/7/notes",
    "create": "POST /merge_requests/7/notes",
    "update": "PUT /merge_requests/7/notes/",
    "delete": "DELETE /merge_requests/7/notes/",
    "status": "POST /statuses/",
    "statuses": "GET /statuses$",
    "events": "GET /resource_label_events",
    "role": "GET /members/all/",
    "who": "GET /user$",
}


@contextmanager
def site(kind: str) -> Iterator[Site]:
    """A forge with the change #7 of acme/churn, and a token that may write there."""
    clock = Clock(dt.datetime.now(dt.UTC))
    server: Server
    if kind == "github":
        with GitHub(clock=clock) as server:
            repo = server.repository("acme/churn", collaborators={"mona": "write", "trish": "triage", "rita": "read"})
            pull = repo.pull(7, head=HEAD, branch="deeper", user="mona")
            token = server.token(permissions={"pull-requests": "write", "statuses": "write", "contents": "read"})
            yield Site(kind=kind, server=server, proposal=pull, bot="github-actions[bot]", paths=GITHUB, token=token)
    else:
        with GitLab(clock=clock) as server:
            project = server.project(
                "acme/churn", members={"mona": "developer", "trish": "developer", "rita": "reporter"}
            )
            request = project.merge_request(7, head=HEAD, branch="deeper", author="mona")
            token = server.token(kind="project", project="acme/churn")
            pipeline = project.pipeline(HEAD, "refs/merge-requests/7/head")
            bot = server.tokens[token].user.username
            yield Site(
                kind=kind, server=server, proposal=request, bot=bot, paths=GITLAB, token=token, pipeline=pipeline.id
            )


def blocked() -> Report:
    """A report with a regression."""
    return report(comparison("recall", 0.91, 0.85), change=Change(forge="github", head=HEAD))


__all__ = ["HEAD", "OLDER", "Site", "blocked", "reports", "site"]
