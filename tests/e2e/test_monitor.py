"""`ci-ml monitor`: production against what was recorded of the model, what it leaves behind, and whom it tells."""

import datetime as dt
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_ml.core.report import Report
from ci_ml.core.types import Status
from ci_ml.errors import DependencyError, UsageError
from ci_ml.wiring import monitoring, workspace
from tests.e2e import watching
from tests.e2e.project import Project, copy, ended, until
from tests.e2e.watching import Customers, produce, table
from tests.postgres import PASSWORD, Postgres, served

LABELS = "labels: {path: labels.csv}"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("watched")
    watching.build(folder, environment)
    return folder


@pytest.fixture
def project(watched: Path, tmp_path: Path, environment: dict[str, str]) -> Project:
    copy(watched, tmp_path / "w")
    return Project(root=tmp_path / "w" / "repo", env=environment)


def look(project: Project, *names: str, **env: str) -> Report:
    """What `ci-ml monitor` finds, in this process: the command costs seconds to start."""
    space = workspace.find(None, None, cwd=project.root, env={**project.env, **env})
    (seen,) = monitoring.run(space, names, io.StringIO())
    return seen.report


def outcome(report: Report) -> str:
    return str(report.verdict.outcome.value)


def statuses(report: Report) -> dict[str, Status]:
    return {str(item.name): item.status for item in report.comparisons}


def gaps(report: Report) -> list[str]:
    """Why something could not be judged."""
    return [item.reason for item in report.comparisons if item.status is Status.MISSING]


def also(project: Project, line: str) -> None:
    """One more key of the monitor."""
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + f"    {line}\n")


# --- The command -------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_production_that_is_as_it_was_passes_and_leaves_its_reports(project: Project) -> None:
    produce(project)
    done = project.ci_ml("monitor", "--format", "json").expect(0)
    assert done.json()["verdict"]["outcome"] == "pass"
    folder = project.root / ".ci-ml" / "monitor" / "live"
    assert {"report.json", "report.html", "openmetrics.txt", "junit.xml"} <= {file.name for file in folder.iterdir()}
    assert json.loads((folder / "report.json").read_text()) == done.json()
    assert (
        'name="live"' in (folder / "openmetrics.txt").read_text() or "live" in (folder / "openmetrics.txt").read_text()
    )


@pytest.mark.thorough
def test_drift_is_told_by_the_exit_code_and_an_error_leaves_no_report_behind(project: Project) -> None:
    produce(project, shift=3.0)
    done = project.ci_ml("monitor").expect(10)
    assert "2 of 2 columns" not in done.out  # the label is no input
    assert "live: share of columns that drifted is too large: 1 of 1 column drifted" in " ".join(done.out.split())
    folder = project.root / ".ci-ml" / "monitor" / "live"
    assert (folder / "report.json").exists()
    project.edit(
        "ci-ml.yaml",
        "{path: production.csv, window: {column: asked_at, last: 7d}}",
        "{source: {url: $NOWHERE, table: t}}",
    )
    done = project.ci_ml("monitor").expect(2)
    assert done.err.count("error:") == 1
    assert "the environment variable NOWHERE, which has the address of t, is not set" in done.err
    assert [file.name for file in folder.iterdir()] == [".gitignore"]


def test_what_cannot_be_said_has_an_exit_code_of_its_own(project: Project) -> None:
    produce(project, count=50)
    done = project.ci_ml("monitor", "live").expect(11)
    assert "production.csv has 50 rows from " in done.out
    assert "and 100 are needed to judge by (min_rows)" in " ".join(done.out.split())


def test_a_monitor_that_is_not_there(project: Project) -> None:
    done = project.ci_ml("monitor", "dead").expect(2)
    assert "there is no dead under monitor" in done.err
    assert "there are: live" in done.err


# --- What is compared --------------------------------------------------------------------------------------------------


def test_inputs_answers_and_labels_are_compared(project: Project) -> None:
    produce(project)
    report = look(project)
    assert outcome(report) == "pass"
    assert set(statuses(report)) == {
        "live.x drift",
        "live: share of columns that drifted",
        "live predictions.p drift",
        "live labels.churned drift",
        "test.accuracy",
    }


def test_inputs_that_drifted(project: Project) -> None:
    produce(project, "row_id", "x", "p", "asked_at", shift=3.0)
    also(project, "labels: false")
    report = look(project)
    assert outcome(report) == "fail"
    found = statuses(report)
    assert found["live: share of columns that drifted"] is Status.REGRESSED
    assert "test.accuracy" not in found
    assert any("how right the model is stays unknown" in text for text in report.notices)


