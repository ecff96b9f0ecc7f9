"""`ci-ml check`: the verdict, its exit code, what judges, and where it may be asked."""

import re
import sys
from pathlib import Path

import pytest

from tests.e2e.project import GATES, Project, strict

ESCAPE = "\x1b["
FELL = re.compile(r"metrics\.json:accuracy fell from 0\.90? to 0\.50? ")


def gates(*lines: str, **top: object) -> str:
    """A ci-ml.yaml with one gate per line, in YAML's flow style."""
    head = "".join(f"{key}: {value}\n" for key, value in top.items())
    return f"version: 1\n{head}gates:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def accuracy(project: Project, value: object) -> None:
    project.write("metrics.json", {"accuracy": value})


# --- Verdicts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code", "outcome", "status"),
    [
        (0.95, 0, "pass", "improved"),
        (0.9, 0, "pass", "unchanged"),
        (0.89, 0, "pass", "held"),  # a loss of exactly the margin
        (0.8899, 10, "fail", "regressed"),
        ("good", 11, "undecided", "missing"),
        (True, 11, "undecided", "missing"),
        ([0.95], 11, "undecided", "missing"),
        (None, 11, "undecided", "missing"),
    ],
)
def test_the_head_decides_outcome_and_exit_code(
    plain: Project, value: object, code: int, outcome: str, status: str
) -> None:
    plain.branch()
    accuracy(plain, value)
    plain.write("notes.txt", "so that something differs from the base")
    head = plain.commit()
    result = plain.ci_ml("check", "--format", "json").expect(code)
    report = result.json()
    assert (report["verdict"]["outcome"], report["comparisons"][0]["status"]) == (outcome, status)
    assert report["head"]["sha"] == head
    assert result.err == ""


def test_a_gate_of_severity_warn_does_not_block(plain: Project) -> None:
    plain.write("ci-ml.yaml", gates("metric: 'metrics.json:accuracy', direction: higher, severity: warn"))
    plain.commit()
    plain.branch()
    accuracy(plain, 0.1)
    plain.commit()
    result = plain.ci_ml("check", "--format", "json").expect(0)
    assert result.json()["verdict"]["outcome"] == "warn"
    assert result.json()["comparisons"][0]["status"] == "regressed"


def test_a_metric_that_the_base_never_had_is_a_warning(plain: Project) -> None:
    plain.branch()
    plain.write("new.json", {"f1": 0.7})
    plain.write("ci-ml.yaml", gates("metric: 'new.json:f1', direction: higher"))
    plain.commit()
    report = plain.ci_ml("check", "--policy", "head", "--format", "json").expect(0).json()
    assert report["verdict"]["outcome"] == "warn"
    assert (report["comparisons"][0]["status"], report["comparisons"][0]["base"]) == ("new", None)


def test_a_new_metric_is_still_held_to_its_floor(plain: Project) -> None:
    plain.branch()
    plain.write("new.json", {"f1": 0.7})
    plain.write("ci-ml.yaml", gates("metric: 'new.json:f1', direction: higher, floor: 0.8"))
    plain.commit()
    report = plain.ci_ml("check", "--policy", "head", "--format", "json").expect(10).json()
    assert report["comparisons"][0]["status"] == "regressed"
    assert "floor" in report["verdict"]["sentence"]


def test_no_gates_are_undecided(plain: Project) -> None:
    plain.write("ci-ml.yaml", "version: 1\n")
    plain.commit()
    plain.branch()
    accuracy(plain, 1.0)
    plain.commit()
    assert plain.ci_ml("check", "--format", "json").expect(11).json()["verdict"]["outcome"] == "undecided"


