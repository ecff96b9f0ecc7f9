"""What `ci-ml generate` writes for promotion, run by act and by gitlab-ci-local: who moves aliases, when, with which secrets.

A stand-in for ci-ml says how it was called, on which commit and with which files; action.yml is the real one.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci_ml import __version__
from tests.ci import runners, stand_ins
from tests.ci.pipelines import Pipelines
from tests.ci.runners import REPOSITORY, Forge, GitHub
from tests.e2e.project import Project

pytestmark = pytest.mark.thorough

CONFIG = """
version: 1
gates: [{metric: "metrics.json:acc", direction: higher, margin: 0.01}]
pipelines:
  - forge: %(forge)s
    forks: false
    record: %(record)s
    schedule: "5 5 * * 0"
    action: %(action)s
    python: {install: ["true"]}
    retrain: "23 4 * * 1"
    promote:
      models: [churn, fraud score]
      alias: [champion, shadow]
      secrets: {MLFLOW_TRACKING_URI: REGISTRY_URL}
      token: CI_ML_PROMOTE_TOKEN
      attest: %(attest)s
"""
# Each call: what was asked for, with which token and registry, on which commit, and what lay there.
COMMAND = """\
#!/bin/sh
there="$(cd .ci-ml 2>/dev/null && find report.json records -type f 2>/dev/null | sort | tr '\\n' ' ')"
printf '%s | %s | %s | %s | %s\\n' "$*" "$CI_ML_TOKEN" "$MLFLOW_TRACKING_URI" "$(git log -1 --format=%s)" "$there" >>"$CALLS"
said() { [ -z "$GITHUB_OUTPUT" ] || echo "$1" >>"$GITHUB_OUTPUT"; }
mkdir -p .ci-ml
case "$1 $2" in
  "ci "*)
    [ "$JUDGED" != none ] || exit 3
    mkdir -p .ci-ml/records && echo '{}' >.ci-ml/records/ab.json
    echo '{}' >.ci-ml/report.json && said "report=.ci-ml/report.json"
    exit "$JUDGED"
    ;;
  "retrain "*) mkdir -p .ci-ml/records && echo '{}' >.ci-ml/records/ab.json && exit "${TRAINED:-0}" ;;
  "record "*)
    commit="${RECORDED-$(git rev-parse HEAD)}"
    said "commit=$commit"
    echo "CI_ML_RECORDED=$commit" >.ci-ml/record.env
    ;;
  "audit record") exit "${ENTERED:-0}" ;;
  "audit attestation")
    echo "about $4" >subjects && echo "known of $4" >predicate
    said "subjects=subjects" && said "predicate=predicate" && said "predicate-type=urn:known"
    ;;
  "promote "*) case "$*" in *churn) exit "${PROMOTED:-0}" ;; esac ;;
