"""What a packaged model answers, asked in a process of its own. Layer: adapters.

Loading a model runs what is in it. It gets the model's files, rows to score and none of the environment's secrets, and
what it answers is checked like anything from a stranger.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ci_ml.adapters import proc
from ci_ml.adapters.mlflow.client import UNTRACKED
from ci_ml.core.training import redact, secrets
from ci_ml.errors import DependencyError, UsageError

_CHILD = Path(__file__).with_name("child.py")
_PATIENCE = 1800.0
_LONGEST = 256 * 2**20
_HANDED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP")

Value = bool | int | float | str | None


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: Annotated[list[Value], Field(max_length=1_000_000)]
    answers: Annotated[dict[str, list[Value]], Field(max_length=10_000)]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Ids of rows, and the columns that the model answered with; one that has no name is called by its number."""

    ids: Sequence[Value]
    answers: Mapping[str, Sequence[Value]]


def score(
    model: Path, sample: Path, *, called: str, id_: str, columns: Sequence[str], rows: int, python: str | None,
    env: Mapping[str, str],
) -> Scored:  # fmt: skip
    """What a model answers for the first rows of a table; `called` says by its ending what kind of file that is.

    Raises DependencyError when the model cannot be loaded or asked, UsageError for a sample that lacks a column.
    """
    with tempfile.TemporaryDirectory(prefix="ci-ml-serve-") as folder:
        answer = Path(folder) / "answer.json"
        asked = {
            "model": str(model), "sample": str(sample), "called": called, "id": id_, "columns": list(columns),
            "rows": rows, "answer": str(answer),
        }  # fmt: skip
        handed = {key: value for key, value in env.items() if key in _HANDED_ON} | {"HOME": folder, **UNTRACKED}
        program = python or sys.executable
        command = [program, "-I", "-B", str(_CHILD)]
        done = proc.run(command, cwd=Path(folder), env=handed, stdin=json.dumps(asked).encode(), timeout=_PATIENCE)
        if done.code != 0:
            line = next((line.strip() for line in reversed(done.err.splitlines()) if line.strip()), "no word of it")
            said = redact(line, secrets(env))[:500]
            if done.code == 4:  # what the child says itself of the sample
                raise UsageError(said)
            hint = "the Python that scores needs mlflow, pandas and what the model is made of: --python names another"
            raise DependencyError(f"the model could not be loaded or asked: {said}", hint)
        return _read(answer)


def _read(place: Path) -> Scored:
    try:
        with place.open("rb") as stream:
            data = stream.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise DependencyError(f"the model answers with more than {_LONGEST // 2**20} MiB", "score fewer `rows`")
        found = _Answer.model_validate_json(data)
    except (OSError, ValidationError):
        raise DependencyError("the model was asked, and what it answered is no list of numbers or labels") from None
    if any(len(values) != len(found.ids) for values in found.answers.values()) or not found.answers:
        raise DependencyError("the model does not answer once for each row")
    return Scored(ids=found.ids, answers=found.answers)
