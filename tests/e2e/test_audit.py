"""`ci-ml audit`: the ledger on real git servers, with parallel writers, kills, and whoever may push and forges."""

import datetime as dt
import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci_ml.adapters import journal
from ci_ml.core import chain, statements
from ci_ml.core.statements import Kind, Statement, Subject
from ci_ml.errors import DependencyError, UsageError
from ci_ml.wiring import auditing, chronicle, gathered, stories, workspace
from ci_ml.wiring.workspace import Workspace
from tests.e2e.project import Project
from tests.fakes import git_server

REF = "refs/ci-ml/ledger"
TOKEN = "s3cr3t-t0ken"


def opened(project: Project, **env: str) -> Workspace:
    return workspace.find(None, None, cwd=project.root, env={**project.env, **env})


def training(project: Project, *, packages: int = 2) -> Statement:
    sha = project.git("rev-parse", "HEAD")
    return statements.statement(
        Kind.TRAINING,
        [
            Subject(name="model.json", digest={"md5": "a" * 32, "sha256": "b" * 64}),
            Subject(name="commit", digest={"gitCommit": sha}),
        ],
        {
            "buildDefinition": {
                "buildType": "urn:ci-ml:train:v1",
                "externalParameters": {
                    "commit": sha,
                    "params": {"train.rate": 0.1},
                    "stages": {"train": {"command": ["python train.py"]}},
                },
                "internalParameters": {
                    "environment": {
                        "interpreter": {"version": "3.12.1", "implementation": "CPython"},
                        "packages": {f"package-{number}": "1.0" for number in range(packages)},
                        "os": "Linux",
                    },
                    "seeds": {"train.seed": 7},
                },
                "resolvedDependencies": [
                    {"name": "data/raw.csv", "digest": {"md5": "c" * 32}, "annotations": {"kind": "data"}}
                ],
            },
            "runDetails": {"builder": {"id": "https://example.org/runner"}, "metadata": {}},
        },
    )


def promotion(project: Project, verdict: Statement, made: Statement, *, version: str = "1", why: str = "") -> Statement:
    return statements.statement(
        Kind.PROMOTION,
        [Subject(name="churn", digest={"sha256": "b" * 64})],
        {
            "model": "churn",
            "action": "promote",
            "version": version,
            "aliases": ["champion"],
            "why": why or None,
            "commit": project.git("rev-parse", "HEAD"),
            "verdict": verdict.digest,
            "training": made.digest,
            "outputs": {"model.json": f"sha256:{'b' * 64}"},
            "approvals": [{"by": "grace", "at": "2026-03-01T12:00:00+00:00", "what": "the last commit"}],
            "change": {"forge": "github", "number": 12, "url": "https://github.com/acme/churn/pull/12"},
        },
    )


def judged(project: Project) -> Statement:
    """A verdict on HEAD as `ci-ml check` leaves it."""
    project.ci_ml("check", "--base", "HEAD~1").expect(0)
    return [one for one in chronicle.kept(opened(project)) if one.kind is Kind.VERDICT][-1]


@pytest.fixture
def told(plain: Project) -> Project:
    """A project with two commits, and a ledger that says everything about a model."""
    plain.write("metrics.json", {"accuracy": 0.91})
    plain.commit("better")
    verdict, made = judged(plain), training(plain)
    space = opened(plain)
    chronicle.keep(space, made)
    chronicle.keep(space, promotion(plain, verdict, made, why="it is better"))
    assert len(auditing.record(space)) == 3
    return plain


def forge(project: Project, change: Callable[[Path], None]) -> None:
    """A commit on top of the ledger as somebody makes it who may push."""
    place = project.root.parent / "forged"
    project.git("worktree", "add", "--quiet", "--detach", str(place), REF)
    change(place)
    project.run("git", "add", "--all", cwd=place)
    project.run("git", "commit", "--quiet", "-m", "x", cwd=place)
    project.git("update-ref", REF, project.run("git", "rev-parse", "HEAD", cwd=place).out.strip())
    project.git("worktree", "remove", "--force", str(place))


