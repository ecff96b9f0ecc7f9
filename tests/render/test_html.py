import base64
import hashlib
import itertools
import json
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest

from benchmarks.reports import large
from ci_ml.core.exhibits import (
    CodePart,
    ConfusionPart,
    CurvePart,
    EnvironmentPart,
    Exhibits,
    HistoryPart,
    LocationPart,
    PackagePart,
    PlotPart,
    PointPart,
    SeriesPart,
    SettingPart,
)
from ci_ml.core.report import ParamPart, Report, StageChangePart, StageRunPart, TrainingPart
from ci_ml.core.types import Gap, Require
from ci_ml.errors import UsageError
from ci_ml.render import explain, html
from tests import reports

NASTY = (
    "a|b `c` @team",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "--></style></title><!--",
    "\u202egnp.exe\u202c",
    "line\u2028break\x00\x1b[2J",
    "{{ 7 * 7 }}{% raw %}",
    "'\" onmouseover='alert(1)",
    "long" * 2400,
)
VOID = frozenset("meta link input br wbr rect line circle path".split())


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, what stands in them, and whether all of them are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.text = ""
        self._open: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        self.text += "" if tag in ("code", "wbr", "b") else " "
        if tag not in VOID:
            self._open.append((tag, found.get("id") or ""))

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1][0] == tag, (tag, self._open[-3:])
        self._open.pop()

    def handle_data(self, data: str) -> None:
        name, id_ = self._open[-1] if self._open else ("", "")
        if name in ("script", "style"):
            self.inside[id_ or name] = data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html.report(reports.everything()))


@pytest.fixture(scope="module")
def plain() -> Page:
    """The page of a report in which every text is harmless."""
    return Page(html.report(hostile("plain name")))


def hostile(name: str) -> Report:
    """A report in which every text that can be somebody else's is `name`."""
    content = reports.everything()
    short = name[:900]
    series = SeriesPart(x=(0.0, 1.0), y=(0.0, 1.0))
    update: dict[str, Any] = {
        "comparisons": tuple(
            item.model_copy(
                update={
                    "metric": f"{name}{index}",
                    "slice": {name: name} if item.slice else None,
                    "between": (name, name),
                    "reason": f"{name}{index} fell",
                    "method": name,
                    "settles": name,
                    "allows": name,
                    "declared": LocationPart(path=short),
                }
            )
            for index, item in enumerate(content.comparisons)
        ),
        "verdict": content.verdict.model_copy(update={"sentence": name, "reasons": (name, f"{name}0 fell")}),
        "params": (ParamPart(path=name, key=name, base=name, head=[name]),),
        "stages": (StageChangePart(name=name, change="changed", what=(name,)),),
        "code": (CodePart(path=short, change="changed", stages=(short,)),),
        "packages": (PackagePart(file=short, package=short, base=short),),
        "environment": EnvironmentPart(
            differences=(SettingPart(kind="package", name=short, head=short), SettingPart(kind="gpu", base=short)),
            missing=(short,),
        ),
        "notices": (name,),
        "history": (HistoryPart(metric=f"{name}0", points=(PointPart(sha="a" * 40, at=name[:60], value=1.0),)),),
        "curves": (CurvePart(table=short, kind="roc", of=short, base=series, head=series),),
        "confusions": (ConfusionPart(table=short, classes=(short, f"{short}2"), head=((1, 2), (3, 4))),),
        "plots": (PlotPart(name=short, spec={"mark": "line", "data": {"values": [{name: name}]}, "title": name}),),
        "training": TrainingPart(stages=(StageRunPart(name=name, state="ran", seconds=1.0),), mlflow_run=name),
        "base": content.base.model_copy(update={"ref": name, "why": name}),
    }
    return content.model_copy(update=update)


def test_it_is_a_whole_page_with_landmarks_and_headings_in_order(page: Page) -> None:
    names = [name for name, _ in page.elements]
    for landmark in ("header", "nav", "main", "footer"):
        assert landmark in names
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_reference_within_the_page_leads_somewhere(page: Page) -> None:
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for _, attributes in page.elements:
        if (target := attributes.get("href") or "").startswith("#"):
            assert target[1:] in ids
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids


