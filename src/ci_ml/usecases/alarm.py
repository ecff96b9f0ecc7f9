"""One issue that says how something does: opened, kept true, and closed again by the runs that watch. Layer: usecases.

Reading and writing are two requests, so runs that race are told apart as comments are (`usecases.publish`): each looks
again after it has opened an issue, all of them keep the oldest open one, and an older run never overwrites a newer.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from ci_ml.core.publication import same
from ci_ml.core.topics import Labels, Sign, Topic, chosen, newest
from ci_ml.errors import ForgeError, Unanswered
from ci_ml.ports import Forge

_ATTEMPTS = 4
_BATCHES = 5  # five hundred issues of ours; one that nobody has touched for so long is as good as none


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What an issue has to say; `body` makes its text of at most that many characters and opens with the sign.

    `over` is the last word when nothing is wrong any more: the issue is closed then, and none is opened. What is not
    worth an issue of its own (`opens`) is only said in one that is open.
    """

    sign: Sign
    title: str
    body: Callable[[int], str]
    labels: Labels = field(default_factory=Labels)
    over: str | None = None
    opens: bool = True


class Done(StrEnum):
    """What became of the issue."""

    OPENED = "opened"
    UPDATED = "updated"
    REOPENED = "reopened"
    CLOSED = "closed"
    UNCHANGED = "unchanged"  # it says so already, or there is none and nothing is wrong
    SUPERSEDED = "superseded"  # a newer run has spoken


@dataclass(frozen=True, kw_only=True)
class Told:
    """The issue, where there is one, and one sentence for each lesser thing that could not be done."""

    done: Done
    url: str | None = None
    number: int | None = None
    troubles: tuple[str, ...] = ()


def tell(forge: Forge, notice: Notice, pause: Callable[[float], None]) -> Told:
    """Let the issue say what the notice says. Raises ForgeError when it could not be written."""
    problem: Unanswered | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(2.0 ** (attempt - 1))
        known = _found(forge, notice.sign)
        kept, others = chosen(notice.sign, known)
        if notice.sign.run < newest(notice.sign, known):
            return _told(Done.SUPERSEDED, kept)
        if kept is not None:
            if told := _written(forge, notice, kept, others):
                return told
            continue  # somebody has deleted it meanwhile
        if notice.over is not None or not notice.opens:
            return _told(Done.UNCHANGED, None)
        try:
            opened = forge.open_issue(notice.title, notice.body(forge.longest))
        except Unanswered as error:
            if not error.perhaps:
                raise
            problem = error  # it may be there all the same: look before opening another
            continue
        return _settled(forge, notice, opened)
    raise problem or Unanswered(f"{forge.name} loses what is written there")


def _found(forge: Forge, sign: Sign) -> tuple[Topic, ...]:
    """Ours with this sign. An open one ends the search; a closed one may have an open one behind it."""
    found: list[Topic] = []
    for _, batch in zip(range(_BATCHES), forge.issues(), strict=False):
        found.extend(topic for topic in batch if sign.is_same(topic.sign))
        if any(topic.is_open for topic in found):
            break
    return tuple(found)


def _settled(forge: Forge, notice: Notice, opened: Topic) -> Told:
    """After an issue was opened: another run may have done the same at the same moment."""
    seen = {topic.number: topic for topic in (opened, *_found(forge, notice.sign))}
    kept, others = chosen(notice.sign, tuple(seen.values()))
    assert kept is not None
    if kept.number == opened.number:
        _close(forge, kept, others)
        return _told(Done.OPENED, opened, _relabelled(forge, notice, opened))
    if notice.sign.run < newest(notice.sign, tuple(seen.values())):
        _close(forge, kept, others)
        return _told(Done.SUPERSEDED, kept)
    return _written(forge, notice, kept, others) or _told(Done.OPENED, opened)


def _written(forge: Forge, notice: Notice, kept: Topic, others: tuple[Topic, ...]) -> Told | None:
    """Let an issue that is there say it; None when it was deleted meanwhile."""
    is_open = notice.over is None
    if not kept.is_open and not (is_open and notice.opens):
        return _told(Done.UNCHANGED, kept)
    body = notice.body(forge.longest)
    is_new = kept.title != notice.title or not same(kept.body, body)
    written: Topic | None = kept
    if is_new or kept.is_open != is_open:
        state = None if kept.is_open == is_open else is_open
        written = forge.change(kept, title=notice.title, body=body, is_open=state)
    if written is None:
        return None
    _close(forge, kept, others)
    troubles = [*_relabelled(forge, notice, written)]
    if notice.over is not None:
        troubles += _tried("the last word", lambda: forge.remark(written, notice.over or ""))
    done = Done.UPDATED if is_new else Done.UNCHANGED
    if kept.is_open != is_open:
        done = Done.REOPENED if is_open else Done.CLOSED
    return _told(done, written, tuple(troubles))


def _relabelled(forge: Forge, notice: Notice, topic: Topic) -> tuple[str, ...]:
    return _tried("its labels", lambda: forge.relabel(topic, notice.labels))


def _close(forge: Forge, kept: Topic, others: tuple[Topic, ...]) -> None:
    """Close what another run has opened at the same moment. Where that fails, the next run sees it again."""
    for other in others:
        with contextlib.suppress(ForgeError):
            forge.change(other, body=f"This is #{kept.number}.", is_open=False)  # and nothing of ours any more


def _tried(what: str, action: Callable[[], None]) -> tuple[str, ...]:
    """What the issue says is what matters: the rest becomes a sentence."""
    try:
        action()
    except ForgeError as error:
        hint = f"; {error.hint}" if error.hint else ""
        return (f"The issue does not have {what}: {error.what.removesuffix('.')}{hint}.",)
    return ()


def _told(done: Done, topic: Topic | None, troubles: tuple[str, ...] = ()) -> Told:
    if topic is None:
        return Told(done=done, troubles=troubles)
    return Told(done=done, url=topic.url, number=topic.number, troubles=troubles)
