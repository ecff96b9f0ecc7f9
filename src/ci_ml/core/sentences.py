"""Why a comparison has its status, in one sentence. Layer: core. Pure."""

from collections.abc import Iterable

from ci_ml.core import numbers
from ci_ml.core.gates import Gate, is_glob
from ci_ml.core.types import Contrast, Direction, Gap, Measurement, Reading, Require, Status
from ci_ml.stats import power
from ci_ml.stats.estimate import Difference, NotEstimable
from ci_ml.stats.normal import critical

_DASH = "…"


def missing(gate: Gate, base: Reading, head: Reading) -> str:
    """Why there is no number on one side."""
    if isinstance(head, Gap) and isinstance(base, Gap) and head.absent and base.absent:
        if is_glob(str(gate.metric)):
            return f"{gate.name} matches no metric of the base or of the head."
        return f"{gate.name} exists neither in the base nor in the head: {head.reason}."
    if isinstance(head, Gap):
        gone = " The base has it, so it disappeared." if head.absent and isinstance(base, Measurement) else ""
        return f"{gate.name} cannot be read in the head: {head.reason}.{gone}"
    assert isinstance(base, Gap)
    return f"{gate.name} cannot be read in the base: {base.reason}."


def point(gate: Gate, found: Contrast, status: Status, *, beyond: bool) -> str:
    """What two plain numbers came to; `beyond` says that the head is beyond a bound."""
    if beyond:
        return _violation(gate, found.head)
    if found.base is None:
        value = numbers.plain(found.head, numbers.decimals(None, found.head))
        return f"{gate.name} is new: {value}; the base has nothing to compare it with."
    if status is Status.UNCHANGED:
        return f"{gate.name} is unchanged at {numbers.plain(found.head, numbers.decimals(found.base, found.head))}."
    movement = _movement(gate, found.base, found.head)
    if status is Status.IMPROVED:
        return f"{movement}, which is better."
    if status is Status.REGRESSED:
        return f"{movement}; the gate allows {allowance(gate, found.base)}."
    if gate.margin.at(found.base) == 0:
        return f"{movement}, which is no more than rounding."
    return f"{movement}, within the allowed {allowance(gate, found.base).removeprefix('a ')}."


def _violation(gate: Gate, head: float) -> str:
    if gate.floor is not None and head < gate.floor:
        digits = numbers.decimals(gate.floor, head, gate.floor - head)
        return f"{gate.name} is {numbers.plain(head, digits)}, below its floor of {numbers.plain(gate.floor)}."
    assert gate.ceiling is not None
    digits = numbers.decimals(gate.ceiling, head, head - gate.ceiling)
    return f"{gate.name} is {numbers.plain(head, digits)}, above its ceiling of {numbers.plain(gate.ceiling)}."


def _movement(gate: Gate, base: float, head: float) -> str:
    delta = head - base
    digits = numbers.decimals(base, head, delta)
    verb = "rose" if delta > 0 else "fell"
    change = numbers.signed(delta, digits)
    share = f", {numbers.percent(delta / abs(base))}" if base and gate.margin.relative else ""
    return f"{gate.name} {verb} from {numbers.plain(base, digits)} to {numbers.plain(head, digits)} ({change}{share})"


def allowance(gate: Gate, base: float) -> str:
    """What the gate lets a metric lose, in words: `a loss of 0.01`, `a rise of 20% (42.4)`, `no loss`."""
    noun = "loss" if gate.direction is Direction.HIGHER else "rise"
    if gate.margin.value == 0:
        return f"no {noun}"
    if gate.margin.relative:
        return f"a {noun} of {gate.margin} ({_limit(gate, base)})"
    return f"a {noun} of {numbers.amount(gate.margin.value, rate=gate.rate)}"


def _limit(gate: Gate, base: float) -> str:
    """The margin with its unit; a share of the base has no more digits than anybody reads."""
    allowed = gate.margin.at(base)
    return numbers.amount(float(f"{allowed:.4g}") if gate.margin.relative else allowed, rate=gate.rate)


