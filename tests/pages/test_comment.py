"""The comment in Chromium, as GitHub shows it: what a reviewer has to see, on a phone as well as on a desk."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page

from ci_ml.render import markdown
from ci_ml.render.markdown import Place
from tests import browser, comment_page, reports
from tests.browser import Theme
from tests.pages.views import views

pytestmark = pytest.mark.thorough

_LINES = """(all) => all.map((one) => {
  const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  const tops = new Set();
  while (texts.nextNode()) {
    range.selectNodeContents(texts.currentNode);
    for (const box of range.getClientRects()) tops.add(Math.round(box.top));
  }
  return tops.size;
})"""
# Where what stands in a cell ends.
_RIGHT = """(all) => all.map((one) => {
  const range = document.createRange();
  range.selectNodeContents(one);
  return range.getBoundingClientRect().right;
})"""
Show = Callable[..., "contextmanager[Page]"]


@pytest.fixture
def show(chromium: browser.Browser, tmp_path: Path) -> Show:
    """Opens a comment, and waits until its charts are drawn."""
    if absent := comment_page.missing():
        pytest.skip(f"{', '.join(absent)} not installed (npm ci --prefix tests/pages)")

    @contextmanager
    def shown(comment: str, *, opened: bool = False, width: int = 1200, theme: Theme = "light") -> Iterator[Page]:
        place = tmp_path / "comment.html"
        place.write_text(comment_page.page(comment, opened=opened), encoding="utf-8")
        with browser.visiting(chromium, place, width=width, theme=theme) as visit:
            visit.page.wait_for_function("document.body.dataset.drawn")
            assert visit.page.evaluate("document.body.dataset.drawn") == "yes"
            yield visit.page

    return shown


def everything() -> str:
    return markdown.report(reports.everything(), Place(run_url="https://github.com/acme/churn/actions/runs/812"))


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
def test_nothing_but_a_table_is_wider_than_the_page(show: Show, width: int, theme: Theme) -> None:
    with show(everything(), opened=True, width=width, theme=theme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        last = page.locator("p").last
        assert last.inner_text().startswith("Next: restore test.recall")
        assert last.is_visible()


def test_plots_and_values_never_break(show: Show) -> None:
    with show(everything()) as page:
        for column in ("td:nth-child(3)", "td:nth-child(4)", "td:nth-child(5)", "td:nth-child(6) code"):
            lines = page.eval_on_selector_all(
                f"table:not(details *) tbody tr {column}",
                _LINES,
            )
            assert lines, column
            assert set(lines) <= {0, 1}, column


@views
def test_every_row_shows_its_status_its_gate_and_its_change_without_scrolling(
    show: Show, width: int, theme: Theme
) -> None:
    with show(everything(), width=width, theme=theme) as page:
        cells = (
            page.locator("table").first.locator("tbody tr").locator("td:nth-child(1), td:nth-child(2), td:nth-child(3)")
        )
        assert cells.count() == 3 * 7
        edges = cells.evaluate_all(_RIGHT)
        assert max(edges) <= width - 16


def test_on_a_desk_the_table_of_gates_needs_no_scrolling(show: Show) -> None:
    with show(everything()) as page:
        assert (
            page.evaluate(
                "(({scrollWidth, clientWidth}) => scrollWidth - clientWidth)(document.querySelector('table'))"
            )
            == 0
        )


def test_collapsed_parts_say_whether_they_are_worth_opening(show: Show) -> None:
    with show(everything()) as page:
        summaries = page.locator("summary").all_inner_texts()
    assert [summary.split(":")[0] for summary in summaries] == [
        "23 slices held, none improved, 3 too small to judge",
        "History",
        "What changed",
        "Training",
        "Environment",
        "How this was judged",
    ]


@views
def test_the_history_is_drawn(show: Show, width: int, theme: Theme) -> None:
    with show(everything(), opened=True, width=width, theme=theme) as page:
        line = page.locator(".mermaid svg .line-plot-0 path")
        assert line.count() == 1
        assert line.get_attribute("stroke") == "#2f81f7"
        assert "test.recall" in (page.locator(".mermaid svg").text_content() or "")


def test_hostile_names_are_text(show: Show) -> None:
    hostile = 'a|b `c` <img src=x onerror="document.body.dataset.owned=1"> ```\n</details> %%{init: {}}%% "q'
    judged = reports.comparison(f"m.json:{hostile}", 0.9, 0.8)
    notices = (f"{hostile} https://evil.example WWW.evil.example a@evil.example", "> www.evil.example")
    content = reports.report(judged, shown=reports.exhibits(), notices=notices)
    with show(markdown.report(content), opened=True) as page:
        assert page.locator("img, a").count() == 0
        assert page.locator("blockquote").last.inner_text() == "> www\N{ZERO WIDTH SPACE}.evil.example"
        assert page.evaluate("document.body.dataset.owned") is None
        assert 'onerror="document.body.dataset.owned=1"' in page.inner_text("h3 + p")
