"""What ci-ml.yaml says of CI files, under `pipelines`. Layer: core."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

from ci_ml.core import cron
from ci_ml.core.models import Model
from ci_ml.core.workflow import ForgeKind, Layout, Manager

# What ends up in a file that a CI system interprets: no expressions of GitHub, no line breaks, nothing invisible.
_UNSAFE = re.compile(r"\$\{\{|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _plain(value: str) -> str:
    if _UNSAFE.search(value):
        raise ValueError(f"must be plain text without ${{{{ }}}} in it, not {value!r}")
    return value


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    """A version is text; YAML reads 3.13 as a number, and 3.10 as 3.1."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        raise ValueError(  # noqa: TRY004  pydantic takes it for what is wrong with the value
            f'must be in quotes, such as "3.13": YAML reads {value} as a number'
        )
    return value


def _number_only(value: Any) -> Any:
    """A number of minutes; Python takes true for 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number of minutes, not {str(value).lower()}")  # noqa: TRY004  as above
    return value


def _secret(value: str) -> str:
    if not re.fullmatch(_NAME, value):
        raise ValueError(f"must be the name of a secret, of letters, digits and _, not {value!r}")
    return value


def _own(value: str) -> str:
    if value.upper().startswith("GITHUB_"):
        raise ValueError(f"GitHub lets no secret be called {value}; leave it out for the job's own token")
    return value


def _whole(value: Any) -> Any:
    return {"schedule": value} if isinstance(value, str) else value


def _promoting(value: Any) -> Any:
    return {"models": value} if isinstance(value, str | list | tuple) else value


def _entering(value: Any) -> Any:
    return ({} if value else None) if isinstance(value, bool) else value


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if twice := next((value for value in values if values.count(value) > 1), None):
        raise ValueError(f"names {twice!r} twice")
    return values


def _version(value: str) -> str:
    if not re.fullmatch(r"3\.[0-9]{1,3}(\.[0-9]{1,3})?", value):
        raise ValueError(f'must be like "3.13" or "3.13.1", not {value!r}')
    return value


_LISTED: dict[str, list[JsonSchemaValue]] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
}

Text = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_plain)]
# Models and aliases of a registry: what is plain in a shell, in YAML, and in MLflow's addresses (models:/NAME@ALIAS).
Named = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. ()+-]*$")]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed), WithJsonSchema(_LISTED)]
Names = Annotated[
    tuple[Named, ...], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_once), WithJsonSchema(_LISTED)
]
Minutes = Annotated[int, Field(ge=1, le=35 * 24 * 60), BeforeValidator(_number_only)]
Cron = Annotated[str, AfterValidator(cron.checked)]
Secret = Annotated[Text, AfterValidator(_secret)]
Secrets = dict[Annotated[str, Field(pattern=_NAME)], Secret]


class PythonConfig(Model):
    """The environment that the stages run in. ci-ml brings one of its own, beside it."""

    version: Annotated[Text, BeforeValidator(_text), AfterValidator(_version)] | None = Field(
        default=None, description='Such as "3.13"; .python-version, else the newest that ci-ml knows, when absent.'
    )
    manager: Manager | None = Field(
        default=None, description="pip, uv, poetry, conda or none; found by the lock file when absent."
    )
    install: Texts | None = Field(
        default=None, description="The commands that install packages, instead of the manager's usual ones."
    )


class CredentialsConfig(Model):
    """What jobs get to reach the DVC remote. Its kind (S3, GCS, Azure, SSH) is read from DVC's configuration."""

    secrets: Secrets | None = Field(
        default=None,
        description="Environment variables by the CI secret that holds each; the usual ones of the remote when absent.",
        examples=[{"AWS_ACCESS_KEY_ID": "DVC_KEY_ID", "AWS_SECRET_ACCESS_KEY": "DVC_KEY"}],
    )
    identity: dict[str, Text] | None = Field(
        default=None,
        description="OpenID Connect instead of secrets. S3: role, region. GCS: provider, service_account. Azure: "
        "client_id, tenant_id, subscription_id.",
        examples=[{"role": "arn:aws:iam::123456789012:role/ci", "region": "eu-central-1"}],
    )

    @model_validator(mode="after")
    def _one(self) -> "CredentialsConfig":
        if self.secrets and self.identity:
            raise ValueError("`secrets` and `identity` are two ways to the same remote: leave one out")
        return self


class _ApartConfig(Model):
    """What jobs have in common whose code is that of the default branch alone."""

    secrets: Secrets = Field(
        default={},
        description="More environment variables by the CI secret that holds each, for this job alone, such as the "
        "address of a warehouse.",
        examples=[{"CI_ML_WAREHOUSE": "WAREHOUSE_URL"}],
    )
    runner: Texts | None = Field(
        default=None, description="The labels (GitHub) or tags (GitLab) of its machine; `runners.default` when absent."
    )
    image: Text | None = Field(default=None, description="Its container image; `images.default` when absent.")
    timeout: Minutes | None = Field(default=None, description="Its minutes; `timeouts.default` when absent.")


