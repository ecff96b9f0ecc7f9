"""The workflow files of the example, run by act: what a user of GitHub sees when they copy them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci_ml import __version__
from tests.ci import runners
from tests.ci.runners import REPOSITORY, ROOT, Change, Forge, GitHub, Run
from tests.e2e.project import Project, Result
from tests.fakes import github as fake

pytestmark = pytest.mark.thorough

ACTION = YAML(typ="safe", pure=True).load((ROOT / "action.yml").read_text())
STATUS = "ci-ml/breast-cancer"
MAY_WRITE = {"contents": "read", "pull-requests": "write", "statuses": "write"}


@pytest.fixture
def api(forge: Forge) -> Iterator[fake.GitHub]:
    with runners.served(forge) as server:
        yield server


def addressed(api: fake.GitHub, permissions: Mapping[str, str] = MAY_WRITE) -> dict[str, Any]:
    """What makes a run talk to the fake: its address, and a token."""
    addresses = {"GITHUB_API_URL": api.url, "GITHUB_GRAPHQL_URL": api.graphql_url}
    return {"env": addresses, "token": api.token(permissions=permissions)}


def statuses(api: fake.GitHub, sha: str) -> dict[str, str]:
    return {status.context: status.state for status in api.repository(REPOSITORY).statuses_of(sha)}


def test_a_worse_pull_request_is_blocked_and_told_why(github: GitHub, api: fake.GitHub) -> None:
    change = github.forge.changes["worse"]
    run = github.pull_request(change, **addressed(api))
    assert run.code == 1, run.log
    assert "exit status 10" in run.log
    report = run.report()
    assert report["verdict"]["outcome"] == "fail"
    assert (report["base"]["sha"], report["head"]["sha"]) == (change.base, change.merge)
    assert {stage["name"] for stage in report["training"]["stages"] if stage["state"] == "ran"} == {"train", "evaluate"}
    assert "<h1" in (run.artifacts / "ci-ml-report" / "report.html").read_text()
    (comment,) = api.repository(REPOSITORY).pulls[change.number].comments
    assert comment.user.login == fake.BOT
    assert "recall` fell by 4.7\N{NO-BREAK SPACE}pp, from 0.915 to 0.868" in comment.body, comment.body
    assert statuses(api, change.head) == {STATUS: "failure"}
    assert not api.problems


def test_a_better_one_passes_and_trains_in_the_environment_of_the_job(
    github: GitHub, api: fake.GitHub, training: Path
) -> None:
    change = github.forge.changes["better"]
    run = github.pull_request(change, **addressed(api))
    assert run.code == 0, run.log
    assert run.report()["verdict"]["outcome"] == "pass"
    assert f"trained in {training}\n" in run.log
    assert "without click" in run.log
    assert len(api.repository(REPOSITORY).pulls[change.number].comments) == 1
    assert statuses(api, change.head) == {STATUS: "success"}


def test_a_second_push_changes_the_comment_there_is(github: GitHub, api: fake.GitHub) -> None:
    change = github.forge.changes["better"]
    api.repository(REPOSITORY).pulls[change.number].comment(fake.BOT, "Somebody else's comment")
    for number in (1, 2):
        access = addressed(api)
        env = {**access["env"], "GITHUB_RUN_ID": str(number)}
        run = github.pull_request(change, **{**access, "env": env})
        assert run.code == 0, run.log
    assert len(api.repository(REPOSITORY).pulls[change.number].comments) == 2


def test_a_fork_is_judged_the_same_and_a_second_workflow_comments(github: GitHub, api: fake.GitHub) -> None:
    change = github.forge.changes["worse"]
    number = change.number + 10
    pull = api.repository(REPOSITORY).pull(number, head=change.head, branch=change.branch, source="somebody/tumours")
    outside = Change(number=number, branch=change.branch, head=change.head, merge=change.merge, base=change.base)
    read_only = dict.fromkeys(MAY_WRITE, "read")
    first = github.pull_request(outside, fork=True, **addressed(api, read_only))
    assert first.code == 1, first.log
    assert "exit status 10" in first.log
    assert first.report()["verdict"]["outcome"] == "fail"
    assert not pull.comments

    second = publish(github, outside, **addressed(api, {**MAY_WRITE, "actions": "read"}))
    assert second.code == 0, second.log
    (comment,) = pull.comments
    assert "recall` fell by 4.7\N{NO-BREAK SPACE}pp, from 0.915 to 0.868" in comment.body, comment.body
    assert statuses(api, change.head) == {STATUS: "failure"}


def test_what_a_fork_says_in_its_report_is_not_believed(github: GitHub, api: fake.GitHub) -> None:
    change = github.forge.changes["worse"]
    artifact = github.folder / "artifacts" / "ci-ml-report" / "report.json"
    artifact.parent.mkdir(parents=True)
    artifact.write_text(json.dumps({"outcome": "pass", "comment": "@everyone merge this"}))
    run = publish(github, change, **addressed(api))
    assert run.code == 1, run.log
    assert "exit status 2" in run.log
    assert not api.repository(REPOSITORY).pulls[change.number].comments


def publish(github: GitHub, change: Change, **options: Any) -> Run:
    """Run the second workflow, after that of a pull request from a fork, on the default branch."""
    run = {
        "id": 41,
        "run_attempt": 1,
        "event": "pull_request",
        "conclusion": "failure",
        "head_sha": change.head,
        "head_branch": change.branch,
        "head_repository": {"full_name": "somebody/tumours", "owner": {"login": "somebody"}},
        "actor": {"login": "somebody"},
        "html_url": f"https://github.com/{REPOSITORY}/actions/runs/41",
        "pull_requests": [],
    }
    payload = {"action": "completed", "workflow_run": run, "repository": {"full_name": REPOSITORY}}
    workflow = ".github/workflows/ci-ml-publish.yml"
    return github.run("workflow_run", payload, github.forge.main, branch="main", workflow=workflow, **options)


def test_pushes_queues_schedules_and_buttons_are_judged_without_a_comment(github: GitHub, api: fake.GitHub) -> None:
    forge = github.forge
    repository = {"full_name": REPOSITORY, "default_branch": "main"}
    queue = f"gh-readonly-queue/main/pr-1-{forge.main}"
    events = {
        "push": ({"before": forge.trained, "after": forge.main, "ref": "refs/heads/main"}, forge.main, "main"),
        "schedule": ({"schedule": "23 4 * * 1"}, forge.main, "main"),
        "workflow_dispatch": ({"inputs": None}, forge.main, "main"),
        "merge_group": (
            {
                "action": "checks_requested",
                "merge_group": {
                    "base_sha": forge.main,
                    "base_ref": "refs/heads/main",
                    "head_sha": forge.changes["worse"].merge,
                    "head_ref": f"refs/heads/{queue}",
                },
            },
            forge.changes["worse"].merge,
            queue,
        ),
    }
    for event, (payload, commit, branch) in events.items():
        run = github.run(event, {**payload, "repository": repository}, commit, branch=branch, **addressed(api))
        expected = "fail" if event == "merge_group" else "pass"
        assert run.report()["verdict"]["outcome"] == expected, (event, run.log)
        assert run.code == (1 if event == "merge_group" else 0), (event, run.log)
    assert statuses(api, forge.main) == {STATUS: "success"}
    assert not any(pull.comments for pull in api.repository(REPOSITORY).pulls.values())


# What README says that five lines are enough for, and a job that sees what comes out of it.
CALLER = """\
on: pull_request
permissions: {}
jobs:
  ci-ml:
    uses: ci-ml/ci-ml/.github/workflows/gate.yml@v%s
    permissions: {contents: read, pull-requests: write, statuses: write}
    secrets: inherit
  after:
    needs: ci-ml
    runs-on: ubuntu-latest
    steps:
      - env:
          OUTCOME: ${{ needs.ci-ml.outputs.outcome }}
        run: printenv OUTCOME > "$ARTIFACTS/outcome"
