"""Files for GitHub as texts: what `ci-ml generate` writes, and what linters and GitHub's own schema say of it."""

import itertools
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from ci_ml.adapters import templates
from ci_ml.core import resolve
from ci_ml.core.pipeline import Output, Pipeline, Stage
from ci_ml.core.pipelines import PipelineConfig
from ci_ml.core.resolve import Surroundings
from ci_ml.core.workflow import ForgeKind
from ci_ml.render import pipelines
from ci_ml.render.pipelines import Templates
from tests.ci.conftest import REAL, TOOLS, tool
from tests.conftest import GOLDEN
from tests.e2e.project import DEADLINE

TEMPLATES = Templates(builtin=templates.builtin(), own={})
COMMIT = "ci-ml/ci-ml@0123456789abcdef0123456789abcdef01234567"


def stage(name: str, *deps: str, outs: tuple[str, ...] = ()) -> Stage:
    return Stage(
        name=name, file="dvc.yaml", command=("x",), wdir="", deps=deps, outs=tuple(Output(path=path) for path in outs)
    )


# A diamond with a foreach in it, and a stage named as a job of ours is.
PIPELINE = Pipeline(
    stages=(
        stage("prepare", "raw.csv", outs=("clean.csv",)),
        stage("fold@1", "clean.csv", outs=("fold-1.pkl",)),
        stage("fold@2", "clean.csv", outs=("fold-2.pkl",)),
        stage("gate", "fold-1.pkl", "fold-2.pkl", outs=("best.pkl",)),
        stage("report", "best.pkl", "clean.csv"),
    )
)


def made(
    chosen: Mapping[str, Any], *, lock: str = "requirements.txt", remote: str | None = "s3://data", folder: str = ""
) -> dict[str, str]:
    """The files of a pipeline by their paths, for a project whose stages are PIPELINE."""
    around = Surroundings(
        files=frozenset({lock}),
        read=lambda _: "",
        folder=folder,
        config=f"{folder}/ci-ml.yaml".lstrip("/"),
        name="tumours",
        branch="main",
        remote=remote,
        action={ForgeKind.GITHUB: "ci-ml/ci-ml@v0.1.0"},
        version="0.1.0",
    )
    config = PipelineConfig.model_validate({"forge": "github", **chosen})
    return pipelines.files(resolve.resolve(config, PIPELINE, around), TEMPLATES)


# --- Golden files: what a change of a template does to the files of users, for review ---------------------------------

# Together they have every layout, package manager, kind of remote, and way to reach one.
STAGES = {
    "layout": "stages",
    "runners": {"fold": ["self-hosted", "gpu"], "default": "ubuntu-24.04"},
    "images": {"fold": "nvidia/cuda:12.9.1-base-ubuntu24.04"},
    "timeouts": {"default": 30, "fold": 600},
}
S3 = {"identity": {"role": "arn:aws:iam::123456789012:role/ci", "region": "eu-central-1"}}
GS = {"identity": {"provider": "projects/1/locations/global/workloadIdentityPools/ci", "service_account": "ci@a.iam"}}
AZURE = {"identity": {"client_id": "1-2", "tenant_id": "3-4", "subscription_id": "5-6"}}
RENAMED = {"secrets": {"AWS_ACCESS_KEY_ID": "DVC_KEY_ID", "AWS_SECRET_ACCESS_KEY": "DVC_KEY"}}
FULL = {"record": True, "schedule": "23 4 * * 1", "branch": "release/next", "action": COMMIT}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "single": ({"forks": False}, {}),
    "single-all": ({**FULL, "credentials": GS}, {"lock": "models/a b/uv.lock", "remote": "gs://a", "folder": "models/a b"}),
    "single-poetry": ({"forks": False, "queue": False, "credentials": S3}, {"lock": "poetry.lock"}),
    "single-package": ({"forks": False}, {"lock": "pyproject.toml", "remote": "azure://a"}),
    "stages-artifacts": ({**STAGES, "forks": False}, {"remote": None}),
    "stages-remote": ({**STAGES, "record": True, "forks": False}, {"lock": "environment.yml", "remote": "ssh://host/a"}),
    "stages-dynamic": (
        {**STAGES, "graph": "dynamic", "forks": False, "credentials": AZURE},
        {"lock": "uv.lock", "remote": "azure://a"},
    ),
    "stages-both": (
        {"layout": "stages", "transfer": "artifacts", "record": True, "forks": False, "queue": False},
        {"remote": "gs://a"},
    ),
}


def name(case: str, path: str) -> str:
    """The golden file of a case and of one of the files that it gives."""
    return f"github/{case}{'-publish' if path.endswith('-publish.yml') else ''}.yml"


@pytest.mark.parametrize("case", CASES)
def test_what_is_written(case: str, golden: Callable[[str, str], None]) -> None:
    chosen, around = CASES[case]
    files = made(chosen, **around)
    assert len(files) == (1 if "forks" in chosen else 2)
    for path, text in files.items():
        golden(name(case, path), text)


def test_there_is_no_other_golden_file() -> None:
    known = {name(case, path) for case, (chosen, around) in CASES.items() for path in made(chosen, **around)}
    assert {f"github/{place.name}" for place in (GOLDEN / "github").iterdir()} == known
