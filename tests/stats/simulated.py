"""What the intervals promise: how often a change is wrongly accused, and a loss wrongly called harmless.

Per method, over 2,000 pairs: of an unchanged model at most 2.5 % come out as worse (and as many as better), and at a
true loss of exactly the margin at most 2.5 % come out as held; plus three standard errors of the simulation, 1.05 %.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ci_ml.stats.estimate import Difference, NotEstimable

PAIRS = 2_000
LIMIT = 0.025 + 3 * math.sqrt(0.025 * 0.975 / PAIRS)

Generator = np.random.Generator


@dataclass(frozen=True)
class World:
    """A way to draw test sets and judge two models on them, and what the models truly differ by."""

    draw: Callable[[Generator], Difference]
    true: float
    higher_is_better: bool = True


def beyond(world: World) -> tuple[float, float]:
    """How often the interval's bad end misses the true difference on the good side, and the other way round."""
    generator = np.random.default_rng(2024)
    hopeful = gloomy = 0
    for _ in range(PAIRS):
        try:
            found = world.draw(generator)
        except NotEstimable:  # no number, so no claim
            continue
        if found.identical:
            continue
        above, below = found.low >= world.true, found.high <= world.true
        hopeful += above if world.higher_is_better else below
        gloomy += below if world.higher_is_better else above
    return hopeful / PAIRS, gloomy / PAIRS


def check(world: World) -> None:
    hopeful, gloomy = beyond(world)
    assert hopeful <= LIMIT, "better than it is: an unchanged model improved, or a loss of the margin held"
    # At a true loss nobody is wronged by an interval that lies below it; it only may not be careless either.
    assert gloomy <= (LIMIT if world.true == 0 else 2 * LIMIT), "worse than it is: an unchanged model regressed"


def worlds(makers: dict[str, Callable[[], World]]) -> list[Any]:
    """Parameters for a test; a world is made where it is needed, because some are slow to make."""
    return [pytest.param(make, id=name) for name, make in makers.items()]
