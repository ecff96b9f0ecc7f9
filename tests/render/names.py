"""Names that a stranger may choose, and a report that is full of them."""

import re
from typing import Any

from hypothesis import strategies as st

from ci_ml.core.changes import Changes, StageChange, ValueChange
from ci_ml.core.exhibits import Exhibits, LocationPart
from ci_ml.core.report import Report
from ci_ml.core.types import MetricKey, Require, Severity
from tests import reports

PIECES = (
    "@team #123 ##[error]x ::error::x ::stop-commands::t ##vso[task.logissue]x ##teamcity[x] ## [ vso[ section_start:1:x\r\x1b[0K www.x.org <img> <!-- --> ]]> &amp; &#64; | ` ``` ' \" \\ \\n , ; : "
    "%0A %25 = + - =1+1 \n \r \r\n \t \x00 \x0b \x1b[2J \x85 \u2028 \u202e \u200b \ufffe \U000e0001 {} [[ATTACHMENT|/x]]"
).split(" ")
HOSTILE = st.lists(st.text(min_size=1, max_size=4) | st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
EVERY = " ".join(PIECES)
LONG = "x" * 10_000
HALF = "x" * 4_000
NAMES = [*PIECES, EVERY, LONG]
# What runners take for a command, on a line as they read it: GitHub's two kinds, Azure's, TeamCity's and GitLab's.
_COMMAND = re.compile(r"^\s*::[^:]*::|##\w*\[|section_(start|end):\d+:[\w.-]+(\[.*\])?$")


def commands(text: str) -> list[str]:
    """The lines of a log that a runner obeys."""
    return [line for line in re.split(r"\r\n|\n|\r(?=\x1b)|\r", text) if _COMMAND.search(line)]


def hostile(*names: str, **rest: Any) -> Report:
    """A report in which all metrics, slices, params, stages and files are called so: one blocks, one warns, one is told."""
    gates = []
    for name in names:
        gates += [
            reports.comparison(f"m.json:{name}", 0.9, 0.5),
            reports.comparison(f"n.json:{name}", 0.9, 0.5, severity=Severity.WARN),
            reports.comparison(f"o.json:{name}", 0.9, 0.5, require=Require.REPORT),
            *reports.sliced(
                "test.recall",
                {(name, name): reports.contrast(0.9, 0.8, 0.01), (name, None): reports.contrast(0.9, 0.9, 0.01)},
            ),
        ]
    differences = Changes(
        params=tuple(ValueChange(metric=MetricKey(path=name, key=name), base=name, head=None) for name in names),
        stages=tuple(StageChange(name=name, change="changed", what=(name,)) for name in names),
    )
    shown = Exhibits(
        gates={str(item.gate.metric): LocationPart(path=name, line=3) for item in gates for name in names[:1]},
        params={(name, name): LocationPart(path=name, line=2) for name in names},
        stages={name: LocationPart(path=name) for name in names},
    )
    return reports.report(*gates, **{"differences": differences, "shown": shown, **rest})
