"""What would stop ci-ml from working here: findings, and those that this clone alone decides. Layer: core.

What a forge says is judged in core.protection. Missing never means fine: what could not be looked at is `unknown`.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ci_ml.core.clashes import Clash
from ci_ml.core.includes import ENTRY, Entry
from ci_ml.core.listing import some
from ci_ml.core.registry import ADDRESS
from ci_ml.core.staleness import Freshness, State
from ci_ml.errors import CiMlError, ConfigError, DependencyError, OutOfDate, UsageError

SCHEMA = "ci-ml/doctor/v1"


class Health(StrEnum):
    """What became of a check."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


class Check(StrEnum):
    """What is looked at, in this order."""

    CONFIGURATION = "configuration"
    PIPELINE = "pipeline"
    LOCK = "lock"
    DATA = "data"
    BASE = "base"
    WORKFLOW = "workflow"
    REMOTE = "remote"
    REGISTRY = "registry"
    TOKEN = "token"
    REQUIRED = "required"
    QUEUE = "queue"
    VARIABLE = "variable"
    PROPOSAL = "proposal"
    SCHEDULE = "schedule"
    ENVIRONMENT = "environment"
    PROMOTION = "promotion"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found, as one sentence, what to do about it, and the exit code that a problem asks for."""

    check: Check
    health: Health
    sentence: str
    fix: str | None = None
    exit_code: int = 0


def ok(check: Check, sentence: str) -> Finding:
    """Nothing is wrong."""
    return Finding(check=check, health=Health.OK, sentence=sentence)


def problem(check: Check, sentence: str, fix: str | None, kind: type[CiMlError] = UsageError) -> Finding:
    """This would stop ci-ml, or the gate; `kind` is the error that it would end in."""
    return Finding(check=check, health=Health.PROBLEM, sentence=sentence, fix=fix, exit_code=kind.exit_code)


def unknown(check: Check, sentence: str, fix: str | None = None) -> Finding:
    """It could not be looked at, for this reason."""
    return Finding(check=check, health=Health.UNKNOWN, sentence=sentence, fix=fix)


def failed(check: Check, error: CiMlError) -> Finding:
    """What another command would end with, as a finding."""
    first = f": {error.problems[0]}" if isinstance(error, ConfigError) and error.problems else ""
    return problem(check, f"{error.what}{first}", error.hint, type(error))


def exit_code(findings: Iterable[Finding]) -> int:
    """That of the most serious problem: nothing can be judged (2), then a dependency (3), then what is stale (12)."""
    codes = [one.exit_code for one in findings if one.health is Health.PROBLEM]
    return next((code for code in _BY_WEIGHT if code in codes), 0)


_BY_WEIGHT = (UsageError.exit_code, DependencyError.exit_code, OutOfDate.exit_code)


# --- The configuration ------------------------------------------------------------------------------------------------


def configuration(name: str, gates: int | None, tables: int = 0) -> Finding:
    """A file that is valid; `gates` is None when there is no file, `tables` is how many are under `data`."""
    if gates is None:
        return problem(Check.CONFIGURATION, f"there is no {name}", "`ci-ml init` writes one")
    if not gates and not tables:
        fix = "add gates to it; without any nothing can pass"
        return problem(Check.CONFIGURATION, f"{name} is valid, and has no gates", fix)
    counted = [_count(number, noun) for number, noun in ((gates, "gate"), (tables, "table")) if number]
    return ok(Check.CONFIGURATION, f"{name} is valid and has {' and '.join(counted)}")


def invalid(name: str, error: CiMlError, todo: int) -> Finding:
    """A file that is not valid, with so many lines that `ci-ml init` has left to its user."""
    if todo:
        fix = "say there what only you can know, such as which way a number is better"
        return problem(Check.CONFIGURATION, f"{name} has {_count(todo, 'line')} with TODO", fix)
    found = failed(Check.CONFIGURATION, error)
    return problem(Check.CONFIGURATION, found.sentence, found.fix or f"mend {name}", type(error))


def data(tables: int, absent: Sequence[str], untold: str | None) -> Finding:
    """The files of tables, and of their models, of which some are nowhere; `untold` is a package that is not here."""
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        fix = "write it, track it with git or DVC, or correct its path under `data`: what is missing cannot pass"
        return problem(Check.DATA, f"there is no file {absent[0]}{more}, of which something is expected", fix)
    if untold:
        return problem(
            Check.DATA, f"{untold} is not installed, and a table has a `schema`", "pip install 'ci-ml[pandera]'"
        )
    return ok(Check.DATA, f"{_count(tables, 'table')} under data {'is' if tables == 1 else 'are'} there")


# --- The pipeline -----------------------------------------------------------------------------------------------------


def tracked(stages: int, files: Sequence[str], known: Iterable[str], absent: Sequence[str]) -> Finding:
    """Whether git has what DVC needs: `files` are DVC's own, `known` those git tracks, `absent` the locks not here."""
    known = set(known)
    if lost := [path for path in files if path not in known]:
        fix = f"git add {shlex.join(lost)}"
        return problem(Check.PIPELINE, f"git does not track {some(lost)}: CI would not have it", fix)
    if absent:
        fix = "`ci-ml train` runs the stages and writes it; then commit it"
        return problem(Check.PIPELINE, f"there is no {some(absent)}: nothing was trained yet", fix)
    return ok(Check.PIPELINE, f"a DVC project with {_count(stages, 'stage')}, and git tracks its files")


