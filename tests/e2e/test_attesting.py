"""What is made from the records of a real training: signatures, a bill of materials, a card, an attestation."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ci_ml.adapters import fingerprints
from ci_ml.core import chain, statements
from ci_ml.core.statements import Kind, Subject
from ci_ml.wiring import chronicle, signing, workspace
from tests.e2e.predictions import ABOUT, customers, wobbling, write
from tests.e2e.project import Project, copy
from tests.fakes import sigstore as fake
from tests.signers import Pair, pair

GATES = f"""\
  - {{metric: test.roc_auc, margin: 0.02, floor: 0.5, slices: {{by: plan}}}}
  - {{metric: test.accuracy, margin: 0.03}}
predictions:
  test: {{path: pred/test.csv, {ABOUT}}}
"""


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


@pytest.fixture(scope="session")
def told(trained: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has trained and judged a change, with numbers and a table; its records are in the ledger."""
    folder = tmp_path_factory.mktemp("told")
    copy(trained, folder / "p")
    project = Project(root=folder / "p" / "repo", env=environment)
    table = customers(900)
    write(project, "pred/test.csv", table)
    project.write("ci-ml.yaml", f"{project.read('ci-ml.yaml')}{GATES}")
    project.commit("a table")
    project.branch()
    write(project, "pred/test.csv", wobbling(table, 0.02))
    project.write("params.yaml", {"prepare": {"keep": 1.0}, "train": {"rate": 0.2, "steps": 3}})
    project.commit("faster")
    project.ci_ml("ci", "--no-publish")
    entered(project)
    return folder / "p"


@pytest.fixture
def judged(told: Path, environment: dict[str, str], tmp_path: Path) -> Project:
    """The same for one test alone."""
    copy(told, tmp_path / "p")
    return Project(root=tmp_path / "p" / "repo", env=environment)


def signing_with(project: Project, key: Pair, **said: Any) -> dict[str, str]:
    """ci-ml.yaml that signs with a key and believes it; the environment that holds it."""
    project.write("keys/ci.pub", key.public)
    text = project.read("ci-ml.yaml").partition("audit:")[0]
    audit = {"sign": "key", "public_keys": ["keys/ci.pub"], **said}
    project.write("ci-ml.yaml", f"{text}audit: {json.dumps(audit)}\n")
    return {"CI_ML_SIGNING_KEY": key.private.decode()}


def problems(project: Project, *brought: Path) -> list[str]:
    here = space(project)
    return [str(one) for one in signing.verify(here, chronicle.ledger(here).read(), brought)[1]]


def test_records_are_signed_once_and_verify(judged: Project) -> None:
    env = signing_with(judged, pair())
    done = judged.ci_ml("audit", "sign", env=env).expect(0)
    assert "signed 2 records with the key sha256:" in done.out
    assert problems(judged) == []
    again = judged.ci_ml("audit", "sign", env=env).expect(0)
    assert "signed 0 records" in again.out
    assert "2 were signed already" in again.out


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
    assert {one["type"] for one in measured} >= {"metrics.json:accuracy", "test.roc_auc"}
    auc = {one.get("slice"): one for one in measured if one["type"] == "test.roc_auc"}
    assert auc.keys() >= {None, "plan = free", "plan = pro"}
    for one in auc.values():
        low, high = (float(one["confidenceInterval"][end]) for end in ("lowerBound", "upperBound"))
        assert low < float(one["value"]) < high
    differences = [one for one in measured if one["type"] == "test.roc_auc, difference from the base"]
    assert all("confidenceInterval" in one for one in differences)
    assert len(differences) == len(auc)
    assert [one["name"] for one in bill["components"] if one["type"] == "data"] == ["data/raw.csv"]
    assert any(one.get("purl", "").startswith("pkg:pypi/dvc@") for one in bill["components"])
    said = [(one["name"], one["value"]) for one in model["properties"]]
    assert ("ci-ml:approval", "ada, 2026-11-20T10:00:00+00:00, approved #7") in said
    assert judged.ci_ml("audit", "bom", "churn").out == done.out  # the same records, the same bytes


