"""What facts mean for a gate: every decision, without a forge or a repository."""

import pytest

from ci_ml.core import callers, doctor, origin, protection
from ci_ml.core.callers import Caller
from ci_ml.core.doctor import Check, Finding, Health, Storage
from ci_ml.core.protection import Access, Environment, Protection, Schedules, Variable
from ci_ml.core.staleness import Freshness, State
from ci_ml.errors import CiMlError, ConfigError, DependencyError, OutOfDate, UsageError

OURS = (Caller(path=".github/workflows/ci-ml.yml", jobs=("gate",), events=frozenset({"pull_request"})),)
QUEUED = (Caller(path=".github/workflows/ci-ml.yml", jobs=("gate",), events=frozenset({"merge_group"})),)
FIX = "require `{check}`"


def bad(kind: type[CiMlError]) -> Finding:
    return doctor.problem(Check.BASE, "no", None, kind)


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([doctor.ok(Check.BASE, "fine"), doctor.unknown(Check.TOKEN, "who knows")], 0),
        ([bad(OutOfDate)], 12),
        ([bad(OutOfDate), bad(DependencyError)], 3),
        ([bad(OutOfDate), bad(UsageError), bad(DependencyError)], 2),
    ],
)
def test_the_most_serious_problem_gives_the_exit_code(findings: list[Finding], code: int) -> None:
    assert doctor.exit_code(findings) == code


def test_an_error_with_many_problems_shows_the_first() -> None:
    found = doctor.failed(Check.CONFIGURATION, ConfigError("ci-ml.yaml is wrong", ["line 3: x", "line 4: y"]))
    assert (found.sentence, found.exit_code) == ("ci-ml.yaml is wrong: line 3: x", 2)


@pytest.mark.parametrize(("gates", "health"), [(None, "problem"), (0, "problem"), (1, "ok"), (7, "ok")])
def test_a_configuration_needs_gates(gates: int | None, health: str) -> None:
    assert doctor.configuration("ci-ml.yaml", gates).health == health


def test_todo_is_said_instead_of_what_it_makes_invalid() -> None:
    error = ConfigError("ci-ml.yaml is wrong", ["gates.0.direction: …"])
    assert doctor.invalid("ci-ml.yaml", error, 2).sentence == "ci-ml.yaml has 2 lines with TODO"
    assert "gates.0.direction" in doctor.invalid("ci-ml.yaml", error, 0).sentence


def test_git_has_to_track_what_dvc_reads() -> None:
    files = ["dvc.yaml", "dvc.lock", ".dvc/config"]
    assert doctor.tracked(3, files, files, []).health is Health.OK
    lost = doctor.tracked(3, files, ["dvc.yaml", ".dvc/config"], [])
    assert (lost.health, lost.fix) == (Health.PROBLEM, "git add dvc.lock")
    several = ["dvc.yaml", "dvc.lock", ".dvc/config", "my models/dvc.lock"]
    all_lost = doctor.tracked(3, several, [], [])
    assert all_lost.fix == "git add dvc.yaml dvc.lock .dvc/config 'my models/dvc.lock'", "what is pasted mends it all"
    assert "and 1 more" in all_lost.sentence
    assert doctor.tracked(3, files[:1], files, ["dvc.lock"]).health is Health.PROBLEM


def test_a_dvc_yaml_needs_a_project() -> None:
    assert doctor.no_pipeline([]).health is Health.OK
    assert doctor.no_pipeline(["dvc.yaml"]).fix == "`dvc init`"


@pytest.mark.parametrize(("state", "code"), [(State.STALE, 12), (State.FROZEN, 0), (State.ALWAYS, 0)])
def test_only_a_stale_stage_makes_the_lock_untrue(state: State, code: int) -> None:
    assert doctor.lock([Freshness(name="train", state=state)]).exit_code == code


def test_generated_files_are_current_and_tracked() -> None:
    assert doctor.generated([], [], ["a.yml"]).health is Health.OK
    assert doctor.generated(["a.yml"], [], []).exit_code == 12
    assert doctor.generated([], ["a.yml"], ["a.yml"]).exit_code == 2
    assert doctor.written(["a.yml"], "ci-ml.yaml").health is Health.OK
    assert doctor.written([], "ci-ml.yaml").health is Health.PROBLEM


def test_a_remote_has_to_answer_and_to_hold_what_is_needed() -> None:
    assert doctor.remote(Storage(name="s3", holds=True), needed=True).health is Health.OK
    assert doctor.remote(Storage(name="s3"), needed=False).health is Health.OK
    assert doctor.remote(Storage(name="s3"), needed=True).fix == "`dvc push`"
    assert doctor.remote(Storage(trouble="no such bucket"), needed=False).exit_code == 3
    assert doctor.no_remote(["data/raw.csv"]).exit_code == 2
    assert doctor.no_remote([]).health is Health.OK