def entry(place: Path, number: int) -> Path:
    return place / chain.folder(number)


# --- What is recorded is told ---------------------------------------------------------------------------------------------------


def test_records_are_entered_once_and_the_ledger_holds(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.91})
    plain.commit("better")
    judged(plain)
    assert "entered 1: verdict" in plain.ci_ml("audit", "record").expect(0).out
    assert "nothing to enter" in plain.ci_ml("audit", "record").expect(0).out
    found = plain.ci_ml("audit", "verify", "--format", "json").expect(0).json()
    assert (found["holds"], found["entries"], found["records"], found["problems"]) == (True, 1, 1, [])
    assert plain.status() == ""


def test_nothing_to_enter_is_no_error(plain: Project) -> None:
    assert auditing.record(opened(plain)) == ()


def test_one_page_answers_the_four_questions(told: Project) -> None:
    for asked in ("churn", "churn@champion", "churn/1", "HEAD"):
        story = stories.tell(opened(told), asked)
        data, code, evidence, approval = story.answers
        assert ("data/raw.csv", f"md5:{'c' * 32}") in data.sheets[0].rows
        facts = {fact.name: fact.value for answer in story.answers for fact in answer.facts}
        assert facts["commit that was judged"] == told.git("rev-parse", "HEAD")
        assert facts["Python"] == "CPython 3.12.1"
        assert facts["verdict"].startswith("PASSED")
        assert facts["fixed beforehand"].startswith("yes: committed as")
        assert facts["approvals"] == "1"
        assert facts["why"] == "it is better"
        assert any("grace" in row for sheet in approval.sheets for row in sheet.rows)
        assert any("train.seed" in row for sheet in code.sheets for row in sheet.rows)
        assert any("metrics.json:accuracy" in row for sheet in evidence.sheets for row in sheet.rows)
        assert [kind for kind, _, _ in story.records] == ["training", "verdict", "promotion"]
        assert story.gaps == ()
    shown = told.ci_ml("audit", "show", "churn").expect(0).out
    assert "churn version 1 (champion by the ledger)" in shown
    assert told.ci_ml("audit", "show", "churn", "--format", "json").expect(0).json()["schema"] == "ci-ml/story/v1"
    assert "### 4. Who approved it?" in told.ci_ml("audit", "show", "churn", "--format", "markdown").expect(0).out


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({}, "MLFLOW_TRACKING_URI is not set, and there is no store"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///nowhere/mlflow.db"}, "there is no store nowhere/mlflow.db"),
        ({"MLFLOW_TRACKING_URI": "file:nowhere"}, "there is no store nowhere"),
        ({"CI": "true", "MLFLOW_TRACKING_URI": ""}, "MLFLOW_TRACKING_URI is not set, or empty"),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}, "MLflow: "),
    ],
    ids=["nothing", "sqlite", "folder", "job", "down"],
)
def test_where_the_registry_cannot_be_asked_the_page_is_told_by_the_ledger_and_says_so(
    told: Project, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], why: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)  # MLflow reads its limits there
    before = sorted(told.root.rglob("*"))
    monkeypatch.chdir(told.root)
    for asked in ("churn", "churn@champion"):
        story = stories.tell(opened(told, **env), asked)
        (doubt,) = story.doubts
        assert doubt.startswith("by the ledger champion of churn is version 1; the registry could not be asked: ")
        assert why in doubt
        assert story.title == "churn version 1 (champion by the ledger)"
        assert len(story.answers) == 4
    assert sorted(told.root.rglob("*")) == before, "no store is made"
    (doubt,) = stories.tell(opened(told), "churn", ask=False).doubts
    assert doubt.endswith("the registry was not asked")
    for asked in ("churn/1", "HEAD"):  # that is what it is, wherever an alias has gone
        assert stories.tell(opened(told), asked).doubts == ()


