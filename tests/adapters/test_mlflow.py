"""What is kept with a run is found again: by dvc.lock, by run, by model; on a real server and in the embedded store."""

import datetime as dt
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from ci_ml.adapters import mlflow
from ci_ml.adapters.mlflow import Tracking
from ci_ml.adapters.mlflow.client import asking, connected
from ci_ml.core.references import Kept, Reference, Watch
from ci_ml.core.training import Training, TrainingOutcome
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError
from tests import mlflow_server, postgres
from tests.mlflow_server import Store
from tests.postgres import PASSWORD

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own, on what it depends on

PROFILE = {"schema": "ci-ml/profile/v1", "columns": {"âge": {"n": 3, "counts": [1, 2], "mean": 0.1}}, "n": 2**53}
LOCK = f"sha256:{'a' * 64}"


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with mlflow_server.stored() as made:
        yield made


@pytest.fixture(scope="module")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        postgres.served() as database,
        mlflow_server.tracking(tmp_path_factory.mktemp("mlflow"), database, store) as url,
    ):
        yield url


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded")


@pytest.fixture(params=[pytest.param("server", marks=pytest.mark.thorough), "embedded"])
def tracked(request: pytest.FixtureRequest, embedded: Path) -> Tracking:
    """An experiment of its own, on the server or in the embedded store."""
    uri = request.getfixturevalue("server") if request.param == "server" else None
    return Tracking(uri=uri, folder=embedded, experiment=request.node.name)


def client(tracked: Tracking) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracked.address())


def trained(tracked: Tracking, lock: str = LOCK, outcome: TrainingOutcome = TrainingOutcome.SUCCESS) -> str:
    made = Training(
        outcome=outcome, commit="c" * 40, dirty=False, started="2026-11-21T00:00:00Z", seconds=1.0, stages=(), lock=lock
    )
    return tracked.log(made, "mark", {"accuracy": 0.9})[0]


def by(text: str) -> Reference:
    return Reference.parse(text)


@pytest.mark.thorough
def test_a_document_is_found_by_lock_and_by_run(tracked: Tracking) -> None:
    run = trained(tracked)
    tracked.keep(run, "profile", PROFILE)
    tracked.keep(run, "evaluation", {"accuracy": 0.9})
    assert tracked.kept(by(f"lock:{LOCK}"), "profile") == Kept(run=run, document=PROFILE)
    assert tracked.kept(by(run), "profile") == tracked.kept(by(f"runs:/{run}"), "profile")
    assert tracked.kept(by(f"run:{run}"), "evaluation") == Kept(run=run, document={"accuracy": 0.9})


def test_the_newest_training_of_a_lock_that_has_it_is_taken(tracked: Tracking) -> None:
    for number in range(2):
        tracked.keep(trained(tracked), "profile", {"number": number})
    tracked.keep(trained(tracked, outcome=TrainingOutcome.FAILED), "profile", {"number": "failed"})
    trained(tracked)
    found = tracked.kept(by(f"lock:{LOCK}"), "profile")
    assert isinstance(found, Kept)
    assert found.document == {"number": 1}


@pytest.mark.parametrize("form", ["alias", "version", "logged"])
def test_a_document_is_found_by_the_model_that_the_training_made(tracked: Tracking, form: str) -> None:
    """The stage logs a run of its own, and registers what it made there."""
    run, there = trained(tracked), client(tracked)
    tracked.keep(run, "profile", PROFILE)
    inner = there.create_run(there.get_experiment_by_name(tracked.experiment).experiment_id)
    there.set_tag(inner.info.run_id, "ci-ml.parent_run", run)
    name = f"churn {form}"
    if form == "logged":
        logged = there.create_logged_model(inner.info.experiment_id, source_run_id=inner.info.run_id)
        assert tracked.kept(by(f"models:/{logged.model_id}"), "profile") == Kept(run=run, document=PROFILE)
        return
    with_name = f"{name} {tracked.experiment}".translate(str.maketrans("/:[]@", "-----"))
    there.create_registered_model(with_name)
    version = there.create_model_version(with_name, source=f"{inner.info.artifact_uri}/model", run_id=inner.info.run_id)
    there.set_registered_model_alias(with_name, "champion", version.version)
    reference = f"models:/{with_name}@champion" if form == "alias" else f"models:/{with_name}/{version.version}"
    assert tracked.kept(by(reference), "profile") == Kept(run=run, document=PROFILE)
    there.delete_run(inner.info.run_id)
    gone = tracked.kept(by(reference), "profile")
    assert isinstance(gone, Gap)
    assert "was deleted" in gone.reason


