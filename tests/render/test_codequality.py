import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from ci_ml.core.changes import Changes, ValueChange
from ci_ml.core.exhibits import Exhibits, LocationPart
from ci_ml.core.report import Report
from ci_ml.core.types import MetricKey, Outcome, Severity
from ci_ml.render import codequality
from tests import reports
from tests.render.names import HOSTILE, NAMES, hostile

# The fields that https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format asks for.
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "additionalProperties": False,
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "pattern": "^ci-ml/[a-z]+$"},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "additionalProperties": False,
                "properties": {
                    "path": {"type": "string", "minLength": 1, "pattern": r"^(?!\./|/)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def entries(content: Report) -> list[dict[str, Any]]:
    found = json.loads(codequality.report(content))
    jsonschema.validate(found, SCHEMA)
    prints = [one["fingerprint"] for one in found]
    assert len(set(prints)) == len(prints)
    return list(found)


def places(found: list[dict[str, Any]]) -> list[tuple[str, str, str, int]]:
    return [
        (one["severity"], one["check_name"], one["location"]["path"], one["location"]["lines"]["begin"])
        for one in found
    ]


def test_everything_as_a_file(golden: Callable[[str, str], None]) -> None:
    golden("formats/codequality.json", codequality.report(reports.everything()))


def test_it_points_at_gates_that_did_not_hold_and_at_what_changed_beside_them() -> None:
    found = entries(reports.everything())
    assert places(found) == [
        ("blocker", "ci-ml/regressed", "ci-ml.yaml", 12),
        ("minor", "ci-ml/regressed", "ci-ml.yaml", 23),
        ("minor", "ci-ml/inconclusive", "ci-ml.yaml", 12),
        ("minor", "ci-ml/inconclusive", "ci-ml.yaml", 12),
        ("info", "ci-ml/param", "params.yaml", 4),
        ("info", "ci-ml/param", "params.yaml", 5),
    ]
    assert found[0]["description"].startswith("churn: test.recall on plan = free fell by 3.1")
    assert "train.max_depth changed from 8 to 12" in found[-1]["description"]


@pytest.mark.parametrize(
    ("base", "head", "text"),
    [
        (0.1, 0.25, "changed from 0.1 to 0.25"),
        (None, [1, "a"], 'is new: [1, "a"]'),
        ("x\ny", None, r"is gone, and was x\ny"),
        (True, False, "changed from true to false"),
    ],
)
def test_a_param_says_how_it_changed(base: Any, head: Any, text: str) -> None:
    key = MetricKey(path="params.yaml", key="k")
    differences = Changes(params=(ValueChange(metric=key, base=base, head=head),))
    shown = Exhibits(params={("params.yaml", "k"): LocationPart(path="params.yaml", line=7)})
    blocked = reports.comparison("m.json:a", 0.9, 0.5)
    found = entries(reports.report(blocked, differences=differences, shown=shown))
    assert found[-1]["description"] == f"churn: k {text}."


def test_what_changed_is_left_out_where_nothing_blocks() -> None:
    content = reports.everything()
    calm = content.model_copy(
        update={"comparisons": tuple(item for item in content.comparisons if item.impact.value != "fail")}
    )
    calm = calm.model_copy(update={"verdict": content.verdict.model_copy(update={"outcome": Outcome.WARN})})
    assert {one["check_name"] for one in entries(calm)} == {"ci-ml/regressed", "ci-ml/inconclusive"}


def test_a_place_that_is_not_known_is_the_configuration() -> None:
    assert {place[2:] for place in places(entries(reports.churn(shown=Exhibits())))} == {("ci-ml.yaml", 1)}


def test_a_verdict_that_no_gate_explains_is_told() -> None:
    (one,) = entries(reports.report())
    assert (one["severity"], one["description"]) == ("critical", "churn: No gates: nothing was judged.")


def test_a_fingerprint_is_that_of_the_finding_and_not_of_its_numbers() -> None:
    def prints(base: float, head: float, **rest: Any) -> set[str]:
        return {
            one["fingerprint"] for one in entries(reports.report(reports.comparison("m.json:a", base, head), **rest))
        }

    assert prints(0.9, 0.5) == prints(0.8, 0.7)
    assert prints(0.9, 0.5) != prints(0.9, 0.5, name="other")
    warned = entries(reports.report(reports.comparison("m.json:a", 0.9, 0.5, severity=Severity.WARN)))
    assert {one["fingerprint"] for one in warned} == prints(0.9, 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_text(name: str) -> None:
    text = codequality.report(hostile(name))
    found = entries(hostile(name))
    assert len(found) == 6
    assert "##[" not in text
    assert all(len(one["description"]) < 1200 for one in found)
    ours = "\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}"
    assert all(char.isprintable() or char in ours for one in found for char in one["description"])


@given(one=HOSTILE, other=HOSTILE)
def test_whatever_names_there_are_every_finding_is_there(one: str, other: str) -> None:
    names = dict.fromkeys((one, other))
    assert len(entries(hostile(*names))) == 6 * len(names)
