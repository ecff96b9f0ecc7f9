"""MLflow's client: quiet, bounded in time, and every error of it one of ours. Layer: adapters."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ci_ml.core.training import redact
from ci_ml.errors import DependencyError

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException

_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
# A server that hands files on answers only once its own store has all of one: 5 GB take minutes.
_OF_FILES = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "1800", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
# Else importing it starts a thread that reports to its makers, and, where it cannot reach them, takes a variable out of
# the environment while others read that.
UNTRACKED = {"MLFLOW_DISABLE_TELEMETRY": "true"}
_SETTINGS = {
    # Else it prints the address, password and all, on stdout.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    **UNTRACKED,
}
_DATABASES = ("postgresql", "mysql", "mssql")
_ATTEMPTS = 4  # to open a database: a second, beside what each takes
# Of a version for an alias that nobody has set it says that a parameter is invalid.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def connected(address: str, registry: str | None = None) -> Any:
    """A client for a tracking server or store; it is the registry, too, unless another is named."""
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):  # importing it sets its own levels
        logging.getLogger(name).setLevel(logging.ERROR)
    if any((place or "").startswith(_DATABASES) for place in (address, registry)):
        from mlflow.store.db import utils

        # Ten attempts with ever longer pauses are two minutes, and there is no setting for it.
        utils.MAX_RETRY_COUNT = min(utils.MAX_RETRY_COUNT, _ATTEMPTS)
    return MlflowClient(tracking_uri=address, registry_uri=registry or address)


@contextlib.contextmanager
def asking(hint: str | None = None, *, files: bool = False) -> Iterator[type["MlflowException"]]:
    """Whatever MLflow raises becomes one error, without a password; it neither prints nor retries for minutes.

    Gives the exception that its client raises, for those who know an answer to one.
    """
    with _limits(_OF_FILES if files else _LIMITS):
        try:
            from mlflow.exceptions import MlflowException

            yield MlflowException
        except DependencyError:
            raise
        except Exception as error:
            words = redact(" ".join(str(error).split()), ())  # before it is cut, or half a password could remain
            raise DependencyError(f"MLflow: {words[:500] or type(error).__name__}", hint) from error


@contextlib.contextmanager
def _limits(limits: Mapping[str, str]) -> Iterator[None]:
    """Keep MLflow's client quiet, and from retrying for minutes unless the user chose limits of their own."""
    before = dict(os.environ)
    os.environ.update({**limits, **before, **_SETTINGS})
    try:
        yield
    finally:
        for key in (*limits, *_SETTINGS):
            os.environ.pop(key, None)
            if key in before:
                os.environ[key] = before[key]
