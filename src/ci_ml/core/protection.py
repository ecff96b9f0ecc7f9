"""What a forge says of a repository, and what that means for a gate on it. Layer: core."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci_ml.core import callers
from ci_ml.core.callers import Caller
from ci_ml.core.doctor import Check, Finding, ok, problem, unknown
from ci_ml.core.listing import some
from ci_ml.errors import Refused


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a token may do, and the branch that changes go to. None: the forge does not say; `doubt` is why not."""

    branch: str | None
    comments: bool | None
    statuses: bool | None
    doubt: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Protection:
    """What has to be there before something is merged into a branch.

    `checks` are the names that are required; `pipeline` says that the whole pipeline is, which counts as every check.
    None means that the forge does not say. `lax`: a pipeline that was skipped is enough. `queue`: there is a merge
    queue, which starts workflows of its own. `unread` says what could not be read, so that the rest may not be all.
    """

    checks: tuple[str, ...] = ()
    pipeline: bool | None = False
    lax: bool = False
    queue: bool = False
    unread: str | None = None
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A variable of CI jobs. `needed` is False where jobs have a token without one; `present` None: nobody says."""

    name: str
    needed: bool = True
    present: bool | None = None
    protected: bool = False
    doubt: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where aliases are moved. `guarded`: jobs of no other branch get there; None where the forge does not say."""

    name: str
    guarded: bool | None = None
    doubt: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Schedules:
    """The jobs that schedules start by their names; None where schedules are in files. `doubt`: there may be more."""

    names: frozenset[str] | None
    doubt: str = ""
    fix: str = ""


def access(found: Access, forge: str) -> Finding:
    """Whether the token that was tried may write comments and statuses."""
    denied = [what for what, may in (("comments", found.comments), ("statuses", found.statuses)) if may is False]
    if denied:
        sentence = f"the token may not write {' and '.join(denied)} on {forge}: {found.doubt}"
        return problem(Check.TOKEN, sentence, found.fix, Refused)
    if found.comments is None or found.statuses is None:
        return unknown(
            Check.TOKEN, f"the token may read the repository; whether it may write, {found.doubt}", found.fix
        )
    return ok(Check.TOKEN, f"the token may read the repository, and write comments and statuses on {forge}")


def required(found: Protection, branch: str, ours: Sequence[Caller], status: str) -> Finding:
    """Whether a change has to pass ci-ml before it is merged; `status` is the commit status that ci-ml sets."""
    if found.lax and found.pipeline:
        return problem(Check.REQUIRED, "a pipeline that was skipped counts as passed", found.fix)
    if found.pipeline:
        return ok(Check.REQUIRED, f"a pipeline has to succeed before it is merged into {branch}")
    names = frozenset(name for caller in ours for name in caller.jobs)
    if mine := [name for name in found.checks if name == status or callers.reports_as(name, names)]:
        return ok(Check.REQUIRED, f"{branch} requires {mine[0]}")
    if found.unread or found.pipeline is None:
        return unknown(Check.REQUIRED, f"whether {branch} requires a check: {found.unread}", found.fix)
    fix = found.fix.format(check=next(iter(sorted(names)), status))
    if found.checks:
        listed = ", ".join(found.checks[:5])
        return problem(Check.REQUIRED, f"{branch} requires {listed}, and none of these is ci-ml's", fix)
    return problem(Check.REQUIRED, f"{branch} requires no check: a blocked change can be merged", fix)


def queue(found: Protection, branch: str, ours: Sequence[Caller]) -> Finding:
    """Whether a merge queue gets an answer from ci-ml."""
    if not found.queue:
        if found.unread:
            return unknown(Check.QUEUE, f"whether {branch} has a merge queue: {found.unread}")
        return ok(Check.QUEUE, f"no merge queue before {branch} that needs a run of its own")
    if covered := _first(caller.path for caller in ours if "merge_group" in caller.events):
        return ok(Check.QUEUE, f"{branch} has a merge queue, and {covered} runs in it")
    sentence = f"{branch} has a merge queue, and no workflow that calls ci-ml runs in it: its check never reports"
    return problem(Check.QUEUE, sentence, "add `merge_group:` to its `on:` (`queue: true` in pipelines)")


