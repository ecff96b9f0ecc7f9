"""Files for GitHub as texts: what `ci-ml generate` writes, and what linters and GitHub's own schema say of it."""

import itertools
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from ci_ml.adapters import templates
from ci_ml.core import lacking, resolve
from ci_ml.core.pipeline import Output, Pipeline, Stage
from ci_ml.core.pipelines import PipelineConfig
from ci_ml.core.workflow import ForgeKind
from ci_ml.render import pipelines
from ci_ml.render.pipelines import Templates
from tests.ci.conftest import tool
from tests.ci.runners import ROOT
from tests.ci.test_files import lint
from tests.conftest import GOLDEN
from tests.surroundings import around

pytestmark = pytest.mark.thorough

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
    config = PipelineConfig.model_validate({"forge": "github", **chosen})
    return pipelines.files(
        resolve.resolve(config, PIPELINE, around(lock=lock, remote=remote, folder=folder)), TEMPLATES
    )


# --- Golden files: what a change of a template does to the files of users, for review ---------------------------------

# Together they have every layout, package manager, kind of remote, and way to reach one.
STAGES = {
    "layout": "stages",
    "runners": {"fold": ["self-hosted", "gpu"], "default": "ubuntu-24.04"},
    "images": {"fold": "nvidia/cuda@sha256:" + 4 * "0123456789abcdef"},
    "timeouts": {"default": 30, "fold": 600},
}
S3 = {"identity": {"role": "arn:aws:iam::123456789012:role/ci", "region": "eu-central-1"}}
GS = {"identity": {"provider": "projects/1/locations/global/workloadIdentityPools/ci", "service_account": "ci@a.iam"}}
AZURE = {"identity": {"client_id": "1-2", "tenant_id": "3-4", "subscription_id": "5-6"}}
RENAMED = {"secrets": {"AWS_ACCESS_KEY_ID": "DVC_KEY_ID", "AWS_SECRET_ACCESS_KEY": "DVC_KEY"}}
WAREHOUSE = {"schedule": "0 6 * * *", "secrets": {"CI_ML_WAREHOUSE": "WAREHOUSE_URL"}}
APP = {"client_id": "Iv23liAbCdEfGhIjKlMn", "private_key": "CI_ML_APP_KEY"}
OWNERS: list[dict[str, Any]] = [{}, {"token": "CI_ML_RETRAIN_TOKEN"}, {"app": APP}]
RETRAIN = {"on_drift": True, "token": "CI_ML_RETRAIN_TOKEN", "secrets": {"KAGGLE_KEY": "KAGGLE_KEY"}}
SIGNED = {"secrets": {"CI_ML_SIGNING_KEY": "SIGNING_KEY"}, "sigstore": True}
PROMOTE = {
    "models": ["churn"],
    "secrets": {"MLFLOW_TRACKING_URI": "MLFLOW_URI", "MLFLOW_TRACKING_PASSWORD": "MLFLOW_PASSWORD"},
}
FULL = {"record": True, "schedule": "23 4 * * 1", "branch": "trunk/next", "action": COMMIT}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "single": ({"forks": False}, {}),
    "single-all": (
        {**FULL, "credentials": GS},
        {"lock": "models/a b/uv.lock", "remote": "gs://a", "folder": "models/a b"},
    ),
    "single-poetry": ({"forks": False, "queue": False, "credentials": S3}, {"lock": "poetry.lock"}),
    "single-package": ({"forks": False}, {"lock": "pyproject.toml", "remote": "azure://a"}),
    "stages-artifacts": ({**STAGES, "forks": False}, {"remote": None}),
    "stages-remote": (
        {**STAGES, "record": True, "forks": False},
        {"lock": "environment.yml", "remote": "ssh://host/a"},
    ),
    "stages-dynamic": (
        {**STAGES, "graph": "dynamic", "forks": False, "credentials": AZURE},
        {"lock": "uv.lock", "remote": "azure://a"},
    ),
    "stages-both": (
        {"layout": "stages", "transfer": "artifacts", "record": True, "forks": False, "queue": False},
        {"remote": "gs://a"},
    ),
    # Who retrains with which token, when, and on which machine.
    "schedules": ({"forks": False, "monitor": "0 6 * * *", "retrain": "23 4 * * 1"}, {}),
    "drift": (
        {**STAGES, "forks": False, "credentials": RENAMED, "monitor": WAREHOUSE, "retrain": RETRAIN},
        {"lock": "models/a b/uv.lock", "folder": "models/a b"},
    ),
    "drift-app": (
        {
            "forks": False,
            "queue": False,
            "credentials": S3,
            "monitor": {**WAREHOUSE, "timeout": 20, "image": "python@sha256:" + 4 * "0123456789abcdef"},
            "retrain": {"on_drift": True, "app": APP, "runner": ["self-hosted", "gpu"], "timeout": 600},
        },
        {"lock": "poetry.lock"},
    ),
    # What is entered in the ledger and promoted, by whom, and with which secrets.
    "audit": ({"forks": False, "audit": True, "retrain": {"token": "CI_ML_RETRAIN_TOKEN"}}, {}),
    "audit-signed": (
        {"forks": False, "audit": SIGNED, "monitor": WAREHOUSE, "retrain": RETRAIN, "promote": "churn"},
        {},
    ),
    "promote": ({"forks": False, "record": True, "promote": PROMOTE}, {}),
    "promote-more": (
        {
            **STAGES,
            "forks": False,
            "credentials": S3,
            "promote": {
                "models": ["churn", "fraud score"],
                "alias": ["champion", "shadow"],
                "environment": None,
                "token": "CI_ML_PROMOTE_TOKEN",
                "attest": True,
                "secrets": PROMOTE["secrets"],
                "runner": ["self-hosted", "gpu"],
                "timeout": 15,
            },
        },
        {"lock": "models/a b/uv.lock", "folder": "models/a b"},
    ),
}
KINDS = ("publish", "monitor", "retrain", "rollback")


