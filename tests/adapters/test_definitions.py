import os
from pathlib import Path
from typing import Any

import pytest

from ci_ml.adapters.dvc import definitions
from ci_ml.core.pipeline import DataSource, Digest, LockedStage, Output, Pipeline
from ci_ml.errors import UsageError
from tests.repositories import Repository

Files = dict[str, str]

# What people write, each as the files of a small repository. What DVC itself makes of them is the oracle.
REPOSITORIES: dict[str, Files] = {
    "one stage": {"dvc.yaml": "stages:\n  train:\n    cmd: python train.py\n    deps: [train.py]\n    outs: [model]\n"},
    "nothing": {"dvc.yaml": ""},
    "no stages": {"dvc.yaml": "metrics: [m.json]\n"},
    "a list of commands": {"dvc.yaml": "stages:\n  a:\n    cmd:\n    - echo 1\n    - echo 2\n    outs: [x]\n"},
    "a command over several lines": {
        "dvc.yaml": "stages:\n  a:\n    cmd: |\n      echo 1\n      echo 2\n    outs: [x]\n"
        "  b:\n    cmd: >-\n      echo\n      3\n    outs: [y]\n"
    },
    "options of outputs": {
        "dvc.yaml": """
stages:
  a:
    cmd: x
    outs:
      - plain
      - not-cached: {cache: false}
      - kept: {persist: true}
      - described: {desc: what it is, push: false, remote: store}
      - folder/
    metrics:
      - m.json: {cache: false}
      - cached.json
      - n.json: {cache: true}
    plots:
      - p.csv
      - q.csv: {cache: false, x: step, y: loss}
      - r.csv: {template: confusion}
"""
    },
    "forms of params": {
        "params.yaml": "lr: 0.1\ntrain: {n: 3, layers: [1, 2]}\n",
        "other.json": '{"a": {"b": 1}, "c": 2}',
        "whole.toml": "x = 1\n",
        "cfg/p.py": "SIZE = 3\n\n\nclass Train:\n    n = 1\n",
        "dvc.yaml": """
stages:
  a:
    cmd: x
    params:
      - lr
      - train.n
      - other.json:
          - a.b
          - c
      - whole.toml:
      - cfg/p.py: [SIZE, Train.n]
      - lr
      - other.json: [c]
    outs: [o]
  b:
    cmd: y
    params:
      - params.yaml: [train]
      - train.layers
    outs: [o2]
""",
    },
    "frozen and always": {
        "dvc.yaml": """
stages:
  a: {cmd: x, frozen: true, deps: [d], outs: [o]}
  b: {cmd: y, always_changed: true, deps: [o], outs: [p]}
  c: {cmd: no inputs}
  d: {cmd: only outputs, outs: [q]}
  e: {cmd: only params, params: [lr]}
"""
    },
    "working folders": {
        "params.yaml": "lr: 1\n",
        "src/params.yaml": "lr: 2\n",
        "dvc.yaml": """
stages:
  a:
    cmd: x
    wdir: src
    deps: [train.py, ../data, ./lib/../b.py]
    params: [lr, ../params.yaml: [lr]]
    outs: [../out/model]
    metrics: [m.json: {cache: false}]
  b:
    cmd: y
    wdir: src/deeper
    deps: [../train.py]
    outs: [o]
""",
        "src/deeper/.keep": "",
    },
    "several files": {
        "dvc.yaml": "stages:\n  top: {cmd: x, deps: [sub/out], outs: [top.out]}\n",
        "sub/dvc.yaml": "stages:\n  train: {cmd: y, deps: [../data], params: [lr], outs: [out]}\n",
        "sub/params.yaml": "lr: 1\n",
        "sub/deep er/dvc.yaml": "stages:\n  train: {cmd: z, wdir: .., deps: [out], outs: [deep]}\n",
    },
    "declared at the top level": {
        "dvc.yaml": "metrics:\n- m.json\n- sub/n.yaml\nparams:\n- p.yaml\nplots:\n- plot.csv\n- id: {x: {a.csv: b}}\n"
        "stages:\n  a: {cmd: x, metrics: [own.json: {cache: false}]}\n",
        "sub/dvc.yaml": "metrics: [o.json, ../m.json]\nparams: [../q.toml]\n",
    },
    "top level with templates": {
        "params.yaml": "name: best\n",
        "dvc.yaml": "metrics: ['${name}/m.json']\nparams: ['${name}.yaml']\n"
        "stages:\n  a: {cmd: 'x ${name}', outs: [o]}\n",
    },
    "variables": {
        "params.yaml": "lr: 0.1\nmodel: {name: cnn, layers: [16, 32]}\nflag: true\nnothing: null\n",
        "more.json": '{"seed": 7, "dir": "out"}',
        "dvc.yaml": """
vars:
  - more.json
  - extra: 1.5
  - nested: {deep: {x: y}}
stages:
  train:
    cmd: python train.py --lr ${lr} --name ${model.name} --last ${model.layers[1]} ${nested.deep.x} ${extra}
    deps:
      - ${model.name}.py
    params:
      - model.name
      - ${dir}.yaml: [a]
    outs:
      - ${dir}/${model.name}-${seed}
    metrics:
      - ${dir}/m.json:
          cache: false
  dict:
    cmd: python eval.py ${model}
    outs: [evaluated]
""",
    },
    "variables of one stage": {
        "params.yaml": "lr: 0.1\n",
        "sub/v.yaml": "deps: {script: run.py}\n",
        "dvc.yaml": """
stages:
  a:
    vars: [v.yaml, {own: 3}]
    wdir: sub
    cmd: python ${deps.script} ${own} ${lr}
    deps: ["${deps.script}"]
    outs: [o]
""",
    },
    "a part of a file of variables": {
        "p.yaml": "train: {lr: 1}\nother: {a: 2}\n",
        "dvc.yaml": "vars: ['p.yaml:train,other']\nstages:\n  a: {cmd: 'x ${train.lr} ${other.a}', outs: [o]}\n",
    },
    "boolean flags": {
        "params.yaml": "args: {verbose: true, quiet: false, names: [a, b], lr: 0.1}\n",
        "dvc.yaml": "stages:\n  a: {cmd: 'x ${args}', outs: [o]}\n",
        ".dvc/config": "[parsing]\n    bool = boolean_optional\n    list = append\n",
    },
    "unfinished": {"dvc.yaml": "stages:\n  a: {cmd: 'x ${', outs: [o]}\n"},
    "escaped": {"dvc.yaml": "stages:\n  a:\n    cmd: echo \\${HOME} $PATH\n    outs: [o]\n"},
    "foreach over a list": {
        "dvc.yaml": "stages:\n  a:\n    foreach: [de, fr, 3, true]\n    do: {cmd: 'x ${item}', outs: ['o-${item}']}\n"
    },
    "foreach over mappings": {
        "params.yaml": "langs:\n  de: {lr: 1, dir: d}\n  fr: {lr: 2, dir: f}\n",
        "dvc.yaml": """
stages:
  a:
    foreach: ${langs}
    do:
      cmd: x ${key} ${item.lr}
      wdir: w/${item.dir}
      deps: ['../../${key}.csv']
      outs: [o]
  b:
    foreach:
      - {name: x, n: 1}
      - {name: y, n: 2}
    do:
      cmd: b ${item.name}
      outs: ["b-${item.n}"]
""",
        "w/d/.keep": "",
        "w/f/.keep": "",
    },
    "matrix": {
        "params.yaml": "sizes: [s, l]\n",
        "dvc.yaml": """
stages:
  a:
    matrix:
      model: [cnn, rnn]
      size: ${sizes}
      conf: [{x: 1}, {x: 2}]
    cmd: x ${item.model} ${item.size} ${item.conf.x} ${key}
    deps: ["${item.model}.py"]
    outs: ["out/${key}"]
""",
    },
    "data files": {
        "data.csv.dvc": "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  size: 3\n  hash: md5\n  path: data.csv\n",
        "sub/raw.dvc": "wdir: ..\nouts:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  size: 9\n  nfiles: 2\n"
        "  hash: md5\n  path: raw data\n",
        "old.dvc": "outs:\n- md5: fedcba9876543210fedcba9876543210\n  path: old\n",
        "dvc.yaml": "stages:\n  a: {cmd: x, deps: [data.csv], outs: [o]}\n",
    },
    "definitions inside an output": {
        "dvc.yaml": "stages:\n  a: {cmd: x, outs: [made]}\n",
        "made/dvc.yaml": "stages:\n  inner: {cmd: y}\n",
        "made/deep/x.dvc": "outs:\n- path: x\n",
    },
    "a project inside": {
        "dvc.yaml": "stages:\n  a: {cmd: x, outs: [o]}\n",
        "inner/.dvc/config": "",
        "inner/dvc.yaml": "stages:\n  b: {cmd: y}\n",
    },
    "definitions that are ignored": {
        ".dvcignore": "ignored/\n*.tmp.dvc\n",
        "dvc.yaml": "stages:\n  a: {cmd: x, outs: [o]}\n",
        "ignored/dvc.yaml": "stages:\n  b: {cmd: y}\n",
        "x.tmp.dvc": "outs:\n- path: x.tmp\n",
        "seen/dvc.yaml": "stages:\n  c: {cmd: z}\n",
    },
    "names of every kind": {
        "dvc.yaml": "stages:\n  train-é_1: {cmd: 'x \"y\" #z', deps: ['a b', 'é/ü'], outs: ['o p', '日本']}\n",
        "a folder/dvc.yaml": "stages:\n  s: {cmd: y, outs: [z]}\n",
    },
    "outside of the repository": {
        "dvc.yaml": "stages:\n  a: {cmd: x, deps: ['s3://bucket/data.csv', 'https://host/d', /abs/file], outs: [o]}\n"
    },
}


