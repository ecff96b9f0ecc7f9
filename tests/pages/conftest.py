"""The HTML report in Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci_ml.core.report import Report
from ci_ml.render import html
from tests import browser, reports

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def chromium() -> Iterator[browser.Browser]:
    """One browser for all; where there is none, the test is skipped and says so."""
    if browser.program() is None:
        pytest.skip("chromium not installed (.ci/run does it)")
    with browser.running() as found:
        yield found


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Report], Path]:
    """Renders a report into a file of its own."""

    def written(content: Report) -> Path:
        place = tmp_path_factory.mktemp("page") / "report.html"
        place.write_text(html.report(content), encoding="utf-8")
        return place

    return written


@pytest.fixture(scope="session")
def everything(write: Callable[[Report], Path]) -> Path:
    """A report with all that a report can show."""
    return write(reports.everything())


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, which looks for what keeps people from using a page."""
    place = HERE / "node_modules/axe-core/axe.min.js"
    if not place.is_file():
        pytest.skip("axe-core not installed (npm ci --prefix tests/pages)")
    return place.read_text(encoding="utf-8")