def name(case: str, path: str) -> str:
    """The golden file of a case and of one of the files that it gives."""
    kind = next((f"-{kind}" for kind in KINDS if path.endswith(f"-{kind}.yml")), "")
    return f"github/{case}{kind}.yml"


@pytest.mark.parametrize("case", CASES)
def test_what_is_written(case: str, golden: Callable[[str, str], None]) -> None:
    chosen, around = CASES[case]
    files = made(chosen, **around)
    assert len(files) == 1 + ("forks" not in chosen) + sum(key in chosen for key in ("monitor", "retrain", "promote"))
    for path, text in files.items():
        golden(name(case, path), text)


@pytest.mark.parametrize(
    ("chosen", "judging"), [({}, "gate"), (STAGES, "plan, gate"), ({**STAGES, "graph": "dynamic"}, "plan, gate")]
)
def test_jobs_that_judge_reach_the_registry_where_production_is_the_baseline(
    chosen: Mapping[str, Any], judging: str
) -> None:
    """What the fix says is what helps."""
    baseline = "mlflow:models:/churn@champion"
    promote = {"models": "churn", "secrets": {"MLFLOW_TRACKING_URI": "URI"}}
    files = made({**chosen, "promote": promote}).values()
    (lack,) = lacking.judging(ForgeKind.GITHUB, baseline, files)
    assert f"nothing gives MLFLOW_TRACKING_URI to {judging}: `baseline` asks the registry" in lack.sentence
    assert lacking.judging(ForgeKind.GITHUB, "auto", files) == ()
    named = {"secrets": {"MLFLOW_TRACKING_URI": "URI", "AWS_ACCESS_KEY_ID": "KEY"}}
    files = made({**chosen, "credentials": named}).values()
    assert lacking.judging(ForgeKind.GITHUB, baseline, files) == ()


def test_there_is_no_other_golden_file() -> None:
    known = {name(case, path) for case, (chosen, around) in CASES.items() for path in made(chosen, **around)}
    assert {f"github/{place.name}" for place in (GOLDEN / "github").iterdir()} == known


# --- What linters say ------------------------------------------------------------------------------------------------

GOLDENS = sorted((GOLDEN / "github").glob("*.yml"))
# GitHub publishes it for SchemaStore: https://www.schemastore.org/github-workflow.json
SCHEMA = Draft7Validator(get_builtin_schema("vendor.github-workflows"))
CONFIGS = Path(__file__).parent


