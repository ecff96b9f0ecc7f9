"""What an A/A test found, for people. Layer: render."""

from collections.abc import Sequence

from ci_ml.core import numbers
from ci_ml.core.trials import Trial
from ci_ml.render import safe

_HEADER = ("gate", "allows", "n", "false alarms", "passed")


def trials(found: Sequence[Trial], *, draws: int, confidence: float) -> str:
    """A table with a line per gate, and one for the slices of a gate together; then what to think of it."""
    tried = [trial for trial in found if trial.draws]
    lines = [
        f"Base and head exchanged at random, {draws:,} times: neither is better, and `regressed` is a false alarm.",
        "",
        *(_table([_HEADER, *(_cells(trial) for trial in tried)]) if tried else ()),
        *(
            f"- {safe.printable(trial.gate)}: not tried: {safe.printable(trial.problem)}"
            for trial in found
            if trial.problem
        ),
    ]
    lines += ["", _verdict(tried, confidence) if tried else "Nothing was tried, so nothing is known."]
    return safe.inert("\n".join(lines)) + "\n"


def _cells(trial: Trial) -> tuple[str, ...]:
    return (
        safe.printable(trial.gate),
        trial.margin,
        f"{trial.n:,}" if trial.n is not None else "",
        _share(trial.regressed, trial.draws),
        _share(trial.held, trial.draws),
    )


def _share(count: int, of: int) -> str:
    return f"{count:,} of {of:,} ({numbers.plain(100 * count / of, 1)} %)"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _verdict(tried: Sequence[Trial], confidence: float) -> str:
    promised = numbers.plain(100 * (1 - confidence) / 2, 1)
    if loud := [trial for trial in tried if trial.alarming(confidence)]:
        names = ", ".join(trial.gate for trial in loud)
        return f"More false alarms than chance explains: {names}. Are examples independent? If not, name a `cluster`."
    quiet = (
        f"False alarms are no more than what is promised ({promised} %; the slices of a gate together twice that), "
        "give or take chance."
    )
    weak = [trial for trial in tried if trial.passed < 0.8]
    if not weak:
        return f"{quiet} All pass an unchanged model in 80 % of draws or more."
    return (
        f"{quiet} Below 80 % `passed`, a gate will often say that the data cannot tell: give it a larger margin, "
        "or more examples."
    )
