"""Which training something was recorded with, as people write it, and what a watch found. Layer: core. Pure.

lock:sha256:…                the training that made a dvc.lock of this digest
run:ID, or ID alone          a run of MLflow
models:/NAME@alias           the run that made the version of a registered model; also models:/NAME/3, models:/m-ID
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_FORMS = (
    re.compile(r"lock:(?P<lock>sha256:[0-9a-f]{64})"),
    re.compile(r"(run:|runs:/)?(?P<run>[0-9a-f]{32})"),
    re.compile(r"models:/(?P<logged>m-[0-9a-f]{32})"),
    re.compile(r"models:/(?P<model>[^/@]{1,250})@(?P<alias>[\w.-]{1,255})"),
    re.compile(r"models:/(?P<model>[^/@]{1,250})/(?P<version>[0-9]{1,9})"),
)

# A baseline that is whatever has an alias: mlflow:models:/NAME@alias.
IN_PRODUCTION = re.compile(r"mlflow:(?P<reference>models:/[^/@\s]{1,250}(@[\w.-]{1,255}|/[0-9]{1,9}))")


class Origin(StrEnum):
    """How a training is found."""

    LOCK = "lock"
    RUN = "run"
    ALIAS = "alias"
    VERSION = "version"
    LOGGED = "logged"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What to look for: a digest, an id, an alias or a version; `model` is the registered model of the last two."""

    origin: Origin
    value: str
    model: str | None = None

    def __str__(self) -> str:
        if self.origin is Origin.ALIAS:
            return f"models:/{self.model}@{self.value}"
        if self.origin is Origin.VERSION:
            return f"models:/{self.model}/{self.value}"
        return f"models:/{self.value}" if self.origin is Origin.LOGGED else f"{self.origin}:{self.value}"

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """What somebody wrote. Raises ValueError."""
        for form in _FORMS:
            if found := form.fullmatch(text):
                known = found.groupdict()
                model = known.pop("model", None)
                ((origin, value),) = known.items()
                return cls(origin=Origin(origin), value=value, model=model)
        raise ValueError(f"must be models:/NAME@alias, models:/NAME/VERSION, run:ID or lock:sha256:…, not {text!r}")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A document that was recorded with a training, and the run that has it."""

    run: str
    document: Any


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is logged of one look at production: numbers by name, and what they are about.

    `reference` is the run that the numbers were compared with.
    """

    name: str
    at: dt.datetime
    outcome: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    reference: str | None = None
    run_url: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
