"""Everything that can be wrong: each case has its exit code, one clear message, and no traceback."""

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import CI_ML_YAML, GATES, Project, Result, strict

Prepare = Callable[[Project], Any]
CHECK = ("check",)
EVERY = ("check", "ci", "diff", "train", "verify")


def refused(result: Result, code: int, *words: str) -> None:
    """It ended with `code` and one message that says what, where, and what to do."""
    result.expect(code)
    assert result.out == "", result.text
    lines = result.err[result.err.index("error: ") :].splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1, result.text
    assert lines[-1].startswith("hint: "), result.text
    assert "\x1b" not in result.err
    assert len(result.err) < 5000
    for word in words:
        assert word in result.err, (word, result.text)


def several(*changes: Prepare) -> Prepare:
    return lambda project: [change(project) for change in changes]


def write(path: str, content: Any) -> Prepare:
    return lambda project: project.write(path, content)


def remove(path: str) -> Prepare:
    return lambda project: project.remove(path)


def git(*arguments: str) -> Prepare:
    return lambda project: project.git(*arguments)


def commit(project: Project) -> None:
    project.commit()


def nothing(project: Project) -> None:
    pass


# --- The repository -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", EVERY)
def test_no_repository(environment: dict[str, str], tmp_path: Path, command: str) -> None:
    project = Project(root=tmp_path, env={**environment, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    refused(project.ci_ml(command), 2, f"{tmp_path} is not in a git repository", "git init")


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["check", "diff", "train"])
def test_no_commit_yet(empty: Project, command: str) -> None:
    empty.dvc("init", "--quiet")
    empty.write("ci-ml.yaml", GATES)
    refused(empty.ci_ml(command), 2, "the repository has no commit yet", "commit first")


def test_a_detached_head_is_no_obstacle(plain: Project) -> None:
    plain.git("checkout", "--quiet", "--detach")
    plain.write("metrics.json", {"accuracy": 0.5})
    plain.commit()
    report = plain.ci_ml("check", "--format", "json").expect(10).json()
    assert report["base"]["ref"] == "main"
    assert report["head"]["ref"] is None


def test_a_first_commit_has_nothing_to_be_compared_with(plain: Project) -> None:
    refused(plain.ci_ml("check"), 2, "is the first commit and the work tree is clean", "--base REV")


@pytest.mark.parametrize("revision", ["HEAD", "main"])
def test_base_equal_to_head(plain: Project, revision: str) -> None:
    refused(plain.ci_ml("check", "--base", revision), 2, "base and head are the same commit", "--base REV")


@pytest.mark.parametrize("revision", ["nosuch", "HEAD~5", "--output=x", "", "HEAD:metrics.json", "a b", "@{upstream}"])
def test_a_base_that_is_no_commit(plain: Project, revision: str) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    if revision == "":
        plain.ci_ml("check", "--base", revision).expect(10)  # as if it were not there: a CI variable may be empty
    else:
        refused(plain.ci_ml("check", f"--base={revision}"), 2, f"{revision}", "(named with --base)")


def test_unrelated_histories(plain: Project) -> None:
    plain.git("checkout", "--quiet", "--orphan", "island")
    plain.commit()
    refused(plain.ci_ml("check"), 2, "HEAD and main have unrelated histories", "--base REV")


def island(project: Project) -> Project:
    """A branch with a commit of its own, and a commit more on main."""
    project.branch()
    project.write("metrics.json", {"accuracy": 0.95})
    project.commit()
    project.git("checkout", "--quiet", "main")
    project.write("other.txt", "what others merged")
    project.commit()
    return project


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--branch", "change"], "the target branch main is not in this clone and could not be fetched"),
        (["--branch", "change", "--no-single-branch"], "shallow clone without the merge base of HEAD and origin/main"),
    ],
)
def test_a_shallow_clone_whose_base_cannot_be_had(plain: Project, options: list[str], words: str) -> None:
    clone = island(plain).clone("clone", "--depth=1", *options, url=f"file://{plain.root}")
    clone.git("remote", "set-url", "origin", "file:///nowhere/to/be/found")
    env = {"GITLAB_CI": "true", "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    refused(clone.ci_ml("check", env=env), 2, words)


def test_a_shallow_clone_of_main_without_its_parent(plain: Project) -> None:
    clone = island(plain).clone("clone", "--depth=1", url=f"file://{plain.root}")
    clone.git("remote", "remove", "origin")
    refused(clone.ci_ml("check"), 2, "shallow clone without", "the parent of HEAD", "fetch-depth: 2")


def test_a_bare_repository(plain: Project) -> None:
    clone = plain.clone("bare.git", "--bare")
    refused(clone.ci_ml("check"), 2, "is not in a git repository")


def test_a_repository_of_somebody_else(plain: Project) -> None:
    env = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    refused(plain.ci_ml("check", env=env), 2, "git does not trust", "safe.directory")


def test_a_repository_with_missing_objects(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.95})
    plain.commit()
    blob = plain.git("rev-parse", "HEAD^{tree}")
    (plain.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    result = plain.ci_ml("check").expect(3)
    assert "error: git " in result.err


def test_no_git(plain: Project, tmp_path: Path) -> None:
    refused(plain.ci_ml("check", env={"PATH": str(tmp_path)}), 3, "git is not installed or not on PATH")


# --- ci-ml.yaml -----------------------------------------------------------------------------------------------------------

CONFIGURATIONS: dict[str, tuple[Any, list[str]]] = {
    "empty": ("", ["ci-ml.yaml is not a configuration"]),
    "a list": ("- a\n", ["ci-ml.yaml is not a configuration"]),
    "no YAML": ("version: 1\ngates: [\n", ["ci-ml.yaml cannot be read", "ci-ml.yaml:3"]),
    "a key twice": ("version: 1\nversion: 1\n", ["ci-ml.yaml:2", "there twice"]),
    "binary": (b"\xff\xfe\x00", ["not UTF-8"]),
    "two documents": ("version: 1\n---\nversion: 1\n", ["ci-ml.yaml:2", "more than one YAML document"]),
    "another version": ("version: 2\n", ["ci-ml.yaml:1: version"]),
    "conflict markers": ("<<<<<<< HEAD\nversion: 1\n=======\nversion: 1\n>>>>>>> other\n", ["ci-ml.yaml"]),
    "a tag": ("version: !!python/object/apply:os.system ['true']\n", ["ci-ml.yaml:1"]),
    "a bomb": (
        "a: &a [x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        ["ci-ml.yaml"],
    ),
    "all mistakes at once": (
        "version: 1\ngate: []\ntrain: {when: often}\ngates:\n  - {metric: m.json:a}\n"
        "  - {metric: accuracy, direction: higher}\n  - {metric: m.json:b, direction: up, margin: many}\n"
        "  - {metric: m.json:c, direction: lower, floor: 2, ceiling: 1}\n",
        [
            "ci-ml.yaml has 7 problems",
            "ci-ml.yaml:2: gate: unknown key; did you mean gates?",
            "ci-ml.yaml:3: train.when",
            "ci-ml.yaml:5: gates.0.direction: missing",
            "ci-ml.yaml:6: gates.1.metric",
            "ci-ml.yaml:7: gates.2.direction",
            "ci-ml.yaml:7: gates.2.margin",
            "ci-ml.yaml:8: gates.3",
        ],
    ),
    "a file outside": (GATES.replace("metrics.json:", "../secret.json:"), ["../secret.json"]),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_an_invalid_configuration(plain: Project, case: str) -> None:
    content, words = CONFIGURATIONS[case]
    plain.write("ci-ml.yaml", content)
    plain.write("metrics.json", {"accuracy": 0.5})
    refused(plain.ci_ml("check", "--policy", "head"), 2, *words)


def test_no_configuration_on_either_side(plain: Project) -> None:
    plain.git("rm", "--quiet", "ci-ml.yaml")
    plain.commit()
    plain.write("metrics.json", {"accuracy": 0.5})
    plain.commit()
    refused(plain.ci_ml("check"), 2, "there is no ci-ml.yaml, neither in the base")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nosuch.yaml", "nosuch.yaml"),
        ("nosuch/ci-ml.yaml", "there is no folder"),
        ("folder", "folder"),
        ("/etc/passwd", "is not in a git repository"),
        ("../../outside.yaml", "is not in a git repository"),
    ],
)
def test_a_configuration_that_is_not_there(plain: Project, name: str, words: str) -> None:
    (plain.root / "folder").mkdir()
    plain.write("metrics.json", {"accuracy": 0.5})
    env = {"GIT_CEILING_DIRECTORIES": str(plain.root.parent.parent.parent)}
    refused(plain.ci_ml("check", "--config", name, env=env), 2, words)