class _ScheduledConfig(_ApartConfig):
    """What the jobs that a schedule starts have in common."""

    schedule: Cron = Field(
        default="",
        description="When, as cron; GitLab keeps it in its settings. Only by hand, or on drift, when absent.",
        examples=["23 4 * * 1"],
    )


class MonitorJobConfig(_ScheduledConfig):
    """The job that looks at production."""

    schedule: Annotated[Cron, Field(min_length=1)] = Field(
        description="When, as cron; GitLab keeps it in its settings.", examples=["0 6 * * *"]
    )


class AppConfig(Model):
    """A GitHub App, installed in the repository, that pushes and proposes: it may write contents and pull requests."""

    client_id: Annotated[Text, BeforeValidator(_text)] = Field(
        description="The client id, which is no secret.", examples=["Iv23liAbCdEfGhIjKlMn"]
    )
    private_key: Secret = Field(description="The CI secret that holds the private key.", examples=["CI_ML_APP_KEY"])


class RetrainJobConfig(_ScheduledConfig):
    """The job that trains a challenger and proposes it."""

    on_drift: bool = Field(
        default=False, description="Also whenever `monitor` finds that production drifted (its exit code is 10)."
    )
    token: Annotated[Secret, AfterValidator(_own)] | None = Field(
        default=None,
        description="The CI secret with the token that pushes and proposes. GitHub: the job's own token when absent, "
        "which starts no checks. GitLab: CI_ML_TOKEN when absent.",
        examples=["CI_ML_RETRAIN_TOKEN"],
    )
    app: AppConfig | None = Field(
        default=None, description="GitHub: an app that pushes and proposes, instead of `token`."
    )

    @model_validator(mode="after")
    def _one(self) -> "RetrainJobConfig":
        if self.token and self.app:
            raise ValueError("`token` and `app` are two ways to the same: leave one out")
        return self


class AuditJobConfig(Model):
    """What jobs get that enter records in the ledger, beside a token that may write there."""

    secrets: Secrets = Field(
        default={},
        description="Environment variables by the CI secret that holds each, for the jobs that enter records: the key "
        "that signs them.",
        examples=[{"CI_ML_SIGNING_KEY": "SIGNING_KEY"}],
    )
    sigstore: bool = Field(
        default=False, description="These jobs get an identity that Sigstore vouches for (`audit: {sign: sigstore}`)."
    )


class PromoteJobConfig(_ApartConfig):
    """The job that gives aliases of the registry to what was merged, and the one that takes them back."""

    models: Names = Field(
        description="The models under `registry` that a push to the default branch promotes.", examples=[["churn"]]
    )
    alias: Names = Field(default=("champion",), description="The alias that moves to what was merged, or several.")
    environment: Text | None = Field(
        default="production",
        description="The environment of the forge that both jobs are for: who has to agree, and which branches get its "
        "secrets, is said in its settings. null: none.",
    )
    token: Annotated[Secret, AfterValidator(_own)] | None = Field(
        default=None,
        description="The CI secret with the token that writes the ledger and reads who approved. GitHub: the job's own "
        "token when absent. GitLab: CI_ML_TOKEN when absent.",
        examples=["CI_ML_PROMOTE_TOKEN"],
    )
    attest: bool = Field(
        default=False, description="GitHub: sign what is known of the model with `actions/attest` once it is promoted."
    )


class _Shorthand:
    """What may stand for a mapping: cron for a job with that schedule, names for one that promotes them."""

    def __init__(self, whole: Callable[[Any], Any] = _whole, *alone: JsonSchemaValue) -> None:
        self.whole = whole
        self.alone = alone or ({"type": "string"},)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self.whole, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [*self.alone, *handler(schema)["anyOf"]]}


