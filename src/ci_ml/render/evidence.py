"""What stands behind a verdict: methods, numbers of examples, and what the intervals cover. Layer: render."""

from collections.abc import Sequence

from ci_ml.core.listing import some
from ci_ml.core.report import ComparisonPart
from ci_ml.core.types import Status
from ci_ml.render import methods, safe
from ci_ml.render.cells import level, span

_LONGEST = 80


def lines(items: Sequence[ComparisonPart]) -> list[str]:
    """Which intervals judged what, on how many examples, and what they do and do not cover."""
    points = sum(
        item.method == "point" and item.head is not None and item.status is not Status.MISSING for item in items
    )
    noise = "numbers in files carry no interval, so noise is not accounted for"
    expected = [item for item in items if item.absolute and not item.moved]
    rows = [f"what is expected of tables is counted over every row, {_largest(expected)}"] if expected else []
    if moved := [item for item in items if item.moved and item.p_value is not None]:
        rows.append(
            f"how far tables moved is computed of every row, {_largest(moved)}; what may be chance is no drift, after "
            f"Benjamini and Hochberg's correction over all tests"
        )
    judged = [item for item in items if item.method != "point" and not item.absolute]
    if not judged:
        return [*rows, *([f"point estimates: {noise}"] if points else [])]
    levels = sorted({item.confidence for item in judged if item.confidence is not None})
    at = f"{' and '.join(map(level, levels))} intervals" if levels else "intervals"
    found = [*rows, f"{at}: {_methods(judged)}", _sizes(judged)]
    if clusters := sorted({item.n_clusters for item in judged if item.n_clusters is not None}):
        found.append(f"examples of one cluster resemble each other, so {span(clusters)} clusters are what is counted")
    if any(methods.covers_seeds(item.method) for item in judged):
        both = all(methods.covers_examples(item.method) for item in judged)
        found.append(f"intervals cover which seeds {'and which examples ' if both else ''}were used")
    if families := sorted({item.family for item in judged if item.corrected is not None and item.family}):
        found.append(f"a slice is worse only after Holm's correction for looking at {span(families)} of them")
    if points:
        found.append(f"{points} point estimate{'' if points == 1 else 's'}: {noise}")
    return found


def _largest(items: Sequence[ComparisonPart]) -> str:
    n = max((item.n or 0 for item in items), default=0)
    return f"{n:,} of the largest table"


def _methods(items: Sequence[ComparisonPart]) -> str:
    """`DeLong for test.roc_auc, Tango for test.recall`: the whole set first, slices where they alone need a method."""
    whole: dict[str, dict[str, None]] = {}
    for item in sorted(items, key=lambda item: item.slice is not None):
        names = whole.setdefault(methods.of(item.method).name, {})
        if item.metric not in names:
            names.setdefault(item.metric if item.slice is None else f"slices of {item.metric}")
    return "; ".join(
        f"{method} for {some(safe.shortened(name, _LONGEST) for name in names)}" for method, names in whole.items()
    )


def _sizes(items: Sequence[ComparisonPart]) -> str:
    """How many examples stand behind the gates: those of whole sets where there are any."""
    known = [item for item in items if item.n is not None]
    of_whole = sorted([item for item in known if item.slice is None] or known, key=lambda item: item.n or 0)
    if not of_whole:
        return "on an unknown number of examples"
    nouns = {"examples": True, "trainings": False}
    counts = {
        noun: [
            item.n for item in of_whole if item.n is not None and methods.covers_examples(item.method) is of_examples
        ]
        for noun, of_examples in nouns.items()
    }
    return f"on {' and '.join(f'{span(found)} {noun}' for noun, found in counts.items() if found)}"
