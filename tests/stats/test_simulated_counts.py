"""Wrong claims about metrics of counts."""

import numpy as np
import pytest

from tests.stats.simulated_counts import AVERAGES, METRICS, cells, check, several

pytestmark = pytest.mark.thorough

TABLES = {
    "unchanged, 2 % of 1,000 differ": (1_000, cells(0.3, 0.8, 0.1, 0.01, 0.04, 0.005, 0.045)),
    "worse, some changes for the better": (1_000, cells(0.3, 0.8, 0.1, 0.08, 0.12, 0.03, 0.1)),
    "worse, no change for the better": (1_000, cells(0.3, 0.8, 0.1, 0.05, 0.0, 0.01, 0.0)),
    "worse, a rare class": (3_000, cells(0.02, 0.7, 0.01, 0.2, 0.1, 0.005, 0.1)),
}


@pytest.mark.parametrize("name", TABLES)
def test_wrong_claims_about_two_classes_are_as_rare_as_promised(name: str) -> None:
    n, chances = TABLES[name]
    check(n, chances, METRICS, unchanged=name.startswith("unchanged"))


SEVERAL = {
    "unchanged, few differ": (400, several([0.5, 0.3, 0.2], 0.85, 0.1, 0.0)),
    "worse, few differ": (400, several([0.5, 0.3, 0.2], 0.85, 0.1, 0.02)),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_wrong_claims_about_several_classes_are_as_rare_as_promised(name: str) -> None:
    n, chances = SEVERAL[name]
    assert np.isclose(chances.sum(), 1)
    check(n, chances, AVERAGES, unchanged=name.startswith("unchanged"))
