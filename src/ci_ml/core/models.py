"""What the models of ci-ml.yaml have in common. Layer: core."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen value of known keys; any other key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
