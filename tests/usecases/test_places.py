"""Where gates, params and stages stand in the files of a repository."""

import os

import pytest

from ci_ml.core.changes import StageChange, ValueChange
from ci_ml.core.exhibits import LocationPart
from ci_ml.core.types import Metric, MetricKey, TableKey
from ci_ml.usecases import places
from ci_ml.usecases.evidence import Side
from ci_ml.wiring import workspace
from tests.repositories import Repository

GATES = """\
version: 1
predictions:
  test: {path: p.csv, task: binary, id: i, label: y, score: s}
gates:
  # a comment
  - metric: test.recall
    margin: 0.01

  - metric: test.recall
    gap: {by: plan}

  - {metric: "m.json:acc", direction: higher}
  - metric: 'eval/*.json:test.*'
    direction: higher
  - metric: '**/*.json:**'
    direction: higher
  - metric: seeds/*.json:acc
    direction: higher
    repeats: true
"""


def side(repository: Repository, folder: str = "") -> Side:
    return workspace.find(None, None, cwd=repository.root / folder, env=os.environ).head_side()


def key(text: str) -> MetricKey:
    path, _, name = text.partition(":")
    return MetricKey(path=path, key=name)


def lines(found: dict[str, LocationPart]) -> dict[str, int | None]:
    assert {place.path for place in found.values()} <= {"ci-ml.yaml"}
    return {name: place.line for name, place in found.items()}


@pytest.mark.parametrize(
    ("metric", "line"),
    [
        (TableKey(table="test", metric="recall"), 6),
        (TableKey(table="test", metric="recall", gap=("plan",)), 9),
        (TableKey(table="test", metric="precision"), None),
        (key("m.json:acc"), 12),
        (key("eval/a.json:test.acc"), 13),
        (key("eval/*.json:test.*"), 13),  # which matched nothing
        (key("eval/broken.json:test.*"), 13),  # which could not be read
        (key("a/b.json:test.acc"), 15),
        (key("seeds/*.json:acc"), 17),
        (key("m.yaml:acc"), None),
    ],
)
def test_a_gate_stands_where_its_entry_does(repository: Repository, metric: Metric, line: int | None) -> None:
    repository.commit({"ci-ml.yaml": GATES})
    assert lines(places.gates(side(repository), [metric])) == {str(metric): line}


def test_the_files_of_a_gate_on_repeats_are_no_gates_of_their_own(repository: Repository) -> None:
    entries = (
        "{metric: 'seeds/*.json:acc', direction: higher, repeats: true}",
        "{metric: '**:acc', direction: higher}",
    )
    repository.commit({"ci-ml.yaml": "version: 1\ngates:\n" + "".join(f"  - {entry}\n" for entry in entries)})
    metrics = [key("seeds/1.json:acc"), key("seeds/*.json:acc")]
    assert lines(places.gates(side(repository), metrics)) == {"seeds/1.json:acc": 4, "seeds/*.json:acc": 3}


def test_a_gate_that_is_made_of_another_stands_where_it_is_written(repository: Repository) -> None:
    repeated = "&g {metric: 'm.json:a', direction: higher}"
    repository.commit({"ci-ml.yaml": f"version: 1\ngates:\n  - {repeated}\n  - {{<<: *g, metric: 'm.json:b'}}\n"})
    found = places.gates(side(repository), [key("m.json:a"), key("m.json:b")])
    assert lines(found) == {"m.json:a": 3, "m.json:b": 4}


@pytest.mark.parametrize("content", ["gates: [", "version: 1\ngates: 7\n", "\xff", "", "- 1\n"])
def test_a_file_that_cannot_be_read_has_no_lines(repository: Repository, content: str) -> None:
    repository.commit({"ci-ml.yaml": content})
    assert lines(places.gates(side(repository), [key("m.json:a")])) == {"m.json:a": None}


def test_without_a_configuration_there_is_no_place(repository: Repository) -> None:
    repository.commit({"other": ""})
    assert places.gates(side(repository), [key("m.json:a")]) == {}


def test_a_project_in_a_folder_has_paths_of_the_repository(repository: Repository) -> None:
    params = "train:\n  rate: 0.1\n"
    repository.commit({"a b/ci-ml.yaml": GATES, "a b/params.yaml": params, "shared.yaml": "x: 1\n"})
    head = side(repository, "a b")
    (place,) = places.gates(head, [key("m.json:acc")]).values()
    assert place == LocationPart(path="a b/ci-ml.yaml", line=12)
    changed = [changes("params.yaml", "train.rate"), changes("../shared.yaml", "x")]
    assert list(places.params(head, changed).values()) == [
        LocationPart(path="a b/params.yaml", line=2),
        LocationPart(path="shared.yaml", line=1),
    ]


def changes(path: str, name: str) -> ValueChange:
    return ValueChange(metric=MetricKey(path=path, key=name), base=1, head=2)


