"""What only templates for GitLab need to know of a PipelineSpec. Layer: render."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ci_ml.core.workflow import Credentials, PipelineSpec


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a job fetches ci-ml from. `comment` says which version a commit is."""

    address: str
    ref: str
    comment: str


@dataclass(frozen=True, kw_only=True)
class Remote:
    """How a job gets to the DVC remote, beyond the variables of the project, which every job has under their own names.

    `renamed` are variables by the one of the project that holds the value, `settings` those of an identity, `script`
    the lines that make files of what DVC cannot read from variables.
    """

    renamed: dict[str, str]
    settings: dict[str, str]
    script: tuple[str, ...]


def context(spec: PipelineSpec) -> dict[str, Any]:
    """What the templates are given.

    The names of the hidden jobs that `training` and `reaching` the remote take, and the option that names the
    configuration where it has to be named. A script begins with the template `first`, if any, and ends with `last`.
    """
    remote = _remote(spec.credentials)
    reaching = [".ci-ml-remote"] if remote else []
    python = [".ci-ml-python"] if spec.python.install else []
    option = spec.naming.option
    configured = ["--config", option] if option else []
    return {
        "schedules": list(_schedules(spec)),
        "settled": {},
        "first": "",
        "last": "gitlab/run.yml.j2",
        "source": _source(spec),
        "configured": configured,
        "remote": remote,
        "reaching": reaching,
        "training": python + reaching,
    }


def _schedules(spec: PipelineSpec) -> Iterator[tuple[str, str]]:
    """When a pipeline is to start, and the job that runs alone then; no name where it is as any other."""
    if spec.schedule:
        yield spec.schedule, ""
    for name, job in (("monitor", spec.monitor), ("retrain", spec.retrain)):
        if job and job.schedule:
            yield job.schedule, named(spec, name)


def named(spec: PipelineSpec, job: str) -> str:
    """A job's name. Two projects of a repository are in one pipeline, so it begins with what tells them apart."""
    prefix = spec.naming.prefix
    if not prefix:
        return job
    return f".{prefix}:{job[1:]}" if job.startswith(".") else f"{prefix}:{job}"


def queue(spec: PipelineSpec, job: str) -> str:
    """The resource group of a job, in whose name GitLab wants no colon: https://docs.gitlab.com/ci/yaml/#resource_group"""
    return named(spec, job).replace(":", "/")


def started(spec: PipelineSpec, job: str) -> str:
    """The condition for a job that a schedule starts by its name, in which nothing has to be quoted."""
    return f'$CI_ML_SCHEDULE == "{named(spec, job)}" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH'


def command(words: Iterable[str]) -> str:
    """A line of a script that runs ci-ml, where every word stays one whatever is in it; `cd` is no command of ours."""
    line = shlex.join(words)
    return line if line.startswith("cd ") else f'"$ci_ml" {line}'


def _source(spec: PipelineSpec) -> Source:
    address, _, ref = spec.action.rpartition("@")
    return Source(address=address, ref=ref, comment=f" # v{spec.version}" if len(ref) >= _COMMIT else "")


_COMMIT = 40


def _remote(found: Credentials) -> Remote | None:
    renamed = {variable: secret for variable, secret in found.secrets.items() if variable != secret}
    if found.identity:
        return Remote(renamed={}, settings=_SETTINGS[found.kind](found.identity), script=_IDENTITY[found.kind])
    script = _SSH if found.kind == "ssh" and found.secrets else ()
    return Remote(renamed=renamed, settings={}, script=script) if renamed or script else None


# What the libraries of each cloud read by themselves, so that no job needs its tools:
# https://docs.gitlab.com/ci/cloud_services/
_SETTINGS = {
    "s3": lambda own: {"AWS_ROLE_ARN": own["role"], "AWS_DEFAULT_REGION": own["region"]},
    "gs": lambda own: {"CI_ML_PROVIDER": own["provider"], "CI_ML_SERVICE_ACCOUNT": own["service_account"]},
    "azure": lambda own: {
        "AZURE_CLIENT_ID": own["client_id"],
        "AZURE_TENANT_ID": own["tenant_id"],
        "AZURE_SUBSCRIPTION_ID": own["subscription_id"],
    },
}
_IDENTITY = {
    "s3": (
        'AWS_WEB_IDENTITY_TOKEN_FILE="$(mktemp)"',
        "export AWS_WEB_IDENTITY_TOKEN_FILE",
        """printf '%s' "$CI_ML_ID_TOKEN" >"$AWS_WEB_IDENTITY_TOKEN_FILE\"""",
    ),
    "gs": (
        'GOOGLE_APPLICATION_CREDENTIALS="$(mktemp)"',
        'CI_ML_ID_TOKEN_FILE="$(mktemp)"',
        "export GOOGLE_APPLICATION_CREDENTIALS",
        """printf '%s' "$CI_ML_ID_TOKEN" >"$CI_ML_ID_TOKEN_FILE\"""",
        'cat >"$GOOGLE_APPLICATION_CREDENTIALS" <<END',
        "{",
        '  "type": "external_account",',
        '  "audience": "//iam.googleapis.com/$CI_ML_PROVIDER",',
        '  "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",',
        '  "token_url": "https://sts.googleapis.com/v1/token",',
        '  "credential_source": {"file": "$CI_ML_ID_TOKEN_FILE"},',
        '  "service_account_impersonation_url":',
        '    "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/$CI_ML_SERVICE_ACCOUNT:generateAccessToken"',
        "}",
        "END",
    ),
    "azure": (
        'AZURE_FEDERATED_TOKEN_FILE="$(mktemp)"',
        "export AZURE_FEDERATED_TOKEN_FILE",
        """printf '%s' "$CI_ML_ID_TOKEN" >"$AZURE_FEDERATED_TOKEN_FILE\"""",
    ),
}
# GitLab gives the path of a file for a variable of the type file, and the text itself for any other.
_SSH = (
    """text() { if [ -f "$1" ]; then cat -- "$1"; else printf '%s\\n' "$1"; fi; }""",
    "mkdir -p ~/.ssh",
    "chmod 700 ~/.ssh",
    'text "$SSH_PRIVATE_KEY" >~/.ssh/id_ci',
    'text "$SSH_KNOWN_HOSTS" >>~/.ssh/known_hosts',
    "chmod 600 ~/.ssh/id_ci",
    "printf 'IdentityFile ~/.ssh/id_ci\\n' >>~/.ssh/config",
)
