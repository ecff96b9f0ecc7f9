"""From two profiles to what has drifted, column by column, with a sentence for each. Layer: core. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ci_ml.core import numbers
from ci_ml.core.drifts import (
    BARS,
    LEAST,
    METHODS,
    OF_ONE_VALUE,
    Bars,
    ColumnDrift,
    Drift,
    DriftConfig,
    Finding,
    LimitsConfig,
)
from ci_ml.core.kinds import Kind
from ci_ml.core.listing import some
from ci_ml.core.profiles import ColumnProfile, Profile
from ci_ml.core.types import Gap
from ci_ml.stats import benjamini, distances, shares
from ci_ml.stats.distances import Counted
from ci_ml.stats.estimate import NotEstimable

# What is between these shares of both sides is drawn.
_DRAWN = 0.005
_OTHERS = "(all others)"
NAMED = 5
# Rows that hold no value to compare, by why.
_STATES = {
    "missing": "without a value",
    "nan": "that are NaN",
    "infinite": "that are infinite",
    "unreadable": "that cannot be read as a number",
}


def judge(reference: Profile, current: Profile, config: DriftConfig, *, examples: int = NAMED) -> Drift:
    """Judge every column that is compared, and the share of those that drifted.

    A category is a value of the data: at most `examples` are named in a sentence, and with 0 none is told anywhere.

    A column of the reference that the current table does not have is a gap; one that is only in the current table is
    listed, for it has nothing to be compared with.
    """
    columns = [
        _column(column, current, config, examples)
        for name, column in reference.columns.items()
        if config.columns.chosen(name)
    ]
    asked = dict.fromkeys((*(config.columns.only or ()), *config.columns.never))
    columns += [
        _unjudged(name, Kind.OTHER, Gap(reason=f"the reference has no column {name}", absent=True), config)
        for name in asked
        if name not in reference.columns
    ]
    found = Drift(
        reference=reference.name,
        current=current.name,
        rows=(reference.rows, current.rows),
        columns=tuple(columns),
        share_limit=config.share,
        alpha=config.alpha,
        together=None,
        added=tuple(name for name in current.columns if name not in reference.columns and config.columns.chosen(name)),
    )
    return beside(found, None)


def beside(drift: Drift, together: Finding | Gap | None) -> Drift:
    """The same with what a classifier found on all columns together, which belongs to the family of tests as well."""
    columns, together = _corrected(drift.columns, together, drift.alpha)
    said = tuple(replace(column, sentence=_sentence(column)) for column in columns)
    return replace(drift, columns=said, together=together)


def _corrected(
    columns: Sequence[ColumnDrift], together: Finding | Gap | None, alpha: float
) -> tuple[list[ColumnDrift], Finding | Gap | None]:
    """All tests of a table are one family."""
    tests = [test for column in columns for test in column.tests]
    tests += [together] if isinstance(together, Finding) else []
    answers = iter(benjamini.adjusted([test.p_value for test in tests]))

    def settled(test: Finding) -> Finding:
        return replace(test, corrected=next(answers), alpha=alpha)

    found = [replace(column, tests=tuple(map(settled, column.tests))) for column in columns]
    return found, settled(together) if isinstance(together, Finding) else together


def _unjudged(name: str, kind: Kind, gap: Gap, config: DriftConfig) -> ColumnDrift:
    never = name in config.columns.never
    return ColumnDrift(column=name, kind=kind, tests=(), statistics={}, gap=gap, sentence="", never=never)


def _column(reference: ColumnProfile, current_table: Profile, config: DriftConfig, examples: int) -> ColumnDrift:
    name, kind = reference.name, reference.kind
    current = current_table.columns.get(name)
    if current is None:
        return _unjudged(name, kind, Gap(reason=f"{current_table.name} has no column {name}", absent=True), config)
    if not reference.rows or not current.rows:
        which = current_table.name if reference.rows else "the reference"
        return _unjudged(name, kind, Gap(reason=f"{which} has no rows"), config)
    states = _states(reference, current, config.limits)
    found = _values(reference, current, config.limits, examples)
    return ColumnDrift(
        column=name,
        kind=kind,
        tests=(*found.tests, *states.tests),
        statistics=found.statistics | states.statistics,
        gap=found.gap,
        sentence="",
        bars=found.bars,
        never=name in config.columns.never,
        new=found.new,
        vanished=found.vanished,
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a column's values, or what it has instead of values, came to."""

    tests: tuple[Finding, ...]
    statistics: dict[str, float]
    gap: Gap | None = None
    bars: Bars | None = None
    new: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()