def test_a_column_of_labels_that_is_gone_is_not_fine(project: Project) -> None:
    produce(project, "row_id", "x", "p", "asked_at")
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("production.csv has no column churned: say where `labels` arrive" in why for why in gaps(report))
    also(project, "labels: false")
    assert outcome(look(project)) == "pass"


@pytest.mark.parametrize(
    "labels",
    [
        "{path: labels.csv, window: {column: at, last: 7d}}",
        "{source: {url: $W, table: t, window: {column: at, last: 7d}}}",
    ],
)
def test_labels_have_no_window(project: Project, labels: str) -> None:
    produce(project)
    also(project, f"labels: {labels}")
    done = project.ci_ml("monitor").expect(2)
    assert "monitor.live.labels" in done.err
    assert "window" in done.err


def test_a_database_that_is_gone_hides_no_other_verdict(project: Project) -> None:
    project.edit(
        "ci-ml.yaml",
        "  live:\n",
        "  away:\n    production: {source: {url: $AWAY, table: t}}\n    reference: train\n  live:\n",
    )
    away = {"AWAY": "postgresql://nobody:pass-word@127.0.0.1:9/none"}
    produce(project, shift=3.0)
    done = project.ci_ml("monitor", env=away).expect(10)
    assert "error: away:" in done.err
    assert "live: production has drifted" in done.out
    assert "pass-word" not in done.text
    produce(project)
    done = project.ci_ml("monitor", env=away).expect(3)
    assert (project.root / ".ci-ml" / "monitor" / "live" / "report.json").is_file()


def test_answers_that_drifted_while_inputs_did_not(project: Project) -> None:
    rows = produce(project)
    project.write("production.csv", table([{**row, "p": f"{float(row['p']) ** 8:.6f}"} for row in rows]))
    report = look(project)
    assert outcome(report) == "fail"
    found = statuses(report)
    assert found["live predictions.p drift"] is Status.REGRESSED
    assert found["live: share of columns that drifted"] is Status.HELD


def test_a_model_that_decayed(project: Project) -> None:
    """What customers are stayed the same; what it means has changed."""
    produce(project, boundary=2.0)
    report = look(project)
    assert outcome(report) == "fail"
    found = statuses(report)
    assert found["test.accuracy"] is Status.REGRESSED
    assert found["live: share of columns that drifted"] is Status.HELD
    (accuracy,) = (item for item in report.comparisons if str(item.name) == "test.accuracy")
    assert accuracy.interval is not None


@pytest.mark.parametrize(("boundary", "expected"), [(0.0, "pass"), (2.0, "fail")])
def test_labels_that_arrive_in_another_table(project: Project, boundary: float, expected: str) -> None:
    rows = produce(project, "row_id", "x", "p", "asked_at", boundary=boundary)
    project.write("labels.csv", table(rows[100:], "row_id", "churned"))
    also(project, LABELS)
    report = look(project)
    assert outcome(report) == expected
    assert "test.accuracy" in statuses(report)
    assert (
        "500 of 600 rows of production.csv have a label: how right the model is was measured on these" in report.notices
    )


def test_labels_that_are_late_are_no_drift(project: Project) -> None:
    """Most rows of the window have none yet, which says nothing about the inputs."""
    produce(project, count=900, labelled=0.5)
    report = look(project)
    assert outcome(report) in ("pass", "warn")
    assert statuses(report)["live: share of columns that drifted"] is Status.HELD


def test_labels_that_drifted_are_shown_and_do_not_block(project: Project) -> None:
    rows = produce(project, count=1000)
    some = [row for row in rows if row["churned"] == "1" or int(row["row_id"]) % 4 == 0]
    known = {row["row_id"] for row in some}
    project.write("production.csv", table([row if row["row_id"] in known else {**row, "churned": ""} for row in rows]))
    report = look(project)
    (labels,) = (item for item in report.comparisons if str(item.name) == "live labels.churned drift")
    assert labels.head is not None
    assert labels.head > 0.1
    assert outcome(report) in ("pass", "warn")


def test_only_the_window_is_looked_at(project: Project) -> None:
    model = project.json("model.json")
    old = Customers(first=10, shift=3.0, until=dt.datetime.now(dt.UTC) - dt.timedelta(days=8)).rows(model)
    project.write("production.csv", table([*old, *Customers().rows(model)]))
    report = look(project)
    assert outcome(report) == "pass"
    assert report.head.why.startswith("600 rows of production from ")


