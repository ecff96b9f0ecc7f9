"""`monitor:` in ci-ml.yaml: what is watched in production, and with what it is compared. Layer: core."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from ci_ml.core.drifts import BASE, DriftConfig
from ci_ml.core.models import Column, Model, Texts, table_path
from ci_ml.core.references import Reference
from ci_ml.core.sources import SourceConfig, WindowConfig


class PlaceConfig(Model):
    """A table: a file, or a table of a database."""

    path: str | None = Field(
        default=None,
        description="A file, tracked by DVC or git or neither, relative to the folder of ci-ml.yaml.",
        examples=["data/production.parquet"],
    )
    source: SourceConfig | None = Field(default=None, description="A table of a database.")

    @field_validator("path")
    @classmethod
    def _place(cls, value: str | None) -> str | None:
        return value if value is None else table_path(value)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.path is None) == (self.source is None):
            raise ValueError("name a file with `path`, or a table of a database with `source`, and not both")
        return self


class TableConfig(PlaceConfig):
    """A table that grows: a file, or a table of a database."""

    window: WindowConfig | None = Field(default=None, description="Of a file: which of its rows are asked for.")

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.source is not None and self.window is not None:
            raise ValueError("the window of a database's table belongs under `source`")
        return self

    @property
    def span(self) -> WindowConfig | None:
        """Which rows are asked for; all without."""
        return self.source.window if self.source else self.window


class LabelsConfig(PlaceConfig):
    """Where labels arrive, later than predictions."""

    id: Column | None = Field(
        default=None, description="The column with the id of the prediction; as in `predictions`."
    )
    label: Column | None = Field(default=None, description="The column of the label; as in `predictions`.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.source is not None and self.source.window is not None:
            raise ValueError("labels have no window: they belong by id to the predictions of production's window")
        return self


class MonitorConfig(Model):
    """Whether production still looks as it did in training, and the model still does as well."""

    production: TableConfig = Field(description="What the model was asked, and what it answered.")
    reference: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="A table under `data`, as dvc.lock has it: what the model was trained on. Its profile is recorded "
        "with each training, and is enough where the table itself is not at hand.",
        examples=["train"],
    )
    model: str | None = Field(
        default=None,
        description="Whose reference it is, where that is not the model of this commit: models:/NAME@alias, "
        "models:/NAME/VERSION, run:ID.",
        examples=["models:/churn@champion"],
    )
    predictions: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="A table under `predictions`: production's scores are compared with its, and where labels have "
        "arrived, its gates judge production against it.",
        examples=["test"],
    )
    labels: LabelsConfig | Literal[False] | None = Field(
        default=None,
        description="Where labels arrive that production's table does not have. false: none arrive, so gates on "
        "`predictions` do not judge production; without it, a column of labels that is gone is undecided.",
    )
    drift: DriftConfig = Field(default=DriftConfig(), description="How far columns may drift.")
    min_rows: Annotated[int, Field(ge=2)] = Field(
        default=100, description="Fewer rows in the window, or fewer of them with a label, are too few to judge by."
    )
    issue: bool = Field(
        default=True, description="Keep an issue on the forge that is open while something is wrong, and says what."
    )
    labelled: Texts = Field(default=("monitoring",), description="Labels of that issue.")
    retrain: Literal["never", "fail"] = Field(
        default="never", description="fail: when production is not as it should be, `ci-ml retrain` starts at once."
    )

    @field_validator("model")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            Reference.parse(value)
        return value

    @model_validator(mode="after")
    def _fits(self) -> "MonitorConfig":
        if self.reference is None and self.predictions is None:
            raise ValueError("name what production is compared with: `reference`, `predictions`, or both")
        if self.labels and self.predictions is None:
            raise ValueError("`labels` need `predictions`, which says what they are compared with")
        if self.drift.reference != BASE:
            raise ValueError("what production is compared with is named by `reference`, not under `drift`")
        return self
