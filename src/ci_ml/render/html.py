"""The report as one HTML file, which needs nothing but itself. Layer: render.

Whatever is in a report may come from a stranger: every text is escaped, what would hide or reorder text is shown, and
a policy in the page lets no script run but the two of ours, and nothing be fetched.
"""

import base64
import hashlib
import importlib.resources
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from markupsafe import Markup

from ci_ml.core import numbers
from ci_ml.core.publication import WAIVER_LABEL
from ci_ml.core.report import ComparisonPart, Report, TrainingPart
from ci_ml.core.types import Outcome
from ci_ml.errors import UsageError
from ci_ml.render import (
    cards,
    cells,
    environments,
    evidence,
    explorer,
    figures,
    histograms,
    marks,
    parts,
    safe,
    spent,
    templating,
    vega,
    words,
)
from ci_ml.render.figures import Figure

TEMPLATE = "report.html.j2"
_ROWS = 120  # of the overview; the explorer has all
_LISTED = 500
_FEW = 20  # gates that the overview shows as well as a list that sorts and filters
_SAID = 20
_WEB = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?(?:/[\w./?=&%#~:+,;@()$!*-]*)?", re.ASCII)
_RAW = re.compile(r"(<script\b.*?</script>|<style\b.*?</style>)", re.DOTALL)  # in which entities are text
_HOSTILE = str.maketrans({letter: f"\\u{ord(letter):04x}" for letter in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"})


@dataclass(frozen=True, kw_only=True)
class Link:
    """A place on the web that a report names."""

    url: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Rows of a table of what changed; `left_out` more are in report.json, and `note` is said below them."""

    id: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int = 0
    note: str = ""


def report(content: Report, own: Mapping[str, str] = templating.NONE) -> str:
    """The whole page. `own` are templates of the user by name, which replace ours or blocks of them.

    Raises UsageError for a template that is broken, or that leaves out the policy that keeps the page harmless.
    """
    charts: dict[str, Figure] = {}

    def draw(figure: Figure) -> str:
        name = f"chart-{len(charts) + 1}"
        charts[name] = figure
        return name

    values = _values(content, draw) | {"charts": charts}
    specs = {name: figure.spec for name, figure in charts.items() if figure.spec}
    columns = {name: figure.columns for name, figure in charts.items() if figure.columns}
    assets = {name: _asset(name) for name in ("report.css", "report.js", "vega.js")}
    policy = _policy([assets["report.js"], *([assets["vega.js"]] if specs else [])])
    values |= {
        "policy": policy,
        "style": assets["report.css"],
        "script": assets["report.js"],
        "drawing": assets["vega.js"] if specs else None,
        "specs": _json({"config": vega.config(vega.PAGE), "charts": specs, "columns": columns}),
        "explored": _json(explorer.data(content.comparisons)) if values["is_long"] else None,
    }
    text = templating.rendered(_environment(own), TEMPLATE, values)
    if policy not in text:
        raise UsageError("the template report.html.j2 leaves out {{ policy }}", "without it a report may run scripts")
    return _inert(text)


def _inert(page: str) -> str:
    """The page without a command to the runner in whose log it is printed; its scripts stay what the policy says."""
    return "".join(part if number % 2 else safe.inert_markup(part) for number, part in enumerate(_RAW.split(page)))


def _environment(own: Mapping[str, str]) -> Any:
    made = templating.environment(own, autoescape=True, finalize=_finalized)
    made.filters["breakable"] = _breakable
    return made


def _finalized(value: Any) -> Any:
    """Text in which nothing hides; what is markup already stays."""
    return safe.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(name: str) -> Markup:
    """A name that a line may break after its separators, and not in the middle of a word unless it has to."""
    return Markup("<wbr>").join(re.split(r"(?<=[/:._])(?=\w)", safe.printable(name)))


@cache
def _asset(name: str) -> Markup:
    return Markup((importlib.resources.files("ci_ml.render") / "assets" / name).read_text(encoding="utf-8"))  # noqa: S704  ours


def _policy(scripts: Sequence[str]) -> Markup:
    """What the page may do: run these scripts and show what is in it. https://www.w3.org/TR/CSP3/"""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{found}'" for found in hashes)
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return Markup(f"default-src 'none'; script-src {allowed}; {rest}")  # noqa: S704  base64


def _json(document: Any) -> Markup:
    """Data for a script: JSON in which nothing can end the element that it is in."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(safe.inert_json(text.translate(_HOSTILE)))  # noqa: S704  nothing in it is markup any more


# --- What the template gets -------------------------------------------------------------------------------------------


def _values(content: Report, draw: Any) -> dict[str, Any]:
    outcome = content.verdict.outcome
    names = [item.name for item in content.comparisons]
    moved = histograms.drifts(content)
    found = cards.gates(content, draw, moved.links)
    divided = parts.divide(content.comparisons)
    rows, still = _rows(divided, moved.links)
    above, below = parts.reasons(content)
    groups = [(group.title, [draw(figure) for figure in group.figures]) for group in figures.predictions(content)]
    return {
        "name": content.name,
        "kind": marks.of(outcome),
        "symbols": marks.SYMBOLS,
        "headline": words.headline(content),
        "sides": words.sides(content),
        "drifts": moved.tables,
        "sentence": _sentence(content.verdict.sentence, names),
        "others": [_sentence(text, names) for text in [*above, *below][:_SAID]],
        "more_others": max(len(above) + len(below) - _SAID, 0),
        "waivers": words.waivers(content),
        "next_step": _next(content),
        "tallies": _tallies(content.comparisons),
        "rows": [cards.row(item, found.links.get(id(item), "")) for item in rows[:_ROWS]],
        "titles": cells.found_titles(rows) if all(item.absolute for item in rows) else None,
        "plots_shown": any(item.delta is not None for item in rows),
        "still": parts.held(still, "gate") if still else "",
        "more_rows": max(len(rows) - _ROWS, 0) + len(divided.warned),
        "change_title": cells.change_title(rows[:_ROWS]),
        "held": parts.held(divided.slices, "slice") if divided.slices else "",
        "gates": found.cards,
        "more_gates": found.left_out,
        "total": len(content.comparisons),
        "is_long": len(content.comparisons) > _FEW or any(item.slice for item in content.comparisons),
        "slices": sum(item.slice is not None for item in content.comparisons),
        "groups": groups,
        "plots": [draw(figure) for figure in figures.plots(content)],
        "listings": _listings(content),
        "training": _training(content.training, draw) if content.training else None,
        "notices": content.notices[:_LISTED],
        "provenance": [*evidence.lines(content.comparisons), *map(_said, words.looks(content))],
        "facts": _facts(content),
        "change": _change(content),
        "run": _run(content),
        "tool": f"{content.tool.name} {content.tool.version}",
    }


def _rows(divided: parts.Parts, links: Mapping[str, str]) -> tuple[list[ComparisonPart], list[ComparisonPart]]:
    """The rows of the overview, and the columns that did not drift: those have a place of their own."""
    still = [item for item in divided.whole if item.metric in links]
    return [*divided.loud, *(item for item in divided.whole if item.metric not in links)], still


def _sentence(text: str, names: Sequence[str]) -> Markup:
    """A sentence with the name that it is about as code."""
    name = safe.named(text, names)
    if name is None:
        return Markup("{}").format(_clean(text, 1000))
    before, _, after = text.partition(name)
    return Markup("{}<code>{}</code>{}").format(_clean(before, 1000), _clean(name, 200), _clean(after, 1000))


def _said(text: str) -> str:
    return _clean(text, 1000)


def _clean(text: str, longest: int) -> str:
    return safe.shortened(safe.printable(text), longest)


def _next(content: Report) -> Markup | None:
    step = words.next_step(content)
    if step is None:
        return None
    names = [words.brief_name(item) for item in content.comparisons]
    said = Markup().join(
        Markup("<code>{}</code>").format(piece) if is_ours else _sentence(piece, names)
        for piece, is_ours in words.with_commands(f"{step[:1].upper()}{step[1:]}")
    )
    if content.subject == "production" or content.verdict.outcome not in (Outcome.FAIL, Outcome.UNDECIDED):
        return said
    label, command = WAIVER_LABEL, words.explanation(content) or "ci-ml check"
    rest = Markup(" A maintainer can accept this with the label <code>{}</code>. Locally: <code>{}</code>")
    return said + rest.format(_clean(label, 200), _clean(command, 200))


def _tallies(items: Sequence[ComparisonPart]) -> list[tuple[str, int, str]]:
    """How many comparisons of each kind, worst first."""
    counts = dict.fromkeys(marks.MEANS, 0)
    for item in items:
        counts[marks.mark(item).kind] += 1
    return [(kind, count, marks.MEANS[kind][count != 1]) for kind, count in counts.items() if count]


def _listings(content: Report) -> list[Listing]:
    """What changed, kind by kind."""
    return [
        found
        for found in (
            _listing(
                "params",
                "Params",
                ("param", "base", "head"),
                [(f"{item.path} {item.key}", words.text(item.base), words.text(item.head)) for item in content.params],
            ),
            _listing(
                "data",
                "Data",
                ("data", "base", "head"),
                [(item.path, words.digest(item.base), words.digest(item.head)) for item in content.data],
            ),
            _listing(
                "stages",
                "Stages",
                ("stage", "", "what"),
                [(item.name, item.change, ", ".join(item.what)) for item in content.stages],
            ),
            _listing(
                "code",
                "Code",
                ("file", "", "lines", "stages"),
                [
                    (item.path, item.change, _lines(item.added, item.removed), ", ".join(item.stages))
                    for item in content.code
                ],
            ),
            _surroundings(content),
        )
        if found.rows or found.note
    ]


def _surroundings(content: Report) -> Listing:
    rows = [(row.name, row.base, row.head, ", ".join(row.sources)) for row in environments.rows(content)]
    found = _listing("environment", "Environment", ("", "base", "head", "source"), rows)
    same = f"{environments.summary(content)}." if content.environment and not rows else ""
    note = environments.missing(content) or same
    return replace(found, note=safe.shortened(note, 1000))


def _listing(name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Listing:
    shown = [[safe.shortened(cell) for cell in row] for row in rows[:_LISTED]]
    return Listing(id=name, title=title, columns=columns, rows=shown, left_out=len(rows) - len(shown))


def _lines(added: int | None, removed: int | None) -> str:
    found = ((added, "+"), (removed, numbers.MINUS))
    return " ".join(f"{sign}{count:,}" for count, sign in found if count is not None)


def _training(part: TrainingPart, draw: Any) -> dict[str, Any]:
    before = part.before
    figure = figures.training(part)
    stages = spent.stages(part)[:_LISTED]
    rows = [(safe.shortened(stage.name), stage.became, stage.before, stage.took) for stage in stages]
    sides = [("head", part.seconds, part.mlflow_run)]
    if before:
        sides.insert(0, ("base", before.seconds, before.run))
    return {
        "chart": draw(figure) if figure else None,
        "rows": rows,
        "facts": [fact for side, seconds, run in sides for fact in _cost(part, side, seconds, run)]
        + ([("stages that ran", more)] if (more := spent.compared(part)) else []),
    }


def _cost(part: TrainingPart, side: str, seconds: float, run: str | None) -> list[tuple[str, str]]:
    price = spent.cost(part.rate, seconds)
    cost = f", {price}" if price else ""
    logged = [(f"MLflow run of the {side}", safe.shortened(run))] if run else []
    return [(side, f"{words.seconds(seconds)}{cost}"), *logged]


def _facts(content: Report) -> list[tuple[str, str]]:
    """Where all of it comes from."""
    edited = "; the change edits them" if content.policy.changed_in_head else ""
    if content.subject == "production":
        return _watched(content)
    whose = "the base" if content.policy.source == "base" else "the change"
    found = [
        ("base", _revision(content.base.sha, content.base.ref, content.base.why)),
        ("head", _revision(content.head.sha, content.head.ref, content.head.why, dirty=content.head.dirty)),
        ("proposed", content.change.head or "" if content.change else ""),
        ("gates", f"from {whose}{edited}"),
        ("digest of the gates", content.policy.digest),
        ("run", f"{content.change.forge} {content.change.run or ''}".strip() if content.change else ""),
        ("made by", f"{content.tool.name} {content.tool.version}"),
    ]
    return [(label, safe.shortened(said)) for label, said in found if said]


def _watched(content: Report) -> list[tuple[str, str]]:
    """The same of production: what it was compared with, and what was seen of it."""
    found = [
        ("reference", content.base.why),
        ("production", content.head.why),
        ("gates", f"from ci-ml.yaml at {content.head.label}"),
        ("digest of the gates", content.policy.digest),
        ("run", f"{content.change.forge} {content.change.run or ''}".strip() if content.change else ""),
        ("made by", f"{content.tool.name} {content.tool.version}"),
    ]
    return [(label, safe.shortened(said)) for label, said in found if said]


def _revision(sha: str | None, ref: str | None, why: str, *, dirty: bool = False) -> str:
    said = [
        sha or "no commit",
        f"on {ref}" if ref else "",
        "and what is not committed" if dirty else "",
        f"({why})" if why else "",
    ]
    return " ".join(filter(None, said))


def _change(content: Report) -> str:
    """`acme/churn #7`."""
    if content.change is None or content.change.repository is None:
        return ""
    sign = "#" if content.change.forge == "github" else "!"
    number = f" {sign}{content.change.number}" if content.change.number is not None else ""
    return f"{safe.shortened(content.change.repository)}{number}"


def _run(content: Report) -> Link | None:
    """The run of the CI system, if that is a place on the web."""
    url = content.change.run_url if content.change else None
    if not url or not _WEB.fullmatch(url):
        return None
    return Link(url=url, text=f"run on {url.split('/')[2]}")