def test_nothing_leads_out_of_it_but_the_run(page: Page) -> None:
    for _, attributes in page.elements:
        assert not attributes.keys() & {"src", "srcset", "action", "onclick", "onload"}
        link = attributes.get("href") or "#"
        assert link.startswith(("#", "data:,")) or link == "https://github.com/acme/churn/actions/runs/812"


def test_the_policy_lets_these_two_scripts_run_and_no_other(page: Page) -> None:
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")["content"]
    assert policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    scripts = {page.inside["script"], page.inside["drawing"]}
    assert {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts} == allowed
    kinds = [script.get("type") for script in page.all("script")]
    assert sorted(map(str, kinds)) == ["None", "application/json", "application/json", "text/plain"]


def test_the_overview_says_what_decided_and_what_to_do(page: Page) -> None:
    for said in (
        "churn blocked",
        "fell by 3.1\u00a0pp, from 0.812 to 0.781",
        "Next Restore test.recall on plan = free, or raise its margin on the base branch.",
        "with the label ci-ml: accept regression . Locally: ci-ml check --explain test.recall".replace(" .", "."),
        "1 blocks",
        "23 slices held, none improved, 3 too small to judge",
    ):
        assert " ".join(said.split()) in page.words


def test_harm_comes_first() -> None:
    text = html.report(reports.everything())
    overview = text[text.index('id="overview"') : text.index('id="gates"')]
    kinds = re.findall(r'<tr role="row" class="(\w+)">', overview)
    assert kinds == sorted(kinds, key=["fail", "undecided", "warn", "info", "pass"].index)
    cards = re.findall(r'<article class="gate (\w+)"', text)
    assert cards[0] == "fail"


def test_a_gate_is_explained_as_on_the_terminal(page: Page) -> None:
    recall = next(item for item in reports.everything().comparisons if item.metric == "test.recall" and not item.slice)
    for label, said in explain.account(recall):
        assert f"{label} {' '.join(said.split())}" in page.words


def test_everything_that_a_report_holds_is_on_the_page(page: Page) -> None:
    for said in (
        "ci-ml.yaml:12",
        "params.yaml train.class_weight",
        "3f0a5b7",
        "src/features.py",
        "+40 −0",
        "scikit-learn 1.7.2 1.8.0",
        "3 min 32 s, about 0.14 EUR",
        "4 min 28 s, about 0.18 EUR",
        "from cache",
        "run-812",
        "merge base of HEAD and origin/main",
        f"sha256:{'0' * 64}",
        "plots/loss.csv",
        "ROC of 1",
        "area 0.9104 → 0.9121",
        "94.1\u00a0% right",
        "5 commits of the base branch",
        "acme/churn #7",
    ):
        assert " ".join(said.split()) in page.words, said


def test_every_chart_has_a_name_and_a_specification(page: Page) -> None:
    specs = json.loads(page.inside["specs"])["charts"]
    charts = [found for found in page.all("div") if found.get("class") == "chart"]
    assert {found["id"] for found in charts} == specs.keys()
    assert all(found["role"] == "img" and len(found["aria-label"] or "") > 10 for found in charts)


def test_the_table_of_a_chart_names_fields_that_its_data_have(page: Page) -> None:
    found = json.loads(page.inside["specs"])
    for name, columns in found["columns"].items():
        for _, field in columns:
            assert any(field in row for row in found["charts"][name]["data"]["values"])


def test_the_list_has_every_comparison_with_the_worst_first(page: Page) -> None:
    data = json.loads(page.inside["explored"])
    content = reports.everything()
    assert len(data["rows"]) == len(content.comparisons)
    assert all(len(row) == len(data["fields"]) for row in data["rows"])
    first = dict(zip(data["fields"], data["rows"][0], strict=True))
    assert (first["where"], first["change"], data["marks"][first["mark"]]) == (
        "plan = free", "−3.1\u00a0pp", ["fail", "✕", "regressed"],
    )  # fmt: skip


