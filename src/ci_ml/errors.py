"""What can go wrong, and the exit code of each. Layer: errors (imports nothing of ci-ml).

    CiMlError                    base; never raised itself
    ├── UsageError         2     the question could not be asked: options, configuration, repository state
    │   └── ConfigError    2     ci-ml.yaml (or a report.json) does not say what it must; carries every problem
    ├── DependencyError    3     something we depend on failed: git, DVC, training, MLflow, the disk
    │   ├── StageFailed    3     a stage's command failed; carries its name, command and last lines
    │   ├── Overtaken      3     somebody else has changed first what was to be changed
    │   └── ForgeError     3     GitHub or GitLab did not do what was asked
    │       ├── Refused    3     it said no; carries the HTTP status
    │       └── Unanswered 3     it gave no usable answer; says whether a write may have happened all the same
    ├── Withheld          10     a model may not be promoted: what was judged does not allow it
    └── OutOfDate         12     dvc.lock or a generated file is not true for this commit

A verdict is not an error: it travels as a value, and `core.verdict` knows its exit code. Code 1 is never chosen,
because Python exits with 1 when ci-ml itself crashes.
"""

from collections.abc import Sequence
from typing import ClassVar


class CiMlError(Exception):
    """Something the user can act on.

    `what` says what happened and where, `hint` what to do about it.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class UsageError(CiMlError):
    """Nothing was judged: the options, the configuration or the repository do not allow the question."""

    exit_code = 2


class ConfigError(UsageError):
    """A file that people write for ci-ml is wrong; `problems` holds one line each, with file, line and key path."""

    def __init__(self, what: str, problems: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(what, hint)
        self.problems = tuple(problems)


class DependencyError(CiMlError):
    """git, DVC, MLflow, the disk or another thing we depend on failed."""

    exit_code = 3


class StageFailed(DependencyError):
    """The command of a stage failed; nothing was judged."""

    def __init__(self, stage: str, command: str, code: int | None, last_lines: Sequence[str]) -> None:
        ending = "failed" if code is None else f"failed with exit code {code}"
        super().__init__(f"stage '{stage}' {ending}: {command}", "mend the stage, then run `ci-ml train` again")
        self.stage = stage
        self.command = command
        self.code = code
        self.last_lines = tuple(last_lines)


class ForgeError(DependencyError):
    """GitHub or GitLab did not do what was asked."""


class Refused(ForgeError):
    """The forge said no, and saying it again would not help; `status` is HTTP's."""

    def __init__(self, what: str, status: int, hint: str | None = None) -> None:
        super().__init__(what, hint)
        self.status = status


class Unanswered(ForgeError):
    """The forge gave no usable answer; `perhaps` says that what was asked may have happened all the same."""

    def __init__(self, what: str, hint: str | None = None, *, perhaps: bool = False) -> None:
        super().__init__(what, hint)
        self.perhaps = perhaps


class Overtaken(DependencyError):
    """Somebody else was faster, or has the turn."""


class Withheld(CiMlError):
    """A model may not be promoted: its report, its bytes or its approvals do not allow it."""

    exit_code = 10


class OutOfDate(CiMlError):
    """A file that is derived from others does not follow from them any more."""

    exit_code = 12
