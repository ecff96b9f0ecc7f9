"""What both forges promise to `ci-ml doctor`: the same questions, the same kinds of answer."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from ci_ml.adapters import github, gitlab, http
from ci_ml.adapters.github_settings import GitHubSettings
from ci_ml.adapters.gitlab_settings import GitLabSettings
from ci_ml.errors import ForgeError, Refused, Unanswered
from ci_ml.ports import Settings
from tests.fakes.github import GitHub
from tests.fakes.gitlab import GitLab
from tests.fakes.server import Clock, Page, Status

HEAD = "c" * 40


@dataclass(kw_only=True)
class Site:
    """A forge with acme/churn in it, and how its maintainers change what is asked about."""

    server: Any
    home: Any
    waits: list[float] = field(default_factory=list)

    @property
    def is_github(self) -> bool:
        return isinstance(self.server, GitHub)

    def token(self, role: str = "write", *, may_write: bool = True) -> str:
        if self.is_github:
            self.home.collaborators["mona"] = role
            return str(self.server.token(kind="pat", login="mona", scopes=["repo" if may_write else "read:user"]))
        of = {"write": "developer", "read": "reporter", "maintain": "maintainer"}[role]
        return str(self.server.token(project="acme/churn", role=of, scopes=["api" if may_write else "read_api"]))

    def settings(self, token: str | None = None) -> Settings:
        of = github if self.is_github else gitlab
        client = http.Client(
            name="the forge",
            base=self.server.url,
            headers=of.headers(self.token() if token is None else token),
            patience=5,
            pause=self.waits.append,
        )
        if self.is_github:
            return GitHubSettings(client=client, repository="acme/churn")
        return GitLabSettings(client=client, project="acme/churn")

    def require(self) -> None:
        if self.is_github:
            self.home.require("gate")
        else:
            self.home.must_succeed = True


@pytest.fixture(params=["github", "gitlab"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    clock = Clock(dt.datetime.now(dt.UTC))
    with ExitStack() as stack:
        server: Any = stack.enter_context(GitHub(clock=clock) if request.param == "github" else GitLab(clock=clock))
        made = server.repository if request.param == "github" else server.project
        home = made("acme/churn")
        home.commit(HEAD, branch="main")
        yield Site(server=server, home=home)


def test_a_token_that_may_write(site: Site) -> None:
    found = site.settings().access()
    assert (found.branch, found.comments, found.statuses) == ("main", True, True)


def test_a_token_that_was_not_granted_to_write(site: Site) -> None:
    found = site.settings(site.token(may_write=False)).access()
    assert (found.comments, found.statuses) == (False, False)
    assert "scope" in found.doubt


def test_a_token_whose_user_may_not_write(site: Site) -> None:
    found = site.settings(site.token("read")).access()
    assert found.statuses is False
    assert "user" in found.doubt


def test_a_token_that_nobody_knows_is_refused(site: Site) -> None:
    with pytest.raises(Refused) as refused:
        site.settings("nobody-knows-me").access()
    assert "not valid any more" in (refused.value.hint or "")
    assert "nobody-knows-me" not in refused.value.what


def test_what_is_required_is_seen(site: Site) -> None:
    before = site.settings().protection("main")
    assert not before.checks
    assert not before.pipeline
    site.require()
    after = site.settings().protection("main")
    assert after.checks == ("gate",) or after.pipeline


def test_nothing_is_written(site: Site) -> None:
    settings = site.settings()
    settings.access()
    settings.protection("main")
    settings.variable("CI_ML_TOKEN")
    settings.proposer("CI_ML_TOKEN")
    settings.schedules()
    settings.environment("production", "main")
    settings.kept("MLFLOW_URI", "production")
    assert {entry.method for entry in site.server.asked()} == {"GET"}


HOSTILE = [[], None, 7, "x", {}, {"message": "hi"}, [7], [[]], {"permissions": 3, "namespace": 7, "default_branch": []}]


@pytest.mark.parametrize("document", HOSTILE, ids=repr)
def test_an_answer_of_any_shape_ends_in_a_value_or_a_forge_error(site: Site, document: Any) -> None:
    settings = site.settings()
    site.server.fail(Status(200, document), times=None)
    questions: list[Callable[[], object]] = [settings.access, settings.schedules]
    questions += [lambda: settings.protection("main"), lambda: settings.variable("CI_ML_TOKEN")]
    questions += [lambda: settings.proposer("CI_ML_TOKEN"), lambda: settings.proposer("")]
    questions += [lambda: settings.environment("production", "main"), lambda: settings.kept("URI", "production")]
    for ask in questions:
        said = _said(ask)
        assert said is None or "\n" not in said


def _said(ask: Callable[[], object]) -> str | None:
    """What an attempt ends with; anything but a value or an error of the forge is a crash."""
    try:
        ask()
    except ForgeError as error:
        return error.what
    return None


@pytest.mark.parametrize("fault", [Status(503), Page()], ids=["down", "proxy"])
def test_a_forge_that_is_down_is_unanswered(site: Site, fault: Any) -> None:
    settings = site.settings()
    site.server.fail(fault, times=None)
    with pytest.raises(Unanswered):
        settings.access()


# --- What only one of them has ----------------------------------------------------------------------------------------


@pytest.fixture
def on_github() -> Iterator[Site]:
    with GitHub() as server:
        home = server.repository("acme/churn")
        home.commit(HEAD, branch="main")
        yield Site(server=server, home=home)


@pytest.fixture
def on_gitlab() -> Iterator[Site]:
    with GitLab() as server:
        yield Site(server=server, home=server.project("acme/churn", private=True))


@pytest.mark.parametrize("kind", ["actions", "fine-grained"])
def test_github_does_not_say_what_was_granted(on_github: Site, kind: str) -> None:
    token = on_github.server.token(kind=kind, permissions={"pull-requests": "write", "statuses": "write"})
    found = on_github.settings(token).access()
    assert (found.comments, found.statuses) == (None, None)


def test_github_branch_protection_counts_like_a_ruleset(on_github: Site) -> None:
    on_github.home.protected = ("lint", "gate")
    on_github.home.require("gate", "types")
    assert on_github.settings().protection("main").checks == ("gate", "types", "lint")


def test_github_protection_without_checks(on_github: Site) -> None:
    on_github.home.protected = ()
    assert on_github.settings().protection("main").checks == ()


def test_github_has_many_rules(on_github: Site) -> None:
    for number in range(150):
        on_github.home.require(f"check-{number}")
    on_github.home.queue()
    found = on_github.settings().protection("main")
    assert len(found.checks) == 150
    assert found.queue


def test_github_without_the_rules_still_knows_the_protection(on_github: Site) -> None:
    on_github.home.protected = ("gate",)
    on_github.server.fail(Status(403, {"message": "Upgrade to GitHub Pro"}), "GET", "/rules/", times=None)
    found = on_github.settings().protection("main")
    assert found.checks == ("gate",)
    assert "Upgrade" in (found.unread or "")


@pytest.mark.parametrize(
    ("role", "allowed", "present"), [("admin", True, True), ("admin", False, False), ("write", True, None)]
)
def test_github_says_whether_a_job_may_propose_by_itself(
    on_github: Site, role: str, allowed: bool, present: bool | None
) -> None:
    on_github.home.proposals = allowed
    found = on_github.settings(on_github.token(role)).proposer("")
    assert found.present is present
    assert "create and approve pull requests" in found.fix


def test_github_says_whether_a_secret_is_there(on_github: Site) -> None:
    on_github.home.secrets.add("CI_ML_RETRAIN_TOKEN")
    settings = on_github.settings()
    assert settings.proposer("CI_ML_RETRAIN_TOKEN").present is True
    assert settings.proposer("ANOTHER").present is False
    on_github.server.fail(Status(200, {"owner": {"type": "Organization"}}), "GET", "/repos/acme/churn$", times=None)
    assert "its organization may" in settings.proposer("ANOTHER").doubt
    assert on_github.settings(on_github.token("read")).proposer("CI_ML_RETRAIN_TOKEN").present is None


@pytest.mark.parametrize(
    ("branches", "guarded"), [((), True), (("main",), True), (("main", "release/*"), False), (None, False)]
)
def test_github_says_which_branches_get_to_an_environment(
    on_github: Site, branches: tuple[str, ...] | None, guarded: bool
) -> None:
    on_github.home.environments["production"] = branches
    found = on_github.settings().environment("production", "main")
    assert found.guarded is guarded
    assert guarded or "production" in found.doubt


def test_github_makes_an_environment_that_is_not_there_and_open(on_github: Site) -> None:
    found = on_github.settings().environment("production", "main")
    assert found.guarded is False
    assert "open" in found.doubt


def test_github_keeps_secrets_of_an_environment_apart(on_github: Site) -> None:
    on_github.home.apart["production"] = {"MLFLOW_URI"}
    on_github.home.secrets.add("MLFLOW_PASSWORD")
    settings = on_github.settings()
    found = [settings.kept(name, "production") for name in ("MLFLOW_URI", "MLFLOW_PASSWORD", "ANOTHER")]
    assert [(one.present, one.protected) for one in found] == [(True, True), (True, False), (False, False)]
    assert "environment" in found[1].fix.lower()
    assert (settings.apart("production"), settings.apart("")) == (True, False)
    assert on_github.settings(on_github.token("read")).kept("MLFLOW_URI", "production").present is None


def test_gitlab_says_whether_an_environment_is_protected(on_gitlab: Site) -> None:
    settings = on_gitlab.settings(on_gitlab.token("maintain"))
    assert settings.environment("production", "main").guarded is None
    on_gitlab.home.environments.add("production")
    assert settings.environment("production", "main").guarded is True
    assert on_gitlab.settings(on_gitlab.token("write")).environment("production", "main").guarded is None


def test_gitlab_says_whether_a_variable_is_for_protected_branches(on_gitlab: Site) -> None:
    on_gitlab.home.variable("MLFLOW_URI", "u", protected=True)
    on_gitlab.home.variable("MLFLOW_PASSWORD", "p")
    settings = on_gitlab.settings(on_gitlab.token("maintain"))
    found = [settings.kept(name, "production") for name in ("MLFLOW_URI", "MLFLOW_PASSWORD", "ANOTHER")]
    assert [(one.present, one.protected) for one in found] == [(True, True), (True, False), (None, False)]
    assert "group" in found[2].doubt
    assert settings.apart("")


def test_gitlab_says_which_jobs_its_schedules_start(on_gitlab: Site) -> None:
    on_gitlab.home.schedules = {1: {}, 2: {"CI_ML_SCHEDULE": "monitor", "A": "retrain"}, 3: {"CI_ML_SCHEDULE": "x:y"}}
    found = on_gitlab.settings(on_gitlab.token("maintain")).schedules()
    assert (found.names, found.doubt) == ({"monitor", "x:y"}, "")
    assert on_gitlab.settings(on_gitlab.token("write")).schedules().doubt
    on_gitlab.home.schedules = {number: {} for number in range(1, 22)}
    assert on_gitlab.settings(on_gitlab.token("maintain")).schedules().doubt, "no more than some are looked at"


def test_gitlab_counts_skipped_pipelines(on_gitlab: Site) -> None:
    on_gitlab.home.must_succeed = on_gitlab.home.skipped_counts = True
    assert on_gitlab.settings().protection("main").lax


@pytest.mark.parametrize("protected", [True, False])
def test_gitlab_says_whether_a_variable_is_there_and_its_value_goes_nowhere(on_gitlab: Site, protected: bool) -> None:
    on_gitlab.home.variable("CI_ML_TOKEN", "glpat-secret", protected=protected)
    found = on_gitlab.settings(on_gitlab.token("maintain")).variable("CI_ML_TOKEN")
    assert (found.present, found.protected) == (True, protected)
    assert "glpat-secret" not in repr(found)


@pytest.mark.parametrize(
    ("role", "personal", "present"), [("maintain", True, False), ("maintain", False, None), ("write", True, None)]
)
def test_gitlab_without_the_variable(on_gitlab: Site, role: str, personal: bool, present: bool | None) -> None:
    on_gitlab.home.personal = personal
    assert on_gitlab.settings(on_gitlab.token(role)).variable("CI_ML_TOKEN").present is present
