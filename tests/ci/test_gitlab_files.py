"""Files for GitLab as texts: what `ci-ml generate` writes, the component, the example, and what GitLab says of such files."""

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import Draft7Validator

from ci_ml.adapters import templates
from ci_ml.core import resolve
from ci_ml.core.pipeline import Output, Pipeline, Stage
from ci_ml.core.pipelines import PipelineConfig
from ci_ml.render import pipelines
from ci_ml.render.pipelines import Templates
from ci_ml.wiring import reports
from tests.ci.runners import EXAMPLE, ROOT
from tests.ci.test_files import lint
from tests.e2e.project import Project
from tests.surroundings import around

pytestmark = pytest.mark.thorough

TEMPLATES = Templates(builtin=templates.builtin(), own={})
COMPONENT = ROOT / "templates" / "ci-ml.yml"


def stage(name: str, dep: str, out: str) -> Stage:
    return Stage(name=name, file="dvc.yaml", command=("x",), wdir="", deps=(dep,), outs=(Output(path=out),))


PIPELINE = Pipeline(
    stages=(
        stage("prepare", "raw.csv", "clean.csv"),
        stage("fold@1", "clean.csv", "fold-1.pkl"),
        stage("fold@2", "clean.csv", "fold-2.pkl"),
        Stage(name="gate", file="dvc.yaml", command=("x",), wdir="", deps=("fold-1.pkl", "fold-2.pkl")),
    )
)
LAYOUTS: dict[str, dict[str, Any]] = {
    "single": {"layout": "single"},
    "stages": {"layout": "stages"},
    "dynamic": {"layout": "stages", "graph": "dynamic"},
}


def made(chosen: dict[str, Any], *, lock: str = "requirements.txt", remote: str = "s3://data", folder: str = "") -> Any:
    """The files of a pipeline by their names, and its child, for a project whose stages are PIPELINE."""
    config = PipelineConfig.model_validate({"forge": "gitlab", **chosen})
    spec = resolve.resolve(config, PIPELINE, around(lock=lock, remote=remote, folder=folder))
    files = pipelines.files(spec, TEMPLATES)
    if spec.dynamic:
        files["child"] = pipelines.child(
            resolve.resolve(config, PIPELINE, around(lock=lock, remote=remote, folder=folder), only=["fold@2", "gate"]),
            TEMPLATES,
        )
    return files


# --- Golden files: what a change of a template does to the files of users, for review ---------------------------------

SCHEDULES = {
    "monitor": {"schedule": "0 6 * * *", "secrets": {"CI_ML_WAREHOUSE": "WAREHOUSE_URL", "PGAPPNAME": "PGAPPNAME"}},
    "retrain": {"schedule": "23 4 * * 1", "on_drift": True, "token": "CI_ML_RETRAIN_TOKEN", "runner": ["gpu"]},
}
PROMOTE = {
    "models": ["churn"],
    "secrets": {"MLFLOW_TRACKING_URI": "MLFLOW_URI", "MLFLOW_TRACKING_TOKEN": "MLFLOW_TRACKING_TOKEN"},
}
MORE = {
    "models": ["churn", "fraud score"],
    "alias": ["champion", "shadow"],
    "environment": None,
    "token": "CI_ML_PROMOTE_TOKEN",
    "runner": ["deploy"],
    "timeout": 15,
}
STAGES = {
    "runners": {"fold@*": ["gpu", "linux"], "default": ["docker"]},
    "images": {"fold@*": "nvidia/cuda:12.9.1-base-ubuntu24.04"},
    "timeouts": {"default": 30, "fold@1": 600},
}
ROLE = {"identity": {"role": "arn:aws:iam::123456789012:role/ci", "region": "eu-central-1"}}


def test_the_layout_single(golden: Callable[[str, str], None]) -> None:
    secrets = {"AWS_ACCESS_KEY_ID": "DVC_KEY_ID", "AWS_SECRET_ACCESS_KEY": "DVC_KEY"}
    chosen = {"record": True, "schedule": "23 4 * * 1", "credentials": {"secrets": secrets}}
    ((path, text),) = made(chosen).items()
    assert path == ".gitlab/ci-ml.yml"
    golden("gitlab/single.yml", text)


def test_the_layout_stages(golden: Callable[[str, str], None]) -> None:
    (text,) = made({**LAYOUTS["stages"], **STAGES, "record": True, "transfer": "artifacts"}, lock="uv.lock").values()
    golden("gitlab/stages.yml", text)


def test_schedules(golden: Callable[[str, str], None]) -> None:
    (text,) = made({"schedule": "5 5 * * 0", **SCHEDULES}).values()
    golden("gitlab/schedules.yml", text)


def test_promotion(golden: Callable[[str, str], None]) -> None:
    signed = {"secrets": {"CI_ML_SIGNING_KEY": "SIGNING_KEY"}, "sigstore": True}
    (text,) = made({"record": True, "retrain": "23 4 * * 1", "audit": signed, "promote": PROMOTE}).values()
    golden("gitlab/promote.yml", text)


