import datetime as dt
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import changes
from ci_ml.core.changes import DataChange, StageChange, ValueChange, is_code, is_number, jsonable, values
from ci_ml.core.pipeline import DataSource, Digest, LockedStage, Output, Pipeline, Stage
from ci_ml.core.types import MetricKey


def key(name: str) -> MetricKey:
    return MetricKey(path="m.json", key=name)


def changed(base: Any, head: Any) -> bool:
    return bool(values({key("a"): base}, {key("a"): head}))


def md5(value: str) -> Digest:
    return Digest(algorithm="md5", value=value)


def stage(**rest: Any) -> Stage:
    return Stage(**{"name": "train", "file": "dvc.yaml", "command": ("x",), "wdir": "", **rest})


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers())


class TestValues:
    @pytest.mark.parametrize(
        ("base", "head"),
        [(1, 1), (1, 1.0), (math.nan, math.nan), (None, None), ("a", "a"), ([1, [2]], [1, [2]]), (True, True)],
    )
    def test_that_mean_the_same_are_no_change(self, base: Any, head: Any) -> None:
        assert not changed(base, head)

    @pytest.mark.parametrize(
        ("base", "head"),
        [(1, 2), (1, True), (0, False), (1, "1"), (1.0, math.nan), (None, 0), ([1], [1, 2]), ("", None), (1, [1])],
    )
    def test_that_differ_in_value_or_kind_are_a_change(self, base: Any, head: Any) -> None:
        assert changed(base, head)
        assert changed(head, base)

    @given(one=leaves, other=leaves)
    def test_the_question_is_symmetric_and_nothing_differs_from_itself(self, one: Any, other: Any) -> None:
        assert not changed(one, one)
        assert changed(one, other) == changed(other, one)

    def test_all_of_them_when_asked_sorted_by_file_and_key(self) -> None:
        found = values({key("b"): 1, key("a"): 1}, {key("a"): 1, key("c"): 2}, unchanged=True)
        assert [(item.metric.key, item.base, item.head) for item in found] == [
            ("a", 1, 1),
            ("b", 1, None),
            ("c", None, 2),
        ]

    @pytest.mark.parametrize(
        ("base", "head", "delta"),
        [
            (1, 3, 2),
            (0.5, 0.25, -0.25),
            (1, None, None),
            (True, 2, None),
            ("1", 2, None),
            (math.nan, 1.0, None),
            (1.7e308, -1.7e308, None),
            (10**400, 1, None),
        ],
    )
    def test_the_delta_is_a_finite_number_or_nothing(self, base: Any, head: Any, delta: float | None) -> None:
        assert ValueChange(metric=key("a"), base=base, head=head).delta == delta


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, True), (0.5, True), (True, False), (math.inf, False), (math.nan, False), ("1", False), (10**400, False)],
)
def test_what_is_a_number(value: Any, expected: bool) -> None:
    assert is_number(value) is expected


class TestJson:
    @given(value=st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.integers(), inner)))
    def test_of_any_value_is_strict(self, value: Any) -> None:
        json.dumps(jsonable(value), allow_nan=False)

    def test_of_what_json_does_not_have_is_text(self) -> None:
        value = {1: [math.nan, math.inf, -math.inf], "at": dt.date(2024, 1, 31), "t": (dt.time(10, 30),)}
        assert jsonable(value) == {"1": ["NaN", "Infinity", "-Infinity"], "at": "2024-01-31", "t": ["10:30:00"]}


