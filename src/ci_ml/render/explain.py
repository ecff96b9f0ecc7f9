"""Why a gate came to its status, in plain words: what was compared, how, and what that rules out. Layer: render."""

from collections.abc import Sequence
from dataclasses import dataclass

from ci_ml.core import numbers
from ci_ml.core.report import ComparisonPart
from ci_ml.core.types import Direction, Outcome, Require, Severity, Status
from ci_ml.core.verdict import EXIT_CODES
from ci_ml.render import cells, methods, safe

_ASKS = {
    Require.NO_REGRESSION: "what got worse blocks, what cannot be decided warns",
    Require.NON_INFERIOR: "what got worse blocks, and so does what cannot be decided",
    Require.IMPROVEMENT: "anything but an improvement that the test set shows blocks",
    Require.REPORT: "nothing blocks",
}
_BECOMES = {
    Outcome.PASS: "passes",
    Outcome.WARN: "warns",
    Outcome.UNDECIDED: "leaves the verdict undecided",
    Outcome.FAIL: "blocks",
}


def account(item: ComparisonPart) -> list[tuple[str, str]]:
    """What there is to say about one comparison, as labels and sentences."""
    if item.absolute:
        return _expectation(item)
    found = [
        ("compared", _compared(item)),
        ("method", _method(item)),
        ("interval", _interval(item)),
        ("margin", _margin(item)),
        ("bounds", _bounds(item)),
        ("Holm", _holm(item)),
        ("gate", _gate(item)),
        ("status", _status(item)),
        ("test set", _power(item)),
        ("to decide", item.settles if _is_open(item) else ""),
    ]
    return [(label, said) for label, said in found if said]


def _expectation(item: ComparisonPart) -> list[tuple[str, str]]:
    """The same about what is expected of a table, or how far it moved."""
    if item.moved:
        return _movement(item)
    _, head = cells.values(item)
    n = f", in a table of {item.n:,} rows" if item.n is not None and item.unit != "columns" else ""
    warns = "; here it only warns" if item.severity is Severity.WARN else ""
    return [
        *([("counted", f"what breaks it: {head}{n}; nothing is sampled")] if item.head is not None else []),
        ("allowed", cells.allows(item)),
        ("gate", f"what is expected of a table is judged in the head alone, and blocks where it does not hold{warns}"),
        ("status", f"{cells.moved(item)}, which {_became(item)}"),
    ]


def _movement(item: ComparisonPart) -> list[tuple[str, str]]:
    _, head = cells.values(item)
    n = f", in a table of {item.n:,} {'columns' if item.p_value is None else 'rows'}" if item.n is not None else ""
    tests = f" after Benjamini and Hochberg's correction over {item.family:,} tests" if item.family else ""
    chance = p_value(item.corrected if item.corrected is not None else item.p_value)
    asks = "nothing: what blocks is the share of columns that drifted" if item.require is Require.REPORT else "blocks"
    found = [
        ("measured", f"{head} ({item.method}){n}" if item.head is not None else ""),
        ("chance", f"p {chance}{tests}" if chance else ""),
        ("limit", cells.allows(item)),
        ("gate", f"what moved further than the limit, and not by chance, {asks}"),
        ("status", f"{cells.moved(item)}, which {_became(item)}: {item.reason}"),
    ]
    return [(label, said) for label, said in found if said]


def _became(item: ComparisonPart) -> str:
    code = EXIT_CODES[item.impact]
    return f"{_BECOMES[item.impact]}{f' (exit code {code})' if code else ''}"


def warning(item: ComparisonPart) -> str | None:
    """That a margin asks for more than the test set can show; None where it does not, or nothing rests on it."""
    least, margin = item.smallest_margin, item.margin_absolute
    if least is None or margin is None or margin >= least or not _rests_on_margin(item):
        return None
    asked = _roughly(margin, rate=item.rate)
    shown = [numbers.amount(least, -digits, rate=item.rate) for digits in (2, 3, 4)]
    can = next((text for text in shown if text != asked), shown[0])
    if margin == 0:
        return f"no test set shows that nothing at all was lost; {cells.counted(item)} can show {can}"
    return f"the margin of {asked} is smaller than what {cells.counted(item)} can show, {can}"


