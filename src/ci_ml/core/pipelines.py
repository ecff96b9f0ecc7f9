"""What ci-ml.yaml says of CI files, under `pipelines`. Layer: core."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ci_ml.core.models import Model
from ci_ml.core.workflow import ForgeKind, Layout, Manager

# What ends up in a file that a CI system interprets: no expressions of GitHub, no line breaks, nothing invisible.
_UNSAFE = re.compile(r"\$\{\{|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "sun mon tue wed thu fri sat".split()
# The fields of cron as GitHub takes them: what each is called, its least and its greatest number, and names for these.
_CRON: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
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


def _version(value: str) -> str:
    if not re.fullmatch(r"3\.[0-9]{1,3}(\.[0-9]{1,3})?", value):
        raise ValueError(f'must be like "3.13" or "3.13.1", not {value!r}')
    return value


def _cron(value: str) -> str:
    fields = value.split(" ") if value else []
    if value and len(fields) != len(_CRON):
        raise ValueError(f'must be five fields of cron, such as "23 4 * * 1", not {value!r}')
    for field, (what, least, most, names) in zip(fields, _CRON, strict=bool(value)):
        if not all(_fires(part, least, most, names) for part in field.split(",")):
            raise ValueError(
                f"the {what} must be {least} to {most}, *, a range such as {least}-{most}, or steps such as */2, "
                f"not {field!r}"
            )
    return value


def _fires(part: str, least: int, most: int, names: list[str]) -> bool:
    """Whether a part of a field is one that cron understands: `*`, a number or name, or a range; each with steps."""
    match = re.fullmatch(r"(?:\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?", part.lower())
    if match is None:
        return False
    first, last = (_number(text, least, names) for text in match.group(1, 2))
    ends = [least if first is None else first, most if last is None else last]
    known = all(
        text is None or number is not None for text, number in zip(match.group(1, 2), (first, last), strict=True)
    )
    return known and least <= ends[0] <= ends[1] <= most and (match[3] is None or 1 <= int(match[3]) <= most)


def _number(text: str | None, least: int, names: list[str]) -> int | None:
    if text in names:
        return names.index(text) + least
    return int(text) if text is not None and text.isdecimal() else None


_LISTED = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

Text = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_plain)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed), WithJsonSchema(_LISTED)]
Minutes = Annotated[int, Field(ge=1, le=35 * 24 * 60), BeforeValidator(_number_only)]


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

    secrets: dict[Annotated[str, Field(pattern=_NAME)], Annotated[Text, AfterValidator(_secret)]] | None = Field(
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
    schedule: Annotated[str, AfterValidator(_cron)] = Field(
        default="",
        description="When to train and judge the default branch anew, as cron; GitLab keeps it in its settings.",
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