class TestData:
    def pipeline(self, train: str, source: str | None, code: str = "c") -> Pipeline:
        deps = {"data.csv": md5(train), "src/train.py": md5(code), "model": md5(code)}
        sources = (DataSource(file="raw.dvc", outs=(Output(path="raw", recorded=md5(source)),)),) if source else ()
        return Pipeline(
            stages=(
                stage(
                    deps=("data.csv", "src/train.py", "model"),
                    locked=LockedStage(command=("x",), deps={**deps, "forgotten.csv": md5(code)}),
                ),
                stage(name="make", outs=(Output(path="model"),)),
            ),
            sources=sources,
        )

    def test_is_what_dvc_recorded_of_inputs_that_no_stage_makes_and_that_are_no_code(self) -> None:
        found = changes.data(self.pipeline("1", "1"), self.pipeline("2", "2", code="d"))
        assert found == (
            DataChange(path="data.csv", base="md5:1", head="md5:2"),
            DataChange(path="raw", base="md5:1", head="md5:2"),
        )

    def test_that_is_only_on_one_side(self) -> None:
        assert changes.data(self.pipeline("1", None), self.pipeline("1", "2")) == (
            DataChange(path="raw", base=None, head="md5:2"),
        )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("train.py", True),
        ("src/Train.R", True),
        ("src", True),
        ("a/src/", False),
        ("Makefile", True),
        ("requirements.txt", True),
        ("notes.txt", False),
        ("data.csv", False),
        ("data", False),
        ("src/data", False),
        ("model.pkl", False),
    ],
)
def test_what_is_code_by_its_name(path: str, expected: bool) -> None:
    assert is_code(path) is expected


class TestStages:
    @pytest.mark.parametrize(
        ("base", "head", "expected"),
        [
            ((), (stage(),), StageChange(name="train", change="added")),
            ((stage(),), (), StageChange(name="train", change="removed")),
            (
                (stage(),),
                (stage(command=("y",), deps=("a",)),),
                StageChange(name="train", change="changed", what=("command", "definition")),
            ),
            (
                (stage(),),
                (stage(locked=LockedStage(command=("x",))),),
                StageChange(name="train", change="changed", what=("first run",)),
            ),
            (
                (stage(locked=LockedStage(command=("x",))),),
                (stage(),),
                StageChange(name="train", change="changed", what=("lock entry gone",)),
            ),
            (
                (
                    stage(
                        locked=LockedStage(
                            command=("x",),
                            params={"params.yaml": {"lr": 1, "same": 0}, "p.json": dict.fromkeys("abcd", 1)},
                            deps={"a.py": md5("1"), "b.csv": md5("1")},
                            outs={"model": md5("1"), "same": md5("1")},
                        )
                    ),
                ),
                (
                    stage(
                        locked=LockedStage(
                            command=("x",),
                            params={"params.yaml": {"lr": 2, "same": 0, "n": 1}, "p.json": dict.fromkeys("abcd", 2)},
                            deps={"a.py": md5("2"), "b.csv": md5("2")},
                            outs={"model": md5("2"), "same": md5("1")},
                        )
                    ),
                ),
                StageChange(
                    name="train",
                    change="changed",
                    what=("4 params in p.json", "param lr, n", "code a.py", "data b.csv", "output model"),
                ),
            ),
        ],
    )
    def test_say_what_of_them_changed(
        self, base: tuple[Stage, ...], head: tuple[Stage, ...], expected: StageChange
    ) -> None:
        assert changes.stages(Pipeline(stages=base), Pipeline(stages=head)) == (expected,)

    def test_an_input_that_another_stage_makes_is_neither_code_nor_data(self) -> None:
        def pipeline(digest: str) -> Pipeline:
            use = stage(locked=LockedStage(command=("x",), deps={"made.py": md5(digest)}))
            return Pipeline(stages=(stage(name="make", outs=(Output(path="made.py"),)), use))

        assert changes.stages(pipeline("1"), pipeline("2")) == (
            StageChange(name="train", change="changed", what=("input made.py",)),
        )

    def test_a_digest_recorded_anew_is_no_change(self) -> None:
        one = stage(locked=LockedStage(command=("x",), deps={"a": md5("1")}), outs=(Output(path="m"),))
        other = stage(
            locked=LockedStage(command=("x",), deps={"a": md5("1")}), outs=(Output(path="m", recorded=md5("1")),)
        )
        assert changes.stages(Pipeline(stages=(one,)), Pipeline(stages=(other,))) == ()