def _states(reference: ColumnProfile, current: ColumnProfile, limits: LimitsConfig) -> _Found:
    """Rows that hold no value to compare: missing, NaN, infinite, unreadable, each by itself."""
    if any(isinstance(side.values, Gap) and side.values.n is None for side in (reference, current)):
        return _Found(tests=(), statistics={})  # a column that was not counted
    tests: list[Finding] = []
    found: dict[str, float] = {}
    for state, words in _STATES.items():
        hits, current_hits = getattr(reference, state), getattr(current, state)
        if state != "missing" and not hits and not current_hits:
            continue
        rates = shares.proportions(hits, reference.rows, current_hits, current.rows)
        found |= {
            f"{state}_reference": rates.reference,
            f"{state}_current": rates.current,
            f"{state}_p_value": rates.p_value,
        }
        if limits.missing is not None and (hits or current_hits):
            verb = "rose" if rates.change > 0 else "fell"
            tests.append(
                Finding(
                    what=state,
                    method=f"{METHODS['missing']} {words}",
                    effect=abs(rates.change),
                    limit=limits.missing,
                    test=rates.method,
                    p_value=rates.p_value,
                    n=(reference.rows, current.rows),
                    words=f"the share of rows {words} {verb} {_from_to(rates.reference, rates.current)}",
                )
            )
    return _Found(tests=tuple(tests), statistics=found)


def _values(reference: ColumnProfile, current: ColumnProfile, limits: LimitsConfig, examples: int) -> _Found:
    """The distribution of the values on both sides."""
    for side, which in ((reference, "the reference"), (current, "the current table")):
        if isinstance(side.values, Gap):
            return _Found(tests=(), statistics={}, gap=side.values)
        if not side.filled:
            return _Found(tests=(), statistics={}, gap=Gap(reason=f"{which} holds no value in it"))
    small = min((side.filled, which) for side, which in ((reference, "the reference"), (current, "the current table")))
    if small[0] < LEAST:
        few = f"{small[1]} holds {small[0]} value{'' if small[0] == 1 else 's'} in it, and a test needs {LEAST}"
        return _Found(tests=(), statistics={}, gap=Gap(reason=few, n=small[0]))
    if reference.numbers is not None and current.numbers is not None:
        return _numbers(reference.numbers, current.numbers, limits, times=reference.kind is Kind.TIME)
    if reference.categories is not None and current.categories is not None:
        return _categories(reference.categories, current.categories, limits, examples)
    return _Found(tests=(), statistics={}, gap=Gap(reason="one side was counted as numbers, the other as categories"))


# --- Numbers ---


