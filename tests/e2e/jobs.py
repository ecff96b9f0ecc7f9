"""A job of GitHub Actions or GitLab CI, as far as a command in it can see: environment, event file, checkout."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.project import Project, Result
from tests.fakes.github import GitHub, Pull
from tests.fakes.gitlab import GitLab, MergeRequest

REPOSITORY = "acme/churn"
CAN_WRITE = {"pull-requests": "write", "statuses": "write", "contents": "read"}
CAN_READ = {"pull-requests": "read", "contents": "read"}


@dataclass(kw_only=True)
class GitHubJob:
    """The change #7 on GitHub, checked out as its merge, as actions/checkout does it."""

    project: Project
    forge: GitHub
    base: str
    head: str
    number: int = 7
    source: str = REPOSITORY
    run: int = 100
    attempt: int = 1
    pull: Pull = field(init=False)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        repo = self.forge.repository(REPOSITORY, collaborators={"mona": "maintain"})
        self.pull = repo.pull(
            self.number, head=self.head, branch="change", source=self.source, base=self.base, user="mona"
        )

    @property
    def folder(self) -> Path:
        folder = self.project.root.parent / "runner"
        folder.mkdir(exist_ok=True)
        return folder

    def merge(self) -> str:
        """Check out the merge of head and base that GitHub makes."""
        self.project.git("checkout", "--quiet", "--detach", self.base)
        self.project.git("merge", "--quiet", "--no-ff", "-m", "Merge", self.head)
        return self.project.git("rev-parse", "HEAD")

    def event(self) -> dict[str, Any]:
        owner = self.source.partition("/")[0]
        return {
            "action": "synchronize",
            "number": self.number,
            "pull_request": {
                "number": self.number,
                "head": {
                    "sha": self.head,
                    "ref": "change",
                    "repo": {"full_name": self.source},
                    "user": {"login": owner},
                },
                "base": {"sha": self.base, "ref": "main", "repo": {"full_name": REPOSITORY}},
            },
            "repository": {"full_name": REPOSITORY, "default_branch": "main"},
        }

    def after(self) -> dict[str, Any]:
        """The event of a workflow that another one's end has started."""
        owner = self.source.partition("/")[0]
        return {
            "action": "completed",
            "workflow_run": {
                "id": self.run,
                "run_attempt": self.attempt,
                "event": "pull_request",
                "head_sha": self.head,
                "head_branch": "change",
                "head_repository": {"full_name": self.source, "owner": {"login": owner}},
                "html_url": f"https://github.example/{REPOSITORY}/actions/runs/{self.run}",
                "pull_requests": [],
            },
            "repository": {"full_name": REPOSITORY, "default_branch": "main"},
        }

    def env(
        self, name: str = "pull_request", event: Mapping[str, Any] | str | None = None, **more: str
    ) -> dict[str, str]:
        written = self.folder / "event.json"
        content = self.event() if event is None else event
        written.write_text(content if isinstance(content, str) else json.dumps(content))
        for file in ("summary.md", "output"):
            (self.folder / file).write_text("")
        pull = {"GITHUB_REF": f"refs/pull/{self.number}/merge", "GITHUB_HEAD_REF": "change", "GITHUB_BASE_REF": "main"}
        branch = {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch"}
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_GRAPHQL_URL": self.forge.graphql_url,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(written),
            "GITHUB_SHA": self.project.git("rev-parse", "HEAD"),
            "GITHUB_RUN_ID": str(self.run),
            "GITHUB_RUN_ATTEMPT": str(self.attempt),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            **(pull if name.startswith("pull_request") else branch),
            **more,
        }

    def ci_ml(
        self, *arguments: str, token: str | None = None, permissions: Mapping[str, str] = CAN_WRITE, **env: Any
    ) -> Result:
        given = token
        if given is None:
            given = self.tokens.setdefault(str(permissions), self.forge.token(permissions=permissions))
        return self.project.ci_ml(*arguments, env={"CI_ML_TOKEN": given, "CI_ML_PATIENCE": "3", **self.env(**env)})

    @property
    def comments(self) -> list[str]:
        return [comment.body for comment in self.pull.comments]

    @property
    def statuses(self) -> dict[str, tuple[str, str | None]]:
        """State and description by name, on the head."""
        found = self.forge.repositories[0].statuses_of(self.head)
        return {item.context: (item.state, item.description) for item in found}

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text()

    @property
    def outputs(self) -> dict[str, str]:
        """What later steps get, read as the runner reads it."""
        lines = iter((self.folder / "output").read_text().splitlines())
        found: dict[str, str] = {}
        for line in lines:
            key, _, mark = line.partition("<<")
            values = []
            for value in lines:
                if value == mark:
                    break
                values.append(value)
            found[key] = "\n".join(values)
        return found


@dataclass(kw_only=True)
class GitLabJob:
    """The merge request !7 on GitLab, checked out at its head."""

    project: Project
    forge: GitLab
    base: str
    head: str
    request: MergeRequest = field(init=False)
    pipeline: int = field(init=False)
    token: str = field(init=False)

    def __post_init__(self) -> None:
        project = self.forge.project(REPOSITORY, private=True, members={"mona": "maintainer"})
        self.request = project.merge_request(7, head=self.head, branch="change", base=self.base, author="mona")
        self.token = self.forge.token(kind="project", project=REPOSITORY)
        self.pipeline = project.pipeline(self.head, "refs/merge-requests/7/head").id

    def env(self, **more: str) -> dict[str, str]:
        return {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_API_V4_URL": self.forge.url,
            "CI_PROJECT_ID": "40",
            "CI_PROJECT_URL": "https://gitlab.example/acme/churn",
            "CI_MERGE_REQUEST_PROJECT_ID": "40",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "40",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "change",
            "CI_COMMIT_SHA": self.head,
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_PIPELINE_ID": str(self.pipeline),
            "CI_JOB_ID": "9000",
            "CI_JOB_URL": "https://gitlab.example/acme/churn/-/jobs/9000",
            "CI_DEFAULT_BRANCH": "main",
            **more,
        }

    def ci_ml(self, *arguments: str, token: str | None = None, **env: str) -> Result:
        given = self.token if token is None else token
        return self.project.ci_ml(*arguments, env={"GITLAB_TOKEN": given, **self.env(**env)})

    @property
    def comments(self) -> list[str]:
        return [note.body for note in self.request.notes if not note.system]

    @property
    def statuses(self) -> dict[str, tuple[str, str | None]]:
        found = self.forge.projects[0].statuses_of(self.head)
        return {item.name: (item.state, item.description) for item in found}