@pytest.mark.parametrize(
    "reference",
    [f"lock:sha256:{'b' * 64}", "0" * 32, "models:/nobody@champion", "models:/nobody/3", f"models:/m-{'0' * 32}"],
)
def test_what_nobody_has_recorded_is_a_gap(tracked: Tracking, reference: str) -> None:
    trained(tracked)
    found = tracked.kept(by(reference), "profile")
    assert isinstance(found, Gap)
    assert found.absent
    assert str(by(reference)) in found.reason


def test_an_alias_that_nobody_has_set_and_a_document_that_nobody_kept(tracked: Tracking) -> None:
    run, there = trained(tracked), client(tracked)
    name = f"model of {tracked.experiment}".translate(str.maketrans("/:[]@", "-----"))
    there.create_registered_model(name)
    for reference in (f"models:/{name}@champion", f"run:{run}"):
        found = tracked.kept(by(reference), "profile")
        assert isinstance(found, Gap)
        assert found.absent


def test_a_document_that_somebody_changed_is_refused(tracked: Tracking) -> None:
    run, there = trained(tracked), client(tracked)
    tracked.keep(run, "profile", PROFILE)
    there.log_text(run, '{"n": 1}', "ci-ml/profile.json")
    found = tracked.kept(by(run), "profile")
    assert isinstance(found, Gap)
    assert (found.absent, "somebody has changed it" in found.reason) == (False, True)


@pytest.mark.parametrize("text", ["{", "[1, NaN]", "é".encode("latin-1")])
def test_a_document_that_is_none_is_refused(tracked: Tracking, text: str | bytes, tmp_path: Path) -> None:
    run, there = trained(tracked), client(tracked)
    place = tmp_path / "profile.json"
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    there.log_artifact(run, str(place), "ci-ml")
    there.set_tag(run, "ci-ml.kept.profile", mlflow.tracking._digest(place.read_bytes()))
    found = tracked.kept(by(run), "profile")
    if text == "[1, NaN]":
        assert isinstance(found, Kept)
        assert math.isnan(found.document[1])  # what a number may be is for whoever reads it
        return
    assert isinstance(found, Gap)
    assert "cannot be read" in found.reason


def test_a_document_that_is_gone_or_too_large(tracked: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tracked)
    tracked.keep(run, "profile", PROFILE)
    monkeypatch.setattr("ci_ml.core.documents.MAX_BYTES", 20)
    found = tracked.kept(by(run), "profile")
    assert isinstance(found, Gap)
    assert "MB large" in found.reason
    with pytest.raises(ValueError, match="too large"):
        tracked.keep(run, "profile", PROFILE)
    monkeypatch.undo()
    client(tracked).set_tag(run, "ci-ml.kept.evaluation", "sha256:0")
    found = tracked.kept(by(run), "evaluation")
    assert isinstance(found, Gap)
    assert "is gone" in found.reason