def unmeasured(gate: Gate, gap: Gap) -> str:
    """Why a table says nothing about a metric."""
    return f"{gate.name} cannot be judged: {gap.reason.removesuffix('.')}."


def expectation(gate: Gate, found: Contrast, status: Status, said: str = "", shown: str = "") -> str:
    """Whether a table is as expected: `said` is that, where it is not so many rows; `shown` are some that are not."""
    if said:
        return f"{gate.name} {said.removesuffix('.')}."
    n = found.n or 0
    rows = f"{n:,} row{'' if n == 1 else 's'}"
    if found.head == 0:
        return f"{gate.name} holds in {f'all {rows}' if n != 1 else 'its one row'}."
    some = f" ({shown})" if shown else ""
    broken = f"{gate.name} does not hold in {violations(gate, found.head, n)} of {rows}{some}"
    if status is Status.HELD:
        return f"{broken}, within the allowed {allowed(gate)}."
    return f"{broken}; {f'at most {allowed(gate)} may break it' if gate.ceiling else 'it has to hold in all'}."


def violations(gate: Gate, value: float, n: int) -> str:
    """How many rows break what is expected, whether a number or a share of them is judged."""
    return f"{round(value * n) if gate.unit == 'share' else round(value):,}"


def allowed(gate: Gate) -> str:
    """What an expectation allows: `5`, `1%`."""
    ceiling = gate.ceiling or 0.0
    return f"{ceiling * 100:.12g}%" if gate.unit == "share" else numbers.plain(ceiling)


def small(gate: Gate, n: int | None, why: str = "") -> str:
    """A slice that is too small to be judged; `why` it could not even be measured, if so."""
    counted = f"{n:,} example{'' if n == 1 else 's'}" if n is not None else "no examples"
    of = f" to measure it on ({why.removesuffix('.')})" if why else ""
    return f"{gate.name} has {counted}{of}, fewer than the {gate.min_n:,} that its gate asks for: shown, not judged."


def interval(gate: Gate, found: Contrast, status: Status, corrected: float | None, family: int | None) -> str:
    """What an interval came to."""
    if status is Status.MISSING:
        return f"{gate.name} cannot be judged: it came out as NaN."
    if found.head_interval and (beyond := _bound(gate, found, status)):
        return beyond
    if found.base is None or found.interval is None:
        return f"{gate.name} is new: {_value(gate, found)}; the base has nothing to compare it with."
    if status is Status.UNCHANGED:
        value = numbers.plain(found.head, numbers.decimals(None, found.head))
        which = "in the groups that make it, examples" if found.between else f"all {_counted(found)}"
        return f"{gate.name} is unchanged at {value}: {which} count alike."
    if status is Status.REGRESSED:
        return f"{_change(gate, found)}; the gate allows {allowance(gate, found.base)}."
    if status is Status.IMPROVED:
        return f"{_change(gate, found)}, which is better."
    if status is Status.HELD:
        return f"{_change(gate, found)}: {_excluded(gate, found.base)} is excluded."
    return _undecided(gate, found, corrected, family)


def _excluded(gate: Gate, base: float) -> str:
    noun = "loss" if gate.direction is Direction.HIGHER else "rise"
    return f"a {noun} of more than {_limit(gate, base)}" if gate.margin.at(base) else f"a {noun}"


def _counted(found: Contrast) -> str:
    if found.n is None:
        return "its examples"
    clusters = f" in {found.n_clusters:,} clusters" if found.n_clusters is not None else ""
    return f"{found.n:,} {_units(found)[: -1 if found.n == 1 else None]}{clusters}"


def _units(found: Contrast) -> str:
    """What is counted: of numbers in files from several seeds, the files."""
    return "trainings" if found.method == "repeats (seeds)" else "examples"


def _percent(found: Contrast) -> str:
    return f"{numbers.plain((found.confidence or 0.0) * 100)} %"


