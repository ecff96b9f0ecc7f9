"""What ci-ml.yaml and the files around it resolve to, where a forge has limits and an environment has its place."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from ci_ml.core import resolve, workflow
from ci_ml.core.pipeline import Output, Pipeline, Stage
from ci_ml.core.pipelines import PipelineConfig
from ci_ml.core.workflow import Audit, ForgeKind, PipelineSpec, Promotion, Scheduled
from ci_ml.errors import UsageError
from tests.surroundings import around


def resolved(stages: int = 1, folder: str = "", lock: str = "requirements.txt", **chosen: Any) -> PipelineSpec:
    names = [f"s{number}" for number in range(stages)]
    pipeline = Pipeline(stages=tuple(Stage(name=name, file="dvc.yaml", command=("x",), wdir="") for name in names))
    return resolve.resolve(
        PipelineConfig.model_validate({"layout": "stages", **chosen}), pipeline, around(lock=lock, folder=folder)
    )


def test_a_job_of_gitlab_needs_no_more_than_50_others() -> None:
    assert len(resolved(50, forge="gitlab").jobs) == 50
    assert len(resolved(49, forge="gitlab", record=True).jobs) == 49
    assert len(resolved(51, forge="gitlab", record=True, graph="dynamic").jobs) == 51
    for count, record, words in (
        (51, False, "51 stages, and"),
        (50, True, "50 stages and the gate, which record needs"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            resolved(count, forge="gitlab", record=record)
        assert caught.value.hint == "choose graph: dynamic"


@pytest.mark.parametrize("forge", ForgeKind)
@pytest.mark.parametrize("lock", ["uv.lock", "poetry.lock"])
def test_the_programs_are_where_the_lock_file_is(forge: str, lock: str) -> None:
    assert resolved(forge=forge, lock=lock).python.bin == "$PWD/.venv/bin"
    assert resolved(forge=forge, lock=f"a b/{lock}", folder="a b").python.bin == "$PWD/.venv/bin"
    assert resolved(forge=forge, lock=f"a b/{lock}", folder="a b/c").python.bin == "$PWD/../.venv/bin"
    above = resolved(forge=forge, lock=lock, folder="a b/c").python
    assert above.bin == "$PWD/../../.venv/bin"
    assert above.install[0].endswith(" ../..")


def test_jobs_of_schedules_are_like_the_others_unless_it_says_more() -> None:
    usual = {"runners": {"default": ["docker"]}, "images": {"default": "a"}, "timeouts": {"default": 30}}
    own = {"runner": [], "image": "b", "timeout": 600, "on_drift": True, "token": "T", "secrets": {"A": "B"}}
    spec = resolved(forge="gitlab", monitor="0 6 * * *", retrain=own, **usual)
    assert spec.monitor == Scheduled(schedule="0 6 * * *", runner=("docker",), image="a", timeout=30)
    assert spec.retrain == Scheduled(
        schedule="", runner=(), image="b", timeout=600, on_drift=True, token="T", secrets={"A": "B"}
    )
    assert (resolved(forge="gitlab").monitor, resolved(forge="gitlab").retrain) == (None, None)


@pytest.mark.parametrize(("key", "value"), [("record", True), ("retrain", "23 4 * * 1"), ("promote", "churn")])
def test_what_is_recorded_has_data_that_others_can_get(key: str, value: Any) -> None:
    chosen = PipelineConfig.model_validate({"forge": "github", key: value})
    with pytest.raises(UsageError, match=f"pipelines: github: {key} needs a default remote of DVC"):
        resolve.resolve(chosen, Pipeline(stages=()), around(remote=None))
    watching = PipelineConfig.model_validate({"forge": "github", "monitor": "23 4 * * 1"})
    assert resolve.resolve(watching, Pipeline(stages=()), around(remote=None)).monitor


def test_promotion_is_like_the_other_jobs_unless_it_says_more_and_has_a_ledger() -> None:
    usual = {"runners": {"default": ["docker"]}, "images": {"default": "a"}, "timeouts": {"default": 30}}
    short = resolved(forge="gitlab", promote="churn", **usual)
    machine = {"runner": ("docker",), "image": "a", "timeout": 30}
    assert short.promote == Promotion(models=("churn",), aliases=("champion",), environment="production", **machine)
    assert short.audit == Audit()
    assert resolved(forge="gitlab", promote=["churn"], **usual).promote == short.promote
    own = {"models": ["a b", "c"], "alias": ["x", "y"], "environment": None, "runner": [], "image": "b", "timeout": 5}
    more = resolved(forge="gitlab", promote={**own, "token": "T", "secrets": {"A": "B"}}, audit={"sigstore": True})
    assert more.promote == Promotion(
        models=("a b", "c"),
        aliases=("x", "y"),
        environment="",
        runner=(),
        image="b",
        timeout=5,
        token="T",
        secrets={"A": "B"},
    )
    assert more.audit == Audit(sigstore=True)
    assert [resolved(forge="github", audit=said).audit for said in (True, False)] == [Audit(), None]


@pytest.mark.parametrize(
    ("promote", "words"),
    [
        ([], "at least 1 item"),
        (["a", "a"], "names 'a' twice"),
        ("--force", "should match pattern"),
        ("${{ secrets.A }}", "plain text"),
        ("$(id)", "should match pattern"),
        ({"models": "a", "alias": "x,y"}, "should match pattern"),
        ({"models": "a", "attest": True}, "attest belongs to github"),
        ({"models": "a", "schedule": "23 4 * * 1"}, "Extra inputs"),
        ({"alias": "champion"}, "Field required"),
    ],
)
def test_what_is_promoted_has_plain_names(promote: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        resolved(forge="gitlab", promote=promote)


def test_promotion_on_github_needs_a_machine_and_no_secret_of_github() -> None:
    with pytest.raises(ValidationError, match=r"promote\.runner: GitHub finds no machine"):
        resolved(forge="github", promote={"models": "a", "runner": []})
    with pytest.raises(ValidationError, match="GitHub lets no secret be called GITHUB_TOKEN"):
        resolved(forge="github", promote={"models": "a", "token": "GITHUB_TOKEN"})


def test_a_stage_may_be_called_as_our_jobs_are() -> None:
    names = {"promote", "audit", "rollback"}
    assert not names & {*workflow.ids(names).values()}


def test_an_app_belongs_to_github() -> None:
    app = {"app": {"client_id": "a", "private_key": "KEY"}}
    assert resolved(forge="github", retrain=app).retrain
    with pytest.raises(ValidationError, match="app belongs to github: on GitLab name the variable with a token"):
        resolved(forge="gitlab", retrain=app)


@pytest.mark.parametrize("minutes", [True, False])
def test_minutes_are_a_number(minutes: bool) -> None:
    with pytest.raises(ValidationError, match=f"must be a number of minutes, not {str(minutes).lower()}"):
        resolved(forge="github", timeouts={"s0": minutes})
    assert resolved(forge="github", timeouts={"s0": 7}).jobs[0].timeout == 7


def test_a_matrix_has_as_many_jobs_as_github_runs() -> None:
    def crowd(count: int, frozen: int = 0) -> Pipeline:
        stages = [
            Stage(name=f"fold@{number}", file="dvc.yaml", command=("x",), wdir="", frozen=number < frozen)
            for number in range(count)
        ]
        return Pipeline(stages=(*stages, Stage(name="last", file="dvc.yaml", command=("x",), wdir="")))

    chosen = PipelineConfig.model_validate({"forge": "github", "layout": "stages", "graph": "dynamic"})
    for pipeline, found in ((crowd(256), None), (crowd(257), ("fold", 257)), (crowd(257, frozen=1), None)):
        spec = resolve.resolve(chosen, pipeline, around())
        assert workflow.crowded(spec.jobs, pipeline) == found
    static = chosen.model_copy(update={"graph": "static"})
    assert workflow.crowded(resolve.resolve(static, crowd(257), around()).jobs, crowd(257)) is None


def test_instances_that_need_each_other_are_no_matrix_of_github() -> None:
    stages = tuple(
        Stage(
            name=f"s@{number}",
            file="dvc.yaml",
            command=("x",),
            wdir="",
            deps=(f"o{number - 1}",),
            outs=(Output(path=f"o{number}"),),
        )
        for number in range(3)
    )

    def jobs(forge: str, graph: str) -> int:
        chosen = PipelineConfig.model_validate({"forge": forge, "layout": "stages", "graph": graph})
        return len(resolve.resolve(chosen, Pipeline(stages=stages), around()).jobs)

    with pytest.raises(UsageError, match="instances of s depend on each other") as caught:
        jobs("github", "dynamic")
    assert caught.value.hint == "choose graph: static"
    assert (jobs("github", "static"), jobs("gitlab", "dynamic")) == (3, 3)
