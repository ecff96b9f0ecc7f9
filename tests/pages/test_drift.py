from collections.abc import Callable
from pathlib import Path

import pytest

from ci_ml.core.report import Report
from tests import browser, movements
from tests.browser import Theme
from tests.pages.views import views

pytestmark = pytest.mark.thorough

Write = Callable[[Report], Path]


@pytest.fixture(scope="session")
def drifted(write: Write) -> Path:
    """What a monitor found: columns that drifted, one that cannot be compared, and a metric that fell."""
    return write(movements.production(movements.customers(), movements.decayed()))


@views
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    chromium: browser.Browser, drifted: Path, axe: str, width: int, theme: Theme
) -> None:
    with browser.visiting(chromium, drifted, width=width, theme=theme) as visit:
        browser.draw_all(visit.page)
        visit.page.add_style_tag(content=".drift { content-visibility: visible !important; }")
        visit.page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        visit.page.evaluate(axe)
        found = visit.page.evaluate("axe.run(document)")
        assert [(fault["id"], [node["html"] for node in fault["nodes"]][:3]) for fault in found["violations"]] == []
        assert visit.requests == [drifted.as_uri()]
        assert visit.complaints == []


@views
def test_the_bars_of_both_sides_stand_beside_each_other(
    chromium: browser.Browser, drifted: Path, width: int, theme: Theme
) -> None:
    fill = "(path) => getComputedStyle(path).fill"
    with browser.visiting(chromium, drifted, width=width, theme=theme) as visit:
        picture = visit.page.locator("#drift-2 svg")
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        assert box
        assert box["width"] > 200
        assert box["height"] > 100
        before, now = (picture.locator(f"path.{side}").evaluate(fill) for side in ("before", "now"))
        swatches = visit.page.locator(".legend .swatch")
        color = "(swatch) => getComputedStyle(swatch).backgroundColor"
        assert [swatches.nth(at).evaluate(color) for at in (0, 1)] == [before, now]
        assert before != now


def test_a_row_leads_to_the_column_and_what_held_opens(chromium: browser.Browser, drifted: Path) -> None:
    with browser.visiting(chromium, drifted) as visit:
        visit.page.click("table.gates a[href='#drift-2']")
        assert visit.page.evaluate("location.hash") == "#drift-2"
        assert not visit.page.is_visible("details.still svg")
        visit.page.click("details.still > summary")
        assert visit.page.locator("details.still article").count() == 3
        assert visit.page.is_visible("details.still svg")


def test_printed_every_column_is_there(chromium: browser.Browser, drifted: Path) -> None:
    with browser.visiting(chromium, drifted, theme="dark") as visit:
        visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        visit.page.emulate_media(media="print")
        assert visit.page.locator("article.drift:visible").count() == 7
        assert visit.page.locator("article.drift svg:visible").count() == 3


def test_200_columns_can_be_used_within_a_second(chromium: browser.Browser, write: Write) -> None:
    """`benchmarks.reports` measures; here is room for a machine that is busy."""
    with browser.visiting(chromium, write(movements.production(movements.many(200)))) as visit:
        visit.page.wait_for_function("document.documentElement.dataset.ready")
        assert int(visit.page.get_attribute("html", "data-ready") or "9999") < 4_000
        assert visit.page.locator("article.drift").count() == 200
