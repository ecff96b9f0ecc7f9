"""`ci-ml doctor`: each check with both outcomes, with real git and DVC and forges that remember."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.project import Project, Result
from tests.fakes.github import GitHub
from tests.fakes.github import Repository as GitHubRepository
from tests.fakes.gitlab import GitLab
from tests.fakes.server import Hang, Status

pytestmark = pytest.mark.thorough

WORKFLOW = """\
on: EVENTS
jobs:
  gate:
    runs-on: ubuntu-24.04
    steps: [{uses: ci-ml/ci-ml@v1}]
"""
SECRET = "ghp_0123456789abcdefghij0123456789abcdef"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as forge:
        repo = forge.repository("acme/churn", collaborators={"mona": "write"})
        repo.commit("c" * 40, branch="main")
        forge.token(SECRET, kind="pat", login="mona", scopes=["repo"])
        yield forge


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as forge:
        forge.project("acme/churn", private=True)
        yield forge


def healthy(project: Project, url: str = "https://github.com/acme/churn.git", events: str = "pull_request") -> Project:
    """On a branch with a base, a workflow and an origin."""
    project.git("remote", "add", "origin", url)
    project.branch()
    project.write(".github/workflows/gate.yml", WORKFLOW.replace("EVENTS", events))
    project.commit("a workflow")
    return project


def checks(done: Result) -> dict[str, dict[str, Any]]:
    """The findings by their check; that nothing leaks holds for all of them."""
    assert "Traceback" not in done.out + done.err, done.text
    assert SECRET not in done.out + done.err
    return {one["check"]: one for one in done.json()["checks"]}


def examined(project: Project, code: int, **env: str) -> dict[str, dict[str, Any]]:
    """What doctor finds, when it ends with `code`."""
    return checks(project.ci_ml("doctor", "--format", "json", env={"CI_ML_PATIENCE": "2", **env}).expect(code))


def asking(forge: GitHub | GitLab, token: str = SECRET) -> dict[str, str]:
    if isinstance(forge, GitHub):
        return {"GITHUB_API_URL": forge.url, "GH_TOKEN": token}
    return {"CI_API_V4_URL": forge.url, "GITLAB_TOKEN": token}


def health(found: dict[str, dict[str, Any]], *names: str) -> list[str]:
    return [found[name]["health"] for name in names]


# --- This clone -------------------------------------------------------------------------------------------------------


def test_a_healthy_dvc_project_without_a_token(project: Project) -> None:
    found = examined(healthy(project), 0)
    local = ("configuration", "pipeline", "lock", "base", "workflow", "remote")
    assert health(found, *local) == ["ok"] * 6
    assert health(found, "token", "required", "queue", "variable") == ["unknown"] * 4
    assert "there is no token" in found["token"]["sentence"]
    assert "GH_TOKEN" in found["token"]["fix"]


def test_people_see_a_line_and_a_fix(project: Project) -> None:
    healthy(project)
    project.edit("params.yaml", "steps: 3", "steps: 4")
    done = project.ci_ml("doctor").expect(12)
    assert "✓  configuration  ci-ml.yaml is valid and has 2 gates" in done.out
    assert "✗  lock           dvc.lock is out of date" in done.out
    assert "fix: `ci-ml train`, then commit dvc.lock" in done.out
    assert "?  token" in done.out
    assert done.out.rstrip().endswith("1 problem; 4 could not be looked at")


def test_the_document_has_a_version(plain: Project) -> None:
    document = healthy(plain).ci_ml("doctor", "--format", "json").expect(0).json()
    assert document["schema"] == "ci-ml/doctor/v1"
    assert document["forge"] == {"kind": "github", "repository": "acme/churn"}
    assert document["exit_code"] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no ci-ml.yaml"),
        ("version: 1\ngates: []\n", "no gates"),
        ("version: 1\nnonsense: 3\n", "nonsense"),
        ("version: 1\ngates:\n  - {metric: 'metrics.json:a', direction: TODO, margin: 0.1}\n", "1 line with TODO"),
    ],
)
def test_a_configuration_that_judges_nothing(plain: Project, text: str | None, said: str) -> None:
    healthy(plain)
    if text is None:
        plain.remove("ci-ml.yaml")
    else:
        plain.write("ci-ml.yaml", text)
    found = examined(plain, 2)
    assert found["configuration"]["health"] == "problem"
    assert said in found["configuration"]["sentence"]


def test_files_that_git_does_not_track(project: Project) -> None:
    healthy(project)
    project.git("rm", "--quiet", "--cached", "dvc.lock")
    project.write(".gitignore", "dvc.lock\n")
    found = examined(project, 2)
    assert found["pipeline"]["health"] == "problem"
    assert found["pipeline"]["fix"] == "git add dvc.lock"


def test_a_pipeline_that_was_never_trained(project: Project) -> None:
    healthy(project)
    project.remove("dvc.lock")
    assert "there is no dvc.lock" in examined(project, 2)["pipeline"]["sentence"]


def test_a_pipeline_that_dvc_cannot_read(project: Project) -> None:
    healthy(project)
    project.write("dvc.yaml", "stages: [")
    found = examined(project, 2)
    assert health(found, "pipeline", "lock") == ["problem", "unknown"]


def test_a_dvc_yaml_without_a_project(plain: Project) -> None:
    healthy(plain)
    plain.write("dvc.yaml", "stages: {}\n")
    assert examined(plain, 2)["pipeline"]["fix"] == "`dvc init`"


def test_a_base_that_is_not_here(plain: Project) -> None:
    """The first commit of all has nothing before it."""
    plain.git("remote", "add", "origin", "https://github.com/acme/churn.git")
    found = examined(plain, 2)
    assert found["base"]["health"] == "problem"
    assert found["base"]["fix"]


def test_a_shallow_clone_gets_its_base_or_says_that_it_cannot(plain: Project) -> None:
    healthy(plain)
    plain.git("checkout", "--quiet", "main")
    plain.write("README.md", "main goes on")
    plain.commit("main goes on")
    clone = plain.clone(
        "shallow", "--depth=1", "--no-single-branch", "--branch=change", url=f"file://{plain.root.resolve()}"
    )
    plain.root.rename(plain.root.with_name("away"))
    found = examined(clone, 2)
    assert found["base"]["health"] == "problem"
    assert "shallow" in found["base"]["sentence"]
    plain.root.with_name("away").rename(plain.root)
    found = examined(clone, 0)
    assert found["base"]["health"] == "ok"


def test_no_ci_file_calls_ci_ml(plain: Project) -> None:
    healthy(plain)
    plain.remove(".github/workflows/gate.yml")
    found = examined(plain, 2)
    assert found["workflow"]["health"] == "problem"
    assert "pipelines" in found["workflow"]["fix"]


def test_generated_files_are_compared(plain: Project) -> None:
    healthy(plain).remove(".github/workflows/gate.yml")
    plain.write("ci-ml.yaml", plain.read("ci-ml.yaml") + "pipelines: [{forge: github}]\n")
    assert examined(plain, 12)["workflow"]["health"] == "problem"
    plain.ci_ml("generate").expect(0)
    assert "git does not track" in examined(plain, 2)["workflow"]["sentence"]
    plain.commit("generated")
    assert examined(plain, 0)["workflow"]["health"] == "ok"
    plain.edit(".github/workflows/ci-ml.yml", "workflow_dispatch:", "workflow_dispatch: # mine")
    found = examined(plain, 12)
    assert (found["workflow"]["exit_code"], found["workflow"]["health"]) == (12, "problem")


@pytest.mark.parametrize(
    ("entry", "code", "outcome", "said"),
    [
        (
            "test: {script: [!reference [a, b]]}\n",
            12,
            "problem",
            "does not include .gitlab/ci-ml.yml: GitLab never reads",
        ),
        ("include: {template: a.yml}\n", 0, "unknown", ".gitlab-ci.yml includes a template"),
        ("include: [\n", 0, "unknown", ".gitlab-ci.yml cannot be read"),
        (b"\xff", 0, "unknown", "not UTF-8"),
        ("include: {local: '/.gitlab/*.yml'}\n", 0, "ok", "as it should be"),
    ],
)
def test_gitlab_has_to_read_what_was_generated(plain: Project, entry: str, code: int, outcome: str, said: str) -> None:
    healthy(plain)
    plain.write(".gitlab-ci.yml", entry)
    plain.write("ci-ml.yaml", plain.read("ci-ml.yaml") + "pipelines: [{forge: gitlab}]\n")
    plain.ci_ml("generate").expect(0)
    plain.commit("generated")
    found = examined(plain, code)["workflow"]
    assert (found["health"], said in found["sentence"]) == (outcome, True), found
    assert (outcome == "ok") is ("include: [{local: /.gitlab/ci-ml.yml}]" not in (found["fix"] or ""))


def test_a_file_written_by_hand_that_gitlab_does_not_read_calls_nothing(plain: Project) -> None:
    healthy(plain).remove(".github/workflows/gate.yml")
    plain.write(".gitlab/ml.yml", "gate: {script: [ci-ml ci]}\n")
    plain.write(".gitlab-ci.yml", "test: {script: [make]}\n")
    assert examined(plain, 2)["workflow"]["health"] == "problem"
    plain.write(".gitlab-ci.yml", "include: .gitlab/ml.yml\n")
    assert examined(plain, 0)["workflow"]["health"] == "ok"


@pytest.mark.parametrize("left", ["", "pipelines: [{forge: github, forks: false}]\n"])
def test_a_generated_file_that_is_needed_no_more(plain: Project, left: str) -> None:
    healthy(plain).remove(".github/workflows/gate.yml")
    config = plain.read("ci-ml.yaml")
    plain.write("ci-ml.yaml", f"{config}pipelines: [{{forge: github}}]\n")
    plain.ci_ml("generate").expect(0)
    plain.write("ci-ml.yaml", f"{config}{left}")
    plain.commit("less")
    found = examined(plain, 12)["workflow"]
    assert ".github/workflows/ci-ml-publish.yml" in found["sentence"]
    assert "does not declare any more" in found["sentence"]


def test_our_own_workflow_reports_under_both_names(plain: Project, github: GitHub) -> None:
    healthy(plain)
    uses = "ci-ml/ci-ml/.github/workflows/gate.yml@v0.1.0"
    plain.write(".github/workflows/gate.yml", f"on: pull_request\njobs:\n  ci-ml:\n    uses: {uses}\n")
    plain.commit("our own")
    repository(github).require("ci-ml")
    assert "`ci-ml / gate`" in examined(plain, 2, **asking(github))["required"]["fix"]
    repository(github).require("ci-ml / gate")
    assert examined(plain, 0, **asking(github))["required"]["sentence"] == "main requires ci-ml / gate"


@pytest.mark.parametrize("layout", ["single", "stages"])
def test_the_gate_of_a_generated_workflow_is_known(project: Project, github: GitHub, layout: str) -> None:
    repository(github).require("gate")
    repository(github).queue()
    healthy(project).remove(".github/workflows/gate.yml")
    project.write("ci-ml.yaml", f"{project.read('ci-ml.yaml')}pipelines: [{{forge: github, layout: {layout}}}]\n")
    project.ci_ml("generate").expect(0)
    project.commit("generated")
    found = examined(project, 0, **asking(github))
    assert health(found, "workflow", "required", "queue") == ["ok"] * 3


# --- DVC's remote -----------------------------------------------------------------------------------------------------


def test_a_remote_that_holds_nothing(project: Project) -> None:
    healthy(project)
    (project.root.parent / "remote").rename(project.root.parent / "gone")
    found = examined(project, 3)
    assert found["remote"]["fix"] == "`dvc push`"


def test_a_project_without_a_remote(project: Project) -> None:
    healthy(project)
    project.write(".dvc/config", "[core]\n    analytics = false\n")
    found = examined(project, 2)
    assert "data/raw.csv" in found["remote"]["sentence"]


def test_data_that_was_imported_needs_no_remote(plain: Project) -> None:
    """`dvc pull` gets it from where it came from."""
    plain.dvc("init", "--quiet")
    plain.write(
        "x.csv.dvc", "deps: [{path: x.csv, repo: {url: ../other, rev_lock: abc}}]\nouts: [{path: x.csv, md5: abc}]\n"
    )
    plain.write("y.csv.dvc", "deps: [{path: https://example.org/y.csv}]\nouts: [{path: y.csv, md5: abd}]\n")
    plain.write(".gitignore", "/x.csv\n/y.csv\n/z.csv\n")
    healthy(plain)
    assert examined(plain, 0)["remote"]["sentence"] == "DVC has no default remote, and no data that needs one"
    plain.write("z.csv.dvc", "outs: [{path: z.csv, md5: abe}]\n")
    plain.commit("data of its own")
    assert examined(plain, 2)["remote"]["sentence"].endswith("CI could not get z.csv")


def test_a_remote_whose_server_hangs_ends_in_time(project: Project) -> None:
    healthy(project)
    with GitHub() as forge:  # any server that does not answer
        forge.fail(Hang(), times=None)
        config = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {forge.url}/store\n"
        project.write(".dvc/config", config)
        begun = time.monotonic()
        found = examined(project, 3)
        assert time.monotonic() - begun < 60
    assert found["remote"]["health"] == "problem"
    assert "did not answer within 10 s" in found["remote"]["sentence"]


def test_credentials_in_the_address_of_a_remote_are_not_shown(project: Project) -> None:
    healthy(project)
    config = "[core]\n    remote = s\n['remote \"s\"']\n    url = http://ada:hunter22secret@127.0.0.1:9/store\n"
    project.write(".dvc/config", config)
    done = project.ci_ml("doctor", env={"CI_ML_PATIENCE": "2"})
    assert "hunter22secret" not in done.out + done.err
    assert "✗  remote" in done.out


# --- The registry -----------------------------------------------------------------------------------------------------

REGISTRY = "registry: {churn: {model: model.json}}\n"
PROMOTING = "pipelines: [{forge: github, promote: MODELS}]\n"
NAMED = "{models: churn, secrets: {MLFLOW_TRACKING_URI: MLFLOW_URI}}"


def registered(project: Project, promote: str | None = None) -> Project:
    """A project with a model in a registry, and with jobs that promote it."""
    more = PROMOTING.replace("MODELS", promote) if promote else ""
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + REGISTRY + more)
    if promote:
        project.remove(".github/workflows/gate.yml")
        project.ci_ml("generate").expect(0)
    project.commit("a registry")
    return project


def test_a_registry_that_nobody_else_could_reach(project: Project) -> None:
    registered(healthy(project))
    found = examined(project, 2)["registry"]
    assert "who shares the ledger on origin could not reach a registry on this machine" in found["sentence"]
    project.git("remote", "remove", "origin")
    assert examined(project, 0)["registry"]["health"] == "ok"


def test_a_registry_that_answers_and_one_that_does_not(project: Project) -> None:
    registered(healthy(project))
    place = project.root.parent / "registry.db"
    here = f"sqlite:///{place}"
    assert "is not there yet" in examined(project, 0, MLFLOW_TRACKING_URI=here)["registry"]["sentence"]
    assert not place.exists(), "doctor makes nothing"
    place.touch()
    found = examined(project, 0, MLFLOW_TRACKING_URI=here)["registry"]
    assert (found["health"], found["sentence"]) == ("ok", f"the registry at {here} answers, for churn")
    there = "http://ada:hunter22secret@127.0.0.1:9"
    done = project.ci_ml("doctor", "--format", "json", env={"CI_ML_PATIENCE": "2", "MLFLOW_TRACKING_URI": there})
    found = checks(done.expect(3))["registry"]
    assert found["sentence"].startswith("the registry at http://")
    assert "cannot be asked: MLflow: " in found["sentence"]
    assert "hunter22secret" not in done.text


def test_a_registry_that_hangs_ends_in_time(project: Project) -> None:
    registered(healthy(project))
    with GitHub() as forge:  # any server that does not answer
        forge.fail(Hang(), times=None)
        found = examined(project, 3, MLFLOW_TRACKING_URI=forge.url)["registry"]
    assert found["sentence"].endswith("cannot be asked: it did not answer within 32 s")


def test_jobs_that_promote_have_the_address_of_the_registry(project: Project) -> None:
    registered(healthy(project), "churn")
    found = examined(project, 2)["registry"]
    assert "nothing gives MLFLOW_TRACKING_URI to the jobs that promote" in found["sentence"]
    assert "promote: {secrets: {MLFLOW_TRACKING_URI: NAME}}" in found["fix"]
    done = project.ci_ml("generate").expect(0)
    assert f"note: {found['sentence']}; {found['fix']}\n" in done.err
    project.edit("ci-ml.yaml", "promote: churn", f"promote: {NAMED}")
    assert "MLFLOW_TRACKING_URI" not in project.ci_ml("generate").expect(0).err
    project.commit("an address")
    found = examined(project, 0)["registry"]
    assert (found["health"], "MLFLOW_TRACKING_URI is not set here" in found["sentence"]) == ("unknown", True)


def test_what_is_promoted_is_under_registry(project: Project) -> None:
    registered(healthy(project), NAMED.replace("churn", "fraud"))
    found = examined(project, 2)["registry"]
    assert found["sentence"].endswith("promote names the model fraud, which is not under registry")
    assert found["fix"] == "there are: churn"


# --- GitHub -----------------------------------------------------------------------------------------------------------


def repository(forge: GitHub) -> GitHubRepository:
    return forge.repositories[0]


def test_a_healthy_repository_on_github(plain: Project, github: GitHub) -> None:
    repository(github).require("gate")
    found = examined(healthy(plain), 0, **asking(github))
    assert health(found, "token", "required", "queue", "variable") == ["ok"] * 4
    assert found["required"]["sentence"] == "main requires gate"


def test_no_check_is_required(plain: Project, github: GitHub) -> None:
    found = examined(healthy(plain), 2, **asking(github))
    assert found["required"]["health"] == "problem"
    assert "`gate`" in found["required"]["fix"]


def test_only_the_check_of_others_is_required(plain: Project, github: GitHub) -> None:
    repository(github).protected = ("lint",)
    found = examined(healthy(plain), 2, **asking(github))
    assert "requires lint, and none of these is ci-ml's" in found["required"]["sentence"]


@pytest.mark.parametrize(("events", "outcome"), [("pull_request", "problem"), ("[pull_request, merge_group]", "ok")])
def test_a_merge_queue(plain: Project, github: GitHub, events: str, outcome: str) -> None:
    repository(github).require("gate")
    repository(github).queue()
    found = examined(healthy(plain, events=events), 2 if outcome == "problem" else 0, **asking(github))
    assert found["queue"]["health"] == outcome


def test_a_token_that_may_only_read(plain: Project, github: GitHub) -> None:
    repository(github).require("gate")
    token = github.token(kind="pat", login="mona", scopes=["read:user"])
    found = examined(healthy(plain), 3, **asking(github, token))
    assert found["token"]["health"] == "problem"
    assert "scope `repo`" in found["token"]["sentence"]


def test_a_token_of_which_github_does_not_say(plain: Project, github: GitHub) -> None:
    repository(github).require("gate")
    token = github.token(kind="fine-grained", permissions={"statuses": "write"})
    found = examined(healthy(plain), 0, **asking(github, token))
    assert found["token"]["health"] == "unknown"


def test_a_token_that_is_not_valid(plain: Project, github: GitHub) -> None:
    found = examined(healthy(plain), 3, **asking(github, "ghp_nobody_knows_this_one"))
    assert health(found, "token", "required", "queue", "variable") == ["problem"] + ["unknown"] * 3


def test_rules_that_may_not_be_read(plain: Project, github: GitHub) -> None:
    github.fail(Status(403, {"message": "Resource not accessible"}), "GET", "/(rules|branches)/", times=None)
    found = examined(healthy(plain), 0, **asking(github))
    assert health(found, "token", "required", "queue", "variable") == ["ok", "unknown", "unknown", "ok"]


# --- Schedules, where ci-ml.yaml asks for them ------------------------------------------------------------------------


def scheduled(plain: Project, forge: str, retrain: str) -> None:
    """Generated files that watch and retrain a project with a DVC remote."""
    plain.dvc("init", "--quiet")
    plain.dvc("remote", "add", "--quiet", "--default", "storage", str(plain.root.parent))
    said = f'pipelines: [{{forge: {forge}, monitor: "0 6 * * *", retrain: {retrain}}}]\n'
    plain.write("ci-ml.yaml", plain.read("ci-ml.yaml") + said)
    plain.ci_ml("generate", "--force").expect(0)
    plain.commit("Schedules")


@pytest.mark.parametrize(
    ("retrain", "allowed", "code", "outcome"),
    [
        ('"5 4 * * 1"', True, 0, "ok"),
        ('"5 4 * * 1"', False, 2, "problem"),
        ("{token: RETRAIN}", False, 0, "ok"),
        ("{app: {client_id: a, private_key: RETRAIN}}", False, 0, "ok"),
        ("{token: ANOTHER}", True, 2, "problem"),
    ],
)
def test_retraining_on_github_needs_a_token_that_may_propose(
    plain: Project, github: GitHub, retrain: str, allowed: bool, code: int, outcome: str
) -> None:
    healthy(plain).remove(".github/workflows/gate.yml")
    scheduled(plain, "github", retrain)
    repository(github).require("gate")
    repository(github).collaborators["mona"] = "admin"
    repository(github).proposals = allowed
    repository(github).secrets.add("RETRAIN")
    found = examined(plain, code, **asking(github))
    assert health(found, "proposal", "schedule") == [outcome, "ok"]


@pytest.mark.parametrize(("retrain", "outcome"), [('"5 4 * * 1"', "problem"), ("{on_drift: true}", "ok")])
def test_gitlab_needs_schedules_in_its_settings(plain: Project, gitlab: GitLab, retrain: str, outcome: str) -> None:
    scheduled(on_gitlab(plain), "gitlab", retrain)
    home = gitlab.projects[0]
    home.must_succeed = True
    home.variable("CI_ML_TOKEN", "glpat-the-value")
    home.schedules = {1: {"CI_ML_SCHEDULE": "monitor"}}
    token = gitlab.token(project="acme/churn", role="maintainer")
    found = examined(plain, 2 if outcome == "problem" else 0, **asking(gitlab, token))
    assert health(found, "proposal", "schedule") == ["ok", outcome]
    if outcome == "problem":
        assert found["schedule"]["fix"].endswith("the variable CI_ML_SCHEDULE = retrain")


# --- GitLab -----------------------------------------------------------------------------------------------------------


def on_gitlab(plain: Project) -> Project:
    plain.write(".gitlab-ci.yml", "include:\n  - component: gitlab.com/ci-ml/ci-ml/gate@1\n")
    return healthy(plain, "git@gitlab.com:acme/churn.git")


def test_a_healthy_project_on_gitlab(plain: Project, gitlab: GitLab) -> None:
    gitlab.projects[0].must_succeed = True
    gitlab.projects[0].variable("CI_ML_TOKEN", "glpat-the-value")
    token = gitlab.token(project="acme/churn", role="maintainer")
    found = examined(on_gitlab(plain), 0, **asking(gitlab, token))
    assert health(found, "token", "required", "queue", "variable") == ["ok"] * 4
    assert "glpat-" not in json.dumps(found)


def test_gitlab_merges_what_failed(plain: Project, gitlab: GitLab) -> None:
    found = examined(on_gitlab(plain), 2, **asking(gitlab, gitlab.token(project="acme/churn")))
    assert found["required"]["health"] == "problem"
    assert "Pipelines must succeed" in found["required"]["fix"]
    assert found["variable"]["health"] == "unknown"  # a Developer may not look


def test_gitlab_takes_a_skipped_pipeline_for_a_passed_one(plain: Project, gitlab: GitLab) -> None:
    gitlab.projects[0].must_succeed = gitlab.projects[0].skipped_counts = True
    found = examined(on_gitlab(plain), 2, **asking(gitlab, gitlab.token(project="acme/churn")))
    assert "skipped" in found["required"]["sentence"]


def test_gitlab_without_a_token_for_jobs(plain: Project, gitlab: GitLab) -> None:
    gitlab.projects[0].must_succeed = gitlab.projects[0].personal = True
    token = gitlab.token(project="acme/churn", role="maintainer")
    found = examined(on_gitlab(plain), 2, **asking(gitlab, token))
    assert found["variable"]["health"] == "problem"


def test_a_reporter_may_not_write_on_gitlab(plain: Project, gitlab: GitLab) -> None:
    gitlab.projects[0].must_succeed = True
    found = examined(on_gitlab(plain), 3, **asking(gitlab, gitlab.token(project="acme/churn", role="reporter")))
    assert "Developer" in found["token"]["sentence"]


# --- When the forge is down, slow, or a stranger ----------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Status(503), Hang(), Status(200, ["what", 3])], ids=["down", "slow", "odd"])
def test_a_forge_that_gives_no_answer(plain: Project, github: GitHub, fault: Any) -> None:
    github.fail(fault, times=None)
    begun = time.monotonic()
    found = examined(healthy(plain), 0, **asking(github))
    assert time.monotonic() - begun < 30
    assert health(found, "token", "required", "queue", "variable") == ["unknown"] * 4
    assert "GitHub" in found["token"]["sentence"]


def test_a_forge_that_breaks_off_in_the_middle(plain: Project, github: GitHub) -> None:
    github.fail(Hang(), "GET", "/rules/", times=None)
    found = examined(healthy(plain), 0, **asking(github))
    assert health(found, "token", "required", "queue", "variable") == ["ok"] + ["unknown"] * 3


def test_nothing_listens_there(plain: Project) -> None:
    env = {"GITHUB_API_URL": "http://127.0.0.1:9", "GH_TOKEN": SECRET}
    assert examined(healthy(plain), 0, **env)["token"]["health"] == "unknown"


def test_a_server_that_only_calls_itself_gitlab_gets_no_token(plain: Project) -> None:
    healthy(plain, "https://gitlab.evil.example/acme/churn.git")
    found = examined(plain, 0, GITLAB_TOKEN=SECRET)
    assert "no clone from a forge that ci-ml knows" in found["token"]["sentence"]


def test_a_clone_without_any_remote(plain: Project) -> None:
    healthy(plain)
    plain.git("remote", "remove", "origin")
    assert examined(plain, 0, GH_TOKEN=SECRET)["token"]["health"] == "unknown"


def test_outside_of_a_repository(plain: Project) -> None:
    plain.ci_ml("doctor", cwd=plain.root.parent).expect(2)