def no_pipeline(definitions: Sequence[str]) -> Finding:
    """No DVC project; `definitions` are the dvc.yaml files that there are all the same."""
    if definitions:
        return problem(Check.PIPELINE, f"there is {some(definitions)}, and no DVC project around it", "`dvc init`")
    return _NO_DVC


_NO_DVC = ok(Check.PIPELINE, "there is no DVC project: numbers in git are judged, and nothing is trained")


def lock(items: Sequence[Freshness]) -> Finding:
    """Whether dvc.lock is true for the files here."""
    stale = [item.name for item in items if item.state is State.STALE]
    if stale:
        sentence = f"dvc.lock is out of date: {len(stale)} of {_count(len(items), 'stage')} ({some(stale)})"
        return problem(Check.LOCK, sentence, "`ci-ml train`, then commit dvc.lock", OutOfDate)
    return ok(Check.LOCK, f"dvc.lock is up to date ({_count(len(items), 'stage')})")


def base(label: str, why: str, *, shallow: bool) -> Finding:
    """The commit that changes here are compared with."""
    depth = "; this clone is shallow, and deep enough" if shallow else ""
    return ok(Check.BASE, f"the base can be had: {label} ({why}){depth}")


# --- CI files ---------------------------------------------------------------------------------------------------------


def generated(
    outdated: Sequence[str], untracked: Sequence[str], current: Sequence[str], surplus: Sequence[str] = ()
) -> Finding:
    """The files that `pipelines` declares, and those that it does not any more: what each of them is, by its path."""
    if outdated:
        sentence = f"{some(outdated)} does not say what ci-ml.yaml and dvc.yaml say"
        return problem(Check.WORKFLOW, sentence, "`ci-ml generate`, then commit what it writes", OutOfDate)
    if surplus:
        sentence = f"{some(surplus)} is of pipelines that ci-ml.yaml does not declare any more"
        return problem(Check.WORKFLOW, sentence, "`ci-ml generate`, then commit that it is gone", OutOfDate)
    if untracked:
        return problem(Check.WORKFLOW, f"git does not track {some(untracked)}", f"git add {shlex.join(untracked)}")
    return ok(Check.WORKFLOW, f"{some(current)} {'is' if len(current) == 1 else 'are'} as it should be")


def clashing(found: Clash) -> Finding:
    """What of people's own files keeps ours from working."""
    return problem(Check.WORKFLOW, found.sentence, found.fix)


