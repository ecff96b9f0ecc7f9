"""What two trainings ran in, compared."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import environments
from ci_ml.core.training import Environment
from ci_ml.core.types import Gap

KNOWN = Environment(
    interpreter={"version": "3.12.1", "implementation": "CPython", "executable": "/one/python"},
    packages={"numpy": "2.0", "scikit_learn": "1.7"},
    packages_digest="sha256:0",
    os="Linux-6.8",
    cpu="a processor, 2 logical cores",
    gpu=(),
    runs_stages=True,
)
TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
ENVIRONMENTS = st.builds(
    Environment,
    interpreter=TEXTS,
    packages=TEXTS,
    packages_digest=st.text(max_size=3),
    os=st.sampled_from(["", "x", "y"]),
    cpu=st.sampled_from(["", "x", "y"]),
    gpu=st.none() | st.lists(st.text(max_size=3), max_size=2).map(tuple),
    runs_stages=st.booleans(),
)


def differences(base: Environment, head: Environment) -> list[tuple[Any, ...]]:
    found = environments.compared(base, head)
    assert found.missing == ()
    return [(item.kind, item.name, item.base, item.head) for item in found.differences]


def test_what_differs_is_told_of_the_python_its_packages_and_the_machine() -> None:
    head = replace(
        KNOWN,
        interpreter={"version": "3.11.9", "implementation": "PyPy", "executable": "/other/python"},
        packages={"numpy": "2.1", "Scikit-Learn": "1.7", "torch": "2.9"},
        os="Linux-6.9",
        cpu="another processor, 4 logical cores",
        gpu=("A100", "H100"),
    )
    assert differences(KNOWN, head) == [
        ("python", None, "3.12.1", "PyPy 3.11.9"),
        ("package", "numpy", "2.0", "2.1"),
        ("package", "torch", None, "2.9"),
        ("platform", None, "Linux-6.8", "Linux-6.9"),
        ("processor", None, "a processor, 2 logical cores", "another processor, 4 logical cores"),
        ("gpu", None, None, "A100; H100"),
    ]


def test_the_same_environment_elsewhere_is_no_difference() -> None:
    assert differences(KNOWN, replace(KNOWN, interpreter={**KNOWN.interpreter, "executable": "/other"})) == []


def test_a_side_that_is_not_known_is_compared_with_nothing() -> None:
    for base, head, said in ((Gap(reason="a"), KNOWN, "base"), (KNOWN, Gap(reason="a"), "head")):
        found = environments.compared(base, head)
        assert (found.differences, found.missing) == ((), (f"in what the {said} was trained (a)",))
    assert len(environments.compared(Gap(reason="a"), Gap(reason="b")).missing) == 2


@pytest.mark.parametrize(
    "unknown", [{"runs_stages": False}, {"packages": {}}, {"interpreter": {}}, {"interpreter": {"version": ""}}]
)
def test_a_python_that_may_not_be_that_of_the_stages_is_not_compared(unknown: dict[str, Any]) -> None:
    head = replace(KNOWN, packages={"numpy": "9"}, os="Linux-6.9")
    found = environments.compared(replace(KNOWN, **unknown), head)
    assert [item.kind for item in found.differences] == ["platform"]
    (said,) = found.missing
    assert said.startswith("with which Python and packages the stages of the base ran (")
    both = environments.compared(replace(KNOWN, **unknown), replace(head, **unknown)).missing[0]
    assert both.startswith("with which Python and packages the stages of the base and the head ran (")


def test_a_machine_that_is_not_recorded_is_missing() -> None:
    found = environments.compared(replace(KNOWN, os=""), replace(KNOWN, cpu=""))
    assert found.missing == (
        "the platform of the base (it is not recorded)",
        "the processor of the head (it is not recorded)",
    )
    assert found.differences == ()


def test_accelerators_that_nobody_looked_for_are_not_taken_for_none() -> None:
    found = environments.compared(KNOWN, replace(KNOWN, gpu=None))
    assert (found.differences, found.missing) == ((), ("the accelerators of the head (they are not recorded)",))


def test_long_texts_are_cut() -> None:
    found = environments.compared(KNOWN, replace(KNOWN, packages={**KNOWN.packages, "x" * 999: "9" * 999}))
    (item,) = found.differences
    assert (len(item.name or ""), len(item.head or "")) == (200, 200)


@given(ENVIRONMENTS)
def test_it_is_kept_as_text(found: Environment) -> None:
    assert environments.dump(found).isascii()
    assert environments.load(environments.dump(found)) == found
    assert environments.load(json.loads(json.dumps(asdict(found)))) == found  # as in training.json
    assert environments.load({**asdict(found), "new": 1}) == found
    assert environments.load({**asdict(found), "schema": "ci-ml/environment/v2"}) is None


@given(ENVIRONMENTS, ENVIRONMENTS)
def test_what_is_the_same_on_both_sides_is_said_only_of_what_both_hold(base: Environment, head: Environment) -> None:
    found = environments.compared(base, head)
    if not found.differences and not found.missing:
        assert base.runs_stages
        assert head.runs_stages
        assert (base.os, base.cpu, base.gpu) == (head.os, head.cpu, head.gpu)
        assert base.os
        assert base.packages
        assert base.interpreter["version"] == head.interpreter["version"]


@pytest.mark.parametrize(
    "document", ["", "{", "[]", "1", None, 7, [], {}, "[" * 100_000, {"packages": 1}, {"schema": "x"}, '{"os": NaN}']
)
def test_anything_else_is_no_environment(document: Any) -> None:
    assert environments.load(document) is None


def test_another_kernel_is_no_other_platform_and_another_c_library_is() -> None:
    older, newer, other = (
        replace(KNOWN, os=f"Linux-{kernel}-x86_64-with-{library}")
        for kernel, library in (("6.8.0-1014-azure", "glibc2.39"), ("6.17.0-4", "glibc2.39"), ("6.8.0", "musl1.2"))
    )
    assert not environments.compared(older, newer).differences
    (found,) = environments.compared(older, other).differences
    assert (found.kind, found.base, found.head) == ("platform", "Linux x86_64, glibc2.39", "Linux x86_64, musl1.2")
