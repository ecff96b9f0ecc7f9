"""`ci-ml ci` and `ci-ml publish` in the jobs of both forges: what a reviewer sees, and what a later step gets."""

import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from ci_ml.core.publication import WAIVER_LABEL
from tests.e2e.jobs import CAN_READ, CAN_WRITE, REPOSITORY, GitHubJob, GitLabJob
from tests.e2e.project import Project
from tests.fakes.github import GitHub
from tests.fakes.gitlab import GitLab
from tests.fakes.server import Status

WORSE, BETTER = {"accuracy": 0.8}, {"accuracy": 0.95}


def proposed(project: Project, metrics: dict[str, Any] | str) -> tuple[str, str]:
    """Base and head of a change that writes these metrics; main has moved on since it began."""
    project.branch()
    project.write("metrics.json", metrics)
    head = project.commit("a change")
    project.git("checkout", "--quiet", "main")
    project.write("README.md", "main goes on")
    return project.commit("main goes on"), head


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as forge:
        yield forge


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as forge:
        yield forge


def on_github(project: Project, forge: GitHub, metrics: dict[str, Any] | str = WORSE, **options: Any) -> GitHubJob:
    base, head = proposed(project, metrics)
    job = GitHubJob(project=project, forge=forge, base=base, head=head, **options)
    job.merge()
    return job


def on_gitlab(project: Project, forge: GitLab, metrics: dict[str, Any] = WORSE) -> GitLabJob:
    base, head = proposed(project, metrics)
    project.git("checkout", "--quiet", "--detach", head)
    return GitLabJob(project=project, forge=forge, base=base, head=head)


# --- GitHub ------------------------------------------------------------------------------------------------------------


