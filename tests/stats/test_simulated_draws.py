"""Wrong claims about metrics of counts where much differs, so that all intervals are drawn: a file of its own, for it takes
as long as the others together."""

import pytest

from tests.stats.simulated_counts import AVERAGES, METRICS, cells, check, several

pytestmark = pytest.mark.thorough


def test_an_unchanged_model_of_two_classes() -> None:
    check(2_000, cells(0.3, 0.8, 0.1, 0.05, 0.2, 0.03, 0.27), METRICS, unchanged=True)


def test_a_worse_model_of_several_classes() -> None:
    check(800, several([0.5, 0.3, 0.2], 0.8, 0.25, 0.03), AVERAGES[:1], unchanged=False)
