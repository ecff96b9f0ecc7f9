"""What reports cost: rendering 2,000 comparisons against parsing their report.json, growth to 20,000, and Chromium.

`python -m benchmarks.reports` prints a line for each promise; `--keep FOLDER` leaves the pages there to be looked at.
The page is interactive when its script has run: the list is sorted and filtered then, and charts are drawn as they come
into sight.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ci_ml.core import report as reports
from ci_ml.core.compare import Comparison
from ci_ml.core.exhibits import Exhibits, HistoryPart, PointPart
from ci_ml.core.report import Report
from ci_ml.render import html, markdown
from tests import browser
from tests import reports as made

GATES, SLICES = 200, 2_000
_RUNS = 5
_PER_GATE = 50


def main() -> int:
    """Print a line for each promise; exit 1 when one is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the pages stay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        kept = [*rendering(), *pages(place)]
    return 0 if all(kept) else 1


def large(gates: int, slices: int) -> Report:
    """A report with so many gates on tables and so many slices of some of them, and what else a report shows."""
    comparisons: list[Comparison] = [
        made.measured(
            made.gate(f"table{index % 7}.mean(column{index})", 0.01),
            made.contrast(0.8 + index % 13 / 100, 0.8 + index % 13 / 100 + _step(index), 0.004, 10_000),
        )
        for index in range(gates)
    ]
    for index in range(0, slices, _PER_GATE):
        found = {
            ("country", f"C{number:03}"): made.contrast(0.8, 0.8 + _step(number) / 2, 0.008, 5_000 + number)
            for number in range(min(_PER_GATE, slices - index))
        }
        comparisons += made.sliced(f"table.mean(column{index // _PER_GATE})", found, margin=0.02)
    shown = made.exhibits()
    past = tuple(
        HistoryPart(
            metric=str(comparison.gate.metric),
            points=tuple(
                PointPart(sha=f"{number:040x}", at=f"2026-10-{number + 1:02}T09:00:00+00:00", value=0.8 + number / 900)
                for number in range(20)
            ),
        )
        for comparison in comparisons[:gates]
    )
    exhibits = Exhibits(history=past, curves=shown.curves, confusions=shown.confusions, plots=shown.plots)
    return made.report(*comparisons, shown=exhibits)


def _step(index: int) -> float:
    """A change that is different from its neighbours': some got worse by a little."""
    return (index * 7919 % 1000 - 420) / 100_000


def rendering() -> list[bool]:
    """The comment and the page of 2,000 comparisons against the parsing of them, and of 20,000 against that."""
    few, many = (large(size // 10, size - size // 10) for size in (2_000, 20_000))
    data = few.to_json().encode()
    parsing = _seconds(lambda: reports.load(data, "report.json"))
    comment, page = (_seconds(lambda make=make: make(few)) for make in (markdown.report, html.report))
    longer = _seconds(lambda: html.report(many), runs=2)
    comment_longer = _seconds(lambda: markdown.report(many), runs=2)
    return [
        _line("comment, 2,000 comparisons / parsing report.json", comment, parsing, comment / parsing, "x", 20),
        _line("page, 2,000 comparisons / parsing report.json", page, parsing, page / parsing, "x", 60),
        _line("page, 20,000 comparisons / 2,000, per comparison", longer, page, longer / page / 10, "x", 1.25),
        _line(
            "comment, 20,000 / 2,000, per comparison", comment_longer, comment, comment_longer / comment / 10, "x", 1.25
        ),
    ]


def pages(folder: Path) -> list[bool]:
    """How large a page is, and how soon Chromium is done with it."""
    places = {}
    for name, gates, slices in (("usual", GATES, SLICES), ("huge", 2_000, 18_000)):
        places[name] = folder / f"{name}.html"
        places[name].write_text(html.report(large(gates, slices)), encoding="utf-8")
    megabytes = places["usual"].stat().st_size / 1e6
    found = [_line(f"page of {GATES} gates and {SLICES:,} slices, MB", megabytes, 5, megabytes, "MB", 5)]
    with browser.running() as chromium:
        for name, most in (("usual", 1.0), ("huge", 5.0)):
            times = [_ready(chromium, places[name]) for _ in range(_RUNS)]
            ready, sort, filtered = (statistics.median(column) for column in zip(*times, strict=True))
            found += [
                _line(f"{name}: until it is interactive", ready, most, ready, "s", most),
                _line(f"{name}: to sort the list", sort, most / 5, sort, "s", most / 5),
                _line(f"{name}: to filter the list", filtered, most / 5, filtered, "s", most / 5),
            ]
    return found


_TIMED = """
(run) => { const begun = performance.now(); %s; document.body.offsetHeight; return (performance.now() - begun) / 1000; }
"""
_TYPED = "const box = document.getElementById('filter-text'); box.value = 'c01'; box.dispatchEvent(new Event('input'))"


def _ready(chromium: browser.Browser, place: Path) -> tuple[float, float, float]:
    """Seconds until the page can be used, then to sort by slice and to filter by a word, layout included."""
    with browser.visiting(chromium, place) as visit:
        page = visit.page
        page.wait_for_function("document.documentElement.dataset.ready")
        ready = page.evaluate("performance.getEntriesByName('ci-ml:ready')[0].startTime") / 1000
        sort = page.evaluate(_TIMED % "document.querySelector('[data-key=where] button').click()")
        filtered = page.evaluate(_TIMED % _TYPED)
        assert not visit.complaints, visit.complaints
        return ready, sort, filtered


def _seconds(run: Callable[[], object], runs: int = _RUNS) -> float:
    run()
    found = []
    for _ in range(runs):
        begun = time.perf_counter()
        run()
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def _line(what: str, ours: float, theirs: float, measured: float, unit: str, most: float) -> bool:
    kept = measured <= most
    print(
        f"{'ok  ' if kept else 'SLOW'} {what:<58} {ours:8.3f} against {theirs:8.3f}   {measured:6.2f} {unit} "
        f"(at most {most:g})",
        flush=True,
    )
    return kept


if __name__ == "__main__":
    sys.exit(main())
