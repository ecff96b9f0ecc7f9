"""One table against another: profile both, judge every column, then all of them together. Layer: usecases."""

from collections.abc import Sequence
from dataclasses import replace

from ci_ml.core import drifting
from ci_ml.core.drifting import NAMED
from ci_ml.core.drifts import Drift, DriftConfig, Finding
from ci_ml.core.profiles import Profile
from ci_ml.core.types import Gap
from ci_ml.metrics import profiles, two_sample
from ci_ml.metrics.columns import Source
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.profiles import Sample
from ci_ml.stats.estimate import NotEstimable

_NO_SAMPLE = "a profile has no sample of rows, so columns were judged one by one, and not together"


def drift(engine: Engine, reference: Source, current: Source, config: DriftConfig, *, examples: int = NAMED) -> Drift:
    """Judge a table by another one that the same engine reads. Raises Unusable for a file that cannot be read."""
    profile, sampled = profiles.reference(engine, reference, config.columns.chosen)
    return of_profile(engine, profile, current, config, sampled, examples=examples)


def of_profile(
    engine: Engine,
    reference: Profile,
    current: Source,
    config: DriftConfig,
    sampled: Sample | None = None,
    *,
    examples: int = NAMED,
) -> Drift:
    """Judge a table by a profile; without a sample of the reference's rows, only column by column."""
    counted = profiles.against(engine, current, reference, config.columns.chosen)
    found = drifting.judge(reference, counted, config, examples=examples)
    limit = config.limits.classifier
    if not config.multivariate or limit is None or not reference.rows or not counted.rows:
        return found
    if sampled is None:
        return replace(found, notices=(*found.notices, _NO_SAMPLE))
    # Columns that drifted by themselves would tell the tables apart, and nothing new about them.
    names = [column.column for column in found.columns if column.drifted is False]
    if len(names) < 2:
        return found
    other = profiles.sample(engine, current, reference, names)
    return drifting.beside(found, _together(reference, names, sampled, other, limit))


def _together(
    profile: Profile, names: Sequence[str], reference: Sample, current: Sample, limit: float
) -> Finding | Gap:
    kinds = {name: profile.columns[name].kind for name in names}
    try:
        found, mostly = two_sample.two_sample(reference, current, kinds)
    except NotEstimable as error:
        return Gap(reason=str(error))
    return drifting.together(found.auc, limit, found.p_value, found.n, mostly)
