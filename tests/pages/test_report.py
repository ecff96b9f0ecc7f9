from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from ci_ml.core.exhibits import Exhibits, PlotPart
from ci_ml.core.report import Report
from tests import browser, reports
from tests.browser import Theme
from tests.pages.views import views

pytestmark = pytest.mark.thorough

Write = Callable[[Report], Path]


def _rows(page: Page) -> list[str]:
    return page.eval_on_selector_all("#all tbody tr .part", "(cells) => cells.map((cell) => cell.textContent)")


def _inside(page: Page, selector: str) -> bool:
    """Whether something can be seen in the window as it is."""
    return bool(
        page.eval_on_selector(
            selector,
            """(node) => {
              const box = node.getBoundingClientRect();
              return box.width > 0 && box.height > 0 && box.top >= 0 && box.bottom <= innerHeight
                && box.left >= 0 && box.right <= innerWidth;
            }""",
        )
    )


@views
def test_every_chart_is_drawn_and_nothing_is_asked_for_or_complained_of(
    chromium: browser.Browser, everything: Path, width: int, theme: Theme
) -> None:
    with browser.visiting(chromium, everything, width=width, theme=theme) as visit:
        browser.draw_all(visit.page)
        charts = visit.page.query_selector_all(".chart")
        assert len(charts) == 11
        for chart in charts:
            assert chart.query_selector(
                "svg .mark-line path, svg .mark-rect path, svg .mark-area path, svg .mark-symbol path"
            )
        assert "cannot be drawn" not in visit.page.inner_text("main")
        assert visit.requests == [everything.as_uri()]
        assert visit.complaints == []


@views
def test_the_first_screen_says_what_is_wrong_and_what_to_do(
    chromium: browser.Browser, everything: Path, width: int, theme: Theme
) -> None:
    with browser.visiting(chromium, everything, width=width, theme=theme) as visit:
        for selector in ("h1", ".sentence", ".next", ".tallies"):
            assert _inside(visit.page, selector), selector
        assert visit.page.inner_text("h1").split() == ["✕", "churn", "blocked"]
        assert "fell by 3.1" in visit.page.inner_text(".sentence")


@views
def test_nothing_is_wider_than_the_window(
    chromium: browser.Browser, everything: Path, width: int, theme: Theme
) -> None:
    with browser.visiting(chromium, everything, width=width, theme=theme) as visit:
        browser.draw_all(visit.page)
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [360, 480, 700, 780, 900, 980, 1180, 1190, 1600])
def test_nor_is_anything_between_these_widths(chromium: browser.Browser, everything: Path, width: int) -> None:
    with browser.visiting(chromium, everything, width=width) as visit:
        browser.draw_all(visit.page)
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width


@views
def test_axe_finds_nothing(chromium: browser.Browser, everything: Path, axe: str, width: int, theme: Theme) -> None:
    with browser.visiting(chromium, everything, width=width, theme=theme) as visit:
        browser.draw_all(visit.page)
        visit.page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        visit.page.wait_for_function("document.querySelectorAll('.data table').length >= 10")
        visit.page.evaluate(axe)
        found = visit.page.evaluate("axe.run(document)")
        assert len(found["passes"]) > 30
        assert [(fault["id"], [node["html"] for node in fault["nodes"]][:3]) for fault in found["violations"]] == []


def test_a_theme_changes_colours_and_a_printer_gets_the_light_one(chromium: browser.Browser, everything: Path) -> None:
    color = "getComputedStyle(document.body).backgroundColor"
    with browser.visiting(chromium, everything, theme="dark") as visit:
        assert visit.page.evaluate(color) == "rgb(13, 16, 20)"
        visit.page.emulate_media(media="print", color_scheme="dark")
        assert visit.page.evaluate(color) == "rgb(255, 255, 255)"


def test_the_contents_stand_beside_a_wide_page(chromium: browser.Browser, everything: Path) -> None:
    beside = "(nav) => nav.getBoundingClientRect().right <= document.querySelector('main').getBoundingClientRect().left"
    for width, expected in ((1200, True), (320, False)):
        with browser.visiting(chromium, everything, width=width) as visit:
            assert visit.page.eval_on_selector("nav", beside) is expected


# --- The list of slices -----------------------------------------------------------------------------------------------


