"""People's own CI files beside ours: what GitLab and GitHub would make of both."""

import pytest

from ci_ml.core import clashes
from ci_ml.core.clashes import Clash

OURS = {
    ".gitlab/ci-ml.yml": b".ci-ml: {stage: test, script: [x]}\ngate: {extends: [.ci-ml], script: [y]}\n"
    b"train: {extends: [.ci-ml], script: [z]}\n"
}
INCLUDE = "include: [{local: /.gitlab/ci-ml.yml}, {local: /ci/more.yml}]\n"


def gitlab(first: str, more: str = "") -> list[Clash]:
    files = {".gitlab-ci.yml": first.encode(), "ci/more.yml": more.encode(), **OURS}
    return list(clashes.gitlab(files.__getitem__, files, OURS))


@pytest.mark.parametrize(
    ("first", "more", "said"),
    [
        ("gate: {script: [echo], allow_failure: true}\n", "", ".gitlab-ci.yml has a job gate, too"),
        (INCLUDE, "train: {trigger: {include: [{local: x.yml}]}}\n", "ci/more.yml has a job train, too"),
        (INCLUDE, "gate: {extends: .base}\n", "with the extends of one"),
        ("gate: {allow_failure: true}\n", "", "with the allow_failure of one"),
        (".ci-ml: {script: [echo]}\n", "", ".gitlab-ci.yml has a job .ci-ml, too"),
    ],
)
def test_a_job_of_the_same_name_would_replace_ours(first: str, more: str, said: str) -> None:
    (found,) = gitlab(first, more)
    assert said in found.sentence
    assert (found.key, "prefix: ml" in found.fix) == ("prefix", True)


@pytest.mark.parametrize(
    "first",
    [
        "",
        INCLUDE,
        "gate: {tags: [large]}\n",  # which is added to ours, as the header of the file says
        "test: {script: [make]}\n",
        "stages: [build, test]\n",
        "stages: [build]\n.ci-ml: {stage: build}\n",
        "include: {project: a/b, file: c.yml}\n",  # may have stages of its own
        "stages: !reference [.stages, all]\n",
        "- no mapping\n",
        "{",
    ],
)
def test_what_does_not_get_in_the_way(first: str) -> None:
    assert gitlab(first) == []


@pytest.mark.parametrize(
    ("first", "more", "choice", "place"),
    [
        ("stages: [build]\n", "", "build", ".gitlab-ci.yml"),
        ("stages: [build, deploy]\n", "stages: [test]\n", "deploy", ".gitlab-ci.yml"),
        (INCLUDE, "stages: [verify]\n", "verify", "ci/more.yml"),
        (".ci-ml: {stage: verify}\n", "", "test", ".gitlab-ci.yml"),
        ("stages: []\n", "", ".post", ".gitlab-ci.yml"),
    ],
)
def test_a_stage_that_is_not_there(first: str, more: str, choice: str, place: str) -> None:
    (found,) = gitlab(first, more)
    assert place in found.sentence
    assert (found.key, found.choice) == ("stage", choice)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("on: pull_request\njobs: {gate: {steps: []}}\n", 1),
        ("on: [push]\njobs: {other: {name: gate, steps: []}}\n", 1),
        ("on: push\njobs: {gate: {name: other, steps: []}}\n", 0),
        ("on: workflow_call\njobs: {gate: {steps: []}}\n", 0),
        ("on: push\njobs: {gate: {uses: a/b/.github/workflows/c.yml@v1}}\n", 0),
        ("on: push\njobs: {gate: {strategy: {matrix: {a: [1, 2]}}}}\n", 0),
        ("on: push\njobs: [gate]\n", 0),
        ("{", 0),
    ],
)
def test_a_check_of_the_same_name_would_count_for_ours(text: str, count: int) -> None:
    found = list(clashes.github({".github/workflows/own.yml": text.encode()}, "gate"))
    assert len(found) == count
    assert all(".github/workflows/own.yml has a check gate, too" in one.sentence for one in found)