def variable(found: Variable) -> Finding:
    """Whether CI jobs get a token that may write."""
    if not found.needed:
        return ok(Check.VARIABLE, "jobs have a token of their own")
    if found.present is None:
        return unknown(Check.VARIABLE, f"whether jobs get {found.name}: {found.doubt}", found.fix)
    if not found.present:
        return problem(Check.VARIABLE, f"there is no variable {found.name}: no comment, no status", found.fix)
    if found.protected:
        sentence = f"the variable {found.name} is protected: merge requests of other branches do not get it"
        return problem(Check.VARIABLE, sentence, "take `protected` off it")
    return ok(Check.VARIABLE, f"jobs get {found.name}")


def proposer(found: Variable) -> Finding:
    """Whether what retrains has a token that may open a request."""
    if found.present is None:
        return unknown(Check.PROPOSAL, f"whether retraining may propose with {found.name}: {found.doubt}", found.fix)
    if not found.present:
        return problem(Check.PROPOSAL, f"retraining may open no request with {found.name}: {found.doubt}", found.fix)
    return ok(Check.PROPOSAL, f"retraining proposes with {found.name}")


def schedules(found: Schedules, wanted: Sequence[str]) -> Finding:
    """Whether something starts the jobs that are for schedules."""
    if found.names is None:
        return ok(Check.SCHEDULE, "schedules are in the workflows")
    absent = [name for name in wanted if name not in found.names]
    if not absent:
        return ok(Check.SCHEDULE, f"a schedule starts {' and '.join(wanted)}")
    fix = found.fix.format(job=absent[0])
    if found.doubt:
        return unknown(Check.SCHEDULE, f"whether a schedule starts {' and '.join(absent)}: {found.doubt}", fix)
    return problem(Check.SCHEDULE, f"no schedule starts {' or '.join(absent)}", fix)


def environment(found: Environment) -> Finding:
    """Whether what is on no protected branch may move an alias."""
    if found.guarded is None:
        return unknown(Check.ENVIRONMENT, f"who gets to the environment {found.name}: {found.doubt}", found.fix)
    if not found.guarded:
        return problem(Check.ENVIRONMENT, f"a job of any branch may promote: {found.doubt}", found.fix)
    return ok(Check.ENVIRONMENT, f"no other branch gets to the environment {found.name}")


def promoters(found: Sequence[Variable], *, apart: bool) -> Finding:
    """Whether promoting has its secrets, and alone has them where they can be kept `apart`."""
    if absent := [one for one in found if one.present is False]:
        return problem(Check.PROMOTION, f"promoting gets no {absent[0].name}: {absent[0].doubt}", absent[0].fix)
    if doubtful := [one for one in found if one.present is None]:
        sentence = f"whether promoting gets {doubtful[0].name}: {doubtful[0].doubt}"
        return unknown(Check.PROMOTION, sentence, doubtful[0].fix)
    if apart and (shared := [one for one in found if not one.protected]):
        sentence = f"jobs of any branch get {some([one.name for one in shared])}, which promotes"
        return problem(Check.PROMOTION, sentence, shared[0].fix)
    return ok(Check.PROMOTION, f"promoting gets {some([one.name for one in found])}")


FORGE_CHECKS = (Check.TOKEN, Check.REQUIRED, Check.QUEUE, Check.VARIABLE)


def unasked(why: str, fix: str | None, checks: Iterable[Check] = FORGE_CHECKS) -> tuple[Finding, ...]:
    """What nobody could look at, with the same reason; the fix is said once."""
    return tuple(unknown(check, why, None if index else fix) for index, check in enumerate(checks))


def _first(paths: Iterable[str]) -> str | None:
    return next(iter(paths), None)
