"""What in people's own CI files keeps ours from working: a name that is there twice, a stage that is not. Layer: core.

Only what is in this repository can be read: what other repositories and servers bring is not known, and not guessed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ci_ml.core import callers, documents, includes
from ci_ml.core.listing import some

# https://docs.gitlab.com/ci/yaml/#stages
_STAGES = ("build", "test", "deploy")
_ALWAYS = (".pre", ".post")
# What makes a job of GitLab another one. Whatever else is said of a job with our name is meant for ours.
_OWN = ("script", "run", "trigger", "extends", "allow_failure")
_PREFIX = "ci-ml"
_EVENTS = {"pull_request", "pull_request_target", "merge_group", "push"}


@dataclass(frozen=True, kw_only=True)
class Clash:
    """What is wrong and what to do; `key` of `pipelines` with the value `choice` is a way out."""

    sentence: str
    fix: str
    key: str
    choice: str


def gitlab(read: Callable[[str], bytes], paths: Iterable[str], ours: Mapping[str, bytes]) -> Iterator[Clash]:
    """What keeps GitLab from running `ours`, files by their path, as they are."""
    found = includes.reached(read, paths)
    theirs = {path: _read(read, path) for path in sorted(found.paths) if path not in ours}
    for path, data in ours.items():
        jobs = _parsed(data, path)
        yield from _doubled(jobs, theirs)
        yield from _homeless(jobs, theirs, certain=not found.doubts)


def _doubled(jobs: Mapping[str, Any], theirs: Mapping[str, Mapping[str, Any]]) -> Iterator[Clash]:
    """Jobs of theirs that have the name of one of ours, and are no addition to it."""
    for path, document in theirs.items():
        for name in (name for name in document if name in jobs and isinstance(document[name], dict)):
            if kept := [key for key in _OWN if key in document[name]]:
                yield Clash(
                    sentence=f"{path} has a job {name}, too: GitLab makes one job of both, with the {kept[0]} of one",
                    fix="give your job another name, or ours: `prefix: ml` under `pipelines` makes it `ml:gate`",
                    key="prefix",
                    choice=_PREFIX,
                )


def _homeless(jobs: Mapping[str, Any], theirs: Mapping[str, Mapping[str, Any]], *, certain: bool) -> Iterator[Clash]:
    """The first job of ours with a stage that is not there."""
    declared = _stages({"ours": jobs, **theirs}, certain=certain)
    if declared is None:
        return
    place, stages = declared
    for name, job in jobs.items():
        said = [document[name] for document in theirs.values() if isinstance(document.get(name), dict)]
        wanted = next((one["stage"] for one in said if "stage" in one), _get(job, "stage"))
        if isinstance(wanted, str) and wanted not in (*stages, *_ALWAYS):
            choice = "test" if "test" in stages else stages[-1] if stages else ".post"
            yield Clash(
                sentence=f"{place} has the stages {some(stages)} and no {wanted}, where our jobs are: it refuses that",
                fix=f"add {wanted} to them, or `stage: {choice}` to the pipeline under `pipelines`",
                key="stage",
                choice=choice,
            )
            return


def _stages(theirs: Mapping[str, Mapping[str, Any]], *, certain: bool) -> tuple[str, list[str]] | None:
    """The stages that count, and the file that has them; None where that is not known. The first file's own win."""
    said = {path: document["stages"] for path, document in theirs.items() if "stages" in document}
    if includes.ENTRY in said:
        said = {includes.ENTRY: said[includes.ENTRY]}
    elif not certain or len(said) > 1:
        return None
    if not said:
        return includes.ENTRY, list(_STAGES)
    ((path, stages),) = said.items()
    known = isinstance(stages, list) and all(isinstance(stage, str) for stage in stages)
    return (path, stages) if known and not isinstance(stages, documents.Tagged) else None


def github(workflows: Mapping[str, bytes], required: str) -> Iterator[Clash]:
    """Workflows of theirs that report a check with the name of ours, which would count for it."""
    for path, data in sorted(workflows.items()):
        document = _parsed(data, path)
        if not callers.events(document.get("on")) & _EVENTS:
            continue
        jobs = _get(document, "jobs")
        for key, job in jobs.items() if isinstance(jobs, dict) else ():
            if _reported(key, job) == required:
                yield Clash(
                    sentence=f"{path} has a check {required}, too (job {key}): GitHub takes either for ours",
                    fix="give that job another name, take it away if it calls ci-ml itself, or give ours another one: "
                    "`prefix: ml` under `pipelines` makes it `ml:gate`",
                    key="prefix",
                    choice=_PREFIX,
                )


def _reported(key: str, job: Any) -> str | None:
    """The check of a job; None for one that reports under more names than its own."""
    if not isinstance(job, dict) or "uses" in job or "matrix" in (_get(job, "strategy") or {}):
        return None
    name = job.get("name")
    return name if isinstance(name, str) else str(key)


def _read(read: Callable[[str], bytes], path: str) -> Mapping[str, Any]:
    try:
        return _parsed(read(path), path)
    except documents.DocumentError:
        return {}


def _parsed(data: bytes, path: str) -> Mapping[str, Any]:
    """A file as far as it is a mapping; what cannot be read is said by who reads the file for its own sake."""
    try:
        value = documents.parse(data, path, includes.TAGS).value
    except documents.DocumentError:
        return {}
    return value if isinstance(value, dict) else {}


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