def right(*files: Path) -> None:
    tool("shellcheck")
    lint("actionlint", "-config-file", CONFIGS / "actionlint.yml", *files)


def safe(*files: Path) -> None:
    lint("zizmor", "--offline", "--quiet", "--persona", "auditor", "--config", CONFIGS / "zizmor.yml", *files)


def parsed(text: str) -> Any:
    """A file as GitHub reads it; ruamel.yaml refuses a key that is there twice."""
    return YAML(typ="safe", pure=True).load(text)


# The inputs in action.yml at the commit that is pinned; whoever moves a pin looks them up. GitHub only warns of others.
INPUTS = {
    "actions/checkout": {"fetch-depth", "persist-credentials", "ref"},
    "actions/setup-python": {"python-version", "cache", "cache-dependency-path"},
    "actions/upload-artifact": {"name", "path", "if-no-files-found", "include-hidden-files", "overwrite"},
    "actions/download-artifact": {"name", "path", "pattern", "merge-multiple", "run-id", "github-token"},
    "astral-sh/setup-uv": {"python-version", "enable-cache", "cache-dependency-glob"},
    "aws-actions/configure-aws-credentials": {"role-to-assume", "aws-region"},
    "google-github-actions/auth": {"workload_identity_provider", "service_account"},
    "actions/cache": {"path", "key"},
    "Azure/login": {"client-id", "tenant-id", "subscription-id"},
    "actions/attest": {"subject-checksums", "predicate-type", "predicate-path"},
    "actions/create-github-app-token": {
        *("client-id", "private-key", "permission-contents", "permission-pull-requests")
    },
}
OURS = {"ci-ml/ci-ml": {*YAML(typ="safe", pure=True).load((ROOT / "action.yml").read_text())["inputs"]}}


def valid(text: str) -> None:
    """What GitHub's schema says, and what every file of ours promises: whatever it uses is a commit that names its version."""
    document = parsed(text)
    faults = [f"{fault.json_path}: {fault.message[:300]}" for fault in SCHEMA.iter_errors(document)]
    assert not faults
    steps = [step for job in document["jobs"].values() for step in job.get("steps", [])]
    lines = re.findall(r"^ +- uses: (.*)$", text, re.MULTILINE)
    assert [step["uses"] for step in steps if "uses" in step] == [line.partition(" #")[0] for line in lines]
    others = [(step["uses"].partition("@")[0], step.get("with", {})) for step in steps if "uses" in step]
    assert not [(action, given) for action, given in others if not given.keys() <= {**INPUTS, **OURS}[action]]
    assert not [line for line in lines if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)]


def test_golden_files_are_right(tmp_path: Path) -> None:
    # Where they are, the workflows that some of them call would be looked for in this repository.
    right(*(Path(shutil.copy(place, tmp_path)) for place in GOLDENS))