"""


def test_a_workflow_that_calls_ours_blocks_a_worse_change(github: GitHub, api: fake.GitHub) -> None:
    change = github.forge.changes["worse"]
    run = github.pull_request(change, content=CALLER % __version__, **addressed(api))
    assert run.code == 1, run.log
    assert run.report()["verdict"]["outcome"] == "fail"
    assert len(api.repository(REPOSITORY).pulls[change.number].comments) == 1
    assert statuses(api, change.head) == {STATUS: "failure"}
    assert not (run.artifacts / "outcome").exists(), "what needs the gate does not run"


def test_a_workflow_that_calls_ours_goes_on_after_a_better_one(github: GitHub, api: fake.GitHub) -> None:
    change = github.forge.changes["better"]
    run = github.pull_request(change, content=CALLER % __version__, **addressed(api))
    assert run.code == 0, run.log
    assert (run.artifacts / "outcome").read_text() == "pass\n"
    assert statuses(api, change.head) == {STATUS: "success"}


# A workflow that shows what the action hands to a later step, also after it has failed.
OUTPUTS = """\
on: pull_request
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
        with: {fetch-depth: 2}
      - uses: actions/setup-python@v7
      - uses: ci-ml/ci-ml@v0
        id: gate
        with: %s
      - if: always()
        env:
          SHOWN: ${{ toJSON(steps.gate.outputs) }}
        run: printenv SHOWN > "$ARTIFACTS/outputs.json"
