"""What training took: time, cost, and both against the base, in words. Layer: render."""

from collections.abc import Sequence
from dataclasses import dataclass

from ci_ml.core import numbers
from ci_ml.core.exhibits import RatePart
from ci_ml.core.report import TrainingPart
from ci_ml.render.words import NONE, seconds

_CENT = 0.01
BECAME = {"ran": "ran", "cached": "from cache", "skipped": "did not change", "failed": "failed"}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage, with finished texts."""

    name: str
    became: str
    before: str
    took: str
    change: str


def summary(training: TrainingPart) -> str:
    """`Training: 4 min 28 s, 1 of 3 stages ran, about 0.18 EUR; it took 55.0 s more than for the base, whose … took …`.

    The whole training of the base is told as that of the head is; only stages that ran both times are compared.
    """
    ran = sum(item.state == "ran" for item in training.stages)
    total = len(training.stages)
    which = f"{ran} of {total} stages ran" if total > 1 else "its stage ran" if ran else "its stage did not run"
    said = f"Training: {seconds(training.seconds)}, {which}{_price(training)}"
    more, before = compared(training), _before(training)
    if more and before:
        return f"{said}; {more}, whose training took {before}"
    return f"{said}; that of the base took {before}" if before else said


def _before(training: TrainingPart) -> str:
    """`3 min 32 s, about 0.14 EUR`: the training of the base as a whole; nothing where it is not known."""
    if training.before is None:
        return ""
    price = cost(training.rate, training.before.seconds)
    return f"{seconds(training.before.seconds)}{f', {price}' if price else ''}"


def compared(training: TrainingPart) -> str:
    """`they took 55.0 s more than for the base`: the stages that ran both times; nothing where there are none."""
    ran = sum(item.state == "ran" for item in training.stages)
    both = _both(training)
    if not both:
        return ""
    more = sum(now - before for now, before in both)
    they = "it" if ran == 1 else "they" if len(both) == ran else f"{len(both)} of them"
    if abs(more) < 0.05 * sum(before for _, before in both):
        return f"{they} took as long as for the base"
    return f"{they} took {seconds(abs(more))} {'more' if more > 0 else 'less'} than for the base"


def _price(training: TrainingPart) -> str:
    price = cost(training.rate, training.seconds)
    return f", {price}" if price else ""


def cost(rate: RatePart | None, taken: float) -> str:
    """`about 0.18 EUR`; nothing where nobody said what an hour costs."""
    if rate is None:
        return ""
    price = taken / 3600 * rate.per_hour
    if 0 < price < _CENT:
        return f"less than {_CENT} {rate.currency}"
    return f"about {numbers.plain(price, 2)} {rate.currency}"


def _both(training: TrainingPart) -> list[tuple[float, float]]:
    """How long each stage took that ran now and for the base."""
    before = training.before.stages if training.before else {}
    return [
        (item.seconds, before[item.name]) for item in training.stages if item.state == "ran" and item.name in before
    ]


def stages(training: TrainingPart) -> Sequence[Stage]:
    """Every stage, in the order of the pipeline."""
    known = training.before.stages if training.before else {}
    return [
        Stage(
            name=item.name,
            became=BECAME[item.state],
            before=seconds(known[item.name]) if item.name in known else NONE,
            took=seconds(item.seconds) if item.state == "ran" else NONE,
            change=_change(item.seconds, known[item.name]) if item.state == "ran" and item.name in known else "",
        )
        for item in training.stages
    ]


def _change(now: float, before: float) -> str:
    return numbers.percent(now / before - 1) if before > 0 else ""