class PipelineConfig(Model):
    """The CI files of one forge, as `ci-ml generate` writes them."""

    forge: ForgeKind = Field(description="github or gitlab.")
    layout: Layout = Field(
        default=Layout.SINGLE, description="single: everything in one job. stages: a job per stage of dvc.yaml."
    )
    graph: Literal["static", "dynamic"] = Field(
        default="static",
        description="Of the layout `stages`. static: the jobs are in the file. dynamic: they are found at run time; "
        "foreach and matrix stages on GitHub, the whole child pipeline on GitLab.",
    )
    runners: dict[str, Texts] = Field(
        default={},
        description="The labels (GitHub) or tags (GitLab) of the machine for a stage, by its name or a glob; "
        "`default` is for all others and for ci-ml's own jobs.",
        examples=[{"train": ["self-hosted", "gpu"], "default": "ubuntu-24.04"}],
    )
    images: dict[str, Text] = Field(
        default={}, description="The container image for a stage, by its name or a glob; `default` for all others."
    )
    timeouts: dict[str, Minutes] = Field(
        default={}, description="Minutes for a stage, by its name or a glob; `default` for all others (60)."
    )
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,39}$")] | None = Field(
        default=None,
        description="What the names of our jobs (GitLab) and of the required check begin with, before a colon, where a "
        "job of yours has one of these names; that of the folder of ci-ml.yaml when absent.",
        examples=["ml"],
    )
    stage: Text | None = Field(
        default=None,
        description="GitLab: the stage of our jobs, one of those under `stages` in .gitlab-ci.yml; test when absent.",
    )
    python: PythonConfig = Field(default=PythonConfig(), description="The environment that the stages run in.")
    credentials: CredentialsConfig = Field(default=CredentialsConfig(), description="For the DVC remote.")
    transfer: Literal["auto", "remote", "artifacts"] = Field(
        default="auto",
        description="How outputs get from job to job: through the DVC remote, or as artifacts of the CI system. auto: "
        "through the remote where there is one.",
    )
    branch: Text | None = Field(default=None, description="The default branch; main when absent.")
    record: bool = Field(
        default=False,
        description="On the default branch: push the data, and commit dvc.lock and metrics if training changed them.",
    )
    forks: bool = Field(default=True, description="GitHub: a second workflow comments on pull requests from forks.")
    queue: bool = Field(default=True, description="GitHub: judge what a merge queue is about to merge.")
    schedule: Cron = Field(
        default="",
        description="When to train and judge the default branch anew, as cron; GitLab keeps it in its settings.",
    )
    monitor: Annotated[MonitorJobConfig | None, _Shorthand()] = Field(
        default=None,
        description="When to look at production (`ci-ml monitor`): cron, or a mapping with more.",
        examples=["0 6 * * *"],
    )
    retrain: Annotated[RetrainJobConfig | None, _Shorthand()] = Field(
        default=None,
        description="When to train a challenger and propose it (`ci-ml retrain`): cron, or a mapping with more.",
        examples=["23 4 * * 1", {"schedule": "23 4 * * 1", "on_drift": True, "token": "CI_ML_RETRAIN_TOKEN"}],
    )
    audit: Annotated[AuditJobConfig | None, _Shorthand(_entering, {"type": "boolean"})] = Field(
        default=None,
        description="On the default branch: enter what was trained and judged in the ledger (`ci-ml audit record`): "
        "true, or a mapping with what signs it. `promote` does so in any case.",
        examples=[True, {"secrets": {"CI_ML_SIGNING_KEY": "SIGNING_KEY"}}],
    )
    promote: Annotated[PromoteJobConfig | None, _Shorthand(_promoting, *_LISTED["anyOf"])] = Field(
        default=None,
        description="What was merged and passed the gate gets its aliases in the registry (`ci-ml promote`), and by "
        "hand they go back (`ci-ml rollback`): names of models, or a mapping with more.",
        examples=["churn", {"models": ["churn"], "secrets": {"MLFLOW_TRACKING_URI": "MLFLOW_TRACKING_URI"}}],
    )
    templates: Text | None = Field(
        default=None,
        description="A folder of templates that replace ours, or blocks of them, relative to the folder of ci-ml.yaml.",
    )
    action: Text | None = Field(
        default=None,
        description="Where ci-ml itself comes from: OWNER/NAME@COMMIT on GitHub, ADDRESS@COMMIT on GitLab.",
        examples=["ci-ml/ci-ml@0123456789abcdef0123456789abcdef01234567"],
    )

    @model_validator(mode="after")
    def _labelled(self) -> "PipelineConfig":
        if self.forge is ForgeKind.GITHUB and (bare := [name for name, labels in self.runners.items() if not labels]):
            raise ValueError(f"runners.{bare[0]}: GitHub finds no machine without a label")
        return self

    @model_validator(mode="after")
    def _staged(self) -> "PipelineConfig":
        if self.forge is ForgeKind.GITHUB and self.stage is not None:
            raise ValueError("`stage` belongs to gitlab: GitHub has no stages of jobs")
        return self

    @model_validator(mode="after")
    def _noticed(self) -> "PipelineConfig":
        if self.retrain and self.retrain.on_drift and self.monitor is None:
            raise ValueError("retrain.on_drift needs `monitor`, which notices the drift")
        if self.retrain and self.retrain.app and self.forge is ForgeKind.GITLAB:
            raise ValueError("retrain.app belongs to github: on GitLab name the variable with a token, `token`")
        if self.promote and self.promote.attest and self.forge is ForgeKind.GITLAB:
            raise ValueError("promote.attest belongs to github: on GitLab `ci-ml audit sign` signs (docs/signing.md)")
        for key in ("monitor", "retrain", "promote"):
            job = getattr(self, key)
            if self.forge is ForgeKind.GITHUB and job and job.runner == ():
                raise ValueError(f"{key}.runner: GitHub finds no machine without a label")
        return self

    @model_validator(mode="after")
    def _fits(self) -> "PipelineConfig":
        if self.layout is Layout.SINGLE:
            for key in ("graph", "transfer"):
                if key in self.model_fields_set:
                    raise ValueError(f"`{key}` belongs to the layout stages")
            for key in ("runners", "images", "timeouts"):
                if others := [name for name in getattr(self, key) if name != "default"]:
                    raise ValueError(f"{key}.{others[0]}: the layout single has one job; name it `default`")
        if self.action is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", self.action):
            raise ValueError(f"action must be OWNER/NAME@COMMIT, not {self.action!r}")
        return self
