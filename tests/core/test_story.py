"""What a page says of a record."""

import json

import pytest

from ci_ml.core.statements import statement
from ci_ml.core.story import Held, Sources, tell
from tests.dossiers import comparison, training, verdict


@pytest.mark.parametrize(
    ("count", "said"), [(0, ""), (1, ", 1 signature, not checked"), (2, ", 2 signatures, not checked")]
)
def test_signatures_that_were_only_counted_are_not_called_good(count: int, said: str) -> None:
    held = Held(record=training())
    told = tell(Sources(name="churn", training=held, signed={held.record.digest: count}))
    ((_, _, place),) = told.records
    assert place == f"{held.where}{said}"


@pytest.mark.parametrize(
    ("gpu", "value", "missing"), [([], "none", False), (["A100", "A100"], "A100, A100", False), (None, "", True)]
)
def test_accelerators_that_nobody_looked_for_are_told_from_none(
    gpu: list[str] | None, value: str, missing: bool
) -> None:
    told = tell(Sources(name="churn", training=Held(record=training(gpu=gpu))))
    (fact,) = [one for answer in told.answers for one in answer.facts if one.name == "accelerators"]
    assert fact.missing is missing
    assert missing or fact.value == value


def test_stages_come_in_the_order_of_the_pipeline_and_the_commit_is_none_of_what_came_out() -> None:
    record = training()
    said = json.loads(json.dumps(record.predicate))
    names = ["prepare", "train", "evaluate"]
    said["buildDefinition"]["externalParameters"]["stages"] = {
        name: {"command": [f"python {name}.py"]} for name in names
    }
    about = [{"name": name, "state": "ran"} for name in names]
    said["runDetails"]["byproducts"] = [{"name": "stages", "annotations": {"stages": about}}]
    made = statement(record.kind, record.subject, said)
    told = tell(Sources(name="churn", training=Held(record=made)))
    sheets = {sheet.title: sheet for answer in told.answers for sheet in answer.sheets}
    assert sheets["stages"].rows == tuple((name, f"python {name}.py", "ran") for name in names)
    assert [row[0] for row in sheets["what came out"].rows] == ["model.bin"]


@pytest.mark.parametrize("judged", [True, False])
def test_a_commit_is_called_judged_only_where_there_is_a_verdict(judged: bool) -> None:
    record = verdict(comparison()) if judged else None
    told = tell(
        Sources(name="churn", training=Held(record=training()), verdict=Held(record=record) if record else None)
    )
    names = [one.name for answer in told.answers for one in answer.facts]
    assert ("commit that was judged" in names, "commit" in names) == (judged, not judged)


def test_what_has_no_base_is_shown_with_its_own_interval() -> None:
    record = verdict(
        comparison(base=None, delta=None, interval=None, floor=None, status="new"),
        comparison(metric="test.recall"),  # whose floor its own interval has to clear
        comparison(metric="test.brier", floor=None),
        comparison(metric="a.json:x", base=None, delta=None, interval=None, head_interval=None, status="new"),
    )
    told = tell(Sources(name="churn", verdict=Held(record=record)))
    (gates,) = [sheet for answer in told.answers for sheet in answer.sheets if sheet.title == "gates"]
    assert [row[1:4] for row in gates.rows] == [
        ("none", "0.81, 0.78 to 0.84", "not recorded"),
        ("0.8", "0.81, 0.78 to 0.84", "+0.01, −0.005 to +0.025"),
        ("0.8", "0.81", "+0.01, −0.005 to +0.025"),
        ("none", "0.81", "not recorded"),
    ]