# --- DVC's files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "verify"])
def test_no_dvc(plain: Project, command: str) -> None:
    plain.write("metrics.json", {"accuracy": 0.95})
    refused(plain.ci_ml(command), 2, "there is no DVC project in", "dvc init")


def test_without_dvc_there_is_nothing_to_train_and_numbers_in_git_are_judged(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    report = plain.ci_ml("ci", "--format", "json").expect(10).json()
    assert report["training"] is None


CONFLICT = "schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n=======\nstages: {a: 1}\n>>>>>>> other\n"

BROKEN: dict[str, tuple[str, str, list[str]]] = {
    "dvc.yaml is no YAML": ("dvc.yaml", "stages:\n  train: {cmd: [\n", ["dvc.yaml:"]),
    "dvc.yaml is a list": ("dvc.yaml", "- stages\n", ["dvc.yaml"]),
    "a stage without a command": ("dvc.yaml", "stages:\n  train: {deps: [a]}\n", ["dvc.yaml", "train"]),
    "a stage that is text": ("dvc.yaml", "stages: {train: python}\n", ["dvc.yaml", "train"]),
    "dependencies that are no list": ("dvc.yaml", "stages: {train: {cmd: a, deps: b}}\n", ["dvc.yaml", "train"]),
    "a variable that is not there": ("dvc.yaml", "stages: {train: {cmd: 'echo ${nosuch}'}}\n", ["dvc.yaml", "nosuch"]),
    "a loop over nothing": ("dvc.yaml", "stages: {train: {foreach: 1, do: {cmd: a}}}\n", ["dvc.yaml", "train"]),
    "vars from a missing file": (
        "dvc.yaml",
        "vars: [nosuch.yaml]\nstages: {train: {cmd: 'a ${b}'}}\n",
        ["nosuch.yaml"],
    ),
    "dvc.yaml with conflict markers": ("dvc.yaml", CONFLICT, ["dvc.yaml:2 holds conflict markers"]),
    "dvc.lock with conflict markers": ("dvc.lock", CONFLICT, ["dvc.lock:2 holds conflict markers", "ci-ml train"]),
    "dvc.lock is no YAML": ("dvc.lock", "schema: '2.0'\nstages: [\n", ["dvc.lock:"]),
    "dvc.lock is a list": ("dvc.lock", "- a\n", ["dvc.lock"]),
    "an entry of dvc.lock is text": ("dvc.lock", "schema: '2.0'\nstages: {train: x}\n", ["train"]),
    "a .dvc file is no YAML": ("data/raw.csv.dvc", "outs: [\n", ["data/raw.csv.dvc:"]),
    "a .dvc file with conflict markers": (
        "data/raw.csv.dvc",
        "outs:\n<<<<<<< HEAD\n",
        ["data/raw.csv.dvc:2 holds conflict markers"],
    ),
}


# Every command that needs the graph of dvc.yaml.
GRAPH = (
    ("generate",),
    ("generate", "--check"),
    ("generate", "--child", "child.yml", "--base", "HEAD"),
    ("plan", "--base", "HEAD"),
    ("verify",),
    ("check",),
    ("train",),
    ("stage", "--base", "HEAD", "train"),
    ("ci", "--no-publish", "--needs", "{}"),
)

SHAPES = {
    "metrics: 5": "dvc.yaml: metrics: ",
    "metrics: [5]": "dvc.yaml: metrics",
    "plots: 5": "dvc.yaml: plots: ",
    "params: {}": "dvc.yaml: params: ",
    "stages: []": "dvc.yaml: stages: ",
    "vars: 3": "dvc.yaml: vars: ",
    "stages: {a: {cmd: x, outs: null}}": "dvc.yaml: stages.a",
    "stages: {a: {cmd: x, outs: [{y: {cache: 3}}]}}": "dvc.yaml: stages.a.outs",
}


@pytest.mark.thorough
@pytest.mark.parametrize("text", SHAPES)
def test_keys_of_dvc_yaml_that_hold_something_else(project: Project, text: str) -> None:
    before = project.read("dvc.yaml")
    project.write("dvc.yaml", f"{text}\n" if text.startswith("stages") else f"{before}{text}\n")
    project.write("ci-ml.yaml", f"{project.read('ci-ml.yaml')}pipelines: [{{forge: github, layout: stages}}]\n")
    for command in (("generate",), ("plan", "--base", "HEAD"), ("verify",), ("check",), ("train",)):
        refused(project.ci_ml(*command), 2, SHAPES[text])
    assert "dvc.yaml" in project.ci_ml("doctor").expect(2).out


@pytest.mark.thorough
@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_of_dvc(project: Project, case: str) -> None:
    path, text, words = BROKEN[case]
    project.write(path, text)
    for command in ("verify", "train", "check"):
        refused(project.ci_ml(command), 2, *words)


@pytest.mark.parametrize("path", ["dvc.yaml", "dvc.lock"])
def test_a_broken_base_does_not_block_the_change_that_mends_it(project: Project, path: str) -> None:
    good = project.read(path)
    project.write(path, CONFLICT)
    project.commit()
    project.branch()
    project.write(path, good)
    project.commit()
    report = project.ci_ml("check", "--format", "json").expect(0).json()
    assert any(path in notice for notice in report["notices"])
    assert report["comparisons"][0]["status"] == "unchanged"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("stages", "words"),
    [
        (
            "{a: {cmd: a, deps: [x], outs: [y]}, b: {cmd: b, deps: [y], outs: [x]}}",
            "stages b and a depend on each other",
        ),
        ("{a: {cmd: a, deps: [x], outs: [x]}}", "stage a depends on what it makes itself"),
        ("{a: {cmd: a, outs: [x]}, b: {cmd: b, outs: [x]}}", "x is an output of both stage a and stage b"),
        ("{a: {cmd: a, outs: [x]}, b: {cmd: b, outs: [x/y]}}", "x/y, an output of stage b, is inside x"),
    ],
)
def test_pipelines_that_dvc_refuses(project: Project, stages: str, words: str) -> None:
    project.write("dvc.yaml", f"stages: {stages}\n")
    project.write(
        "ci-ml.yaml", f"{project.read('ci-ml.yaml')}pipelines: [{{forge: gitlab, layout: stages, graph: dynamic}}]\n"
    )
    for command in GRAPH if "each other" in words else (GRAPH[0], GRAPH[3]):
        refused(project.ci_ml(*command), 2, words, "DVC refuses to run it")
    assert words in project.ci_ml("doctor").expect(2).out
    project.remove("ci-ml.yaml")
    assert f"mend the pipeline, which DVC refuses: {words}" in " ".join(project.ci_ml("init").expect(0).out.split())


