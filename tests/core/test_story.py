"""What a page says of a record."""

import pytest

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
