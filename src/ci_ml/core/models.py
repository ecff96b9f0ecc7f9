"""What the models of ci-ml.yaml have in common. Layer: core."""

import re
import sys
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

TEXTS = (".csv", ".tsv", ".jsonl", ".ndjson")
PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%\s*")


class Model(BaseModel):
    """A frozen value of known keys; any other key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def finite(value: Any) -> float:
    """A finite number. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"must be a finite number, not {value!r}")
    return float(value)


def table_path(value: str) -> str:
    """The path of a table, of a kind that can be read. Raises ValueError."""
    if value.startswith("/") or "\\" in value:
        raise ValueError("the file is relative to the folder of ci-ml.yaml, with / between folders")
    if not value.endswith(".parquet") and not value.removesuffix(".gz").endswith(TEXTS):
        raise ValueError(f"must end with .parquet, {', '.join(TEXTS)} (texts also with .gz), not {value!r}")
    return value


Finite = Annotated[float, BeforeValidator(finite)]
Column = Annotated[str, Field(min_length=1, max_length=200)]

# One text, or a list of them.
Texts = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=400)], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