def test_a_base_with_a_circle_does_not_block_the_change_that_mends_it(project: Project) -> None:
    good = project.read("dvc.yaml")
    project.edit("dvc.yaml", "deps: [src/prepare.py, ", "deps: [src/prepare.py, model.json, ")
    project.commit()
    project.branch()
    project.write("dvc.yaml", good)
    project.commit()
    report = project.ci_ml("check", "--format", "json").expect(0).json()
    assert report["comparisons"][0]["status"] == "unchanged"


def test_an_input_that_nobody_has(project: Project) -> None:
    project.write("dvc.yaml", "stages: {a: {cmd: a, deps: [nosuch.py], outs: [x]}}\n")
    refused(project.ci_ml("train"), 3, "nosuch.py")


def test_a_broken_parameters_file(project: Project) -> None:
    project.write("params.yaml", "train: [\n")
    for command in ("verify", "train"):
        result = project.ci_ml(command)
        assert result.code in (2, 3), result.text
        refused(result, result.code, "params.yaml")


# --- Metrics ------------------------------------------------------------------------------------------------------------------


def deep(levels: int) -> str:
    return '{"accuracy": ' * levels + "1" + "}" * levels


# What the head's metrics file holds, and what the report says about the gate on its accuracy.
METRICS: dict[str, tuple[Prepare, list[str]]] = {
    "broken JSON": (write("metrics.json", '{"accuracy": '), ["metrics.json, line 1: not valid JSON"]),
    "NaN": (write("metrics.json", '{"accuracy": NaN}'), ["metrics.json:accuracy is NaN"]),
    "infinite": (write("metrics.json", '{"accuracy": -Infinity}'), ["metrics.json:accuracy is infinite"]),
    "too large for a float": (write("metrics.json", '{"accuracy": 1' + "0" * 400 + "}"), ["too large"]),
    "an endless number": (write("metrics.json", '{"accuracy": 1' + "0" * 5000 + "}"), ["not valid JSON"]),
    "empty": (write("metrics.json", ""), ["metrics.json is empty"]),
    "blank": (write("metrics.json", " \n\n"), ["metrics.json is empty"]),
    "a boolean": (write("metrics.json", '{"accuracy": true}'), ["is a boolean"]),
    "text": (write("metrics.json", '{"accuracy": "0.9"}'), ["is text, not a number"]),
    "null": (write("metrics.json", '{"accuracy": null}'), ["is null, not a number"]),
    "a mapping": (write("metrics.json", '{"accuracy": {"test": 1}}'), ["mapping of further keys"]),
    "a list at the top": (write("metrics.json", "[1]"), ["accuracy"]),
    "binary": (write("metrics.json", b"\xff\xfe\x00\x01"), ["not UTF-8 text"]),
    "deeply nested": (write("metrics.json", deep(100)), ["nested deeper than"]),
    "very deeply nested": (write("metrics.json", deep(100_000)), ["nested deeper than"]),
    "a folder": (several(remove("metrics.json"), write("metrics.json/a.json", "{}")), ["metrics.json is a folder"]),
    "a file that is gone": (remove("metrics.json"), ["no file metrics.json", "it disappeared"]),
    "a key that is gone": (write("metrics.json", '{"loss": 1}'), ["no key accuracy", "it disappeared"]),
    "a link to nowhere": (
        several(remove("metrics.json"), lambda project: (project.root / "metrics.json").symlink_to("x")),
        ["metrics.json"],
    ),
    "a link to itself": (
        several(remove("metrics.json"), lambda project: (project.root / "metrics.json").symlink_to("metrics.json")),
        ["metrics.json"],
    ),
}


