"""From a verdict to an alias and back, with real git, DVC and MLflow's embedded store."""

import contextlib
import json
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from ci_ml.cli.registry import promote
from ci_ml.core.report import load
from ci_ml.core.statements import digest
from ci_ml.core.types import Change
from ci_ml.errors import UsageError
from ci_ml.usecases.promote import Moved
from ci_ml.wiring import chronicle, registry, workspace
from ci_ml.wiring.registry import require_lasting
from ci_ml.wiring.workspace import Workspace
from tests.e2e import promoting
from tests.e2e.jobs import REPOSITORY, GitHubJob
from tests.e2e.project import CI_ML_YAML, Project, Result, copy
from tests.e2e.promoting import REGISTRY, aliases, killed, report, tags, versions
from tests.fakes.github import GitHub
from tests.signers import pair


@pytest.fixture(scope="module")
def ready(trained: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose head was judged and passes; nothing is promoted yet."""
    folder = tmp_path_factory.mktemp("ready")
    copy(trained, folder / "p")
    project = Project(root=folder / "p" / "repo", env=environment)
    project.write("ci-ml.yaml", CI_ML_YAML + REGISTRY)
    project.commit("a registry")
    promoting.trained(project, 0.2)
    return folder / "p"


@pytest.fixture
def judged(ready: Path, environment: dict[str, str], tmp_path: Path) -> Project:
    copy(ready, tmp_path / "p")
    return Project(root=tmp_path / "p" / "repo", env=environment)


def edited(project: Project, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(report(project).read_text())
    change(document)
    report(project).write_text(json.dumps(document))


def refused(project: Project, words: str, *more: str, code: int = 10) -> None:
    done = project.ci_ml("promote", "churn", *more).expect(code)
    assert words in " ".join(done.err.split()), done.text
    assert not (project.root / ".ci-ml" / "mlflow.db").exists(), "nobody was asked"
    assert project.git("for-each-ref", "refs/ci-ml") == ""


def test_a_model_goes_to_production_and_back(judged: Project) -> None:
    first = judged.ci_ml("promote", "churn", "--to", "champion,shadow", "--format", "json").expect(0).json()
    assert (first["version"], first["changed"]) == ("1", True)
    sha = promoting.trained(judged, 0.3)
    done = judged.ci_ml("promote", "churn").expect(0)
    assert done.out == "version 2 of churn is champion (champion was version 1)\n"
    assert aliases(judged) == {"champion": "2", "shadow": "1"}
    page = judged.ci_ml("audit", "show", "churn", "--format", "json").expect(0).json()
    assert (page["title"], page["doubts"]) == ("churn version 2 (champion)", [])
    judged.ci_ml("rollback", "churn", "--why", "it drifts").expect(0)
    assert aliases(judged) == {"champion": "1", "shadow": "1"}
    story = judged.ci_ml("history", "churn", "--format", "json").expect(0).json()
    assert [(row["action"], row["alias"], row["previous"], row["version"]) for row in story["changes"]] == [
        ("rollback", "champion", "2", "1"),
        ("promote", "champion", "1", "2"),
        ("promote", "champion", None, "1"),
        ("promote", "shadow", None, "1"),
    ]
    assert (story["changes"][0]["why"], story["changes"][0]["by"]) == ("it drifts", "Ada")
    assert (story["changes"][1]["commit"], story["doubts"]) == (sha, [])
    told = judged.ci_ml("history", "churn").expect(0).out
    assert told.startswith("champion of churn is version 1\n")
    assert "rollback: it drifts" in told
    assert "forced" not in told
    judged.write("ci-ml.yaml", CI_ML_YAML)
    assert judged.ci_ml("history", "churn").expect(0).out == told, "what was registered once is known"
    assert "there are: churn" in judged.ci_ml("history", "chrun").expect(2).err


def test_a_report_of_another_commit_is_stale(judged: Project) -> None:
    judged.write("src/train.py", judged.read("src/train.py") + "\n# another\n")
    judged.commit("code")
    refused(judged, "has other files: src/train.py")


@pytest.mark.thorough
def test_a_commit_of_the_same_files_is_as_good(judged: Project) -> None:
    judged.git("commit", "--quiet", "--allow-empty", "-m", "nothing")
    judged.ci_ml("promote", "churn").expect(0)
    promoted = judged.git("rev-parse", "HEAD")
    judged.git("commit", "--quiet", "--allow-empty", "-m", "nothing again")
    done = judged.ci_ml("promote", "churn", "--format", "json").expect(0).json()
    assert (done["changed"], done["version"], done["entry"]) == (False, "1", None)
    assert f"changes nothing of what {promoted[:7]} has promoted" in done["sentence"]
    judged.ci_ml("promote", "churn", "--to", "champion,shadow").expect(0)
    assert aliases(judged) == {"champion": "1", "shadow": "1"}
    assert versions(judged) == ["1"]


def test_bytes_that_were_not_judged(judged: Project) -> None:
    place = judged.root / "model.json"
    place.unlink()
    place.write_text('{"slope": 0, "offset": 0}')
    refused(judged, "model.json is not the model that was judged: it is md5:")


def test_a_report_that_fails(judged: Project) -> None:
    def fail(document: dict[str, Any]) -> None:
        document["verdict"] |= {"outcome": "fail", "sentence": "It is worse."}

    edited(judged, fail)
    refused(judged, "the report says fail: It is worse.")


def test_a_report_that_somebody_has_edited(judged: Project) -> None:
    def better(document: dict[str, Any]) -> None:
        document["comparisons"][0]["head"] -= 0.5

    edited(judged, better)
    refused(judged, "contradicts itself")


def test_a_report_in_which_somebody_asks_for_less(judged: Project) -> None:
    def only_report(document: dict[str, Any]) -> None:
        for item in document["comparisons"]:
            item.update(require="report", impact="pass")

    edited(judged, only_report)
    refused(judged, "was not judged by the ci-ml.yaml that it names: require of")


def test_a_report_that_is_not_the_one_that_was_recorded(judged: Project) -> None:
    edited(judged, lambda document: document["verdict"].update(sentence="It is splendid."))
    refused(judged, "it was edited since")


@pytest.mark.parametrize("left", ["nothing", "those of another commit"])
def test_a_report_that_nothing_was_recorded_of(judged: Project, left: str) -> None:
    """Whoever judges leaves a record first: without one, anybody can have written the report."""
    honest = report(judged).read_text()
    records = judged.root / ".ci-ml" / "records"
    if left == "nothing":
        records.rename(judged.root.parent / "records")
    else:
        judged.write("notes.md", "words")
        judged.commit("words")
        edited(judged, lambda document: document["head"].update(sha=judged.git("rev-parse", "HEAD")))
    refused(judged, "no record says that")
    report(judged).write_text(honest)
    if left == "nothing":
        beside = shutil.copy(report(judged), judged.root.parent / "report.json")
        judged.ci_ml("promote", "churn", "--report", str(beside)).expect(0)


def _withheld(project: Project, words: str, env: dict[str, str] | None = None) -> None:
    """Refused, with a ledger that is there already."""
    before = project.git("for-each-ref", "refs/ci-ml/ledger")
    done = project.ci_ml("promote", "churn", env=env).expect(10)
    assert words in " ".join(done.err.split()), done.text
    assert project.git("for-each-ref", "refs/ci-ml/ledger") == before
    assert not (project.root / ".ci-ml" / "mlflow.db").exists(), "nobody was asked"


def test_the_ledger_knows_the_verdict_whatever_lies_here(judged: Project) -> None:
    judged.ci_ml("audit", "record").expect(0)
    honest = report(judged).read_text()
    edited(judged, lambda document: document["verdict"].update(sentence="It is splendid."))
    shutil.rmtree(judged.root / ".ci-ml" / "records")
    _withheld(judged, "is none of the reports on this commit that the ledger has")
    space = workspace.find(None, None, cwd=judged.root, env=judged.env)
    chronicle.keep_verdict(space, load(report(judged).read_bytes(), "report.json"))  # who edits one makes the other
    _withheld(judged, "is none of the reports on this commit that the ledger has")
    report(judged).write_text(honest)
    judged.ci_ml("promote", "churn").expect(0)
    shutil.rmtree(judged.root / ".ci-ml" / "records")
    judged.ci_ml("check").expect(0)  # the same verdict on the same commit once more, in a report that says when
    assert report(judged).read_text() != honest
    assert "holds these very files" in judged.ci_ml("promote", "churn").expect(0).out
    edited(judged, lambda document: document["comparisons"][0].update(reason="It is splendid."))
    assert "is none of the reports on this commit" in judged.ci_ml("promote", "churn").expect(10).err
    judged.ci_ml("check").expect(0)
    edited(judged, lambda document: document["verdict"].update(reasons=["It came out otherwise."]))
    space = workspace.find(None, None, cwd=judged.root, env=judged.env)
    chronicle.keep_verdict(space, load(report(judged).read_bytes(), "report.json"))
    assert "`ci-ml audit record` enters" in judged.ci_ml("promote", "churn").expect(10).err
    judged.ci_ml("audit", "record").expect(0)
    assert "holds these very files" in judged.ci_ml("promote", "churn").expect(0).out


def test_where_records_are_signed_a_verdict_without_one_promotes_nothing(judged: Project) -> None:
    key = pair()
    env = {"CI_ML_SIGNING_KEY": key.private.decode()}
    audit = "audit: {sign: key, public_keys: [ci.pub]}\n"
    judged.write("ci.pub", key.public)
    judged.write("ci-ml.yaml", judged.read("ci-ml.yaml") + audit)
    judged.commit("who signs")
    judged.ci_ml("check").expect(0)
    records = judged.root / ".ci-ml" / "records"
    records.rename(records.with_name("aside"))
    _withheld(judged, "no record says that", env)
    records.with_name("aside").rename(records)
    judged.write("ci-ml.yaml", judged.read("ci-ml.yaml").removesuffix(audit))
    judged.ci_ml("audit", "record").expect(0)  # as who has no key enters one
    judged.write("ci-ml.yaml", judged.read("ci-ml.yaml") + audit)
    _withheld(judged, "does not count: its record is not signed", env)
    judged.ci_ml("audit", "sign", env=env).expect(0)
    judged.ci_ml("promote", "churn", env=env).expect(0)


def test_a_waiver_that_nobody_can_ask_about(judged: Project) -> None:
    def waive(document: dict[str, Any]) -> None:
        waiver = {"by": "eve", "at": "2026-01-01", "label": "ci-ml: accept regression", "outcome": "fail"}
        document["verdict"] |= {"outcome": "warn", "waivers": [waiver]}

    edited(judged, waive)
    refused(judged, "who has approved this commit cannot be known here")


def test_gates_of_another_ci_ml_yaml(judged: Project) -> None:
    edited(judged, lambda document: document["policy"].update(digest=f"sha256:{'0' * 64}"))
    refused(judged, "is stale: another ci-ml.yaml has judged")


def test_a_report_without_the_model(judged: Project) -> None:
    edited(judged, lambda document: document.update(outputs=[]))
    refused(judged, "says no digest of model.json")


@pytest.mark.thorough
def test_a_work_tree_that_was_never_committed(judged: Project) -> None:
    judged.write("src/note.md", "not yet")
    judged.git("add", "src/note.md")
    judged.ci_ml("check").expect(0)
    assert json.loads(report(judged).read_text())["head"]["dirty"]
    judged.ci_ml("promote", "churn").expect(0)  # its model is the one of the commit all the same


def test_approvals_that_cannot_be_counted_here(judged: Project) -> None:
    judged.write("ci-ml.yaml", judged.read("ci-ml.yaml").replace("champion: {}", "champion: {approvals: 1}"))
    judged.commit("approvals")
    judged.ci_ml("check").expect(0)
    refused(judged, "who has approved this commit cannot be known here")


def test_questions_that_make_no_sense(judged: Project) -> None:
    for arguments, words in (
        (("promote", "chrun"), "there is no model chrun under registry"),
        (("promote", "churn", "--alias", "king"), "there is no alias king"),
        (("promote", "churn", "--alias", "shadow", "--to", "shadow"), "--alias and --to say the same"),
        (("promote", "churn", "--report", "gone.json"), "there is no report"),
        (("rollback", "churn", "--why", " "), "a rollback has a reason"),
        (("rollback", "churn"), "Missing option '--why'"),
        (("serve-check", "churn"), "says nothing of `serve`"),
        (("history", "chrun"), "there is no model chrun under registry in ci-ml.yaml, nor in the ledger"),
    ):
        done = judged.ci_ml(*arguments).expect(2)
        assert words in done.err, done.text
    assert "there are: churn" in done.err
    assert judged.ci_ml("history", "churn").expect(0).out == "the ledger knows no promotion of churn\n"


def test_to_names_the_aliases_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    done = Moved(model="churn", version="1", previous={}, sentence="so")
    monkeypatch.setattr(workspace, "find", lambda *_: None)

    def promoted(space: object, name: str, names: list[str], *_: object, **__: object) -> Moved:
        asked.append(names)
        return done

    monkeypatch.setattr(registry, "promoted", promoted)
    env = {"CI_ML_ALIAS": "shadow"}
    for arguments, code in ((["--to", "champion"], 0), ([], 0), (["--to", ""], 2), (["--to", ","], 2)):
        assert CliRunner().invoke(promote, ["churn", *arguments], env=env).exit_code == code
    assert asked == [["champion"], ["shadow"]]


def space(env: dict[str, str], forge: str | None = None, remote: str | None = None) -> Workspace:
    """As much of a workspace as says which registry is meant."""
    history = SimpleNamespace(remote=lambda: remote)
    return cast("Workspace", SimpleNamespace(change=Change(forge=forge), env=env, history=history))


@pytest.mark.parametrize("env", [{"CI": "true"}, {"CI": "true", "MLFLOW_TRACKING_URI": ""}, {}])
def test_a_job_without_a_registry_promotes_nothing(env: dict[str, str]) -> None:
    forge = None if env else "github"
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI is not set, or empty"):
        require_lasting(space(env, forge))
    require_lasting(space({**env, "MLFLOW_TRACKING_URI": "sqlite:///there.db"}, forge))


def test_whoever_shares_the_ledger_has_a_registry_that_others_reach(judged: Project) -> None:
    """Without a remote the store here is all that anybody has; one that is named is taken at its word."""
    require_lasting(space({}))
    require_lasting(space({"MLFLOW_TRACKING_URI": "sqlite:///there.db"}, remote="origin"))
    judged.git("remote", "add", "origin", "../origin.git")
    refused(judged, "who shares the ledger on origin could not reach a registry on this machine", code=2)
    assert "MLFLOW_TRACKING_URI is not set" in judged.ci_ml("rollback", "churn", "--why", "slow").expect(2).err


@pytest.mark.thorough
def test_history_asks_no_store_that_others_do_not_share(judged: Project, tmp_path: Path) -> None:
    judged.ci_ml("promote", "churn").expect(0)
    judged.git("init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    judged.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    judged.git("push", "--quiet", "origin", "refs/ci-ml/ledger")
    story = judged.ci_ml("history", "churn", "--format", "json").expect(0).json()
    assert (story["aliases"], story["ledger"]) == (None, {"champion": "1"})
    assert [doubt.partition(":")[0] for doubt in story["doubts"]] == ["where the aliases are now cannot be asked"]
    assert "MLFLOW_TRACKING_URI is not set" in judged.ci_ml("audit", "verify").expect(2).err
    judged.ci_ml("audit", "verify", "--no-registry").expect(0)


def test_a_report_that_is_none(judged: Project) -> None:
    report(judged).write_text("{")
    refused(judged, "is not strict JSON", code=2)


@pytest.mark.thorough
def test_the_model_comes_from_the_remote_where_it_is_not_here(judged: Project) -> None:
    judged.run("dvc", "push", "--quiet").expect(0)
    (judged.root / "model.json").unlink()
    shutil.rmtree(judged.root / ".dvc" / "cache")
    assert "DVC gets it" in judged.ci_ml("promote", "churn").expect(0).err


@pytest.mark.thorough
def test_a_model_that_is_nowhere_is_named(judged: Project) -> None:
    """With the place where it was looked for, and what can be done."""
    (judged.root / "model.json").unlink()
    shutil.rmtree(judged.root / ".dvc" / "cache")
    shutil.rmtree(judged.root.parent / "remote", ignore_errors=True)
    refused(judged, "model.json (md5:", code=3)
    done = judged.ci_ml("promote", "churn").expect(3)
    said = " ".join(done.err.split())
    assert "is neither here nor in DVC's cache, and DVC cannot get it from its remote ../../remote: DVC failed" in said
    assert "`dvc push model.json` from where it is" in said


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as forge:
        yield forge


@pytest.mark.thorough
def test_approvals_are_counted_on_the_request_that_brought_the_commit(
    judged: Project, github: GitHub, tmp_path: Path
) -> None:
    judged.write(
        "ci-ml.yaml", judged.read("ci-ml.yaml").replace("champion: {}", "champion: {approvals: 1, from: [ada]}")
    )
    judged = Project(root=judged.root, env={**judged.env, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/registry.db"})
    base, head = judged.git("rev-parse", "HEAD"), judged.commit("approvals")
    job = GitHubJob(project=judged, forge=github, base=base, head=head)
    judged.git("init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    judged.git("config", f"url.{tmp_path / 'origin.git'}.insteadOf", f"https://github.example/{REPOSITORY}.git")
    judged.ci_ml("check").expect(0)
    push = {"ref": "refs/heads/main", "before": base, "after": head, "repository": {"full_name": REPOSITORY}}

    def promoted(code: int) -> Result:
        return job.ci_ml("promote", "churn", name="push", event=push).expect(code)

    assert f"no merged request has brought {head[:7]}" in promoted(10).err
    job.pull.merge(commit=head)
    assert "champion of churn needs 1 approvals by ada of #7, and has 0" in promoted(10).err
    for person in ("ada", "tom"):
        github.user(person)
        github.repositories[0].collaborators[person] = "write"
    job.pull.review("tom")
    assert "not counted: tom is none of ada" in promoted(10).err
    job.pull.review("ada")
    promoted(0)
    assert job.outputs["version"] == "1"
    assert job.outputs["promoted"] == "true"
    env = job.env(name="push", event=push)
    (change,) = judged.ci_ml("history", "churn", "--format", "json", env=env).json()["changes"]
    assert "\n  pull request #7, http" in judged.ci_ml("history", "churn", env=env).expect(0).out
    assert [one["by"] for one in change["approvals"]] == ["ada"]
    assert (change["change"]["forge"], change["change"]["number"]) == ("github", 7)
    assert "refs/ci-ml/ledger" in judged.git("ls-remote", str(tmp_path / "origin.git"))


@pytest.mark.thorough
def test_what_is_in_production_is_the_baseline(judged: Project) -> None:
    judged.ci_ml("promote", "churn").expect(0)
    champion = judged.git("rev-parse", "HEAD")
    judged.write("ci-ml.yaml", judged.read("ci-ml.yaml") + 'baseline: "mlflow:models:/churn@champion"\n')
    judged.commit("a baseline")
    promoting.trained(judged, 0.3)
    assert json.loads(report(judged).read_text())["base"] | {"dirty": False} == {
        "sha": champion,
        "ref": "models:/churn@champion",
        "why": "the commit of models:/churn@champion",
        "dirty": False,
    }
    judged.ci_ml("promote", "churn").expect(0)
    own = judged.git("rev-parse", "HEAD")
    judged.ci_ml("check").expect(0)  # the champion's own commit once more: it is compared as it was before
    again = json.loads(report(judged).read_text())
    assert (again["head"]["sha"], again["base"]["sha"]) == (own, judged.git("rev-parse", "HEAD~1"))
    assert [one for one in again["notices"] if f"{own[:7]} is models:/churn@champion itself" in one]
    done = judged.ci_ml(
        "check", env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    )
    assert "MLflow:" in done.expect(3).err


@pytest.mark.thorough
def test_a_baseline_that_is_not_there(judged: Project) -> None:
    """Before the first promotion that is told; afterwards, and for what nobody registers, it is an error."""
    judged.write("ci-ml.yaml", judged.read("ci-ml.yaml") + 'baseline: "mlflow:models:/churn@champion"\n')
    judged.commit("a baseline")
    before = judged.git("rev-parse", "HEAD")
    promoting.trained(judged, 0.3)
    found = json.loads(report(judged).read_text())
    assert found["base"]["sha"] == before
    assert [one for one in found["notices"] if one.startswith("nothing is models:/churn@champion yet")]
    kept = shutil.copy(report(judged), judged.root.parent / "report.json")
    for reference, words in (
        ("models:/chrun@champion", "no model chrun is under registry in ci-ml.yaml"),
        ("models:/churn@king", "there is no alias king under registry.churn.aliases"),
        ("models:/churn/9", "there is no version 9 of churn"),
    ):
        done = judged.ci_ml("check", "--base", f"mlflow:{reference}").expect(2)
        assert words in " ".join(done.err.split())
        assert "mlflow.exceptions" not in done.text
    judged.ci_ml("promote", "churn", "--report", str(kept)).expect(0)
    with contextlib.closing(sqlite3.connect(promoting.store(judged))) as database, database:
        database.execute("delete from registered_model_aliases")
    done = judged.ci_ml("check", "--base", "mlflow:models:/churn@champion").expect(3)
    assert "by the ledger champion of churn is version 1" in " ".join(done.err.split())
    judged.git("remote", "add", "origin", "../origin.git")
    done = judged.ci_ml("check", "--base", "mlflow:models:/churn@champion").expect(2)
    assert "models:/churn@champion cannot be looked up: MLFLOW_TRACKING_URI is not set" in " ".join(done.err.split())


@pytest.mark.thorough
def test_an_artifact_store_that_is_full_registers_nothing(judged: Project) -> None:
    place = judged.root / ".ci-ml" / "mlflow-artifacts"
    place.parent.mkdir(exist_ok=True)
    place.write_text("no folder")  # as root nothing else keeps a write from succeeding
    done = judged.ci_ml("promote", "churn").expect(3)
    assert "nothing has been registered, and no alias has moved" in done.err
    assert "churn" not in judged.git("for-each-ref", "refs/ci-ml")
    place.unlink()
    judged.ci_ml("promote", "churn").expect(0)
    assert aliases(judged) == {"champion": "1"}


@pytest.mark.thorough
def test_an_alias_moved_by_hand_is_told_and_not_overwritten(judged: Project) -> None:
    judged.ci_ml("promote", "churn").expect(0)
    promoting.trained(judged, 0.3)
    judged.ci_ml("promote", "churn").expect(0)
    uri = f"sqlite:///{judged.root}/.ci-ml/mlflow.db"
    code = f"from mlflow import MlflowClient\nMlflowClient({uri!r}, {uri!r}).set_registered_model_alias('churn', 'champion', '1')"
    judged.run("python", "-W", "ignore", "-c", code).expect(0)
    done = judged.ci_ml("rollback", "churn", "--why", "it drifts").expect(3)
    assert "champion of churn was moved by hand: it is version 1, and by the ledger it is version 2" in done.err
    assert "moved by hand" in judged.ci_ml("history", "churn").expect(0).out
    by_ledger = "by the ledger champion of churn is version 2"
    doubt = f"in the registry champion is version 1, which no entry of the ledger made so; {by_ledger}"
    page = judged.ci_ml("audit", "show", "churn", "--format", "json").expect(0).json()
    assert (page["title"], page["doubts"]) == ("churn version 2 (champion by the ledger)", [doubt])
    checked = judged.ci_ml("audit", "verify", "--format", "json").expect(0).json()
    hand = "champion of churn was moved by hand: it is version 1, and by the ledger it is version 2"
    assert (checked["holds"], checked["notices"]) == (True, [hand])
    assert f"! {hand}" in judged.ci_ml("audit", "verify").expect(0).out
    assert f"note: {doubt}" in " ".join(judged.ci_ml("reproduce", "churn@champion").err.split())
    with contextlib.closing(sqlite3.connect(promoting.store(judged))) as database, database:
        gone = database.execute("delete from registered_model_aliases returning alias, version").fetchall()
    page = judged.ci_ml("audit", "show", "churn@champion", "--format", "json").expect(0).json()
    nothing = "in the registry nothing is champion, which no entry of the ledger made so"
    assert page["doubts"] == [f"{nothing}; {by_ledger}"]
    with contextlib.closing(sqlite3.connect(promoting.store(judged))) as database, database:
        database.executemany("insert into registered_model_aliases (name, alias, version) values ('churn', ?, ?)", gone)
    assert aliases(judged) == {"champion": "1"}
    judged.ci_ml("rollback", "churn", "--to", "2", "--force", "--why", "that was a mistake").expect(0)
    told = judged.ci_ml("history", "churn").expect(0).out
    assert "\n  rollback (forced): that was a mistake, pass\n" in told
    assert told.count("forced") == 1


@pytest.mark.thorough
def test_another_registry_is_named_with_the_one_of_the_ledger(judged: Project, tmp_path: Path) -> None:
    judged.ci_ml("promote", "churn").expect(0)
    here, there = (f"sqlite:///{place}" for place in (promoting.store(judged), tmp_path / "staging.db"))
    other = Project(root=judged.root, env={**judged.env, "MLFLOW_TRACKING_URI": there})
    for arguments in (("promote", "churn"), ("rollback", "churn", "--why", "so")):
        said = " ".join(other.ci_ml(*arguments).expect(2).err.split())
        assert f"is at {here}, and this is {there}, which has not got it" in said
        assert "moved by hand" not in said
    doubts = other.ci_ml("history", "churn", "--format", "json").expect(0).json()["doubts"]
    assert f"the last that the ledger has of churn is at {here}, and this is {there}" in doubts
    (doubt,) = other.ci_ml("audit", "show", "churn", "--format", "json").expect(0).json()["doubts"]
    assert doubt.startswith(
        f"the last that the ledger has of churn is at {here}; in the registry at {there} nothing is"
    )
    other.ci_ml("promote", "churn", "--force").expect(0)
    assert aliases(other) == aliases(judged) == {"champion": "1"}


@pytest.mark.thorough
def test_a_ledger_that_was_cut_off_is_noticed_by_who_comes_next(judged: Project) -> None:
    """Also by a clone that remembers nothing: the version names the entry, and keeps naming it."""
    judged.ci_ml("promote", "churn").expect(0)
    told = tags(judged, "1")
    judged.git("update-ref", "refs/ci-ml/ledger", "refs/ci-ml/ledger~1")
    judged.git("update-ref", "-d", "refs/ci-ml/seen/ledger")
    for arguments in (("promote", "churn"), ("rollback", "churn", "--why", "so", "--force")):
        done = judged.ci_ml(*arguments).expect(3)
        assert f"version 1 of churn names the entry {told['ci-ml.entry'][:19]}, which is not in" in " ".join(
            done.err.split()
        )
    assert tags(judged, "1") == told
    judged.ci_ml("audit", "verify").expect(10)


@pytest.fixture(scope="module")
def second(ready: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A project with a champion and another model that was judged; and the same once that is the champion."""
    folder = tmp_path_factory.mktemp("second")
    copy(ready, folder / "promote")
    project = Project(root=folder / "promote" / "repo", env=environment)
    project.ci_ml("promote", "churn").expect(0)
    promoting.trained(project, 0.3)
    shutil.copytree(folder / "promote", folder / "rollback", symlinks=True)
    there = Project(root=folder / "rollback" / "repo", env=_elsewhere(environment, folder / "rollback"))
    there.ci_ml("promote", "churn").expect(0)
    return {name: folder / name for name in ("promote", "rollback")}


def _elsewhere(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """A copy's own store; the files of models are where they were."""
    return {**environment, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/repo/.ci-ml/mlflow.db"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("action", "number"),
    [*(("promote", number) for number in range(1, 11)), *(("rollback", number) for number in range(1, 9))],
)
def test_killed_at_every_step_and_run_again(
    second: dict[str, Path], environment: dict[str, str], tmp_path: Path, action: str, number: int
) -> None:
    """By SIGKILL, in a process of its own; then the same command again, and the end state is right.

    Also where only the word of it was lost, which nobody knows who runs it again.
    """
    there = tmp_path / "p"
    shutil.copytree(second[action], there, symlinks=True)
    project = Project(root=there / "repo", env=_elsewhere(environment, there))
    arguments = (action, "churn", *(("--why", "it drifts") if action == "rollback" else ()))
    wanted = {"champion": "2" if action == "promote" else "1"}
    done = killed(project, "after", number, *arguments)
    assert done.code == -signal.SIGKILL, done.text
    project.ci_ml(*arguments).expect(0)
    assert aliases(project) == wanted
    assert versions(project) == ["1", "2"]
    assert _ended(project, wanted["champion"])
    story = project.ci_ml("history", "churn", "--format", "json").expect(0).json()
    assert (story["ledger"], story["doubts"]) == (wanted, [])
    assert len(story["changes"]) == (2 if action == "promote" else 3), "said once"


@pytest.mark.thorough
def test_what_was_killed_is_told(second: dict[str, Path], environment: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(second["promote"], tmp_path / "p", symlinks=True)
    project = Project(root=tmp_path / "p" / "repo", env=_elsewhere(environment, tmp_path / "p"))
    assert killed(project, "after", 4, "promote", "churn").code == -signal.SIGKILL
    sha = project.git("rev-parse", "--short=7", "HEAD")
    (doubt,) = project.ci_ml("history", "churn", "--format", "json").expect(0).json()["doubts"]
    assert doubt.startswith(f"a promotion of {sha} to champion was begun by Ada at ")
    assert "it is under way, or was killed; other promotions wait until" in doubt


def _ended(project: Project, wanted: str) -> bool:
    """Whether the last step was done: the version has every tag of what last brought it."""
    places = project.git("ls-tree", "-r", "--name-only", "refs/ci-ml/ledger").split()
    newest = max(name for name in places if name.startswith("entries/"))
    line = project.run("git", "show", f"refs/ci-ml/ledger:{newest}").out
    story = project.ci_ml("history", "churn", "--format", "json").expect(0).json()
    known = {"ci-ml.entry": digest(line.encode())}
    known |= {f"ci-ml.{name}": story["changes"][0][name] for name in ("commit", "report")}
    return tags(project, wanted).items() >= known.items()