def pipeline(repository: Repository, root: str = "") -> Pipeline:
    return definitions.read(repository.adapter.work_tree(), root)


def of_dvc(root: Path) -> dict[str, Any]:
    """What DVC makes of the repository that is there."""
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo
    from dvc.repo.metrics.show import _collect_top_level_metrics
    from dvc.repo.params.show import _collect_top_level_params

    def place(entry: Any) -> str:
        path = entry.fs_path if entry.protocol == "local" else entry.def_path
        return os.path.relpath(path, root) if path.startswith(str(root)) else path

    previous = Path.cwd()
    os.chdir(root)
    try:
        with Repo() as repo:
            index = repo.index
            stages, sources = {}, {}
            for stage in index.stages:
                outs = {place(out): (out.use_cache, bool(out.metric), bool(out.plot)) for out in stage.outs}
                if stage.is_data_source:
                    sources[stage.relpath] = {place(out): str(out.hash_info.value) for out in stage.outs}
                    continue
                params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
                stages[stage.addressing] = {
                    "cmd": tuple(stage.cmd) if isinstance(stage.cmd, list) else (stage.cmd,),
                    "wdir": os.path.relpath(stage.wdir, root),
                    "deps": sorted(place(dep) for dep in stage.deps if not isinstance(dep, ParamsDependency)),
                    "params": {place(dep): sorted(set(dep.params)) for dep in params},
                    "outs": outs,
                    "frozen": stage.frozen,
                    "always": stage.always_changed or (stage.is_callback and bool(stage.cmd)),
                }
            declared = {
                "metrics": sorted(set(_collect_top_level_metrics(repo))),
                "params": sorted(set(_collect_top_level_params(repo))),
                "plots": sorted(
                    {os.path.relpath(path, root) for path, defined in index._plots.items() if defined}
                    | {
                        os.path.relpath(stage.path, root)
                        for stage in index.stages
                        if any(out.plot for out in stage.outs)
                    }
                ),
            }
            return {"stages": stages, "sources": sources, **declared}
    finally:
        os.chdir(previous)


