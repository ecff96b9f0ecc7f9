from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core.pipeline import (
    DataSource,
    Digest,
    Output,
    ParamsFile,
    Pipeline,
    Stage,
    conflicts,
    covering,
    in_order,
    part,
)


def stage(name: str, deps: tuple[str, ...] = (), outs: tuple[str, ...] = (), **rest: Any) -> Stage:
    made = tuple(Output(path=path) for path in outs)
    return Stage(name=name, file="dvc.yaml", command=("x",), wdir="", deps=deps, outs=made, **rest)


def upstream(*stages: Stage) -> dict[str, set[str]]:
    return in_order(stages)[1]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[tuple[Stage, ...], set[tuple[str, str]]]:
    """Stages in any order, and the edges (upstream, downstream) that their files make."""
    count = draw(st.integers(1, 8))
    stages, edges = [], set()
    for number in range(count):
        deps = []
        for other in range(number):
            how = draw(st.sampled_from(["no", "no", "file", "inside", "around", "params"]))
            if how == "no":
                continue
            edges.add((f"s{other}", f"s{number}"))
            # every stage makes a file, a folder, and a file in a folder of its own
            path = {"file": f"f{other}", "inside": f"d{other}/x/y", "around": f"in{other}", "params": f"p{other}.yaml"}
            deps.append((how, path[how]))
        stages.append(
            stage(
                f"s{number}",
                tuple(path for how, path in deps if how != "params"),
                (f"f{number}", f"d{number}", f"in{number}/deep/file", f"p{number}.yaml"),
                params=tuple(ParamsFile(path=path, keys=("a",)) for how, path in deps if how == "params"),
            )
        )
    return tuple(draw(st.permutations(stages))), edges


class TestOrder:
    @given(drawn=graphs())
    def test_every_stage_comes_once_and_after_those_it_depends_on(
        self, drawn: tuple[tuple[Stage, ...], set[tuple[str, str]]]
    ) -> None:
        stages, edges = drawn
        ordered, ups = in_order(stages)
        names = [item.name for item in ordered]
        assert sorted(names) == sorted(item.name for item in stages)
        assert {(up, name) for name, those in ups.items() for up in those} == edges
        assert all(names.index(up) < names.index(down) for up, down in edges)
        assert conflicts(Pipeline(stages=stages)) is None

    def test_a_folder_is_upstream_of_what_is_inside_it(self) -> None:
        assert upstream(stage("make", outs=("data",)), stage("use", ("data/train/x.csv",)))["use"] == {"make"}

    def test_what_is_inside_a_folder_is_upstream_of_the_folder(self) -> None:
        makes = (stage("one", outs=("data/a.csv",)), stage("two", outs=("data/deep/b.csv",)))
        assert upstream(*makes, stage("use", ("data",)))["use"] == {"one", "two"}

    def test_names_that_only_begin_alike_are_not_related(self) -> None:
        assert upstream(stage("make", outs=("data",)), stage("use", ("data.csv", "database/x")))["use"] == set()

    def test_a_frozen_stage_waits_for_nobody(self) -> None:
        assert upstream(stage("make", outs=("a",)), stage("use", ("a",), frozen=True))["use"] == set()

    def test_a_stage_that_reads_what_it_writes_does_not_wait_for_itself(self) -> None:
        assert upstream(stage("loop", ("a",), ("a",)))["loop"] == set()

    def test_a_thousand_stages_in_a_row_do_not_exhaust_the_stack(self) -> None:
        row = [stage(f"s{number}", (f"f{number - 1}",), (f"f{number}",)) for number in range(1000)]
        ordered, _ = in_order(tuple(reversed(row)))
        assert ordered == tuple(row)

    def test_a_cycle_ends(self) -> None:
        ordered, _ = in_order((stage("a", ("y",), ("x",)), stage("b", ("x",), ("y",))))
        assert {item.name for item in ordered} == {"a", "b"}