esac
"""
SECRETS = {"REGISTRY_URL": "registry", "CI_ML_PROMOTE_TOKEN": "promoter"}
HERE = "| records/ab.json"
WHOLE = "| records/ab.json report.json"


@pytest.fixture(scope="module")
def stand_in(machine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    return stand_ins.release(tmp_path_factory.mktemp("stand-in"), machine, COMMAND)


@pytest.fixture(scope="module")
def projects(
    machine: dict[str, str], stand_in: Project, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Project]:
    """Repositories with the CI files that `ci-ml generate` writes; the branch `recorded` is one commit ahead of main."""
    env = {**machine, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{machine['PATH']}"}
    actions = stand_ins.actions(stand_in)
    made: dict[tuple[str, bool], Project] = {}

    def project(forge: str, *, record: bool = True) -> Project:
        if (forge, record) not in made:
            here = stand_ins.project(tmp_path_factory.mktemp(forge) / "project", env)
            chosen = {"record": str(record).lower(), "attest": str(forge == "github").lower()}
            here.write("ci-ml.yaml", CONFIG % {"forge": forge, "action": actions[forge], **chosen})
            here.ci_ml("generate").expect(0)
            here.write(".gitignore", ".ci-ml/\n")
            here.commit("Merged")
            here.git("checkout", "--quiet", "-b", "recorded")
            here.write("dvc.lock", "schema: '2.0'\n")
            here.commit("Recorded")
            here.git("checkout", "--quiet", "main")
            made[forge, record] = here
        return made[forge, record]

    return project


# --- GitHub ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OnGitHub:
    """Runs the workflows, and reads what the stand-in was called with."""

    runner: GitHub
    calls: Path

    def run(
        self,
        event: str,
        *,
        kind: str = "",
        branch: str = "main",
        secrets: Mapping[str, str] = SECRETS,
        payload: Mapping[str, Any] | None = None,
        works: bool = True,
        **env: str,
    ) -> list[str]:
        """How ci-ml was called."""
        self.calls.write_text("")
        home = {"full_name": REPOSITORY, "fork": False, "default_branch": "main"}
        done = self.runner.run(
            event,
            {"repository": home, **(payload or {})},
            self.runner.forge.main,
            branch=branch,
            workflow=f".github/workflows/ci-ml{kind}.yml",
            token="jobs",
            secrets=secrets,
            env={"CALLS": str(self.calls), "JUDGED": "0", **env},
        )
        assert (done.code == 0) == works, done.log
        return sorted(self.calls.read_text().splitlines())


@pytest.fixture(scope="module")
def github_forges(projects: Callable[..., Project]) -> Callable[[bool], Forge]:
    made: dict[bool, Forge] = {}

    def forge(record: bool) -> Forge:
        if record not in made:
            here = projects("github", record=record)
            made[record] = runners.hosted(here, here.git("rev-parse", "HEAD"), {})
        return made[record]

    return forge


@pytest.fixture
def on_github(
    github_in: Callable[[Path, Forge], GitHub],
    github_forges: Callable[[bool], Forge],
    stand_in: Project,
    tmp_path: Path,
) -> Callable[..., OnGitHub]:
    def made(*, record: bool = True) -> OnGitHub:
        forge = github_forges(record)
        usual = github_in(tmp_path, forge)
        runner = GitHub(act=usual.act, action=stand_in.root, folder=usual.folder, forge=forge, env=usual.env)
        return OnGitHub(runner=runner, calls=tmp_path / "calls")

    return made


def promoted(commit: str, token: str = "promoter") -> list[str]:
    """The calls that promote both models, and sign what is known of them, on a commit."""
    return sorted(
        line
        for model in ("churn", "fraud score")
        for line in (
            f"promote --to=champion,shadow -- {model} | {token} | registry | {commit} {WHOLE} ",
            f"audit attestation -- {model} | jobs |  | {commit} {WHOLE} ",
            f"attest about {model} urn:known known of {model}",
        )
    )


def test_github_promotes_what_was_recorded(on_github: Callable[..., OnGitHub]) -> None:
    here = on_github()
    recorded = here.runner.forge.project.git("rev-parse", "recorded")
    assert here.run("push", RECORDED=recorded) == sorted(
        [
            "ci | jobs |  | Merged | ",
            "record | jobs |  | Merged | ",
            f"audit record | jobs |  | Merged {HERE} ",
            *promoted("Recorded"),
        ]
    )


def test_github_promotes_what_was_committed_where_nothing_is_recorded(on_github: Callable[..., OnGitHub]) -> None:
    called = on_github(record=False).run("push")
    assert called == sorted(
        ["ci | jobs |  | Merged | ", f"audit record | jobs |  | Merged {HERE} ", *promoted("Merged")]
    )


@pytest.mark.parametrize(
    ("why", "works", "entered"),
    [
        ({"JUDGED": "10"}, False, True),  # the gate says no
        ({"JUDGED": "none"}, False, True),  # nothing could be judged: the ledger is asked to take nothing
        ({"ENTERED": "3"}, False, True),  # the ledger cannot be written
        ({"RECORDED": ""}, True, True),  # the branch has moved on
    ],
)
def test_github_promotes_nothing_else(
    on_github: Callable[..., OnGitHub], why: dict[str, str], works: bool, entered: bool
) -> None:
    called = on_github().run("push", works=works, **why)
    assert any(line.startswith("audit record") for line in called) == entered
    assert not [line for line in called if line.startswith(("promote", "audit attestation", "attest"))]


def test_one_model_that_is_refused_on_github_keeps_no_other_back(on_github: Callable[..., OnGitHub]) -> None:
    called = on_github(record=False).run("push", works=False, PROMOTED="10")
    wanted = [line for line in promoted("Merged") if "churn" not in line or line.startswith("promote")]
    assert [line for line in called if line.startswith(("promote", "audit attestation", "attest"))] == wanted


@pytest.mark.parametrize("event", ["pull_request", "merge_group", "workflow_dispatch", "schedule"])
def test_other_events_of_github_promote_nothing(on_github: Callable[..., OnGitHub], event: str) -> None:
    called = on_github(record=False).run(event)
    assert [line.partition(" |")[0] for line in called] == (["audit record", "ci"] if event == "schedule" else ["ci"])


@pytest.mark.parametrize("code", ["0", "10"])
def test_what_retraining_on_github_looked_at_is_entered(on_github: Callable[..., OnGitHub], code: str) -> None:
    called = on_github(record=False).run("schedule", kind="-retrain", works=code == "0", TRAINED=code)
    assert called == [f"audit record | jobs |  | Merged {HERE} ", "retrain --why=on schedule | jobs |  | Merged | "]


def test_github_goes_back_by_hand(on_github: Callable[..., OnGitHub]) -> None:
    here, hostile = on_github(), '$(touch owned) "; `id`'
    inputs = {"model": "fraud score", "alias": "shadow", "version": "6", "why": hostile}
    called = here.run("workflow_dispatch", kind="-rollback", payload={"inputs": inputs})
    assert called == [
        f"rollback --alias=shadow --to=6 --why={hostile} -- fraud score | promoter | registry | Merged | "
    ]
    inputs = {"model": "churn", "alias": "champion", "version": "", "why": "slow"}
    called = here.run("workflow_dispatch", kind="-rollback", payload={"inputs": inputs})
    assert called == ["rollback --alias=champion --why=slow -- churn | promoter | registry | Merged | "]
    assert not list(here.runner.folder.rglob("owned"))


@pytest.mark.parametrize("ref", ["refs/heads/other", "refs/heads/main/other", "refs/tags/main"])
def test_github_goes_back_from_the_default_branch_alone(on_github: Callable[..., OnGitHub], ref: str) -> None:
    """A tag may have the name of the branch."""
    inputs = {"model": "churn", "alias": "champion", "version": "", "why": "slow"}
    assert on_github().run("workflow_dispatch", kind="-rollback", payload={"inputs": inputs, "ref": ref}) == []


# --- GitLab ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OnGitLab:
    """Runs a pipeline, and reads what the stand-in was called with."""

    command: str
    projects: Callable[..., Project]
    folder: Path
    env: Mapping[str, str] = field(repr=False)

    def run(self, *, record: bool = True, failed: set[str] | None = None, **variables: str) -> list[str]:
        """How ci-ml was called, in a pipeline in which these jobs fail."""
        calls = self.folder / "calls"
        calls.write_text("")
        here = self.projects("gitlab", record=record)
        told = {
            name: variables.pop(name)
            for name in ("JUDGED", "ENTERED", "PROMOTED", "RECORDED", "TRAINED")
            if name in variables
        }
        env = {**self.env, "CALLS": str(calls), "JUDGED": "0", **told}
        pipeline = Pipelines(command=self.command, project=here, folder=self.folder, env=env)
        known = {"CI_COMMIT_BRANCH": "main", "CI_PIPELINE_SOURCE": "push", "CI_ML_TOKEN": "jobs", **SECRETS}
        run = pipeline.run(here.git("rev-parse", "main"), **{**known, **variables})
        assert run.failed() == (failed or set()), run.log
        return sorted(calls.read_text().splitlines())


@pytest.fixture
def on_gitlab(
    gitlab_ci_local: str, projects: Callable[..., Project], machine: dict[str, str], tmp_path: Path
) -> OnGitLab:
    path = os.pathsep.join((str(Path(gitlab_ci_local).parent), machine["PATH"]))
    return OnGitLab(command=gitlab_ci_local, projects=projects, folder=tmp_path, env={**machine, "PATH": path})


JUDGED = "ci | jobs |  | Merged | "
RECORDED = f"record | jobs |  | Merged {WHOLE} "
ENTERED = f"audit record | promoter |  | Merged {WHOLE} "


def given(commit: str) -> list[str]:
    """The calls that promote both models on a commit."""
    return [
        f"promote --to=champion,shadow -- {model} | promoter | registry | {commit} {WHOLE} "
        for model in ("churn", "fraud score")
    ]


def test_gitlab_promotes_what_was_recorded(on_gitlab: OnGitLab) -> None:
    recorded = on_gitlab.projects("gitlab").git("rev-parse", "recorded")
    assert on_gitlab.run(RECORDED=recorded) == sorted([JUDGED, RECORDED, ENTERED, *given("Recorded")])


def test_gitlab_promotes_what_was_committed_where_nothing_is_recorded(on_gitlab: OnGitLab) -> None:
    assert on_gitlab.run(record=False) == sorted([JUDGED, ENTERED, *given("Merged")])


@pytest.mark.parametrize(
    ("why", "failed"),
    [
        ({"JUDGED": "10"}, {"gate"}),
        ({"JUDGED": "none"}, {"gate"}),
        ({"ENTERED": "3"}, {"audit"}),
        ({"RECORDED": ""}, set[str]()),
    ],
)
def test_gitlab_promotes_nothing_else(on_gitlab: OnGitLab, why: dict[str, str], failed: set[str]) -> None:
    called = on_gitlab.run(failed=failed, **why)
    assert any(line.startswith("audit record") for line in called)
    assert not [line for line in called if line.startswith("promote")]


def test_one_model_that_is_refused_on_gitlab_keeps_no_other_back(on_gitlab: OnGitLab) -> None:
    called = on_gitlab.run(record=False, failed={"promote"}, PROMOTED="10")
    assert [line for line in called if line.startswith("promote")] == given("Merged")


@pytest.mark.parametrize("source", ["merge_request_event", "schedule", "web"])
def test_other_pipelines_of_gitlab_promote_nothing(on_gitlab: OnGitLab, source: str) -> None:
    change = {"CI_COMMIT_BRANCH": "", "CI_MERGE_REQUEST_IID": "1"} if source == "merge_request_event" else {}
    called = on_gitlab.run(record=False, CI_PIPELINE_SOURCE=source, **change)
    assert called == ([JUDGED] if change else sorted([JUDGED, ENTERED]))


@pytest.mark.parametrize("code", ["0", "10"])
def test_what_retraining_on_gitlab_looked_at_is_entered(on_gitlab: OnGitLab, code: str) -> None:
    known = {"CI_PIPELINE_SOURCE": "schedule", "CI_ML_SCHEDULE": "retrain"}
    called = on_gitlab.run(failed=set() if code == "0" else {"retrain"}, TRAINED=code, **known)
    entered = f"audit record | promoter |  | Merged {HERE} "
    assert called == [entered, "retrain --why=started by schedule | jobs |  | Merged | "]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"CI_ML_MODEL": "churn", "CI_ML_WHY": "$(touch owned) `id`"},
            "--alias=champion --why=$(touch owned) `id` -- churn",
        ),
        (
            {"CI_ML_MODEL": "fraud score", "CI_ML_ALIAS": "shadow", "CI_ML_TO": "6", "CI_ML_WHY": "slow"},
            "--to=6 --alias=shadow --why=slow -- fraud score",
        ),
    ],
)
def test_gitlab_goes_back_by_hand(on_gitlab: OnGitLab, variables: dict[str, str], said: str) -> None:
    called = on_gitlab.run(CI_PIPELINE_SOURCE="web", CI_ML_SCHEDULE="rollback", **variables)
    assert called == [f"rollback {said} | promoter | registry | Merged | "]
    assert not list(on_gitlab.folder.rglob("owned"))


@pytest.mark.parametrize("variables", [{"CI_ML_WHY": "slow"}, {"CI_ML_MODEL": "churn"}])
def test_gitlab_does_not_guess_what_goes_back_and_why(on_gitlab: OnGitLab, variables: dict[str, str]) -> None:
    called = on_gitlab.run(failed={"rollback"}, CI_PIPELINE_SOURCE="web", CI_ML_SCHEDULE="rollback", **variables)
    assert called == []


OTHERS = [
    {"CI_COMMIT_BRANCH": "other", "CI_COMMIT_REF_NAME": "other"},
    {"CI_COMMIT_BRANCH": "", "CI_COMMIT_TAG": "main", "CI_COMMIT_REF_NAME": "main"},  # a tag, which has no branch
]


@pytest.mark.parametrize("place", OTHERS)
def test_gitlab_goes_back_from_the_default_branch_alone(on_gitlab: OnGitLab, place: dict[str, str]) -> None:
    known = {"CI_ML_MODEL": "churn", "CI_ML_WHY": "slow", "CI_ML_SCHEDULE": "rollback"}
    assert on_gitlab.run(CI_PIPELINE_SOURCE="web", **known, **place) == []


@pytest.mark.parametrize("place", OTHERS)
def test_gitlab_promotes_from_the_default_branch_alone(on_gitlab: OnGitLab, place: dict[str, str]) -> None:
    assert on_gitlab.run(record=False, **place) == []


# As docs/pipelines.md has it.
COMPONENT = """
include:
  - remote: %(template)s
    inputs: {source: "%(source)s", ref: "%(ref)s"}
  - remote: %(template)s
    inputs: {job-name: audit, command: audit, source: "%(source)s", ref: "%(ref)s"}
  - remote: %(template)s
    inputs: {job-name: promote, command: promote, model: fraud score, alias: "%(alias)s", source: "%(source)s", ref: "%(ref)s"}
  - remote: %(template)s
    inputs: {job-name: rollback, command: rollback, model: fraud score, source: "%(source)s", ref: "%(ref)s"}