def of_ci_ml(found: Pipeline) -> dict[str, Any]:
    stages = {
        stage.name: {
            "cmd": stage.command,
            "wdir": stage.wdir or ".",
            "deps": sorted(stage.deps),
            "params": {params.path: sorted(params.keys) for params in stage.params},
            "outs": {out.path: (out.cached, out.metric, out.plot) for out in stage.outs},
            "frozen": stage.frozen,
            "always": stage.always,
        }
        for stage in found.stages
    }
    sources = {
        source.file: {out.path: out.recorded.value if out.recorded else "None" for out in source.outs}
        for source in found.sources
    }
    declared = {name: sorted(getattr(found, name)) for name in ("metrics", "params", "plots")}
    return {"stages": stages, "sources": sources, **declared}


@pytest.fixture
def project(repository: Repository) -> Repository:
    """A repository with DVC set up in it."""
    for path in ("config", "tmp/.keep"):
        repository.write(f".dvc/{path}", "")
    repository.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
    return repository


class TestItSaysWhatDvcSays:
    @pytest.mark.parametrize("name", REPOSITORIES)
    def test_about(self, project: Repository, name: str) -> None:
        for path, content in REPOSITORIES[name].items():
            project.write(path, content)
        found = pipeline(project)
        expected = of_dvc(project.root)
        assert of_ci_ml(found) == expected
        sha = project.commit()
        assert definitions.read(project.adapter.tree(sha)) == found