def test_a_registry_is_named_and_answers() -> None:
    assert doctor.registry("https://mlflow.example", ["churn"], None).health is Health.OK
    assert doctor.registry("https://mlflow.example", ["churn"], "no route").exit_code == 3
    assert doctor.registry("sqlite:///new.db", ["churn"], None, new=True).health is Health.OK
    assert doctor.no_registry(["churn"], None, promoted=False).health is Health.OK
    assert doctor.no_registry(["churn"], "nobody else could reach it", promoted=False).exit_code == 2
    assert doctor.no_registry(["churn"], "nobody else could reach it", promoted=True).health is Health.UNKNOWN


# --- What a forge says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comments", "statuses", "health"),
    [
        (True, True, "ok"),
        (None, None, "unknown"),
        (True, None, "unknown"),
        (True, False, "problem"),
        (None, False, "problem"),
    ],
)
def test_what_a_token_may(comments: bool | None, statuses: bool | None, health: str) -> None:
    found = protection.access(Access(branch="main", comments=comments, statuses=statuses), "GitHub")
    assert found.health == health


@pytest.mark.parametrize(
    ("rules", "health"),
    [
        (Protection(fix=FIX), "problem"),
        (Protection(checks=("lint",), fix=FIX), "problem"),
        (Protection(checks=("lint", "gate"), fix=FIX), "ok"),
        (Protection(checks=("ci-ml/churn",), fix=FIX), "ok"),
        (Protection(checks=("caller / gate",), fix=FIX), "ok"),
        (Protection(checks=("gate (3.13)",), fix=FIX), "ok"),
        (Protection(checks=("gatekeeper",), fix=FIX), "problem"),
        (Protection(checks=("gate / lint",), fix=FIX), "problem"),
        (Protection(unread="403", fix=FIX), "unknown"),
        (Protection(checks=("gate",), unread="403", fix=FIX), "ok"),
        (Protection(pipeline=True), "ok"),
        (Protection(pipeline=True, lax=True), "problem"),
        (Protection(pipeline=False), "problem"),
        (Protection(pipeline=None, unread="hidden"), "unknown"),
    ],
)
def test_whether_a_check_is_required(rules: Protection, health: str) -> None:
    assert protection.required(rules, "main", OURS, "ci-ml/churn").health == health


def test_the_fix_names_the_job_to_require() -> None:
    assert protection.required(Protection(fix=FIX), "main", OURS, "ci-ml/churn").fix == "require `gate`"
    assert protection.required(Protection(fix=FIX), "main", (), "ci-ml/churn").fix == "require `ci-ml/churn`"


def test_a_queue_needs_a_workflow_of_its_own() -> None:
    assert protection.queue(Protection(), "main", ()).health is Health.OK
    assert protection.queue(Protection(unread="403"), "main", ()).health is Health.UNKNOWN
    assert protection.queue(Protection(queue=True), "main", OURS).health is Health.PROBLEM
    assert protection.queue(Protection(queue=True), "main", QUEUED).health is Health.OK


@pytest.mark.parametrize(
    ("variable", "health"),
    [
        (Variable(name="T", needed=False), "ok"),
        (Variable(name="T", present=True), "ok"),
        (Variable(name="T", present=True, protected=True), "problem"),
        (Variable(name="T", present=False), "problem"),
        (Variable(name="T"), "unknown"),
    ],
)
def test_whether_jobs_get_a_token(variable: Variable, health: str) -> None:
    assert protection.variable(variable).health == health


@pytest.mark.parametrize(("present", "health"), [(True, "ok"), (False, "problem"), (None, "unknown")])
def test_whether_retraining_may_propose(present: bool | None, health: str) -> None:
    found = protection.proposer(Variable(name="T", present=present, doubt="nobody knows", fix="mend it"))
    assert (found.check, found.health) == ("proposal", health)
    assert (found.fix == "mend it") == ("nobody knows" in found.sentence) == (present is not True)


@pytest.mark.parametrize(("guarded", "health"), [(True, "ok"), (False, "problem"), (None, "unknown")])
def test_whether_any_branch_may_promote(guarded: bool | None, health: str) -> None:
    found = protection.environment(Environment(name="production", guarded=guarded, doubt="it is open", fix="close it"))
    assert (found.check, found.health) == ("environment", health)
    assert (found.fix == "close it") == (guarded is not True)


@pytest.mark.parametrize(
    ("variables", "apart", "health"),
    [
        ((Variable(name="A", present=True, protected=True),), True, "ok"),
        ((Variable(name="A", present=True),), False, "ok"),
        ((Variable(name="A", present=True, protected=True), Variable(name="B", present=True)), True, "problem"),
        ((Variable(name="A"), Variable(name="B", present=False)), True, "problem"),
        ((Variable(name="A"), Variable(name="B", present=True)), True, "unknown"),
    ],
)
def test_whether_promoting_alone_has_its_secrets(variables: tuple[Variable, ...], apart: bool, health: str) -> None:
    assert protection.promoters(variables, apart=apart).health == health