audit: {needs: [ci-ml], interruptible: false}
promote: {needs: [ci-ml, audit], interruptible: false, resource_group: promote, environment: {name: production}}
rollback: {needs: [], interruptible: false, resource_group: rollback, environment: {name: production}}
"""


@pytest.fixture
def component(on_gitlab: OnGitLab, stand_in: Project, template: str) -> Callable[..., tuple[list[str], set[str]]]:
    """How the jobs of the component called ci-ml in a pipeline, without what stands before each bar, and which failed."""

    def run(alias: str = "", **variables: str) -> tuple[list[str], set[str]]:
        here = Project(root=on_gitlab.folder / "project", env=on_gitlab.env)
        here.root.mkdir()
        here.git("init", "--quiet", "--initial-branch=main")
        said = {"template": template, "source": stand_in.root.as_uri(), "ref": f"v{__version__}", "alias": alias}
        here.write(".gitlab-ci.yml", COMPONENT % said)
        here.write(".gitlab/ci-ml.yml", "# nothing\n")
        commit = here.commit("Merged")
        calls = on_gitlab.folder / "calls"
        calls.write_text("")
        env = {**on_gitlab.env, "CALLS": str(calls), "JUDGED": variables.pop("JUDGED", "0")}
        pipeline = Pipelines(command=on_gitlab.command, project=here, folder=on_gitlab.folder, env=env)
        known = {"CI_COMMIT_BRANCH": "main", "CI_PIPELINE_SOURCE": "push", "CI_ML_TOKEN": "jobs"}
        done = pipeline.run(commit, **{**known, **variables})
        return sorted(calls.read_text().splitlines()), done.failed()

    return run


COMPONENT_JUDGED, COMPONENT_ENTERED = "ci | jobs |  | Merged | ", f"audit record | jobs |  | Merged {WHOLE} "


@pytest.mark.parametrize(("alias", "said"), [("", ""), ("champion,shadow", "--to=champion,shadow ")])
def test_the_component_promotes_what_its_gate_has_judged(
    component: Callable[..., tuple[list[str], set[str]]], alias: str, said: str
) -> None:
    promoted = f"promote {said}-- fraud score | jobs |  | Merged {WHOLE} "
    assert component(alias) == (sorted([COMPONENT_JUDGED, COMPONENT_ENTERED, promoted]), set())


@pytest.mark.parametrize(
    ("variables", "called", "failed"),
    [
        ({"JUDGED": "10"}, [COMPONENT_ENTERED, COMPONENT_JUDGED], {"ci-ml"}),
        ({"CI_PIPELINE_SOURCE": "schedule"}, [COMPONENT_ENTERED, COMPONENT_JUDGED], set[str]()),
        ({"CI_PIPELINE_SOURCE": "merge_request_event", "CI_COMMIT_BRANCH": ""}, [COMPONENT_JUDGED], set[str]()),
        ({"CI_COMMIT_BRANCH": "", "CI_COMMIT_TAG": "main", "CI_COMMIT_REF_NAME": "main"}, [], set[str]()),
    ],
)
def test_the_component_promotes_nothing_else(
    component: Callable[..., tuple[list[str], set[str]]], variables: dict[str, str], called: list[str], failed: set[str]
) -> None:
    assert component(**variables) == (called, failed)


@pytest.mark.parametrize(
    ("variables", "called", "failed"),
    [
        ({"CI_ML_WHY": "$(touch owned) `id`"}, "--why=$(touch owned) `id` -- fraud score", set[str]()),
        (
            {"CI_ML_WHY": "slow", "CI_ML_TO": "6", "CI_ML_ALIAS": "shadow", "CI_ML_MODEL": "churn"},
            "--alias=shadow --to=6 --why=slow -- churn",
            set[str](),
        ),
        ({}, None, {"rollback"}),
    ],
)
def test_the_component_goes_back_by_hand(
    component: Callable[..., tuple[list[str], set[str]]],
    on_gitlab: OnGitLab,
    variables: dict[str, str],
    called: str | None,
    failed: set[str],
) -> None:
    found = component(CI_PIPELINE_SOURCE="web", CI_ML_SCHEDULE="rollback", **variables)
    assert found == ([f"rollback {called} | jobs |  | Merged | "] if called else [], failed)
    assert not list(on_gitlab.folder.rglob("owned"))
