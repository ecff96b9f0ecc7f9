import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.stats import flips
from ci_ml.stats.estimate import Difference, TooFew
from ci_ml.stats.influence import Totals
from ci_ml.stats.power import needed, smallest_margin_of
from ci_ml.stats.proportion import wilson
from tests.stats.simulated import Generator, World, check

tables = st.integers(2, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(tables, st.sampled_from([0.8, 0.95]))
def test_a_flip_rate_is_a_share_of_examples(table: tuple[int, int], confidence: float) -> None:
    flipped, n = table
    found, expected = flips.difference(flipped, n, confidence), wilson(flipped, n, confidence)
    assert (found.base, found.head, found.delta) == (0, flipped / n, flipped / n)
    assert (found.low, found.high, found.n) == (expected.low, expected.high, n)
    assert found.low <= found.delta <= found.high
    assert found.low < found.high
    assert found.p_value == (0 if flipped else 1)
    assert found.base_error == 0
    assert found.head_error
    assert flips.value(flipped, n, confidence=confidence) == expected
    assert flips.value(flipped, n, head=False).value == 0


def test_one_example_is_too_few() -> None:
    with pytest.raises(TooFew):
        flips.difference(0, 1)
    with pytest.raises(ValueError, match="not a proportion"):
        flips.difference(5, 4)


def clustered(cluster: np.ndarray, flipped: np.ndarray) -> Difference:
    sums = np.stack([np.bincount(cluster), np.bincount(cluster, weights=flipped)], axis=1)
    return flips.clustered_difference(Totals.of(sums, n=len(cluster), clusters=True))


def test_clusters_that_flip_together_make_it_less_sure() -> None:
    generator = np.random.default_rng(1)
    cluster = np.repeat(np.arange(100), 10)
    together, apart = (generator.random(100) < 0.1)[cluster], generator.random(1_000) < 0.1
    one, two, plain = clustered(cluster, together), clustered(cluster, apart), flips.difference(int(apart.sum()), 1_000)
    assert (one.base, one.delta, one.clusters, one.n) == (0, together.mean(), 100, 1_000)
    assert one.high - one.low > 2 * (two.high - two.low)
    assert two.high - two.low == pytest.approx(plain.high - plain.low, rel=0.15)
    sums = Totals.of(np.stack([np.full(100, 10), np.bincount(cluster, weights=apart)], axis=1), n=1_000, clusters=True)
    value = flips.clustered_value(sums)
    assert (value.value, value.low, value.high) == pytest.approx((two.delta, two.low, two.high))


def test_no_flip_in_any_cluster_is_left_to_the_caller() -> None:
    assert clustered(np.repeat(np.arange(5), 3), np.zeros(15)).identical


def test_the_smallest_margin_leaves_room_for_as_many_flips_again() -> None:
    found = flips.difference(20, 1_000)
    margin = smallest_margin_of(found)
    assert margin
    assert margin > found.high
    assert needed(found, margin) == pytest.approx(1_000, abs=1)
    assert needed(found, 0.02) is None
    none = flips.difference(0, 1_000)
    assert (smallest_margin_of(none) or 0) > none.high
    assert (needed(found, 0.021) or 0) > 100_000
    # A model that flips no more on another such test set holds it four times in five.
    drawn = np.random.default_rng(3).binomial(1_000, 0.02, 2_000)
    assert np.mean([flips.difference(int(one), 1_000).high <= margin for one in drawn]) > 0.75


@pytest.mark.thorough
@pytest.mark.parametrize(("n", "rate"), [(2_000, 0.02), (500, 0.1)])
def test_a_rate_at_the_margin_is_rarely_held(n: int, rate: float) -> None:
    def draw(generator: Generator) -> Difference:
        return flips.difference(int(generator.binomial(n, rate)), n)

    check(World(draw, rate, higher_is_better=False))


@pytest.mark.thorough
def test_a_rate_at_the_margin_is_rarely_held_by_clusters() -> None:
    def draw(generator: Generator) -> Difference:
        cluster = np.repeat(np.arange(150), generator.integers(1, 10, 150))
        ease = generator.uniform(0.0, 0.3, 150)[cluster]
        return clustered(cluster, generator.random(len(cluster)) < ease)

    check(World(draw, 0.15, higher_is_better=False))