def test_the_list_filters_by_text_with_the_keyboard(chromium: browser.Browser, everything: Path) -> None:
    with browser.visiting(chromium, everything) as visit:
        page = visit.page
        assert page.inner_text("#found") == "33 rows"
        page.focus("#filter-text")
        page.keyboard.type("country = d")
        assert set(_rows(page)) >= {"country = DE", "country = DK"}
        page.keyboard.type("e")
        assert _rows(page) == ["country = DE"]
        assert page.inner_text("#found") == "1 of 33 rows"
        page.keyboard.press("Enter")  # sends nothing, and changes nothing
        assert _rows(page) == ["country = DE"]
        assert visit.requests == [everything.as_uri()]


def test_the_list_filters_by_status_with_the_keyboard(chromium: browser.Browser, everything: Path) -> None:
    with browser.visiting(chromium, everything) as visit:
        page = visit.page
        page.focus("#filter-sort") if page.is_visible("#filter-sort") else page.focus("#filter-metric")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert _rows(page) == ["plan = free"]
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert _rows(page) == ["plan = free", "country = MT", "plan is missing"]


def test_the_list_sorts_by_any_column_with_the_keyboard(chromium: browser.Browser, everything: Path) -> None:
    with browser.visiting(chromium, everything) as visit:
        page = visit.page
        page.focus("[data-key=where] button")
        page.keyboard.press("Enter")
        names = _rows(page)
        assert names[4:] == sorted(names[4:])
        assert page.get_attribute("[data-key=where]", "aria-sort") == "ascending"
        page.keyboard.press("Enter")
        assert _rows(page) == names[::-1]
        assert page.get_attribute("[data-key=where]", "aria-sort") == "descending"
        for key in ("metric", "base_value", "head_value", "delta", "n_value", "p_value", "loss"):
            page.focus(f"[data-key={key}] button")
            page.keyboard.press("Enter")
            assert page.get_attribute(f"[data-key={key}]", "aria-sort") == "ascending"
            assert page.locator("#all [aria-sort]").count() == 1
            assert sorted(_rows(page)) == sorted(names)
        page.focus("[data-key=n_value] button")
        page.keyboard.press("Enter")
        counts = page.eval_on_selector_all(
            "#all .n", "(cells) => cells.map((cell) => cell.textContent).filter(Boolean)"
        )
        numbers = [int(count.replace(",", "")) for count in counts if count != "n"]
        assert numbers == sorted(numbers)


def test_a_narrow_list_sorts_with_a_menu(chromium: browser.Browser, everything: Path) -> None:
    with browser.visiting(chromium, everything, width=320) as visit:
        visit.page.select_option("#filter-sort", "n_value")
        assert _rows(visit.page)[0] == "country = IS"


def test_a_gate_links_to_its_slices_in_the_list(chromium: browser.Browser, everything: Path) -> None:
    with browser.visiting(chromium, everything) as visit:
        visit.page.click("a[data-metric]")
        assert visit.page.inner_text("#found") == "30 of 33 rows"
        assert set(visit.page.locator("#all .what").all_inner_texts()) == {"gate", "test.recall"}


def test_a_long_list_has_pages(chromium: browser.Browser, write: Write) -> None:
    found = {("user", f"u{index:04}"): reports.contrast(0.8, 0.8, 0.01, 400 + index) for index in range(120)}
    with browser.visiting(chromium, write(reports.report(*reports.sliced("test.recall", found)))) as visit:
        page = visit.page
        assert len(_rows(page)) == 50
        assert page.inner_text("#pages span") == "1 to 50"
        for _ in range(2):
            page.click("#pages [data-step='1']")
        assert page.inner_text("#pages span") == "101 to 120"
        assert page.is_disabled("#pages [data-step='1']")
        page.fill("#filter-text", "u0007")
        assert page.is_hidden("#pages")


# --- The rest ---------------------------------------------------------------------------------------------------------


def test_the_first_key_leads_to_the_report(chromium: browser.Browser, everything: Path) -> None:
    with browser.visiting(chromium, everything) as visit:
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.className") == "skip"
        assert _inside(visit.page, ".skip")
        visit.page.keyboard.press("Enter")
        assert visit.page.evaluate("document.activeElement.id") == "overview"


def test_what_has_the_focus_is_seen(chromium: browser.Browser, everything: Path) -> None:
    style = "(({outlineStyle, outlineWidth}) => outlineStyle + ' ' + outlineWidth)(getComputedStyle(document.activeElement))"
    with browser.visiting(chromium, everything) as visit:
        for _ in range(25):
            visit.page.keyboard.press("Tab")
            assert visit.page.evaluate(style) == "solid 2px", visit.page.evaluate("document.activeElement.outerHTML")