@pytest.mark.parametrize("case", METRICS)
def test_metrics_that_are_no_evidence_are_undecided(plain: Project, case: str) -> None:
    prepare, words = METRICS[case]
    prepare(plain)
    report = plain.ci_ml("check", "--format", "json").expect(11).json()
    assert report["verdict"]["outcome"] == "undecided"
    (comparison,) = report["comparisons"]
    assert comparison["status"] == "missing"
    assert (comparison["base"], comparison["head"], comparison["delta"]) == (0.9, None, None)
    for word in words:
        assert word in comparison["reason"]
    assert len(comparison["reason"]) < 1000


@pytest.mark.parametrize("case", ["broken JSON", "NaN", "empty", "a boolean", "very deeply nested"])
def test_a_base_without_evidence_is_undecided_too(plain: Project, case: str) -> None:
    METRICS[case][0](plain)
    plain.commit()
    plain.branch()
    plain.write("metrics.json", {"accuracy": 0.9})
    plain.commit()
    (comparison,) = plain.ci_ml("check", "--format", "json").expect(11).json()["comparisons"]
    assert (comparison["status"], comparison["base"], comparison["head"]) == ("missing", None, 0.9)
    assert METRICS[case][1][0] in comparison["reason"]


def test_metrics_of_100_megabytes_are_not_loaded(plain: Project) -> None:
    with (plain.root / "metrics.json").open("wb") as stream:
        stream.truncate(100_000_000)
    plain.branch()
    (comparison,) = plain.ci_ml("check", "--format", "json").expect(11).json()["comparisons"]
    assert "cannot be read in the head: metrics.json is 100 MB large" in comparison["reason"]
    plain.git("-c", "core.compression=1", "add", "metrics.json")
    plain.git("commit", "--quiet", "--message", "large")
    plain.write("metrics.json", {"accuracy": 0.9})
    (comparison,) = plain.ci_ml("check", "--base", "HEAD", "--format", "json").expect(11).json()["comparisons"]
    assert "cannot be read in the base: metrics.json is 100 MB large" in comparison["reason"]