def _numbers(reference: Counted, current: Counted, limits: LimitsConfig, *, times: bool) -> _Found:
    ks = distances.kolmogorov_smirnov(reference, current)
    p_value = distances.chance(reference, current, ks)
    which = distances.bins(reference)
    counts = distances.binned(reference, which), distances.binned(current, which)
    psi = shares.stability(*counts)
    found = {
        "ks": ks.value,
        "ks_error": ks.error,
        "ks_p_value": p_value,
        "psi": psi,
        "jensen_shannon": shares.jensen_shannon(*counts),
        "mean_reference": reference.mean,
        "mean_current": current.mean,
        "std_reference": reference.deviation,
        "std_current": current.deviation,
        "min_reference": reference.low,
        "min_current": current.low,
        "max_reference": reference.high,
        "max_current": current.high,
    }
    effects = [("psi", METHODS["psi"], psi, limits.psi), ("ks", METHODS["ks"], ks.value, limits.ks)]
    gap = None
    try:
        moved = distances.wasserstein(reference, current)
        found["wasserstein"] = moved.value
        moved = distances.normed(moved, reference.deviation)
        found |= {"wasserstein_normed": moved.value, "wasserstein_error": moved.error}
        effects.insert(0, ("wasserstein", METHODS["wasserstein"], moved.value, limits.wasserstein))
    except NotEstimable as error:
        if reference.low == reference.high:
            # One value has no spread to measure with; how many rows have another one says as much.
            effects[1] = ("ks", METHODS["ks"], ks.value, limits.ks if limits.ks is not None else OF_ONE_VALUE)
        elif limits.wasserstein is not None:
            gap = Gap(reason=str(error))
    words = _movement(reference, current, times=times)
    tests = tuple(
        Finding(
            what=name,
            method=method,
            effect=effect,
            limit=limit,
            test="KS",
            p_value=p_value,
            n=(reference.n, current.n),
            words=words,
        )
        for name, method, effect, limit in effects
        if limit is not None
    )
    finite = {name: value for name, value in found.items() if math.isfinite(value)}
    return _Found(tests=_one_question(tests), statistics=finite, gap=gap, bars=bars(reference, current))