def test_the_doubt_is_on_every_page(told: Project) -> None:
    for form in ("terminal", "markdown", "json"):
        said = told.ci_ml("audit", "show", "churn", "--no-registry", "--format", form).expect(0).out
        assert "by the ledger champion of churn is version 1; the registry was not asked" in " ".join(said.split())


def test_production_is_the_first_alias_of_ci_ml_yaml(told: Project) -> None:
    space = opened(told)
    one = next(found for found in chronicle.kept(space) if found.kind is Kind.PROMOTION)
    for version, alias in (("2", "production"), ("3", "shadow")):
        other = {**one.predicate, "version": version, "aliases": [alias]}
        chronicle.enter(space, [statements.statement(Kind.PROMOTION, one.subject, other)])
    assert stories.tell(space, "churn").title.startswith("churn version 1 (champion")
    for aliases, version in (
        ("production: {}, shadow: {}", "2"),
        ("shadow: {}, production: {}", "3"),
        ("canary: {}, shadow: {}", "1"),  # that was never set: it is the champion, as it was before
    ):
        config = f"registry: {{churn: {{model: model.json, aliases: {{{aliases}}}}}}}\n"
        told.write("ci-ml.yaml", f"version: 1\n{config}")
        told.commit("aliases")
        assert stories.tell(opened(told), "churn").title.startswith(f"churn version {version} (")


def test_where_a_clone_ends_nobody_knows_when_thresholds_were_fixed(told: Project) -> None:
    clone = told.clone("shallow", "--depth=2", url=f"file://{told.root}")
    clone.git("remote", "set-url", "origin", str(told.root))
    facts = {fact.name: fact for fact in stories.tell(opened(clone), "HEAD").answers[2].facts}
    assert facts["fixed beforehand"].value.startswith("yes")  # the whole of these two commits
    told.write("metrics.json", {"accuracy": 0.92})
    told.commit("best")
    judged(told)
    auditing.record(opened(told))
    clone = told.clone("shallower", "--depth=2", url=f"file://{told.root}")
    facts = {fact.name: fact for fact in stories.tell(opened(clone), "HEAD").answers[2].facts}
    assert facts["fixed beforehand"].missing


def test_who_enters_is_who_the_ci_system_says(plain: Project) -> None:
    assert chronicle.actor(opened(plain, **job("https://github.com"))) == "grace"
    assert chronicle.actor(opened(plain, GITLAB_CI="true", GITLAB_USER_LOGIN="lin")) == "lin"
    assert chronicle.actor(opened(plain, GITLAB_CI="true")) is None


def test_what_no_record_says_is_said_to_be_missing(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.91})
    plain.commit("better")
    judged(plain)
    story = stories.tell(opened(plain), "HEAD")
    said = " ".join(story.gaps)
    assert "no record of the training" in said
    assert "no promotion of it is in the ledger" in said
    assert "nothing keeps it from being edited: verdict" in said
    assert {fact.name for fact in story.answers[1].facts if fact.missing} >= {"Python", "packages", "trained"}


def test_records_that_contradict_each_other_are_told(told: Project) -> None:
    space = opened(told)
    one = next(found for found in chronicle.kept(space) if found.kind is Kind.PROMOTION)
    other = {**one.predicate, "version": "2", "outputs": {"model.json": "sha256:" + "d" * 64}}
    chronicle.enter(space, [statements.statement(Kind.PROMOTION, one.subject, other)])
    assert any("other bytes than those that were trained" in gap for gap in stories.tell(space, "churn").gaps)


def test_thresholds_that_git_does_not_know_are_told(told: Project) -> None:
    space = opened(told)
    (_, verdict) = chronicle.find(space, Kind.VERDICT)[0]
    said = json.loads(json.dumps(verdict.predicate))
    said["ciMl"]["policy"]["digest"] = "sha256:" + "0" * 64
    forged = statements.statement(Kind.VERDICT, verdict.subject, said)
    chronicle.enter(space, [forged])
    assert any("thresholds that judged are not those" in gap for gap in stories.tell(space, "HEAD").gaps)


