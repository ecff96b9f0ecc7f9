"""`ci-ml diff` reads the values that `dvc metrics diff` reads; DVC itself says what those are."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project, copy, strict

# Every file at three states: the first commit, the second, and the work tree on top of it. None: it is not there.
States = tuple[str | None, str | None, str | None]

FILES: dict[str, States] = {
    "flat.json": ('{"acc": 0.9, "loss": 1}', '{"acc": 0.91, "loss": 1}', '{"acc": 0.92, "loss": 2}'),
    "nested.json": (
        '{"test": {"acc": 0.9, "f1": {"macro": 0.5, "micro": 0.6}}, "n": 3}',
        '{"test": {"acc": 0.8, "f1": {"macro": 0.7}}, "n": 3}',
        '{"test": {"acc": 0.8}, "n": 4}',
    ),
    "kinds.json": (
        '{"on": true, "name": "a", "list": [1, 2], "none": null, "empty": {}, "n": 1, "big": 12345678901234567890}',
        '{"on": false, "name": "b", "list": [1, 3], "none": 1, "empty": {"x": 1}, "n": 1.0, "big": 12345678901234567891}',
        '{"on": true, "name": "b", "list": {"a": 1}, "none": null, "empty": {}, "n": "1", "big": 1}',
    ),
    "keys.json": (
        '{"a.b": 1, "a": {"c": 2}, "": 3, "ä ö": 4, "0": 5, "twice": 1, "twice": 2}',
        '{"a.b": 2, "a": {"c": 3}, "": 4, "ä ö": 5, "0": 6, "twice": 2, "twice": 3}',
        '{"a": {"b": 1, "c": 2}}',
    ),
    "scalars.yaml": (
        "e: 1e3\ndot: 1.\nhalf: .5\nhex: 0x1F\noct: 0o17\nold: 017\nunder: 1_000\nyes: yes\non: on\nquoted: '1'\nsign: +1\n",
        "e: 2e3\ndot: 2.\nhalf: .6\nhex: 0x2F\noct: 0o27\nold: 027\nunder: 2_000\nyes: no\non: off\nquoted: '2'\nsign: -1\n",
        "e: 1.5e-3\ndot: 1\nhalf: 0.5\nhex: 31\noct: 15\nold: 17\nunder: 1000\nyes: true\non: false\nquoted: 1\nsign: 1\n",
    ),
    "shapes.yaml": (
        "base: &base {lr: 0.1, wd: 0.2}\nown: {<<: *base, lr: 0.3}\n1: 10\nyes: {no: 1}\nday: 2024-01-31\ntext: |\n  two\n  lines\n",
        "base: &base {lr: 0.2, wd: 0.2}\nown: {<<: *base, lr: 0.4}\n1: 11\nyes: {no: 2}\nday: 2024-02-01\ntext: two\n",
        "base: {lr: 0.2}\nown: {lr: 0.4, wd: 0.2}\n1: 12\n",
    ),
    "special.json": (
        '{"nan": NaN, "inf": Infinity, "ninf": -Infinity, "n": 1}',
        '{"nan": 1.0, "inf": 2.0, "ninf": -Infinity, "n": NaN}',
        '{"nan": NaN, "inf": 0.5, "ninf": 1, "n": 1}',
    ),
    "special.yaml": ("nan: .nan\ninf: .inf\n", "nan: 1.0\ninf: -.inf\n", "nan: 2.0\ninf: 1.0\n"),
    "table.toml": (
        '[test]\nacc = 0.9\nok = true\nname = "x"\n[test.deep]\nn = 1_000\n',
        '[test]\nacc = 0.8\nok = false\nname = "y"\n[test.deep]\nn = 2_000\n',
        "[test]\nacc = 0.7\n",
    ),
    "number.json": ("0.9", "0.8", "0.7"),
    "number.txt": ("1e-3\n", "2e-3\n", "3\n"),
    "comes.json": (None, '{"acc": 0.5}', '{"acc": 0.6}'),
    "goes.json": ('{"acc": 0.5}', None, None),
    "gone.yaml": ("acc: 0.5\n", "acc: 0.6\n", None),
    "deep/er/föö bar.json": ('{"acc": 0.1}', '{"acc": 0.2}', '{"acc": 0.3}'),
    "folder/one.json": ('{"acc": 0.1}', '{"acc": 0.2}', '{"acc": 0.2}'),
    "folder/sub/two.yaml": ("acc: 0.1\n", "acc: 0.2\n", "acc: 0.3\n"),
}

# Metrics that stages write into DVC's cache: one file, one folder, one at a path made of variables, one of a second dvc.yaml.
CACHED: dict[str, tuple[str, str]] = {
    "cached.json": ('{"acc": 0.1}', '{"acc": 0.2}'),
    "cached/a.json": ('{"acc": 0.3}', '{"acc": 0.4}'),
    "cached/b/c.yaml": ("acc: 0.5\n", "acc: 0.6\n"),
    "out/v2/scores.json": ('{"acc": 0.7}', '{"acc": 0.8}'),
    "out/loop-de.json": ('{"acc": 0.11}', '{"acc": 0.12}'),
    "out/loop-fr.json": ('{"acc": 0.13}', '{"acc": 0.14}'),
    "second/own.json": ('{"acc": 0.9}', '{"acc": 0.95}'),
}

DVC_YAML = """\
vars: [{place: v2}, {langs: [de, fr]}]
stages:
  file:
    cmd: cp source/cached.json cached.json
    deps: [source/cached.json]
    metrics: [cached.json]
  folder:
    cmd: mkdir -p cached && cp -r source/cached/. cached
    deps: [source/cached]
    metrics: [cached]
  templated:
    cmd: cp source/out/${place}/scores.json out/${place}/scores.json
    deps: ["source/out/${place}/scores.json"]
    metrics: ["out/${place}/scores.json"]
  loop:
    foreach: ${langs}
    do:
      cmd: cp source/out/loop-${item}.json out/loop-${item}.json
      deps: ["source/out/loop-${item}.json"]
      metrics: ["out/loop-${item}.json": {cache: false}]
