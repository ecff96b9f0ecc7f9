"""The picture of a pipeline: one that Mermaid reads, whatever stages are called."""

import re
from typing import Any

import pytest

from ci_ml.core import resolve
from ci_ml.core.pipeline import Output, Pipeline, Stage
from ci_ml.core.pipelines import PipelineConfig
from ci_ml.render.graph import graph
from tests.surroundings import around


def drawn(*names: str, forge: str = "github", **chosen: Any) -> list[str]:
    """The lines for a chain of stages."""
    stages = [
        Stage(
            name=name,
            file="dvc.yaml",
            command=("x",),
            wdir="",
            deps=(str(number),),
            outs=(Output(path=str(number + 1)),),
        )
        for number, name in enumerate(names)
    ]
    config = PipelineConfig.model_validate({"forge": forge, "layout": "stages", **chosen})
    return graph([resolve.resolve(config, Pipeline(stages=tuple(stages)), around())]).splitlines()[2:]


def test_no_word_of_mermaid_is_a_node() -> None:
    lines = drawn("end", "style", "gate", "class")
    nodes = {word for line in lines for word in re.findall(r"^ +(\w+)|--> (\w+)", line) for word in word if word}
    assert nodes == {"plan", "gate", "stage1", "stage2", "stage3", "stage4"}
    assert '    stage1["end<br>ubuntu-24.04"]' in lines
    assert "    stage1 --> stage2" in lines


def test_what_comes_after_the_gate_is_drawn() -> None:
    assert drawn("train", record=True, promote=["churn", "fraud score"])[-5:] == [
        '    gate --> record(["record, on the default branch"])',
        '    gate --> audit(["audit, on the default branch"])',
        "    audit --> promote",
        "    record --> promote",
        '    promote(["promote churn, fraud score"])',
    ]
    assert drawn("train", audit=True)[-1] == '    gate --> audit(["audit, on the default branch"])'


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", "a#92;nb"),
        ("a\u202eb", "a#92;u202eb"),
        ('a"b', "a#34;b"),
        ("a#b;", "a#35;b#59;"),
        ("<b>`x`", "#60;b#62;#96;x#96;"),
        ("日本@1", "日本@1"),
    ],
)
def test_a_name_is_only_a_name(name: str, shown: str) -> None:
    assert f'    stage1["{shown}<br>ubuntu-24.04"]' in drawn(name)


@pytest.mark.parametrize(
    ("forge", "kind", "planned"),
    [("github", "static", True), ("github", "dynamic", True), ("gitlab", "static", False), ("gitlab", "dynamic", True)],
)
def test_a_plan_is_drawn_where_there_is_one(forge: str, kind: str, planned: bool) -> None:
    lines = drawn("train", "last", forge=forge, graph=kind)
    assert any("plan" in line for line in lines) == planned
    assert "    stage2 --> gate" in lines
