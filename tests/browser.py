"""Chromium, as tests, benchmarks and pictures drive it: without a network, and listening to what a page complains of."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

Theme = Literal["light", "dark"]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Where Chromium is, if it is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """A browser, to be closed in the end. In a container without user namespaces it has no sandbox of its own."""
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program(), args=[*arguments, "--hide-scrollbars"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(kw_only=True)
class Visit:
    """A page that is open, with everything that it asked for and complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextlib.contextmanager
def visiting(
    browser: Browser, place: Path, *, width: int = 1200, height: int = 900, theme: Theme = "light", scale: float = 1
) -> Iterator[Visit]:
    """A file, opened at a size and in a theme."""
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        device_scale_factor=scale,
        offline=True,
        reduced_motion="reduce",
    )
    page = context.new_page()
    visit = Visit(page=page)
    page.on("request", lambda request: visit.requests.append(request.url))
    page.on("console", lambda said: visit.complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: visit.complaints.append(f"error: {error}"))
    try:
        page.goto(place.as_uri())
        yield visit
    finally:
        context.close()


def draw_all(page: Page) -> None:
    """Wait until every chart of a report is drawn, those out of sight as well."""
    page.add_style_tag(content="#gates { content-visibility: visible !important; }")
    for chart in page.query_selector_all(".chart"):
        chart.evaluate("(chart) => chart.scrollIntoView({behavior: 'instant', block: 'center'})")
        page.wait_for_function("(chart) => chart.classList.contains('drawn')", arg=chart)
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