@pytest.mark.parametrize("name", NASTY, ids=lambda name: repr(name)[:20])
def test_text_from_strangers_is_text(name: str, plain: Page) -> None:
    text = html.report(hostile(name))
    page = Page(text)
    shape = [tag for tag, _ in page.elements if tag != "wbr"]
    assert shape == [tag for tag, _ in plain.elements if tag != "wbr"]
    assert [sorted(found) for tag, found in page.elements if tag != "wbr"] == [
        sorted(found) for tag, found in plain.elements if tag != "wbr"
    ]
    assert page.inside["script"] == plain.inside["script"]
    for letter in set(text) - set(html._asset("vega.js")):
        assert letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Zl", "Zp"), hex(ord(letter))
    for data in ("specs", "explored"):
        json.loads(page.inside[data])
        assert not set("<>&\u2028\u2029") & set(page.inside[data])
    assert len(text) < 3_000_000


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a b", 'https://a/"x', "https://é.example"],
)
def test_only_a_plain_address_on_the_web_is_a_link(url: str) -> None:
    content = reports.everything()
    assert content.change
    odd = content.model_copy(update={"change": content.change.model_copy(update={"run_url": url})})
    assert all((link.get("href") or "").startswith("#") for link in Page(html.report(odd)).all("a"))


def test_a_report_without_anything_is_a_page_as_well() -> None:
    page = Page(html.report(reports.report()))
    assert "undecided" in page.words
    assert not {"drawing", "specs", "explored"} & page.inside.keys()
    assert not [section for section in page.all("section") if section["id"] in ("gates", "plots", "training")]


def test_slices_alone_new_missing_and_reported_gates_are_shown() -> None:
    gates = [
        *reports.plans("val.recall"),
        reports.measured(reports.gate("test.f1"), reports.contrast(None, 0.8, 0.0)),
        reports.measured(reports.gate("test.mcc"), Gap(reason="there is no column label")),
        reports.measured(reports.gate("test.r2", require=Require.REPORT), reports.contrast(0.9, 0.5, 0.01)),
    ]
    page = Page(html.report(reports.report(*gates)))
    for said in ("This gate judges slices only.", "there is no column label", "missing", "new", "only reported"):
        assert said in page.words


def test_more_gates_than_fit_are_in_the_list() -> None:
    gates = [
        reports.measured(reports.gate(f"test.mean(c{index})"), reports.contrast(0.8, 0.8, 0.004))
        for index in range(310)
    ]
    page = Page(html.report(reports.report(*gates)))
    assert len(page.all("article")) == 300
    assert "10 more gates are in the list below." in page.words
    assert len(json.loads(page.inside["explored"])["rows"]) == 310


def test_a_plot_that_cannot_be_drawn_says_why() -> None:
    shown = Exhibits(
        plots=(PlotPart(name="x", spec={"$schema": "https://vega.github.io/schema/vega/v5.json", "marks": []}),)
    )
    assert "not drawn: it is not Vega-Lite" in Page(html.report(reports.report(shown=shown))).words


# --- Templates of users -----------------------------------------------------------------------------------------------


def test_a_template_replaces_a_block() -> None:
    own = {
        "report.html.j2": '{% extends "ci-ml/report.html.j2" %}{% block footer %}<p>{{ name }} by {{ "<Ada>" }}</p>{% endblock %}'
    }
    text = html.report(reports.churn(), own)
    assert "<p>churn by &lt;Ada&gt;</p>" in text
    assert "made from report.json alone" not in text


@pytest.mark.thorough
def test_a_block_of_ones_own_is_no_reason_to_refuse_a_large_report() -> None:
    own = {"report.html.j2": '{% extends "ci-ml/report.html.j2" %}{% block footer %}<p>ours</p>{% endblock %}'}
    text = html.report(large(gates=200, slices=20_000), own)
    assert "<p>ours</p>" in text
    assert "20,200" in text


def test_a_part_of_the_page_can_be_replaced() -> None:
    text = html.report(reports.churn(), {"report/overview.html.j2": "<h1>{{ headline }}</h1>"})
    assert "<h1>blocked</h1>" in text


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% block %}", "report.html.j2:1"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ ().__class__.__mro__ }}", "unsafe"),
        ("{% for a in range(10 ** 9) %}{% endfor %}", "loops of more than 2,000,000 steps"),
        ("{{ 1 / 0 }}", "division by zero"),
        ('{% include "other.j2" %}', "other.j2"),
        ("<!doctype html><p>hi</p>", "leaves out {{ policy }}"),
    ],
)
def test_a_template_that_is_broken_is_an_error_of_the_user(template: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        html.report(reports.churn(), {"report.html.j2": template})
    assert said in str(error.value)
    assert "docs/reports.md" in (error.value.hint or "") or "policy" in str(error.value)
