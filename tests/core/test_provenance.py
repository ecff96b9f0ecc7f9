import dataclasses

import pytest

from ci_ml.core import judgements, provenance, report, statements
from ci_ml.core.pipeline import DVC_2, Digest, LockedStage, Output, Pipeline, Stage
from ci_ml.core.report import OutputPart
from ci_ml.core.statements import Kind
from ci_ml.core.training import Environment, StageRun, StageState, Training, TrainingOutcome
from ci_ml.core.types import Outcome
from tests.reports import churn, everything, undecided

COMMIT = "a" * 40
MD5 = Digest(algorithm="md5", value="0" * 32)
FOLDER = Digest(algorithm="md5", value="1" * 32 + ".dir")
OLD = Digest(algorithm=DVC_2, value="2" * 32)
STAGE = Stage(
    name="train",
    file="dvc.yaml",
    command=("python train.py",),
    wdir="",
    deps=("train.py", "data/raw", "new.csv", "features.csv"),
    outs=(Output(path="model", recorded=FOLDER), Output(path="m.json", recorded=MD5), Output(path="not-yet")),
    locked=LockedStage(
        command=("python train.py",),
        deps={"train.py": MD5, "data/raw": FOLDER, "features.csv": OLD},
        params={"params.yaml": {"seed": 1, "train.random_state": 2, "seeds.n": 3}, "other/params.yaml": {"Seed": 4}},
    ),
)
EARLIER = Stage(name="features", file="dvc.yaml", command=("x",), wdir="", outs=(Output(path="features.csv"),))
RUN = Training(
    outcome=TrainingOutcome.SUCCESS,
    commit=COMMIT,
    dirty=False,
    started="2026-03-01T12:00:00+00:00",
    seconds=61.2,
    stages=(StageRun(name="train", state=StageState.RAN, seconds=60.0),),
    environment=Environment(
        interpreter={"version": "3.12"}, packages={"x": "1"}, packages_digest="sha256:0", os="Linux", cpu="one"
    ),
    run_url="https://example.org/runs/7",
)


def made(record: Training = RUN, **around: object) -> statements.Statement:
    found = provenance.training(record, provenance.Around(pipeline=Pipeline(stages=(STAGE, EARLIER)), **around))  # type: ignore[arg-type]
    assert found is not None
    assert found.kind is Kind.TRAINING
    return found


def test_what_came_out_is_what_it_is_about() -> None:
    found = {one.name: one.digest for one in made(files={"m.json": "f" * 64}).subject}
    assert found == {
        "model": {"dvcDir": "1" * 32 + ".dir"},
        "m.json": {"md5": "0" * 32, "sha256": "f" * 64},
        "commit": {"gitCommit": COMMIT},
    }


def test_what_went_in_is_named_with_its_digest_or_without_one() -> None:
    files = {"requirements.txt": "d" * 64, "dvc.lock": "e" * 64, "m.json": "f" * 64}
    said = made(files=files, repository="https://example.org/churn.git").predicate["buildDefinition"]
    found = {one["name"]: one for one in said["resolvedDependencies"]}
    assert found["commit"]["uri"] == f"git+https://example.org/churn.git@{COMMIT}"
    assert found["data/raw"]["digest"] == {"dvcDir": "1" * 32 + ".dir"}
    assert found["train.py"]["annotations"] == {"kind": "code"}
    assert "digest" not in found["new.csv"]
    assert found["requirements.txt"]["annotations"] == {"kind": "lock"}
    assert {"features.csv", "m.json"}.isdisjoint(found)  # a stage made them


def test_parameters_and_seeds() -> None:
    said = made().predicate["buildDefinition"]
    params = said["externalParameters"]["params"]
    assert params == {"seed": 1, "train.random_state": 2, "seeds.n": 3, "other/params.yaml:Seed": 4}
    assert said["internalParameters"]["seeds"] == {"seed": 1, "train.random_state": 2, "other/params.yaml:Seed": 4}