def test_the_layout_stages_with_a_child_in_a_folder(golden: Callable[[str, str], None]) -> None:
    chosen = {**LAYOUTS["dynamic"], **STAGES, "record": True, "credentials": ROLE, "promote": MORE}
    files = made(chosen, lock="models/a b/environment.yml", folder="models/a b")
    golden("gitlab/dynamic.yml", files.pop(".gitlab/ci-ml-models--a-b-751ac7.yml"))
    golden("gitlab/child.yml", files.pop("child"))
    assert not files


# --- What GitLab says ------------------------------------------------------------------------------------------------

# GitLab publishes it at https://gitlab.com/gitlab-org/gitlab/-/raw/master/app/assets/javascripts/editor/schema/ci.json
SCHEMA = Draft7Validator(get_builtin_schema("vendor.gitlab-ci"))


class Loader(yaml.SafeLoader):
    """YAML as GitLab reads it: a key that is there twice is a mistake, and !reference is a list of names."""


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"there twice: {keys}"
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)}


Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
Loader.add_constructor("!reference", lambda loader, node: Reference(loader.construct_sequence(node)))


class Reference(list[str]):
    """A part of another job."""


def read(text: str) -> list[Any]:
    """The documents of a file."""
    return list(yaml.load_all(text, Loader))


def valid(document: Any) -> None:
    """What the schema says, and what it cannot say: everything that a job names is there, and earlier."""
    faults = [f"{fault.json_path}: {fault.message[:300]}" for fault in SCHEMA.iter_errors(document)]
    assert not faults
    stages = [".pre", *document.get("stages", ["build", "test", "deploy"]), ".post"]
    jobs = {name: job for name, job in document.items() if name not in ("include", "stages", "workflow", "variables")}
    for name, job in jobs.items():
        assert set(job.get("extends", [])) <= jobs.keys(), name
        assert all(other in jobs and part in jobs[other] for other, part in references(job)), name
        if name.startswith("."):
            continue
        assert stage_of(name, jobs) in stages, name
        # https://docs.gitlab.com/ci/yaml/#resource_group: with any other character there is none, and nobody is told.
        assert re.fullmatch(r"[\w/${}. -]+", job.get("resource_group", "none"), re.ASCII), name
        needs = [need["job"] if isinstance(need, dict) else need for need in job.get("needs", [])]
        assert all(not need.startswith(".") for need in needs), name
        for need in needs:
            assert stages.index(stage_of(need, jobs)) <= stages.index(stage_of(name, jobs)), f"{name} needs {need}"


def stage_of(name: str, jobs: dict[str, Any]) -> str:
    """The stage of a job: its own, else that of the last job that it extends and that has one."""
    own = jobs[name].get("stage")
    found = own or next(
        (stage_of(one, jobs) for one in reversed(jobs[name].get("extends", [])) if jobs[one].get("stage")), "test"
    )
    return str(found)


def references(value: Any) -> Iterator[list[str]]:
    """Every !reference in a job."""
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from references(part)