class TestTheLock:
    LOCK = """
schema: '2.0'
stages:
  train@de:
    cmd: python train.py
    deps:
    - path: data
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
      size: 9
      nfiles: 2
    - path: ../outside.csv
      md5: fedcba9876543210fedcba9876543210
      size: 3
    - path: unknown
    params:
      params.yaml:
        lr: 0.1
        layers: [1, 2]
      cfg/p.py: {SIZE: 3}
    outs:
    - path: model
      hash: md5
      md5: abcdefabcdefabcdefabcdefabcdefab
  gone: {cmd: x}
"""

    def test_is_read_next_to_its_definition(self, project: Repository) -> None:
        project.write(
            "sub/dvc.yaml", "stages:\n  train:\n    foreach: [de]\n    do: {cmd: python train.py, outs: [model]}\n"
        )
        project.write("sub/dvc.lock", self.LOCK)
        (stage,) = pipeline(project).stages
        assert stage.locked == LockedStage(
            command=("python train.py",),
            deps={
                "sub/data": Digest(algorithm="md5", value="0123456789abcdef0123456789abcdef.dir", size=9, files=2),
                "outside.csv": Digest(algorithm="md5-dos2unix", value="fedcba9876543210fedcba9876543210", size=3),
                "sub/unknown": None,
            },
            params={"sub/params.yaml": {"lr": 0.1, "layers": [1, 2]}, "sub/cfg/p.py": {"SIZE": 3}},
            outs={"sub/model": Digest(algorithm="md5", value="abcdef" * 5 + "ab")},
        )
        assert stage.outs == (Output(path="sub/model", recorded=Digest(algorithm="md5", value="abcdef" * 5 + "ab")),)

    def test_of_dvc_1_holds_the_stages_themselves(self, project: Repository) -> None:
        project.write("dvc.yaml", "stages:\n  train: {cmd: x, outs: [model]}\n")
        project.write("dvc.lock", f"train:\n  cmd: x\n  outs:\n  - path: model\n    md5: {'abcdef' * 5}ab\n")
        (stage,) = pipeline(project).stages
        assert stage.locked
        assert stage.locked.outs == {"model": Digest(algorithm="md5-dos2unix", value="abcdef" * 5 + "ab")}

    def test_without_one_nothing_has_run(self, project: Repository) -> None:
        project.write("dvc.yaml", "stages:\n  train: {cmd: x, outs: [model]}\n")
        (stage,) = pipeline(project).stages
        assert (stage.locked, stage.outs[0].recorded) == (None, None)


class TestAProjectInAFolder:
    def test_has_its_own_names_and_leaves_others_alone(self, repository: Repository) -> None:
        repository.write("dvc.yaml", "stages:\n  top: {cmd: x}\n")
        repository.write("ml/.dvc/config", "")
        repository.write("ml/dvc.yaml", "stages:\n  train: {cmd: x, deps: [a.py], outs: [model]}\n")
        repository.write("ml/sub/dvc.yaml", "stages:\n  eval: {cmd: y, deps: [../model]}\n")
        repository.write("ml/data.dvc", "outs:\n- path: data\n")
        found = pipeline(repository, "ml")
        assert [(stage.name, stage.deps) for stage in found.stages] == [
            ("train", ("ml/a.py",)),
            ("sub/dvc.yaml:eval", ("ml/model",)),
        ]
        assert found.sources == (DataSource(file="ml/data.dvc", outs=(Output(path="ml/data"),)),)


