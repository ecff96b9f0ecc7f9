"""CI files that call ci-ml: which of their jobs do, and for which events. Layer: core.

They are read as far as that takes and no further: what cannot be read calls nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ci_ml.core import documents

_WORKFLOW = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_GITLAB = re.compile(r"\.gitlab-ci\.ya?ml|\.gitlab/[^/]+\.ya?ml")
_ACTION = re.compile(r"\bci-ml\b[^@]*@")  # also a fork of it, or a mirror
_REUSABLE = re.compile(r"\bci-ml\b[^@]*/\.github/workflows/gate\.ya?ml@")  # our workflow, whose job is called so, too
_COMMAND = re.compile(r"\bci-ml\s+(ci|check)\b")
_INCLUDED = re.compile(r"(?m)^\s*-?\s*[^#\n]*\bci-ml\b")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A file that calls ci-ml on changes: the names that its jobs report as, and the events that start it."""

    path: str
    jobs: tuple[str, ...] = ()
    events: frozenset[str] = frozenset()


def candidate(path: str) -> bool:
    """Whether a path is that of a CI file."""
    return bool(_WORKFLOW.fullmatch(path) or _GITLAB.fullmatch(path))


def read(path: str, data: bytes) -> Caller | None:
    """A file that calls ci-ml for changes, or None."""
    if _GITLAB.fullmatch(path):
        return Caller(path=path) if _INCLUDED.search(data.decode("utf-8", "replace")) else None
    try:
        document = documents.parse(data, path).value
    except documents.DocumentError:
        return None
    started = events(_get(document, "on"))
    jobs = tuple(name for key, job in _items(_get(document, "jobs")) for name in _names(key, job))
    if not jobs or not started & {"pull_request", "pull_request_target", "merge_group", "push", "workflow_call"}:
        return None
    return Caller(path=path, jobs=jobs, events=started)


def events(value: Any) -> frozenset[str]:
    """The names of the events under a workflow's `on`."""
    if isinstance(value, str):
        return frozenset({value})
    return frozenset(key for key in value if isinstance(key, str)) if isinstance(value, dict | list) else frozenset()


def _names(key: str, job: Any) -> Iterator[str]:
    """What a job reports as, if it calls ci-ml as a gate: its `name`, else its key.

    A job that calls a whole workflow reports nothing itself; the jobs of that one do, under both names.
    """
    steps = _get(job, "steps")
    called = _calls(job) or any(_calls(step) for step in (steps if isinstance(steps, list) else ()))
    if called:
        name, uses = _get(job, "name"), _get(job, "uses")
        name = name if isinstance(name, str) else key
        yield f"{name} / gate" if isinstance(uses, str) and _REUSABLE.search(uses) else name


def _calls(step: Any) -> bool:
    uses, run = _get(step, "uses"), _get(step, "run")
    inputs = _get(step, "with")
    if isinstance(uses, str) and (_ACTION.search(uses) or uses == "./"):
        # The action's other commands (a plan, a stage) judge nothing.
        return str(_get(inputs, "command") or "ci") == "ci" and not _get(inputs, "report")
    return isinstance(run, str) and _COMMAND.search(run) is not None


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())


def reports_as(context: str, names: frozenset[str]) -> bool:
    """Whether a required check is one of these jobs: a matrix adds ` (…)`, a reusable workflow `CALLER / `."""
    return any(re.fullmatch(_reported(name), context) for name in names)


def _reported(name: str) -> str:
    parts = (re.escape(part) + r"(?: \(.*)?" for part in name.split(" / "))
    return r"(?s:.* / )?" + " / ".join(parts)
