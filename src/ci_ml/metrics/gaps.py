"""How far a metric lies apart between groups, from the statistics of the groups. Layer: metrics."""

from collections.abc import Mapping, Sequence
from functools import partial

from ci_ml.metrics.statistic import Statistic
from ci_ml.stats import gaps
from ci_ml.stats.estimate import Difference, Estimate
from ci_ml.stats.gaps import Gap

# The statistics of every group, by its name.
Groups = Mapping[str, Statistic]


def widest(metrics: Sequence[Groups], confidence: float, *, head: bool, ratio: bool) -> Gap:
    """The widest gap of a side, with the groups that it is between."""
    sides = [{name: _value(found, head=head) for name, found in groups.items()} for groups in metrics]
    return gaps.widest_of(sides, confidence, combine=gaps.ratio if ratio else gaps.difference)


def _value(found: Statistic, *, head: bool) -> gaps.Group:
    return lambda confidence: found.value(confidence, head)


def statistic(metrics: Sequence[Groups], *, ratio: bool) -> Statistic:
    """The widest gap as a statistic: its change from base to head, and its own value."""
    return Statistic(difference=partial(_change, metrics, ratio), value=partial(_own, metrics, ratio))


def _change(metrics: Sequence[Groups], ratio: bool, confidence: float) -> Difference:
    groups = [{name: found.difference(confidence) for name, found in part.items()} for part in metrics]
    return gaps.change(groups, confidence, ratio=ratio)


def _own(metrics: Sequence[Groups], ratio: bool, confidence: float, head: bool) -> Estimate:
    return widest(metrics, confidence, head=head, ratio=ratio).estimate