@pytest.mark.parametrize(
    ("names", "doubt", "health"),
    [
        (None, "", "ok"),
        ({"monitor", "retrain", "other"}, "", "ok"),
        ({"monitor", "retrain"}, "hidden", "ok"),
        ({"monitor"}, "", "problem"),
        ({"monitor"}, "hidden", "unknown"),
    ],
)
def test_whether_schedules_start_what_is_for_them(names: set[str] | None, doubt: str, health: str) -> None:
    known = None if names is None else frozenset(names)
    found = protection.schedules(Schedules(names=known, doubt=doubt, fix="add {job}"), ["monitor", "retrain"])
    assert found.health == health
    if health != "ok":
        assert found.fix == "add retrain"
        assert "monitor" not in found.sentence


# --- CI files and addresses -------------------------------------------------------------------------------------------

WORKFLOW = """\
on: {pull_request: {}, merge_group: }
jobs:
  lint: {steps: [{run: ruff check}]}
  plan: {steps: [{uses: ci-ml/ci-ml@v1, with: {command: plan}}]}
  gate: {steps: [{uses: actions/checkout@v4}, {uses: ci-ml/ci-ml@v1}]}
  other: {name: The gate, steps: [{run: "uv run ci-ml ci"}]}
"""


def test_the_jobs_that_judge_are_found() -> None:
    found = callers.read(".github/workflows/a.yml", WORKFLOW.encode())
    assert found is not None
    assert found.jobs == ("gate", "The gate")
    assert found.events == {"pull_request", "merge_group"}


def test_the_job_of_our_own_workflow_reports_under_both_names() -> None:
    uses = "uses: ci-ml/ci-ml/.github/workflows/gate.yml@v0.1.0"
    text = f"on: pull_request\njobs: {{ci-ml: {{{uses}}}, b: {{name: Ours, {uses}}}}}"
    found = callers.read(".github/workflows/a.yml", text.encode())
    assert found is not None
    assert found.jobs == ("ci-ml / gate", "Ours / gate")
    bare = protection.required(Protection(checks=("ci-ml", "gate"), fix=FIX), "main", [found], "ci-ml/churn")
    assert (bare.health, bare.fix) == (Health.PROBLEM, "require `Ours / gate`")
    for name in ("ci-ml / gate", "outer / ci-ml / gate", "ci-ml (3.13) / gate"):
        checks = Protection(checks=(name,), fix=FIX)
        assert protection.required(checks, "main", [found], "ci-ml/churn").health is Health.OK


@pytest.mark.parametrize("events", ["pull_request", "[pull_request]", "{pull_request: {types: [opened]}}"])
def test_events_are_written_in_three_ways(events: str) -> None:
    text = f"on: {events}\njobs: {{gate: {{steps: [{{uses: mirror/ci-ml-action@abc}}]}}}}"
    found = callers.read(".github/workflows/a.yml", text.encode())
    assert found is not None
    assert found.events == {"pull_request"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "on: push",
        "on: 3\njobs: [gate]",
        "on: push\njobs: {a: 3, b: {steps: [null, 7, {uses: [1]}]}}",
        "on: workflow_run\njobs: {publish: {steps: [{uses: ci-ml/ci-ml@v1, with: {report: r.json}}]}}",
    ],
)
def test_a_workflow_of_any_shape_calls_nothing(text: str) -> None:
    assert callers.read(".github/workflows/a.yml", text.encode()) is None


def test_an_include_of_gitlab_calls() -> None:
    include = b"include:\n  - component: gitlab.com/ci-ml/ci-ml/gate@1\n"
    assert callers.read(".gitlab-ci.yml", include) == Caller(path=".gitlab-ci.yml")
    assert callers.read(".gitlab-ci.yml", b"# some day ci-ml\ntest:\n  script: [make]\n") is None


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://github.com/acme/churn.git", "github.com", "acme/churn"),
        ("https://ada:hunter22@GitHub.com/acme/churn/", "github.com", "acme/churn"),
        ("git@gitlab.com:acme/team/churn.git", "gitlab.com", "acme/team/churn"),
        ("ssh://git@gitlab.example:2222/acme/churn", "gitlab.example", "acme/churn"),
    ],
)
def test_the_repository_behind_an_address(url: str, host: str, path: str) -> None:
    assert origin.parse(url) == origin.Origin(host=host, path=path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "../remote",
        "/srv/git/churn.git",
        "file:///srv/churn.git",
        "https://github.com/churn",
        "https://[",
        "a:b",
        "https://github.com/acme/../../user",
        "https://github.com/acme/ch%20urn",
        "git@github.com:acme/ch urn",
    ],
)
def test_what_is_no_repository_of_a_forge(url: str) -> None:
    assert origin.parse(url) is None


@pytest.mark.parametrize(
    ("absent", "untold", "health", "said"),
    [
        ([], None, Health.OK, "2 tables under data are there"),
        (["a.csv", "b.csv"], None, Health.PROBLEM, "there is no file a.csv and 1 more"),
        ([], "pandera", Health.PROBLEM, "pandera is not installed"),
    ],
)
def test_tables_of_which_something_is_expected_are_there(
    absent: list[str], untold: str | None, health: Health, said: str
) -> None:
    found = doctor.data(2, absent, untold)
    assert found.health is health
    assert said in found.sentence


def test_tables_alone_are_something_to_judge_by() -> None:
    assert doctor.configuration("ci-ml.yaml", 0, 1).health is Health.OK