PARAMS = """\
train:
  # a comment
  rate: 0.1
  layers:
    - 64
    - 32
  deep: {one: 1,
    two: 2}
"a.b": 1
base: &base
  depth: 3
tree:
  <<: *base
  leaves: 7
3: x
"""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("train.rate", 3),
        ("train.layers", 4),
        ("train.deep.two", 8),
        ("a.b", 9),
        ("tree.leaves", 14),
        ("tree.depth", 12),  # merged from elsewhere
        ("3", 15),
        ("train.gone", 1),
        ("gone", None),
        ("", None),
    ],
)
def test_a_param_stands_at_its_key(repository: Repository, name: str, line: int | None) -> None:
    repository.commit({"ci-ml.yaml": GATES, "params.yaml": PARAMS})
    found = places.params(side(repository), [changes("params.yaml", name)])
    assert found == {("params.yaml", name): LocationPart(path="params.yaml", line=line)}


@pytest.mark.parametrize(
    ("path", "content"),
    [("p.py", "a = 1\n"), ("p.yaml", "a: [\n"), ("p.json", '{"a": 1'), ("p.toml", "a ="), ("p.yaml", "\xff")],
)
def test_a_param_without_a_line_is_in_its_file(repository: Repository, path: str, content: str) -> None:
    repository.commit({"ci-ml.yaml": GATES, path: content})
    assert places.params(side(repository), [changes(path, "a")]) == {(path, "a"): LocationPart(path=path)}


JSON = """\
{
  "train": {"rate": 0.1,
    "layers": [64, {"rate": 1}],
    "deep": {
      "one": 1, "t\\u0077o": "}"
    }
  },
  "a.b": 1,
  "last": null
}
"""
TOML = """\
name = "x"

[train]  # a comment
rate = 0.1
layers = [
  64,  # rate = 3
  32,
]
deep.one = 1
"a.b" = 1
[train.more]
inline = {one = 1, two = {three = 3}}
last = 1
"""


@pytest.mark.parametrize(
    ("path", "name", "line"),
    [
        ("p.json", "train.rate", 2),
        ("p.json", "train.layers", 3),
        ("p.json", "train.deep.one", 5),
        ("p.json", "train.deep.two", 5),
        ("p.json", "a.b", 8),
        ("P.JSON", "last", 9),
        ("p.json", "train.gone", 2),
        ("p.json", "gone", None),
        ("p.toml", "name", 1),
        ("p.toml", "train.rate", 4),
        ("p.toml", "train.layers", 5),
        ("p.toml", "train.deep.one", 9),
        ("p.toml", "train.a.b", 10),
        ("p.toml", "train.more.inline.two.three", 12),
        ("p.toml", "train.more.last", 13),
        ("p.toml", "train.more.gone", 11),
        ("p.toml", "gone", None),
    ],
)
def test_a_param_of_json_or_toml_stands_at_its_key(
    repository: Repository, path: str, name: str, line: int | None
) -> None:
    repository.commit({"ci-ml.yaml": GATES, path: JSON if path.lower().endswith("json") else TOML})
    found = places.params(side(repository), [changes(path, name)])
    assert found == {(path, name): LocationPart(path=path, line=line)}


@pytest.mark.parametrize("path", ["../elsewhere.py", "/etc/params.py", "a/../../b.yaml"])
def test_a_file_outside_of_the_repository_has_no_place(repository: Repository, path: str) -> None:
    repository.commit({"ci-ml.yaml": GATES})
    assert places.params(side(repository), [changes(path, "a")]) == {}


def test_a_file_that_is_gone_has_no_place(repository: Repository) -> None:
    repository.commit({"ci-ml.yaml": GATES})
    assert places.params(side(repository), [changes("params.yaml", "a")]) == {}


DVC = """\
stages:
  prepare:
    cmd: python prepare.py
  fold:
    foreach: [1, 2]
    do:
      cmd: python fold.py ${item}
  grid:
    matrix:
      lr: [1, 2]
    cmd: python grid.py ${item.lr}
"""


def stages(found: Side, *names: str) -> dict[str, LocationPart]:
    return places.stages(found, [StageChange(name=name, change="changed") for name in names])


def test_a_stage_stands_in_its_own_file(repository: Repository) -> None:
    below = "stages:\n  # first\n  train:\n    cmd: python train.py\n"
    repository.commit({".dvc/config": "", "ci-ml.yaml": GATES, "dvc.yaml": DVC, "models/dvc.yaml": below})
    names = ("prepare", "fold@1", "fold@2", "grid@1", "models/dvc.yaml:train", "gone")
    assert stages(side(repository), *names) == {
        "prepare": LocationPart(path="dvc.yaml", line=2),
        "fold@1": LocationPart(path="dvc.yaml", line=4),
        "fold@2": LocationPart(path="dvc.yaml", line=4),
        "grid@1": LocationPart(path="dvc.yaml", line=8),
        "models/dvc.yaml:train": LocationPart(path="models/dvc.yaml", line=3),
    }


def test_a_stage_of_a_project_in_a_folder_has_a_path_of_the_repository(repository: Repository) -> None:
    repository.commit({"p/.dvc/config": "", "p/ci-ml.yaml": GATES, "p/dvc.yaml": "stages:\n  train:\n    cmd: x\n"})
    assert stages(side(repository, "p"), "train") == {"train": LocationPart(path="p/dvc.yaml", line=2)}