class TestWhatDvcRefuses:
    """Each is one clear error that names the file, and the line where there is one."""

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ({"dvc.yaml": "stages:\n  a: {cmd: x\n"}, "dvc.yaml:3: not valid YAML: "),
            ({"dvc.yaml": "stages:\n  a: {cmd: x}\n  a: {cmd: y}\n"}, "dvc.yaml:3: the key 'a' is there twice"),
            ({"dvc.yaml": "- a\n"}, "dvc.yaml: it holds list where a mapping belongs"),
            ({"dvc.yaml": "stages: [a]\n"}, "dvc.yaml: stages: must be a mapping"),
            ({"dvc.yaml": "stages:\n  a: x\n"}, "dvc.yaml: stages.a: a stage is a mapping with a cmd"),
            ({"dvc.yaml": "stages:\n  a: {deps: [x]}\n"}, "dvc.yaml: stages.a: a stage is a mapping with a cmd"),
            ({"dvc.yaml": "stages:\n  a: {cmd: x, deps: y}\n"}, "dvc.yaml: stages.a: deps: must be a list"),
            (
                {"dvc.yaml": "stages:\n  a: {cmd: x, deps: [{y: z}]}\n"},
                "dvc.yaml: stages.a.deps: {'y': 'z'} is not allowed",
            ),
            ({"dvc.yaml": "stages: {a: {cmd: x}}\nmetrics: 5\n"}, "dvc.yaml: metrics: must be a list"),
            ({"dvc.yaml": "stages: {a: {cmd: x}}\nmetrics: {a: 1}\n"}, "dvc.yaml: metrics: must be a list"),
            ({"dvc.yaml": "stages: {a: {cmd: x}}\nmetrics: [5]\n"}, "dvc.yaml: metrics: 5 is not allowed"),
            ({"dvc.yaml": "stages: {a: {cmd: x}}\nparams: null\n"}, "dvc.yaml: params: must be a list"),
            ({"dvc.yaml": "stages: {a: {cmd: x}}\nplots: 5\n"}, "dvc.yaml: plots: must be a list"),
            ({"dvc.yaml": "stages: {a: {cmd: x}}\nvars: 3\n"}, "dvc.yaml: vars: must be a list"),
            ({"dvc.yaml": "stages: {a: {cmd: x}}\nartifacts: []\n"}, "dvc.yaml: artifacts: must be a mapping"),
            ({"dvc.yaml": "stages: null\n"}, "dvc.yaml: stages: must be a mapping"),
            ({"dvc.yaml": "stages: {5: {cmd: x}}\n"}, "dvc.yaml: stages: 5 is no name"),
            ({"dvc.yaml": "stages: {a: {cmd: 5}}\n"}, "dvc.yaml: stages.a.cmd: must be text or a list"),
            ({"dvc.yaml": "stages: {a: {cmd: {x: y}}}\n"}, "dvc.yaml: stages.a.cmd: must be text or a list"),
            ({"dvc.yaml": "stages: {a: {cmd: x, outs: null}}\n"}, "dvc.yaml: stages.a: outs: must be a list"),
            ({"dvc.yaml": "stages: {a: {cmd: x, wdir: 5}}\n"}, "dvc.yaml: stages.a: wdir: must be text"),
            (
                {"dvc.yaml": "stages: {a: {cmd: x, frozen: 'no'}}\n"},
                "dvc.yaml: stages.a: frozen: must be true or false",
            ),
            ({"dvc.yaml": "stages: {a: {cmd: x, outs: [{y: 5}]}}\n"}, "dvc.yaml: stages.a.outs: y: must be a mapping"),
            (
                {"dvc.yaml": "stages: {a: {cmd: x, outs: [{y: {cache: 'no'}}]}}\n"},
                "dvc.yaml: stages.a.outs.y: cache: must be true or false",
            ),
            ({"dvc.yaml": "stages: {a: {cmd: x, params: [{y: 5}]}}\n"}, "dvc.yaml: stages.a.params: y: must be a list"),
            ({"dvc.yaml": "stages:\n  a: {cmd: 'x ${gone}'}\n"}, "dvc.yaml cannot be resolved: "),
            ({"dvc.yaml": "vars: [gone.yaml]\nstages: {}\n"}, "dvc.yaml cannot be resolved: "),
            ({"dvc.yaml": "stages:\n  a: {foreach: 7, do: {cmd: x}}\n"}, "dvc.yaml: stages.a.foreach: expected dict"),
            ({"dvc.yaml": "stages:\n  a: {foreach: [1]}\n"}, "dvc.yaml: stages.a.do: required key not provided"),
            ({"dvc.yaml": "stages:\n  a: {matrix: {}, cmd: x}\n"}, "dvc.yaml cannot be resolved: DVC's resolver fails"),
            (
                {"dvc.yaml": "stages:\n  a: {cmd: x}\n", "dvc.lock": "schema: '2.0'\nstages:\n  a: x\n"},
                "dvc.yaml: stages.a: its entry in dvc.lock is not a mapping",
            ),
            (
                {"dvc.yaml": "stages:\n  a: {cmd: x}\n", "dvc.lock": "schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n"},
                "dvc.lock:2 holds conflict markers of a merge",
            ),
            ({"dvc.yaml": "<<<<<<< HEAD\nstages: {}\n"}, "dvc.yaml:1 holds conflict markers of a merge"),
            ({"x.dvc": "outs: x\n"}, "x.dvc: outs: must be a list"),
            ({"x.dvc": "outs: [x]\n"}, "x.dvc: outs: each output is a mapping with a path"),
            (
                {"dvc.yaml": "stages:\n  a: {cmd: '${b}'}\n", ".dvc/config": "[parsing\n"},
                ".dvc/config cannot be read: ",
            ),
            ({"dvc.yaml": "a: \udcff"}, "dvc.yaml: not UTF-8 text (byte 3)"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_is_an_error_that_names_the_file(self, project: Repository, files: Files, message: str) -> None:
        for path, content in files.items():
            project.write(path, content.encode("utf-8", "surrogateescape"))
        with pytest.raises(UsageError) as caught:
            pipeline(project)
        assert caught.value.what.startswith(message)