def test_what_is_in_no_ledger_is_an_error_that_says_what_there_is(told: Project) -> None:
    for asked, words in (
        ("nobody", "models in the ledger: churn"),
        ("", "models in the ledger: churn"),
        ("churn/7", "versions: 1"),
        ("churn@x", "versions"),
    ):
        with pytest.raises(UsageError) as caught:
            stories.tell(opened(told), asked)
        assert words in str(caught.value.hint)
        assert not caught.value.what.startswith(" ")


# --- An auditor elsewhere -------------------------------------------------------------------------------------------------------


def standalone(folder: Path, *arguments: str) -> tuple[int, str]:
    """verify.py as an auditor runs it: without this project, and with nothing installed."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "verify.py"), *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_an_export_is_read_and_checked_offline(told: Project, tmp_path: Path) -> None:
    space = opened(told)
    checked = auditing.export(space, tmp_path / "out")
    code, said = standalone(tmp_path / "out")
    assert code == 0
    assert said.startswith(f"the chain holds, and every record is as entered\nnewest entry: {checked.newest}\n")
    assert standalone(tmp_path / "out", str(checked.newest))[0] == 0
    assert standalone(tmp_path / "out", "sha256:" + "0" * 64)[0] == 10
    assert standalone(tmp_path / "out", "nonsense")[0] == 2
    page = (tmp_path / "out" / "index.html").read_text()
    assert "churn version 1" in page
    assert "<script" not in page
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:|//)""", page)
    for link in re.findall(r'href="([^"]+)"', page):
        assert statements.read((tmp_path / "out" / link).read_bytes())
    auditing.export(space, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "zipped")
    assert standalone(tmp_path / "zipped" / "ledger")[0] == 0


def test_what_is_edited_in_an_export_is_found_by_its_own_script(told: Project, tmp_path: Path) -> None:
    auditing.export(opened(told), tmp_path / "whole")

    def spoilt(change: Callable[[Path], None]) -> str:
        place = tmp_path / "spoilt"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", place)
        change(place)
        code, said = standalone(place)
        assert code == 10
        return said

    def replaced(number: int) -> Callable[[Path], None]:
        return lambda place: entry(place, number).write_bytes(
            entry(place, number).read_bytes().replace(b'"by":"Ada"', b'"by":"Eve"').replace(b'"by":null', b'"by":"Eve"')
        )

    assert "entry 2" in spoilt(replaced(1))
    assert "entry 2: it is missing" in spoilt(lambda place: entry(place, 2).unlink())
    records = sorted((tmp_path / "whole" / "records").glob("*/*.json"))
    name = records[0].relative_to(tmp_path / "whole")
    assert "was edited" in spoilt(lambda place: (place / name).write_bytes(b"{}"))
    assert "is missing" in spoilt(lambda place: (place / name).unlink())
    assert "no entry names" in spoilt(lambda place: entry(place, 3).unlink())
    assert "it is no entry" in spoilt(lambda place: entry(place, 1).write_bytes(b"[]"))

    def swapped(place: Path) -> None:
        one, two = entry(place, 1).read_bytes(), entry(place, 2).read_bytes()
        entry(place, 1).write_bytes(two)
        entry(place, 2).write_bytes(one)

    assert "entry 1" in spoilt(swapped)


def test_nothing_is_written_over_and_nothing_half(told: Project, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        auditing.export(opened(told), tmp_path / "there")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DependencyError, match="could not be written"):
        auditing.export(opened(told), tmp_path / "file" / "out")
    assert (tmp_path / "there" / "x").read_text() == "mine"
    assert sorted(place.name for place in tmp_path.iterdir()) == ["file", "p", "there"]


