"""The comment in Chromium, as GitLab shows it: what a reviewer has to see, and that names from strangers do nothing there."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page

from ci_ml.core.changes import Changes, DataChange, ValueChange
from ci_ml.core.exhibits import CodePart, Exhibits, HistoryPart, PackagePart, PointPart
from ci_ml.core.report import Report
from ci_ml.core.types import MetricKey, Revision
from ci_ml.render import markdown
from ci_ml.render.markdown import Place
from tests import browser, note_page, reports
from tests.browser import Theme
from tests.pages.views import views

pytestmark = pytest.mark.thorough

Show = Callable[..., "contextmanager[Page]"]
MARKER = "<!-- ci-ml:report name=churn -->"
PLACE = Place(run_url="https://gitlab.example/acme/churn/-/jobs/812", marker=MARKER)
# Where what stands in a cell ends.
_RIGHT = """(all) => all.map((one) => {
  const range = document.createRange();
  range.selectNodeContents(one);
  return range.getBoundingClientRect().right;
})"""
_LEADS_TO = "(all) => all.map((one) => one.href)"
# Texts in which GitLab looks for references.
_TEXTS = """(all) => all.flatMap((one) => {
  const found = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (found.nextNode()) {
    if (!found.currentNode.parentElement.closest("code, pre, a")) texts.push(found.currentNode.textContent);
  }
  return texts;
})"""
# https://docs.gitlab.com/user/markdown/#gitlab-specific-references, emoji, table of contents, inline diff.
_REPLACED = re.compile(
    r"""[@#!&%~^$][\w"]|\[\w+:|\*iteration:|:[\w+-]+:|\[\[|\[TOC\]|[\[{][-+].*[-+][\]}]|://|\bwww\.|\bGH-\d""",
    re.IGNORECASE,
)
# https://docs.gitlab.com/user/project/quick_actions/: looked for in what was sent, line by line.
_ACTION = re.compile(r"^\s*/\w", re.MULTILINE)
HOSTILE = [
    "@all #12 !7 $5 %3 %\"next\" &9 ~bug ~\"a bug\" ^alert#1 GH-12",
    "[vulnerability:12] [feature_flag:1] *iteration:3 [cadence:4] [issue:1/designs[a.png]]",
    "[[_TOC_]]",
    "[TOC]",
    ":tada: :+1: :100:",
    "{+ added +} {- gone -} [+ added +] [- gone -]",
    "$`a^2`$ $$a$$ $a$",
    "/close",
    "/assign @root",
    "x\n/merge",
    "::include{file=secret.md}",
    "[[wiki|page]] [a](http://x.example) ![i](http://x.example/y.png) https://x.example www.x.example smb://x",
    "[^1]",
    ">>> | [!note]",
    '</code></details><img src=x onerror="document.body.dataset.owned=1"><script>document.body.dataset.owned=1</script>',
    "```mermaid\ngraph TD; click A callback\n```",
    "--> <!-- ci-ml:report name=other -->",
    "%{project_name} #f00",
    "---\ntitle: x\n---",
]  # fmt: skip


@pytest.fixture
def show(chromium: browser.Browser, tmp_path: Path) -> Show:
    """Opens a note, with every collapsed part open and every chart drawn where that is asked for."""
    if absent := note_page.missing():
        pytest.skip(f"{', '.join(absent)} not installed (npm ci --prefix tests/pages)")

    @contextmanager
    def shown(comment: str, *, opened: bool = False, width: int = 1200, theme: Theme = "light") -> Iterator[Page]:
        place = tmp_path / "note.html"
        place.write_text(note_page.page(comment), encoding="utf-8")
        with browser.visiting(chromium, place, width=width, theme=theme) as visit:
            if opened:
                for part in visit.page.locator("details").all():
                    part.evaluate("(part) => { part.open = true; }")
                visit.page.wait_for_function(
                    "document.body.dataset.toggled == document.querySelectorAll('details').length"
                )
            visit.page.wait_for_function("document.fonts.status === 'loaded' && document.body.dataset.drawn")
            assert not visit.page.evaluate("document.body.dataset.refused")
            yield visit.page
            assert not visit.complaints

    return shown


def everything() -> str:
    return markdown.report(reports.everything(), PLACE)


@views
def test_without_scrolling_a_reviewer_knows_what_is_wrong_and_by_how_much(show: Show, width: int, theme: Theme) -> None:
    with show(everything(), width=width, theme=theme) as page:
        for selector in ("h3", "h3 + p"):
            box = page.locator(selector).bounding_box()
            assert box
            assert box["y"] + box["height"] <= 568, "the height of a small phone"
            assert box["x"] + box["width"] <= width
        assert "blocked" in page.inner_text("h3")
        assert "fell by 3.1\N{NO-BREAK SPACE}pp, from 0.812 to 0.781" in page.inner_text("h3 + p")


@views
def test_every_row_shows_its_status_its_gate_and_its_change_without_scrolling(
    show: Show, width: int, theme: Theme
) -> None:
    with show(everything(), width=width, theme=theme) as page:
        cells = (
            page.locator("table").first.locator("tbody tr").locator("td:nth-child(1), td:nth-child(2), td:nth-child(3)")
        )
        table = page.locator("table").first.bounding_box()
        assert table
        assert cells.count() == 3 * 7
        assert max(cells.evaluate_all(_RIGHT)) <= table["x"] + table["width"]