@pytest.mark.parametrize(
    ("require", "value", "code"),
    [
        ("improvement", 0.9, 10),
        ("improvement", 0.91, 0),
        ("non_inferior", 0.9, 0),
        ("non_inferior", 0.8, 10),
        ("report", 0.1, 0),
        ("report", "gone", 0),
    ],
)
def test_what_a_gate_requires(plain: Project, require: str, value: object, code: int) -> None:
    plain.write("ci-ml.yaml", gates(f"metric: 'metrics.json:accuracy', direction: higher, require: {require}"))
    plain.commit()
    plain.branch()
    accuracy(plain, value)
    plain.write("notes.txt", "a change")
    plain.commit()
    plain.ci_ml("check").expect(code)


def test_globs_judge_every_metric_they_find_in_json_yaml_and_toml(plain: Project) -> None:
    plain.write("ci-ml.yaml", gates("metric: 'eval/*:test.*', direction: higher"))
    plain.write("eval/a.json", {"test": {"acc": 0.9, "ok": True, "name": "x", "list": [1]}, "train": {"acc": 1.0}})
    plain.write("eval/b.yaml", "test: {acc: 9e-1}\n")
    plain.write("eval/c.toml", "[test]\nacc = 0.9\n")
    plain.commit()
    plain.branch()
    plain.write("eval/b.yaml", "test: {acc: 8e-1}\n")
    plain.commit()
    report = plain.ci_ml("check", "--format", "json").expect(10).json()
    statuses = {item["metric"]: item["status"] for item in report["comparisons"]}
    assert statuses == {
        "eval/a.json:test.acc": "unchanged",
        "eval/b.yaml:test.acc": "regressed",
        "eval/c.toml:test.acc": "unchanged",
    }


# --- The pipeline behind the numbers -----------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_pull_request_that_trains_worse_is_blocked_and_shows_why(project: Project) -> None:
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 0")
    project.ci_ml("train").expect(0)
    project.commit()
    report = project.ci_ml("check", "--format", "json").expect(10).json()
    assert "metrics.json:accuracy fell from" in report["verdict"]["sentence"]
    place = {"path": "params.yaml", "line": 5}
    assert report["params"] == [{"path": "params.yaml", "key": "train.steps", "base": 3, "head": 0, "location": place}]
    assert [stage["name"] for stage in report["stages"]] == ["train", "evaluate"]


def test_numbers_of_other_code_decide_nothing(project: Project) -> None:
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 0")
    project.commit()
    report = project.ci_ml("check", "--format", "json").expect(11).json()
    assert report["verdict"]["outcome"] == "undecided"
    assert "dvc.lock is stale: evaluate" in report["verdict"]["sentence"]
    assert "ci-ml train" in project.ci_ml("check").expect(11).out.splitlines()[-1]


def test_a_stale_stage_that_no_gate_reads_is_a_warning(project: Project) -> None:
    project.edit("dvc.yaml", "stages:\n", "stages:\n  aside:\n    cmd: 'true'\n    deps: [params.yaml]\n")
    report = project.ci_ml("check", "--format", "json").expect(0).json()
    assert report["verdict"]["outcome"] == "warn"
    assert any("dvc.lock is stale: aside" in reason for reason in report["verdict"]["reasons"])


@pytest.mark.thorough
def test_when_never_a_stale_lock_is_refused(project: Project) -> None:
    project.write("ci-ml.yaml", GATES + "train: {when: never}\n")
    project.commit()
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 0")
    project.commit()
    for command in ("check", "train", "ci"):
        result = project.ci_ml(command).expect(12)
        assert "dvc.lock is stale: train" in result.err
    project.edit("params.yaml", "steps: 0", "steps: 3")
    project.ci_ml("check").expect(0)


def test_ci_trains_then_judges_what_came_out(project: Project) -> None:
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 0")
    project.commit()
    result = project.ci_ml("ci", "--format", "json").expect(10)
    report = result.json()
    assert [(stage["name"], stage["state"]) for stage in report["training"]["stages"]] == [
        ("prepare", "skipped"),
        ("train", "ran"),
        ("evaluate", "ran"),
    ]
    assert report["comparisons"][0]["head"] == project.json("metrics.json")["accuracy"]
    assert "train | trained 0 steps" in result.err


