"""Which outputs are registered as models, under which aliases, and what each of these asks for. Layer: core. Pure."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from ci_ml.core.models import Column, Finite, Model, Texts, table_path

# Where the registry is, as the environment says; MLflow reads it, too.
ADDRESS = "MLFLOW_TRACKING_URI"

_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,79}")
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)
_PERSON = re.compile(r"@?[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,198}[A-Za-z0-9])?(?:\[bot\])?")

# What MLflow takes for the name of a model is anything without / and :; what is safe in an address is less.
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]*$", max_length=120)]


def _alias(value: str) -> str:
    """A name that MLflow takes for an alias. Raises ValueError."""
    if not _ALIAS.fullmatch(value):
        raise ValueError(f"an alias is a letter, then letters, digits, _ and -, not {value!r}")
    if _RESERVED.fullmatch(value):
        raise ValueError(f"{value!r} means a version to MLflow, and cannot be an alias")
    return value


def _people(values: tuple[str, ...]) -> tuple[str, ...]:
    """Logins, or teams and groups with an @ in front. Raises ValueError."""
    for value in values:
        if not _PERSON.fullmatch(value):
            raise ValueError(f"must be a login, or @organization/team or @group, not {value!r}")
    return values


def _inside(value: str) -> str:
    """A path that does not leave the project. Raises ValueError."""
    if value.startswith("/") or "\\" in value or ".." in value.split("/"):
        raise ValueError("is relative to the folder of ci-ml.yaml, with / between folders")
    return value.removeprefix("./").rstrip("/") or "."


class AliasConfig(Model):
    """What has to be there before an alias is set."""

    approvals: Annotated[int, Field(ge=0, le=20)] = Field(
        default=0,
        description="How many people have to have approved the pull or merge request that brought the commit: its last "
        "commit, with the right to write, and not its author.",
    )
    from_: Annotated[Texts, AfterValidator(_people)] = Field(
        default=(),
        alias="from",
        description="Only approvals of these count: logins, and teams of GitHub or groups of GitLab as @NAME.",
        examples=[["ada", "@acme/model-risk"]],
    )


class ServeConfig(Model):
    """How `ci-ml serve-check` scores the packaged model on rows that were evaluated."""

    sample: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(table_path)] = Field(
        description="A table with the inputs of examples that were evaluated, and their ids.",
        examples=["data/test.parquet"],
    )
    predictions: Column = Field(description="The table under `predictions` that the same examples were evaluated in.")
    rows: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=200, description="How many rows of the sample are scored, the first ones."
    )
    tolerance: Annotated[Finite, Field(ge=0)] = Field(
        default=1e-6,
        description="By how much a number may differ: absolutely, and relative to the evaluated one. Labels must be "
        "the same.",
    )
    columns: Texts = Field(
        default=(), description="The columns that the model gets; those of its signature, else all but the id."
    )
    compare: Column | None = Field(
        default=None,
        description="The column of the evaluated predictions that the model's answers are compared with; the "
        "`prediction` of the table when absent.",
    )
    output: Column | int | None = Field(
        default=None, description="Which column of the model's answers, by name or number, when it gives several."
    )


class RegisteredConfig(Model):
    """One registered model."""

    model: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_inside)] = Field(
        description="The output of the pipeline that is registered, a file or a folder, relative to the folder of "
        "ci-ml.yaml. A folder with a file MLmodel is a model that MLflow can load.",
        examples=["models/churn"],
    )
    aliases: Annotated[
        dict[Annotated[str, AfterValidator(_alias)], AliasConfig],
        BeforeValidator(
            lambda value: {name: about or {} for name, about in value.items()} if isinstance(value, dict) else value
        ),
        Field(min_length=1),
    ] = Field(
        default={"champion": AliasConfig()},
        json_schema_extra={"default": {"champion": {}}},
        description="The aliases that `ci-ml promote` may set, and what each asks for. The first is the usual one.",
    )
    serve: ServeConfig | None = Field(default=None, description="How `ci-ml serve-check` scores the packaged model.")