def test_a_card_is_what_hugging_face_reads(judged: Project) -> None:
    from huggingface_hub import ModelCard

    promoted(judged)
    (judged.root / "README.md").symlink_to("CARD.md")
    judged.ci_ml("audit", "card", "churn", "--task", "tabular-classification", "--to", "README.md").expect(0)
    assert (judged.root / "README.md").is_symlink()
    text = judged.read("CARD.md")
    card = ModelCard(text)
    results = card.data.eval_results
    assert {one.metric_type for one in results} == {"accuracy", "loss_log", "roc_auc"}
    sliced = next(one for one in results if one.dataset_name == "test (plan = free)")
    assert len(sliced.metric_args["difference_interval"]) == 2
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


def test_of_a_model_that_is_a_folder_every_file_is_attested(judged: Project) -> None:
    """As `sha256sum --check` and actions/attest read it: one line for each file, with its path in the repository."""
    for name in ("MLmodel", "data/weights.bin", "data/a name with blanks"):
        judged.write(f"models/churn/{name}", f"content of {name}")
    folder = judged.root / "models" / "churn"
    bundle = fingerprints.bundle("models/churn", folder, lambda _: False, lambda: "md5:1.dir")
    promoted(judged, outputs=bundle.outputs)
    judged.ci_ml("audit", "attestation", "churn", "--kind", "promotion").expect(0)
    written = judged.root / ".ci-ml" / "attestation"
    lines = (written / "subjects.txt").read_text().splitlines()
    assert [line[66:] for line in lines] == [
        "models/churn/MLmodel", "models/churn/data/a name with blanks", "models/churn/data/weights.bin",
    ]  # fmt: skip
    checked = judged.run("sha256sum", "--check", "--strict", str(written / "subjects.txt"))
    assert checked.code == 0, checked.text
    assert (written / "predicate-type.txt").read_text() == "urn:ci-ml:promotion:v1\n"
    assert set(json.loads((written / "predicate.json").read_text())["outputs"]) == {line[66:] for line in lines}


def test_a_folder_that_nobody_promoted_has_no_checksums_to_attest(judged: Project) -> None:
    """DVC knows a folder by a digest of its own, which says nothing to who has the files alone."""
    here = space(judged)
    sha = judged.git("rev-parse", "HEAD")
    subjects = [
        Subject(name="commit", digest={"gitCommit": sha}),
        Subject(name="models/churn", digest={"dvcDir": f"{'a' * 32}.dir"}),
    ]
    known = next(one for one in chronicle.kept(here) if one.kind is Kind.VERDICT)
    chronicle.enter(here, [statements.statement(Kind.VERDICT, subjects, known.predicate)])
    done = judged.ci_ml("audit", "attestation", "HEAD").expect(2)
    assert "no record has the SHA-256 of models/churn" in " ".join(done.err.split())
    assert "promote it" in done.err
    assert not (judged.root / ".ci-ml" / "attestation").exists()


def test_what_a_commit_made_has_a_bill_and_a_card_too(judged: Project) -> None:
    bill = judged.ci_ml("audit", "bom", "HEAD").expect(0)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.out) is None
    limits = bill.json()["metadata"]["component"]["modelCard"]["considerations"]["technicalLimitations"]
    assert limits == ["no record says that it was promoted: nobody has approved it"]
    assert "nobody has approved it" in judged.ci_ml("audit", "card", "HEAD").expect(0).out


@pytest.mark.thorough
def test_models_are_signed_as_a_record_has_them(judged: Project) -> None:
    from model_signing import verifying

    key = pair(password=b"secret")
    hidden = {**signing_with(judged, key), "CI_ML_SIGNING_PASSWORD": "secret"}
    done = judged.ci_ml("audit", "sign", "--kept", "--model", "model.json", env=hidden).expect(0)
    signature = judged.root / ".ci-ml" / "signatures" / "model.json.sig"
    assert done.out.splitlines()[-1] == str(signature)
    check = verifying.Config().use_elliptic_key_verifier(public_key=judged.root / "keys/ci.pub")
    check.verify(judged.root / "model.json", signature)
    judged.remove("model.json")
    judged.write("model.json", '{"slope": 9, "offset": 9}')
    with pytest.raises(ValueError, match="mismatch"):
        check.verify(judged.root / "model.json", signature)
    refused = judged.ci_ml("audit", "sign", "--kept", "--model", "model.json", env=hidden).expect(2)
    assert "what nobody judged is not signed" in refused.err
    for path, why in (("data/raw.csv", "no record of a training"), ("../outside", "no output of a stage")):
        assert why in judged.ci_ml("audit", "sign", "--kept", "--model", path, env=hidden).expect(2).err