@pytest.mark.thorough
def test_metrics_in_the_cache_of_dvc_are_read_on_both_sides(project: Project) -> None:
    project.edit("dvc.yaml", "metrics: [metrics.json: {cache: false}]", "metrics: [metrics.json]")
    project.git("rm", "--quiet", "--cached", "metrics.json")
    project.write(".gitignore", project.read(".gitignore") + "/metrics.json\n")
    project.ci_ml("train").expect(0)
    project.commit("the metrics are cached")
    project.dvc("push", "--quiet")  # not `--all-commits` once at the end: DVC takes ../remote for /remote there
    before = project.json("metrics.json")["accuracy"]
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 0")
    project.ci_ml("train").expect(0)
    project.commit()
    project.dvc("push", "--quiet")
    # In a fresh clone nothing is on disk and nothing in the cache: both sides come from the remote.
    clone = project.clone("clone", "--branch", "change")
    report = clone.ci_ml("check", "--base", "origin/main", "--format", "json").expect(10).json()
    (comparison, _) = report["comparisons"]
    assert (comparison["metric"], comparison["base"], comparison["head"]) == ("metrics.json:accuracy", before, 0.5)
    assert not (clone.root / "metrics.json").exists()


# --- Whose gates judge -------------------------------------------------------------------------------------------------


def test_a_change_that_lowers_its_own_bar_is_judged_by_the_base(plain: Project) -> None:
    plain.branch()
    accuracy(plain, 0.5)
    plain.edit("ci-ml.yaml", "margin: 0.01", "margin: 0.9")
    plain.commit()
    result = plain.ci_ml("check", "--format", "json").expect(10)
    report = result.json()
    assert (report["policy"]["from"], report["policy"]["changed_in_head"]) == ("base", True)
    assert report["comparisons"][0]["margin"] == 0.01
    assert any("edits ci-ml.yaml" in notice for notice in report["notices"])
    tried = plain.ci_ml("check", "--policy", "head", "--format", "json").expect(0).json()
    assert (tried["policy"]["from"], tried["comparisons"][0]["margin"]) == ("head", 0.9)


def test_a_change_that_deletes_the_gates_is_judged_by_the_base(plain: Project) -> None:
    plain.branch()
    accuracy(plain, 0.5)
    plain.remove("ci-ml.yaml")
    plain.commit()
    report = plain.ci_ml("check", "--format", "json").expect(10).json()
    assert report["policy"] == {**report["policy"], "from": "base", "changed_in_head": True}


def test_a_change_cannot_choose_its_own_opponent(plain: Project) -> None:
    plain.git("branch", "easy")
    plain.branch()
    accuracy(plain, 0.5)
    plain.commit()
    plain.git("branch", "--force", "easy")
    plain.write("ci-ml.yaml", GATES + "baseline: 'branch:easy'\n")
    plain.commit()
    report = plain.ci_ml("check", "--format", "json").expect(10).json()
    assert report["base"]["ref"] == "main"


def test_a_base_without_gates_takes_those_of_the_change_and_says_so(plain: Project) -> None:
    text = plain.read("ci-ml.yaml")
    plain.remove("ci-ml.yaml")
    plain.commit()
    plain.branch()
    plain.write("ci-ml.yaml", text)
    accuracy(plain, 0.5)
    plain.commit()
    report = plain.ci_ml("check", "--format", "json").expect(10).json()
    assert report["policy"]["from"] == "head"
    assert any("has no ci-ml.yaml" in notice for notice in report["notices"])


def test_a_broken_base_cannot_block_the_change_that_mends_it(plain: Project) -> None:
    text = plain.read("ci-ml.yaml")
    plain.write("ci-ml.yaml", text + "gate: []\n")
    plain.commit()
    plain.branch()
    plain.write("ci-ml.yaml", text)
    plain.commit()
    report = plain.ci_ml("check", "--format", "json").expect(0).json()
    assert (report["verdict"]["outcome"], report["policy"]["from"]) == ("warn", "head")