def test_yaml_that_expands_without_end(plain: Project) -> None:
    lines = "".join(
        f"{b}: &{b} {{{', '.join(f'k{n}: *{a}' for n in range(9))}}}\n"
        for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    plain.write("m.yaml", "accuracy: 1\na: &a {k: 1}\n" + lines)
    plain.write("ci-ml.yaml", GATES.replace("metrics.json", "m.yaml"))
    (comparison,) = plain.ci_ml("check", "--policy", "head", "--format", "json").expect(11).json()["comparisons"]
    assert "m.yaml" in comparison["reason"]


def test_a_pipe_instead_of_a_file_does_not_hang(plain: Project) -> None:
    plain.remove("metrics.json")
    os.mkfifo(plain.root / "metrics.json")
    (comparison,) = plain.ci_ml("check", "--format", "json").expect(11).json()["comparisons"]
    assert "not a regular file" in comparison["reason"]


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("nosuch.json:accuracy", "exists neither in the base nor in the head"),
        ("metrics.json:nosuch", "exists neither in the base nor in the head"),
        ("eval/*.json:accuracy", "matches no metric of the base or of the head"),
        ("metrics.json:test.*", "matches no metric of the base or of the head"),
        ("**/nosuch*.yaml:**", "matches no metric of the base or of the head"),
    ],
)
def test_a_gate_whose_metric_exists_nowhere(plain: Project, metric: str, words: str) -> None:
    plain.write("ci-ml.yaml", GATES.replace("metrics.json:accuracy", metric))
    plain.commit()
    plain.write("notes.txt", "a change")
    report = plain.ci_ml("check", "--format", "json").expect(11).json()
    assert words in report["verdict"]["sentence"]
    assert metric in report["verdict"]["sentence"]


