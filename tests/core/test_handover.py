"""handover.json: what a job hands on was made by the change's own code, and is believed in nothing."""

import json
from typing import Any

import pytest

from ci_ml.core import handover
from ci_ml.core.handover import Handed, Handover
from ci_ml.core.pipeline import Output, Pipeline, Stage
from ci_ml.core.training import StageState
from ci_ml.errors import UsageError

COMMIT = "a" * 40
OBJECT = "md5/ab/cdef0123456789abcdef0123456789"
PIPELINE = Pipeline(
    stages=(
        Stage(
            name="train",
            file="dvc.yaml",
            command=("make",),
            wdir="",
            outs=(Output(path="model"), Output(path="metrics.json", cached=False), Output(path="plots", cached=False)),
        ),
    )
)
GOOD: dict[str, Any] = {
    "schema": "ci-ml/handover/v1",
    "commit": COMMIT,
    "transfer": "artifacts",
    "stages": [{"stage": "train", "entry": {"cmd": "make"}, "state": "ran", "seconds": 1.5}],
    "files": ["metrics.json", "plots/a/b.csv"],
    "objects": [OBJECT, f"{OBJECT}.dir"],
}


def read(**changes: Any) -> Handover:
    return handover.read(json.dumps({**GOOD, **changes}).encode(), "handover/train")


def test_what_is_written_is_read() -> None:
    found = read()
    assert handover.read(found.to_json().encode(), "x") == found
    handover.refuse(found, "x", PIPELINE, COMMIT)
    assert [(run.name, run.state, run.seconds) for run in found.runs()] == [("train", StageState.RAN, 1.5)]


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "ci-ml/handover/v2"},
        {"commit": "HEAD"},
        {"transfer": "pigeon"},
        {"extra": 1},
        {"stages": [{"stage": "train", "entry": {}, "state": "ran", "seconds": -1}]},
        {"stages": [{"stage": "train", "entry": {}, "state": "done", "seconds": 1}]},
        {"stages": [{"stage": "", "entry": {}, "state": "ran", "seconds": 1}]},
    ],
)
def test_what_is_no_handover_is_one_error(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"^handover/train: "):
        read(**changes)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"seconds": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_one_error(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^handover/train: "):
        handover.read(data, "handover/train")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commit": "b" * 40}, "is of the commit bbbbbbb, and this is aaaaaaa"),
        ({"stages": [{"stage": "other", "entry": {}, "state": "ran", "seconds": 1}]}, "there is no stage 'other'"),
        *(
            ({"files": [path]}, "is no output of its stages")
            for path in (
                "model", "params.yaml", "../metrics.json", "/etc/passwd", "plots/../params.yaml", "./metrics.json",
                ".git/hooks/post-checkout", "plots/./x", "metrics.json/", "", "plots/.git/config", "plots/.GIT/config",
                "plots/.dvc/config", "plots/a\\b", "plots/ci-ml.yaml", "plots/.github/workflows/x.yml", "plots/.gitattributes",
            )
        ),
        ({"executable": ["params.yaml"]}, "is no output of its stages"),
        ({"folders": ["plots/.git/hooks"]}, "is no output of its stages"),
        *(
            ({"objects": [name]}, "is no object of DVC's cache")
            for name in ("../x", f"../{OBJECT}", f"{OBJECT}/x", "md5/AB/cdef0123456789abcdef0123456789", f"{OBJECT}\n")
        ),
    ],
)  # fmt: skip
def test_what_has_no_business_in_it_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        handover.refuse(read(**changes), "handover/train", PIPELINE, COMMIT)
    assert said in str(caught.value)


class TestWhatIsMissing:
    def test_is_what_had_to_run_and_was_not_handed_on(self) -> None:
        found = Handover(
            schema=handover.SCHEMA,
            commit=COMMIT,
            transfer="remote",
            stages=(Handed(stage="a", entry={}, state=StageState.SKIPPED, seconds=0),),
        )
        assert handover.missing(["a", "b"], [found]) == ("b",)

    def test_is_told_by_github_too(self) -> None:
        needs = {"plan": "success", "a": "skipped", "b": "failure", "c": "cancelled"}
        text = json.dumps({job: {"result": result, "outputs": {}} for job, result in needs.items()})
        assert handover.failed(text) == {"b": "failure", "c": "cancelled"}

    @pytest.mark.parametrize("needs", ["", "[]", "null", '{"a": 1}', '{"a": {}}', "{"])
    def test_nothing_else_is_taken_for_it(self, needs: str) -> None:
        with pytest.raises(UsageError, match="toJSON"):
            handover.failed(needs)