def test_when_where_and_in_what() -> None:
    said = made(container="image@sha256:1", builder="https://example.org/b").predicate
    assert said["runDetails"]["metadata"] == {
        "invocationId": "https://example.org/runs/7",
        "startedOn": "2026-03-01T12:00:00+00:00",
        "finishedOn": "2026-03-01T12:01:01+00:00",
    }
    assert said["runDetails"]["builder"]["id"] == "https://example.org/b"
    assert said["buildDefinition"]["internalParameters"]["container"] == "image@sha256:1"
    assert said["buildDefinition"]["internalParameters"]["environment"]["packages"] == {"x": "1"}
    cached = dataclasses.replace(RUN, stages=(StageRun(name="train", state=StageState.CACHED, seconds=0.0),))
    assert made(cached).predicate["buildDefinition"]["internalParameters"]["environment"] is None


def test_nothing_with_a_digest_is_no_record() -> None:
    assert provenance.training(RUN, provenance.Around(pipeline=Pipeline(stages=(EARLIER,)))) is None


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("requirements.txt", True),
        ("requirements/dev.txt", True),
        ("requirements-dev.txt", True),
        ("a/uv.lock", True),
        ("pylock.toml", True),
        ("pylock.train.toml", True),
        ("conda-lock.yml", True),
        ("environment.yaml", True),
        ("a/dvc.lock", True),
        ("notes.txt", False),
        ("my-uv.lock", False),
    ],
)
def test_lock_files(path: str, counts: bool) -> None:
    assert provenance.locks([path]) == ([path] if counts else [])


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        ("md5:0a", {"md5": "0a"}),
        ("md5:0a.dir", {"dvcDir": "0a.dir"}),
        ("sha256:0a", {"sha256": "0a"}),
        ("nonsense", None),
        ("md5:", None),
        ("md5:../x", None),
    ],
)
def test_digests_of_dvc_as_in_toto_has_them(digest: str, expected: dict[str, str] | None) -> None:
    assert judgements.parts(digest) == expected


def test_a_verdict_as_a_record() -> None:
    judged = churn().model_copy(update={"outputs": (OutputPart(path="model", digest="md5:0a.dir"),)})
    found = judgements.verdict(judged, name="ci-ml.yaml", digest="sha256:1", training="sha256:2")
    said = found.predicate
    assert {one.name: one.digest for one in found.subject}["model"] == {"dvcDir": "0a.dir"}
    assert (said["ciMl"]["report"], said["ciMl"]["training"]) == ("sha256:1", "sha256:2")
    names = [item.name for item in judged.comparisons]
    assert sorted({*said["passedTests"], *said["warnedTests"], *said["failedTests"]}) == sorted(set(names))
    assert said["configuration"][0]["name"] == "ci-ml.yaml"


def test_everything_that_a_report_can_hold_is_recorded_without_its_pictures() -> None:
    found = judgements.verdict(everything(), name="ci-ml.yaml", digest="sha256:1")
    assert "curves" not in found.predicate["ciMl"]
    assert statements.read(found.data).digest == found.digest


@pytest.mark.parametrize(
    ("outcome", "result"), [("pass", "PASSED"), ("warn", "WARNED"), ("fail", "FAILED"), ("undecided", "FAILED")]
)
def test_what_is_undecided_has_not_passed(outcome: str, result: str) -> None:
    one = undecided()
    verdict = one.verdict.model_copy(update={"outcome": Outcome(outcome)})
    found = judgements.verdict(one.model_copy(update={"verdict": verdict}), name="ci-ml.yaml", digest="sha256:1")
    assert found.predicate["result"] == result


def test_a_waiver_is_part_of_the_record() -> None:
    waived = report.waived(undecided(), "grace", "2026-03-01T12:00:00+00:00", "ci-ml: accept regression")
    found = judgements.verdict(waived, name="ci-ml.yaml", digest="sha256:1").predicate
    assert [one["by"] for one in found["ciMl"]["waivers"]] == ["grace"]
    assert found["result"] == "WARNED"