def test_a_broken_file_under_a_glob_is_not_dropped(plain: Project) -> None:
    plain.write("eval/one.json", {"acc": 1})
    plain.write("eval/two.json", {"acc": 1})
    plain.write("ci-ml.yaml", GATES.replace("metrics.json:accuracy", "eval/*.json:acc"))
    plain.commit()
    plain.branch()
    plain.write("eval/two.json", '{"acc": ')
    plain.commit()
    report = plain.ci_ml("check", "--format", "json").expect(11).json()
    statuses = {item["metric"]: item["status"] for item in report["comparisons"]}
    assert statuses["eval/one.json:acc"] == "unchanged"
    assert statuses["eval/two.json:acc"] == "missing"


def test_cached_metrics_that_are_nowhere_are_undecided(project: Project) -> None:
    project.edit("dvc.yaml", "metrics: [metrics.json: {cache: false}]", "metrics: [metrics.json]")
    project.git("rm", "--quiet", "--cached", "metrics.json")
    project.write(".gitignore", project.read(".gitignore") + "/metrics.json\n")
    project.commit()
    project.branch()
    project.write("notes.txt", "a change")
    project.commit()
    clone = project.clone("clone", "--branch", "change")
    report = clone.ci_ml("check", "--base", "origin/main", "--format", "json").expect(11).json()
    assert (
        "metrics.json is tracked by DVC, and neither in its cache nor to be had from a remote"
        in report["comparisons"][0]["reason"]
    )


