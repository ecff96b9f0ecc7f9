"""Which stages a CI run has to run, and the jobs that they become."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import workflow
from ci_ml.core.pipeline import Output, Pipeline, Stage, in_order
from ci_ml.core.plan import plan
from ci_ml.core.staleness import Freshness, State
from ci_ml.core.workflow import Choices, Job


def stage(name: str, *needs: str, cached: bool = True, frozen: bool = False) -> Stage:
    """A stage that makes a file of its own name, from those of the stages that it needs."""
    outs = (Output(path=f"{name}.out", cached=cached),)
    deps = tuple(f"{need}.out" for need in needs)
    return Stage(name=name, file="dvc.yaml", command=("make",), wdir="", deps=deps, outs=outs, frozen=frozen)


DIAMOND = (stage("prepare"), stage("left", "prepare"), stage("right", "prepare"), stage("join", "left", "right"))


def planned(stages: Iterable[Stage], *stale: str, **options: Any) -> tuple[str, ...]:
    """The plan where these stages are stale and all others are up to date."""
    stages = tuple(stages)
    states = [Freshness(name=one.name, state=State.STALE if one.name in stale else State.CURRENT) for one in stages]
    return plan(Pipeline(stages=stages), states, **options)


class TestThePlan:
    def test_what_dvc_never_pushes_is_made_again_for_whoever_needs_it(self) -> None:
        kept = replace(stage("b", "a"), outs=(Output(path="b.out", pushed=False),))
        stages = (stage("a"), kept, stage("c", "b"), stage("d", "a"))
        assert planned(stages, "c") == ("b", "c")
        assert planned(stages, "d") == ("d",)
        assert planned(stages) == ()

    @pytest.mark.parametrize(
        ("stale", "options", "expected"),
        [
            ((), {}, ()),
            (("right",), {}, ("right", "join")),
            (("prepare",), {}, ("prepare", "left", "right", "join")),
            (("join",), {}, ("join",)),
            (("prepare",), {"when": "never"}, ()),
            ((), {"when": "always"}, ("prepare", "left", "right", "join")),
            (("prepare",), {"targets": ["left"]}, ("prepare", "left")),
            (("prepare",), {"targets": ["right.out"]}, ("prepare", "right")),
            (("join",), {"remote": False}, ("prepare", "left", "right", "join")),
            (("right",), {"targets": ["left"]}, ()),
        ],
    )
    def test_is_what_is_stale_and_what_comes_after_it(
        self, stale: tuple[str, ...], options: Mapping[str, Any], expected: tuple[str, ...]
    ) -> None:
        assert planned(DIAMOND, *stale, **options) == expected

    def test_a_frozen_stage_never_runs_and_hands_nothing_on(self) -> None:
        frozen = (DIAMOND[0], stage("left", "prepare", frozen=True), *DIAMOND[2:])
        assert planned(frozen, "left") == ()
        assert planned(frozen, "prepare") == ("prepare", "right", "join")
        assert planned(frozen, when="always") == ("prepare", "right", "join")

    def test_what_git_has_is_not_made_again_without_a_remote(self) -> None:
        small = (stage("prepare", cached=False), stage("train", "prepare"))
        assert planned(small, "train", remote=False) == ("train",)

    def test_a_stage_that_runs_every_time_is_in_it(self) -> None:
        states = [Freshness(name="a", state=State.ALWAYS), Freshness(name="b", state=State.CURRENT)]
        assert plan(Pipeline(stages=(stage("a"), stage("b", "a"))), states) == ("a", "b")

    def test_a_group_is_a_target(self) -> None:
        folds = (stage("fold@1"), stage("fold@2"), stage("other"))
        assert planned(folds, "fold@1", "other", targets=["fold"]) == ("fold@1",)


names = st.integers(2, 9).map(lambda count: [f"s{index}" for index in range(count)])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Stage, ...]:
    """Stages in any order, each on some of those with a smaller number."""
    listed = draw(names)
    found = []
    for index, name in enumerate(listed):
        needs = draw(st.sets(st.sampled_from(listed[:index]), max_size=3)) if index else set()
        found.append(stage(name, *sorted(needs), frozen=draw(st.integers(0, 5)) == 0))
    return tuple(draw(st.permutations(found)))


class TestJobs:
    NOTHING = Choices(runners={}, images={}, timeouts={})

    def jobs(self, stages: tuple[Stage, ...], choices: Choices = NOTHING, **options: Any) -> tuple[Job, ...]:
        return workflow.jobs(Pipeline(stages=stages), choices, runner=("any",), image="", timeout=60, **options)

    @given(graphs(), st.data())
    def test_every_job_comes_after_all_that_its_stage_needs(
        self, stages: tuple[Stage, ...], data: st.DataObject
    ) -> None:
        only = data.draw(st.none() | st.sets(st.sampled_from([one.name for one in stages])))
        jobs = self.jobs(stages, only=only)
        kept = [one.name for one in in_order(stages)[0] if not one.frozen and (only is None or one.name in only)]
        assert [job.stage for job in jobs] == kept
        reached: dict[str, set[str]] = {}
        by_id = {job.id: job for job in jobs}
        for job in jobs:
            assert all(need in reached for need in (by_id[one].stage for one in job.needs)), "needs come first"
            reached[job.stage] = {by_id[one].stage for one in job.needs}.union(
                *(reached[by_id[one].stage] for one in job.needs)
            )
        above = _all_above(stages)
        for name in kept:
            assert reached[name] == above[name] & set(kept), "no dependency is lost where a stage is left out"

    def test_instances_of_a_group_share_a_job_where_they_are_found_at_run_time(self) -> None:
        stages = (
            stage("prepare"),
            stage("fold@1", "prepare"),
            stage("fold@2", "prepare"),
            stage("join", "fold@1", "fold@2"),
        )
        jobs = self.jobs(stages, matrices=True)
        assert [(job.stage, job.matrix, job.needs) for job in jobs] == [
            ("prepare", False, ()),
            ("fold", True, ("prepare",)),
            ("join", False, ("fold",)),
        ]
        placed = workflow.placed(jobs, [one.name for one in stages])
        assert placed == {"prepare": ("prepare",), "fold": ("fold@1", "fold@2"), "join": ("join",)}

    def test_groups_that_need_each_other_are_told(self) -> None:
        stages = (stage("a@1"), stage("b@1", "a@1"), stage("a@2", "b@1"))
        assert workflow.entangled(self.jobs(stages, matrices=True)) == ("a", "b")
        assert workflow.entangled(self.jobs(stages)) == ()

    def test_a_group_whose_instances_need_each_other_is_told(self) -> None:
        stages = (stage("a@1"), stage("a@2", "a@1"), stage("b", "a@1"), stage("c@1"), stage("c@2", "b"))
        assert workflow.chained(Pipeline(stages=stages)) == ("a",)
        assert workflow.chained(Pipeline(stages=DIAMOND)) == ()

    def test_the_first_pattern_that_fits_says_where_a_job_runs(self) -> None:
        choices = Choices(
            runners={"fold*": ("gpu",), "fold@2": ("big",), "join": ("cpu",)}, images={"*": "img"}, timeouts={}
        )
        jobs = self.jobs((stage("fold@1"), stage("fold@2"), stage("join"), stage("x")), choices)
        assert {job.stage: (job.runner, job.image, job.timeout) for job in jobs} == {
            "fold@1": (("gpu",), "img", 60),
            "fold@2": (("big",), "img", 60),
            "join": (("cpu",), "img", 60),
            "x": (("any",), "img", 60),
        }
        assert workflow.unknown(["fold", "fol?@1", "nothing"], ["fold@1", "join"]) == ("nothing",)


def _all_above(stages: tuple[Stage, ...]) -> dict[str, set[str]]:
    ordered, upstream = in_order(stages)
    found: dict[str, set[str]] = {}
    for one in ordered:
        found[one.name] = upstream[one.name].union(*(found[name] for name in upstream[one.name]))
    return found


class TestIds:
    @given(st.lists(st.text(min_size=1, max_size=8) | st.sampled_from(workflow.RESERVED), unique=True, max_size=12))
    def test_differ_are_plain_and_do_not_depend_on_the_order(self, listed: list[str]) -> None:
        found = workflow.ids(listed)
        assert found == workflow.ids(reversed(listed))
        assert list(found) != [] or not listed
        assert len({one.lower() for one in found.values()}) == len(listed)
        for one in found.values():
            assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", one), one
            assert one.lower() not in workflow.RESERVED

    def test_who_is_named_so_keeps_the_name(self) -> None:
        assert workflow.ids(["a@b", "a-b", "gate", "1st", "日本"]) == {
            "a-b": "a-b", "a@b": "a-b-2", "gate": "gate-2", "1st": "stage-1st", "日本": "stage"
        }  # fmt: skip
