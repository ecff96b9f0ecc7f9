"""The bill of materials against CycloneDX's schema, the card against Hugging Face's reader, both with hostile names."""

import json
from typing import Any

import cmarkgfm
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard

from ci_ml.core import dossier
from ci_ml.core.dossier import Dossier, Records
from ci_ml.render.bom import bom
from ci_ml.render.card import card
from tests.dossiers import COMMIT, MD5, SHA256, comparison, promotion, training, verdict

# Names that try to be something else: HTML, a link, a mention, an end of the front matter, a cell, a command of a
# runner, and text that runs the other way.
HOSTILE = [
    "<script>alert(1)</script>",
    "[x](javascript:alert(1)) ![y](https://example.org/z.png)",
    "@acme/everybody #1 !2",
    "a\n---\nlicense: mine\n---\n# title",
    "a | b || c",
    "`code` ``more`` *b* _i_",
    "\u202etxt.exe\x1b[31m\x00",
    "::set-output name=x::y\n##[error]z",
    "&{}: !!python/object/apply:os.system ['id'] *x",
    "{{ 7 * 7 }} {% raw %}",
    "é" * 300,
]


def read(**records: Any) -> Dossier:
    return dossier.read(Records(**records, at="2026-11-21T12:00:00+00:00"), "name")


def whole() -> Dossier:
    return read(training=training(), verdict=verdict(), promotion=promotion())


def hostile(name: str) -> Dossier:
    """The same with a stranger's name wherever one can stand."""
    gate = comparison(metric=f"test.{name}"[:300], slice={name: name}, reason=name, method=name)
    return read(
        training=training(data=name, params={name: name}, packages={name: name}, os=name),
        verdict=verdict(gate, {**gate, "head": None, "status": "missing"}, sentence=name),
        promotion=promotion(name[:300], aliases=[name], approvals=[{"by": name, "at": name, "what": name}]),
    )


def valid(text: str) -> Any:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def test_the_bill_says_what_the_model_is_made_of_and_how_good_it_is() -> None:
    bill = valid(bom(whole()))
    model = bill["metadata"]["component"]
    assert model["hashes"] == [{"alg": "MD5", "content": MD5}, {"alg": "SHA-256", "content": SHA256}]
    assert model["externalReferences"] == [{"type": "vcs", "url": f"git+https://github.com/acme/churn@{COMMIT}"}]
    first, difference, sliced, _ = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    interval = {"lowerBound": "0.78", "upperBound": "0.84"}
    assert first == {"type": "test.roc_auc", "value": "0.81", "confidenceInterval": interval}
    assert difference["confidenceInterval"] == {"lowerBound": "-0.005", "upperBound": "0.025"}
    assert sliced["slice"] == "plan = pro"
    limits = model["modelCard"]["considerations"]["technicalLimitations"]
    assert limits == ["test.recall was not measured: the column p is not there"]
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": "data:0"}]
    kinds = [one["type"] for one in bill["components"]]
    assert kinds == ["data", "file", "file", "operating-system", "platform", "library"]
    assert bill["components"][-1]["purl"] == "pkg:pypi/numpy@2.0.0"
    said = {(one["name"], one["value"]) for one in model["properties"]}
    assert ("ci-ml:test-set", "test: look 17 of 64") in said
    assert ("ci-ml:policy:read-at", "2026-11-21T10:06:00+00:00") in said


def test_every_reference_of_the_bill_is_there_and_there_once() -> None:
    bill = valid(bom(whole()))
    refs = [bill["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in bill["components"])]
    assert len(set(refs)) == len(refs)
    assert [one["ref"] for one in bill["dependencies"]] == refs


def test_a_bill_can_be_read_by_the_library(tmp_path: Any) -> None:
    from cyclonedx.model.bom import Bom

    found = Bom.from_json(json.loads(bom(whole())))
    assert {one.name for one in found.components} >= {"numpy", "data/train.csv"}


def test_the_same_records_give_the_same_bytes_and_others_another_number() -> None:
    assert bom(whole()) == bom(whole())
    other = read(training=training(), verdict=verdict())
    assert json.loads(bom(other))["serialNumber"] != json.loads(bom(whole()))["serialNumber"]


def test_a_model_of_several_files_has_them_as_parts() -> None:
    outputs = {"model/a.bin": f"sha256:{SHA256}", "model/b.bin": {"dvcDir": f"{MD5}.dir"}}
    model = valid(bom(read(promotion=promotion(outputs=outputs))))["metadata"]["component"]
    assert [one["name"] for one in model["components"]] == ["model/a.bin", "model/b.bin"]
    assert model["components"][1]["properties"] == [{"name": "ci-ml:digest:dvcDir", "value": f"{MD5}.dir"}]


@pytest.mark.parametrize("records", [{}, {"training": training()}, {"verdict": verdict()}, {"promotion": promotion()}])
def test_with_some_records_missing_both_are_valid_and_say_so(records: dict[str, Any]) -> None:
    found = read(**records)
    limits = valid(bom(found))["metadata"]["component"]["modelCard"]["considerations"]["technicalLimitations"]
    assert set(found.gaps) <= set(limits)
    text = card(found)
    ModelCard(text)
    assert "## What is not known" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_a_name_in_the_bill(name: str) -> None:
    text = bom(hostile(name))
    valid(text)
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_a_name_in_the_card(name: str) -> None:
    text = card(hostile(name))
    front, body = text.removeprefix("---\n").split("\n---\n", 1)
    said = yaml.safe_load(front)
    assert set(said) == {"tags", "model_name", "metrics", "model-index"}
    assert said["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.81
    assert ModelCard(text).data.eval_results
    page = cmarkgfm.github_flavored_markdown_to_html(body)
    assert "<script" not in page
    assert "<a " not in page
    assert "<img" not in page
    assert page.count("<h1>") == 1
    assert page.count("<table>") == body.count("\n|---|")
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_card_has_the_layout_of_hugging_face() -> None:
    found = ModelCard(card(whole(), task="tabular-classification", licence="apache-2.0", about="## Uses\n\nChurn."))
    assert (found.data.license, found.data.model_name) == ("apache-2.0", "churn")
    one, sliced = found.data.eval_results
    assert (one.task_type, one.dataset_type, one.dataset_name, one.dataset_revision) == (
        "tabular-classification", "test", "test", f"md5:{MD5}",
    )  # fmt: skip
    assert (one.metric_type, one.metric_value, one.metric_name) == ("roc_auc", 0.81, "test.roc_auc")
    assert one.metric_args["interval"] == [0.78, 0.84]
    assert sliced.dataset_name == "test (plan = pro)"
    assert sliced.metric_args["difference_interval"] == [-0.03, 0.012]
    for words in ("Churn.", "17. time of 64", "approved by `ada`", "Not measured: `test.recall`", "read 2026-11-21"):
        assert words in found.content


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("pass", "The gates passed."),
        ("warn", "The gates passed with warnings."),
        ("fail", "The gates failed."),
        ("undecided", "Undecided."),
    ],
)
def test_the_card_says_how_it_was_judged(outcome: str, words: str) -> None:
    waiver = {"by": "grace", "at": "2026-11-21T10:07:00+00:00", "label": "accept", "outcome": "fail"}
    said = {"outcome": outcome, "sentence": "So it is.", "waivers": [waiver]}
    text = card(read(verdict=verdict(verdict=said)))
    assert f"**{words}** So it is." in text
    assert "what blocked (fail) was accepted by `grace`" in text
