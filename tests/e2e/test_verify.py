"""`ci-ml verify` agrees with what `dvc repro` would do, in a checkout with all data and in a fresh clone with none."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.project import Project, copy

# What needs DVC's resolver, or its reader of Python, is a pipeline of its own, because that takes longer.
TEMPLATED_YAML = """\
vars: [vars.yaml]
stages:
  loop:
    foreach: ${langs}
    do:
      cmd: echo ${item} ${factor} > work/loop-${item}.txt
      deps: [code/loop.sh]
      outs: ["work/loop-${item}.txt"]
  grid:
    matrix: {size: [1, 2], kind: [a, b]}
    cmd: echo ${item.size} ${item.kind} > work/grid-${item.size}-${item.kind}.txt
    deps: [code/loop.sh]
    outs: ["work/grid-${item.size}-${item.kind}.txt"]
  settings:
    cmd: cat settings.py > work/settings.txt
    params:
      - settings.py: [RATE, SIZES, Model.depth]
      - conf.toml: [a.b]
      - conf.json: [x]
      - whole.yaml:
    outs: [work/settings.txt]
"""

DVC_YAML = """\
stages:
  prepare:
    cmd: cat data/raw.csv data/images/*.txt > work/clean.csv
    deps: [data/raw.csv, data/images]
    outs: [work/clean.csv]
  train:
    cmd: cat work/clean.csv code/train.sh params.yaml > model.bin
    deps: [work/clean.csv, code/train.sh, lib]
    params: [train.rate, train.layers, train.name]
    outs: [model.bin]
  evaluate:
    cmd: printf '{"size":%s}' $(cat model.bin | wc -c) > metrics.json
    deps: [model.bin]
    metrics: [metrics.json: {cache: false}]
  frozen:
    frozen: true
    cmd: cat code/frozen.sh > work/frozen.txt
    deps: [code/frozen.sh]
    outs: [work/frozen.txt]
  after-frozen:
    cmd: cat work/frozen.txt > work/after-frozen.txt
    deps: [work/frozen.txt]
    outs: [work/after-frozen.txt]
  always:
    always_changed: true
    cmd: cat code/always.sh > work/always.txt
    deps: [code/always.sh]
    outs: [work/always.txt]
  after-always:
    cmd: cat work/always.txt > work/after-always.txt
    deps: [work/always.txt]
    outs: [work/after-always.txt]
  callback:
    cmd: 'true'
  folder:
    cmd: mkdir -p work/folder/sub && cat lib/a.py > work/folder/a && cat lib/sub/b.py > work/folder/sub/b
    deps: [lib]
    outs: [work/folder]
  inside:
    cmd: cat work/folder/sub/b > work/inside.txt
    deps: [work/folder/sub/b]
    outs: [work/inside.txt]
  shell:
    cmd: [mkdir -p work/list, echo one > work/list/one, echo two > work/list/two]
    outs: [work/list]
    deps: [code/loop.sh]
"""

SECOND_YAML = """\
stages:
  own:
    wdir: here
    cmd: cat ../../model.bin ../own.txt > own.bin
    deps: [../../model.bin, ../own.txt]
    params: [../params.yaml: [k]]
    outs: [own.bin]
"""

FILES = {
    "vars.yaml": "langs: [de, fr]\nfactor: 2\n",
    "params.yaml": "train: {rate: 0.1, layers: [8, 8], name: small, unused: 1}\n",
    "settings.py": "RATE = 0.1\nSIZES = (1, 2)\nUNUSED = 1\nclass Model:\n    depth = 3\n",
    "conf.toml": "other = 1\n[a]\nb = 1\n",
    "conf.json": '{"x": {"y": [1, 2]}, "other": 1}',
    "whole.yaml": "one: 1\ntwo: {three: 3}\n",
    "code/train.sh": "train\n",
    "code/loop.sh": "loop\n",
    "code/frozen.sh": "frozen\n",
    "code/always.sh": "always\n",
    "lib/a.py": "a = 1\n",
    "lib/sub/b.py": "b = 1\n",
    "second/own.txt": "own\n",
    "second/params.yaml": "k: 1\n",
    "second/here/keep": "",
    "work/keep": "",
    "data/raw.csv": "1,2\n3,4\n",
    "data/images/one.txt": "one\n",
    "data/images/two.txt": "two\n",
}


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> dict[str, Path]:
    """Two pipelines with every kind of stage between them, all of it reproduced, committed and pushed."""
    folders = {"plain": tmp_path_factory.mktemp("plain"), "templated": tmp_path_factory.mktemp("templated")}
    for name, folder in folders.items():
        project = Project(root=folder / "repo", env=environment)
        project.root.mkdir()
        project.git("init", "--quiet", "--initial-branch=main")
        for path, text in FILES.items():
            project.write(path, text)
        text = DVC_YAML if name == "plain" else TEMPLATED_YAML
        project.write("dvc.yaml", text.replace("frozen: true", "frozen: false"))
        project.write("second/dvc.yaml", SECOND_YAML if name == "plain" else "")
        project.build("data/raw.csv", "data/images")
        project.write("dvc.yaml", text)  # a stage that is frozen from the start could never have run
        project.commit("the baseline")
    return folders


@pytest.fixture
def rich(templates: dict[str, Path], environment: dict[str, str], tmp_path: Path) -> Project:
    """The pipeline without templates, for this test alone."""
    copy(templates["plain"], tmp_path / "p")
    return Project(root=tmp_path / "p" / "repo", env=environment)


@pytest.fixture
def templated(templates: dict[str, Path], environment: dict[str, str], tmp_path: Path) -> Project:
    """The pipeline with templates and parameters in Python, for this test alone."""
    copy(templates["templated"], tmp_path / "p")
    return Project(root=tmp_path / "p" / "repo", env=environment)


def dvc_says(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What `dvc repro --allow-missing` would do with each stage: DVC asks each in turn whether it changed.

    A stage that depends on one that runs anew is stale as well, for it would be asked after that has run.
    """
    import networkx
    from dvc.repo import Repo
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

    monkeypatch.chdir(root)
    states: dict[str, str] = {}
    ran = {
        ("" if place.parent == root else f"{place.parent.relative_to(root)}/dvc.yaml:") + name
        for place in root.glob("**/dvc.lock")
        for name in yaml.safe_load(place.read_text())["stages"]
    }
    with Repo(str(root)) as repo, repo.lock:
        graph = get_active_graph(repo.index.graph)
        for stage in plan_repro(graph, collect_stages(repo, ["."], recursive=True)):
            if not stage.cmd:
                continue
            always = stage.is_callback or stage.always_changed
            upstream = list(graph.successors(stage))
            stage.always_changed = False
            # --allow-missing takes a stage that never ran for one whose files are merely not here.
            locked = stage.addressing in ran
            changed = not locked or stage.changed_stage() or stage.changed_outs(allow_missing=True)
            changed = changed or (bool(stage.deps) and stage._changed_deps(allow_missing=True, upstream=upstream))
            above = {found.addressing for found in networkx.descendants(graph, stage)}
            changed = changed or any(states.get(name) == "stale" for name in above)
            states[stage.addressing] = (
                "frozen" if stage.frozen else "stale" if changed else "always" if always else "current"
            )
    return states


