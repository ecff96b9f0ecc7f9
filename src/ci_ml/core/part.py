"""What the parts of report.json have in common. Layer: core."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field


class Part(BaseModel):
    """A part of a report: frozen, of finite numbers.

    Additions are free: an older ci-ml reads what a newer one of the same schema wrote, without what it does not know.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)


_Item = TypeVar("_Item")

# One part that is wrong is enough to say so: a stranger's file may hold a million.
Many = Annotated[tuple[_Item, ...], FailFast()]

Share = Annotated[float, Field(ge=0, le=1)]
