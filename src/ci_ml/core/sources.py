"""Tables that are in no file: where a database is, and which rows of it are asked for. Layer: core.

A URL holds a password, so `ci-ml.yaml` names the environment variable that has it. Nothing here repeats what was
written in its place: that could be the password.
"""

import datetime as dt
import re
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from ci_ml.core.models import Model
from ci_ml.core.spans import Span
from ci_ml.errors import UsageError

_VARIABLE = r"^\$([A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})$"


def _variable(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(_VARIABLE, value):
        raise ValueError(
            "must name the environment variable that has the URL, such as $CI_ML_WAREHOUSE: a URL in this file would "
            "show its password"
        )
    return value


def _zone(value: str) -> str:
    try:
        zone(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"must be UTC or a time zone such as Europe/Berlin, not {value!r}") from None
    return value


def zone(name: str) -> dt.tzinfo:
    """A time zone by its name. Raises ZoneInfoNotFoundError, ValueError."""
    return dt.UTC if name.upper() == "UTC" else zoneinfo.ZoneInfo(name)  # a small machine may know no other


class WindowConfig(Model):
    """Which rows are current, by a column that says when each was made."""

    column: Annotated[str, Field(min_length=1)] = Field(description="The column with the time of each row.")
    last: Span = Field(description="How far back from now, such as 12h, 7d or 4w.", examples=["7d"])
    zone: Annotated[str, AfterValidator(_zone)] | None = Field(
        default=None,
        description="The time zone that times without one are in. Without it such times are refused.",
        examples=["UTC", "Europe/Berlin"],
    )


class SourceConfig(Model):
    """A table of a database."""

    url: Annotated[str, BeforeValidator(_variable), Field(pattern=_VARIABLE)] = Field(
        description="The environment variable that has the URL of the database, such as $CI_ML_WAREHOUSE.",
        examples=["$CI_ML_WAREHOUSE"],
    )
    table: Annotated[str, Field(pattern=r"^[^.\x00-\x1f]+(\.[^.\x00-\x1f]+)?$", max_length=200)] = Field(
        description="The table or view, or SCHEMA.TABLE.", examples=["predictions", "analytics.predictions"]
    )
    window: WindowConfig | None = Field(default=None, description="Which of its rows are asked for; absent: all.")

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return self.url.strip("${}")

    @property
    def place(self) -> tuple[str | None, str]:
        """The schema, if it is named, and the table."""
        schema, _, table = self.table.rpartition(".")
        return schema or None, table

    def address(self, env: Mapping[str, str]) -> str:
        """The URL. Raises UsageError when nobody has set it."""
        found = env.get(self.variable, "").strip()
        if not found:
            raise UsageError(
                f"the environment variable {self.variable}, which has the address of {self.table}, is not set",
                "give it to the job as a masked variable or a secret: postgresql://USER:PASSWORD@HOST:5432/DATABASE",
            )
        return found
