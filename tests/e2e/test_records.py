"""What every training and every verdict leaves: records."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ci_ml.core import statements
from tests.e2e.project import Project


def records(project: Project) -> dict[str, list[dict[str, Any]]]:
    """The records that lie there, by what they are about."""
    found: dict[str, list[dict[str, Any]]] = {}
    for place in sorted((project.root / ".ci-ml" / "records").glob("*.json"), key=lambda one: one.stat().st_mtime):
        data = place.read_bytes()
        assert place.stem == hashlib.sha256(data).hexdigest()
        record = statements.read(data)
        found.setdefault(record.kind, []).append(json.loads(data))
    return found


def test_a_training_leaves_its_provenance(project: Project) -> None:
    project.write("params.yaml", {"prepare": {"keep": 1.0}, "train": {"rate": 0.2, "steps": 3}})
    commit = project.commit("faster")
    project.write("requirements.txt", "numpy==2.0.0\n")
    project.git("remote", "add", "origin", "../origin.git")
    assert project.ci_ml("train").code == 0
    (record,) = records(project)["training"]
    subjects = {one["name"]: one["digest"] for one in record["subject"]}
    model = (project.root / "model.json").read_bytes()
    assert subjects["model.json"] == {
        "md5": hashlib.md5(model).hexdigest(),
        "sha256": hashlib.sha256(model).hexdigest(),
    }
    assert subjects["commit"] == {"gitCommit": commit}
    build = record["predicate"]["buildDefinition"]
    assert build["externalParameters"]["params"]["train.rate"] == 0.2
    assert build["externalParameters"]["stages"]["train"]["command"] == ["python src/train.py"]
    read = {one["name"]: one for one in build["resolvedDependencies"]}
    assert read["commit"]["digest"] == {"gitCommit": commit}
    assert read["commit"]["uri"] == f"git+{project.root.parent}/origin.git@{commit}"
    assert read["data/raw.csv"]["annotations"] == {"kind": "data"}
    assert read["src/train.py"]["annotations"] == {"kind": "code"}
    assert read["requirements.txt"]["digest"] == {"sha256": hashlib.sha256(b"numpy==2.0.0\n").hexdigest()}
    assert "data/clean.csv" not in read
    assert "dvc.lock" in read
    assert build["internalParameters"]["environment"]["packages"]
    assert {one["name"]: one["state"] for one in stages(record)}["train"] == "ran"


def stages(record: dict[str, Any]) -> list[dict[str, Any]]:
    about = next(one for one in record["predicate"]["runDetails"]["byproducts"] if one["name"] == "stages")
    found: list[dict[str, Any]] = about["annotations"]["stages"]
    return found


def test_a_verdict_leaves_what_it_rests_on(project: Project) -> None:
    project.write("params.yaml", {"prepare": {"keep": 1.0}, "train": {"rate": 0.2, "steps": 3}})
    project.commit("faster")
    ended = project.ci_ml("ci", "--no-publish")
    found = records(project)
    (training,), (verdict,) = found["training"], found["verdict"]
    text = (project.root / ".ci-ml" / "report.json").read_bytes()
    report = json.loads(text)
    about = verdict["predicate"]["ciMl"]
    assert about["report"] == f"sha256:{hashlib.sha256(text).hexdigest()}"
    assert about["training"] == statements.digest(statements.canonical(training))
    assert about["verdict"] == report["verdict"]
    assert [one["metric"] for one in about["comparisons"]] == [one["metric"] for one in report["comparisons"]]
    assert about["policy"] == report["policy"]
    assert report["policy"]["read_at"]
    made = {one["path"]: one["digest"] for one in report["outputs"]}
    subjects = {one["name"]: one["digest"] for one in verdict["subject"]}
    assert subjects.pop("commit") == {"gitCommit": report["head"]["sha"]}
    assert {name: f"md5:{digest['md5']}" for name, digest in subjects.items()} == made
    assert "model.json" in made
    assert verdict["predicate"]["result"] == {"pass": "PASSED", "warn": "WARNED"}.get(
        report["verdict"]["outcome"], "FAILED"
    )
    assert ended.code in (0, 10, 11)


def test_what_nobody_trained_is_not_said_to_have_an_environment(project: Project) -> None:
    assert project.ci_ml("train").code == 0
    (record,) = records(project)["training"]
    assert record["predicate"]["buildDefinition"]["internalParameters"]["environment"] is None


def test_a_secret_is_in_no_record(project: Project) -> None:
    project.write("params.yaml", {"prepare": {"keep": 1.0}, "train": {"rate": 0.2, "steps": 3}})
    environment = {"CI_ML_CONTAINER_DIGEST": "image@hush-hush-hush", "MY_API_TOKEN": "hush-hush-hush"}
    project.ci_ml("train", env=environment)
    text = "".join(place.read_text() for place in (project.root / ".ci-ml" / "records").glob("*.json"))
    assert "image@***" in text
    assert "hush-hush-hush" not in text


def test_where_no_record_can_be_kept_nothing_is_published(project: Project, tmp_path: Path) -> None:
    project.write("params.yaml", {"prepare": {"keep": 1.0}, "train": {"rate": 0.2, "steps": 3}})
    project.commit("faster")
    (project.root / ".ci-ml").mkdir(exist_ok=True)
    (project.root / ".ci-ml" / "records").symlink_to(tmp_path)
    ended = project.ci_ml("ci")
    assert ended.code == 3
    assert "records" in ended.err
    assert list(tmp_path.glob("*.json")) == []
