"""A forge that has a repository: its API, a git server that wants a token before it takes a push, and its runner."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.ci import runners
from tests.ci.pipelines import Pipelines, Run
from tests.ci.runners import REPOSITORY, Forge, GitHub
from tests.e2e.project import Project
from tests.fakes import git_server
from tests.fakes import github as fake_github
from tests.fakes import gitlab as fake_gitlab


@dataclass(frozen=True, kw_only=True)
class OnGitHub:
    """The repository on GitHub; act runs its workflows."""

    runner: GitHub
    api: fake_github.GitHub
    server: git_server.GitServer
    bare: Path

    def pusher(self, **about: Any) -> str:
        """A token with which git pushes."""
        token = self.api.token(**about)
        self.server.users["x-access-token"] = token
        return token

    def run(
        self, event: str, payload: Mapping[str, Any], commit: str, *, workflow: str, token: str, secrets: dict[str, str]
    ) -> runners.Run:
        """Run a workflow on main."""
        return self.runner.run(
            event,
            {"repository": {"full_name": REPOSITORY, "default_branch": "main"}, **payload},
            commit,
            branch="main",
            workflow=f".github/workflows/{workflow}.yml",
            token=token,
            secrets=secrets,
            env={
                "GITHUB_API_URL": self.api.url,
                "GITHUB_GRAPHQL_URL": self.api.graphql_url,
                "GITHUB_SERVER_URL": self.server.url,
            },
        )


@dataclass(frozen=True, kw_only=True)
class OnGitLab:
    """The repository on GitLab; gitlab-ci-local runs its pipelines."""

    command: str
    api: fake_gitlab.GitLab
    server: git_server.GitServer
    bare: Path
    env: Mapping[str, str] = field(repr=False)

    def pusher(self) -> str:
        """A token with which git pushes."""
        scopes = ("api", "write_repository")
        token = self.api.token(kind="project", project=REPOSITORY, role="maintainer", scopes=scopes)
        self.server.users["oauth2"] = token
        return token

    def run(self, commit: str, folder: Path, **variables: str) -> Run:
        """Run a pipeline of main, in a folder."""
        served = Project(root=self.bare, env=dict(self.env))  # where its jobs clone from
        pipeline = Pipelines(command=self.command, project=served, folder=folder, env=self.env)
        return pipeline.run(
            commit,
            CI_COMMIT_BRANCH="main",
            CI_COMMIT_REF_NAME="main",
            CI_API_V4_URL=self.api.url,
            CI_PROJECT_ID=str(self.api.project(REPOSITORY).id),
            CI_PROJECT_URL=f"{self.server.url}/{REPOSITORY}",
            CI_SERVER_HOST="gitlab.example.org",
            **variables,
        )


@dataclass(frozen=True, kw_only=True)
class Hosting:
    """Puts a repository on either forge; both have the same git server."""

    request: pytest.FixtureRequest
    project: Project
    server: git_server.GitServer
    bare: Path
    folder: Path
    stack: ExitStack

    def github(self) -> OnGitHub:
        api = self.stack.enter_context(fake_github.GitHub())
        api.repository(REPOSITORY, collaborators={"mona": "write"}).bare = self.bare
        place = Forge(url=self.bare.as_uri(), project=self.project, trained="", changes={})
        runner = self.request.getfixturevalue("github_in")(self.folder, place)
        return OnGitHub(runner=runner, api=api, server=self.server, bare=self.bare)

    def gitlab(self) -> OnGitLab:
        api = self.stack.enter_context(fake_gitlab.GitLab())
        api.project(REPOSITORY, members={"mona": "maintainer"}).bare = self.bare
        command = self.request.getfixturevalue("gitlab_ci_local")
        env = self.request.getfixturevalue("gitlab_runner")
        return OnGitLab(command=command, api=api, server=self.server, bare=self.bare, env=env)


def of(request: pytest.FixtureRequest, project: Project, folder: Path, stack: ExitStack) -> Hosting:
    """Start a git server that has nothing yet, and answers as those of both forges do."""
    server = stack.enter_context(git_server.serve(folder / "server", {}))
    bare = server.repository(REPOSITORY)
    for setting in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):
        project.git("--git-dir", str(bare), "config", setting, "true")
    return Hosting(request=request, project=project, server=server, bare=bare, folder=folder, stack=stack)