def _change(gate: Gate, found: Contrast) -> str:
    """`test.recall fell by 3.1 pp, from 0.812 to 0.781 (95 % interval -4.2 … -2.0, 4,812 examples)`."""
    assert found.base is not None
    assert found.delta is not None
    assert found.interval is not None
    digits = numbers.interval_digits(found.interval, rate=gate.rate)
    ends = f" {_DASH} ".join(numbers.scaled(end, digits, rate=gate.rate) for end in found.interval)
    own = numbers.value_digits(digits, rate=gate.rate)
    values = f"from {numbers.plain(found.base, own)} to {numbers.plain(found.head, own)}"
    by, nothing = (numbers.amount(change, digits, rate=gate.rate) for change in (abs(found.delta), 0.0))
    between = f", between {found.between[0]} and {found.between[1]}" if found.between else ""
    moved = f"{'rose' if found.delta > 0 else 'fell'} by {by}, {values}"
    if by == nothing:
        moved = f"stayed at {numbers.plain(found.head, own)}"
    return f"{gate.name} {moved} ({_percent(found)} interval {ends}, {_counted(found)}{between})"


def _value(gate: Gate, found: Contrast) -> str:
    if found.head_interval is None:
        return numbers.plain(found.head, numbers.decimals(None, found.head))
    digits = numbers.value_digits(numbers.interval_digits(found.head_interval, rate=gate.rate), rate=gate.rate)
    low, high = (numbers.plain(end, digits) for end in found.head_interval)
    return f"{numbers.plain(found.head, digits)} ({_percent(found)} interval {low} {_DASH} {high}, {_counted(found)})"


def _bound(gate: Gate, found: Contrast, status: Status) -> str | None:
    """The sentence of a bound that decided; None when none did."""
    assert found.head_interval is not None
    low, high = found.head_interval
    value, new = _value(gate, found), "new and " if status is Status.NEW else ""
    if status is Status.REGRESSED:
        if gate.floor is not None and high < gate.floor:
            return f"{gate.name} is {value}, wholly below its floor of {numbers.plain(gate.floor)}."
        if gate.ceiling is not None and low > gate.ceiling:
            return f"{gate.name} is {value}, wholly above its ceiling of {numbers.plain(gate.ceiling)}."
    if status in (Status.INCONCLUSIVE, Status.NEW):
        if gate.floor is not None and low < gate.floor:
            shown = f"that it is above its floor of {numbers.plain(gate.floor)} is not shown"
            return f"{gate.name} is {new}{value}: {shown}{settles(gate, found)}."
        if gate.ceiling is not None and high > gate.ceiling:
            shown = f"that it is below its ceiling of {numbers.plain(gate.ceiling)} is not shown"
            return f"{gate.name} is {new}{value}: {shown}{settles(gate, found)}."
    return None


def _undecided(gate: Gate, found: Contrast, corrected: float | None, family: int | None) -> str:
    assert found.base is not None
    assert found.interval is not None
    low, high = found.interval
    worst = -low if gate.direction is Direction.HIGHER else high
    noun = "loss" if gate.direction is Direction.HIGHER else "rise"
    digits = numbers.interval_digits(found.interval, rate=gate.rate)
    possible = f"a {noun} of up to {numbers.amount(worst, digits, rate=gate.rate)} is possible"
    allows = f"the gate allows {allowance(gate, found.base)}"
    if found.allowed is not None and worst <= gate.margin.at(found.base):
        left = numbers.amount(found.allowed, -2, rate=gate.rate) if found.allowed > 0 else "nothing"
        allows = f"{allows}, of which noise in the base leaves {left}"
    if corrected is not None and corrected > 1 - (found.confidence or 0.0) and _whole(gate, found):
        return (
            f"{_change(gate, found)}, which may be chance among {family} slices "
            f"(p {numbers.plain(corrected, -2)} after Holm's correction); {allows}."
        )
    return f"{gate.name} cannot be decided with {_counted(found)}: {possible}, and {allows}{settles(gate, found)}."


