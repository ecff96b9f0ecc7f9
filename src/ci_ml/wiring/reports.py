"""Reports from files. Layer: wiring."""

from pathlib import Path

from ci_ml.adapters import files
from ci_ml.core.report import MAX_BYTES, Report, load
from ci_ml.core.verdict import EXIT_CODES
from ci_ml.errors import UsageError
from ci_ml.wiring import workspace

FILE = "report.json"
PAGE = "report.html"


def last(config: str | None, output: str | None) -> Path:
    """Where the last report of this project is; without a repository around, of this folder."""
    try:
        return workspace.find(config, output).output / FILE
    except UsageError:
        if config:
            raise
        return Path(output or workspace.OUTPUT) / FILE


def read(path: Path) -> Report:
    """A report from its file. Raises UsageError or ConfigError when it is not one."""
    try:
        return load(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise UsageError(
            f"there is no report {path}", "`ci-ml check` writes one, or name it: ci-ml report FILE"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def received(path: Path) -> Report:
    """A report that somebody else has made, from a plain file. Raises UsageError or ConfigError when it is not one."""
    return load(files.read_plain(path, MAX_BYTES + 1), str(path))


def exit_code(report: Report) -> int:
    """The exit code of a report's verdict."""
    return EXIT_CODES[report.verdict.outcome]