# --- Which base --------------------------------------------------------------------------------------------------------


def test_the_base_is_the_merge_base_and_not_the_tip(plain: Project) -> None:
    fork = plain.git("rev-parse", "HEAD")
    plain.branch()
    accuracy(plain, 0.895)
    plain.commit()
    plain.git("checkout", "--quiet", "main")
    accuracy(plain, 0.99)
    tip = plain.commit()
    plain.git("checkout", "--quiet", "change")
    report = plain.ci_ml("check", "--format", "json").expect(0).json()
    assert report["base"] == {"sha": fork, "ref": "main", "why": "merge base of HEAD and main", "dirty": False}
    named = plain.ci_ml("check", "--base", "main", "--format", "json").expect(10).json()
    assert (named["base"]["sha"], named["base"]["why"]) == (tip, "named with --base")


@pytest.mark.parametrize(("baseline", "code"), [("branch:main", 10), ("rev:v1", 0), ("merge-base", 0), ("auto", 0)])
def test_the_configured_baseline(plain: Project, baseline: str, code: int) -> None:
    plain.write("ci-ml.yaml", GATES + f"baseline: '{baseline}'\n")
    plain.commit()
    plain.git("tag", "v1")
    plain.branch()
    accuracy(plain, 0.895)
    plain.commit()
    plain.git("checkout", "--quiet", "main")
    accuracy(plain, 0.99)
    plain.commit()
    plain.git("checkout", "--quiet", "change")
    plain.ci_ml("check").expect(code)


def test_on_main_the_base_is_the_commit_before(plain: Project) -> None:
    before = plain.git("rev-parse", "HEAD")
    accuracy(plain, 0.5)
    plain.commit()
    assert plain.ci_ml("check", "--format", "json").expect(10).json()["base"]["sha"] == before


def test_a_dirty_tree_is_judged_as_it_is(plain: Project) -> None:
    accuracy(plain, 0.5)
    report = plain.ci_ml("check", "--format", "json").expect(10).json()
    assert report["head"]["dirty"] is True
    assert report["base"]["sha"] == report["head"]["sha"] == plain.git("rev-parse", "HEAD")


def test_a_merge_checkout_of_github_is_compared_with_its_base_parent(plain: Project, tmp_path: Path) -> None:
    plain.branch()
    accuracy(plain, 0.895)
    head = plain.commit()
    plain.git("checkout", "--quiet", "main")
    plain.write("other.txt", "what others merged meanwhile")
    base = plain.commit()
    plain.git("checkout", "--quiet", "--detach", "main")
    plain.git("merge", "--quiet", "--no-ff", "--message", "merge", "change")
    event = tmp_path / "event.json"
    event.write_text(f'{{"pull_request": {{"number": 7, "head": {{"sha": "{head}"}}}}}}')
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_BASE_REF": "main",
        "GITHUB_HEAD_REF": "change",
    }
    report = plain.ci_ml("check", "--format", "json", env=env).expect(0).json()
    assert report["base"]["sha"] == base
    assert "base parent of the merge commit" in report["base"]["why"]