def warning_of_slices(items: Sequence[ComparisonPart]) -> str | None:
    """The same for the slices of a gate, in one sentence."""
    judged = [item for item in items if not item.too_small]
    short = [item for item in judged if warning(item)]
    if not short:
        return None
    worst = max(short, key=lambda item: item.smallest_margin or 0.0)
    can = numbers.amount(worst.smallest_margin or 0.0, -2, rate=worst.rate)
    name = safe.shortened(str(worst.where), 60)
    return (
        f"in {len(short):,} of {len(judged):,} slices the margin is smaller than what their examples can show; "
        f"worst: {name} can show {can} with {cells.counted(worst)}"
    )


def holm(items: Sequence[ComparisonPart]) -> str | None:
    """Why slices need more evidence than their own intervals; None where nothing was corrected."""
    families = sorted({item.family for item in items if item.corrected is not None and item.family})
    if not families:
        return None
    return (
        f"Of {cells.span(families)} slices some look worse by chance alone, so one counts as regressed only if its "
        "p-value stays small after Holm's correction for that many. That a slice held needs no correction."
    )


def _roughly(value: float, *, rate: bool) -> str:
    """A margin as it was written, or three digits of a share of the base."""
    short = min(numbers.amount(value, rate=rate), numbers.amount(value, -3, rate=rate), key=len)
    return numbers.amount(value, rate=rate) if "e" in short else short


def p_value(value: float | None) -> str:
    """A p-value as people read it."""
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else numbers.plain(value, -2)


def _rests_on_margin(item: ComparisonPart) -> bool:
    return item.require in (Require.NO_REGRESSION, Require.NON_INFERIOR) and not item.too_small


def _is_open(item: ComparisonPart) -> bool:
    """Whether more examples would decide: not a bound, and not a slice that nobody judges."""
    return item.status is Status.INCONCLUSIVE and not item.too_small and not cells.unclear_bound(item)


def _compared(item: ComparisonPart) -> str:
    base, head = cells.values(item)
    if item.head is None:
        return ""
    if item.method == "point":
        numbers_ = f"base {base}, head {head}" if item.base is not None else f"head {head}; the base has none"
        return f"{numbers_}: plain numbers, which say nothing about noise"
    if item.base is None:
        return f"head {head} on {cells.counted(item)}; the base has none"
    if item.method.startswith("independent"):
        return f"recorded {base}, now {head} on {cells.counted(item)}, which are others than those that were recorded"
    between = f", between {' and '.join(cells.groups(item))}" if item.between else ""
    return f"base {base}, head {head}{between}, on the same {cells.counted(item)}"


def _method(item: ComparisonPart) -> str:
    if item.method == "point":
        return ""
    found = methods.of(item.method)
    return f"{found.name}: {found.why}" if found.why else found.name


def _interval(item: ComparisonPart) -> str:
    if cells.is_identical(item):
        return "none is needed: every example counts alike on both sides"
    found = cells.ends(item)
    if found is None:
        return ""
    unit = f"{cells.NBSP}pp" if item.rate else ""
    change = f"{cells.moved(item)}; " if item.delta is not None else ""
    return (
        f"{change}with {cells.level(item.confidence)} confidence the true change is between {' and '.join(found)}{unit}"
    )


@dataclass(frozen=True, kw_only=True)
class _Turned:
    """The interval of the change turned so that positive is better, its margin, and how amounts are said."""

    low: float
    high: float
    margin: float
    noun: str
    item: ComparisonPart

    @property
    def worst(self) -> str:
        digits = cells.digits(self.item)
        return f"a {self.noun} of {numbers.amount(max(-self.low, 0.0), digits, rate=self.item.rate)}"


def _turned(item: ComparisonPart) -> _Turned | None:
    if item.interval is None or cells.is_identical(item):
        return None
    low, high = item.interval
    is_up = item.direction is Direction.HIGHER
    return _Turned(
        low=low if is_up else -high,
        high=high if is_up else -low,
        margin=item.margin_absolute or 0.0,
        noun="loss" if is_up else "rise",
        item=item,
    )


def _margin(item: ComparisonPart) -> str:
    if item.require in (Require.REPORT, Require.IMPROVEMENT) or item.base is None:
        return ""
    allowed = f"{item.allows or 'a loss of ' + str(item.margin)} is allowed"
    turned = _turned(item)
    return f"{allowed}; {_against(turned)}" if turned else allowed