"""

SECOND_YAML = """\
metrics: [../comes.json, declared.yaml]
params: [own-params.toml]
stages:
  own:
    cmd: cp ../source/second/own.json own.json
    deps: [../source/second/own.json]
    params: [own-params.toml: [a.b]]
    metrics: [own.json]
"""

_REPRODUCE = """
from dvc.repo import Repo
with Repo() as repo:
    repo.reproduce(["."], recursive=True)
"""

_DIFF = """
import json, sys
from dvc.repo import Repo
found = {}
with Repo() as repo:
    for pair in json.loads(sys.argv[1]):
        one, other = pair
        found[f"{one}..{other}"] = [repo.metrics.diff(one, other, all=True)["diff"], repo.params.diff(one, other, all=True)["diff"]]
print(json.dumps(found))
"""

PAIRS = [("first", "second"), ("second", "first"), ("first", "workspace"), ("second", "workspace"), ("third", "first")]


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What ci-ml and DVC say about each pair of revisions."""

    ours: dict[str, Any]
    dvc: dict[str, Any]


def _lay(project: Project, state: int) -> None:
    for path, states in FILES.items():
        content = states[state]
        if content is not None:
            project.write(path, content)
        elif (project.root / path).exists():
            project.remove(path)
    project.write("second/declared.yaml", f"acc: 0.{state}\n")
    project.write("second/own-params.toml", f'[a]\nb = {state}\nc = "x"\n')
    project.write("params.yaml", f"train: {{lr: 0.{state}, names: [a, b{state}]}}\nsame: 1\n")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """Tags first, second and third (without DVC's files in between), and an edited work tree."""
    folder = tmp_path_factory.mktemp("diff")
    project = Project(root=folder / "repo", env=environment)
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.dvc("init", "--quiet")
    declared = [path for path in FILES if not path.startswith("folder/")]
    declared = [path for path in declared if path != "comes.json"]
    project.write("dvc.yaml", DVC_YAML + f"metrics: {[*declared, 'folder']}\nparams: [params.yaml]\n")
    project.write("second/dvc.yaml", SECOND_YAML)
    project.write("out/v2/keep", "")
    for state, name in enumerate(("first", "second")):
        for path, contents in CACHED.items():
            project.write(f"source/{path}", contents[state])
        _lay(project, state)
        done = project.run(sys.executable, "-c", _REPRODUCE)
        assert done.code == 0, done.text
        project.commit(name)
        project.git("tag", name)
    project.remove("nested.json")
    project.commit("third")
    project.git("tag", "third")
    project.git("revert", "--no-edit", "HEAD")
    _lay(project, 2)
    return folder


