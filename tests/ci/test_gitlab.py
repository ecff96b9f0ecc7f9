"""The pipeline file of the example, run by gitlab-ci-local: what a user of GitLab sees when they copy it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ci.runners import REPOSITORY, GitLab
from tests.fakes import gitlab as fake

pytestmark = pytest.mark.thorough

STATUS = "ci-ml/breast-cancer"


@pytest.fixture
def api(gitlab: GitLab) -> Iterator[fake.GitLab]:
    """GitLab, as it knows the forge's project and its merge requests."""
    with fake.GitLab() as server:
        project = server.project(REPOSITORY, members={"mona": "developer"})
        for change in gitlab.forge.changes.values():
            project.merge_request(change.number, head=change.head, branch=change.branch, base=change.base)
        yield server


def addressed(api: fake.GitLab, merge: str, branch: str, **token: str) -> dict[str, str]:
    """The variables that make a job talk to the fake: its address, a token, and the pipeline that it is part of."""
    project = api.project(REPOSITORY)
    pipeline = project.pipeline(merge, branch)
    return {
        "CI_API_V4_URL": api.url,
        "CI_SERVER_URL": api.origin,
        "CI_PROJECT_ID": str(project.id),
        "CI_MERGE_REQUEST_PROJECT_ID": str(project.id),
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": str(project.id),
        "CI_PIPELINE_ID": str(pipeline.id),
        "CI_JOB_ID": "5",
        "CI_ML_TOKEN": api.token(kind="project", role="developer"),
    }


def test_a_worse_merge_request_is_blocked_and_told_why(gitlab: GitLab, api: fake.GitLab) -> None:
    change = gitlab.forge.changes["worse"]
    run = gitlab.merge_request(change, variables=addressed(api, change.merge, change.branch))
    assert run.code == 1, run.log
    assert "FAIL 10" in run.log
    report = json.loads((run.artifacts / ".ci-ml" / "report.json").read_bytes())
    assert report["verdict"]["outcome"] == "fail"
    assert (report["base"]["sha"], report["head"]["sha"]) == (change.base, change.merge)
    (note,) = (note for note in api.project(REPOSITORY).merge_requests[change.number].notes if not note.system)
    assert "recall` fell by 4.7\N{NO-BREAK SPACE}pp, from 0.915 to 0.868" in note.body, note.body
    (status,) = api.project(REPOSITORY).statuses
    assert (status.name, status.state) == (STATUS, "failed")


def test_a_better_one_passes_and_trains_in_the_environment_of_the_job(
    gitlab: GitLab, api: fake.GitLab, training: Path
) -> None:
    change = gitlab.forge.changes["better"]
    run = gitlab.merge_request(change, variables=addressed(api, change.merge, change.branch))
    assert run.code == 0, run.log
    assert f"trained in {training}\n" in run.log
    assert "without click" in run.log
    assert "exported artifacts" in run.log
    assert len(api.project(REPOSITORY).merge_requests[change.number].notes) == 1
    (status,) = api.project(REPOSITORY).statuses
    assert (status.name, status.state) == (STATUS, "success")


def test_with_the_jobs_own_token_it_says_why_nothing_was_written_and_judges_the_same(
    gitlab: GitLab, api: fake.GitLab
) -> None:
    change = gitlab.forge.changes["worse"]
    variables = addressed(api, change.merge, change.branch)
    token = api.token(kind="job", project=REPOSITORY, pipeline=int(variables["CI_PIPELINE_ID"]))
    run = gitlab.merge_request(change, variables={**variables, "CI_ML_TOKEN": "", "CI_JOB_TOKEN": token})
    assert run.code == 1, run.log
    assert "FAIL 10" in run.log
    assert "CI_JOB_TOKEN may not write" in run.log
    assert not api.project(REPOSITORY).merge_requests[change.number].notes


def test_the_default_branch_is_judged_and_other_branches_are_not(gitlab: GitLab) -> None:
    main = gitlab.forge.main
    before = {"CI_COMMIT_BEFORE_SHA": gitlab.forge.trained}
    for source in ("push", "schedule", "web"):
        run = gitlab.run(main, {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": "main", **before})
        assert run.code == 0, run.log
        assert "base " in run.log
    run = gitlab.run(main, {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "topic"})
    assert "ci-ml" not in run.log.partition("parsing and downloads")[2], "its merge request has a pipeline"


# The inputs that somebody with a mirror, a monorepo or two projects needs.
INPUTS = """\
include:
  - remote: %(template)s
    inputs:
      job-name: gate of the model
      stage: deploy
      image: an/image:of-theirs
      source: %(source)s
      ref: %(ref)s
      working-directory: %(folder)s
      base: %(base)s
"""


def test_every_input_arrives(gitlab: GitLab) -> None:
    values = {
        "template": gitlab.template,
        "source": gitlab.source,
        "ref": gitlab.release,
        "folder": "src",
        "base": gitlab.forge.trained,
    }
    run = gitlab.run(gitlab.forge.main, {"CI_COMMIT_BRANCH": "main"}, file=INPUTS % values)
    assert run.code == 0, run.log
    assert "gate of the model starting shell (deploy)" in run.log
    assert f"base {gitlab.forge.trained[:7]} " in run.log
    assert "exported artifacts" in run.log
    assert (run.artifacts / ".ci-ml" / "report.json").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("source", "file:///nowhere/ci-ml", "could not be fetched from file:///nowhere/ci-ml"),
        ("ref", "v0.0.0-none", "v0.0.0-none of ci-ml could not be fetched"),
        ("folder", "nowhere", "nowhere"),
    ],
)
def test_an_input_that_is_wrong_is_named(gitlab: GitLab, name: str, value: str, message: str) -> None:
    right = {"template": gitlab.template, "source": gitlab.source, "ref": gitlab.release, "folder": ".", "base": "main"}
    run = gitlab.run(gitlab.forge.main, {"CI_COMMIT_BRANCH": "main"}, file=INPUTS % {**right, name: value})
    assert run.code == 1
    assert message in run.log, run.log
