"""GitHub's API, as far as publishing, monitoring and retraining need it. Layer: adapters.

https://docs.github.com/rest. One method here is one in adapters.gitlab; tests/contract holds both together.
"""

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from ci_ml.adapters.http import Answer, Client, Query, understood
from ci_ml.core.approvals import Approval, Merged
from ci_ml.core.publication import Comment, Labelling, Proposal, Status, shortened
from ci_ml.core.topics import Draft, Kind, Labels, Merging, Topic
from ci_ml.core.types import Change, Outcome, Run
from ci_ml.errors import Refused, Unanswered

API = "https://api.github.com"
PICTURES = "ci-ml-pictures"  # the branch
_PAGE = 100
_ATTEMPTS = 4
_STATES = {Outcome.PASS: "success", Outcome.WARN: "success", Outcome.UNDECIDED: "failure", Outcome.FAIL: "failure"}
_DESCRIPTION = 140
# A workflow's own token: https://docs.github.com/actions/concepts/security/github_token
_WORKFLOW = "github-actions[bot]"
_AUTOMERGE = """mutation($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { clientMutationId }
}"""
_OTHER_TOKEN = "put the token of a GitHub App, or a personal access token, into the secret behind CI_ML_TOKEN"
# What GitHub says, and what to do. https://docs.github.com/pull-requests (under auto-merge) names the settings.
_HINTS = {
    "not permitted to create or approve pull requests": "turn on Settings > Actions > General > Allow GitHub Actions "
    f"to create and approve pull requests (an organization has it, too), or {_OTHER_TOKEN}",
    "issues are disabled": "turn on Settings > General > Issues",
    "issues has been disabled": "turn on Settings > General > Issues",
    "auto merge is not allowed": "turn on Settings > General > Allow auto-merge",
    "clean status": "nothing is required before a merge there, so there is nothing to wait for: require a check on the "
    "branch, or merge it by hand",
    "unstable status": "no check is required there, so there is nothing to wait for: require a check on the branch",
    "protected branch rules not configured": "require a check on the branch that it is merged into",
}
# Reviews that say yes or no, or whose yes or no was taken back.
_DECIDED = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})
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
            _comment(item, number) for item in reversed(page.items) if _at(item, "user", "login") == self._author
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

    def issues(self) -> Iterator[tuple[Topic, ...]]:
        """https://docs.github.com/rest/issues/issues#list-repository-issues, where pull requests are issues, too."""
        query: Query = {"creator": self._author, "state": "all", "sort": "updated", "per_page": _PAGE}
        page = self._read("issues", query, "issues")
        yield self._written(page)
        while "next" in page.links:
            page = self._read(page.links["next"], None, "issues")
            yield self._written(page)

    @understood("GitHub")
    def _written(self, page: Answer) -> tuple[Topic, ...]:
        ours = (
            item for item in page.items if "pull_request" not in item and _at(item, "user", "login") == self._author
        )
        return tuple(_topic(item, Kind.ISSUE) for item in ours)

    @understood("GitHub")
    def requests(self, branch: str) -> tuple[Topic, ...]:
        """https://docs.github.com/rest/pulls/pulls#list-pull-requests"""
        query: Query = {"head": f"{self.repository.partition('/')[0]}:{branch}", "state": "open", "per_page": _PAGE}
        found = self._read("pulls", query, "pull-requests").items
        # GitHub ignores what it does not understand of such a filter, and an owner may have a fork beside.
        own = (pull for pull in found if _at(pull, "head", "ref") == branch and _same(pull, "head", "base"))
        return tuple(_topic(pull, Kind.REQUEST) for pull in own)

    @understood("GitHub")
    def open_issue(self, title: str, body: str) -> Topic:
        """https://docs.github.com/rest/issues/issues#create-an-issue"""
        return _topic(self._write("POST", "issues", {"title": title, "body": body}, "issues").body, Kind.ISSUE)

    @understood("GitHub")
    def open_request(self, draft: Draft) -> Topic:
        """https://docs.github.com/rest/pulls/pulls#create-a-pull-request"""
        body = {"head": draft.branch, "base": draft.target, "title": draft.title, "body": draft.body}
        return _topic(self._write("POST", "pulls", body, "pull-requests").body, Kind.REQUEST)

    @understood("GitHub")
    def change(
        self, topic: Topic, *, title: str | None = None, body: str | None = None, is_open: bool | None = None
    ) -> Topic | None:
        """Change what is given; None when it has been deleted, or moved to another repository."""
        state = None if is_open is None else "open" if is_open else "closed"
        sent = {"title": title, "body": body, "state": state}
        known = {key: value for key, value in sent.items() if value is not None}
        try:
            answer = self._write("PATCH", f"{_PLACES[topic.kind]}/{topic.number}", known, _PERMISSIONS[topic.kind])
        except Refused as error:
            if error.status in (404, 410) and "disabled" not in error.what:
                return None
            raise
        return _topic(answer.body, topic.kind)

    def relabel(self, topic: Topic, labels: Labels) -> None:
        """https://docs.github.com/rest/issues/labels, for pull requests as well; unknown labels are made."""
        place, permission = f"issues/{topic.number}/labels", _PERMISSIONS[topic.kind]
        if added := labels.added(topic.labels):
            self._write("POST", place, {"labels": list(added)}, permission, repeatable=True)
        for label in labels.removed(topic.labels):
            try:
                self._write("DELETE", f"{place}/{quote(label, safe='')}", None, permission)
            except Refused as error:
                if error.status != 404:
                    raise

    def remark(self, topic: Topic, body: str) -> None:
        """Write a comment."""
        self._write("POST", f"issues/{topic.number}/comments", {"body": body}, _PERMISSIONS[topic.kind])

    @understood("GitHub")
    def merge_later(self, topic: Topic, how: Merging) -> None:
        """https://docs.github.com/graphql/reference/mutations#enablepullrequestautomerge: REST has nothing for it."""
        node = self._read(f"pulls/{topic.number}", None, "pull-requests").body["node_id"]
        asked = {"pullRequestId": node, "mergeMethod": how.value.upper(), "expectedHeadOid": topic.head}
        body = {"query": _AUTOMERGE, "variables": {"input": asked}}
        try:
            answer = self.client.send("POST", self.graphql, body, repeatable=True)
        except Refused as error:
            raise self._explained(error, "contents") from None
        if problems := answer.body.get("errors"):  # GraphQL refuses with 200
            said = "; ".join(str(problem.get("message")) for problem in problems[:3])
            status = 403 if any(problem.get("type") == "FORBIDDEN" for problem in problems) else 422
            refused = Refused(f"{self.name} does not merge #{topic.number} by itself: {said}", status)
            raise self._explained(refused, "contents")

    @understood("GitHub")
    def silence(self) -> str | None:
        """https://docs.github.com/actions/concepts/security/github_token#when-github_token-triggers-workflow-runs"""
        if self._author != _WORKFLOW:
            return None
        return f"what GITHUB_TOKEN pushes or opens starts no workflow, or one that waits for approval: {_OTHER_TOKEN}"

    @understood("GitHub")
    def origins(self, sha: str) -> tuple[Merged, ...]:
        """https://docs.github.com/rest/commits/commits#list-pull-requests-associated-with-a-commit"""
        found = self._read(f"commits/{quote(sha, safe='')}/pulls", {"per_page": _PAGE}, "pull-requests").items
        return tuple(_merged(pull) for pull in found)

    @understood("GitHub")
    def origin(self, number: int) -> Merged:
        """https://docs.github.com/rest/pulls/pulls#get-a-pull-request"""
        return _merged(self._read(f"pulls/{number}", None, "pull-requests").body)

    @understood("GitHub")
    def approvals(self, about: Merged, people: Sequence[str]) -> tuple[Approval, ...]:
        """https://docs.github.com/rest/pulls/reviews#list-reviews-for-a-pull-request, the oldest first."""
        page = self._read(f"pulls/{about.number}/reviews", {"per_page": _PAGE}, "pull-requests")
        reviews = page.items
        while "next" in page.links:
            page = self._read(page.links["next"], None, "pull-requests")
            reviews = [*reviews, *page.items]
        last: dict[str, Any] = {}
        for review in reviews:
            if review.get("state") in _DECIDED:  # a remark takes no approval back
                last[str(_at(review, "user", "login") or "somebody who is gone")] = review
        approved = [(by, review) for by, review in last.items() if review["state"] == "APPROVED"]
        return tuple(self._approval(about, by, review, people) for by, review in approved)

    def _approval(self, about: Merged, by: str, review: Mapping[str, Any], people: Sequence[str]) -> Approval:
        doubt = None
        if by.lower() == about.author.lower():
            doubt = f"{by} has written it"
        elif review.get("commit_id") != about.head:
            doubt = f"{by} has approved {str(review.get('commit_id'))[:7]}, not the last commit {about.head[:7]}"
        elif _at(review, "user", "type") != "User":
            doubt = f"{by} is no person"
        what = f"approved {about.head[:7]} of #{about.number}"
        return Approval(by=by, at=str(review.get("submitted_at")), what=what, doubt=doubt or self._stranger(by, people))

    def _stranger(self, by: str, people: Sequence[str]) -> str | None:
        """Why the approval of a person does not count; None when it does."""
        try:
            may = self._read(f"collaborators/{by}/permission", None, "metadata").body.get("permission")
        except Refused as error:
            return f"whether {by} may write cannot be read ({error.what})"
        if may not in ("admin", "write"):
            return f"{by} may not write"
        if not people or by.lower() in (name.lower() for name in people):
            return None
        unread = []
        for name in (name for name in people if name.startswith("@")):
            organization, _, team = name[1:].partition("/")
            try:
                found = self._read_elsewhere(f"orgs/{organization}/teams/{team}/memberships/{by}")
            except Refused as error:
                if error.status != 404:
                    unread.append(name)
                continue
            if found.get("state") == "active":
                return None
        if unread:
            return f"whether {by} is in {unread[0]} cannot be read: the token needs to read the organization's members"
        return f"{by} is none of {', '.join(people)}"

    def _read_elsewhere(self, path: str) -> Mapping[str, Any]:
        """Something that is not of the repository."""
        body = self.client.get(path).body
        return body if isinstance(body, dict) else {}

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
        known = next((hint for words, hint in _HINTS.items() if words in error.what.lower()), None)
        if known is not None:
            hint = known
        elif error.status == 401:
            hint = "the token is not valid any more: give the job another in CI_ML_TOKEN"
        elif error.status in (403, 404) and "locked" not in error.what and "blocked" not in error.what:
            hint = f"give the job `permissions: {permission}: {access}`"
        else:
            return error
        return Refused(error.what, error.status, hint)


