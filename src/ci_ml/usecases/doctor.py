"""Examining a forge: its settings asked for, and what could not be asked kept apart. Layer: usecases."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ci_ml.core import doctor, protection
from ci_ml.core.callers import Caller
from ci_ml.core.doctor import Check, Finding
from ci_ml.errors import Refused, Unanswered
from ci_ml.ports import Settings

_DOWN = "is it down, or is there a proxy in between? Then ask again"


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is known without asking: the branch that a change goes to, who calls ci-ml, our status and variable.

    `proposer` is the secret that retraining proposes with: empty for the job's own token, None where nothing retrains.
    `schedules` are the jobs that only a schedule starts. `environment` is where promoting runs, empty for none and
    None where nothing is promoted; `promoters` are its secrets.
    """

    target: str | None
    callers: Sequence[Caller]
    status: str
    variable: str
    proposer: str | None = None
    schedules: Sequence[str] = ()
    environment: str | None = None
    promoters: Sequence[str] = ()


def examine(settings: Settings, place: Place) -> tuple[Finding, ...]:
    """A finding for every check of a forge. One that does not answer is not asked again."""
    found: list[Finding] = []
    try:
        found.extend(_examined(settings, place))
    except Refused as error:
        found.append(doctor.failed(Check.TOKEN, error))
        found.extend(protection.unasked("the token may not read the repository", None, _left(found)))
    except Unanswered as error:
        found.extend(protection.unasked(error.what, error.hint or _DOWN, _left(found)))
    return tuple(found)


def _examined(settings: Settings, place: Place) -> Iterator[Finding]:
    access = settings.access()
    yield protection.access(access, settings.name)
    branch = place.target or access.branch
    if branch is None:
        yield from protection.unasked("nobody says which the default branch is", None, (Check.REQUIRED, Check.QUEUE))
    else:
        yield from _protected(settings, place, branch)
    yield _seen(Check.VARIABLE, lambda: protection.variable(settings.variable(place.variable)))
    if (secret := place.proposer) is not None:
        yield _seen(Check.PROPOSAL, lambda: protection.proposer(settings.proposer(secret)))
    if wanted := place.schedules:
        yield _seen(Check.SCHEDULE, lambda: protection.schedules(settings.schedules(), wanted))
    if place.environment is not None:
        yield from _promoting(settings, place, place.environment, branch)


def _promoting(settings: Settings, place: Place, environment: str, branch: str | None) -> Iterator[Finding]:
    if environment and branch:
        yield _seen(Check.ENVIRONMENT, lambda: protection.environment(settings.environment(environment, branch)))
    if names := place.promoters:
        yield _seen(
            Check.PROMOTION,
            lambda: protection.promoters(
                [settings.kept(name, environment) for name in names], apart=settings.apart(environment)
            ),
        )


def _seen(check: Check, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Refused as error:
        return doctor.unknown(check, error.what)


def _protected(settings: Settings, place: Place, branch: str) -> Iterator[Finding]:
    try:
        rules = settings.protection(branch)
    except Refused as error:
        yield from protection.unasked(error.what, None, (Check.REQUIRED, Check.QUEUE))
        return
    yield protection.required(rules, branch, place.callers, place.status)
    yield protection.queue(rules, branch, place.callers)


def _left(found: Sequence[Finding]) -> tuple[Check, ...]:
    done = {one.check for one in found}
    return tuple(check for check in protection.FORGE_CHECKS if check not in done)
