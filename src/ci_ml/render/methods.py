"""What the methods behind intervals are called among people, and why each is the right one. Layer: render."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method's name as it stands in a list of names, and one sentence on why it judges what it judges."""

    name: str
    why: str


# By the names that `stats` gives them. `why` is read after the method's name and a colon.
_KNOWN: dict[str, Method] = {
    "tango": Method(
        name="Tango",
        why="the metric is a share of examples that both sides were asked about, and Tango's score interval keeps its "
        "promise also when few of them change",
    ),
    "multinomial draws": Method(
        name="multinomial draws",
        why="the metric is worked out from counts, and 9,999 seeded draws of these counts are the bootstrap over "
        "examples",
    ),
    "adjusted delta method": Method(
        name="adjusted delta method",
        why="the metric is worked out from counts; where few examples change (or the table is very large) the "
        "bootstrap claims too much, so the interval is computed, with an allowance for changes not seen yet",
    ),
    "delong": Method(
        name="DeLong",
        why="an AUC is a mean over pairs of examples, and DeLong's variance knows that both sides ranked the same ones",
    ),
    "obuchowski": Method(
        name="Obuchowski",
        why="an AUC on examples that come in clusters: DeLong's variance with the cluster as the unit",
    ),
    "linearized average precision": Method(
        name="linearized average precision",
        why="every example gets the amount by which it moves the average precision, and these amounts tell how noisy "
        "the difference is",
    ),
    "paired t": Method(
        name="paired t",
        why="the metric is a mean of one number per example, and pairing takes out what is hard or easy for both sides",
    ),
    "paired t (delta method)": Method(
        name="paired t (delta method)",
        why="the metric is a smooth function of means over the same examples, so its noise follows from theirs",
    ),
    "clustered t": Method(
        name="clustered t",
        why="examples of one cluster resemble each other, so the cluster is what is counted",
    ),
    "binned delta method": Method(
        name="binned delta method",
        why="a calibration error is a sum over bins, widened by what noise alone adds to it",
    ),
    "woodruff (paired)": Method(
        name="Woodruff (paired)",
        why="the metric is a quantile, and Woodruff's interval needs no assumption on how the values are distributed",
    ),
    "gap (delta method)": Method(
        name="delta method on the gap",
        why="the change of the gap is a sum over groups that share no example, each of them paired with itself",
    ),
    "mover": Method(
        name="MOVER",
        why="the groups share no example, so the interval of their gap follows from the two of their own",
    ),
    "repeats (seeds and examples)": Method(
        name="repeats over seeds",
        why="every side was trained with several seeds, and the interval covers which seeds and which examples it got",
    ),
    "repeats (seeds)": Method(
        name="repeats over seeds",
        why="every side was trained with several seeds, and the interval covers which seeds it got, not which examples",
    ),
    "flip rate": Method(
        name="flip rate",
        why="a model flips nothing against itself, so the share of examples that flip has an interval of its own",
    ),
    "wilson": Method(name="Wilson", why="a single share of examples, where Wilson's interval never leaves 0 to 1"),
    "clopper-pearson": Method(name="Clopper-Pearson", why="a single share of examples, by the binomial distribution"),
}
_WIDEST = re.compile(r"widest of (\d{1,9}): (?=.)")


def of(method: str) -> Method:
    """The method by the name that a report gives it; one that is not known here keeps its name."""
    if widest := _WIDEST.match(method):
        inner = of(method[widest.end() :])
        pairs = "pair" if widest[1] == "1" else "pairs"
        return Method(name=inner.name, why=f"{inner.why}; it is the widest of {widest[1]} {pairs}, and knows it")
    found = _KNOWN.get(method) or _KNOWN.get(method.partition(" (")[0])
    return found or Method(name=method, why="")


def covers_seeds(method: str) -> bool:
    """Whether the interval covers the seeds of a training."""
    return method.startswith("repeats (")


def covers_examples(method: str) -> bool:
    """Whether the interval covers which examples were drawn."""
    return method not in ("point", "repeats (seeds)")
