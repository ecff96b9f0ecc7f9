"""A margin that is a share of the base: head / base, and what noise in the base does to it."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.stats.estimate import Difference, identical
from ci_ml.stats.means import Pairs, paired_t, root_mean
from ci_ml.stats.normal import critical
from ci_ml.stats.relative import allowed
from ci_ml.stats.tango import PairedTable, tango
from tests.stats.simulated import LIMIT, PAIRS, Generator

FOUND = Difference(
    base=0.8,
    head=0.78,
    delta=-0.02,
    low=-0.05,
    high=0.01,
    p_value=0.2,
    confidence=0.95,
    method="t",
    n=100,
    standard_error=0.03 / 1.959963984540054,
    base_error=0.2,
    head_error=0.21,
)


def test_what_is_allowed_is_fiellers_test_of_the_ratio() -> None:
    generator = np.random.default_rng(4)
    base = generator.lognormal(0, 0.8, 60)
    head = base + 0.1 + 0.05 * generator.normal(size=60)
    found = paired_t(Pairs.of(base, head))
    for share in (0.02, 0.05, 0.1, 0.2):
        combined = (1 + share) * base - head
        low = combined.mean() - critical(0.95, 59) * combined.std(ddof=1) / math.sqrt(60)
        most = allowed(found, share, higher_is_better=False)
        assert (low >= 0) == (found.high <= most)
        if combined.std() > (base - head).std():
            assert most - found.high == pytest.approx(low, abs=1e-12)
        else:
            assert most == share * found.base


@given(st.floats(0.1, 5), st.floats(-1, 1), st.floats(0.001, 1), st.floats(0.001, 3), st.floats(0, 0.5), st.booleans())
def test_the_sign_of_the_metric_is_a_convention(
    base: float, delta: float, error: float, noise: float, share: float, higher: bool
) -> None:
    reach = 1.959963984540054 * error
    found = dataclasses.replace(
        FOUND, base=base, head=base + delta, delta=delta, low=delta - reach, high=delta + reach, standard_error=error,
        base_error=noise, head_error=math.hypot(noise, error),
    )  # fmt: skip
    mirrored = dataclasses.replace(
        found, base=-base, head=-base - delta, delta=-delta, low=-found.high, high=-found.low
    )
    one, two = allowed(found, share, higher_is_better=higher), allowed(mirrored, share, higher_is_better=not higher)
    assert one == pytest.approx(two)
    assert one <= share * base


def test_what_is_known_is_not_made_worse() -> None:
    assert allowed(FOUND, 0.0, higher_is_better=True) == 0
    assert allowed(dataclasses.replace(FOUND, base_error=None), 0.1, higher_is_better=True) == pytest.approx(0.08)
    same = identical(0.5, n=10, confidence=0.95, method="t", error=0.1)
    assert allowed(same, 0.1, higher_is_better=True) == pytest.approx(0.05)
    # Of a proportion of which little changes, noise in the base is a small part.
    found = tango(PairedTable(both_right=780, only_base=30, only_head=20, both_wrong=170))
    assert 0.995 * 0.05 * found.base < allowed(found, 0.05, higher_is_better=True) <= 0.05 * found.base
    for wrong in (-0.1, math.nan):
        with pytest.raises(ValueError, match="share"):
            allowed(FOUND, wrong, higher_is_better=True)


def shifted(generator: Generator, n: int, noise: float, share: float) -> Difference:
    """A loss that a few examples make, on both sides alike, and a head that is worse by as much on every example."""
    base = np.exp(generator.normal(size=n))
    return paired_t(Pairs.of(base, base + share * math.exp(0.5) + noise * generator.normal(size=n)))


def scaled(generator: Generator, n: int, noise: float, share: float, *, root: bool = False) -> Difference:
    """A head whose losses are larger in proportion."""
    common = np.exp(0.7 * generator.normal(size=n))
    base, head = (common * np.exp(noise * generator.normal(size=n)) for _ in range(2))
    pairs = Pairs.of(base, head * (1 + share) ** (2 if root else 1))
    return root_mean(pairs) if root else paired_t(pairs)


def accuracy(generator: Generator, n: int, right: float, share: float) -> Difference:
    lost, won = 0.02 + share * right, 0.02
    cells = generator.multinomial(n, [right - lost, lost, won, 1 - right - won])
    both, only_base, only_head, neither = (int(cell) for cell in cells)
    return tango(PairedTable(both_right=both, only_base=only_base, only_head=only_head, both_wrong=neither))


def how_often(found: list[Difference], share: float, *, higher: bool, known: bool) -> float:
    bad = [one.low if higher else -one.high for one in found]
    most = [share * abs(one.base) if known else allowed(one, share, higher_is_better=higher) for one in found]
    return float(np.mean([end >= -margin for end, margin in zip(bad, most, strict=True)]))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("draw", "share", "higher"),
    [
        (lambda generator: shifted(generator, 800, 0.5, 0.1), 0.1, False),
        (lambda generator: shifted(generator, 800, 0.1, 0.1), 0.1, False),
        (lambda generator: scaled(generator, 500, 0.3, 0.1), 0.1, False),
        (lambda generator: scaled(generator, 1_000, 0.05, 0.1, root=True), 0.1, False),
        (lambda generator: accuracy(generator, 1_000, 0.8, 0.02), 0.02, True),
        (lambda generator: accuracy(generator, 300, 0.2, 0.3), 0.3, True),
    ],
    ids=["a shift", "a shift on a noisy base", "a factor", "rmse", "accuracy", "a rare success"],
)
def test_a_loss_of_exactly_the_share_is_rarely_held(draw: object, share: float, higher: bool) -> None:
    generator = np.random.default_rng(2024)
    found = [draw(generator) for _ in range(PAIRS)]  # type: ignore[operator]
    assert how_often(found, share, higher=higher, known=False) <= LIMIT


@pytest.mark.thorough
def test_with_the_base_taken_as_known_it_is_held_too_often() -> None:
    """Why this module is there."""
    generator = np.random.default_rng(2024)
    found = [shifted(generator, 500, 0.1, 0.1) for _ in range(PAIRS)]
    assert how_often(found, 0.1, higher=False, known=True) > 0.15
    assert how_often(found, 0.1, higher=False, known=False) <= LIMIT
