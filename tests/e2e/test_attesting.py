"""What is made from the records of a real training: signatures, a bill of materials, a card, an attestation."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ci_ml.core import chain, statements
from ci_ml.core.statements import Kind, Subject
from ci_ml.wiring import chronicle, signing, workspace
from tests.e2e.project import Project
from tests.signers import Pair, pair


def space(project: Project, env: Mapping[str, str] | None = None) -> workspace.Workspace:
    return workspace.find(None, None, cwd=project.root, env={**project.env, **(env or {})})


def entered(project: Project) -> tuple[chain.Entry, ...]:
    """Everything that lies beside the report, in the ledger."""
    here = space(project)
    return chronicle.enter(here, chronicle.kept(here))


def promoted(project: Project, **said: Any) -> statements.Statement:
    """A promotion of the model, as `ci-ml promote` records one."""
    here = space(project)
    kept = {one.kind: one.digest for one in chronicle.kept(here)}
    data = (project.root / "model.json").read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    record = statements.statement(
        Kind.PROMOTION,
        [Subject(name="churn", digest={"sha256": sha256})],
        {
            "model": "churn",
            "version": "3",
            "aliases": ["champion"],
            "action": "promote",
            "commit": project.git("rev-parse", "HEAD"),
            "outputs": {"model.json": f"sha256:{sha256}"},
            "approvals": [{"by": "ada", "at": "2026-11-20T10:00:00+00:00", "what": "approved #7"}],
            "verdict": kept.get(Kind.VERDICT),
            "training": kept.get(Kind.TRAINING),
            **said,
        },
    )
    chronicle.enter(here, [record])
    return record


@pytest.fixture
def judged(project: Project) -> Project:
    """A project that has trained and judged a change; its records are in the ledger."""
    project.write("params.yaml", {"prepare": {"keep": 1.0}, "train": {"rate": 0.2, "steps": 3}})
    project.commit("faster")
    project.ci_ml("ci", "--no-publish")
    entered(project)
    return project


def signing_with(project: Project, key: Pair, **said: Any) -> dict[str, str]:
    """ci-ml.yaml that signs with a key and believes it; the environment that holds it."""
    project.write("keys/ci.pub", key.public)
    text = project.read("ci-ml.yaml").partition("audit:")[0]
    audit = {"sign": "key", "public_keys": ["keys/ci.pub"], **said}
    project.write("ci-ml.yaml", f"{text}audit: {json.dumps(audit)}\n")
    return {"CI_ML_SIGNING_KEY": key.private.decode()}


def problems(project: Project, *brought: Path) -> list[str]:
    here = space(project)
    return [str(one) for one in signing.verify(here, chronicle.ledger(here).read(), brought)]


def test_records_are_signed_once_and_verify(judged: Project) -> None:
    env = signing_with(judged, pair())
    done = judged.ci_ml("audit", "sign", env=env).expect(0)
    assert "signed 2 records with the key sha256:" in done.out
    assert problems(judged) == []
    again = judged.ci_ml("audit", "sign", env=env).expect(0)
    assert "signed 0 records" in again.out
    assert "2 were signed already" in again.out


@pytest.mark.parametrize("kind", ["p384", "p521", "ed25519"])
def test_every_kind_of_key_signs(judged: Project, kind: str) -> None:
    judged.ci_ml("audit", "sign", env=signing_with(judged, pair(kind))).expect(0)
    assert problems(judged) == []


def test_the_bill_of_materials_holds_to_its_schema(judged: Project) -> None:
    promoted(judged)
    done = judged.ci_ml("audit", "bom", "churn@champion").expect(0)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(done.out) is None
    bill = done.json()
    model = bill["metadata"]["component"]
    data = (judged.root / "model.json").read_bytes()
    assert {"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()} in model["hashes"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "churn", "3")
    measured = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {one["type"] for one in measured} >= {"metrics.json:accuracy", "metrics.json:loss.log"}
    assert [one["name"] for one in bill["components"] if one["type"] == "data"] == ["data/raw.csv"]
    assert any(one.get("purl", "").startswith("pkg:pypi/dvc@") for one in bill["components"])
    said = [(one["name"], one["value"]) for one in model["properties"]]
    assert ("ci-ml:approval", "ada, 2026-11-20T10:00:00+00:00, approved #7") in said
    assert judged.ci_ml("audit", "bom", "churn").out == done.out  # the same records, the same bytes


def test_a_card_is_what_hugging_face_reads(judged: Project) -> None:
    from huggingface_hub import ModelCard  # noqa: PLC0415  it costs a second

    promoted(judged)
    judged.ci_ml("audit", "card", "churn", "--task", "tabular-classification", "--to", "CARD.md").expect(0)
    text = judged.read("CARD.md")
    card = ModelCard(text)
    results = card.data.eval_results
    assert {one.metric_type for one in results} == {"accuracy", "loss_log"}
    assert {one.task_type for one in results} == {"tabular-classification"}
    assert all(isinstance(one.metric_value, float) for one in results)
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["model-index"][0]["name"] == "churn"
    assert "approved by `ada`" in text
    assert "Nobody has said this" in text


def test_an_attestation_is_what_the_action_takes(judged: Project, tmp_path: Path) -> None:
    promoted(judged)
    told = tmp_path / "outputs"
    judged.ci_ml("audit", "attestation", "--", "churn", env={"GITHUB_OUTPUT": str(told)}).expect(0)
    folder = judged.root / ".ci-ml" / "attestation"
    sha256 = hashlib.sha256((judged.root / "model.json").read_bytes()).hexdigest()
    assert (folder / "subjects.txt").read_text() == f"{sha256}  model.json\n"
    assert (folder / "predicate-type.txt").read_text() == "https://in-toto.io/attestation/test-result/v0.1\n"
    assert json.loads((folder / "predicate.json").read_text())["ciMl"]["verdict"]
    assert str(folder / "predicate.json") in told.read_text()


def test_what_a_commit_made_has_a_bill_and_a_card_too(judged: Project) -> None:
    bill = judged.ci_ml("audit", "bom", "HEAD").expect(0)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.out) is None
    limits = bill.json()["metadata"]["component"]["modelCard"]["considerations"]["technicalLimitations"]
    assert limits == ["no record says that it was promoted: nobody has approved it"]
    assert "nobody has approved it" in judged.ci_ml("audit", "card", "HEAD").expect(0).out


def test_an_envelope_is_checked_by_other_hands(judged: Project) -> None:
    """By openssl's mathematics and the DSSE specification, not by our own reader."""
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = pair()
    judged.ci_ml("audit", "sign", "--kept", env=signing_with(judged, key)).expect(0)
    place = sorted((judged.root / ".ci-ml" / "signatures").glob("*.sig.json"))[0]
    envelope = json.loads(place.read_bytes())
    payload = base64.b64decode(envelope["payload"])
    assert hashlib.sha256(payload).hexdigest() == place.name.partition(".")[0]
    kind = envelope["payloadType"]
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    public = serialization.load_pem_public_key(key.public)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed, ec.ECDSA(hashes.SHA256()))