# --- Names ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_paths_with_spaces_and_letters_beyond_ascii(project: Project) -> None:
    target = project.root.parent / "ein Ördner mit 模型 & 'quotes'"
    project.root.rename(target)
    odd = Project(root=target, env=project.env)
    odd.write("éval finale/mé trics.json", {"précision (%)": 0.9})
    odd.write("ci-ml.yaml", CI_ML_YAML + "  - {metric: 'éval finale/*.json:précision (%)', direction: higher}\n")
    odd.commit()
    odd.git("checkout", "--quiet", "-b", "ünter/zweig")
    odd.write("éval finale/mé trics.json", {"précision (%)": 0.8})
    odd.edit("params.yaml", "steps: 3", "steps: 2")
    result = odd.ci_ml("ci", "--format", "json").expect(10)
    report = result.json()
    assert report["comparisons"][0]["metric"] == "éval finale/mé trics.json:précision (%)"
    assert report["comparisons"][0]["status"] == "regressed"
    odd.ci_ml("verify").expect(0)
    assert "éval finale" in odd.ci_ml("check").expect(10).out


def test_a_name_that_is_not_utf8_is_no_obstacle(plain: Project) -> None:
    (plain.root / os.fsdecode(b"\xff\n.json")).write_text("{}")
    plain.write("metrics.json", {"accuracy": 0.5})
    plain.commit()
    plain.ci_ml("check").expect(10)
    plain.ci_ml("diff").expect(0)