@pytest.mark.thorough
def test_models_are_signed_with_an_identity(judged: Project, tmp_path: Path) -> None:
    from model_signing import verifying

    with fake.running() as service:
        trust = service.trust(judged.root / "trust.json")
        text = judged.read("ci-ml.yaml")
        judged.write("ci-ml.yaml", f"{text}audit: {{sign: sigstore, trust: trust.json}}\n")
        env = {"SIGSTORE_ID_TOKEN": service.token("https://example.org/workflow")}
        judged.ci_ml("audit", "sign", "--kept", "--model", "model.json", env=env).expect(0)
        assert [one["kind"] for one in service.entries] == ["hashedrekord", "hashedrekord", "dsse"]
        verifying.Config().use_sigstore_verifier(
            identity="https://example.org/workflow", oidc_issuer=fake.ISSUER, trust_config=trust
        ).verify(judged.root / "model.json", judged.root / ".ci-ml" / "signatures" / "model.json.sig")
        for who, code in (("https://example.org/workflow", 0), ("https://example.org/another", 10)):
            said = {"sign": "sigstore", "trust": "trust.json", "identities": [{"identity": who, "issuer": fake.ISSUER}]}
            judged.write("ci-ml.yaml", f"{text}audit: {json.dumps(said)}\n")
            judged.ci_ml("audit", "verify-model", "model.json").expect(code)


def test_the_signature_of_a_model_is_checked(judged: Project, tmp_path: Path) -> None:
    def checked(code: int, *arguments: str, at: Project = judged) -> str:
        done = at.ci_ml("audit", "verify-model", *arguments).expect(code)
        return " ".join((done.out + done.err).split())

    env = signing_with(judged, pair())
    _, other = pair().write(tmp_path, "other")
    assert "model.json is not signed: there is no" in checked(10, "model.json")
    judged.ci_ml("audit", "sign", "--kept", "--model", "model.json", env=env).expect(0)
    assert checked(0, "model.json") == "model.json is as keys/ci.pub has signed it"
    assert "by anybody who is believed" in checked(10, "model.json", "--key", str(other))
    assert "--key is no path of a file that is there" in checked(2, "model.json", "--key", "nowhere.pub")
    assert "there is no model nowhere" in checked(2, "nowhere")
    assert "there is no signature nowhere.sig" in checked(2, "model.json", "--signature", "nowhere.sig")

    # With nothing but the model, its signature and a key.
    elsewhere = Project(root=tmp_path / "elsewhere", env=judged.env)
    elsewhere.write("model.json", judged.read("model.json"))
    elsewhere.write("model.sig", judged.read(".ci-ml/signatures/model.json.sig"))
    ours = ("--signature", "model.sig", "--key", str(judged.root / "keys/ci.pub"))
    assert "is as" in checked(0, "model.json", *ours, at=elsewhere)
    elsewhere.write("model.sig", elsewhere.read("model.sig").replace("dsse", "none"))
    assert "is no signature of model.json" in checked(10, "model.json", *ours, at=elsewhere)

    signing_with(judged, pair())
    assert "by anybody who is believed" in checked(10, "model.json"), "another key is believed now"
    signing_with(judged, pair(), public_keys=[])
    assert "there is nobody whose signature is believed" in checked(2, "model.json")