@pytest.fixture(scope="module")
def both(repository: Path, environment: dict[str, str]) -> Differences:
    """Every pair, asked of ci-ml as a process and of DVC as a library."""
    project = Project(root=repository / "repo", env=environment)
    truth = project.run(sys.executable, "-c", _DIFF, json.dumps(PAIRS))
    assert truth.code == 0, truth.text
    ours = {}
    for one, other in PAIRS:
        head = [] if other == "workspace" else ["--head", other]
        ours[f"{one}..{other}"] = (
            project.ci_ml("diff", "--all", "--format", "json", "--base", one, *head).expect(0).json()
        )
    return Differences(ours=ours, dvc=json.loads(truth.out))


def values(section: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """The metrics of a diff without what DVC leaves out: lists and dates. What has nothing on either side is left out."""
    pairs = {item["metric"]: (_plain(item["base"]), _plain(item["head"])) for item in section}
    return {key: pair for key, pair in pairs.items() if pair != (None, None)}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return None
    if isinstance(value, str) and value in ("2024-01-31", "2024-02-01"):
        return None
    return value


def truth(section: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The metrics of DVC's diff by `file:key`, with NaN and infinity as text."""
    found = {}
    for path, keys in section.items():
        for key, pair in keys.items():
            found[f"{path}:{key}" if key else path] = (_text(pair["old"]), _text(pair["new"]))
    return {key: pair for key, pair in found.items() if pair != (None, None)}


def _text(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


@pytest.mark.parametrize("pair", [f"{one}..{other}" for one, other in PAIRS])
@pytest.mark.parametrize("path", [*FILES, *CACHED, "second/declared.yaml"])
def test_the_values_are_those_of_dvc_metrics_diff(both: Differences, path: str, pair: str) -> None:
    def of(found: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in found.items() if key == path or key.startswith(f"{path}:")}

    assert of(values(both.ours[pair]["metrics"])) == of(truth(both.dvc[pair][0]))


@pytest.mark.parametrize("pair", [f"{one}..{other}" for one, other in PAIRS])
def test_no_file_is_missed_and_none_is_invented(both: Differences, pair: str) -> None:
    assert values(both.ours[pair]["metrics"]).keys() == truth(both.dvc[pair][0]).keys()


@pytest.mark.parametrize("pair", [f"{one}..{other}" for one, other in PAIRS])
def test_the_parameters_are_those_of_dvc_params_diff(both: Differences, pair: str) -> None:
    def text(value: Any) -> Any:
        return str(value) if isinstance(value, list) else value  # as DVC shows lists

    ours = {
        f"{item['path']}:{item['key']}": (text(item["base"]), text(item["head"])) for item in both.ours[pair]["params"]
    }
    assert ours == truth(both.dvc[pair][1])


def test_the_command_of_dvc_says_the_same_as_its_library(
    both: Differences, repository: Path, environment: dict[str, str]
) -> None:
    project = Project(root=repository / "repo", env=environment)
    shown = json.loads(project.dvc("metrics", "diff", "first", "second", "--json", "--all"))
    assert truth(shown) == truth(both.dvc["first..second"][0]) == values(both.ours["first..second"]["metrics"])


def test_a_delta_is_head_minus_base_of_two_numbers_and_null_otherwise(both: Differences) -> None:
    items = {item["metric"]: item for item in both.ours["first..second"]["metrics"]}
    assert items["flat.json:acc"]["delta"] == pytest.approx(0.01)
    assert items["flat.json:loss"]["delta"] == 0
    for name in (
        "kinds.json:on",
        "kinds.json:name",
        "kinds.json:list",
        "special.json:nan",
        "goes.json:acc",
        "comes.json:acc",
    ):
        assert items[name]["delta"] is None, name


def test_what_is_absent_on_one_side_is_null(both: Differences) -> None:
    items = {item["metric"]: item for item in both.ours["first..second"]["metrics"]}
    assert (items["comes.json:acc"]["base"], items["comes.json:acc"]["head"]) == (None, 0.5)
    assert (items["goes.json:acc"]["base"], items["goes.json:acc"]["head"]) == (0.5, None)


def test_lists_are_shown_although_dvc_drops_them(both: Differences) -> None:
    items = {item["metric"]: item for item in both.ours["first..second"]["metrics"]}
    assert (items["kinds.json:list"]["base"], items["kinds.json:list"]["head"]) == ([1, 2], [1, 3])


def test_without_all_only_what_differs_is_shown(repository: Path, environment: dict[str, str]) -> None:
    project = Project(root=repository / "repo", env=environment)
    found = project.ci_ml("diff", "--base", "first", "--head", "second", "--format", "json").expect(0).json()
    names = {item["metric"] for item in found["metrics"]}
    assert "flat.json:acc" in names
    assert "flat.json:loss" not in names
    assert "kinds.json:n" not in names  # 1 and 1.0
    assert {"path": "params.yaml", "key": "same", "base": 1, "head": 1} not in found["params"]


def test_one_commit_twice_is_an_empty_diff(repository: Path, environment: dict[str, str]) -> None:
    project = Project(root=repository / "repo", env=environment)
    found = project.ci_ml("diff", "--base", "first", "--head", "first", "--format", "json").expect(0).json()
    assert [found[part] for part in ("metrics", "params", "data", "stages")] == [[], [], [], []]
    assert found["schema"] == "ci-ml/diff/v1"


def test_a_broken_metrics_file_is_a_notice_and_the_rest_is_shown(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    copy(repository, tmp_path / "p")
    project = Project(root=tmp_path / "p" / "repo", env=environment)
    project.write("flat.json", '{"acc": ')
    found = project.ci_ml("diff", "--base", "second", "--format", "json").expect(0).json()
    assert any("flat.json" in notice for notice in found["notices"])
    assert any(item["metric"] == "nested.json:n" for item in found["metrics"])


def test_cached_metrics_are_had_from_the_remote_in_a_fresh_clone(project: Project) -> None:
    project.edit("dvc.yaml", "metrics: [metrics.json: {cache: false}]", "metrics: [metrics.json]")
    project.git("rm", "--quiet", "--cached", "metrics.json")
    project.write(".gitignore", project.read(".gitignore") + "/metrics.json\n")
    done = project.run(sys.executable, "-c", _REPRODUCE + "    repo.push()\n")
    assert done.code == 0, done.text
    project.commit()
    clone = project.clone("clone")
    found = clone.ci_ml("diff", "--base", "HEAD^", "--all", "--format", "json").expect(0).json()
    accuracy = next(item for item in found["metrics"] if item["metric"] == "metrics.json:accuracy")
    assert accuracy["base"] == accuracy["head"] == project.json("metrics.json")["accuracy"]


@pytest.mark.thorough
def test_data_and_stages_that_changed(project: Project) -> None:
    before = project.digest("data/raw.csv")
    project.branch()
    project.write("data/raw.csv", project.read("data/raw.csv") + "9.9,1\n")
    project.edit("dvc.yaml", "cmd: python src/train.py\n", "cmd: python -u src/train.py\n")
    project.dvc("add", "--quiet", "data/raw.csv")
    after = project.digest("data/raw.csv")
    found = project.ci_ml("diff", "--format", "json").expect(0).json()
    assert found["data"] == [{"path": "data/raw.csv", "base": f"md5:{before}", "head": f"md5:{after}"}]
    assert found["stages"] == [{"name": "train", "change": "changed", "what": ["command"]}]
    project.edit("dvc.yaml", "  evaluate:\n", "  report:\n    cmd: 'true'\n  evaluate:\n")
    project.commit()
    shown = project.ci_ml("diff", "--head", "HEAD", "--base", "main").expect(0).out
    assert "data/raw.csv" in shown
    assert "report" in shown
    back = project.ci_ml("diff", "--head", "main", "--base", "HEAD", "--format", "json").expect(0).json()
    assert {"name": "report", "change": "removed", "what": []} in back["stages"]


def test_a_byte_order_mark_is_no_obstacle_although_dvc_gives_up_on_it(plain: Project) -> None:
    plain.dvc("init", "--quiet")
    plain.write("dvc.yaml", "metrics: [metrics.json]\n")
    plain.commit()
    plain.write("metrics.json", '{"accuracy": 0.5}'.encode("utf-8-sig"))
    (item,) = plain.ci_ml("diff", "--format", "json").expect(0).json()["metrics"]
    assert (item["metric"], item["base"], item["head"]) == ("metrics.json:accuracy", 0.9, 0.5)


def test_json_of_a_diff_is_strict_and_alone_on_stdout(plain: Project) -> None:
    plain.write("dvc.yaml", "metrics: [metrics.json]\n")
    plain.dvc("init", "--quiet")
    plain.write("metrics.json", '{"accuracy": NaN, "loss": -Infinity, "huge": 1e999}')
    result = plain.ci_ml("diff", "--format", "json").expect(0)
    found = {item["metric"]: item for item in strict(result.out)["metrics"]}
    assert found["metrics.json:accuracy"] == {**found["metrics.json:accuracy"], "head": "NaN", "delta": None}
    assert found["metrics.json:huge"]["head"] == "Infinity"
    assert result.err == ""