@pytest.mark.parametrize("document", [{"x": math.nan}, {"x": math.inf}])
def test_only_strict_json_is_kept(tracked: Tracking, document: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        tracked.keep(trained(tracked), "profile", document)


@pytest.mark.parametrize("name", ["../x", "", "_a", "a/b", "a.b", "a" * 122])
def test_a_name_is_no_path(tracked: Tracking, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        tracked.keep("0" * 32, name, {})


def test_a_look_at_production_is_a_run_of_its_own(tracked: Tracking) -> None:
    reference = trained(tracked)
    at = dt.datetime(2026, 11, 21, 3, 0, tzinfo=dt.UTC)
    watch = Watch(
        name="churn",
        at=at,
        outcome="fail",
        metrics={"drift/age.wasserstein": 0.31, "drifted share": 0.5, "nothing": math.nan},
        reference=reference,
        run_url="https://example.org/1",
        tags={"ci-ml.issue": "9"},
    )
    run = client(tracked).get_run(tracked.watched(watch))
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"drift/age.wasserstein": 0.31, "drifted share": 0.5}
    assert run.data.tags["mlflow.parentRunId"] == reference
    assert {key: value for key, value in run.data.tags.items() if key.startswith("ci-ml.")} == {
        "ci-ml.monitor": "churn",
        "ci-ml.outcome": "fail",
        "ci-ml.reference": reference,
        "ci-ml.run_url": "https://example.org/1",
        "ci-ml.issue": "9",
    }
    [point] = client(tracked).get_metric_history(run.info.run_id, "drifted share")
    assert point.timestamp == int(at.timestamp() * 1000)


@pytest.mark.thorough
def test_documents_are_on_s3(server: str, store: Store, tmp_path: Path) -> None:
    tracked = Tracking(uri=server, folder=tmp_path, experiment="on s3")
    run = trained(tracked)
    tracked.keep(run, "profile", PROFILE)
    keys = [item.key for item in store.bucket.objects.all()]  # type: ignore[attr-defined]
    assert any(key.endswith(f"{run}/artifacts/ci-ml/profile.json") for key in keys)


@pytest.mark.thorough
def test_artifacts_that_are_down_are_an_error_and_no_gap(tmp_path: Path) -> None:
    with mlflow_server.stored() as store, postgres.served() as database:
        with mlflow_server.tracking(tmp_path, database, store) as url:
            tracked = Tracking(uri=url, folder=tmp_path, experiment="down")
            run = trained(tracked)
            tracked.keep(run, "profile", PROFILE)
            database.end("immediate")
            with pytest.raises(DependencyError, match="MLflow") as found:
                tracked.kept(by(run), "profile")
            assert PASSWORD not in str(found.value)
        with pytest.raises(DependencyError, match="MLflow"):
            tracked.kept(by(run), "profile")


@pytest.mark.parametrize(
    "text", ["", "main", "models:/a", "models:/a@", "models:/a/b", "models:/a/latest", "lock:abc", "run:xyz", "runs:/"]
)
def test_a_reference_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be models:/NAME@alias"):
        by(text)


def test_a_database_that_is_down_is_told_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow itself tries for two minutes."""
    from mlflow.store.db import utils

    paused: list[float] = []
    monkeypatch.setattr(utils, "time", SimpleNamespace(sleep=paused.append))
    monkeypatch.setattr(utils, "MAX_RETRY_COUNT", 10)
    with pytest.raises(DependencyError, match=r"MLflow: .*Connection refused") as error, asking():
        connected(f"postgresql://ada:{quote(PASSWORD, safe='')}@127.0.0.1:9/mlflow").get_registered_model("churn")
    assert PASSWORD not in error.value.what
    assert paused
    assert sum(paused) < 3


def test_nothing_is_reported_to_the_makers_of_mlflow(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from ci_ml.adapters.mlflow import Tracking\n"
        "from ci_ml.adapters.mlflow.registry import Models\n"
        "where = Tracking(uri=None, experiment='x', folder=Path.cwd())\n"
        "print(Models(tracking=where).targets('churn'))\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "print(get_telemetry_client())\n"
    )
    # As on a laptop: in a test or in CI MLflow keeps quiet by itself.
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.split("\n") == ["{}", "None", ""], done.stderr