def test_a_terminal_that_cannot_show_every_letter(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    for variables in ({"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}):
        assert "accuracy fell from" in plain.ci_ml("check", env=variables).expect(10).out


# --- Output -----------------------------------------------------------------------------------------------------------------------


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))


def test_a_full_disk_leaves_no_report_rather_than_the_old_one(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    plain.ci_ml("check").expect(10)
    plain.write("metrics.json", {"accuracy": 0.6})
    refused(plain.ci_ml("check", preexec_fn=small_files), 3, ".ci-ml/report.json could not be written", "--output DIR")
    left = {place.name for place in (plain.root / ".ci-ml").iterdir()}
    assert left == {".gitignore", "records"}  # what was recorded of the first verdict stays true


@pytest.mark.parametrize("command", ["check", "train"])
def test_an_output_folder_that_cannot_be_made(project: Project, command: str) -> None:
    project.write("notes.txt", "a change")
    refused(project.ci_ml(command, "--output", "notes.txt/deeper"), 3, "notes.txt/deeper", "could not be written")
    refused(project.ci_ml(command, "--output", "notes.txt"), 3, "notes.txt", "could not be written")


def test_a_full_disk_behind_stdout(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    result = plain.run("sh", "-c", 'exec "$0" -m ci_ml check > /dev/full', sys.executable).expect(3)
    assert "error: the output could not be written: the disk is full" in result.err


def test_no_stdout_at_all(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    plain.run("sh", "-c", 'exec "$0" -m ci_ml check >&-', sys.executable).expect(10)


# --- report.json --------------------------------------------------------------------------------------------------------------------

REPORTS: dict[str, tuple[str | bytes | None, list[str]]] = {
    "missing": (None, ["there is no report", "ci-ml check"]),
    "empty": ("", ["not strict JSON"]),
    "cut off": ('{"schema": "ci-ml/report/v1", ', ["not strict JSON"]),
    "binary": (b"\xff\xfe\x00", ["not strict JSON"]),
    "NaN": ('{"schema": "ci-ml/report/v1", "x": NaN}', ["not strict JSON", "NaN"]),
    "deep": ("[" * 100_000, ["not strict JSON"]),
    "a list": ("[]", ["is not a report of ci-ml"]),
    "something else": ('{"schema": "ci-ml/diff/v1"}', ["is not a report of ci-ml", "ci-ml/diff/v1"]),
    "newer": ('{"schema": "ci-ml/report/v2"}', ["has the schema ci-ml/report/v2", "update ci-ml"]),
    "an endless schema": (
        json.dumps({"schema": "ci-ml/report/v" + "9" * 1_000_000}),
        ["has the schema ci-ml/report/v999"],
    ),
    "not UTF-8": ('{"schema": "ci-ml/report/v1", "x": "\u00e9"}'.encode("latin-1"), ["not strict JSON"]),
    "deep and closed": ('{"schema": "ci-ml/report/v1", "x": ' + "[" * 50_000 + "]" * 50_000 + "}", ["not strict JSON"]),
    "endless digits": ('{"schema": "ci-ml/report/v1", "x": ' + "9" * 100_000 + "}", ["not strict JSON"]),
    "too large": ('{"schema": "ci-ml/report/v1", "x": "' + "x" * 2**26 + '"}', ["reports of up to 64 MiB are read"]),
    "incomplete": (
        '{"schema": "ci-ml/report/v1", "verdict": {"outcome": "great"}}',
        ["is not a valid report", "verdict.outcome"],
    ),
}


@pytest.mark.parametrize("case", REPORTS)
def test_a_report_that_is_none(plain: Project, case: str) -> None:
    content, words = REPORTS[case]
    if content is not None:
        plain.write("report.json", content)
    refused(plain.ci_ml("report", "report.json"), 2, "report.json", *words)


def test_no_format_is_made_of_one_that_is_none(plain: Project) -> None:
    plain.write("report.json", REPORTS["incomplete"][0])
    for form in ("html", "json", "junit"):
        refused(plain.ci_ml("report", "report.json", "--format", form, "--to", "out"), 2, *REPORTS["incomplete"][1])
    assert not (plain.root / "out").exists()


def test_a_report_of_an_older_version_of_the_same_schema_is_read(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    report = plain.ci_ml("check", "--format", "json").expect(10).json()
    report["of the future"] = {"x": 1}
    report["comparisons"][0]["of the future"] = 1
    report["tool"]["version"] = "99.0"
    plain.write("report.json", json.dumps(report))
    assert "accuracy fell from" in plain.ci_ml("report", "report.json").expect(0).out
    again = strict(plain.ci_ml("report", "report.json", "--format", "json").expect(0).out)
    assert again["verdict"] == report["verdict"]


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["check", "--nosuch"], ["check", "--format", "xml"], ["check", "extra"], ["report", "."]]
)
def test_a_command_line_that_is_none(plain: Project, arguments: list[str]) -> None:
    result = plain.ci_ml(*arguments).expect(2)
    assert result.out == ""
    assert "Usage: " in result.err
