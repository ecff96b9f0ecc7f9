"""GitHub's REST API, as far as publishing needs it. Layer: adapters.

https://docs.github.com/rest. One method here is one in adapters.gitlab; tests/contract holds both together.
"""

import base64
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ci_ml.adapters.http import Answer, Client, Query, understood
from ci_ml.core.publication import Comment, Labelling, Proposal, Status, shortened
from ci_ml.core.types import Change, Outcome, Run
from ci_ml.errors import Refused, Unanswered

API = "https://api.github.com"
PICTURES = "ci-ml-pictures"  # the branch
_PAGE = 100
_ATTEMPTS = 4
_STATES = {Outcome.PASS: "success", Outcome.WARN: "success", Outcome.UNDECIDED: "failure", Outcome.FAIL: "failure"}
_DESCRIPTION = 140
_RUN = re.compile(r"/actions/runs/(\d{1,18})/attempts/(\d{1,9})$")


def headers(token: str) -> Mapping[str, str]:
    """What every request carries."""
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }


@dataclass(kw_only=True)
class GitHub:
    """One repository.

    `graphql` is the address of the server's other API, for what REST does not answer. `author` is who the token writes
    as, where that is known. `web` is the address of its pages.
    """

    client: Client
    repository: str
    graphql: str
    author: str | None = None
    web: str = "https://github.com"
    name: str = field(default="GitHub", init=False)
    longest: int = field(default=65_536, init=False)

    @understood("GitHub")
    def number(self, change: Change) -> int | None:
        """The open pull request from `change.source` whose head is `change.head`."""
        if not change.source or not change.head:
            return None
        query: Query = {"head": change.source, "state": "open", "per_page": _PAGE}
        found = self._read("pulls", query, "pull-requests").body
        numbers = [pull["number"] for pull in found if _at(pull, "head", "sha") == change.head]
        return numbers[0] if len(numbers) == 1 else None

    @understood("GitHub")
    def proposal(self, number: int) -> Proposal:
        """A pull request as it is now."""
        pull = self._read(f"pulls/{number}", None, "pull-requests").body
        return Proposal(
            number=number,
            head=_at(pull, "head", "sha") or "",
            is_open=pull.get("state") == "open",
            labels=tuple(label["name"] for label in pull.get("labels") or ()),
            comments=pull.get("comments"),
        )

    def comments(self, proposal: Proposal) -> Iterator[tuple[Comment, ...]]:
        """Our comments, the newest hundred first: GitHub lists the oldest first, so their count says where to begin."""
        address = f"issues/{proposal.number}/comments"
        number = max(1, math.ceil((proposal.comments or 0) / _PAGE))
        pages = [self._page(address, number)]
        while "next" in pages[0].links:  # others have written since they were counted
            pages.insert(0, self._read(pages[0].links["next"], None, "pull-requests"))
        while number > 1 and sum(len(page.body) for page in pages) < _PAGE:
            number -= 1
            pages.append(self._page(address, number))
        yield tuple(comment for page in pages for comment in self._ours(page, proposal.number))
        for older in range(number - 1, 0, -1):
            yield self._ours(self._page(address, older), proposal.number)

    def _page(self, address: str, page: int) -> Answer:
        return self._read(address, {"per_page": _PAGE, "page": page}, "pull-requests")

    @understood("GitHub")
    def _ours(self, page: Answer, number: int) -> tuple[Comment, ...]:
        return tuple(
            _comment(item, number) for item in reversed(page.body) if _at(item, "user", "login") == self._author
        )

    @cached_property
    def _author(self) -> str:
        """Who this token writes as. `GET /user` is refused to a workflow's token; GraphQL's viewer answers to all.

        Without knowing it nothing is written: each run would leave a comment more.
        """
        if self.author:
            return self.author
        try:
            query = {"query": "query { viewer { login } }"}
            answer = self.client.send("POST", self.graphql, query, repeatable=True)
        except Refused as error:
            raise self._explained(error, "pull-requests") from None
        login = _at(answer.body, "data", "viewer", "login")
        if not isinstance(login, str) or not login:
            raise Unanswered(f"{self.name} does not say whose token this is")
        return login

    @understood("GitHub")
    def create(self, number: int, body: str) -> Comment:
        """Write a comment on a pull request."""
        answer = self._write("POST", f"issues/{number}/comments", {"body": body}, "pull-requests")
        return _comment(answer.body, number)

    @understood("GitHub")
    def update(self, comment: Comment, body: str) -> Comment | None:
        """Replace a comment's text."""
        try:
            answer = self._write("PATCH", f"issues/comments/{comment.id}", {"body": body}, "pull-requests")
        except Refused as error:
            if error.status in (404, 410):
                return None
            raise
        return _comment(answer.body, comment.number)

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""
        try:
            self._write("DELETE", f"issues/comments/{comment.id}", None, "pull-requests")
        except Refused as error:
            if error.status not in (404, 410):
                raise

    @understood("GitHub")
    def picture(self, path: str, data: bytes) -> str:
        """A file on a branch of its own, for GitHub takes no uploads: https://docs.github.com/rest/git."""
        content = base64.b64encode(data).decode()
        blob = self._object("blobs", {"content": content, "encoding": "base64"})["sha"]
        file = {"path": path, "mode": "100644", "type": "blob", "sha": blob}
        for _ in range(_ATTEMPTS):
            tip = self._tip()
            tree = {"tree": [file]} if tip is None else {"tree": [file], "base_tree": tip[1]}
            parents = [] if tip is None else [tip[0]]
            body = {"message": f"Add {path}", "tree": self._object("trees", tree)["sha"], "parents": parents}
            if self._moved(self._object("commits", body)["sha"], new=tip is None):
                return f"{self.web}/{self.repository}/blob/{PICTURES}/{path}?raw=true"
        raise Unanswered(f"the branch {PICTURES} of {self.name} moves on all the time")

    def _object(self, kind: str, body: Mapping[str, Any]) -> Any:
        """A new object of git. What nothing names is no harm, so it may be asked for again."""
        return self._write("POST", f"git/{kind}", body, "contents", repeatable=True).body

    def _tip(self) -> tuple[str, str] | None:
        """The newest commit of the branch with pictures and its tree; None where there is no such branch."""
        try:
            sha = str(self._read(f"git/ref/heads/{PICTURES}", None, "contents").body["object"]["sha"])
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return sha, str(self._read(f"git/commits/{sha}", None, "contents").body["tree"]["sha"])

    def _moved(self, sha: str, *, new: bool) -> bool:
        """Whether the branch could be moved to a commit; another run may have been faster."""
        try:
            if new:
                self._write("POST", "git/refs", {"ref": f"refs/heads/{PICTURES}", "sha": sha}, "contents")
            else:
                self._write("PATCH", f"git/refs/heads/{PICTURES}", {"sha": sha, "force": False}, "contents")
        except Refused as error:
            if error.status in (409, 422):
                return False
            raise
        return True

    @understood("GitHub")
    def reporter(self, change: Change, name: str) -> Run | None:
        """https://docs.github.com/rest/commits/statuses#list-commit-statuses-for-a-reference lists the newest first."""
        found = self._read(f"commits/{change.head or change.checked_out}/statuses", {"per_page": _PAGE}, "statuses")
        address = next((item.get("target_url") for item in found.body if item.get("context") == name), None)
        told = _RUN.search(address or "")
        return Run(number=int(told[1]), attempt=int(told[2])) if told else None

    def set_status(self, change: Change, status: Status) -> None:
        """https://docs.github.com/rest/commits/statuses#create-a-commit-status"""
        body = {
            "state": _STATES[status.outcome] if status.outcome else "error",
            "context": status.name,
            "description": shortened(status.sentence, _DESCRIPTION),
            **({"target_url": status.url} if status.url else {}),
        }
        path = f"statuses/{change.head or change.checked_out}"
        if not isinstance(self._write("POST", path, body, "statuses", repeatable=True).body, dict):
            raise Unanswered(f"{self.name} answered with nothing")

    @understood("GitHub")
    def labelling(self, number: int, label: str) -> Labelling | None:
        """Who set a label last, and whether that person may set labels; a bot's label is nobody's decision."""
        page = self._read(f"issues/{number}/events", {"per_page": _PAGE}, "pull-requests")
        events = list(page.body)
        while "next" in page.links:
            page = self._read(page.links["next"], None, "pull-requests")
            events.extend(page.body)
        set_ = [item for item in events if item.get("event") == "labeled" and _at(item, "label", "name") == label]
        if not set_:
            return None
        actor, at = set_[-1].get("actor") or {}, str(set_[-1].get("created_at"))
        by = str(actor.get("login") or "somebody who is gone")
        return Labelling(by=by, at=at, doubt=self._doubt(actor, by))

    def _doubt(self, actor: Mapping[str, Any], by: str) -> str | None:
        if actor.get("type") != "User":
            return f"{by} is no person"
        try:
            found = self._read(f"collaborators/{by}/permission", None, "metadata").body
        except Refused as error:
            return f"whether {by} may set labels cannot be read ({error.what})"
        rights = _at(found, "user", "permissions") or {}
        if rights.get("triage") or found.get("permission") in ("admin", "write"):
            return None
        return f"{by} may not set labels"

    def _read(self, path: str, query: Query | None, permission: str) -> Answer:
        try:
            answer = self.client.get(self._address(path), query)
        except Refused as error:
            raise self._explained(error, permission, "read") from None
        if answer.body is None:
            raise Unanswered(f"{self.name} answered with nothing")
        return answer

    def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        permission: str,
        *,
        repeatable: bool | None = None,
    ) -> Answer:
        try:
            return self.client.send(method, self._address(path), body, repeatable=repeatable)
        except Refused as error:
            raise self._explained(error, permission) from None

    def _address(self, path: str) -> str:
        return path if path.startswith("http") else f"repos/{self.repository}/{path}"

    def _explained(self, error: Refused, permission: str, access: str = "write") -> Refused:
        """The same refusal with what to do about it."""
        if error.status == 401:
            hint = "the token is not valid any more: give the job another in CI_ML_TOKEN"
        elif error.status in (403, 404) and "locked" not in error.what and "blocked" not in error.what:
            hint = f"give the job `permissions: {permission}: {access}`"
        else:
            return error
        return Refused(error.what, error.status, hint)


def _comment(item: Any, number: int) -> Comment:
    if not isinstance(item, dict) or not isinstance(item.get("id"), int):
        raise Unanswered("GitHub answered with something that is no comment", perhaps=True)
    return Comment(id=item["id"], number=number, body=item.get("body") or "", url=item.get("html_url"))


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