# --- What is not as it should be ---------------------------------------------------------------------------------------


def rewritten(project: Project, **columns: Any) -> None:
    """Production with columns made by functions of a row and its number."""
    rows = produce(project)
    for number, row in enumerate(rows):
        row.update({name: made(row, number) for name, made in columns.items()})
    project.write("production.csv", table(rows))


def test_a_window_without_rows(project: Project) -> None:
    produce(project, until=dt.datetime.now(dt.UTC) - dt.timedelta(days=30))
    report = look(project)
    assert outcome(report) == "undecided"
    (why,) = gaps(report)
    assert "production.csv has no rows from " in why
    assert "its newest is of " in why


def test_a_column_that_was_renamed(project: Project) -> None:
    rows = produce(project)
    project.write("production.csv", table(rows).replace("row_id,x,", "row_id,usage,", 1))
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("production.csv has no column x" in why for why in gaps(report))
    assert any("usage" in text for text in report.notices)


def test_a_column_whose_type_changed(project: Project) -> None:
    rewritten(project, x=lambda row, number: f"about {row['x']}")
    report = look(project)
    assert outcome(report) != "pass"
    assert statuses(report)["live: share of columns that drifted"] is Status.REGRESSED


def test_a_column_without_any_value(project: Project) -> None:
    rewritten(project, x=lambda row, number: "")
    report = look(project)
    assert outcome(report) == "fail"
    assert statuses(report)["live: share of columns that drifted"] is Status.REGRESSED


def test_a_category_of_very_many_values(project: Project) -> None:
    """It names rows, and cannot be told apart by its values: nobody hears that it did not drift."""
    raw = project.read("data/raw.csv").splitlines()
    named = ["row_id,x,churned,plan", *(f"{line},{'abc'[n % 3]}" for n, line in enumerate(raw[1:]))]
    project.write("data/train.csv", "\n".join(named) + "\n")
    project.edit("ci-ml.yaml", "train: {path: data/train.csv,", "train: {path: data/named.csv,")
    shutil.copyfile(project.root / "data/train.csv", project.root / "data/named.csv")
    rows = [
        {**row, "plan": f"plan {number}"}
        for number, row in enumerate(produce(project, count=20_000, until=dt.datetime.now(dt.UTC)))
    ]
    at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    project.write("production.csv", table([{**row, "asked_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"} for row in rows]))
    report = look(project)
    assert outcome(report) in ("undecided", "fail")
    assert statuses(report)["live.plan drift"] is Status.MISSING


def test_times_of_several_zones(project: Project) -> None:
    rewritten(
        project, asked_at=lambda row, number: row["asked_at"].removesuffix("Z") if number % 2 else row["asked_at"]
    )
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("mixes time zones: 300 values say their offset and 300 do not" in why for why in gaps(report))


def test_times_without_a_zone(project: Project) -> None:
    rewritten(project, asked_at=lambda row, number: row["asked_at"].removesuffix("Z"))
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("say which one it is, such as `zone: UTC`" in why for why in gaps(report))


@pytest.mark.parametrize(
    "never", ["2026-02-31T12:00:00Z", "2025-02-29T12:00:00Z", "2026-04-31", "2026-01-01T24:00:00Z", "2026-13-01"]
)
def test_a_time_that_there_is_not(project: Project, never: str) -> None:
    rewritten(project, asked_at=lambda row, number: row["asked_at"] if number else never)
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("column asked_at of production.csv holds 1 values that are no times" in why for why in gaps(report))


def test_a_table_of_nothing_but_its_names(project: Project) -> None:
    rows = produce(project)
    project.write("production.csv", ",".join(rows[0]) + "\n")
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("production.csv has no rows" in why for why in gaps(report))


def test_few_labels(project: Project) -> None:
    produce(project, labelled=0.1)
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("60 of 600 rows of production.csv have a label, and 100 are needed" in why for why in gaps(report))


def test_two_labels_of_one_prediction(project: Project) -> None:
    rows = produce(project, "row_id", "x", "p", "asked_at")
    project.write("labels.csv", table([*rows, *rows[:3]], "row_id", "churned"))
    also(project, LABELS)
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("labels.csv has more than one label for 3 of its ids" in why for why in gaps(report))


