"""What a page says of a record."""

import pytest

from ci_ml.core.story import Held, Sources, tell
from tests.dossiers import training


@pytest.mark.parametrize(
    ("count", "said"), [(0, ""), (1, ", 1 signature, not checked"), (2, ", 2 signatures, not checked")]
)
def test_signatures_that_were_only_counted_are_not_called_good(count: int, said: str) -> None:
    held = Held(record=training())
    told = tell(Sources(name="churn", training=held, signed={held.record.digest: count}))
    ((_, _, place),) = told.records
    assert place == f"{held.where}{said}"