def test_a_regression_is_red_with_one_comment(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    job.ci_ml("ci").expect(10)
    [comment] = job.comments
    assert comment.startswith(
        f"<!-- ci-ml:report name=repo head={job.head} run=100.1 -->\n### ❌ ci-ml · repo — blocked"
    )
    assert "fell from 0.9 to 0.8 (−0.1)" in comment
    assert f"head {job.head[:7]}, judged as its merge" in comment
    assert "base parent of the merge commit" in comment
    assert f"[run](https://github.example/{REPOSITORY}/actions/runs/100/attempts/1)" in comment
    assert f"`{WAIVER_LABEL}`" in comment
    state, description = job.statuses["ci-ml/repo"]
    assert state == "failure"
    assert "fell from 0.9 to 0.8" in (description or "")


def test_no_regression_is_green_with_one_comment(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github, BETTER)
    job.ci_ml("ci").expect(0)
    [comment] = job.comments
    assert "### ✅ ci-ml · repo — passed" in comment
    assert job.statuses["ci-ml/repo"][0] == "success"
    assert WAIVER_LABEL not in comment


def test_later_steps_get_outputs_and_people_a_summary(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    job.ci_ml("ci").expect(10)
    assert job.outputs["outcome"] == "fail"
    assert json.loads(Path(job.outputs["report"]).read_text())["verdict"]["outcome"] == "fail"
    assert job.outputs["comment-url"].startswith("http")
    assert "### ❌ ci-ml · repo — blocked" in job.summary


def test_a_page_is_left_beside_the_report(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    job.ci_ml("ci").expect(10)
    page = Path(job.outputs["report"]).with_name("report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "from 0.9 to 0.8" in page
    assert plain.ci_ml("report", "--format", "html").expect(0).out == page


def test_a_page_that_cannot_be_written_changes_no_verdict(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    (plain.root / ".ci-ml/report.html/in the way").mkdir(parents=True)
    job.ci_ml("ci").expect(10)
    assert len(job.comments) == 1
    assert job.outputs["outcome"] == "fail"


def test_the_summary_is_added_to_what_is_there(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    env = {**job.env(), "CI_ML_TOKEN": github.token(permissions=CAN_READ)}
    (job.folder / "summary.md").write_text("# Mine\n")
    plain.ci_ml("ci", env=env).expect(10)
    assert job.summary.startswith("# Mine\n")
    assert "blocked" in job.summary


NEXT = """\
{% extends "ci-ml/comment.md.j2" %}
{% block next %}
Ask the platform team.
{% endblock %}
"""


def test_a_template_of_the_base_is_used_and_not_the_changes_own(plain: Project, github: GitHub) -> None:
    plain.write("ci-ml.yaml", plain.read("ci-ml.yaml") + "report: {templates: our words}\n")
    plain.write("our words/comment.md.j2", NEXT)
    plain.commit("our own words")
    job = on_github(plain, github)
    plain.write("our words/comment.md.j2", NEXT.replace("Ask the platform team.", "Nothing to see here."))
    job.ci_ml("ci").expect(10)
    for text in (job.comments[0], job.summary):
        assert "Ask the platform team." in text
        assert "blocked" in text


def test_a_template_that_loses_the_marker_is_told_and_ours_is_used(plain: Project, github: GitHub) -> None:
    plain.write("ci-ml.yaml", plain.read("ci-ml.yaml") + "report: {templates: our words}\n")
    plain.write("our words/comment.md.j2", "All is well.\n")
    plain.commit("our own words")
    job = on_github(plain, github)
    said = job.ci_ml("ci").expect(10)
    assert "note: the template comment.md.j2 does not begin with the marker" in said.err
    [comment] = job.comments
    assert "### ❌ ci-ml · repo — blocked" in comment
    assert "does not begin with the marker" in job.summary


def test_a_picture_goes_with_the_comment_where_a_team_wants_it(plain: Project, github: GitHub) -> None:
    plain.write("ci-ml.yaml", plain.read("ci-ml.yaml") + "report: {images: true}\n")
    plain.commit("with pictures")
    job = on_github(plain, github)
    token = github.token(permissions={"contents": "write", "pull-requests": "write", "statuses": "write"})
    plain.ci_ml("ci", env={**job.env(), "CI_ML_TOKEN": token}).expect(10)
    address = f"https://github.example/{REPOSITORY}/blob/ci-ml-pictures/7/repo-100.1.svg?raw=true"
    assert f"![Gates of repo with their intervals: 1 blocked]({address})" in job.comments[0]
    repository = github.repositories[0]
    (picture,) = repository.objects.at(repository.branches["ci-ml-pictures"]).values()
    assert picture.startswith(b"<svg ")
    assert repository.commits[repository.branches["ci-ml-pictures"]] == (), "the branch has nothing of the others"


def test_a_picture_that_cannot_be_kept_is_said_and_the_comment_is_written(plain: Project, github: GitHub) -> None:
    plain.write("ci-ml.yaml", plain.read("ci-ml.yaml") + "report: {images: true}\n")
    plain.commit("with pictures")
    job = on_github(plain, github)
    said = job.ci_ml("ci").expect(10)
    assert "note: No picture: " in said.err
    assert "contents: write" in said.err
    assert "blocked" in job.comments[0]
    assert "![" not in job.comments[0]


def test_the_report_says_which_change_it_is_about(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    report = job.ci_ml("ci", "--format", "json").expect(10).json()
    assert report["change"] == {
        "forge": "github",
        "repository": REPOSITORY,
        "number": 7,
        "head": job.head,
        "run": "100.1",
        "run_url": f"https://github.example/{REPOSITORY}/actions/runs/100/attempts/1",
    }


def test_nothing_is_published_when_not_wanted(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    job.ci_ml("ci", "--no-publish").expect(10)
    assert (job.comments, job.statuses, job.summary, github.requests) == ([], {}, "", [])


@pytest.mark.thorough
@pytest.mark.parametrize("event", ["push", "workflow_dispatch", "schedule"])
def test_events_without_a_request_set_the_status_only(plain: Project, github: GitHub, event: str) -> None:
    base, _ = proposed(plain, BETTER)
    plain.write("metrics.json", WORSE)
    head = plain.commit("straight to main")
    job = GitHubJob(project=plain, forge=github, base=base, head=head)
    document = {"before": base, "repository": {"default_branch": "main"}}
    done = job.ci_ml("ci", name=event, event=document).expect(10)
    assert job.comments == []
    assert job.statuses["ci-ml/repo"][0] == "failure"
    assert "blocked" in job.summary
    assert "note:" not in done.err


def test_the_merge_queue_has_its_status_on_its_own_commit(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    queued = plain.git("rev-parse", "HEAD")
    github.repositories[0].commit(queued)
    event = {"merge_group": {"head_sha": queued, "base_sha": job.base, "base_ref": "refs/heads/main"}}
    job.ci_ml("ci", name="merge_group", event=event).expect(10)
    assert job.comments == []
    assert [item.context for item in github.repositories[0].statuses_of(queued)] == ["ci-ml/repo"]


@pytest.mark.thorough
@pytest.mark.parametrize("event", ["", "{", "[]", "null", '{"pull_request": 3}', '{"pull_request": {"number": "7"}}'])
def test_an_event_file_that_says_nothing_costs_only_the_comment(plain: Project, github: GitHub, event: str) -> None:
    job = on_github(plain, github)
    job.ci_ml("ci", event=event).expect(10)
    assert job.comments == []


def test_an_event_file_that_is_missing_costs_only_the_comment(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    job.ci_ml("ci", GITHUB_EVENT_PATH="/nowhere/event.json").expect(10)
    assert job.comments == []


@pytest.mark.parametrize(("metrics", "code"), [(WORSE, 10), (BETTER, 0)])
def test_a_checkout_of_the_change_itself_is_judged_against_the_merge_base(
    plain: Project, github: GitHub, metrics: dict[str, Any], code: int
) -> None:
    job = on_github(plain, github, metrics)
    plain.git("checkout", "--quiet", "--detach", job.head)
    job.ci_ml("ci", GITHUB_SHA="f" * 40).expect(code)
    assert len(job.comments) == 1


def test_a_checkout_without_the_change_judges_nothing(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    plain.git("checkout", "--quiet", "--detach", job.base)
    done = job.ci_ml("ci", name="pull_request_target").expect(2)
    assert f"which does not contain the change {job.head[:7]}" in done.err
    assert job.statuses["ci-ml/repo"][0] == "error"


def test_an_unknown_event_is_judged_all_the_same(plain: Project, github: GitHub) -> None:
    on_github(plain, github).ci_ml("ci", "--base", "main", name="issue_comment", event={"issue": {"number": 7}}).expect(
        10
    )


@pytest.mark.thorough
@pytest.mark.parametrize(("metrics", "code"), [(WORSE, 10), (BETTER, 0)])
@pytest.mark.parametrize("what", ["no token", "unknown", "read-only", "down", "expired", "nobody there"])
def test_the_verdict_never_depends_on_the_forge(
    plain: Project, github: GitHub, what: str, metrics: dict[str, Any], code: int
) -> None:
    job = on_github(plain, github, metrics)
    token = {"no token": "", "unknown": "ghs_unknown", "read-only": github.token(permissions=CAN_READ)}.get(what)
    more = {"GITHUB_API_URL": "http://127.0.0.1:1"} if what == "nobody there" else {}
    if what == "down":
        github.fail(Status(503, headers={"Retry-After": "9999"}), times=None)
    if what == "expired":
        token = github.token(permissions=CAN_READ)
        github.revoke(token)
    if what == "nobody there":
        more["GITHUB_API_URL"] = "http://256.256.256.256"
    done = job.ci_ml("ci", token=token, **more).expect(code)
    assert job.comments == []
    assert "note: No comment" in done.err
    assert "No comment" in job.summary
    assert job.outputs["outcome"] == {10: "fail", 0: "pass"}[code]
    assert "ghs_" not in done.text


def test_a_fork_leaves_its_report_for_a_second_workflow(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github, source="stranger/churn")
    done = job.ci_ml("ci", permissions=CAN_READ).expect(10)
    assert "a fork gets a read-only token; a second workflow can publish report.json" in done.err
    assert job.comments == []
    published = job.ci_ml("publish", ".ci-ml/report.json", name="workflow_run", event=job.after()).expect(0)
    [comment] = job.comments
    assert published.out.strip().startswith("http")
    assert "blocked" in comment
    assert "Computed by a run for a fork" in comment
    assert job.statuses["ci-ml/repo"][0] == "failure"


def test_dependabot_is_an_outsider(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    done = job.ci_ml("ci", permissions=CAN_READ, GITHUB_ACTOR="dependabot[bot]").expect(10)
    assert "Dependabot gets a read-only token" in done.err


def test_stages_do_not_see_the_token(project: Project, github: GitHub) -> None:
    project.edit("dvc.yaml", "cmd: python src/train.py", "cmd: env > seen.txt; python src/train.py")
    base = project.commit("show the environment")
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 4")
    job = GitHubJob(project=project, forge=github, base=base, head=project.commit())
    job.merge()
    job.ci_ml("ci", GH_TOKEN=job.tokens.setdefault(str(CAN_WRITE), github.token(permissions=CAN_WRITE)))
    assert "CI_ML_TOKEN" not in project.read("seen.txt")
    assert "ghs_" not in project.read("seen.txt")
    assert "GITHUB_REPOSITORY" in project.read("seen.txt")
    assert job.statuses


@pytest.mark.thorough
@pytest.mark.parametrize("metrics", [WORSE, BETTER])
@pytest.mark.parametrize(
    "more",
    [
        {"GITHUB_API_URL": "http://host:abc"},
        {"GITHUB_API_URL": "http://[::1"},
        {"GITHUB_API_URL": "http://a..b"},
        {"GITHUB_API_URL": "https://127.0.0.1:1", "REQUESTS_CA_BUNDLE": "/nowhere"},
        {"GITHUB_GRAPHQL_URL": "http://elsewhere.example/graphql"},
        {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"},
        {"CI_ML_TOKEN": "two\nlines"},
        {"CI_ML_TOKEN": "\N{SNOWMAN}"},
        {"CI_ML_PATIENCE": "soon"},
        {"GITHUB_OUTPUT": "/nowhere/output"},
        {"GITHUB_STEP_SUMMARY": "/"},
        {"GITHUB_HEAD_REF": "\udcff"},
        {"GITHUB_RUN_ID": "none", "GITHUB_RUN_ATTEMPT": "x"},
        {"GITHUB_SERVER_URL": "https://x/" + "y" * 5000},
        {"GITHUB_REPOSITORY": "acme/" + "y" * 500},
    ],
    ids=" ".join,
)
def test_no_setting_of_the_job_decides_the_verdict(
    plain: Project, github: GitHub, more: dict[str, str], metrics: dict[str, Any]
) -> None:
    job = on_github(plain, github, metrics)
    env = {"CI_ML_TOKEN": github.token(permissions=CAN_READ), "CI_ML_PATIENCE": "0", **job.env(), **more}
    done = plain.ci_ml("ci", env=env).expect(10 if metrics is WORSE else 0)
    assert "blocked" in done.out or "passed" in done.out
    assert "two\\nlines" not in done.text


def test_a_headers_garbage_is_no_crash(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    for value in ("²", "9" * 400, "-1", "1e400"):
        github.fail(Status(429, headers={"Retry-After": value, "X-RateLimit-Reset": value}), times=1)
    job.ci_ml("ci").expect(10)


# --- When nothing can be judged ------------------------------------------------------------------------------------------


def test_what_could_not_be_judged_is_no_verdict(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github, BETTER)
    job.ci_ml("ci").expect(0)
    job.run += 1
    plain.write("ci-ml.yaml", "version: 1\ngates: 3\n")
    plain.git("checkout", "--quiet", "--orphan", "other")
    plain.commit("unrelated")
    done = job.ci_ml("ci", GITHUB_REF="refs/heads/other").expect(2)
    [comment] = job.comments
    assert "### ⛔ ci-ml · repo — not judged" in comment
    assert "Nothing was judged" in comment
    assert job.statuses["ci-ml/repo"][0] == "error"
    assert job.outputs["outcome"] == "error"
    assert "not judged" in job.summary
    assert "error:" in done.err


def test_a_stage_that_fails_is_said_in_the_comment(project: Project, github: GitHub) -> None:
    base = project.git("rev-parse", "HEAD")
    project.branch()
    project.edit("src/train.py", "import json", "raise SystemExit('secret-of-the-test')\nimport json")
    job = GitHubJob(project=project, forge=github, base=base, head=project.commit())
    job.merge()
    job.ci_ml("ci", MY_API_KEY="secret-of-the-test").expect(3)
    [comment] = job.comments
    assert "stage 'train' failed" in comment
    assert "secret-of-the-test" not in comment + job.summary
    assert job.statuses["ci-ml/repo"][0] == "error"


# --- Waivers -----------------------------------------------------------------------------------------------------------


def test_a_waiver_lets_it_pass_and_says_who(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    job.pull.label("mona", WAIVER_LABEL)
    done = job.ci_ml("ci").expect(0)
    [comment] = job.comments
    assert "passed with warnings" in comment
    assert re.search(r"Accepted by mona on 2026-03-02 09:\d\d UTC with the label ci-ml: accept regression", comment)
    assert "fell from 0.9 to 0.8" in comment
    assert "| ❌ |" in comment
    assert "Accepted by mona" in done.out
    assert job.statuses["ci-ml/repo"][0] == "success"
    report = json.loads(plain.read(".ci-ml/report.json"))
    assert report["verdict"]["waivers"][0]["by"] == "mona"
    assert report["verdict"]["waivers"][0]["outcome"] == "fail"


def test_taking_the_label_away_blocks_again(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    job.pull.label("mona", WAIVER_LABEL)
    job.ci_ml("ci").expect(0)
    job.pull.unlabel("mona", WAIVER_LABEL)
    job.run += 1
    job.ci_ml("ci").expect(10)
    assert len(job.comments) == 1
    assert "Accepted by" not in job.comments[0]


def test_a_stranger_cannot_waive(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    job.pull.label("stranger", WAIVER_LABEL)
    done = job.ci_ml("ci").expect(10)
    assert "does not count: stranger may not set labels" in done.err
    assert "stranger may not set labels" in job.summary


# --- GitLab ------------------------------------------------------------------------------------------------------------


def test_red_and_green_on_gitlab(plain: Project, gitlab: GitLab) -> None:
    job = on_gitlab(plain, gitlab)
    job.ci_ml("ci").expect(10)
    [note] = job.comments
    assert "### ❌ ci-ml · repo — blocked" in note
    assert f"run={job.pipeline}.9000" in note
    assert job.statuses["ci-ml/repo"][0] == "failed"
    plain.write("metrics.json", BETTER)
    plain.commit()
    job.request.push(plain.git("rev-parse", "HEAD"))
    job.head = job.request.head
    job.pipeline = gitlab.projects[0].pipeline(job.head, "refs/merge-requests/7/head").id
    job.ci_ml("ci", CI_JOB_ID="9001").expect(0)
    [note] = job.comments
    assert "passed" in note
    assert job.statuses["ci-ml/repo"][0] == "success"


def test_secrets_are_in_nothing_that_is_published(plain: Project, github: GitHub) -> None:
    secret = "my_secret_pw*1"
    plain.write("ci-ml.yaml", f"version: 1\ngates: [{{metric: 'metrics.json:{secret}', direction: higher}}]\n")
    plain.write("metrics.json", {secret: 0.9})
    plain.commit()
    job = on_github(plain, github, {secret: 0.8})
    done = job.ci_ml("ci", DB_PASSWORD=secret).expect(10)
    everything = done.text + job.summary + job.comments[0] + str(job.statuses) + plain.read(".ci-ml/report.json")
    assert "***" in job.comments[0]
    assert "secret" not in everything.replace("\\", "")


def test_the_job_token_of_gitlab_cannot_write(plain: Project, gitlab: GitLab) -> None:
    job = on_gitlab(plain, gitlab)
    done = job.ci_ml("ci", token="", CI_JOB_TOKEN="glcbt-64_1").expect(10)
    assert "CI_JOB_TOKEN may not write; put a project access token" in done.err
    assert gitlab.requests == []


def test_a_waiver_on_gitlab(plain: Project, gitlab: GitLab) -> None:
    job = on_gitlab(plain, gitlab)
    job.request.label("mona", WAIVER_LABEL)
    job.ci_ml("ci").expect(0)
    assert "Accepted by mona" in job.comments[0]


def test_no_line_of_a_note_is_a_command_to_gitlab(plain: Project, gitlab: GitLab) -> None:
    plain.write("ci-ml.yaml", "version: 1\ngates: [{metric: 'metrics.json:**', direction: higher}]\n")
    plain.write("metrics.json", {"/close": 0.9, "/label ~x": 0.9, "a": {"/approve": 0.9}})
    plain.commit()
    job = on_gitlab(plain, gitlab, {"/close": 0.8, "/label ~x": 0.8, "a": {"/approve": 0.8}})
    job.ci_ml("ci").expect(10)
    assert job.request.quick_actions == []
    assert job.request.state == "opened"
    assert not [line for line in job.comments[0].splitlines() if line.lstrip(" -*>").startswith("/")]


# --- A report that somebody else made ------------------------------------------------------------------------------------


@pytest.fixture
def theirs(plain: Project, github: GitHub) -> GitHubJob:
    """A fork's run that has left its report."""
    job = on_github(plain, github, source="stranger/churn")
    job.ci_ml("ci", "--no-publish").expect(10)
    return job


def publish(job: GitHubJob, document: Any) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    place = job.folder / "theirs.json"
    place.write_text(text)
    return job.ci_ml("publish", str(place), name="workflow_run", event=job.after())


def claimed(job: GitHubJob) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(job.project.read(".ci-ml/report.json"))
    return document


@pytest.mark.parametrize(
    ("what", "value", "said"),
    [
        ("head", "1" * 40, "the report is about"),
        ("repository", "acme/other", "another repository (acme/other)"),
        ("number", 8, "another number (8)"),
        ("forge", "gitlab", "another forge (gitlab)"),
    ],
)
def test_a_report_about_something_else_is_refused(theirs: GitHubJob, what: str, value: Any, said: str) -> None:
    document = claimed(theirs)
    document["change"][what] = value
    if what == "head":
        document["head"]["sha"] = value
    done = publish(theirs, document).expect(2)
    assert said in done.err
    assert theirs.comments == []
    assert theirs.statuses == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": "ci-ml/report/v9"}', "null", '{"schema": "ci-ml/report/v1"}']
)
def test_a_report_that_is_none_is_refused(theirs: GitHubJob, text: str) -> None:
    publish(theirs, text).expect(2)
    assert theirs.comments == []


def test_a_report_that_contradicts_itself_is_refused(theirs: GitHubJob) -> None:
    document = claimed(theirs)
    document["verdict"]["outcome"] = "pass"
    assert "the verdict is pass, and its comparisons say fail" in publish(theirs, document).expect(2).err
    document["comparisons"][0]["impact"] = "pass"
    assert "is regressed, which means fail, not pass" in publish(theirs, document).expect(2).err
    assert theirs.comments == []


PASSED = {"outcome": "pass", "sentence": "All is well.", "reasons": [], "waivers": []}


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (
            {"verdict": {**PASSED, "waivers": [{"by": "x", "at": "x", "label": "x", "outcome": "pass"}]}},
            "comparisons say",
        ),
        ({"verdict": PASSED, "comparisons": []}, "its comparisons say undecided"),
        ({"verdict": PASSED, "one": {"status": "held", "impact": "pass"}}, "is regressed by its numbers, not held"),
        ({"verdict": PASSED, "one": {"status": "new", "impact": "warn"}}, "is regressed by its numbers, not new"),
        ({"verdict": PASSED, "one": {"status": "new", "impact": "warn", "base": None, "delta": None}}, "say warn"),
        ({"verdict": PASSED, "one": {"severity": "warn", "impact": "warn"}}, "say warn"),
    ],
)
def test_a_lie_is_refused(theirs: GitHubJob, lie: dict[str, Any], said: str) -> None:
    document = claimed(theirs)
    document["comparisons"][0].update(lie.pop("one", {}))
    done = publish(theirs, {**document, **lie}).expect(2)
    assert said in done.err
    assert (theirs.comments, theirs.statuses) == ([], {})


@pytest.mark.parametrize("kind", ["link", "pipe", "device", "folder", "nothing"])
def test_what_is_no_plain_file_is_refused(theirs: GitHubJob, kind: str) -> None:
    place = theirs.folder / "received.json"
    match kind:
        case "link":
            place.symlink_to(theirs.project.root / ".ci-ml/report.json")
        case "pipe":
            os.mkfifo(place)
        case "device":
            place = Path("/dev/zero")
        case "folder":
            place.mkdir()
    done = theirs.ci_ml("publish", str(place), name="workflow_run", event=theirs.after()).expect(2)
    assert str(place) in done.err
    assert theirs.comments == []


def test_a_flood_of_mistakes_is_no_flood_of_words(theirs: GitHubJob) -> None:
    done = publish(theirs, {**claimed(theirs), "comparisons": [{}] * 100_000}).expect(2)
    assert len(done.err) < 10_000


@pytest.mark.thorough
@pytest.mark.parametrize("text", ["::add-mask::hunter", "  ::stop-commands::x", "##[group]x", "a ##[error]b"])
def test_nothing_in_a_log_is_a_command_to_the_runner(theirs: GitHubJob, text: str) -> None:
    document = claimed(theirs)
    document["comparisons"][0].update(metric=text, status="held")
    document["notices"] = [text]
    done = publish(theirs, document).expect(2)
    shown = theirs.ci_ml("report", str(theirs.folder / "theirs.json"))
    for line in (done.err + shown.text).splitlines():
        assert not line.strip().startswith("::")
        assert "##[" not in line


def test_the_status_is_one_line_without_control_characters(theirs: GitHubJob) -> None:
    document = claimed(theirs)
    document["verdict"].update(sentence="\u202eevil \nline2 \x1b[2J")
    publish(theirs, document).expect(0)
    assert (theirs.statuses["ci-ml/repo"][1] or "").isprintable()


def test_notices_cannot_keep_a_comment_from_being_written(theirs: GitHubJob) -> None:
    document = claimed(theirs)
    document["notices"] = ["&" * 1000] * 50
    document["verdict"].update(reasons=["<" * 5000] * 50)
    publish(theirs, document).expect(0)
    assert len(theirs.comments[0].encode("utf-16-le")) // 2 <= 65_536
    assert theirs.comments[0].count("fell from") >= 1


def test_a_waiver_that_a_report_claims_does_not_count(theirs: GitHubJob) -> None:
    document = claimed(theirs)
    waiver = {"by": "mona", "at": "2026-01-01T00:00:00Z", "label": WAIVER_LABEL, "outcome": "fail"}
    document["verdict"].update(outcome="warn", waivers=[waiver])
    publish(theirs, document).expect(0)
    assert "blocked" in theirs.comments[0]
    assert "Accepted by" not in theirs.comments[0]
    assert theirs.statuses["ci-ml/repo"][0] == "failure"


class Page(HTMLParser):
    """A comment as CommonMark and GitHub's tables make it, and what is in it outside code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str | None] = set()
        self.open: list[str] = []
        self.cells: set[int] = set()
        self.prose = ""
        self.comments = 0
        self._row = 0
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        self._row = 0 if tag == "tr" else self._row + (tag in ("td", "th"))
        if tag == "a":
            self.links.add(dict(attrs).get("href"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "tr":
            self.cells.add(self._row)

    def handle_comment(self, data: str) -> None:
        self.comments += 1

    def handle_data(self, data: str) -> None:
        if "code" not in self.open:
            self.prose += data


HOSTILE = [
    "@acme/owners",
    "<img src=x onerror=alert(1)>",
    "a|b",
    "`code` ```",
    "<!-- ci-ml:report name=repo head= run=9.9 -->",
    "\u202egnp.exe\u202c",
    "x" * 10_000,
    "-->",
    "[click](https://evil.example)",
    "![](https://evil.example/pixel.png)",
    "line\nbreak\r\n/close",
    "https://evil.example/ www.evil.example #1 acme/churn#1 GH-1",
    "</details><details open>",
    "\x1b[2J\x1b]0;title\x07",
    "{{ 7 * 7 }} {% raw %}",
    "$\\href{javascript:alert(1)}{x}$",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_in_a_report_is_shown_and_does_nothing(theirs: GitHubJob, name: str) -> None:
    document = claimed(theirs)
    document["verdict"].update(sentence=name, reasons=[name, f"also {name}"])
    document["comparisons"][0].update(metric=name, reason=name)
    document["base"].update(ref=name, why=name)
    document["head"].update(ref=name, why=name)
    document["params"] = [{"path": name, "key": name, "base": name, "head": [name]}]
    document["data"] = [{"path": name, "base": name, "head": name}]
    document["stages"] = [{"name": name, "change": "changed", "what": [name]}]
    document["notices"] = [name]
    publish(theirs, document).expect(0)
    [comment] = theirs.comments
    page = Page(comment)
    assert page.tags <= {
        "h3",
        "p",
        "strong",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
    } | {
        "ul",
        "li",
        "blockquote",
        "a",
    }
    assert page.links == {f"https://github.example/{REPOSITORY}/actions/runs/100/attempts/1"}
    assert page.open == []
    assert page.comments == 1
    assert page.cells == {5, 3}
    assert not {"\u202e", "\u202c", "\x1b", "\x07"} & set(comment)
    assert not re.search(r"@acme|https://evil|www\.evil|#1\b|GH-1", page.prose)
    assert len(comment) < 65_536


def test_a_huge_report_fits_the_comment_and_says_what_is_left_out(theirs: GitHubJob) -> None:
    document = claimed(theirs)
    one = document["comparisons"][0]
    document["comparisons"] = [{**one, "metric": f"metrics.json:{'é' * 150}{number}"} for number in range(3000)]
    document["policy"]["comparisons"] = 3000
    document["params"] = [{"path": "p" * 100, "key": f"k{n}", "base": "x" * 60, "head": "y" * 60} for n in range(3000)]
    publish(theirs, document).expect(0)
    [comment] = theirs.comments
    assert len(comment.encode("utf-16-le")) // 2 <= 65_536
    assert comment.startswith("<!-- ci-ml:report")
    assert "Left out here: " in comment
    assert comment.count("<details>") == comment.count("</details>")
    assert "**Next:**" in comment
    assert len(theirs.summary.encode()) <= 1024 * 1024


def test_dry_run_prints_and_publishes_nothing(theirs: GitHubJob) -> None:
    done = theirs.ci_ml("publish", "--dry-run", ".ci-ml/report.json", name="workflow_run", event=theirs.after()).expect(
        0
    )
    assert "### ❌ ci-ml" in done.out
    assert not [entry for entry in theirs.forge.requests if entry.method != "GET"]
    assert theirs.comments == []
    assert theirs.summary == ""


def test_publish_outside_ci_says_so(plain: Project) -> None:
    plain.branch()
    plain.write("metrics.json", WORSE)
    plain.ci_ml("check").expect(10)
    assert "no CI job" in plain.ci_ml("publish", ".ci-ml/report.json").expect(2).err


def test_publish_fails_when_the_forge_refuses(theirs: GitHubJob) -> None:
    done = theirs.ci_ml(
        "publish", ".ci-ml/report.json", permissions=CAN_READ, name="workflow_run", event=theirs.after()
    )
    done.expect(3)
    assert "give the job `permissions: pull-requests: write`" in done.err