def test_names_from_strangers_are_text_everywhere(told: Project, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\x1b[2J::error::x [a](http://b) @all"
    space = opened(told)
    (_, verdict), (_, made) = chronicle.find(space, Kind.VERDICT)[0], chronicle.find(space, Kind.TRAINING)[0]
    chronicle.enter(space, [promotion(told, verdict, made, version="2", why=evil)])
    auditing.export(space, tmp_path / "out")
    assert "<script" not in (tmp_path / "out" / "index.html").read_text()
    for form in ("terminal", "markdown"):
        shown = told.ci_ml("audit", "show", "churn", "--format", form).expect(0).out
        assert "\x1b" not in shown
        assert not re.search(r"^\s*::", shown, re.MULTILINE)
    assert "<script" not in shown


def test_predicates_of_any_shape_make_a_page(told: Project) -> None:
    space = opened(told)
    for number, odd in enumerate(([], "x", 10**400, None, {"a": []}, [[]], [{"name": [], "delta": 10**400}])):
        keys = ("approvals", "aliases", "outputs", "change", "why", "version")
        said = {"model": f"odd{number}", "action": "promote", **dict.fromkeys(keys, odd)}
        record = statements.statement(Kind.PROMOTION, [Subject(name="m", digest={"md5": "0"})], said)
        build = {"buildDefinition": odd, "runDetails": odd}
        ciml = {"result": odd, "configuration": odd, "ciMl": {"comparisons": odd, "policy": odd, "base": odd}}
        others = [
            statements.statement(Kind.TRAINING, [Subject(name="m", digest={"md5": "0"})], build),
            statements.statement(Kind.VERDICT, [Subject(name="m", digest={"md5": "0"})], ciml),
        ]
        said |= {"training": others[0].digest, "verdict": others[1].digest}
        record = statements.statement(Kind.PROMOTION, record.subject, said)
        chronicle.enter(space, [*others, record])
        assert stories.tell(space, f"odd{number}").to_json()


# --- Whoever may push and forges ------------------------------------------------------------------------------------------------


def test_every_forgery_is_found_with_its_entry(told: Project) -> None:
    def problems(change: Callable[[Path], None]) -> str:
        before = told.git("rev-parse", REF)
        forge(told, change)
        found = auditing.verify(opened(told)).problems
        told.git("update-ref", REF, before)
        assert found
        return "\n".join(map(str, found))

    def edited(place: Path) -> None:
        line = entry(place, 2).read_bytes()
        entry(place, 2).write_bytes(re.sub(rb'"by":("[^"]*"|null)', b'"by":"Eve"', line))

    said = problems(edited)
    assert "entry 2: it was edited by the commit" in said
    assert "entry 3: it does not follow from entry 2" in said
    assert "entry 2: it is missing" in problems(lambda place: entry(place, 2).unlink())
    assert "entry 3: it was removed by the commit" in problems(lambda place: entry(place, 3).unlink())

    def swapped(place: Path) -> None:
        one, two = entry(place, 1).read_bytes(), entry(place, 2).read_bytes()
        entry(place, 1).write_bytes(two)
        entry(place, 2).write_bytes(one)

    assert "entry 1: in its place is an entry that says it is entry 2" in problems(swapped)

    def another(place: Path) -> None:
        record = next((place / "records").glob("*/*.json"))
        record.write_bytes(record.read_bytes() + b" ")

    assert "was edited" in problems(another)
    assert "is missing" in problems(lambda place: next((place / "records").glob("*/*.json")).unlink())
    assert "does not belong in a ledger" in problems(lambda place: place.joinpath("README").write_text("x") and None)
    linked = problems(lambda place: (entry(place, 9).symlink_to("/etc/passwd"), None)[1])
    assert "does not belong in a ledger" in linked

    def inserted(place: Path) -> None:
        last = chain.read(entry(place, 3).read_bytes())
        twin = chain.follow(last, at=last.at, kind=Kind.ROTATION, record=last.record, subject="x")
        entry(place, 4).write_bytes(twin.line)

    assert "entry 4: it says that its record is of the kind rotation" in problems(inserted)


def test_a_record_in_the_place_of_another_is_found_and_nobody_reads_it(told: Project, tmp_path: Path) -> None:
    """Two paths with the same bytes are one object of git."""
    space = opened(told)
    places = [chain.read(entry_line).record for _, entry_line in sorted(chronicle.ledger(space).read().lines.items())]

    def exchanged(place: Path) -> None:
        shutil.copy(place / journal.places(places[2]), place / journal.places(places[0]))

    forge(told, exchanged)
    problems = [str(one) for one in auditing.verify(space).problems]
    assert any(one.startswith(f"entry 1: its record {chain.short(places[0])} was edited") for one in problems)
    kept = chronicle.ledger(space)
    for attempt in (
        lambda: chronicle.opened(kept, kept.read(), places),
        lambda: stories.tell(space, "churn"),
        lambda: chronicle.find(space),
    ):
        with pytest.raises(DependencyError, match="was edited"):
            attempt()
    assert told.ci_ml("audit", "show", "churn").expect(3).err
    assert auditing.export(space, tmp_path / "out").problems
    assert standalone(tmp_path / "out")[0] == 10


def test_an_entry_about_something_else_than_its_record_is_found(told: Project) -> None:
    def renamed(place: Path) -> None:
        one = chain.read(entry(place, 3).read_bytes())
        entry(place, 3).write_bytes(one.model_copy(update={"subject": "another"}).line)

    forge(told, renamed)
    problems = [str(one) for one in auditing.verify(opened(told)).problems]
    kept = chain.read(chronicle.ledger(opened(told)).read().lines[3])
    about = next(statements.about(one) for one in chronicle.kept(opened(told)) if one.digest == kept.record)
    assert f"entry 3: it says that its record is about another, and that is about {about}" in problems


def test_a_clock_that_is_behind_makes_no_ledger_that_does_not_hold(
    told: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chronicle, "now", lambda _: dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    chronicle.keep(opened(told), training(told, packages=5))
    auditing.record(opened(told))
    assert auditing.verify(opened(told)).problems == ()


def test_nothing_is_built_on_a_ledger_that_was_forged(told: Project, tmp_path: Path) -> None:
    forge(told, lambda place: entry(place, 2).unlink())
    space = opened(told)
    told.write("metrics.json", {"accuracy": 0.92})
    told.commit("best")
    told.ci_ml("check", "--base", "HEAD~1").expect(0)
    for attempt in (
        lambda: auditing.record(space),
        lambda: stories.tell(space, "churn"),
        lambda: chronicle.find(space),
    ):
        with pytest.raises(DependencyError, match="not as it was written") as caught:
            attempt()
        assert "audit verify" in str(caught.value.hint)
    told.ci_ml("audit", "verify").expect(10)
    assert told.ci_ml("audit", "show", "churn").expect(3).err
    assert auditing.export(space, tmp_path / "out").problems  # an auditor wants to see it most of all
    assert standalone(tmp_path / "out")[0] == 10


def test_a_ledger_that_is_cut_off_or_written_anew_is_found_by_who_remembers(told: Project) -> None:
    space = opened(told)
    newest = auditing.verify(space).newest
    assert newest
    records = [found for _, found in chronicle.find(space)]
    told.git("update-ref", "-d", REF)
    assert "written anew" in str(auditing.verify(space).problems)
    with pytest.raises(DependencyError, match="written anew"):
        chronicle.enter(space, records[:2])
    told.git("update-ref", "-d", "refs/ci-ml/seen/ledger")
    chronicle.enter(space, records[:2])  # a chain in itself, of a clone that has seen no other
    problems = "\n".join(map(str, auditing.verify(space, [newest]).problems))
    assert "--anchor names the entry" in problems


def test_nobody_reads_a_ledger_that_was_cut_off(told: Project, tmp_path: Path) -> None:
    space = opened(told)
    chronicle.keep(space, training(told, packages=5))
    before = told.git("rev-parse", REF)
    auditing.record(space)
    told.git("update-ref", REF, before)
    for attempt in (
        lambda: stories.tell(space, "churn"),
        lambda: chronicle.find(space),
        lambda: auditing.record(space),
    ):
        with pytest.raises(DependencyError, match="written anew"):
            attempt()
    assert "written anew" in str(gathered.records(space, Kind.VERDICT).trouble)
    assert auditing.export(space, tmp_path / "out").problems


@pytest.mark.parametrize("remembers", [True, False])
def test_nothing_is_entered_where_somebody_removed_what_no_entry_misses(told: Project, remembers: bool) -> None:
    space = opened(told)
    chronicle.keep(space, training(told, packages=5))
    if not remembers:
        told.git("update-ref", "-d", "refs/ci-ml/seen/ledger")
    forge(told, lambda place: entry(place, 3).unlink())  # what is left is a chain
    before = told.git("rev-parse", REF)
    for attempt in (lambda: auditing.record(space), lambda: stories.tell(space, "HEAD"), lambda: chronicle.find(space)):
        with pytest.raises(DependencyError, match="entry 3: it was removed by the commit"):
            attempt()
    assert told.git("rev-parse", REF) == before


def test_a_ledger_that_is_not_there_holds_nothing(plain: Project) -> None:
    assert "there is no ledger" in plain.ci_ml("audit", "verify").expect(10).out
    assert "is no digest" in plain.ci_ml("audit", "verify", "--anchor", "x").expect(2).err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{}", "no in-toto statement"),
        (b"\x00", "no record of ci-ml"),
        (b"[" * 100_000, "nested too deeply"),
        (None, "cannot be read"),
    ],
)
def test_files_that_are_no_records_are_refused_before_anything_is_entered(
    told: Project, content: bytes | None, words: str
) -> None:
    before = told.git("rev-parse", REF)
    place = told.root / ".ci-ml" / "records" / f"{'0' * 64}.json"
    if content is None:
        place.symlink_to("/etc/passwd")
    else:
        place.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        auditing.record(opened(told))
    assert told.git("rev-parse", REF) == before


def test_a_record_that_was_edited_is_refused(told: Project) -> None:
    place = next((told.root / ".ci-ml" / "records").glob("*.json"))
    one = statements.read(place.read_bytes())
    place.write_bytes(statements.statement(one.kind, one.subject, {"result": "PASSED"}).data)
    with pytest.raises(UsageError, match="was edited"):
        auditing.record(opened(told))


def test_records_that_others_left_are_entered_by_their_files(told: Project, tmp_path: Path) -> None:
    record = training(told, packages=5)
    (tmp_path / "from a change.json").write_bytes(record.data)
    assert "entered 4: training" in told.ci_ml("audit", "record", str(tmp_path / "from a change.json")).expect(0).out


# --- Servers --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(plain: Project, tmp_path: Path) -> Iterator[tuple[Project, git_server.GitServer]]:
    with git_server.serve(tmp_path / "server", {"x-access-token": TOKEN}) as server:
        (tmp_path / "server" / "acme").mkdir(parents=True)
        bare = server.repository("acme/churn")
        plain.git("push", "--quiet", str(bare), "HEAD:main")
        plain.git("remote", "add", "origin", f"{server.url}/acme/churn.git")
        yield plain, server


def job(url: str, **more: str) -> dict[str, str]:
    """What GitHub tells a job."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_SERVER_URL": url,
        "GITHUB_REPOSITORY": "acme/churn",
        "GITHUB_RUN_ID": "7",
        "GITHUB_ACTOR": "grace",
        **more,
    }


def test_a_job_enters_on_its_server_with_its_token(served: tuple[Project, git_server.GitServer]) -> None:
    project, server = served
    env = job(server.url, CI_ML_TOKEN=TOKEN)
    chronicle.keep(opened(project), training(project))
    assert "entered 1: training" in project.ci_ml("audit", "record", env=env).expect(0).out
    ((entered, _),) = chronicle.find(opened(project, **env))
    assert (entered.by, entered.run_url) == ("grace", f"{server.url}/acme/churn/actions/runs/7")
    assert auditing.verify(opened(project)).problems == ()  # anybody may read it
    assert project.run("git", "rev-parse", "--verify", "--quiet", REF).code != 0  # it is on the server


def test_a_job_that_may_not_write_is_told_and_leaves_nothing(served: tuple[Project, git_server.GitServer]) -> None:
    project, server = served
    chronicle.keep(opened(project), training(project))
    for token in ("wrong-token", ""):
        ended = project.ci_ml("audit", "record", env=job(server.url, CI_ML_TOKEN=token)).expect(3)
        assert "could not be written" in ended.err
        assert "contents: write" in ended.err
        assert "wrong-token" not in ended.err
    assert auditing.verify(opened(project)).entries == 0


def test_a_server_that_is_gone_is_not_an_empty_ledger(served: tuple[Project, git_server.GitServer]) -> None:
    project, server = served
    project.git("remote", "set-url", "origin", f"{server.url}/acme/nobody.git")
    for command in ("verify", "record", "show HEAD"):
        if command == "record":
            chronicle.keep(opened(project), training(project))
        assert "could not be read" in project.ci_ml("audit", *command.split()).expect(3).err


@pytest.mark.thorough
def test_of_six_writers_at_once_all_arrive(served: tuple[Project, git_server.GitServer], tmp_path: Path) -> None:
    project, server = served
    clones = [project.clone(f"clone {number}", url=f"{server.url}/acme/churn.git") for number in range(6)]
    for number, clone in enumerate(clones):
        for turn in range(2):
            chronicle.keep(opened(clone), training(clone, packages=1 + number * 2 + turn))
    env = job(server.url, CI_ML_TOKEN=TOKEN)
    ended: list[int] = []
    threads = [
        threading.Thread(target=lambda clone=clone: ended.append(clone.ci_ml("audit", "record", env=env).code))
        for clone in clones
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [0] * 6
    found = auditing.verify(opened(project))
    assert (found.entries, found.problems) == (12, ())


# A git that ends who calls it, by SIGKILL, instead of being run: between two calls nothing else changes anything.
_KILLER = """\
#!/bin/sh
count=$(cat "$COUNTER" 2>/dev/null || echo 0); count=$((count + 1)); echo $count > "$COUNTER"
[ "$count" = "$FATAL" ] && kill -9 $PPID && exit 1
exec "$REAL_GIT" "$@"
"""


@pytest.mark.thorough
def test_killed_at_any_step_nothing_is_half(plain: Project, tmp_path: Path) -> None:
    bare = tmp_path / "server.git"
    plain.git("init", "--quiet", "--bare", str(bare))
    plain.git("remote", "add", "origin", str(bare))
    plain.git("push", "--quiet", "origin", "HEAD:main")
    first, second = training(plain), training(plain, packages=3)
    real = shutil.which("git", path=plain.env["PATH"])
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").write_text(_KILLER)
    (tools / "git").chmod(0o755)
    base = {"PATH": f"{tools}:{plain.env['PATH']}", "REAL_GIT": str(real), "COUNTER": str(tmp_path / "count")}
    chronicle.enter(opened(plain), [training(plain, packages=9)])
    start = plain.git("-C", str(bare), "rev-parse", REF)
    for record in (first, second):
        chronicle.keep(opened(plain), record)
    ended, step = -9, 0
    while ended != 0:  # until it gets to its end before it is killed
        step += 1
        plain.git("-C", str(bare), "update-ref", REF, start)
        plain.run("git", "update-ref", "-d", "refs/ci-ml/seen/ledger")
        (tmp_path / "count").unlink(missing_ok=True)
        ended = plain.ci_ml("audit", "record", env={**base, "FATAL": str(step)}).code
        found = auditing.verify(opened(plain))
        assert (found.entries, found.problems) in ((1, ()), (3, ())), step
        auditing.record(opened(plain))
        assert auditing.verify(opened(plain)).entries == 3, step
    assert step > 8
