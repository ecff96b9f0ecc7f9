"""What a comment says below the gates: history, what changed, training."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ci_ml.core.exhibits import (
    BeforePart,
    CodePart,
    EnvironmentPart,
    Exhibits,
    HistoryPart,
    PackagePart,
    PointPart,
    RatePart,
    SettingPart,
)
from ci_ml.core.report import Report, StageRunPart, TrainingPart
from ci_ml.render import charts, html, markdown, spent
from tests.reports import comparison, everything, report

COMMENT = markdown.report(everything())
HOSTILE = (
    'a|b `c` <img src=x onerror=y> @team #1 \N{RIGHT-TO-LEFT OVERRIDE}d\n```\n</details> %%{init: {}}%% "q" [l](//e)'
)


def section(text: str, begin: str) -> str:
    """A collapsed part by how its summary begins."""
    (found,) = re.findall(rf"<details><summary>{begin}.*?</details>", text, re.DOTALL)
    return str(found)


def trained(seconds: float, before: float | None, **rest: object) -> TrainingPart:
    stages = (StageRunPart(name="train", state="ran", seconds=seconds),)
    known = BeforePart(seconds=before, stages={"train": before}) if before is not None else None
    return TrainingPart(stages=stages, seconds=seconds, before=known, **rest)  # type: ignore[arg-type]


def test_history_begins_with_the_metric_that_decided() -> None:
    found = section(COMMENT, "History")
    assert found.splitlines()[0] == "<details><summary>History: test.recall ▁▃▂▇█▇ on main, and 2 more</summary>"
    assert "| `test.recall` | ▁▃▂▇█▇ | 0.8210 → 0.8402, now 0.8361 |" in found.replace("\N{NO-BREAK SPACE}", " ")
    assert 'title "test.recall"' in found
    assert "line [0.821000, 0.826000, 0.825000, 0.838000, 0.840200, 0.836100]" in found


def test_files_are_among_what_changed() -> None:
    found = section(COMMENT, "What changed: 2 params, 1 data set, 3 files</summary>")
    assert "- `src/train.py`: \\+14 −3, read by train" in found
    assert "- `assets/logo.png`: removed" in found


def test_the_environment_says_what_differs_and_who_says_so() -> None:
    found = section(COMMENT, "Environment: Python, platform and 3 packages differ, as far as is known</summary>")
    rows = [line for line in found.splitlines() if line.startswith("| ")][2:]
    assert rows == [
        "| Python | `3.12.11` | `3.13.5` | training |",
        "| numpy | `2.3.4` | `2.4.1` | training |",
        "| scikit-learn | `1.7.2` | `1.8.0` | training, `requirements.txt` |",
        "| platform | `Linux x86_64, glibc2.39` | `Linux x86_64, glibc2.41` | training |",
        "| joblib | `–` | `1.5.2` | `requirements.txt` |",
    ]
    assert "Not known: the processor of the base (it is not recorded)." in found


LOCKED = (PackagePart(file="uv.lock", package="torch", base="2.8.0", head="2.9.0"),)
PYTHON = (SettingPart(kind="python", base="3.12.1", head="3.13.0"),)
ELSEWHERE = PackagePart(file="env/uv.lock", package="Torch", base="2.8.0", head="2.8.1")


@pytest.mark.parametrize(
    ("packages", "environment", "said"),
    [
        ((), None, None),
        ((), EnvironmentPart(), "the same in both trainings"),
        ((), EnvironmentPart(missing=("x",)), "not known"),
        (LOCKED, None, "1 package differs, as far as is known"),
        ((*LOCKED, ELSEWHERE), EnvironmentPart(), "1 package differs"),
        (LOCKED, EnvironmentPart(differences=PYTHON), "Python and 1 package differ"),
        ((), EnvironmentPart(differences=PYTHON, missing=("x",)), "Python differs, as far as is known"),
    ],
)
def test_what_is_missing_of_the_environment_is_never_sameness(
    packages: tuple[PackagePart, ...], environment: EnvironmentPart | None, said: str | None
) -> None:
    content = report(comparison("a", 0.9, 0.9), shown=Exhibits(packages=packages, environment=environment))
    found = re.findall("<summary>Environment: (.*?)</summary>", markdown.report(content))
    assert found == ([said] if said else [])
    is_whole = environment is not None and not environment.missing
    assert ("Not known: " in markdown.report(content)) is (said is not None and not is_whole)
    assert ("Not known: " in html.report(content)) is (said is not None and not is_whole)


def test_training_is_compared_stage_by_stage() -> None:
    said = "Training: 4 min 28 s, 2 of 3 stages ran, about 0.18 EUR; they took 55.0 s more than for the base"
    found = section(COMMENT, f"{said}, whose training took 3 min 32 s, about 0.14 EUR</summary>").replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "| `train` | ran | 3 min 10 s | 4 min 4 s | +28 % |" in found
    assert "| `prepare` | from cache | 0.4 s | – |  |" in found


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (trained(10.0, None), "Training: 10.0 s, its stage ran"),
        (
            trained(10.0, 10.2),
            "Training: 10.0 s, its stage ran; it took as long as for the base, whose training took 10.2 s",
        ),
        (
            trained(10.0, 20.0),
            "Training: 10.0 s, its stage ran; it took 10.0 s less than for the base, whose training took 20.0 s",
        ),
        (
            trained(10.0, 0.0),
            "Training: 10.0 s, its stage ran; it took 10.0 s more than for the base, whose training took 0.0 s",
        ),
        (
            trained(7200.0, None, rate=RatePart(per_hour=1.5, currency="$")),
            "Training: 2 h 0 min, its stage ran, about 3.00 $",
        ),
        (
            TrainingPart(
                stages=(StageRunPart(name="train", state="cached", seconds=0.2),),
                seconds=3.0,
                before=BeforePart(seconds=7200.0, stages={"train": 7190.0}),
                rate=RatePart(per_hour=1.5, currency="EUR"),
            ),
            "Training: 3.0 s, its stage did not run, less than 0.01 EUR; that of the base took 2 h 0 min, about 3.00 EUR",
        ),
    ],
)
def test_what_training_took_in_one_line(training: TrainingPart, said: str) -> None:
    assert spent.summary(training) == said


def test_without_anything_to_say_there_is_no_section() -> None:
    text = markdown.report(report(comparison("a", 0.9, 0.9)))
    assert re.findall("<summary>(.*?)</summary>", text) == ["How this was judged"]


def hostile() -> Report:
    points = tuple(PointPart(sha="a" * 40, at="2026-01-01", value=value) for value in (0.5, 0.6, 0.7))
    name = f"m.json:{HOSTILE}"
    return report(
        comparison(name, 0.9, 0.8),
        training=trained(1.0, 2.0, rate=RatePart(per_hour=1, currency="<b>@team</b>")).model_copy(
            update={"stages": (StageRunPart(name=HOSTILE, state="ran", seconds=1.0),)}
        ),
        shown=Exhibits(
            history=(HistoryPart(metric=name, points=points),),
            code=(CodePart(path=HOSTILE, change="changed", added=1, removed=1, stages=(HOSTILE,)),),
            packages=(PackagePart(file=HOSTILE, package=HOSTILE, base=HOSTILE, head=HOSTILE * 500),),
            environment=EnvironmentPart(
                differences=(
                    SettingPart(kind="package", name=HOSTILE, base=HOSTILE, head=HOSTILE * 500),
                    SettingPart(kind="gpu", head=HOSTILE),
                ),
                missing=(HOSTILE,),
            ),
        ),
    )


def test_hostile_names_are_text() -> None:
    text = markdown.report(hostile())
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    tags = set(re.findall(r"<(\w+)", page))
    assert tags <= {
        "h3",
        "p",
        "strong",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "ul",
        "li",
        "pre",
    }
    assert page.count("<details>") == page.count("</details>") == 5
    shown = re.sub("<code.*?</code>", "", page, flags=re.DOTALL)
    assert "@team" not in shown
    assert text.count("```mermaid") == 1
    (chart,) = re.findall("```mermaid\n(.*?)\n```", text, re.DOTALL)
    assert [line.split()[0] for line in chart.splitlines()[9:]] == ["xychart-beta", "title", "x-axis", "line"]
    assert 'x-axis ["1", "2", "3", "now"]' in chart, "the same label twice would be one place"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_a_sparkline_has_a_character_for_each_value_and_its_ends_are_the_extremes(values: list[float]) -> None:
    found = charts.sparkline(values)
    assert len(found) == len(values)
    if max(values) > min(values):
        assert found[values.index(max(values))] == "█"
        assert found[values.index(min(values))] == "▁"


@given(st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=9), st.text())
def test_a_chart_has_plain_numbers_and_one_title(values: list[float], title: str) -> None:
    lines = charts.mermaid(title, values, ["a"] * len(values)).splitlines()
    assert len(lines) == 15
    numbers = lines[13].strip().removeprefix("line [").removesuffix("]").split(", ")
    largest = max(map(abs, values))
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", number) for number in numbers)
    assert all(
        abs(float(number) - value) <= 1e-5 * largest + 1e-30 for number, value in zip(numbers, values, strict=True)
    )
    assert lines[11].count('"') == 2
