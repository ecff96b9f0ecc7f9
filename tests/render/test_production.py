"""Reports on production, and on tables that drifted: what they say, in every form."""

import re

import pytest

from ci_ml.core.compare import Comparison
from ci_ml.core.report import Report
from ci_ml.render import cells, html, markdown, terminal, words
from tests import movements, reports

NBSP = cells.NBSP
HELD = reports.measured(reports.gate("test.recall", 0.03, rate=True), reports.contrast(0.84, 0.838, 0.01, 771))


@pytest.mark.parametrize(
    ("content", "headline", "step"),
    [
        (
            movements.production(),
            "production has drifted",
            "look at what feeds plan, age, income and mend what is broken; where the world has changed, "
            "run `ci-ml retrain`.",
        ),
        (
            movements.production(movements.calm(), movements.decayed()),
            "the model got worse in production",
            "look at what test.recall gets wrong now, and run `ci-ml retrain` with what has arrived since.",
        ),
        (
            movements.production(movements.customers(share=0.9)),
            "production cannot be compared",
            "mend what keeps churn.referrer drift from being compared: what is missing is not known to be as it was.",
        ),
        (movements.production(movements.calm(), HELD), "production is within its limits", None),
        (
            movements.checked(),
            "blocked",
            "look at what changed plan, age, income, or allow it under `drift` on the base branch.",
        ),
    ],
)
def test_it_says_what_became_of_production_and_what_to_do(content: Report, headline: str, step: str | None) -> None:
    assert (words.headline(content), words.next_step(content)) == (headline, step)
    assert headline in markdown.report(content)
    assert headline in terminal.report(content)
    assert f"churn: {headline}" in html.report(content)


def test_nobody_is_told_to_accept_production_or_to_change_a_base_branch() -> None:
    for content in (movements.production(), movements.production(movements.calm(), movements.decayed())):
        for text in (markdown.report(content), terminal.report(content), html.report(content)):
            for word in ("blocked", "base branch", "accept", "ci-ml check", "merge"):
                assert word not in text.partition("<script")[0], word
    assert "**Next:** look at what feeds" in markdown.report(movements.production())
    assert "run `ci-ml retrain`." in markdown.report(movements.production())


def test_it_was_judged_against_what_was_recorded() -> None:
    content = movements.production()
    assert words.provenance(content)[:3] == [
        "recorded with the model at aaaaaaa",
        f"771 rows of production {movements.SPAN}",
        "gates from ci-ml.yaml at aaaaaaa (sha256:0000000…)",
    ]
    for text in (markdown.report(content), terminal.report(content, width=200), html.report(content)):
        assert "recorded with the model at aaaaaaa" in text
        assert movements.SPAN in text


@pytest.mark.parametrize(("more", "sides"), [((movements.decayed(),), "recorded → production"), ((), None)])
def test_both_sides_are_called_what_they_are(more: tuple[Comparison, ...], sides: str | None) -> None:
    text = markdown.report(movements.production(movements.customers(), *more))
    header = next(line for line in text.splitlines() if line.startswith("| | "))
    assert header == (
        f"| | gate | change | 95{NBSP}%{NBSP}interval | {sides} | −m{NBSP}┊{NBSP}0{NBSP}│{NBSP}better |"
        if sides
        else "| | what is compared |  | value | limit |"
    )


def test_a_distance_is_a_value_with_its_limit_and_a_share_is_in_percent() -> None:
    content = movements.checked()
    found = {item.metric: item for item in content.comparisons}
    told = [
        (cells.values(item)[1], cells.allows(item), cells.moved(item))
        for item in (
            found["train: share of columns that drifted"],
            found["train.plan drift"],
            found["train.age drift"],
            found["train.country drift"],
        )
    ]
    assert told == [
        (f"50{NBSP}%", f"≤ 30{NBSP}%", "too many"),
        (f"15.6{NBSP}%", f"≤ 1{NBSP}%", "drifted"),
        ("0.782", "≤ 0.1", "drifted"),
        ("0.00411", "≤ 0.1", "no drift"),
    ]
    lines = terminal.report(content, width=120).splitlines()
    assert next(line for line in lines if "what is compared" in line).split() == "what is compared value limit".split()


def test_a_column_that_drifted_is_never_counted_among_what_held() -> None:
    content = movements.production(movements.many(60))
    text = markdown.report(content)
    drifted = [column.metric for column in content.drifts[0].columns if column.drifted]
    assert 5 < len(drifted) < 18
    table = text.partition("<details>")[0]
    assert table.count(" | drifted | ") == len(drifted)
    assert f"<summary>1 expectation holds, {60 - len(drifted)} did not drift</summary>" in text


def test_what_held_is_said_of_drift_as_well() -> None:
    assert movements.production(movements.calm()).verdict.sentence == "Nothing drifted."
    some = movements.customers(share=0.9, columns={"except": ["referrer"]})
    assert movements.production(some).verdict.sentence == "Drift stays within its limits."
    both = movements.production(movements.calm(), HELD)
    assert both.verdict.sentence == "The one gated metric held and nothing drifted."


def test_hostile_columns_are_text_in_a_comment() -> None:
    sides = {"@team <img> `x` | #1": movements.HOSTILE}
    text = markdown.report(movements.production(movements.between(sides, share=0)))
    rest = re.sub(r"(`+)(.*?)\1", "", text)
    assert "<img" not in rest
    assert "@team" not in rest


def test_a_comment_sketches_both_sides_of_what_drifted() -> None:
    text = markdown.report(movements.production())
    section = text.partition("<details><summary>How 3 columns drifted</summary>")[2].partition("</details>")[0]
    rows = [line.split(" | ") for line in section.strip().splitlines()[2:]]
    assert [row[0] for row in rows] == ["| `plan`", "| `age`", "| `income`"]
    before, now = (cell.strip("`") for cell in rows[1][1:3])
    assert len(before) == len(now) == 15
    assert before.index(max(before)) < len(now) - now[::-1].index(max(now))
    assert "its mean rose from 40.93 to 49.52" in rows[1][3]
    assert "How 3 columns" not in markdown.report(movements.production(movements.calm()))
