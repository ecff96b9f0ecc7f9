"""What a forge is told about a change: one comment, one status; and who has waived what. Layer: usecases.

Nothing here can change a verdict but a waiver, and nothing here fails a job: what could not be done becomes a sentence.
Reading and writing a comment are two requests, so runs that race are told apart by the marker: each looks again after
it has created a comment, and all of them keep the same one.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ci_ml.core import report as reports
from ci_ml.core.publication import WAIVER_LABEL, Comment, Marker, Proposal, Status, latest, same
from ci_ml.core.report import Report
from ci_ml.core.types import Change, Outcome
from ci_ml.errors import ForgeError, Refused, Unanswered
from ci_ml.ports import Forge

_ATTEMPTS = 4
_TRUSTED = "a second workflow can publish report.json: see docs/forges.md"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A pull or merge request as it was read once; `trouble` says why there is none where there should be one."""

    proposal: Proposal | None = None
    trouble: str | None = None


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What is to be said. `body` makes the comment of at most that many characters."""

    marker: Marker
    status: Status
    body: Callable[[int], str]


@dataclass(frozen=True, kw_only=True)
class Published:
    """What came of it: the address of the comment, and one sentence for each thing that was not done.

    `failed` says that the forge did not do it; what is superseded, closed or has moved on is no failure.
    """

    comment_url: str | None = None
    troubles: tuple[str, ...] = ()
    failed: bool = False


class _Superseded(Exception):
    """A newer run has spoken about this commit already."""

    def __init__(self, comment: Comment) -> None:
        super().__init__()
        self.comment = comment


def find(forge: Forge, change: Change) -> Request:
    """The request that this run is about; none for a push, a schedule or a merge queue."""
    try:
        number = change.number or forge.number(change)
        if number is not None:
            return Request(proposal=forge.proposal(number))
    except ForgeError as error:
        return Request(trouble=f"No comment: {sentence(error, change)}")
    if change.source:
        at = (change.head or "")[:7]
        return Request(
            trouble=f"No comment: there is not exactly one open pull request from {change.source} that is at {at}."
        )
    if change.event == "workflow_run" and change.outsider:
        return Request(trouble="No comment: nobody knows any more where the change comes from, for its fork is gone.")
    return Request()


def waive(report: Report, forge: Forge, change: Change, request: Request) -> tuple[Report, str | None]:
    """The report with its waiver, when the label is set by somebody who may set it; else why it does not count."""
    blocks = report.verdict.outcome in (Outcome.FAIL, Outcome.UNDECIDED)
    labels = request.proposal.labels if request.proposal else ()
    label = next((label for label in labels if label.casefold() == WAIVER_LABEL), None)
    if not blocks or request.proposal is None or label is None:
        return report, None
    try:
        found = forge.labelling(request.proposal.number, label)
    except ForgeError as error:
        return report, f"The label {WAIVER_LABEL} does not count: {sentence(error, change)}"
    if found is None:
        return report, f"The label {WAIVER_LABEL} does not count: {forge.name} does not say who set it."
    if found.doubt:
        return report, f"The label {WAIVER_LABEL} does not count: {found.doubt}."
    return reports.waived(report, found.by, found.at, WAIVER_LABEL), None


def publish(
    letter: Letter, forge: Forge, change: Change, request: Request, pause: Callable[[float], None]
) -> Published:
    """Write the comment and the status; an older run that comes late writes neither."""
    url, troubles = None, [request.trouble] if request.trouble else []
    failed = bool(troubles)
    if request.proposal is not None:
        try:
            url = _comment(letter, forge, change, request.proposal, pause)
        except _Superseded as newer:
            url = newer.comment.url
            troubles.append("No comment: a newer run has reported on this commit already.")
        except ForgeError as error:
            troubles.append(f"No comment: {sentence(error, change)}")
            failed = True
        else:
            if url is None:
                troubles.append(f"No comment: {_passed(request.proposal)}")
    try:
        if not _set_status(letter, forge, change):
            troubles.append("No commit status: a newer run has set it already.")
    except ForgeError as error:
        troubles.append(f"No commit status: {sentence(error, change)}")
        failed = True
    return Published(comment_url=url, troubles=tuple(troubles), failed=failed)


def _set_status(letter: Letter, forge: Forge, change: Change) -> bool:
    """Set the status, unless a newer run has: the newest one is the one that counts.

    Who may set statuses may not always read them, and then nothing is known of other runs.
    """
    if not (change.head or change.checked_out):
        return True
    newest = None
    with contextlib.suppress(Refused):
        newest = forge.reporter(change, letter.status.name)
    if newest is not None and newest > change.run:
        return False
    forge.set_status(change, letter.status)
    return True


def sentence(error: ForgeError, change: Change) -> str:
    """What went wrong and what to do, in one sentence."""
    hint = error.hint
    is_theirs = change.outsider and change.event != "workflow_run"
    if isinstance(error, Refused) and error.status in (401, 403, 404) and is_theirs:
        hint = f"{change.outsider} gets a read-only token; {_TRUSTED}"
    return f"{error.what.removesuffix('.')}{f'; {hint}' if hint else ''}."


def _passed(proposal: Proposal) -> str:
    if not proposal.is_open:
        return f"#{proposal.number} is closed."
    return f"#{proposal.number} has moved on to {proposal.head[:7]}, whose own run will speak for it."


def _comment(
    letter: Letter, forge: Forge, change: Change, proposal: Proposal, pause: Callable[[float], None]
) -> str | None:
    """The address of the comment that now says it; None when the request is closed or has moved on.

    Raises _Superseded when a newer run has spoken, ForgeError when it could not be written.
    """
    if not proposal.is_open or proposal.head != change.head:
        return None
    body = letter.body(forge.longest)
    problem: Unanswered | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(2.0 ** (attempt - 1))
        ours = _find(forge, proposal, letter.marker)
        if ours:
            if kept := _settle(forge, letter.marker, ours, body):
                return kept.url
            continue  # somebody has deleted it meanwhile
        try:
            created = forge.create(proposal.number, body)
        except Unanswered as error:
            if not error.perhaps:
                raise
            problem = error  # it may be there all the same: look before writing it again
            continue
        seen = _find(forge, replace(proposal, comments=(proposal.comments or 0) + 1), letter.marker)
        kept = _settle(forge, letter.marker, seen or (created,), body)
        return (kept or created).url
    raise problem or Unanswered(f"{forge.name} loses what is written there")


def _find(forge: Forge, proposal: Proposal, marker: Marker) -> tuple[Comment, ...]:
    """Our comments with this report, from the newest batch that has any: duplicates are made at the same moment."""
    for batch in forge.comments(proposal):
        ours = tuple(item for item in batch if (found := item.marker) and found.is_same_report(marker))
        if ours:
            return ours
    return ()


def _settle(forge: Forge, marker: Marker, ours: tuple[Comment, ...], body: str) -> Comment | None:
    """Leave one of our comments, with the newest text; None when it was deleted meanwhile.

    Raises _Superseded when a newer run has written about the same commit.
    """
    kept = latest(marker, ours)
    assert kept is not None
    newest = kept.marker
    is_newer = newest is not None and newest.head == marker.head and newest.run > marker.run
    written = kept if is_newer or same(kept.body, body) else forge.update(kept, body)
    with contextlib.suppress(ForgeError):  # what has to be said is said
        for other in _others(kept, ours):
            forge.delete(other)
    if is_newer:
        raise _Superseded(kept)
    return written


def _others(kept: Comment, ours: tuple[Comment, ...]) -> Iterator[Comment]:
    return (item for item in ours if item.id != kept.id)