def test_the_data_of_a_chart_are_a_table(chromium: browser.Browser, everything: Path) -> None:
    with browser.visiting(chromium, everything) as visit:
        page = visit.page
        summary = page.locator("#training details summary, #plots details summary").first
        summary.focus()
        page.keyboard.press("Enter")
        table = page.locator("#plots .data table")
        table.wait_for()
        assert table.locator("tbody tr").count() == 20
        assert table.locator("tbody tr").first.inner_text().split() == ["0", "1", "main"]


def test_a_chart_says_what_is_under_the_pointer(chromium: browser.Browser, everything: Path) -> None:
    with browser.visiting(chromium, everything) as visit:
        browser.draw_all(visit.page)
        visit.page.locator("#training .mark-rect path").last.hover()
        assert visit.page.inner_text(".tip").split() == [
            "stage",
            "evaluate",
            "side",
            "head",
            "seconds",
            "21.5",
        ]


def test_printed_it_is_whole(chromium: browser.Browser, everything: Path, tmp_path: Path) -> None:
    with browser.visiting(chromium, everything, theme="dark") as visit:
        page = visit.page
        browser.draw_all(page)
        opened = "document.querySelectorAll('details[open]').length"
        before = page.evaluate(opened)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
        assert page.locator(".data table").count() == 10
        page.emulate_media(media="print")
        assert page.is_hidden("nav")
        assert page.is_hidden("form")
        assert page.is_visible("#gates .account dl")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.evaluate(opened) == before
        place = tmp_path / "report.pdf"
        page.pdf(path=place)
        assert place.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "\u202eabc`|"])
def test_names_from_strangers_do_nothing(chromium: browser.Browser, write: Write, name: str) -> None:
    found = {(name, name): reports.contrast(0.8, 0.7, 0.01)}
    spec = {
        "title": name,
        "usermeta": {"embedOptions": {"actions": True}},
        "data": {
            "values": [{name: 1, "y": name, "image": "https://example.org/x.png"}],
            "url": "https://example.org/x",
        },
        "mark": {"type": "point", "href": "javascript:alert(1)", "tooltip": {"content": "data"}},
        "encoding": {
            "y": {"field": "y", "type": "nominal"},
            "x": {"value": 9},
            "href": {"value": "javascript:alert(1)"},
        },
    }
    content = reports.report(
        *reports.sliced(f"test.mean({name})", found), shown=Exhibits(plots=(PlotPart(name=name, spec=spec),))
    )
    with browser.visiting(chromium, place := write(content)) as visit:
        page = visit.page
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
        browser.draw_all(page)
        page.locator("#plots .mark-symbol path").first.hover()
        page.fill("#filter-text", "mean")
        page.wait_for_timeout(100)
        assert page.locator("img, a[href^=javascript], .vega-actions, #plots a").count() == 0
        assert visit.requests == [place.as_uri()]
        assert visit.complaints == []
        assert name.replace("\u202e", "\\u202e") in page.inner_text("#all tbody")


def test_a_plot_that_breaks_leaves_the_rest_alone(chromium: browser.Browser, write: Write) -> None:
    spec = {"mark": "line", "data": {"values": [{"a": 1}]}, "encoding": {"x": {"field": "a", "aggregate": "nonsense"}},
            "transform": [{"calculate": "datum.((", "as": "b"}]}  # fmt: skip
    content = reports.report(shown=Exhibits(plots=(PlotPart(name="odd", spec=spec), *reports.exhibits().plots)))
    with browser.visiting(chromium, write(content)) as visit:
        browser.draw_all(visit.page)
        assert "This chart cannot be drawn" in visit.page.inner_text("#chart-1")
        assert visit.page.locator("#chart-2 svg").count() == 1
        assert not [said for said in visit.complaints if not said.startswith("warning")]


def test_a_large_report_can_be_used(chromium: browser.Browser, write: Write) -> None:
    """With 200 gates and 2,000 slices; `benchmarks.reports` measures how soon."""
    from benchmarks.reports import large

    with browser.visiting(chromium, write(large(200, 2_000))) as visit:
        visit.page.wait_for_function("document.documentElement.dataset.ready")
        assert visit.page.inner_text("#found") == "2,200 rows"