@views
def test_nothing_but_a_table_is_wider_than_the_note(show: Show, width: int, theme: Theme) -> None:
    with show(everything(), opened=True, width=width, theme=theme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        beyond = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.localName)"
        assert set(page.locator(".md, .md > *, .md details > *").evaluate_all(beyond)) <= {"table"}
        last = page.locator("p").last
        assert last.inner_text().startswith("Next: restore test.recall")
        assert last.is_visible()


def test_what_is_collapsed_opens_and_holds_its_tables(show: Show) -> None:
    with show(everything()) as page:
        assert page.locator("table").nth(1).is_hidden()
    with show(everything(), opened=True) as page:
        rows = page.locator("details table tbody tr")
        assert rows.count() == 26 + 3 + 3 + 3 + 5
        assert all(row.is_visible() for row in rows.all())


@views
def test_the_history_is_drawn_when_it_is_opened(show: Show, width: int, theme: Theme) -> None:
    with show(everything(), width=width, theme=theme) as page:
        assert page.locator("iframe").count() == 0
    with show(everything(), opened=True, width=width, theme=theme) as page:
        box = page.locator("iframe").bounding_box()
        assert box
        assert box["height"] > 60
        drawn = page.frames[1].locator("svg")
        assert drawn.locator(".line-plot-0 path").get_attribute("stroke") == "#2f81f7"
        assert "test.recall" in (drawn.text_content() or "")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(show: Show, name: str) -> None:
    text = markdown.report(hostile(name), PLACE)
    assert not _ACTION.search(text)
    assert text.startswith(f"{MARKER}\n")
    assert len(re.findall("^<!-- ci-ml:report", text, re.MULTILINE)) == 1
    with show(text, opened=True) as page:
        texts = page.locator(".md").evaluate_all(_TEXTS)
        assert not [found for found in texts if _REPLACED.search(found)]
        assert (
            page.locator(".md :is(img, script, input, sup, [data-math-style], iframe, hr, dl, .markdown-alert)").count()
            == 0
        )
        assert page.locator(".md a:not(.md > h3 > a)").evaluate_all(_LEADS_TO) == [PLACE.run_url]
        assert page.locator("details").count() == page.locator(".md > details").count() > 0
        assert page.evaluate("document.body.dataset.owned") is None


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_reason_why_nothing_was_judged_is_text(show: Show, name: str) -> None:
    text = markdown.failure(name, name, name, PLACE)
    assert not _ACTION.search(text)
    with show(text) as page:
        assert not [found for found in page.locator(".md").evaluate_all(_TEXTS) if _REPLACED.search(found)]
        assert page.locator(".md :is(img, script, input, sup, [data-math-style], iframe, hr, dl)").count() == 0
        assert page.locator(".md a:not(.md > h3 > a)").evaluate_all(_LEADS_TO) == [PLACE.run_url]


def test_the_tests_know_what_gitlab_would_replace(show: Show) -> None:
    sent = "@all and ~\"a bug\"\n\n[[_TOC_]]\n\n[vulnerability:12]\n\n:tada:\n\n{+ added +}\n\n$`a^2`$ and $a$\n\n/close\n"  # fmt: skip
    assert _ACTION.search(sent)
    with show(sent) as page:
        assert len([found for found in page.locator(".md").evaluate_all(_TEXTS) if _REPLACED.search(found)]) == 4
        assert page.locator(".md a").count() == 1  # the table of contents, as a page of a wiki
        assert page.locator("[data-math-style]").count() == 2


def test_the_longest_history_with_the_longest_name_is_drawn_unasked(show: Show) -> None:
    points = [
        PointPart(sha=f"{number:040x}", at="2026-01-01T00:00:00+00:00", value=0.1234567 + number)
        for number in range(1, 51)
    ]
    name = f"m.json:{'a' * 500}"
    history = (HistoryPart(metric=name, points=tuple(points)),)
    content = reports.report(reports.comparison(name, 0.9, 0.8), shown=reports.exhibits()).model_copy(
        update={"history": history}
    )
    with show(markdown.report(content, PLACE), opened=True) as page:
        assert page.locator("iframe").count() == 1


def hostile(name: str) -> Report:
    """A report in which everything has this name."""
    gate = reports.gate(f"test.{name}", rate=True)
    slices = {(name, name): reports.contrast(0.9, 0.7, 0.01), (name, "held"): reports.contrast(0.9, 0.9, 0.001)}
    judged = [
        reports.comparison(f"{name}.json:{name}", 0.9, 0.8),
        reports.measured(gate, reports.contrast(0.9, 0.85, 0.01)),
        *reports.sliced(f"test.{name}", slices),
    ]
    differences = Changes(
        params=(ValueChange(metric=MetricKey(path=name, key=name), base=name, head=name * 2),),
        data=(DataChange(path=name, base=name, head=name * 2),),
    )
    shown = Exhibits(
        code=(CodePart(path=name, change="changed", added=1, removed=1, stages=(name,)),),
        packages=(PackagePart(file=name, package=name, base=name, head=name * 2),),
    )
    base = Revision(sha="a" * 40, ref=name, why=name)
    notices = (name, f"a notice on {name}")
    return reports.report(*judged, differences=differences, shown=shown, base=base, notices=notices)