def test_a_workflow_is_called_with_what_it_takes(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()  # where actionlint looks for the other one
    calling = [case for case, (chosen, _) in CASES.items() if "retrain" in chosen and "monitor" in chosen]
    for case in calling:
        chosen, around = CASES[case]
        files = {tmp_path / path: text for path, text in made(chosen, **around).items()}
        for place, text in files.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        right(*files)
        (monitor,) = (place for place in files if place.name.endswith("-monitor.yml"))
        (retrain,) = (parsed(text) for place, text in files.items() if place.name.endswith("-retrain.yml"))
        call = parsed(files[monitor])["jobs"].get("retrain")
        assert (call is None) == (case == "schedules")
        if call:
            # Nothing says so when a permission or a secret is not passed on, until GitHub refuses or DVC fails.
            assert call["permissions"] == granted(job["permissions"] for job in retrain["jobs"].values())
            wanted = {*re.findall(r"secrets\.(\w+)", str(retrain["jobs"]))}
            assert wanted == call["secrets"].keys() == retrain["on"]["workflow_call"]["secrets"].keys()
            monitor.write_text(files[monitor].replace("      why: ", "      because: "))
            with pytest.raises(AssertionError, match="because"):
                right(monitor)


def granted(asked: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The permissions of a caller that are enough for all of these jobs, and no more."""
    found: dict[str, str] = {}
    for one in asked:
        found |= {what: how for what, how in one.items() if found.get(what) != "write"}
    return found


def test_golden_files_are_safe() -> None:
    safe(*GOLDENS)


@pytest.mark.parametrize("place", GOLDENS, ids=lambda place: place.stem)
def test_golden_files_are_valid(place: Path) -> None:
    valid(place.read_text().replace("ci-ml/ci-ml@v0.1.0", f"{COMMIT} # v0.1.0"))


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        (right, "steps.ci-ml.outputs.report ", "steps.ci.outputs.report "),
        (safe, "permissions: {}\n", "permissions: write-all\n"),
        (valid, "    timeout-minutes: 60\n", "    minutes: 60\n"),
        (valid, "command: record", "commands: record"),
        (valid, "service_account: ", "service-account: "),
        (valid, f"{COMMIT} # v0.1.0", "ci-ml/ci-ml@v0.1.0"),
    ],
)
def test_these_tests_notice_what_is_wrong(check: Callable[..., None], old: str, new: str, tmp_path: Path) -> None:
    text = (GOLDEN / "github" / "single-all.yml").read_text()
    assert old in text
    place = tmp_path / "wrong.yml"
    place.write_text(text.replace(old, new))
    with pytest.raises(AssertionError):
        check(place.read_text() if check is valid else place)


def test_the_inputs_of_every_action_are_known() -> None:
    assert INPUTS.keys() == {action for action, _, _ in pipelines.PINS.values()}


def test_no_other_job_answers_for_the_required_one() -> None:
    for chosen, where in CASES.values():
        shown = [
            job["name"]
            for text in made(chosen, **where).values()
            for job in parsed(text)["jobs"].values()
            if "uses" not in job  # which reports as its caller and the job there, `retrain / retrain`
        ]
        assert len(shown) == len(set(shown))
    (one,), (other,) = ([*made({"forks": False}, folder=folder).values()] for folder in ("a", "b"))
    assert (parsed(one)["jobs"]["gate"]["name"], parsed(other)["jobs"]["gate"]["name"]) == ("gate a", "gate b")


# What the golden files have one of, together with any of the others.
LAYOUTS: dict[str, dict[str, Any]] = {"single": {}, "stages": STAGES, "dynamic": {**STAGES, "graph": "dynamic"}}
REMOTES: list[tuple[str, dict[str, Any]]] = [
    ("/data", {}),
    ("s3://a", {}),
    ("s3://a", RENAMED),
    ("s3://a", S3),
    ("gs://a", {}),
    ("gs://a", GS),
    ("azure://a", {}),
    ("azure://a", AZURE),
    ("ssh://host/a", {}),
]
HOW: list[dict[str, Any]] = [{"attest": True}, {"environment": None}, {"token": "CI_ML_PROMOTE_TOKEN"}]
LOCKS = ["requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "environment.yml", "nothing"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_for_every_remote_and_manager_are_right_safe_and_valid(layout: str, tmp_path: Path) -> None:
    alone = {**LAYOUTS[layout], "action": COMMIT, "monitor": WAREHOUSE}
    found = [made(alone, remote=None)]  # nothing is recorded or proposed that nobody could get
    both = {**alone, "record": True, "retrain": RETRAIN, "promote": PROMOTE}
    found += [made({**both, "retrain": {**who, **how}}) for who in OWNERS for how in ({"on_drift": True}, {})]
    found += [made({**both, "credentials": credentials}, remote=remote) for remote, credentials in REMOTES]
    found += [made({**both, "promote": {**PROMOTE, **how}}, remote="ssh://host/a") for how in HOW]
    found += [made(both, lock=lock, folder=folder) for lock in LOCKS for folder in ("", "models/a b")]
    texts = list(dict.fromkeys(itertools.chain.from_iterable(files.values() for files in found)))
    assert len(texts) >= len(REMOTES) + 2 * len(LOCKS)
    for number, text in enumerate(texts):
        valid(text)
        (tmp_path / f"{number}.yml").write_text(text)
    right(*sorted(tmp_path.iterdir()))
    safe(*sorted(tmp_path.iterdir()))
