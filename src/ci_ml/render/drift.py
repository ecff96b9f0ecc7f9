"""How far one table drifted from another: for terminals, as Markdown and as JSON. Layer: render."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType

from ci_ml.core import drifting, numbers
from ci_ml.core.drifts import Bars, ColumnDrift, Drift, Finding
from ci_ml.core.types import Gap, Outcome
from ci_ml.render import safe
from ci_ml.render.layout import MARK, STYLE, line, to_text

SCHEMA = "ci-ml/drift/v1"
_HEADLINE = {Outcome.PASS: "no drift", Outcome.UNDECIDED: "undecided", Outcome.FAIL: "drifted"}
_SYMBOL = {True: "❌", None: "❔", False: "✅"}
_BLOCKS = " ▁▂▃▄▅▆▇█"
_SHOWN = 50
_BARS = 15


def terminal(found: Drift, *, width: int = 120, color: bool = False) -> str:
    """The verdict, the columns that drifted or cannot be compared with their histograms, and the others in short."""
    said: list[RenderableType] = [
        line(f"{MARK[found.outcome]} {_tables(found)}: {_HEADLINE[found.outcome]}", f"bold {STYLE[found.outcome]}"),
        line(drifting.sentence(found)),
    ]
    ordered = _ordered(found)
    told = [column for column in ordered if column.drifted is not False]
    for column in told[:_SHOWN]:
        said.append(line(""))
        said.append(line(f"{_mark(column)} {column.sentence}"))
        said.extend(line(f"    {text}", "dim") for text in _sketch(column.bars))
    if len(told) > _SHOWN:
        said.append(line(f"and {len(told) - _SHOWN} more, with --format json"))
    if held := [column for column in ordered if column.drifted is False]:
        said += [line(""), line(f"{len(held)} did not drift:", "bold")]
        said.extend(line(f"  {column.sentence}", "dim") for column in held[:_SHOWN])
        if len(held) > _SHOWN:
            said.append(line(f"  and {len(held) - _SHOWN} more, with --format json", "dim"))
    said.append(line(""))
    said.extend(line(text, "dim") for text in _notes(found))
    return to_text(Group(*said), width=width, color=color)


def markdown(found: Drift) -> str:
    """The same as a table, for a comment or a summary."""
    lines = [
        f"### {_SYMBOL[_answer(found.outcome)]} {safe.prose(_tables(found))}: {_HEADLINE[found.outcome]}",
        "",
        safe.sentence(drifting.sentence(found), [column.column for column in found.columns]),
        "",
        "| | column | effect | limit | p (corrected) | what happened |",
        "| :-- | :-- | --: | --: | --: | :-- |",
    ]
    for column in _ordered(found):
        test = column.decided
        cells = [
            _SYMBOL[column.drifted],
            safe.code(column.column),
            f"{safe.prose(test.method)} {numbers.plain(float(f'{test.effect:.3g}'))}" if test else "",
            numbers.plain(test.limit) if test else "",
            _chance(test) if test else "",
            safe.sentence(column.sentence, [column.column]) if column.drifted is not False else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(safe.prose(note) + "  " for note in _notes(found))]
    return "\n".join(lines).rstrip() + "\n"


def _answer(outcome: Outcome) -> bool | None:
    return {Outcome.FAIL: True, Outcome.UNDECIDED: None}.get(outcome, False)


def _tables(found: Drift) -> str:
    return f"{found.current} against {found.reference}"


def _ordered(found: Drift) -> list[ColumnDrift]:
    """Harm first: what drifted, furthest first; what cannot be compared; what came closest to drifting."""
    rank = {True: 0, None: 1, False: 2}
    return sorted(
        found.columns,
        key=lambda column: (rank[column.drifted], -(column.decided.excess if column.decided else 0.0), column.column),
    )


def _mark(column: ColumnDrift) -> str:
    return MARK[Outcome.FAIL if column.drifted else Outcome.UNDECIDED]


def _chance(test: Finding) -> str:
    return "< 0.0001" if test.corrected < 1e-4 else numbers.plain(float(f"{test.corrected:.2g}"))


def _sketch(bars: Bars | None) -> list[str]:
    """Both histograms in characters, of columns of numbers; of categories the largest ones."""
    if bars is None:
        return []
    if bars.labels is not None:
        whole = [max(sum(side), 1) for side in (bars.reference, bars.current)]
        rows = list(zip(bars.labels, bars.reference, bars.current, strict=True))[:_BARS]
        return [
            f"{safe.shortened(safe.printable(name), 30)}: {one / whole[0]:.1%} before, {two / whole[1]:.1%} now"
            for name, one, two in rows
        ]
    highest = max(count / max(sum(side), 1) for side in (bars.reference, bars.current) for count in side)
    assert bars.edges is not None
    ends = f"from {numbers.plain(float(f'{bars.edges[0]:.3g}'))} to {numbers.plain(float(f'{bars.edges[-1]:.3g}'))}"
    return [
        f"{name} {_blocks(side, highest)} {ends if name == 'before' else ''}".rstrip()
        for name, side in (("before", bars.reference), ("now   ", bars.current))
    ]


def _blocks(counts: Sequence[int], highest: float) -> str:
    whole = max(sum(counts), 1)
    steps = len(_BLOCKS) - 1
    heights = (count / whole / highest if highest else 0.0 for count in counts)
    return "".join(_BLOCKS[max(1 if height else 0, round(height * steps))] for height in heights)


def _notes(found: Drift) -> list[str]:
    chance = f"chance is excluded at {numbers.plain(100 * found.alpha)} % over all tests"
    notes = [
        f"{found.rows[0]:,} rows against {found.rows[1]:,}; drifted: moved further than the limit, and {chance}",
    ]
    if isinstance(found.together, Finding) and not found.together.drifted:
        auc = numbers.plain(float(f"{found.together.effect:.3g}"))
        notes.append(
            f"together: a classifier tells rows apart with ROC-AUC {auc} (limit {numbers.plain(found.together.limit)}, "
            f"p {_chance(found.together)}), on {found.together.n[0] + found.together.n[1]:,} rows that it had not seen"
        )
    if found.added:
        notes.append(f"only in {found.current}, so compared with nothing: {', '.join(found.added)}")
    return [*notes, *found.notices]


def data(found: Drift) -> str:
    """`ci-ml/drift/v1`: what could not be judged is null, with the reason beside it."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "outcome": found.outcome.value,
        "sentence": drifting.sentence(found),
        "reference": {"name": found.reference, "rows": found.rows[0]},
        "current": {"name": found.current, "rows": found.rows[1]},
        "columns": [_column(column) for column in found.columns],
        "drifted_share": found.share,
        "share_limit": found.share_limit,
        "alpha": found.alpha,
        "together": _together(found.together),
        "added": list(found.added),
        "notices": list(found.notices),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _column(column: ColumnDrift) -> dict[str, Any]:
    return {
        "column": column.column,
        "kind": column.kind.value,
        "drifted": column.drifted,
        "never": column.never,
        "reason": column.sentence,
        "gap": column.gap.reason if column.gap else None,
        "decided_by": column.decided.what if column.decided else None,
        "tests": [_test(test) for test in column.tests],
        "statistics": dict(column.statistics),
        "new_categories": list(column.new[:_SHOWN]),
        "vanished_categories": list(column.vanished[:_SHOWN]),
        "histogram": _bars(column.bars),
    }


def _test(test: Finding) -> dict[str, Any]:
    return {
        "what": test.what,
        "method": test.method,
        "effect": test.effect,
        "limit": test.limit,
        "test": test.test,
        "p_value": test.p_value,
        "corrected": test.corrected,
        "n_reference": test.n[0],
        "n_current": test.n[1],
        "drifted": test.drifted,
    }


def _together(found: Finding | Gap | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"drifted": None, "gap": found.reason} if isinstance(found, Gap) else _test(found)


def _bars(bars: Bars | None) -> dict[str, Any] | None:
    if bars is None:
        return None
    labels = {"categories": list(bars.labels)} if bars.labels is not None else {"edges": list(bars.edges or ())}
    return {
        **labels,
        "reference": list(bars.reference),
        "current": list(bars.current),
        "beyond_reference": bars.beyond[0],
        "beyond_current": bars.beyond[1],
    }
