"""GitHub's settings of a repository, as far as `ci-ml doctor` reads them. Layer: adapters.

https://docs.github.com/rest. Nothing here writes. One method here is one in adapters.gitlab_settings; tests/contract
holds both together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from ci_ml.adapters.http import Answer, Client, Query, understood
from ci_ml.core.protection import Access, Environment, Protection, Schedules, Variable
from ci_ml.errors import Refused, Unanswered

_MOST_PAGES = 10
_GRANTS = "a workflow's token needs `permissions: pull-requests: write, statuses: write`; a token of your own those two"
_PROPOSALS = "Settings > Actions > General: allow GitHub Actions to create and approve pull requests"
_REQUIRE = "Settings > Rules > Rulesets: require the check `{check}`"


@dataclass(kw_only=True)
class GitHubSettings:
    """One repository."""

    client: Client
    repository: str
    name: str = field(default="GitHub", init=False)

    @understood("GitHub")
    def access(self) -> Access:
        """What the token may do. Raises Refused where it may not even read the repository."""
        try:
            answer = self._read("")
        except Refused as error:
            hint = "the token is not valid any more" if error.status == 401 else "may the token read this repository?"
            raise Refused(error.what, error.status, hint) from None
        scopes = answer.headers.get("X-OAuth-Scopes")
        branch = _text(answer.body.get("default_branch"))
        if scopes is None:  # of a workflow, an app, or fine-grained: GitHub does not say what was granted
            doubt = "GitHub does not say of tokens of this kind"
            return Access(branch=branch, comments=None, statuses=None, doubt=doubt, fix=_GRANTS)
        return _classic(branch, answer.body, {scope.strip() for scope in scopes.split(",")})

    @understood("GitHub")
    def protection(self, branch: str) -> Protection:
        """What rulesets and the older branch protection ask for; both count together."""
        place = quote(branch, safe="")
        checks: list[str] = []
        unread: list[str] = []
        queue = False
        try:
            for rule in self._rules(f"rules/branches/{place}"):
                queue = queue or rule.get("type") == "merge_queue"
                checks += _contexts(rule)
        except Refused as error:
            unread.append(error.what)
        try:
            checks += _protected(self._read(f"branches/{place}").body)
        except Refused as error:
            unread.append(error.what)
        return Protection(
            checks=tuple(dict.fromkeys(checks)), queue=queue, unread="; ".join(unread) or None, fix=_REQUIRE
        )

    def variable(self, name: str) -> Variable:
        """Jobs have a token of their own."""
        return Variable(name=name, needed=False)

    @understood("GitHub")
    def proposer(self, secret: str) -> Variable:
        """https://docs.github.com/rest/actions/secrets, and what a job's own token may do without any."""
        if not secret:
            return self._own()
        fix = f"Settings > Secrets and variables > Actions: put what may write contents and pull requests into {secret}"
        try:
            self._read(f"actions/secrets/{secret}")
        except Refused as error:
            if error.status != 404:
                return Variable(name=secret, doubt=error.what, fix=fix)
            if (self._read("").body.get("owner") or {}).get("type") == "User":
                return Variable(name=secret, present=False, doubt="there is no such secret", fix=fix)
            return Variable(name=secret, doubt="the repository has no such secret; its organization may", fix=fix)
        return Variable(name=secret, present=True)

    def _own(self) -> Variable:
        """https://docs.github.com/rest/actions/permissions#get-default-workflow-permissions-for-a-repository"""
        name, fix = "the job's own token", f"{_PROPOSALS}, or name another token: `token` or `app` under `retrain`"
        try:
            may = self._read("actions/permissions/workflow").body.get("can_approve_pull_request_reviews")
        except Refused as error:
            return Variable(name=name, doubt=error.what, fix=fix)
        doubt = "GitHub Actions may create no pull requests here"
        return Variable(name=name, present=may is True, doubt=doubt, fix=fix)

    def schedules(self) -> Schedules:
        """They are in the workflows."""
        return Schedules(names=None)

    @understood("GitHub")
    def environment(self, name: str, branch: str) -> Environment:
        """https://docs.github.com/rest/deployments/environments, which anybody may read who may read the repository."""
        place = f"environments/{quote(name, safe='')}"
        fix = f"Settings > Environments > {name}: let deploy from {branch} alone, or from protected branches"
        try:
            policy = self._read(place).body.get("deployment_branch_policy")
        except Refused as error:
            if error.status != 404:
                return Environment(name=name, doubt=error.what, fix=fix)
            doubt = f"there is no environment {name}, so GitHub makes one that is open"
            return Environment(name=name, guarded=False, doubt=doubt, fix=fix)
        if not policy:
            return Environment(
                name=name, guarded=False, doubt=f"the environment {name} is open to all branches", fix=fix
            )
        if policy.get("protected_branches") is True:
            return Environment(name=name, guarded=True)
        listed = self._read(f"{place}/deployment-branch-policies", {"per_page": 100}).body["branch_policies"]
        others = [str(one["name"]) for one in listed if one["name"] != branch]
        doubt = f"the environment {name} is open to {', '.join(others[:5])}"
        return Environment(name=name, guarded=not others, doubt=doubt, fix=fix)

    @understood("GitHub")
    def kept(self, secret: str, environment: str) -> Variable:
        """https://docs.github.com/rest/actions/secrets; one of the repository is for every job of every branch."""
        if environment:
            try:
                self._read(f"environments/{quote(environment, safe='')}/secrets/{secret}")
                return Variable(name=secret, present=True, protected=True)
            except Refused as error:
                if error.status not in (403, 404):
                    raise
        where = (
            f"Settings > Environments > {environment}" if environment else "Settings > Secrets and variables > Actions"
        )
        fix = f"{where}: put it into {secret} there{', and take it out of the repository' if environment else ''}"
        return replace(self.proposer(secret), fix=fix)

    def apart(self, environment: str) -> bool:
        """Secrets of an environment are for its jobs."""
        return bool(environment)

    def _rules(self, path: str) -> list[Mapping[str, Any]]:
        """https://docs.github.com/rest/repos/rules#get-rules-for-a-branch"""
        found: list[Mapping[str, Any]] = []
        page = self._read(path, {"per_page": 100})
        for _ in range(_MOST_PAGES):
            found += page.body
            if "next" not in page.links:
                return found
            page = self.client.get(page.links["next"])
        raise Unanswered(f"{self.name} lists rules without end")

    def _read(self, path: str, query: Query | None = None) -> Answer:
        answer = self.client.get(f"repos/{self.repository}/{path}".rstrip("/"), query)
        if answer.body is None:
            raise Unanswered(f"{self.name} answered with nothing")
        return answer


def _classic(branch: str | None, body: Mapping[str, Any], scopes: set[str]) -> Access:
    """https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps"""
    writes = "repo" in scopes or ("public_repo" in scopes and body.get("private") is False)
    role = (body.get("permissions") or {}).get("push") is True
    return Access(
        branch=branch,
        comments=writes,
        statuses=role and (writes or "repo:status" in scopes),
        doubt="its user may not write to the repository" if writes and not role else "it lacks the scope `repo`",
        fix="give the token the scope `repo`, and its user the role Write",
    )


def _contexts(rule: Mapping[str, Any]) -> list[str]:
    if rule.get("type") != "required_status_checks":
        return []
    return [str(check["context"]) for check in rule["parameters"]["required_status_checks"]]


def _protected(body: Mapping[str, Any]) -> list[str]:
    """https://docs.github.com/rest/branches/branches#get-a-branch tells it to everybody who may read."""
    found = (body.get("protection") or {}).get("required_status_checks") or {}
    return [str(name) for name in found.get("contexts") or ()] if found.get("enforcement_level") != "off" else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
