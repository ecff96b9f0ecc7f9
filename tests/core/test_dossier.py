"""What is read out of records: everything they say, nothing that they do not, and hostile ones in words."""

from typing import Any

import pytest

from ci_ml.core import attestation, dossier, statements
from ci_ml.core.dossier import Records
from ci_ml.core.statements import Kind
from tests.dossiers import COMMIT, SHA256, promotion, training, verdict


def read(**records: Any) -> dossier.Dossier:
    return dossier.read(Records(**records, at="2026-11-21T12:00:00+00:00"), "name")


def test_all_three_records_tell_of_one_model() -> None:
    found = read(training=training(), verdict=verdict(), promotion=promotion())
    assert (found.name, found.version, found.aliases, found.commit) == ("churn", "3", ("champion",), COMMIT)
    assert [(one.name, one.sha256) for one in found.outputs] == [("model.bin", SHA256)]
    assert [one.name for one in found.data] == ["data/train.csv"]
    assert {one.kind for one in found.inputs} == {"data", "code", "lock"}
    assert found.repository == f"git+https://github.com/acme/churn@{COMMIT}"
    assert [item.metric for item in found.metrics] == ["test.roc_auc", "test.roc_auc"]
    assert [item.metric for item in found.unmeasured] == ["test.recall"]
    assert found.params == {"train.rate": 0.1, "train.seed": 7}
    assert found.environment is not None
    assert found.environment.packages["numpy"] == "2.0.0"
    assert [one.by for one in found.approvals] == ["ada"]
    assert found.gaps == ()
    assert set(found.records) == {Kind.TRAINING, Kind.VERDICT, Kind.PROMOTION}


def test_the_commit_is_that_which_was_put_in_place_and_not_where_the_training_began() -> None:
    judged, placed = (
        statements.statement(one.kind, one.subject, {**one.predicate, "commit": sha * 40})
        for one, sha in ((_without_commit(verdict()), "1"), (_without_commit(promotion()), "2"))
    )
    assert read(training=training(), verdict=judged, promotion=placed).commit == "2" * 40
    assert read(training=training(), verdict=judged).commit == "1" * 40
    assert read(training=training()).commit == COMMIT


def _without_commit(record: statements.Statement) -> statements.Statement:
    subject = [one for one in record.subject if "gitCommit" not in one.digest]
    return statements.statement(record.kind, subject, record.predicate)


def test_what_no_record_says_is_a_gap_and_nothing_is_made_up() -> None:
    found = read()
    assert (found.outputs, found.metrics, found.commit, found.verdict) == ((), (), None, None)
    assert len(found.gaps) == 3
    assert "nobody has approved it" in read(training=training(), verdict=verdict()).gaps[0]
    assert "not in the ledger" in dossier.read(Records(training=training()), "name").gaps[1]
    assert "differed from its commit" in read(training=training(dirty=True)).gaps[0]


@pytest.mark.parametrize(
    ("aliases", "expected"),
    [("champion", ("champion",)), (["a", "b"], ("a", "b")), ({"a": None}, ("a",)), (None, ()), (7, ())],
)
def test_aliases_in_every_form(aliases: Any, expected: tuple[str, ...]) -> None:
    assert read(promotion=promotion(aliases=aliases)).aliases == expected


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"m": SHA256}, SHA256),
        ({"m": f"sha256:{SHA256}"}, SHA256),
        ({"m": {"sha256": SHA256}}, SHA256),
        ({"m": "md5:abc"}, None),
        ({"m": 7}, None),
        ({"m": "sha256:not hex"}, None),
    ],
)
def test_digests_of_outputs_in_every_form(outputs: dict[str, Any], expected: str | None) -> None:
    assert read(promotion=promotion(outputs=outputs)).outputs[0].sha256 == expected


@pytest.mark.parametrize(
    ("kind", "predicate"),
    [
        (Kind.VERDICT, {}),
        (Kind.VERDICT, {"ciMl": {"verdict": {"outcome": "great", "sentence": ""}}}),
        (Kind.VERDICT, {"ciMl": {"verdict": {"outcome": "pass", "sentence": ""}, "comparisons": [{"metric": 7}]}}),
        (Kind.TRAINING, {}),
        (Kind.TRAINING, {"buildDefinition": {"resolvedDependencies": "all of them"}}),
        (Kind.TRAINING, {"buildDefinition": {"externalParameters": {"params": {str(n): n for n in range(20_001)}}}}),
        (Kind.PROMOTION, {}),
        (Kind.PROMOTION, {"model": "x" * 10_000}),
    ],
)
def test_a_record_that_no_ci_ml_wrote_is_refused_in_words(kind: Kind, predicate: dict[str, Any]) -> None:
    record = statements.statement(kind, training().subject, predicate)
    with pytest.raises(ValueError, match=f"the record of the {kind.value} is not as ci-ml writes it"):
        read(**{kind.value: record})


def test_an_attestation_names_every_file_by_its_sha256() -> None:
    found = read(training=training(), verdict=verdict(), promotion=promotion())
    made = attestation.attestation(found, verdict())
    assert made.subjects == f"{SHA256}  model.bin\n"
    assert made.predicate_type == "https://in-toto.io/attestation/test-result/v0.1"


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ({}, "of which files"),
        ({"m": "md5:abc"}, "no record has the SHA-256 of m"),
        ({"a\nb": SHA256}, "cannot stand in a list"),
        ({f"m{number}": SHA256 for number in range(1025)}, "takes 1,024"),
    ],
)
def test_what_cannot_be_attested_is_said(outputs: dict[str, Any], why: str) -> None:
    found = read(promotion=promotion(outputs=outputs))
    with pytest.raises(ValueError, match=why):
        attestation.attestation(found, promotion())