def test_a_prediction_that_is_there_twice(project: Project) -> None:
    rows = produce(project)
    project.write("production.csv", table([*rows, *rows[:5]]))
    report = look(project)
    assert outcome(report) == "undecided"
    assert gaps(report)


def test_labels_that_are_nowhere(project: Project) -> None:
    produce(project, "row_id", "x", "p", "asked_at")
    also(project, LABELS)
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("labels.csv" in why for why in gaps(report))


def test_answers_that_are_not_in_the_table(project: Project) -> None:
    produce(project, "row_id", "x", "churned", "asked_at")
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("production.csv has no column p" in why for why in gaps(report))


def test_production_that_is_no_table(project: Project) -> None:
    project.write("production.csv", b"\x00\xff" * 100)
    report = look(project)
    assert outcome(report) == "undecided"
    (project.root / "production.csv").unlink()
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("production.csv" in why for why in gaps(report))


def test_a_model_that_is_no_reference_is_refused(project: Project) -> None:
    produce(project)
    also(project, "model: champion")
    with pytest.raises(UsageError) as found:
        look(project)
    assert "models:/NAME@alias" in f"{found.value}{getattr(found.value, 'problems', '')}"


# --- What was recorded with the model ----------------------------------------------------------------------------------


def forget(project: Project) -> None:
    """The training data are neither here nor on a remote."""
    shutil.rmtree(project.root / ".dvc/cache")
    shutil.rmtree(project.root.parent / "remote")
    for name in ("data/train.csv", "data/test.csv"):
        (project.root / name).unlink()


def tracked(project: Project) -> None:
    """A training that the embedded store knows."""
    project.edit("ci-ml.yaml", "train: {track: false}\n", "")
    project.edit("params.yaml", "rate: 0.1", "rate: 0.11")
    done = project.ci_ml("train").expect(0)
    assert "note:" not in done.err, done.text


@pytest.mark.thorough
def test_a_profile_is_recorded_with_a_training_and_is_enough(project: Project) -> None:
    project.edit("ci-ml.yaml", "train: {path: data/train.csv,", "my_Train-2: {path: data/train.csv,")
    project.edit("ci-ml.yaml", "reference: train", "reference: my_Train-2")
    tracked(project)
    produce(project)
    direct = look(project)
    forget(project)
    recorded = look(project)
    assert outcome(recorded) == outcome(direct) == "pass"
    name = "live.x drift"
    (one,), (other,) = (
        [item for item in report.comparisons if str(item.name) == name] for report in (direct, recorded)
    )
    assert one.head == other.head
    assert any("is compared by the profile that was recorded of it" in text for text in recorded.notices)
    produce(project, shift=3.0)
    assert outcome(look(project)) == "fail"


@pytest.mark.thorough
def test_what_was_never_recorded_blocks(project: Project) -> None:
    produce(project)
    forget(project)
    report = look(project)
    assert outcome(report) == "undecided"
    assert any("nothing was recorded as profile-train with lock:sha256:" in why for why in gaps(report))


@pytest.mark.thorough
def test_a_training_whose_table_cannot_be_recorded_is_a_training_all_the_same(project: Project) -> None:
    project.edit("ci-ml.yaml", "train: {path: data/train.csv,", "train: {path: data/nowhere.csv,")
    project.edit("ci-ml.yaml", "train: {track: false}\n", "")
    project.edit("params.yaml", "rate: 0.1", "rate: 0.11")
    done = project.ci_ml("train").expect(0)
    assert done.err.count("note:") == 1
    assert "note: no profile of train was recorded for `ci-ml monitor`: " in done.err
    assert project.json(".ci-ml/training.json")["mlflow_run"]


