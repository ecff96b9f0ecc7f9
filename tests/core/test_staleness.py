from collections.abc import Mapping
from typing import Any

import pytest

from ci_ml.core.pipeline import DataSource, Digest, LockedStage, Output, ParamsFile, Pipeline, Stage
from ci_ml.core.staleness import Freshness, State, check


def md5(value: str, algorithm: str = "md5") -> Digest:
    return Digest(algorithm=algorithm, value=value)


def stage(name: str = "train", **rest: Any) -> Stage:
    return Stage(**{"name": name, "file": "dvc.yaml", "command": ("python train.py",), "wdir": "", **rest})


def output(path: str, recorded: str | None, **rest: Any) -> Output:
    return Output(path=path, recorded=md5(recorded) if recorded else None, **rest)


def locked(command: str = "python train.py", **rest: Any) -> LockedStage:
    return LockedStage(command=(command,), **rest)


def freshness(
    pipeline: Pipeline | Stage,
    disk: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> list[Freshness]:
    """What dvc.lock is worth when `disk` holds these digests by path, and every file of parameters these values."""
    here = disk or {}
    if isinstance(pipeline, Stage):
        pipeline = Pipeline(stages=(pipeline,))
    return list(
        check(
            pipeline,
            lambda path, like: md5(here[path], like.algorithm) if path in here else None,
            lambda wanted: (
                params if params is None or not wanted.keys else {k: v for k, v in params.items() if k in wanted.keys}
            ),
        )
    )


class TestReasons:
    @pytest.mark.parametrize(
        ("made", "disk", "params", "reasons"),
        [
            (stage(), {}, {}, ["never run: dvc.lock has no entry for it"]),
            (stage(locked=locked("python old.py")), {}, {}, ["command: differs from the one in dvc.lock"]),
            (
                stage(params=(ParamsFile(path="params.yaml", keys=("lr",)),), locked=locked(params={})),
                {},
                {"lr": 1},
                ["params: params.yaml is not in dvc.lock"],
            ),
            (
                stage(
                    params=(ParamsFile(path="params.yaml", keys=("lr", "n", "gone")),),
                    locked=locked(params={"params.yaml": {"lr": 0.1, "gone": 1}}),
                ),
                {},
                {"lr": 0.2, "n": 3},
                [
                    "params: lr in params.yaml is 0.2, dvc.lock has 0.1",
                    "params: n of params.yaml is not in dvc.lock",
                    "params: gone is gone from params.yaml",
                ],
            ),
            (
                stage(
                    params=(ParamsFile(path="params.yaml"),),
                    locked=locked(params={"params.yaml": {"lr": 0.1, "old": 1}}),
                ),
                {},
                {"lr": 0.1, "new": 2},
                ["params: new of params.yaml is not in dvc.lock", "params: old is gone from params.yaml"],
            ),
            (
                stage(deps=("train.py",), locked=locked()),
                {"train.py": "a"},
                {},
                ["code: train.py is not in dvc.lock"],
            ),
            (
                stage(deps=("train.py", "data.csv"), locked=locked(deps={"train.py": md5("a"), "data.csv": md5("b")})),
                {"train.py": "changed", "data.csv": "changed"},
                {},
                ["code: train.py differs from dvc.lock", "data: data.csv differs from dvc.lock"],
            ),
            (
                stage(outs=(output("model", None),), locked=locked()),
                {},
                {},
                ["output: model is not in dvc.lock"],
            ),
            (
                stage(outs=(output("model", "a", cached=False),), locked=locked()),
                {"model": "edited"},
                {},
                ["output: model is not what the stage wrote"],
            ),
        ],
    )
    def test_each_says_what_of_the_stage_is_not_true(
        self, made: Stage, disk: dict[str, str], params: dict[str, Any], reasons: list[str]
    ) -> None:
        (found,) = freshness(made, disk, params)
        assert (found.state, list(found.reasons)) == (State.STALE, reasons)

    def test_all_of_them_are_reported(self) -> None:
        made = stage(
            deps=("a.py",), outs=(output("o", "1", cached=False),), locked=locked("x", deps={"a.py": md5("a")})
        )
        (found,) = freshness(made, {"a.py": "b", "o": "2"})
        assert len(found.reasons) == 3

    def test_a_long_value_is_cut(self) -> None:
        made = stage(
            params=(ParamsFile(path="p.yaml", keys=("names",)),), locked=locked(params={"p.yaml": {"names": []}})
        )
        (found,) = freshness(made, params={"names": ["x" * 200]})
        assert len(found.reasons[0]) < 150


class TestWhatIsFine:
    def test_everything_as_recorded(self) -> None:
        made = stage(
            deps=("train.py", "data.csv"),
            params=(ParamsFile(path="params.yaml", keys=("lr",)),),
            outs=(output("model", "m"),),
            locked=locked(
                deps={"train.py": md5("a"), "data.csv": md5("b")}, params={"params.yaml": {"lr": 0.1, "unused": 1}}
            ),
        )
        (found,) = freshness(made, {"train.py": "a", "data.csv": "b", "model": "m"}, {"lr": 0.1})
        assert found == Freshness(name="train", state=State.CURRENT)

    def test_what_is_not_here_is_missing_and_not_stale(self) -> None:
        made = stage(
            deps=("data.csv",),
            params=(ParamsFile(path="params.yaml", keys=("lr",)),),
            outs=(output("model", "m"),),
            locked=locked(deps={"data.csv": md5("b")}, params={"params.yaml": {"lr": 0.1}}),
        )
        (found,) = freshness(made, {}, None)
        assert (found.state, found.missing) == (State.CURRENT, ("params.yaml", "data.csv", "model"))

    def test_a_cached_output_of_another_revision_is_said_to_be_so_and_is_not_stale(self) -> None:
        made = stage(outs=(output("model", "m"),), locked=locked())
        (found,) = freshness(made, {"model": "of another branch"})
        assert (found.state, found.modified, found.reasons) == (State.CURRENT, ("model",), ())

    def test_an_input_that_a_stage_made_counts_as_that_stage_recorded_it(self) -> None:
        first = stage("prepare", outs=(output("train.csv", "t"),), locked=locked())
        second = stage("train", deps=("train.csv",), locked=locked(deps={"train.csv": md5("t")}))
        found = freshness(Pipeline(stages=(first, second)), {"train.csv": "of another branch"})
        assert [item.state for item in found] == [State.CURRENT, State.CURRENT]

    def test_an_output_in_git_needs_no_cache(self) -> None:
        made = stage(outs=(output("metrics.json", "m", cached=False),), locked=locked())
        (found,) = freshness(made, {"metrics.json": "edited"})
        assert found.state is State.STALE

    @pytest.mark.parametrize("path", ["s3://bucket/data.csv", "/mnt/data.csv", "remote://data/x"])
    def test_what_is_outside_is_said_to_be_unchecked(self, path: str) -> None:
        (found,) = freshness(stage(deps=(path,), locked=locked(deps={path: md5("a")})))
        assert (found.state, found.unchecked) == (State.CURRENT, (path,))

    def test_a_frozen_stage_is_never_looked_at(self) -> None:
        assert freshness(stage(frozen=True))[0] == Freshness(name="train", state=State.FROZEN)

    def test_a_stage_that_always_runs_is_said_to(self) -> None:
        (found,) = freshness(stage(always=True, locked=locked()))
        assert found.state is State.ALWAYS

    def test_a_tuple_of_a_python_module_is_the_list_that_dvc_lock_holds(self) -> None:
        made = stage(
            params=(ParamsFile(path="p.py", keys=("sizes",)),), locked=locked(params={"p.py": {"sizes": [1, 2]}})
        )
        assert freshness(made, params={"sizes": (1, 2)})[0].state is State.CURRENT


class TestAlongThePipeline:
    def chain(self, *, third: str = "o2", frozen: bool = False, command: str = "python train.py") -> Pipeline:
        """prepare makes o1, train makes o2 of it, evaluate reads o2."""
        return Pipeline(
            stages=(
                stage("evaluate", deps=("o2",), locked=locked(deps={"o2": md5(third)})),
                stage(
                    "train",
                    deps=("o1",),
                    outs=(output("o2", "o2"),),
                    frozen=frozen,
                    locked=locked(deps={"o1": md5("o1")}),
                ),
                stage("prepare", outs=(output("o1", "o1"),), locked=locked(command)),
            )
        )

    def test_stale_goes_downstream_and_upstream_comes_first(self) -> None:
        found = freshness(self.chain(command="other"))
        assert [(item.name, item.state) for item in found] == [
            ("prepare", State.STALE),
            ("train", State.STALE),
            ("evaluate", State.STALE),
        ]
        assert found[1].reasons == ("upstream: stage prepare is stale",)
        assert found[2].reasons == ("upstream: stage train is stale",)

    def test_a_frozen_stage_stops_it(self) -> None:
        states = {item.name: item.state for item in freshness(self.chain(command="other", frozen=True))}
        assert states == {"prepare": State.STALE, "train": State.FROZEN, "evaluate": State.CURRENT}

    def test_an_input_that_is_not_what_upstream_recorded_is_found_without_the_data(self) -> None:
        (found,) = [item for item in freshness(self.chain(third="other")) if item.name == "evaluate"]
        assert found.reasons == ("upstream output: o2 is o2 by stage train, dvc.lock has other",)

    def test_a_dvc_file_that_changed_is_found_without_the_data(self) -> None:
        source = DataSource(file="data.csv.dvc", outs=(output("data.csv", "newdigest"),))
        made = stage(deps=("data.csv",), locked=locked(deps={"data.csv": md5("olddigest")}))
        (found,) = freshness(Pipeline(stages=(made,), sources=(source,)))
        assert found.reasons == ("data: data.csv is newdige by its .dvc file, dvc.lock has olddige",)

    def test_digests_of_dvc_2_and_3_are_not_compared_when_the_file_can_be(self) -> None:
        source = DataSource(file="data.csv.dvc", outs=(Output(path="data.csv", recorded=md5("two", "md5-dos2unix")),))
        made = stage(deps=("data.csv",), locked=locked(deps={"data.csv": md5("three")}))
        pipeline = Pipeline(stages=(made,), sources=(source,))
        assert freshness(pipeline, {"data.csv": "three"})[0].state is State.CURRENT
        assert freshness(pipeline, {"data.csv": "changed"})[0].state is State.STALE