_PLACES = {Kind.ISSUE: "issues", Kind.REQUEST: "pulls"}
_PERMISSIONS = {Kind.ISSUE: "issues", Kind.REQUEST: "pull-requests"}


def _topic(item: Any, kind: Kind) -> Topic:
    if not isinstance(item, dict) or not isinstance(item.get("number"), int):
        raise Unanswered(f"GitHub answered with something that is no {kind}", perhaps=True)
    return Topic(
        kind=kind,
        number=item["number"],
        title=str(item.get("title") or ""),
        body=item.get("body") or "",
        is_open=item.get("state") == "open",
        labels=tuple(label["name"] for label in item.get("labels") or ()),
        url=item.get("html_url"),
        branch=_at(item, "head", "ref"),
        target=_at(item, "base", "ref"),
        head=_at(item, "head", "sha"),
        waits=item.get("auto_merge") is not None,
    )


def _merged(pull: Any) -> Merged:
    commit = pull.get("merge_commit_sha")
    return Merged(
        number=int(pull["number"]),
        head=str(_at(pull, "head", "sha") or ""),
        author=str(_at(pull, "user", "login") or ""),
        is_merged=pull.get("merged_at") is not None,
        commits=(str(commit),) if commit else (),
        url=pull.get("html_url"),
    )


def _same(pull: Any, one: str, other: str) -> bool:
    """Whether both ends of a pull request are in the same repository."""
    return _at(pull, one, "repo", "id") is not None and _at(pull, one, "repo", "id") == _at(pull, other, "repo", "id")


def _comment(item: Any, number: int) -> Comment:
    if not isinstance(item, dict) or not isinstance(item.get("id"), int):
        raise Unanswered("GitHub answered with something that is no comment", perhaps=True)
    return Comment(id=item["id"], number=number, body=item.get("body") or "", url=item.get("html_url"))


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