@pytest.mark.thorough
def test_a_server_of_mlflow_that_is_down_changes_no_verdict(project: Project) -> None:
    project.edit("ci-ml.yaml", "train: {track: false}\n", "")
    produce(project)
    said = io.StringIO()
    env = {
        **project.env,
        "MLFLOW_TRACKING_URI": "http://ada:s3cr3t-w0rd@127.0.0.1:1",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    (seen,) = monitoring.run(workspace.find(None, None, cwd=project.root, env=env), (), said)
    assert outcome(seen.report) == "pass"
    assert said.getvalue().startswith("note: what was seen was not logged: ")
    assert "s3cr3t" not in said.getvalue()


# --- Production in a database ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with served() as made:
        yield made


def in_database(project: Project, server: Postgres, rows: list[dict[str, str]], *columns: str) -> str:
    """The rows in a table of a database, and the monitor reads it there; hands back the address."""
    import psycopg

    name = server.database()
    server.run(
        "CREATE TABLE asked (row_id bigint, x float8, churned int, p float8, asked_at timestamptz)",
        "CREATE TABLE known (row_id bigint, churned int)",
        database=name,
    )
    with psycopg.connect(server.url(name), autocommit=True) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY asked FROM STDIN") as copy:
            for row in rows:
                copy.write_row([row["row_id"], row["x"], row["churned"] or None, row["p"], row["asked_at"]])
        with cursor.copy("COPY known FROM STDIN") as copy:
            for row in rows:
                copy.write_row([row["row_id"], row["churned"] or None])
    project.edit(
        "ci-ml.yaml",
        "{path: production.csv, window: {column: asked_at, last: 7d}}",
        "{source: {url: $WAREHOUSE, table: asked, window: {column: asked_at, last: 7d}}}",
    )
    return server.url(name)


@pytest.mark.thorough
@pytest.mark.parametrize("about", [{}, {"shift": 3.0}, {"boundary": 2.0}], ids=["as it was", "drifted", "decayed"])
def test_a_database_is_judged_as_a_file_is(project: Project, server: Postgres, about: dict[str, float]) -> None:
    rows = produce(project, **about)
    expected = look(project)
    url = in_database(project, server, rows)
    found = look(project, WAREHOUSE=url)
    assert outcome(found) == outcome(expected)
    assert statuses(found) == statuses(expected)
    for one, other in zip(found.comparisons, expected.comparisons, strict=True):
        assert one.head == pytest.approx(other.head, rel=1e-9)
    assert PASSWORD not in found.to_json()


def test_labels_in_the_same_database(project: Project, server: Postgres) -> None:
    url = in_database(project, server, produce(project, boundary=2.0))
    project.edit("ci-ml.yaml", "table: asked,", "table: inputs,")
    server.run("CREATE VIEW inputs AS SELECT row_id, x, p, asked_at FROM asked", database=url.rpartition("/")[2])
    also(project, "labels: {source: {url: $WAREHOUSE, table: known}}")
    report = look(project, WAREHOUSE=url)
    assert statuses(report)["test.accuracy"] is Status.REGRESSED


def test_labels_elsewhere_are_refused(project: Project, server: Postgres) -> None:
    url = in_database(project, server, produce(project))
    also(project, LABELS)
    project.write("labels.csv", "row_id,churned\n1,1\n")
    report = look(project, WAREHOUSE=url)
    assert outcome(report) == "undecided"
    assert any("labels and production have to be in the same database, or both in files" in why for why in gaps(report))


@pytest.mark.parametrize(
    "url", ["postgresql://ada:s3cr3t-w0rd@127.0.0.1:1/x", "nonsense://ada:s3cr3t-w0rd@h/x", "s3cr3t-w0rd"]
)
def test_a_database_that_is_not_there(project: Project, url: str) -> None:
    project.edit(
        "ci-ml.yaml",
        "{path: production.csv, window: {column: asked_at, last: 7d}}",
        "{source: {url: $WAREHOUSE, table: asked}}",
    )
    with pytest.raises((DependencyError, UsageError)) as found:
        look(project, WAREHOUSE=url)
    assert "s3cr3t" not in f"{found.value}{found.value.hint}"


@pytest.mark.thorough
def test_a_server_that_dies_in_the_middle(project: Project) -> None:
    produce(project)
    with served() as mortal:
        url = in_database(project, mortal, Customers().rows(project.json("model.json")))
        name = url.rpartition("/")[2]
        mortal.run("ALTER TABLE asked RENAME TO kept", database=name)
        mortal.run("CREATE VIEW asked AS SELECT *, pg_sleep(1)::text AS slow FROM kept", database=name)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'ci-ml' AND state = 'active'"
        out = project.root.parent / "said"
        with (
            out.open("wb") as said,
            ended(project.start("monitor", env={"WAREHOUSE": url}, stdout=said, stderr=said)) as process,
        ):
            until(lambda: mortal.run(waiting, database=name), "the database is asked")
            mortal.end("immediate")
            assert process.wait(120) == DependencyError.exit_code
    text = out.read_text()
    assert text.count("error:") == 1, text
    assert "Traceback" not in text
    for piece in (PASSWORD, "p%40ss", "w%3Ard"):
        assert piece not in text
    assert not (project.root / ".ci-ml/monitor/live/report.json").exists()