CREDENTIALS: dict[str, tuple[str, dict[str, Any]]] = {
    "s3": ("s3://data", {}),
    "s3, other names": ("s3://data", {"secrets": {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B"}}),
    "s3, identity": ("s3://data", ROLE),
    "gs": ("gs://data", {}),
    "gs, identity": ("gs://data", {"identity": {"provider": "projects/1/x", "service_account": "a@b.c"}}),
    "azure": ("azure://data", {}),
    "azure, identity": (
        "azure://data",
        {"identity": {"client_id": "1", "tenant_id": "2", "subscription_id": "3"}},
    ),
    "ssh": ("ssh://host/data", {}),
    "a folder": ("/data", {}),
}
LOCKS = ["requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "environment.yml", "nothing"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", CREDENTIALS)
def test_pipelines_for_every_remote_are_valid(layout: str, kind: str) -> None:
    remote, credentials = CREDENTIALS[kind]
    chosen = {**LAYOUTS[layout], "credentials": credentials, "record": True, "promote": PROMOTE, **SCHEDULES}
    for text in made(chosen, remote=remote).values():
        (document,) = read(text)
        valid(document)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("lock", LOCKS)
def test_pipelines_for_every_manager_are_valid_in_any_folder(layout: str, lock: str) -> None:
    more = {**SCHEDULES, "promote": MORE, **({} if layout == "single" else STAGES)}
    for folder in ("", "models/a b"):
        for text in made({**LAYOUTS[layout], **more}, lock=lock, folder=folder).values():
            (document,) = read(text)
            valid(document)
            assert all(name.lstrip(".").startswith("models--a-b-") for name in document if folder and name != "stages")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_prefix_and_a_stage_are_in_every_job(layout: str) -> None:
    chosen = {**LAYOUTS[layout], "prefix": "ml", "stage": "deploy", "record": True, "promote": PROMOTE, **SCHEDULES}
    for path, text in made(chosen, folder="models/a b").items():
        (document,) = read(text)
        valid(document)
        jobs = {name: job for name, job in document.items() if name != "stages"}
        assert all(name.lstrip(".").startswith("ml:") for name in jobs)
        stages = {stage_of(name, jobs) for name in jobs if not name.startswith(".")}
        assert stages == ({"train", "gate", "record", "promote"} if path == "child" else {"deploy"})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scripts_are_clean_in_any_shell(layout: str, tmp_path: Path) -> None:
    for number, (remote, credentials) in enumerate(CREDENTIALS.values()):
        lock = LOCKS[number % len(LOCKS)]
        chosen = {**LAYOUTS[layout], "credentials": credentials, "record": True, "promote": PROMOTE, **SCHEDULES}
        files = made(chosen, remote=remote, lock=lock)
        for kind, text in enumerate(files.values()):
            (document,) = read(text)
            for name, job in document.items():
                if "script" in job and not name.startswith("."):
                    lines = "\n".join(script(job["script"], document))
                    (tmp_path / f"{number}-{kind}-{name}.sh").write_text(f"#!/bin/sh -e\n{lines}\n")
    lint("shellcheck", *sorted(tmp_path.iterdir()))


def test_what_is_cached_is_no_part_of_the_change(tmp_path: Path) -> None:
    (text,) = made({"python": {"install": "touch $PIP_CACHE_DIR/package.whl"}}).values()
    (document,) = read(text)
    job = document[".ci-ml-python"]
    (cached,) = job["cache"][0]["paths"]
    assert job["variables"] == {"PIP_CACHE_DIR": "$CI_PROJECT_DIR/" + cached.rstrip("/")}
    repository = Project(root=tmp_path, env={**os.environ, "PIP_CACHE_DIR": str(tmp_path / cached)})
    repository.git("init", "--quiet")
    done = repository.run("sh", "-e", "-c", "\n".join(job["script"]))
    assert done.code == 0, done.text
    assert (tmp_path / cached / "package.whl").is_file()
    assert repository.status() == ""


def script(lines: list[Any], document: Any) -> Iterator[str]:
    """The lines of a script, with those that it refers to."""
    for line in lines:
        if isinstance(line, Reference):
            job, part = line
            yield from script(document[job][part], document)
        else:
            yield line


def test_the_first_file_of_a_repository_is_valid() -> None:
    (document,) = read(pipelines.entry([".gitlab/ci-ml.yml", ".gitlab/ci-ml-b.yml"]))
    valid(document)
    assert document == {"include": [{"local": "/.gitlab/ci-ml.yml"}, {"local": "/.gitlab/ci-ml-b.yml"}]}


def test_the_example_is_valid_and_gives_the_component_inputs_that_it_has() -> None:
    (document,) = read((EXAMPLE / ".gitlab-ci.yml").read_text())
    valid(document)
    header, _ = read(COMPONENT.read_text())
    assert document["include"][0]["inputs"].keys() <= header["spec"]["inputs"].keys()


def test_the_component_is_valid_and_uses_every_input() -> None:
    text = COMPONENT.read_text()
    header, raw = read(text)
    assert not list(SCHEMA.iter_errors(header))
    assert header.keys() == {"spec"}
    inputs = header["spec"]["inputs"]
    assert all(
        one.keys() - {"options"} == {"description", "default"} for one in inputs.values()
    )  # none has to be given
    assert set(re.findall(r"\$\[\[ ([\w-]+) \]\]", text.replace("inputs.", ""))) == inputs.keys()
    assert not list(SCHEMA.iter_errors(raw))
    filled = {f"$[[ inputs.{name} ]]": one["default"] for name, one in inputs.items()}
    document = replaced(raw, filled)
    valid(document)
    assert list(document) == ["ci-ml"]
    assert "$[[" not in str(document)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("folder", ["", "models/a b"])
def test_the_gate_declares_the_reports_that_it_leaves(layout: str, folder: str) -> None:
    written = [read(text)[0] for text in made(LAYOUTS[layout], folder=folder).values()]
    written.append(read(COMPONENT.read_text())[1])
    found = [
        list(job["artifacts"]["reports"].values())
        for document in written
        for job in document.values()
        if isinstance(job, dict) and "reports" in job.get("artifacts", {})
    ]
    (generated, component) = found
    assert generated == [posixpath.join(folder, ".ci-ml", name) for name in reports.DECLARED]
    assert component == [f".ci-ml/{name}" for name in reports.DECLARED]


def replaced(value: Any, by: dict[str, str]) -> Any:
    """A document with other texts in place of some, keys included."""
    if isinstance(value, dict):
        return {replaced(key, by): replaced(part, by) for key, part in value.items()}
    if isinstance(value, list):
        return [replaced(part, by) for part in value]
    if isinstance(value, str):
        for old, new in by.items():
            value = value.replace(old, new)
    return value


@pytest.mark.parametrize(
    ("old", "new"),
    [("  stage: test\n", "  stage: nowhere\n"), ("- prepare", "- prepared"), ("timeout: 30 minutes", "timeout: [30]")],
)
def test_these_tests_notice_what_is_wrong(old: str, new: str) -> None:
    text = (
        (Path(__file__).parents[1] / "golden" / "gitlab" / "stages.yml")
        .read_text()
        .replace("[prepare]", "\n    - prepare")
    )
    assert old in text
    (document,) = read(text.replace(old, new))
    with pytest.raises((AssertionError, KeyError)):
        valid(document)