def _against(turned: _Turned) -> str:
    """What the interval means against the margin."""
    if turned.high < -turned.margin:
        return "the whole interval is beyond it"
    if turned.low > 0:
        return "the whole interval is an improvement"
    if turned.low >= -turned.margin:
        return f"the worst that the interval leaves possible, {turned.worst}, is within it"
    if turned.high < 0:
        return f"the whole interval is a {turned.noun}, and part of it is beyond that: {turned.worst} is possible"
    return f"the interval reaches beyond it: {turned.worst} is possible, and so is no {turned.noun} at all"


def _bounds(item: ComparisonPart) -> str:
    if item.head is None:
        return ""
    low, high = item.head_interval or (item.head, item.head)
    said = []
    if item.floor is not None:
        said.append(
            _bound(f"floor {numbers.plain(item.floor)}", item, clear=low >= item.floor, beyond=high < item.floor)
        )
    if item.ceiling is not None:
        name = f"ceiling {numbers.plain(item.ceiling)}"
        said.append(_bound(name, item, clear=high <= item.ceiling, beyond=low > item.ceiling))
    return "; ".join(said)


def _bound(name: str, item: ComparisonPart, *, clear: bool, beyond: bool) -> str:
    became = "clears it" if clear else "is wholly beyond it" if beyond else "reaches beyond it"
    return f"{name}: the head, {_own(item)}, {became}"


def _own(item: ComparisonPart) -> str:
    """The head's value with its own interval."""
    assert item.head is not None
    if item.head_interval is None:
        return numbers.plain(item.head)
    digits = numbers.value_digits(numbers.interval_digits(item.head_interval, rate=item.rate), rate=item.rate)
    low, high = (numbers.plain(end, digits) for end in item.head_interval)
    return f"{numbers.plain(item.head, digits)} [{low}, {high}]"


def _holm(item: ComparisonPart) -> str:
    if item.corrected is None or not item.family:
        return ""
    return f"p {p_value(item.p_value)}, which is {p_value(item.corrected)} after correcting for {item.family:,} slices"


def _rule(item: ComparisonPart) -> str:
    """The rule that held: the first of the table in docs/gates.md."""
    if item.too_small:
        return f"fewer than the {item.min_n:,} examples that the gate asks for, so it is shown and not judged"
    if item.status is Status.MISSING:
        return "what cannot be measured cannot pass"
    if item.status is Status.NEW:
        return "the base never had it, so there is nothing to compare with"
    if item.status is Status.UNCHANGED:
        return "both sides are the same"
    if item.status is Status.REGRESSED and cells.outside_bounds(item):
        return "the head is beyond its bounds, whatever the base was"
    return _rule_of_points(item) if item.interval is None else _rule_of_intervals(item)


def _rule_of_points(item: ComparisonPart) -> str:
    if item.status is Status.REGRESSED:
        return "it got worse by more than the margin"
    return "it got better" if item.status is Status.IMPROVED else "it got worse, by no more than the margin"


def _rule_of_intervals(item: ComparisonPart) -> str:
    noun = "loss" if item.direction is Direction.HIGHER else "rise"
    if item.status is Status.REGRESSED:
        return f"the whole interval is a {noun}, and the {noun} that was measured is more than the margin"
    if item.status is Status.IMPROVED:
        return "the whole interval is an improvement"
    if item.status is Status.HELD:
        return f"a {noun} of more than the margin is ruled out"
    if cells.unclear_bound(item):
        return "the interval of the head's own value reaches beyond a bound"
    turned = _turned(item)
    if turned and turned.high < 0 and item.corrected is not None:
        return f"it looks like a {noun}, but among so many slices that may be chance"
    return f"a {noun} of more than the margin is neither shown nor ruled out"


def _gate(item: ComparisonPart) -> str:
    warns = item.severity is Severity.WARN and item.require is not Require.REPORT
    return f"{item.require.value}: {_ASKS[item.require]}{'; here it only warns' if warns else ''}"


def _status(item: ComparisonPart) -> str:
    if item.too_small:
        return f"too small: {_rule(item)}"
    return f"{item.status.value}, which {_became(item)}: {_rule(item)}"


def _power(item: ComparisonPart) -> str:
    if item.smallest_margin is None or item.too_small:
        return ""
    least = numbers.amount(item.smallest_margin, -2, rate=item.rate)
    return f"the smallest margin it can hold is {least}: an unchanged model passes that in 80{cells.NBSP}% of cases"