def _one_question(tests: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Several effects with one p-value are one test: the one that goes furthest beyond its limit speaks for them."""
    return (max(tests, key=lambda test: test.excess),) if tests else ()


def _movement(reference: Counted, current: Counted, *, times: bool) -> str:
    if times:
        return ""
    one, other = reference.mean, current.mean
    if not (math.isfinite(one) and math.isfinite(other)):
        return ""
    spread = max(reference.deviation, current.deviation) if reference.n > 1 and current.n > 1 else 0.0
    if spread > 0 and abs(other - one) >= 0.005 * spread:
        digits = numbers.decimals(one, other, other - one)
        return f"its mean {'rose' if other > one else 'fell'} from {_plain(one, digits)} to {_plain(other, digits)}"
    before, after = reference.deviation, current.deviation
    if before > 0 and math.isfinite(after) and abs(after - before) > 0.05 * before:
        digits = numbers.decimals(before, after, after - before)
        verb = "rose" if after > before else "fell"
        return f"its standard deviation {verb} from {_plain(before, digits)} to {_plain(after, digits)}"
    return ""


def _plain(value: float, digits: int) -> str:
    """Four digits tell how a mean moved, unless it takes more to see that it did."""
    short = numbers.plain(float(f"{value:.4g}"))
    return short if digits < 0 or len(short) <= 12 else numbers.plain(value, digits)


# --- Categories ---


def _categories(
    reference: Mapping[str, int], current: Mapping[str, int], limits: LimitsConfig, examples: int
) -> _Found:
    names = [*reference, *(name for name in current if name not in reference)]
    one, two = (np.array([side.get(name, 0) for name in names], dtype=np.int64) for side in (reference, current))
    n = int(one.sum()), int(two.sum())
    try:
        test = shares.chi_square(one, two)
    except NotEstimable as error:
        return _Found(tests=(), statistics={}, gap=Gap(reason=str(error)))
    psi, js = shares.stability(one, two), shares.jensen_shannon(one, two)
    new = tuple(name for name in current if current[name] and not reference.get(name))
    vanished = tuple(name for name in reference if reference[name] and not current.get(name))
    unseen = sum(current[name] for name in new) / n[1]
    found = {
        "jensen_shannon": js,
        "psi": psi,
        "chi_square": test.statistic,
        "chi_square_df": float(test.df),
        "chi_square_p_value": test.p_value,
        "categories_reference": float(sum(1 for count in reference.values() if count)),
        "categories_current": float(sum(1 for count in current.values() if count)),
        "new_categories": float(len(new)),
        "new_categories_share": unseen,
        "vanished_categories": float(len(vanished)),
        "vanished_categories_share": sum(reference[name] for name in vanished) / n[0],
    }
    words = _largest_change(names, one, two, told=examples > 0)
    effects = [
        ("jensen_shannon", METHODS["jensen_shannon"], js, limits.jensen_shannon),
        ("psi", METHODS["psi"], psi, limits.psi),
    ]
    tests = _one_question(
        tuple(
            Finding(
                what=name,
                method=method,
                effect=effect,
                limit=limit,
                test=test.method,
                p_value=test.p_value,
                n=n,
                words=words,
            )
            for name, method, effect, limit in effects
            if limit is not None
        )
    )
    if limits.new_categories is not None and unseen:
        which = f"{len(new):,} new categor{'y' if len(new) == 1 else 'ies'}"
        which += f" ({some(new, examples)})" if examples else ""
        tests += (
            Finding(
                what="new_categories",
                method=METHODS["new_categories"],
                effect=unseen,
                limit=limits.new_categories,
                test="unseen categories",
                p_value=shares.unseen(one, two),
                n=n,
                words=f"{_percent(unseen)} of the rows are in {which}",
            ),
        )
    return _Found(
        tests=tests,
        statistics=found,
        bars=_category_bars(names, one, two, told=examples > 0),
        new=new if examples else (),
        vanished=vanished if examples else (),
    )


def _largest_change(names: Sequence[str], one: NDArray[np.int64], two: NDArray[np.int64], *, told: bool) -> str:
    p, q = one / one.sum(), two / two.sum()
    at = int(np.abs(q - p).argmax())
    if p[at] == q[at]:
        return ""
    which = names[at] if told else "one category"
    return f"the share of {which} {'rose' if q[at] > p[at] else 'fell'} {_from_to(p[at], q[at])}"


def _category_bars(names: Sequence[str], one: NDArray[np.int64], two: NDArray[np.int64], *, told: bool) -> Bars:
    """The most frequent categories of either side; all others are one bar."""
    most = np.maximum(one / one.sum(), two / two.sum())
    kept = np.argsort(-most, kind="stable")[: BARS if len(names) <= BARS else BARS - 1]
    labels = [names[at] if told else f"category {rank}" for rank, at in enumerate(kept, 1)]
    sides = [[int(side[at]) for at in kept] for side in (one, two)]
    if len(names) > BARS:
        labels.append(_OTHERS)
        for side, bars_ in zip((one, two), sides, strict=True):
            bars_.append(int(side.sum()) - sum(bars_))
    return Bars(labels=tuple(labels), reference=tuple(sides[0]), current=tuple(sides[1]))


# --- Bars of numbers ---


def bars(reference: Counted, current: Counted) -> Bars | None:
    """Bars of equal width over what lies between the outermost half percents of both sides.

    A cell belongs to the bar that its middle is in, so bars are as exact as cells are small. None for numbers so far
    apart that there is no width.
    """
    left, right = distances.ends(reference, current)
    middle = left / 2 + right / 2
    low, high = _drawn(reference, current, middle)
    few = sorted({float(value) for value in middle[(reference.counts + current.counts) > 0]})
    if len(few) == 1:
        return Bars(labels=(numbers.plain(few[0]),), reference=(reference.n,), current=(current.n,))
    with np.errstate(over="ignore"):
        edges = np.linspace(low, high, BARS + 1)
    if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        return None
    inside = (middle >= low) & (middle <= high)
    counts = [
        np.histogram(middle[inside], bins=edges, weights=side.counts[inside])[0].astype(np.int64)
        for side in (reference, current)
    ]
    beyond = reference.n - int(counts[0].sum()), current.n - int(counts[1].sum())
    return Bars(
        edges=tuple(map(float, edges)),
        reference=tuple(map(int, counts[0])),
        current=tuple(map(int, counts[1])),
        beyond=beyond,
    )


def _drawn(reference: Counted, current: Counted, middle: NDArray[np.float64]) -> tuple[float, float]:
    lows, highs = [], []
    for side in (reference, current):
        reached = np.cumsum(side.shares)
        lows.append(float(middle[int(np.searchsorted(reached, _DRAWN))]))
        highs.append(float(middle[min(int(np.searchsorted(reached, 1 - _DRAWN)), len(middle) - 1)]))
    return min(lows), max(highs)


# --- Sentences ---


def _sentence(column: ColumnDrift) -> str:
    name, test = column.column, column.decided
    if column.drifted is None:
        assert column.gap is not None
        return f"{name} cannot be compared: {column.gap.reason}."
    assert test is not None or column.gap is None
    if test is None:
        return f"{name} did not drift: every value is the same on both sides."
    others = [other for other in column.tests if other.drifted and other is not test]
    more = "".join(f"; {other.words or other.method}" for other in others)
    if column.drifted:
        why = f"; {test.words}" if test.words else ""
        return f"{name} drifted: {_effect(test)}, {_chance(test)}{why}{more}."
    if test.effect > test.limit:
        return f"{name} did not drift for sure: {_effect(test)}, which may be chance ({_chance(test)})."
    significant = f", although {_chance(test)}" if test.significant else ""
    return f"{name} did not drift: {_effect(test)}{significant}."


def _effect(test: Finding) -> str:
    return f"{test.method} {_size(test, test.effect)} (limit {_size(test, test.limit)})"


def _size(test: Finding, value: float) -> str:
    if test.rate:
        return _percent(value)
    return _size_of(value)


def _size_of(value: float) -> str:
    return numbers.plain(float(f"{value:.3g}"))


def _chance(test: Finding) -> str:
    shown = "< 0.0001" if test.corrected < 1e-4 else f"= {numbers.plain(float(f'{test.corrected:.2g}'))}"
    return f"{test.test} p {shown}"


def _from_to(one: float, other: float) -> str:
    return f"from {_percent(one)} to {_percent(other)}"


def _percent(share: float) -> str:
    if 0 < share < 1e-4:
        return "less than 0.01%"
    return f"{numbers.plain(float(f'{share * 100:.3g}'))}%"


def together(auc: float, limit: float, p_value: float, n: tuple[int, int], columns: Sequence[str]) -> Finding:
    """What it means that a classifier told two tables apart, mostly by these columns; not yet corrected."""
    which = f", mostly by {some(columns, 3)}" if columns else ""
    return Finding(
        what="classifier",
        method=METHODS["classifier"],
        effect=auc,
        limit=limit,
        test="Mann-Whitney",
        p_value=p_value,
        n=n,
        words=f"a classifier tells rows of the two tables apart with ROC-AUC {_size_of(auc)}{which}",
    )


def sentence(drift: Drift) -> str:
    """What became of the table, for people."""
    if not drift.columns:
        return "No column was compared, so nothing is known."
    judged = len(drift.columns) - len(drift.unknown)
    parts = []
    if judged:
        drifted = [column.column for column in drift.drifted]
        named = f": {some(drifted, NAMED)}" if drifted else ""
        limit = f"the limit is {_percent(drift.share_limit)}"
        parts.append(f"{len(drifted)} of {judged} column{'' if judged == 1 else 's'} drifted ({limit}){named}")
    if forbidden := [column.column for column in drift.drifted if column.never]:
        parts.append(f"{some(forbidden, NAMED)} must never drift")
    if isinstance(drift.together, Finding) and drift.together.drifted:
        parts.append(f"by the other columns together {drift.together.words}")
    if isinstance(drift.together, Gap):
        parts.append(f"the columns could not be compared together: {drift.together.reason}")
    if drift.unknown:
        count = len(drift.unknown)
        named = some([column.column for column in drift.unknown], NAMED)
        parts.append(f"{count} column{'' if count == 1 else 's'} could not be compared: {named}")
    return "; ".join(parts) + "."