def included(found: Entry) -> Finding | None:
    """Whether GitLab reads what was generated for it; None when it does."""
    if found.dangling:
        sentence = f"{ENTRY} includes {some(found.dangling)}, which is not there: GitLab refuses every pipeline"
        return problem(Check.WORKFLOW, sentence, "take that line out of it")
    listed = found.absent or found.doubtful
    fix = f"add to it: include: [{', '.join(f'{{local: /{path}}}' for path in listed)}]"
    if found.absent:
        sentence = f"{ENTRY} does not include {some(listed)}: GitLab never reads it"
        return problem(Check.WORKFLOW, sentence, fix, OutOfDate)
    if found.doubtful:
        return unknown(Check.WORKFLOW, f"whether {ENTRY} includes {some(listed)}: {found.why}", f"if not, {fix}")
    return None


def written(paths: Sequence[str], config: str) -> Finding:
    """Without `pipelines`: the files written by hand that call ci-ml."""
    if paths:
        return ok(Check.WORKFLOW, f"ci-ml is called by {some(paths)}, written by hand and so not compared")
    fix = f"add `pipelines: [{{forge: github}}]` (or gitlab) to {config}, then `ci-ml generate`"
    return problem(Check.WORKFLOW, "no CI file here calls ci-ml: nothing is judged before it is merged", fix)


# --- DVC's remote -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Storage:
    """DVC's default remote as it was found: its name, and whether anything is there; `trouble`: why nobody knows."""

    name: str = ""
    holds: bool = False
    trouble: str | None = None


def remote(found: Storage, *, needed: bool) -> Finding:
    """The default remote; `needed` says that DVC keeps data which has to be there."""
    if found.trouble is not None:
        fix = "check its address and the credentials: `dvc remote list`, `dvc status --cloud`"
        return problem(Check.REMOTE, f"DVC's default remote cannot be reached: {found.trouble}", fix, DependencyError)
    if needed and not found.holds:
        sentence = f"the remote {found.name} holds nothing: CI could not get the data"
        return problem(Check.REMOTE, sentence, "`dvc push`", DependencyError)
    return ok(Check.REMOTE, f"the remote {found.name} can be reached")


def no_remote(sources: Sequence[str]) -> Finding:
    """No default remote in .dvc/config; `sources` are the data that no stage makes."""
    if sources:
        sentence = f"DVC has no default remote in .dvc/config: CI could not get {some(sources)}"
        return problem(Check.REMOTE, sentence, "`dvc remote add --default NAME URL`, then commit .dvc/config")
    return ok(Check.REMOTE, "DVC has no default remote, and no data that needs one")


# --- The registry -----------------------------------------------------------------------------------------------------


def registry(address: str, models: Sequence[str], trouble: str | None, *, new: bool = False) -> Finding:
    """A registry that was asked for models; `trouble`: why it could not be. One that is `new` was not asked."""
    if new:
        return ok(Check.REGISTRY, f"the registry at {address} is not there yet: the first promotion makes it")
    if trouble is not None:
        fix = f"check {ADDRESS} and the credentials; nothing is promoted or taken back without it"
        return problem(Check.REGISTRY, f"the registry at {address} cannot be asked: {trouble}", fix, DependencyError)
    return ok(Check.REGISTRY, f"the registry at {address} answers, for {some(models)}")


def no_registry(models: Sequence[str], unshared: str | None, *, promoted: bool) -> Finding:
    """No address of a registry here; `promoted` says that jobs promote, which have one of their own."""
    if promoted:
        sentence = f"whether the registry answers, for {some(models)}: {ADDRESS} is not set here"
        return unknown(Check.REGISTRY, sentence, "set it as it is for the job that promotes, then ask again")
    if unshared is not None:
        return problem(Check.REGISTRY, unshared, "set it to the address of the registry")
    return ok(Check.REGISTRY, f"the registry of {some(models)} is the store in the folder of output, on this machine")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
