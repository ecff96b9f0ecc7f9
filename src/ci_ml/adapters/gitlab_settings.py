"""GitLab's settings of a project, as far as `ci-ml doctor` reads them. Layer: adapters.

https://docs.gitlab.com/api/rest/. Nothing here writes. One method here is one in adapters.github_settings;
tests/contract holds both together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

from ci_ml.adapters.http import Client, understood
from ci_ml.core.protection import Access, Environment, Protection, Schedules, Variable
from ci_ml.errors import Refused, Unanswered

_DEVELOPER = 30
_MOST_SCHEDULES = 20  # each is asked for by itself
_SCHEDULE = "CI_ML_SCHEDULE"
_PROPOSER = "a project access token with the scopes `api` and `write_repository` and the role Developer"
_ACCESS = "a project access token with the scope `api` and the role Developer"


@dataclass(kw_only=True)
class GitLabSettings:
    """One project, by its number or path."""

    client: Client
    project: str
    name: str = field(default="GitLab", init=False)

    @understood("GitLab")
    def access(self) -> Access:
        """What the token may do. Raises Refused where it may not even read the project."""
        try:
            level, branch = _level(self._project), self._project.get("default_branch")
        except Refused as error:
            hint = "the token is not valid any more" if error.status == 401 else f"use {_ACCESS}"
            raise Refused(error.what, error.status, hint) from None
        scopes = self._scopes()
        may: bool | None
        if scopes is not None and "api" not in scopes:
            may, doubt = False, "it lacks the scope `api`"
        elif level < _DEVELOPER:
            may, doubt = False, "its user is not a Developer or more"
        else:
            may, doubt = None if scopes is None else True, "GitLab does not say of a token of this kind"
        known = branch if isinstance(branch, str) and branch else None
        return Access(branch=known, comments=may, statuses=may, doubt=doubt, fix=f"use {_ACCESS}")

    @understood("GitLab")
    def protection(self, branch: str) -> Protection:  # noqa: ARG002  it is one setting for all branches
        """https://docs.gitlab.com/user/project/merge_requests/auto_merge/#require-a-successful-pipeline-for-merge"""
        must = self._project.get("only_allow_merge_if_pipeline_succeeds")
        if not isinstance(must, bool):
            return Protection(pipeline=None, unread="GitLab does not show it to this token", fix=f"use {_ACCESS}")
        lax = self._project.get("allow_merge_on_skipped_pipeline") is True
        what = "turn off `Skipped pipelines are considered successful`" if lax and must else "turn on"
        fix = f"Settings > Merge requests: {what}{'' if lax and must else ' `Pipelines must succeed`'}"
        return Protection(pipeline=must, lax=lax, fix=fix)

    @understood("GitLab")
    def variable(self, name: str) -> Variable:
        """https://docs.gitlab.com/api/project_level_variables/; the answer holds the value, which goes nowhere."""
        fix = f"Settings > CI/CD > Variables: put {_ACCESS} into {name} (masked, not protected)"
        try:
            found = self._get(f"variables/{name}")
        except Refused as error:
            if error.status not in (403, 404):
                raise
            return self._unseen(name, fix, refused=error.status == 403)
        return Variable(name=name, present=True, protected=found.get("protected") is True, fix=fix)

    def _unseen(self, name: str, fix: str, *, refused: bool) -> Variable:
        if refused:
            return Variable(name=name, doubt="only a Maintainer's token may look", fix=fix)
        if (self._project.get("namespace") or {}).get("kind") == "group":  # which may have it for all of its projects
            return Variable(name=name, doubt="the project has none; a group around it may", fix=fix)
        return Variable(name=name, present=False, fix=fix)

    def proposer(self, secret: str) -> Variable:
        """A job's own token may open no merge request: https://docs.gitlab.com/ci/jobs/ci_job_token/#job-token-access"""
        found = self.variable(secret)
        fix = f"Settings > CI/CD > Variables: put {_PROPOSER} into {secret} (masked)"
        return replace(found, fix=fix, doubt=found.doubt or "there is no such variable")

    @understood("GitLab")
    def schedules(self) -> Schedules:
        """https://docs.gitlab.com/api/pipeline_schedules/, whose variables only some may see."""
        listed = self.client.get(self._path("pipeline_schedules"), {"scope": "active", "per_page": 100}).body
        shown = [self._get(f"pipeline_schedules/{one['id']}").get("variables") for one in listed[:_MOST_SCHEDULES]]
        names = {one["value"] for variables in shown for one in variables or () if one["key"] == _SCHEDULE}
        hidden = len(listed) > len(shown) or None in shown
        return Schedules(
            names=frozenset(names),
            doubt="only a Maintainer's token sees the variables of all schedules" if hidden else "",
            fix=f"Build > Pipeline schedules: one for the default branch, with the variable {_SCHEDULE} = {{job}}",
        )

    @understood("GitLab")
    def environment(self, name: str, branch: str) -> Environment:  # noqa: ARG002  who may deploy is said, not from where
        """https://docs.gitlab.com/api/protected_environments/; GitLab Free has none."""
        fix = f"Settings > CI/CD > Protected environments: {name}; or protect the branch and the variables"
        try:
            self._get(f"protected_environments/{quote(name, safe='')}")
        except Refused as error:
            doubt = "it is not protected" if error.status == 404 else error.what
            return Environment(name=name, doubt=doubt, fix=fix)
        return Environment(name=name, guarded=True)

    def kept(self, secret: str, environment: str) -> Variable:  # noqa: ARG002  a variable is protected by the branch
        """A protected variable is for protected branches: https://docs.gitlab.com/ci/variables/#protect-a-cicd-variable"""
        fix = f"Settings > CI/CD > Variables: {secret}, masked and protected"
        found = self.variable(secret)
        return replace(found, fix=fix, doubt=found.doubt or "there is no such variable")

    def apart(self, environment: str) -> bool:  # noqa: ARG002  variables can be protected in any case
        """Protected branches are there without environments."""
        return True

    @cached_property
    def _project(self) -> Mapping[str, Any]:
        return self._get("")

    def _scopes(self) -> list[str] | None:
        """https://docs.gitlab.com/api/personal_access_tokens/#self-inform; None for a token that is none of these."""
        try:
            answer = self.client.get("personal_access_tokens/self")
        except Refused:
            return None
        return [str(scope) for scope in answer.body["scopes"]]

    def _path(self, path: str) -> str:
        return f"projects/{quote(self.project, safe='')}/{path}".rstrip("/")

    def _get(self, path: str) -> Mapping[str, Any]:
        body = self.client.get(self._path(path)).body
        if not isinstance(body, dict):
            raise Unanswered(f"{self.name} answered in a way that ci-ml does not understand")
        return body


def _level(project: Mapping[str, Any]) -> int:
    """The role of the token's user, through the project or a group; 0 for none."""
    permissions = project.get("permissions") or {}
    levels = [(permissions.get(kind) or {}).get("access_level") for kind in ("project_access", "group_access")]
    return max((level for level in levels if isinstance(level, int)), default=0)
