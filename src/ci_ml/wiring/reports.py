"""Reports from files. Layer: wiring."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ci_ml.adapters import files
from ci_ml.core.report import MAX_BYTES, Report, load
from ci_ml.core.verdict import EXIT_CODES
from ci_ml.errors import CiMlError, UsageError
from ci_ml.usecases import policy
from ci_ml.wiring import workspace

FILE = "report.json"
# What forges read of a job, by the name of the file and the format in it; the templates for GitLab name them, too.
DECLARED = {"junit.xml": "junit", "openmetrics.txt": "openmetrics", "codequality.json": "codequality"}
# All that is left beside report.json: that, and the page for people.
BESIDE = {"report.html": "html", **DECLARED}

# By what a file is known for one that ci-ml has written; an empty list of findings has nothing to say whose it is.
_OURS = {
    "junit.xml": re.compile(rb'<testsuites name="ci-ml"'),
    "openmetrics.txt": re.compile(rb"\A# TYPE ci_ml_outcome "),
    "codequality.json": re.compile(rb'"check_name": "ci-ml/|\A\[\]\n\Z'),
    "report.html": re.compile(rb"default-src 'none'; script-src 'sha256-"),
    FILE: re.compile(rb'\A\{\s*"schema": "ci-ml/report/v'),
}


def opened(config: str | None, output: str | None) -> workspace.Workspace:
    """The workspace of a run that reports. Where there is none, what an earlier run has left goes all the same."""
    try:
        return workspace.find(config, output)
    except CiMlError:
        around = Path(config).parent if config else Path()
        with contextlib.suppress(CiMlError):
            forget(Path(output) if output else around / workspace.OUTPUT)
        raise


def forget(folder: Path) -> None:
    """Take away the report of an earlier run, in every form, before anything can end this one without a report.

    However it ends, by SIGKILL as well, a later step then finds what this run has said or nothing. In a folder of
    another name than ours, files of these names stay that ci-ml has not written. Raises DependencyError when one cannot
    be removed.
    """
    for name, mark in _OURS.items():
        place = folder / name
        if files.is_file(place, None if folder.name == workspace.OUTPUT else mark):
            files.remove(place)


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
        with path.open("rb") as stream:
            return load(stream.read(MAX_BYTES + 1), str(path))
    except FileNotFoundError:
        raise UsageError(
            f"there is no report {path}", "`ci-ml check` writes one, or name it: ci-ml report FILE"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def received(path: Path) -> Report:
    """A report that somebody else has made, from a plain file. Raises UsageError or ConfigError when it is not one."""
    return load(files.read_plain(path, MAX_BYTES + 1), str(path))


def save(path: Path, text: str) -> None:
    """Write a report in some form where somebody asked for it. Raises DependencyError when it cannot be written."""
    files.write_to(path, text)


def charts(report: Report, folder: Path, kind: Literal["svg", "png"]) -> list[Path]:
    """Write every chart into a folder. Raises UsageError without what draws them, DependencyError like `save`."""
    from ci_ml.render import pictures

    drawn = {folder / name: data for name, data in pictures.charts(report, kind).items()}
    for place, data in drawn.items():
        files.write(place, data)
    return list(drawn)


def leave(report: Report, folder: Path, own: Mapping[str, str]) -> list[str]:
    """Write what people and forges read beside report.json; returns what could not be written, and why.

    One that is there already goes first: that of another verdict would be worse than none. `own` are templates.
    """
    from ci_ml.render import formats

    problems = []
    for name, form in BESIDE.items():
        place = folder / name
        try:
            files.remove(place)
            files.write(place, formats.render(form, report, own))
        except CiMlError as error:
            problems.append(f"no {name}: {error.what}")
    return problems


def templates(config: str | None, output: str | None) -> Mapping[str, str]:
    """The templates that the ci-ml.yaml around here names; none where there is none."""
    try:
        space = workspace.find(config, output)
    except UsageError:
        if config:
            raise
        return {}
    loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    return policy.templates(space.head_tree, space.project, loaded.config) if loaded else {}


def exit_code(report: Report) -> int:
    """The exit code of a report's verdict."""
    return EXIT_CODES[report.verdict.outcome]
