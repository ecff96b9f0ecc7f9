"""GitLab's REST API, as far as publishing, monitoring and retraining need it. Layer: adapters.

https://docs.gitlab.com/api/rest/. One method here is one in adapters.github; tests/contract holds both together.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from ci_ml.adapters.http import Answer, Body, Client, Query, Upload, understood
from ci_ml.core.approvals import Approval, Merged
from ci_ml.core.publication import Comment, Labelling, Proposal, Status, shortened
from ci_ml.core.topics import Draft, Kind, Labels, Merging, Topic
from ci_ml.core.types import Change, Outcome, Run
from ci_ml.errors import Refused, Unanswered

_PAGE = 100
_STATES = {Outcome.PASS: "success", Outcome.WARN: "success", Outcome.UNDECIDED: "failed", Outcome.FAIL: "failed"}
_DESCRIPTION = 255
_JOB = re.compile(r"/-/jobs/(\d{1,18})$")
_DEVELOPER = 30
_ACCESS = "a project access token with the scope `api` and the role Developer"


def headers(token: str) -> Mapping[str, str]:
    """What every request carries."""
    return {"Authorization": f"Bearer {token}"}


@dataclass(kw_only=True)
class GitLab:
    """One project, by its number or path; `web` is the address of its pages, for links to comments."""

    client: Client
    project: str
    web: str | None = None
    name: str = field(default="GitLab", init=False)
    longest: int = field(default=1_000_000, init=False)

    @understood("GitLab")
    def number(self, change: Change) -> int | None:
        """GitLab always says which merge request a pipeline is for."""
        return change.number

    @understood("GitLab")
    def proposal(self, number: int) -> Proposal:
        """A merge request as it is now."""
        request = self._ask("GET", f"merge_requests/{number}").body
        return Proposal(
            number=number,
            head=str(request.get("sha") or ""),
            is_open=request.get("state") == "opened",
            labels=tuple(str(label) for label in request.get("labels") or ()),
        )

    def comments(self, proposal: Proposal) -> Iterator[tuple[Comment, ...]]:
        """Our notes, the newest page first; those of the system count as notes, too."""
        query: Query = {"per_page": _PAGE, "order_by": "created_at", "sort": "desc"}
        page = self._ask("GET", f"merge_requests/{proposal.number}/notes", query=query)
        yield self._ours(page, proposal.number)
        while "next" in page.links:
            page = self._ask("GET", page.links["next"])
            yield self._ours(page, proposal.number)

    @understood("GitLab")
    def _ours(self, page: Answer, number: int) -> tuple[Comment, ...]:
        return tuple(
            self._comment(item, number)
            for item in page.items
            if not item.get("system") and (item.get("author") or {}).get("id") == self._author
        )

    @cached_property
    def _author(self) -> int:
        """Who this token writes as; a project access token has a user of its own."""
        found = self._ask("GET", f"{self.client.base.rstrip('/')}/user").body
        return int(found["id"])

    @understood("GitLab")
    def create(self, number: int, body: str) -> Comment:
        """Write a note on a merge request."""
        return self._comment(self._ask("POST", f"merge_requests/{number}/notes", {"body": body}).body, number)

    @understood("GitLab")
    def update(self, comment: Comment, body: str) -> Comment | None:
        """Replace a note's text."""
        try:
            answer = self._ask("PUT", f"merge_requests/{comment.number}/notes/{comment.id}", {"body": body})
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return self._comment(answer.body, comment.number)

    def delete(self, comment: Comment) -> None:
        """Remove a note."""
        try:
            self._ask("DELETE", f"merge_requests/{comment.number}/notes/{comment.id}")
        except Refused as error:
            if error.status != 404:
                raise

    @understood("GitLab")
    def picture(self, path: str, data: bytes) -> str:
        """https://docs.gitlab.com/api/project_markdown_uploads/#upload-a-file"""
        name = path.rpartition("/")[2]
        answer = self._ask("POST", "uploads", Upload(name=name, data=data, kind="image/svg+xml"))
        return str(answer.body["url"])

    @understood("GitLab")
    def reporter(self, change: Change, name: str) -> Run | None:
        """https://docs.gitlab.com/api/commits/#list-commit-statuses"""
        query: Query = {"name": name, "per_page": _PAGE, "order_by": "id", "sort": "desc"}
        found = self._ask("GET", f"repository/commits/{self._commit(change)}/statuses", query=query).body
        newest: Mapping[str, Any] = next((item for item in found if item.get("name") == name), {})
        told = _JOB.search(newest.get("target_url") or "")
        return Run(number=int(newest.get("pipeline_id") or 0), attempt=int(told[1])) if told else None

    def _commit(self, change: Change) -> str | None:
        # In a pipeline for merged results that commit is the merge, and the pipeline has its statuses there.
        return change.checked_out if change.pipeline else change.head

    def set_status(self, change: Change, status: Status) -> None:
        """https://docs.gitlab.com/api/commits/#set-commit-pipeline-status"""
        body = {
            "state": _STATES[status.outcome] if status.outcome else "failed",
            "name": status.name,
            "description": shortened(status.sentence, _DESCRIPTION),
            **({"target_url": status.url} if status.url else {}),
            **({"pipeline_id": change.pipeline} if change.pipeline else {}),
        }
        self._ask("POST", f"statuses/{self._commit(change)}", body, repeatable=True)

    @understood("GitLab")
    def labelling(self, number: int, label: str) -> Labelling | None:
        """Who set a label last, and whether that person is at least a Developer; a bot's label is nobody's decision."""
        page = self._ask("GET", f"merge_requests/{number}/resource_label_events", query={"per_page": _PAGE})
        events = list(page.body)
        while "next" in page.links:
            page = self._ask("GET", page.links["next"])
            events.extend(page.body)
        named = [item for item in events if (item.get("label") or {}).get("name") == label]
        set_ = [item for item in named if item.get("action") == "add"]
        if not set_:
            return None
        last = max(set_, key=lambda item: item.get("id") or 0)
        user = last.get("user") or {}
        by = str(user.get("username") or "somebody who is gone")
        return Labelling(by=by, at=str(last.get("created_at")), doubt=self._doubt(user, by))

    def issues(self) -> Iterator[tuple[Topic, ...]]:
        """https://docs.gitlab.com/api/issues/#list-all-project-issues"""
        query: Query = {"author_id": self._author, "scope": "all", "order_by": "updated_at", "per_page": _PAGE}
        page = self._ask("GET", "issues", query=query)
        yield self._written(page)
        while "next" in page.links:
            page = self._ask("GET", page.links["next"])
            yield self._written(page)

    @understood("GitLab")
    def _written(self, page: Answer) -> tuple[Topic, ...]:
        ours = (item for item in page.items if (item.get("author") or {}).get("id") == self._author)
        return tuple(_topic(item, Kind.ISSUE) for item in ours)

    @understood("GitLab")
    def requests(self, branch: str) -> tuple[Topic, ...]:
        """https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests, among them those of forks."""
        query: Query = {"source_branch": branch, "state": "opened", "scope": "all", "per_page": _PAGE}
        found = self._ask("GET", "merge_requests", query=query).items
        own = (item for item in found if item["source_project_id"] == item["target_project_id"])
        return tuple(_topic(item, Kind.REQUEST) for item in own)

    @understood("GitLab")
    def open_issue(self, title: str, body: str) -> Topic:
        """https://docs.gitlab.com/api/issues/#create-an-issue"""
        return _topic(self._ask("POST", "issues", {"title": title, "description": body}).body, Kind.ISSUE)

    @understood("GitLab")
    def open_request(self, draft: Draft) -> Topic:
        """https://docs.gitlab.com/api/merge_requests/#create-a-merge-request"""
        body = {
            "source_branch": draft.branch,
            "target_branch": draft.target,
            "title": draft.title,
            "description": draft.body,
            "remove_source_branch": True,
        }
        return _topic(self._ask("POST", "merge_requests", body).body, Kind.REQUEST)

    @understood("GitLab")
    def change(
        self, topic: Topic, *, title: str | None = None, body: str | None = None, is_open: bool | None = None
    ) -> Topic | None:
        """Change what is given; None when it has been deleted."""
        event = None if is_open is None or is_open == topic.is_open else "reopen" if is_open else "close"
        sent = {"title": title, "description": body, "state_event": event}
        known = {key: value for key, value in sent.items() if value is not None}
        try:
            answer = self._ask("PUT", _place(topic), known)
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return _topic(answer.body, topic.kind)

    def relabel(self, topic: Topic, labels: Labels) -> None:
        """Unknown labels are made."""
        sent = {"add_labels": labels.added(topic.labels), "remove_labels": labels.removed(topic.labels)}
        if known := {key: ",".join(value) for key, value in sent.items() if value}:
            self._ask("PUT", _place(topic), known)

    def remark(self, topic: Topic, body: str) -> None:
        """Write a note."""
        self._ask("POST", f"{_place(topic)}/notes", {"body": body})

    def merge_later(self, topic: Topic, how: Merging) -> None:
        """https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request

        `auto_merge` came with GitLab 17.11; older ones know `merge_when_pipeline_succeeds`, which it replaces.
        """
        body = {
            "auto_merge": True,
            "merge_when_pipeline_succeeds": True,
            "sha": topic.head,
            "squash": how is Merging.SQUASH,
        }
        try:
            self._ask("PUT", f"{_place(topic)}/merge", body)
        except Refused as error:
            what = f"{self.name} does not merge !{topic.number} by itself: {error.what}"
            raise Refused(what, error.status, _UNMERGED.get(error.status, error.hint)) from None

    def silence(self) -> str | None:
        """What an access token pushes and opens starts pipelines."""
        return None

    @understood("GitLab")
    def origins(self, sha: str) -> tuple[Merged, ...]:
        """https://docs.gitlab.com/api/commits/#list-all-merge-requests-associated-with-a-commit"""
        query: Query = {"per_page": _PAGE}
        found = self._ask("GET", f"repository/commits/{quote(sha, safe='')}/merge_requests", query=query).items
        return tuple(_merged(item) for item in found)

    @understood("GitLab")
    def origin(self, number: int) -> Merged:
        """https://docs.gitlab.com/api/merge_requests/#retrieve-a-merge-request"""
        return _merged(self._ask("GET", f"merge_requests/{number}").body)

    @understood("GitLab")
    def approvals(self, about: Merged, people: Sequence[str]) -> tuple[Approval, ...]:
        """https://docs.gitlab.com/api/merge_request_approvals/, and when each was given: after the last commit came.

        GitLab keeps an approval when somebody pushes, unless the project takes it back then.
        """
        given = self._ask("GET", f"merge_requests/{about.number}/approvals").body["approved_by"]
        pushed = self._pushed(about.number)
        times = self._approved(about.number) if given else {}
        return tuple(self._approval(about, item, times, pushed, people) for item in given)

    def _approval(
        self,
        about: Merged,
        item: Mapping[str, Any],
        times: Mapping[int, str],
        pushed: str | None,
        people: Sequence[str],
    ) -> Approval:
        user = item.get("user") or {}
        by = str(user.get("username") or "somebody who is gone")
        at = item.get("approved_at") or times.get(user.get("id") or 0)
        doubt = None
        if by.lower() == about.author.lower():
            doubt = f"{by} has written it"
        elif not at or not pushed:
            doubt = f"GitLab does not say when {by} has approved, so it may have been before the last commit"
        elif _moment(str(at)) < _moment(pushed):
            doubt = f"{by} has approved before the last commit {about.head[:7]} came"
        what = f"approved !{about.number} at {about.head[:7]}"
        return Approval(
            by=by, at=str(at or ""), what=what, doubt=doubt or self._doubt(user, by) or self._stranger(user, by, people)
        )

    def _pushed(self, number: int) -> str | None:
        """When the last commit came: https://docs.gitlab.com/api/merge_requests/#retrieve-merge-request-diff-versions"""
        found = self._ask("GET", f"merge_requests/{number}/versions", query={"per_page": 1}).items
        return str(found[0]["created_at"]) if found else None

    def _approved(self, number: int) -> dict[int, str]:
        """When people have approved, by their ids: older GitLabs say it in notes only."""
        query: Query = {"per_page": _PAGE, "order_by": "created_at", "sort": "desc"}
        page = self._ask("GET", f"merge_requests/{number}/notes", query=query)
        found: dict[int, str] = {}
        while True:
            for item in page.items:
                if item.get("system") and item.get("body") == "approved this merge request":
                    found.setdefault(int(item["author"]["id"]), str(item["created_at"]))
            if "next" not in page.links:
                return found
            page = self._ask("GET", page.links["next"])

    def _stranger(self, user: Mapping[str, Any], by: str, people: Sequence[str]) -> str | None:
        """Why the approval of somebody who may write does not count; None when it does."""
        if not people or by.lower() in (name.lower() for name in people):
            return None
        unread = []
        for name in (name for name in people if name.startswith("@")):
            group = quote(name[1:], safe="")
            try:
                self._ask("GET", f"{self.client.base.rstrip('/')}/groups/{group}/members/all/{user.get('id')}")
            except Refused as error:
                if error.status != 404:
                    unread.append(name)
                continue
            return None
        if unread:
            return f"whether {by} is in {unread[0]} cannot be read: the token has to see the group's members"
        return f"{by} is none of {', '.join(people)}"

    def _doubt(self, user: Mapping[str, Any], by: str) -> str | None:
        if not user.get("id"):
            return f"{by} is no person"
        try:
            if self._ask("GET", f"{self.client.base.rstrip('/')}/users/{user['id']}").body.get("bot"):
                return f"{by} is no person"
            found = self._ask("GET", f"members/all/{user['id']}").body
        except Refused as error:
            if error.status == 404:
                return f"{by} is no member of the project"
            return f"the role of {by} cannot be read ({error.what})"
        return None if (found.get("access_level") or 0) >= _DEVELOPER else f"{by} is not a Developer or more"

    def _comment(self, item: Any, number: int) -> Comment:
        if not isinstance(item, dict) or not isinstance(item.get("id"), int):
            raise Unanswered("GitLab answered with something that is no note", perhaps=True)
        url = f"{self.web.rstrip('/')}/-/merge_requests/{number}#note_{item['id']}" if self.web else None
        return Comment(id=item["id"], number=number, body=item.get("body") or "", url=url)

    def _ask(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        query: Query | None = None,
        repeatable: bool | None = None,
    ) -> Answer:
        address = path if path.startswith("http") else f"projects/{quote(self.project, safe='')}/{path}"
        try:
            if method == "GET":
                answer = self.client.get(address, query)
            else:
                answer = self.client.send(method, address, body, repeatable=repeatable)
        except Refused as error:
            raise _explained(error) from None
        if answer.body is None and method != "DELETE":
            raise Unanswered(f"{self.name} answered with nothing", perhaps=method == "POST")
        return answer