def test_a_shallow_clone_is_deepened_as_far_as_needed(plain: Project) -> None:
    fork = plain.git("rev-parse", "HEAD")
    plain.branch()
    for value in (0.91, 0.92, 0.93):
        accuracy(plain, value)
        plain.commit()
    plain.git("checkout", "--quiet", "main")
    plain.write("other.txt", "what others merged meanwhile")
    plain.commit()
    clone = plain.clone("clone", "--depth=1", "--branch", "change", url=f"file://{plain.root}")
    assert clone.run("git", "cat-file", "-e", fork).code != 0
    env = {"GITLAB_CI": "true", "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    report = clone.ci_ml("check", "--format", "json", env=env).expect(0).json()
    assert (report["base"]["sha"], report["comparisons"][0]["base"]) == (fork, 0.9)


# --- Where it may be asked: monorepos, hooks, other folders ---------------------------------------------------------------


def moved(project: Project, folder: str, *paths: str) -> None:
    """Move files of a project into a folder and commit that."""
    (project.root / folder).mkdir(parents=True)
    for path in paths:
        project.git("mv", path, f"{folder}/{path}")
    project.commit("a monorepo")


@pytest.mark.parametrize("way", ["from the top", "from the folder", "from below"])
def test_a_project_in_a_subfolder(plain: Project, way: str) -> None:
    moved(plain, "services/churn", "metrics.json", "ci-ml.yaml")
    (plain.root / "services/churn/src").mkdir()
    plain.branch()
    plain.write("services/churn/metrics.json", {"accuracy": 0.5})
    plain.commit()
    folder, options = {
        "from the top": (".", ["--config", "services/churn/ci-ml.yaml"]),
        "from the folder": ("services/churn", []),
        "from below": ("services/churn/src", []),
    }[way]
    report = plain.ci_ml("check", "--format", "json", *options, cwd=folder).expect(10).json()
    assert report["comparisons"][0]["metric"] == "metrics.json:accuracy"
    assert report["name"] == "churn"
    assert (plain.root / "services/churn/.ci-ml/report.json").is_file()
    assert plain.status() == ""


def test_two_projects_of_one_repository_have_a_verdict_each(plain: Project) -> None:
    for name in ("one", "two"):
        plain.write(f"{name}/ci-ml.yaml", GATES)
        plain.write(f"{name}/metrics.json", {"accuracy": 0.9})
    plain.commit()
    plain.branch()
    plain.write("two/metrics.json", {"accuracy": 0.5})
    plain.commit()
    plain.ci_ml("check", "--config", "one/ci-ml.yaml").expect(0)
    plain.ci_ml("check", "--config", "two/ci-ml.yaml").expect(10)


def test_ci_ml_yaml_in_a_subfolder_with_dvc_at_the_top(project: Project) -> None:
    moved(
        project,
        "churn",
        "ci-ml.yaml",
        "dvc.yaml",
        "dvc.lock",
        "params.yaml",
        "metrics.json",
        "src",
        "data",
        ".gitignore",
    )
    (project.root / "model.json").rename(project.root / "churn/model.json")
    project.branch()
    project.edit("churn/params.yaml", "steps: 3", "steps: 0")
    result = project.ci_ml("ci", "--format", "json", cwd="churn").expect(10)
    report = result.json()
    assert report["comparisons"][0]["metric"] == "metrics.json:accuracy"
    (param,) = report["params"]
    assert (param["path"], param["key"], param["base"], param["head"]) == ("params.yaml", "train.steps", 3, 0)
    assert param["location"] == {"path": "churn/params.yaml", "line": 5}
    assert report["comparisons"][0]["declared"] == {"path": "churn/ci-ml.yaml", "line": 4}
    assert [stage["state"] for stage in report["training"]["stages"]][-2:] == ["ran", "ran"]


@pytest.mark.thorough
def test_a_dvc_project_of_its_own_in_a_subfolder(project: Project) -> None:
    top = project.root.parent / "mono"
    top.mkdir()
    mono = Project(root=top, env=project.env)
    mono.git("init", "--quiet", "--initial-branch=main")
    project.run("rm", "-rf", ".git")
    project.root.rename(top / "churn")
    mono.edit("churn/.dvc/config", "../../remote", "../../../remote")
    mono.git("rm", "-r", "--quiet", "--cached", "--ignore-unmatch", ".")
    mono.commit("a monorepo")
    mono.branch()
    mono.edit("churn/params.yaml", "steps: 3", "steps: 0")
    report = mono.ci_ml("ci", "--config", "churn/ci-ml.yaml", "--format", "json").expect(10).json()
    assert [(stage["name"], stage["state"]) for stage in report["training"]["stages"]] == [
        ("prepare", "skipped"),
        ("train", "ran"),
        ("evaluate", "ran"),
    ]
    mono.ci_ml("verify", cwd="churn").expect(0)


def test_a_pre_push_hook_judges_the_repository_that_is_pushed(plain: Project) -> None:
    plain.git("init", "--quiet", "--bare", "../origin.git")
    plain.git("remote", "add", "origin", "../origin.git")
    plain.git("push", "--quiet", "origin", "main")
    hook = plain.write(".git/hooks/pre-push", f"#!/bin/sh\nexec '{sys.executable}' -m ci_ml check\n")
    hook.chmod(0o755)
    plain.branch()
    accuracy(plain, 0.5)
    plain.commit()
    blocked = plain.run("git", "push", "--quiet", "origin", "change")
    assert blocked.code != 0
    assert FELL.search(blocked.out + blocked.err)
    accuracy(plain, 0.95)
    plain.commit()
    assert plain.run("git", "push", "--quiet", "origin", "change").code == 0


def test_the_variables_that_git_sets_for_hooks_do_not_mislead(plain: Project, tmp_path: Path) -> None:
    plain.branch()
    accuracy(plain, 0.5)
    plain.commit()
    env = {"GIT_DIR": ".git", "GIT_INDEX_FILE": str(tmp_path / "elsewhere"), "GIT_PREFIX": ""}
    plain.ci_ml("check", env=env).expect(10)


# --- Output --------------------------------------------------------------------------------------------------------------


def test_stdout_is_json_alone_and_report_json_is_the_same(plain: Project) -> None:
    accuracy(plain, 0.5)
    result = plain.ci_ml("check", "--format", "json").expect(10)
    assert plain.read(".ci-ml/report.json") == result.out
    report = result.json()
    assert report["schema"] == "ci-ml/report/v1"
    assert report["tool"]["name"] == "ci-ml"
    comparison = report["comparisons"][0]
    assert comparison == {
        **comparison,
        "metric": "metrics.json:accuracy",
        "slice": None,
        "direction": "higher",
        "base": 0.9,
        "head": 0.5,
        "interval": None,
        "p_value": None,
        "require": "no_regression",
        "severity": "block",
        "status": "regressed",
    }
    assert comparison["delta"] == pytest.approx(-0.4)


@pytest.mark.thorough
def test_an_old_report_is_rendered_again_as_it_was(plain: Project) -> None:
    accuracy(plain, 0.5)
    for style in ("terminal", "markdown", "json"):
        shown = plain.ci_ml("check", "--format", style).expect(10)
        assert plain.ci_ml("report", "--format", style).expect(0).out == shown.out


def test_the_output_folder_is_chosen_and_stays_out_of_git(plain: Project) -> None:
    accuracy(plain, 0.95)
    plain.commit()
    plain.ci_ml("check").expect(0)
    plain.ci_ml("check", "--output", "build/gate").expect(0)
    elsewhere, usual = strict((plain.root / "build/gate/report.json").read_text()), plain.json(".ci-ml/report.json")
    assert elsewhere["policy"].pop("read_at") >= usual["policy"].pop("read_at")  # the second was read later
    assert elsewhere == usual
    assert plain.status() == ""


def test_plain_text_without_a_terminal(plain: Project) -> None:
    accuracy(plain, 0.5)
    result = plain.ci_ml("check").expect(10)
    assert "\x1b" not in result.out
    first, second = result.out.splitlines()[:2]
    assert "blocked" in first
    assert FELL.search(second)


def test_colour_on_a_terminal_unless_no_color(plain: Project) -> None:
    accuracy(plain, 0.5)
    assert ESCAPE in plain.on_a_terminal("check", code=10)
    assert ESCAPE not in plain.on_a_terminal("check", code=10, NO_COLOR="1")
    text = re.sub(r"\x1b\[[0-9;]*m", "", plain.on_a_terminal("check", code=10))
    assert FELL.search(" ".join(text.split()))


def test_a_reader_that_goes_away_is_no_crash(plain: Project) -> None:
    accuracy(plain, 0.5)
    done = plain.run("sh", "-c", f"'{sys.executable}' -m ci_ml check --format json | head -c 1")
    assert (done.out, done.err) == ("{", "")


# --- Options from the environment ------------------------------------------------------------------------------------------


def test_every_option_has_an_environment_variable(plain: Project) -> None:
    first = plain.git("rev-parse", "HEAD")
    plain.write("other/ci-ml.yaml", "version: 1\n")
    plain.write("other/metrics.json", {"accuracy": 0.9})
    plain.commit()
    plain.branch()
    plain.write("other/ci-ml.yaml", GATES)
    plain.write("other/metrics.json", {"accuracy": 0.5})
    plain.commit()
    env = {
        "CI_ML_CHECK_CONFIG": "other/ci-ml.yaml",
        "CI_ML_CHECK_BASE": first,
        "CI_ML_CHECK_POLICY": "head",
        "CI_ML_CHECK_FORMAT": "json",
        "CI_ML_CHECK_OUTPUT": "elsewhere",
    }
    report = plain.ci_ml("check", env=env).expect(0).json()
    assert (report["base"]["sha"], report["policy"]["from"]) == (first, "head")
    assert report["comparisons"][0]["status"] == "new"
    assert (plain.root / "elsewhere/report.json").is_file()


def test_common_options_have_one_variable_for_all_commands(plain: Project) -> None:
    first = plain.git("rev-parse", "HEAD")
    accuracy(plain, 0.95)
    plain.commit()
    plain.write("notes.txt", "a change")
    plain.commit()
    env = {"CI_ML_BASE": first, "CI_ML_OUTPUT": "elsewhere", "CI_ML_CONFIG": "ci-ml.yaml"}
    assert plain.ci_ml("check", "--format", "json", env=env).expect(0).json()["base"]["sha"] == first
    assert plain.ci_ml("diff", "--format", "json", env=env).expect(0).json()["base"]["sha"] == first
    assert (plain.root / "elsewhere/report.json").is_file()
    assert not (plain.root / ".ci-ml").exists()


def test_the_command_line_wins_over_the_environment(plain: Project) -> None:
    accuracy(plain, 0.5)
    result = plain.ci_ml("check", "--format", "json", env={"CI_ML_CHECK_FORMAT": "terminal"})
    assert result.expect(10).json()["verdict"]["outcome"] == "fail"


def test_flags_and_other_commands_read_the_environment_too(project: Project) -> None:
    env = {"CI_ML_DIFF_ALL": "1", "CI_ML_DIFF_BASE": "HEAD", "CI_ML_DIFF_HEAD": "HEAD", "CI_ML_DIFF_FORMAT": "json"}
    shown = project.ci_ml("diff", env=env).expect(0).json()
    assert "metrics.json:accuracy" in {item["metric"] for item in shown["metrics"]}
    assert project.ci_ml("verify", env={"CI_ML_VERIFY_FORMAT": "json"}).expect(0).json()["stale"] is False


@pytest.mark.thorough
def test_the_last_report_is_found_from_a_folder_below_and_where_output_says(plain: Project) -> None:
    plain.branch()
    plain.ci_ml("check", "--base", "main").expect(2)  # nothing has changed yet
    plain.write("metrics.json", {"accuracy": 0.95})
    plain.write("below/x.txt", "")
    plain.ci_ml("check").expect(0)
    plain.ci_ml("check", "--output", "elsewhere").expect(0)
    assert "passed" in plain.ci_ml("report", cwd=plain.root / "below").expect(0).out
    assert "passed" in plain.ci_ml("report", "--output", "elsewhere").expect(0).out
    assert "nowhere/report.json" in plain.ci_ml("report", "--output", "nowhere").expect(2).err
