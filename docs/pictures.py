"""Takes the pictures of docs/pictures with Chromium: `python docs/pictures.py`, or only those whose names are given.

A picture is a page, a size, a theme and a part of it; `PICTURES` lists them. Pages come from the reports of the tests.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from ci_ml.render import html, markdown  # noqa: E402  the tests' reports are found beside docs
from tests import browser, comment_page, movements, reports  # noqa: E402

FOLDER = ROOT / "docs/pictures"
MOST = 200_000
_EDGE = 16


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture: the page's text, the window, and what of it is shown: a part, no taller than the window, or all."""

    page: Callable[[], str]
    width: int = 1200
    height: int = 900
    theme: browser.Theme = "light"
    of: str = ""


def _everything() -> str:
    return html.report(reports.everything())


def _comment() -> str:
    return comment_page.page(markdown.report(reports.everything()))


def _drift() -> str:
    return html.report(movements.production())


PICTURES: Mapping[str, Picture] = {
    "comment-light": Picture(page=_comment, width=892, height=900),
    "comment-dark": Picture(page=_comment, width=892, height=900, theme="dark"),
    "comment-narrow": Picture(page=_comment, width=320, height=780),
    "report-light": Picture(page=_everything, height=780),
    "report-dark": Picture(page=_everything, height=780, theme="dark"),
    "report-narrow": Picture(page=_everything, width=320, height=780),
    "report-gate": Picture(page=_everything, height=1000, of="#gate-1"),
    "report-slices": Picture(page=_everything, height=700, of="#explorer"),
    "report-drift": Picture(page=_drift, height=1060, of="#drift"),
    "report-curves": Picture(page=_everything, height=1160, of="#predictions"),
}


def main(names: Sequence[str]) -> int:
    """Take the pictures; 1 when one is too large to be committed."""
    FOLDER.mkdir(exist_ok=True)
    large = 0
    with browser.running() as chromium, tempfile.TemporaryDirectory() as folder:
        for name in names or PICTURES:
            place = FOLDER / f"{name}.png"
            take(chromium, PICTURES[name], Path(folder, f"{name}.html"), place)
            size = place.stat().st_size
            large += size > MOST
            sys.stdout.write(f"{place.relative_to(ROOT)}: {size / 1000:,.0f} kB{' IS TOO LARGE' * (size > MOST)}\n")
    return 1 if large else 0


def take(chromium: browser.Browser, picture: Picture, page: Path, place: Path) -> None:
    """Open a page, wait for its charts, and photograph it."""
    page.write_text(picture.page(), encoding="utf-8")
    width, height = picture.width, picture.height
    with browser.visiting(chromium, page, width=width, height=height, theme=picture.theme) as visit:
        if picture.page is _comment:
            visit.page.wait_for_function("document.body.dataset.drawn")
        else:
            browser.draw_all(visit.page)
        if picture.of:
            part = visit.page.locator(picture.of)
            part.scroll_into_view_if_needed()
            box = part.bounding_box()
            assert box
            top = max(box["y"] + visit.page.evaluate("scrollY") - _EDGE, 0)
            left, wide = max(box["x"] - _EDGE, 0), min(box["width"] + 2 * _EDGE, width)
            clip = {"x": left, "y": top, "width": wide, "height": min(box["height"] + 2 * _EDGE, height)}
            visit.page.screenshot(path=place, full_page=True, clip=clip)
        else:
            visit.page.screenshot(path=place)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