_PLACES = {Kind.ISSUE: "issues", Kind.REQUEST: "merge_requests"}
_UNMERGED = {
    401: "protected branches say who may merge: let the token's role be one of them",
    405: "it has no pipeline yet, is a draft, or conflicts with its target: it can be merged by hand",
    409: "somebody has pushed to its branch",
    422: "it cannot be merged: see what its page says",
}


def _place(topic: Topic) -> str:
    return f"{_PLACES[topic.kind]}/{topic.number}"


def _topic(item: Any, kind: Kind) -> Topic:
    if not isinstance(item, dict) or not isinstance(item.get("iid"), int):
        raise Unanswered(f"GitLab answered with something that is no {kind}", perhaps=True)
    return Topic(
        kind=kind,
        number=item["iid"],
        title=str(item.get("title") or ""),
        body=item.get("description") or "",
        is_open=item.get("state") == "opened",
        labels=tuple(str(label) for label in item.get("labels") or ()),
        url=item.get("web_url"),
        branch=item.get("source_branch"),
        target=item.get("target_branch"),
        head=item.get("sha"),
        waits=bool(item.get("merge_when_pipeline_succeeds")),
    )


def _merged(item: Any) -> Merged:
    commits = (item.get("merge_commit_sha"), item.get("squash_commit_sha"))
    return Merged(
        number=int(item["iid"]),
        head=str(item.get("sha") or ""),
        author=str((item.get("author") or {}).get("username") or ""),
        is_merged=item.get("state") == "merged",
        commits=tuple(str(sha) for sha in commits if sha),
        url=item.get("web_url"),
    )


def _moment(text: str) -> dt.datetime:
    """A moment as GitLab writes it. Raises ValueError."""
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _explained(error: Refused) -> Refused:
    """The same refusal with what to do about it."""
    if error.status == 401:
        hint = f"the token is not valid any more: put {_ACCESS} into the masked variable CI_ML_TOKEN"
    elif error.status in (403, 404):
        hint = f"put {_ACCESS} into the masked variable CI_ML_TOKEN"
    else:
        return error
    return Refused(error.what, error.status, hint)