def _whole(gate: Gate, found: Contrast) -> bool:
    assert found.interval is not None
    return found.interval[1] < 0 if gate.direction is Direction.HIGHER else found.interval[0] > 0


def settles(gate: Gate, found: Contrast) -> str:
    """What would decide: how many examples, or which margin; empty where that cannot be said."""
    if (bound := _straddled(gate, found)) is not None:
        return _enough(_needed_for(bound, found), found)
    if found.found is None or found.base is None:
        return ""
    margin = gate.margin.at(found.base)
    try:
        if margin == 0:
            least = power.smallest_margin_of(found.found)
            if least is None:
                return ""
            shown = numbers.amount(least, -2, rate=gate.rate)
            return f"; no test set can show that, and the smallest margin that this one holds is {shown}"
        if found.allowed is not None:  # noise in the base takes its part, and how much more examples would take is open
            return _enough(_needed(gate, found.found, found.allowed), found) if found.allowed > margin / 2 else ""
        return _enough(_needed(gate, found.found, margin), found)
    except (NotEstimable, OverflowError):
        return ""


_MOST = 10**8


def _enough(needed: int | None, found: Contrast) -> str:
    """So many examples would decide; nothing where nobody could ever have as many, or where these here did not do."""
    units, have = ("clusters", found.n_clusters) if found.n_clusters is not None else (_units(found), found.n)
    sensible = needed is not None and (have or 0) < needed <= _MOST
    return f"; about {numbers.rough(needed)} {units} would settle it" if needed and sensible else ""


def _straddled(gate: Gate, found: Contrast) -> float | None:
    """The bound that the head's interval reaches beyond, so that nobody knows whether the head does."""
    low, high = found.head_interval or (found.head, found.head)
    return next((bound for bound in (gate.floor, gate.ceiling) if bound is not None and low < bound < high), None)


def _needed_for(bound: float, found: Contrast) -> int | None:
    """How many examples show on which side of a bound the head is."""
    units = found.n if found.n_clusters is None else found.n_clusters
    if found.head_interval is None or found.confidence is None or units is None:
        return None
    error = (found.head_interval[1] - found.head_interval[0]) / (2 * critical(found.confidence))
    try:
        return power.examples_needed(units, error, abs(found.head - bound), confidence=found.confidence)
    except (ValueError, OverflowError):
        return None


def _needed(gate: Gate, found: Difference, margin: float) -> int | None:
    """How many examples decide if nothing got worse; if these here would have done for that, if the change is real."""
    units = found.n if found.clusters is None else found.clusters
    enough = power.needed(found, margin)
    if enough is None or enough > units:
        return enough
    better = found.delta if gate.direction is Direction.HIGHER else -found.delta
    return power.needed(found, margin, better=better)


def infeasible(judged: Iterable[tuple[Gate, Contrast]]) -> str | None:
    """Which margins are smaller than their test set can hold, with what it can and how many examples it takes.

    None when all are feasible. A gate without a margin, and one that only reports, promises nothing.
    """
    found = [text for gate, contrast in judged if (text := _infeasible(gate, contrast))]
    if not found:
        return None
    more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return (
        "margins that an unchanged model would not hold in 80 % of test sets like this one: "
        f"{'; '.join(found[:_LISTED])}{more}"
    )


_LISTED = 5


def _infeasible(gate: Gate, contrast: Contrast) -> str | None:
    if contrast.found is None or contrast.base is None or gate.require is Require.REPORT:
        return None
    margin = gate.margin.at(contrast.base)
    try:
        least = power.smallest_margin_of(contrast.found)
        if least is None or not 0 < margin < least:
            return None
        needed = power.needed(contrast.found, margin)
    except (NotEstimable, OverflowError):
        return None
    asked, holds = (numbers.amount(value, digits, rate=gate.rate) for value, digits in ((margin, -3), (least, -2)))
    enough = f" (about {numbers.rough(needed)} would do)" if needed and needed <= _MOST else ""
    return f"{gate.name} asks for {asked} where {_counted(contrast)} can hold {holds}{enough}"
