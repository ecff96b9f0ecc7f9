"""One pull or merge request from a branch that is ours: opened, kept true, or given up. Layer: usecases.

A forge allows one open request from a branch into another, so runs that race end with one all the same. A request that
a person has opened from that branch keeps its words: it is told to the caller, and not written over.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ci_ml.core.publication import same
from ci_ml.core.topics import Draft, Labels, Merging, Sign, Topic
from ci_ml.errors import ForgeError, Refused, Unanswered
from ci_ml.ports import Forge

_ATTEMPTS = 4
_MERGES = 5
_NOT_YET = 405  # GitLab's, until it has made the pipeline: https://gitlab.com/gitlab-org/gitlab/-/issues/353984


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What is proposed: commit `head`, which `branch` is at now. `merging` asks the forge to merge it once it may."""

    sign: Sign
    branch: str
    target: str
    head: str
    title: str
    body: Callable[[int], str]
    labels: Labels = field(default_factory=Labels)
    merging: Merging | None = None


@dataclass(frozen=True, kw_only=True)
class Offered:
    """The request, and one sentence for each lesser thing that could not be done.

    `is_new`: this run has opened it. `superseded`: a newer run has spoken, and nothing was written. `silence`: why no
    pipeline starts for it, and what to do.
    """

    topic: Topic
    is_new: bool = False
    superseded: bool = False
    silence: str | None = None
    troubles: tuple[str, ...] = ()


def propose(forge: Forge, offer: Offer, pause: Callable[[float], None]) -> Offered:
    """Open the request of a branch, or let the open one say this. Raises ForgeError when that could not be done."""
    offered = _proposed(forge, offer, pause)
    with contextlib.suppress(ForgeError):  # who does not know does not warn
        return replace(offered, silence=forge.silence())
    return offered


def _proposed(forge: Forge, offer: Offer, pause: Callable[[float], None]) -> Offered:
    body = offer.body(forge.longest)
    problem: ForgeError | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(2.0 ** (attempt - 1))
        known = _open(forge, offer.branch, offer.target)
        if known is not None:
            if offered := _updated(forge, offer, known, body, pause):
                return offered
            continue  # somebody has deleted it meanwhile
        draft = Draft(branch=offer.branch, target=offer.target, title=offer.title, body=body)
        try:
            opened = forge.open_request(draft)
        except Refused as error:
            if error.status not in (409, 422) or isinstance(problem, Refused):
                raise
            problem = error  # another run may have been faster: look again
            continue
        except Unanswered as error:
            if not error.perhaps:
                raise
            problem = error  # it may be there all the same
            continue
        return Offered(topic=opened, is_new=True, troubles=_settled(forge, offer, opened, pause))
    raise problem or Unanswered(f"{forge.name} loses what is written there")


def withdraw(forge: Forge, branch: str, target: str, sign: Sign, why: str) -> Topic | None:
    """Close our request from a branch, with a last comment; None when there is none. Raises ForgeError."""
    known = _open(forge, branch, target)
    if known is None or not sign.is_same(known.sign):
        return None
    closed = forge.change(known, is_open=False)
    if closed is not None:
        forge.remark(closed, why)
    return closed


def _open(forge: Forge, branch: str, target: str) -> Topic | None:
    found = [topic for topic in forge.requests(branch) if topic.target == target]
    return min(found, key=lambda topic: topic.number, default=None)


def _updated(forge: Forge, offer: Offer, known: Topic, body: str, pause: Callable[[float], None]) -> Offered | None:
    """Let a request that is there say it; None when it was deleted meanwhile."""
    sign = known.sign
    if sign is None or not offer.sign.is_same(sign):
        what = f"#{known.number} was opened by somebody else from {offer.branch}, so its text is left as it is."
        return Offered(topic=known, troubles=(what, *_settled(forge, replace(offer, merging=None), known, pause)))
    if offer.sign.run < sign.run:
        return Offered(topic=known, superseded=True)
    written: Topic | None = known
    if known.title != offer.title or not same(known.body, body):
        written = forge.change(known, title=offer.title, body=body)
    return None if written is None else Offered(topic=written, troubles=_settled(forge, offer, written, pause))


def _settled(forge: Forge, offer: Offer, topic: Topic, pause: Callable[[float], None]) -> tuple[str, ...]:
    """Labels, and that it is merged by itself: each a sentence where it fails, for the request is there."""
    troubles: list[str] = []
    try:
        forge.relabel(topic, offer.labels)
    except ForgeError as error:
        troubles.append(f"No labels on #{topic.number}: {_sentence(error)}")
    if offer.merging is not None:
        try:
            _merge_later(forge, replace(topic, head=offer.head), offer.merging, pause)
        except ForgeError as error:
            troubles.append(f"#{topic.number} waits for somebody to merge it: {_sentence(error)}")
    return tuple(troubles)


def _merge_later(forge: Forge, topic: Topic, how: Merging, pause: Callable[[float], None]) -> None:
    for attempt in range(_MERGES):
        try:
            return forge.merge_later(topic, how)
        except Refused as error:
            if error.status != _NOT_YET or attempt + 1 == _MERGES:
                raise
        pause(2.0**attempt)
    return None


def _sentence(error: ForgeError) -> str:
    return f"{error.what.removesuffix('.')}{f'; {error.hint}' if error.hint else ''}."