def verify(project: Project) -> dict[str, dict[str, Any]]:
    """Every stage that `ci-ml verify` reports, by name; its exit code has to fit."""
    result = project.ci_ml("verify", "--format", "json")
    assert result.code in (0, 12), result.text
    assert result.err == "", result.text
    document = result.json()
    assert document["schema"] == "ci-ml/verify/v1"
    stages = {item["name"]: item for item in document["stages"]}
    assert document["stale"] == any(item["state"] == "stale" for item in stages.values()) == (result.code == 12)
    return stages


def edit(path: str, old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.edit(path, old, new)


def write(path: str, content: Any) -> Callable[[Project], None]:
    return lambda project: project.write(path, content) and None


def remove(path: str) -> Callable[[Project], None]:
    return lambda project: project.remove(path)


def lock(change: Callable[[dict[str, Any]], Any]) -> Callable[[Project], None]:
    def apply(project: Project) -> None:
        document = project.yaml("dvc.lock")
        change(document["stages"])
        project.write("dvc.lock", document)

    return apply


def add_data(path: str, text: str) -> Callable[[Project], None]:
    """New content for data that DVC tracks, recorded in its .dvc file."""

    def apply(project: Project) -> None:
        from dvc.repo import Repo

        project.write(path, text)
        with Repo(str(project.root)) as repo:
            repo.add(str(project.root / "/".join(path.split("/")[:2])))

    return apply


def several(*changes: Callable[[Project], None]) -> Callable[[Project], None]:
    def apply(project: Project) -> None:
        for change in changes:
            change(project)

    return apply


Change = Callable[[Project], None]

# What is changed, which stage that makes stale first (None: none), and what the reason has to say.
CASES: dict[str, tuple[Change, str | None, str]] = {
    "nothing": (lambda project: None, None, ""),
    "a comment in dvc.yaml": (edit("dvc.yaml", "stages:", "# a remark\nstages:"), None, ""),
    "a file that no stage reads": (write("README.md", "hello"), None, ""),
    "the command": (
        edit("dvc.yaml", "cmd: cat work/clean.csv code", "cmd: cat  work/clean.csv code"),
        "train",
        "command",
    ),
    "one command of a list": (edit("dvc.yaml", "echo two >", "echo 2 >"), "shell", "command"),
    "a parameter": (edit("params.yaml", "rate: 0.1", "rate: 0.2"), "train", "params: train.rate in params.yaml is 0.2"),
    "a parameter that is a list": (edit("params.yaml", "[8, 8]", "[8, 9]"), "train", "train.layers"),
    "a parameter from text to a number": (edit("params.yaml", "name: small", "name: 1"), "train", "train.name"),
    "a parameter written in another way": (edit("params.yaml", "rate: 0.1", "rate: 1.0e-1"), None, ""),
    "a parameter that no stage reads": (edit("params.yaml", "unused: 1", "unused: 2"), None, ""),
    "a parameter that is gone": (edit("params.yaml", ", name: small", ""), "train", "train.name is gone"),
    "a parameter that is new to the stage": (
        edit("dvc.yaml", "train.layers, train.name]", "train.layers, train.name, train.unused]"),
        "train",
        "train.unused",
    ),
    "a parameter that the stage no longer reads": (
        edit("dvc.yaml", "train.layers, train.name]", "train.layers]"),
        None,
        "",
    ),
    "code": (edit("code/train.sh", "train", "train!"), "train", "code: code/train.sh"),
    "a file in a folder of code": (edit("lib/sub/b.py", "b = 1", "b = 2"), "train", "lib"),
    "a new file in a folder of code": (write("lib/c.py", "c = 1\n"), "train", "lib"),
    "a file gone from a folder of code": (remove("lib/a.py"), "train", "lib"),
    "a file that DVC ignores in a folder of code": (
        several(write(".dvcignore", "*.tmp\n"), write("lib/c.tmp", "c = 1\n")),
        None,
        "",
    ),
    "data": (add_data("data/raw.csv", "5,6\n7,8\n"), "prepare", "data: data/raw.csv"),
    "a file in a folder of data": (add_data("data/images/one.txt", "uno\n"), "prepare", "data: data/images"),
    "a new file in a folder of data": (add_data("data/images/new.txt", "new\n"), "prepare", "data: data/images"),
    "a new stage": (
        edit("dvc.yaml", "  callback:\n", "  fresh:\n    cmd: 'true'\n    deps: [lib]\n  callback:\n"),
        "fresh",
        "never run",
    ),
    "a stage that is gone": (edit("dvc.yaml", DVC_YAML[DVC_YAML.index("  shell:") :], ""), None, ""),
    "a stage that has another name": (edit("dvc.yaml", "  inside:\n", "  within:\n"), "within", "never run"),
    "dependencies in another order": (
        edit("dvc.yaml", "[work/clean.csv, code/train.sh, lib]", "[lib, code/train.sh, work/clean.csv]"),
        None,
        "",
    ),
    "a dependency less": (
        edit("dvc.yaml", "[work/clean.csv, code/train.sh, lib]", "[work/clean.csv, code/train.sh]"),
        None,
        "",
    ),
    "a dependency more": (
        edit("dvc.yaml", "code/train.sh, lib]", "code/train.sh, lib, code/loop.sh]"),
        "train",
        "code/loop.sh is not in dvc.lock",
    ),
    "metrics in git edited by hand": (write("metrics.json", '{"size":9}'), "evaluate", "output: metrics.json"),
    "the dependency of a frozen stage": (edit("code/frozen.sh", "frozen", "melted"), None, ""),
    "the command of a frozen stage": (edit("dvc.yaml", "cat code/frozen.sh >", "cat  code/frozen.sh >"), None, ""),
    "the dependency of a stage that always runs": (
        edit("code/always.sh", "always", "ever"),
        "always",
        "code/always.sh",
    ),
    "the command of a stage that always runs": (
        edit("dvc.yaml", "cat code/always.sh >", "cat  code/always.sh >"),
        "always",
        "command",
    ),
    "a parameter of the second dvc.yaml": (
        edit("second/params.yaml", "k: 1", "k: 2"),
        "second/dvc.yaml:own",
        "params: k",
    ),
    "a file of the second dvc.yaml": (edit("second/own.txt", "own", "mine"), "second/dvc.yaml:own", "second/own.txt"),
    "the lock entry of a stage is gone": (lock(lambda stages: stages.pop("prepare")), "prepare", "never run"),
    "dvc.lock is gone": (remove("dvc.lock"), "prepare", "never run"),
}

TEMPLATED_CASES: dict[str, tuple[Change, str | None, str]] = {
    "a parameter in Python": (edit("settings.py", "RATE = 0.1", "RATE = 0.2"), "settings", "RATE"),
    "a parameter in a Python class": (edit("settings.py", "depth = 3", "depth = 4"), "settings", "Model.depth"),
    "a parameter that is a Python tuple": (edit("settings.py", "(1, 2)", "(1, 3)"), "settings", "SIZES"),
    "a line of Python that is no parameter": (edit("settings.py", "UNUSED = 1", "UNUSED = 2\nprint('x')"), None, ""),
    "a parameter in TOML": (edit("conf.toml", "b = 1", "b = 2"), "settings", "a.b"),
    "a parameter in JSON": (edit("conf.json", "[1, 2]", "[1, 2, 3]"), "settings", "x in conf.json"),
    "a file that is a parameter as a whole": (edit("whole.yaml", "three: 3", "three: 4"), "settings", "two"),
    "a key more in it": (edit("whole.yaml", "one: 1", "one: 1\nfour: 4"), "settings", "four"),
    "a key less in it": (edit("whole.yaml", "one: 1\n", ""), "settings", "one"),
    "a variable in a loop": (edit("vars.yaml", "factor: 2", "factor: 3"), "loop@de", "command"),
    "a new item of a loop": (edit("vars.yaml", "[de, fr]", "[de, fr, it]"), "loop@it", "never run"),
    "an item less in a loop": (edit("vars.yaml", "[de, fr]", "[de]"), None, ""),
    "a new value in a matrix": (edit("dvc.yaml", "kind: [a, b]", "kind: [a, b, c]"), "grid@1-c", "never run"),
    "code that a loop and a matrix read": (edit("code/loop.sh", "loop", "circle"), "grid@2-b", "code/loop.sh"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_dvc_in_a_fresh_clone(rich: Project, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, first, words = CASES[case]
    change(rich)
    rich.commit()
    agree(rich.clone("clone"), first, words, monkeypatch)


@pytest.mark.thorough
@pytest.mark.parametrize("case", [case for case in CASES if "parameter" not in case])
def test_it_agrees_with_dvc_where_all_data_is(rich: Project, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, first, words = CASES[case]
    change(rich)
    agree(rich, first, words, monkeypatch)


@pytest.mark.thorough
@pytest.mark.parametrize("case", TEMPLATED_CASES)
def test_it_agrees_with_dvc_on_templates(templated: Project, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, first, words = TEMPLATED_CASES[case]
    change(templated)
    agree(templated, first, words, monkeypatch)


def agree(project: Project, first: str | None, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = verify(project)
    assert {name: item["state"] for name, item in stages.items()} == dvc_says(project.root, monkeypatch)
    if first is None:
        assert not any(item["state"] == "stale" for item in stages.values())
    else:
        assert stages[first]["state"] == "stale"
        assert any(words in reason for reason in stages[first]["reasons"]), stages[first]


# --- Where allow-missing does not tell the whole truth -----------------------------------------------------------------


def test_an_upstream_output_that_is_not_what_the_stage_ran_with(rich: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(lambda stages: stages["prepare"]["outs"][0].update(md5="0" * 32))(rich)
    rich.commit()
    clone = rich.clone("clone")
    agree(clone, "train", "upstream output: work/clean.csv", monkeypatch)
    assert verify(rich)["train"]["state"] == "stale"  # also where the old file still lies


def test_an_output_more_is_stale_until_the_stage_has_run(rich: Project) -> None:
    rich.edit("dvc.yaml", "outs: [work/inside.txt]", "outs: [work/inside.txt, work/inside.log]")
    rich.edit(
        "dvc.yaml",
        "cmd: cat work/folder/sub/b > work/inside.txt",
        "cmd: cat work/folder/sub/b | tee work/inside.log > work/inside.txt",
    )
    assert "inside" in ran_by_dvc(rich)
    assert verify(rich)["inside"]["state"] == "current"


# --- A real run of DVC ---------------------------------------------------------------------------------------------------

_RAN = """
import json
from dvc.repo import Repo
with Repo() as repo:
    done = repo.reproduce(["."], recursive=True, allow_missing=True)
print(json.dumps([stage.addressing for stage in done if stage.cmd]))
"""


def ran_by_dvc(project: Project) -> set[str]:
    """The stages that `dvc repro --allow-missing` really runs (or restores) here, without those that always run."""
    done = project.run(sys.executable, "-c", _RAN)
    assert done.code == 0, done.text
    return set(json.loads(done.out.splitlines()[-1])) - {"always", "callback"}


@pytest.mark.parametrize(
    "change",
    [
        CASES["nothing"][0],
        several(CASES["a parameter"][0], CASES["a file of the second dvc.yaml"][0]),
        several(CASES["data"][0], CASES["metrics in git edited by hand"][0]),
        several(CASES["code"][0], CASES["a file in a folder of code"][0], CASES["a new stage"][0]),
    ],
    ids=["nothing", "a parameter and a file", "data and metrics", "code and a new stage"],
)
def test_what_is_stale_is_what_dvc_repro_runs(rich: Project, change: Change) -> None:
    change(rich)
    stale = {name for name, item in verify(rich).items() if item["state"] == "stale"}
    assert ran_by_dvc(rich) == stale
    assert not any(item["state"] == "stale" for item in verify(rich).values())


@pytest.mark.thorough
def test_what_train_has_reproduced_is_true(templated: Project) -> None:
    several(
        edit("vars.yaml", "langs: [de, fr]\nfactor: 2", "langs: [de, it]\nfactor: 3"),
        edit("settings.py", "(1, 2)", "(3, 4)"),
    )(templated)
    assert {name for name, item in verify(templated).items() if item["state"] == "stale"} == {
        "loop@de",
        "loop@it",
        "settings",
    }
    templated.write("ci-ml.yaml", "version: 1\ntrain: {track: false}\n")
    templated.ci_ml("train").expect(0)
    assert {item["state"] for item in verify(templated).values()} == {"current"}


# --- Missing is not stale --------------------------------------------------------------------------------------------------


def test_missing_and_stale_are_told_apart(rich: Project) -> None:
    clone = rich.clone("clone")
    stages = verify(clone)
    assert stages["prepare"]["missing"] == ["data/raw.csv", "data/images", "work/clean.csv"]
    assert stages["train"]["missing"] == ["work/clean.csv", "model.bin"]
    assert stages["evaluate"]["missing"] == ["model.bin"]
    shown = clone.ci_ml("verify").expect(0).out
    assert "not here, which is fine" in shown
    clone.edit("params.yaml", "rate: 0.1", "rate: 0.2")
    shown = clone.ci_ml("verify").expect(12).out
    assert "params: train.rate in params.yaml is 0.2, dvc.lock has 0.1" in shown
    assert "upstream: stage train is stale" in shown


def test_no_data_is_fetched_or_opened(rich: Project) -> None:
    clone = rich.clone("clone")
    clone.ci_ml("verify").expect(0)
    assert clone.cached() == set()
    assert clone.status() == ""
    assert not (clone.root / ".ci-ml").exists()


# --- Locks of DVC 2 and line ends --------------------------------------------------------------------------------------


def _folded(data: bytes) -> str:
    return hashlib.md5(data.replace(b"\r\n", b"\n")).hexdigest()


def _dvc2(project: Project) -> None:
    """A pipeline as DVC 2 left it: no `hash:` in dvc.lock, and text hashed as if every line ended in LF."""
    text, binary = b"one\r\ntwo\r\n", b"\0one\r\ntwo\r\n"
    project.dvc("init", "--quiet")
    project.write("code.txt", text)
    project.write("blob.bin", binary)
    project.write("folder/a.txt", text)
    project.write("folder/b.bin", binary)
    project.write("metrics.txt", b"1\r\n")
    listing = [{"md5": _folded(text), "relpath": "a.txt"}, {"md5": hashlib.md5(binary).hexdigest(), "relpath": "b.bin"}]
    folder = hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"
    project.write(
        "dvc.yaml",
        "stages:\n  old:\n    cmd: 'true'\n    deps: [blob.bin, code.txt, folder]\n    outs: [metrics.txt: {cache: false}]\n",
    )
    entry = {
        "cmd": "true",
        "deps": [
            {"path": "blob.bin", "md5": hashlib.md5(binary).hexdigest(), "size": len(binary)},
            {"path": "code.txt", "md5": _folded(text), "size": len(text)},
            {"path": "folder", "md5": folder, "size": len(text) + len(binary), "nfiles": 2},
        ],
        "outs": [{"path": "metrics.txt", "md5": _folded(b"1\r\n"), "size": 3}],
    }
    project.write("dvc.lock", {"schema": "2.0", "stages": {"old": entry}})
    project.commit()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("path", "content", "state"),
    [
        (None, b"", "current"),
        ("code.txt", b"one\ntwo\n", "current"),  # only the line ends differ
        ("code.txt", b"one\ntwo!\n", "stale"),
        ("blob.bin", b"\0one\ntwo\n", "stale"),  # binary: line ends count
        ("folder/a.txt", b"one\ntwo\n", "current"),
        ("folder/b.bin", b"\0one\ntwo\n", "stale"),
        ("metrics.txt", b"1\n", "current"),
        ("metrics.txt", b"2\r\n", "stale"),
    ],
)
def test_locks_of_dvc_2(
    empty: Project, path: str | None, content: bytes, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dvc2(empty)
    if path is not None:
        empty.write(path, content)
    assert (
        {name: item["state"] for name, item in verify(empty).items()}
        == {"old": state}
        == dvc_says(empty.root, monkeypatch)
    )


def test_line_ends_count_since_dvc_3(rich: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    rich.write("code/train.sh", b"train\r\n")
    agree(rich, "train", "code: code/train.sh", monkeypatch)