"""


def test_a_later_step_sees_the_outputs(github: GitHub, api: fake.GitHub) -> None:
    change = github.forge.changes["worse"]
    run = github.pull_request(change, content=OUTPUTS % "{output: some results}", **addressed(api))
    (comment,) = api.repository(REPOSITORY).pulls[change.number].comments
    shown = json.loads((run.artifacts / "outputs.json").read_text())
    assert shown["outcome"] == "fail"
    assert shown["report"].endswith("/some results/report.json")
    assert shown["page"].endswith("/some results/report.html")
    assert shown["comment-url"].endswith(f"/pull/{change.number}#issuecomment-{comment.id}")


def test_an_input_that_is_wrong_ends_the_job_with_the_code_for_usage(github: GitHub) -> None:
    workflow = OUTPUTS % "{working-directory: nowhere}"
    run = github.pull_request(github.forge.changes["better"], content=workflow, token="")
    assert run.code == 1
    assert "exit status 2" in run.log, run.log


# What follows runs the scripts of action.yml as GitHub does, because act loses the last lines of a step that fails.


def step(identifier: str, folder: Path, env: Mapping[str, str]) -> Result:
    """Run a step of the action in a folder, with the variables that its inputs become."""
    (found,) = (step for step in ACTION["runs"]["steps"] if step["id"] == identifier)
    assert found["shell"] == "bash"
    (folder / "step.sh").write_text(found["run"])
    here = Project(root=folder, env={"GITHUB_OUTPUT": str(folder / "outputs"), "GITHUB_ACTION_PATH": str(ROOT), **env})
    return here.run("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "step.sh")


def test_a_python_that_is_none_is_named(machine: dict[str, str], tmp_path: Path) -> None:
    done = step("setup", tmp_path, {**machine, "GITHUB_ACTIONS": "true", "CI_ML_PYTHON": "/bin/true"})
    assert done.code == 2
    assert done.err.startswith("::error title=ci-ml::/bin/true is not a Python that ci-ml runs on, which are CPython")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("folder", ["nowhere", "$(touch owned)", "`touch owned`", '"; touch owned; "', "-P", "a\nb"])
def test_a_folder_that_is_none_is_named_and_no_command(machine: dict[str, str], tmp_path: Path, folder: str) -> None:
    done = step("ci-ml", tmp_path, {**machine, "ACTION_COMMAND": "true", "ACTION_FOLDER": folder, "ACTION_REPORT": ""})
    assert done.code == 2
    assert f"::error title=ci-ml::there is no folder {folder}: check the input working-directory" in done.out
    assert not list(tmp_path.rglob("owned"))


HOSTILE = "$(touch owned) --help"


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"RUN": "ci"}, ["ci"]),
        ({"RUN": "ci", "REPORT": "the report.json"}, ["publish", "--", "the report.json"]),
        ({"RUN": "ci", "REPORT": HOSTILE}, ["publish", "--", HOSTILE]),
        ({"RUN": "ci", "NEEDS": HOSTILE}, ["ci", f"--needs={HOSTILE}"]),
        ({"RUN": "plan", "JOBS": "left right"}, ["plan", "--jobs=left right"]),
        ({"RUN": "stage", "STAGE": HOSTILE}, ["stage", "--", HOSTILE]),
        ({"RUN": "stage", "STAGE": "a", "TRANSFER": "remote"}, ["stage", "--transfer=remote", "--", "a"]),
        ({"RUN": "record", "WHY": "for nothing"}, ["record"]),
        ({"RUN": "monitor"}, ["monitor", "--"]),
        ({"RUN": "monitor", "MONITORS": " churn  *\nfraud "}, ["monitor", "--", "churn", "*", "fraud"]),
        ({"RUN": "monitor", "MONITORS": HOSTILE}, ["monitor", "--", "$(touch", "owned)", "--help"]),
        ({"RUN": "retrain"}, ["retrain"]),
        ({"RUN": "retrain", "WHY": HOSTILE, "FORCE": "false"}, ["retrain", f"--why={HOSTILE}"]),
        ({"RUN": "retrain", "WHY": "new data", "FORCE": "true"}, ["retrain", "--why=new data", "--force"]),
    ],
)
def test_inputs_become_arguments_and_nothing_else(
    machine: dict[str, str], tmp_path: Path, inputs: Mapping[str, str], said: list[str]
) -> None:
    command = tmp_path / "what ci-ml is called with"
    command.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; env | grep ^ACTION_ || true\n')
    command.chmod(0o755)
    given = {f"ACTION_{name}": value for name, value in {"COMMAND": str(command), "FOLDER": ".", **inputs}.items()}
    done = step("ci-ml", tmp_path, {**machine, **given})
    assert done.code == 0
    assert done.out.splitlines() == said, "and nothing of ours is left to stages"
    assert not list(tmp_path.rglob("owned"))


def test_a_command_that_is_none_is_named(machine: dict[str, str], tmp_path: Path) -> None:
    env = {"ACTION_COMMAND": "true", "ACTION_FOLDER": ".", "ACTION_RUN": "check"}
    done = step("ci-ml", tmp_path, {**machine, **env})
    assert done.code == 2
    known = "ci, plan, stage, record, monitor, retrain, audit, promote, rollback or attestation"
    assert f"::error title=ci-ml::the input command is {known}, not check" in done.out


def test_no_input_is_text_in_a_script() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert "uses" not in step, "an organisation may allow no action but those it knows"
        assert "${{" not in step["run"]
    used = {name for name in ACTION["inputs"] if f"inputs.{name}" in json.dumps(ACTION["runs"])}
    assert used == set(ACTION["inputs"])
    assert {name: entry["value"] for name, entry in ACTION["outputs"].items()} == {
        name: f"${{{{ steps.ci-ml.outputs.{name} }}}}"
        for name in (
            *("outcome", "report", "page", "comment-url", "issue-url", "proposal-url"),
            *("stages", "handover", "id", "commit"),
            *("version", "promoted", "predicate", "predicate-type", "subjects"),
        )
    }