class TestConflicts:
    @pytest.mark.parametrize(
        ("stages", "sources", "why"),
        [
            (
                (stage("a", outs=("x",)), stage("b", outs=("x",))),
                (),
                "x is an output of both stage a and stage b",
            ),
            (
                (stage("a", outs=("x",)),),
                (DataSource(file="x.dvc", outs=(Output(path="x"),)),),
                "x is an output of both x.dvc and stage a",
            ),
            (
                (stage("a", outs=("x/y",)), stage("b", outs=("x",))),
                (),
                "x/y, an output of stage a, is inside x, an output of stage b",
            ),
            (
                (stage("a", ("y",), ("x",)), stage("b", ("x",), ("y",))),
                (),
                "stages b and a depend on each other",
            ),
            (
                (stage("a", ("y",), ("x",), frozen=True), stage("b", ("x",), ("y",))),
                (),
                "stages b and a depend on each other",
            ),
            ((stage("a", ("x/y",), ("x",)),), (), "stage a depends on what it makes itself"),
            ((stage("a", outs=("x",)), stage("b", ("x",), ("xy",))), (), None),
        ],
    )
    def test_are_what_dvc_refuses(
        self, stages: tuple[Stage, ...], sources: tuple[DataSource, ...], why: str | None
    ) -> None:
        assert conflicts(Pipeline(stages=stages, sources=sources)) == why


def test_stages_in_a_circle_come_once_each() -> None:
    """Nobody can mend a base: what asks about it gets an order, if not a good one."""
    circle = (stage("a", ("z",), ("x",)), stage("b", ("x",), ("y",)), stage("c", ("y", "z"), ("z",)))
    ordered, ups = in_order(circle)
    assert sorted(item.name for item in ordered) == ["a", "b", "c"]
    assert ups == {"a": {"c"}, "b": {"a"}, "c": {"b"}}


class TestAPartOfAPipeline:
    """In a repository of several projects, each is its own stages and what they depend on."""

    def parted(self, folder: str) -> Pipeline:
        def within(name: str, folder: str, **rest: Any) -> Stage:
            return replace(stage(name, **rest), file=f"{folder}/dvc.yaml")

        stages = (
            within("shared", "shared", outs=("shared/features",)),
            within("churn", "churn", deps=("shared/features/x.csv", "raw/churn.csv"), outs=("churn/model",)),
            within("fraud", "fraud", deps=("raw",), outs=("fraud/model",)),
            within("churn2", "churn2"),
        )
        sources = tuple(
            DataSource(file=f"{path}.dvc", outs=(Output(path=path),))
            for path in ("raw/churn.csv", "raw/fraud.csv", "churn/extra.csv", "other.csv")
        )
        whole = Pipeline(
            stages=stages, sources=sources, metrics=("churn/m.json", "fraud/m.json"), params=("fraud/p.yaml",)
        )
        return part(whole, folder)

    @pytest.mark.parametrize(
        ("folder", "stages", "sources", "metrics", "params"),
        [
            ("churn", ["shared", "churn"], ["raw/churn.csv", "churn/extra.csv"], ("churn/m.json",), ()),
            ("fraud", ["fraud"], ["raw/churn.csv", "raw/fraud.csv"], ("fraud/m.json",), ("fraud/p.yaml",)),
            ("nothing", [], [], (), ()),
        ],
    )
    def test_is_what_the_project_makes_and_needs(
        self, folder: str, stages: list[str], sources: list[str], metrics: tuple[str, ...], params: tuple[str, ...]
    ) -> None:
        found = self.parted(folder)
        assert [item.name for item in found.stages] == stages
        assert [source.outs[0].path for source in found.sources] == sources
        assert (found.metrics, found.params) == (metrics, params)

    def test_of_the_root_is_the_whole(self) -> None:
        assert len(self.parted("").stages) == 4


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a", "a"), ("a/b/c", "a"), ("b/c/d/e", "b/c"), ("b", None), ("ab", None), ("", None)],
)
def test_the_output_that_covers_a_path(path: str, expected: str | None) -> None:
    assert covering(path, {"a": 1, "b/c": 2}) == expected


@pytest.mark.parametrize(
    ("algorithm", "value", "shown", "folder"),
    [
        ("md5", "0123", "md5:0123", False),
        ("md5-dos2unix", "0123", "md5:0123", False),
        ("md5", "0123.dir", "md5:0123.dir", True),
    ],
)
def test_a_digest_is_shown_with_its_algorithm(algorithm: str, value: str, shown: str, folder: bool) -> None:
    digest = Digest(algorithm=algorithm, value=value)
    assert (str(digest), digest.is_folder) == (shown, folder)


def test_outputs_are_found_by_path_with_what_makes_them() -> None:
    made, source = stage("a", outs=("x",)), DataSource(file="y.dvc", outs=(Output(path="y"),))
    outputs = Pipeline(stages=(made,), sources=(source,)).outputs()
    assert {path: maker for path, (_, maker) in outputs.items()} == {"x": made, "y": source}