def test_a_model_that_was_changed_since_it_was_signed(judged: Project, tmp_path: Path) -> None:
    from ci_ml.adapters import model_signatures

    key = pair()
    _, public = key.write(tmp_path)
    folder = tmp_path / "churn"
    for name in ("MLmodel", "data/weights.bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    signature = tmp_path / "churn.sig"
    signature.write_bytes(model_signatures.by_key(folder, key.private, None))

    def checked(code: int) -> str:
        done = judged.ci_ml(
            "audit", "verify-model", str(folder), "--signature", str(signature), "--key", str(public)
        ).expect(code)
        return " ".join(done.out.split())

    assert "is as" in checked(0)
    (folder / "data/weights.bin").write_text("others")
    assert "has signed it: Hash mismatch for 'data/weights.bin'" in checked(10)
    (folder / "data/weights.bin").unlink()
    assert "Missing files in model 'churn': data/weights.bin" in checked(10)
    (folder / "data/weights.bin").write_text("data/weights.bin")
    (folder / "extra.py").write_text("")
    assert "Extra files found in model 'churn': extra.py" in checked(10)


def test_a_key_past_its_days_is_not_believed_for_a_model(judged: Project) -> None:
    """A model's signature does not say when it was made."""
    key = pair()
    env = signing_with(judged, key)
    judged.ci_ml("audit", "sign", "--kept", "--model", "model.json", env=env).expect(0)
    signing_with(judged, key, public_keys=[{"file": "keys/ci.pub", "until": "2020-01-01"}])
    assert "--key keys/ci.pub" in judged.ci_ml("audit", "verify-model", "model.json").expect(10).out
    judged.ci_ml("audit", "verify-model", "model.json", "--key", "keys/ci.pub").expect(0)


@pytest.mark.thorough
def test_a_key_that_model_signing_does_not_take_is_said_so(judged: Project) -> None:
    env = signing_with(judged, pair("ed25519"))
    done = judged.ci_ml("audit", "sign", "--kept", "--model", "model.json", env=env).expect(2)
    assert "P-256" in done.err


def test_verify_checks_signatures_where_it_is_asked_to(judged: Project, tmp_path: Path) -> None:
    key = pair()
    env = signing_with(judged, key)
    unsigned = judged.ci_ml("audit", "verify", "--signatures").expect(10)
    assert "its record is not signed" in unsigned.out
    judged.ci_ml("audit", "sign", env=env).expect(0)
    held = judged.ci_ml("audit", "verify", "--signatures", "--format", "json").expect(0).json()
    assert held["signed"] == held["entries"] > 0
    assert f"{held['entries']} entries signed by who is believed" in held["sentence"]
    _, brought = pair().write(tmp_path, "auditor")
    assert "nobody who is believed" in judged.ci_ml("audit", "verify", "--key", str(brought)).expect(10).out


def test_what_no_record_tells_of_is_said_so(judged: Project) -> None:
    for command, asked in (("bom", "nobody"), ("card", "churn@champion"), ("attestation", "--help")):
        done = judged.ci_ml("audit", command, "--", asked).expect(2)
        assert f"{asked} is no commit of this clone, and no model that was promoted" in done.err
    assert "no record tells of main~1" in judged.ci_ml("audit", "bom", "main~1").expect(2).err


def test_without_a_promotion_no_checksum_is_made_up(judged: Project) -> None:
    done = judged.ci_ml("audit", "attestation", "HEAD", "--kind", "promotion").expect(2)
    assert "no record of a promotion" in done.err


@pytest.mark.thorough
def test_versions_and_aliases_are_told_apart(judged: Project) -> None:
    promoted(judged, version="1", aliases=["champion"], why="one")
    promoted(judged, version="2", aliases=["champion", "shadow"])
    promoted(judged, version="3", aliases=["shadow"])
    promoted(judged, version="4", aliases=["champion"], action="begin")

    def version(asked: str) -> str:
        return str(judged.ci_ml("audit", "bom", asked).expect(0).json()["metadata"]["component"]["version"])

    assert [version(asked) for asked in ("churn", "churn@champion", "churn@shadow", "churn/1")] == ["2", "2", "3", "1"]
    assert "no promotion of churn/4" in judged.ci_ml("audit", "bom", "churn/4").expect(2).err


def test_an_envelope_is_checked_by_other_hands(judged: Project) -> None:
    """By the library that TUF and in-toto sign with, and not by our own reader."""
    from cryptography.hazmat.primitives import serialization
    from securesystemslib import dsse, signer

    key = pair()
    judged.ci_ml("audit", "sign", "--kept", env=signing_with(judged, key)).expect(0)
    place = min((judged.root / ".ci-ml" / "signatures").glob("*.sig.json"))
    said = json.loads(place.read_bytes())
    envelope = dsse.Envelope.from_dict(said)
    assert hashlib.sha256(envelope.payload).hexdigest() == place.name.partition(".")[0]
    (keyid,) = envelope.signatures
    known = signer.SSlibKey.from_crypto(serialization.load_pem_public_key(key.public), keyid=keyid)
    assert envelope.verify([known], 1) == {keyid: known}
    envelope.payload += b" "
    with pytest.raises(Exception, match="Accepted signatures do not match threshold"):
        envelope.verify([known], 1)
