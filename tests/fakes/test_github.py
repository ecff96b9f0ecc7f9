"""PyGithub, which others wrote for the real one, cannot tell the fake from it; what it does not ask is asked by hand."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import github as pygithub
import pytest
import requests
from github.GithubException import BadCredentialsException, GithubException, UnknownObjectException

from tests.fakes import github as fake
from tests.fakes.conftest import HEAD
from tests.fakes.github import GitHub

WRITE = {"pull-requests": "write", "statuses": "write", "contents": "read"}
MAY = {"issues": "write", "pull-requests": "write", "contents": "write"}
Client = Callable[..., pygithub.Github]


@pytest.fixture
def client(github: GitHub) -> Iterator[Client]:
    """PyGithub with a token; it neither waits between requests nor tries again."""
    opened = []

    def opening(secret: str, forge: GitHub = github) -> pygithub.Github:
        opened.append(
            pygithub.Github(
                auth=pygithub.Auth.Token(secret),
                base_url=forge.url,
                retry=None,
                seconds_between_requests=None,
                seconds_between_writes=None,
            )
        )
        return opened[-1]

    yield opening
    for one in opened:
        one.close()


def ask(forge: GitHub, method: str, path: str, secret: str | None = None, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return requests.request(
        method, forge.url + path, headers=headers | options.pop("headers", {}), timeout=30, **options
    )


COMMENTS = "/repos/acme/churn/issues/7/comments"
STATUSES = f"/repos/acme/churn/statuses/{HEAD}"


class TestPyGithubOnTopics:
    """Issues, and requests that are opened through the API."""

    def test_opens_finds_edits_and_closes_an_issue(self, github: GitHub, client: Client) -> None:
        repo = github.repository("acme/churn")
        repo.issue("mona", "by hand")
        there = client(github.token(permissions=MAY)).get_repo("acme/churn")
        made = there.create_issue("drift", "<!-- ci-ml -->\nit drifted", labels=["ci-ml: drift"])
        assert (made.number, made.user.login, made.state, made.state_reason) == (9, "github-actions[bot]", "open", None)
        assert [issue.title for issue in there.get_issues(creator="github-actions[bot]", state="all")] == ["drift"]
        assert [issue.number for issue in there.get_issues()] == [9, 8, 7]  # a pull request is an issue, too
        assert [issue.number for issue in there.get_issues(labels=["CI-ML: drift"])] == [9]
        made.add_to_labels("worse")
        made.remove_from_labels("ci-ml: drift")
        made.create_comment("fine again")
        made.edit(title="over", body="it is fine", state="closed")
        seen = there.get_issue(9)
        assert (seen.title, seen.body, seen.state, seen.state_reason) == ("over", "it is fine", "closed", "completed")
        assert [label.name for label in seen.labels] == ["worse"]
        assert [comment.body for comment in seen.get_comments()] == ["fine again"]
        assert seen.closed_at is not None
        seen.edit(state="open")
        assert there.get_issue(9).state_reason == "reopened"
        newest_first = there.get_issues(state="all", sort="updated", direction="desc")
        assert next(iter(newest_first)).number == 9

    def test_opens_and_edits_a_pull_request(self, github: GitHub, client: Client) -> None:
        repo = github.repository("acme/churn")
        repo.commit("1" * 40, branch="main")
        repo.commit("2" * 40, branch="ci-ml/retrain")
        there = client(github.token(permissions=MAY)).get_repo("acme/churn")
        made = there.create_pull("main", "ci-ml/retrain", title="Retrain", body="better")
        assert (made.number, made.head.ref, made.head.sha, made.base.ref) == (8, "ci-ml/retrain", "2" * 40, "main")
        with pytest.raises(GithubException, match="A pull request already exists for acme:ci-ml/retrain"):
            there.create_pull("main", "ci-ml/retrain", title="Again", body="")
        made.edit(title="Retrain churn", body="better still")
        made.add_to_labels("ci-ml: improved")
        seen = there.get_pull(8)
        assert (seen.title, seen.body, [label.name for label in seen.labels]) == (
            "Retrain churn",
            "better still",
            ["ci-ml: improved"],
        )
        made.edit(state="closed")
        assert [pull.number for pull in there.get_pulls(head="acme:ci-ml/retrain")] == []

    @pytest.mark.parametrize(
        ("head", "base", "words"),
        [("none", "main", '"field": "head"'), ("same", "main", "No commits between main and same")],
    )
    def test_refuses_a_pull_request_of_nothing(
        self, github: GitHub, client: Client, head: str, base: str, words: str
    ) -> None:
        repo = github.repository("acme/churn")
        repo.commit(repo.branches["main"], branch="same")
        there = client(github.token(permissions=MAY)).get_repo("acme/churn")
        with pytest.raises(GithubException, match=words):
            there.create_pull(base, head, title="t", body="")

    def test_merges_by_itself_what_waits_for_a_check(self, github: GitHub, client: Client) -> None:
        repo = github.repository("acme/churn")
        there = client(github.token(permissions=MAY)).get_repo("acme/churn")
        pull = there.get_pull(7)
        with pytest.raises(GithubException, match="clean status"):
            pull.enable_automerge("SQUASH")
        repo.require("gate")
        with pytest.raises(GithubException, match="Head branch was modified"):
            pull.enable_automerge("SQUASH", expected_head_oid="0" * 40)
        pull.enable_automerge("SQUASH", expected_head_oid=HEAD)
        assert there.get_pull(7).raw_data["auto_merge"]["merge_method"] == "squash"
        repo.may_wait = False
        with pytest.raises(GithubException, match="Auto merge is not allowed for this repository"):
            pull.enable_automerge()
        weak = client(github.token(permissions={"pull-requests": "write"})).get_repo("acme/churn").get_pull(7)
        with pytest.raises(GithubException, match="Resource not accessible by integration"):
            weak.enable_automerge()

    def test_settings_that_forbid_it(self, github: GitHub, client: Client) -> None:
        repo = github.repository("acme/churn")
        repo.commit("2" * 40, branch="next")
        there = client(github.token(permissions=MAY)).get_repo("acme/churn")
        repo.may_open, repo.has_issues = False, False
        with pytest.raises(GithubException, match="GitHub Actions is not permitted to create or approve pull requests"):
            there.create_pull("main", "next", title="t", body="")
        with pytest.raises(GithubException, match="Issues has been disabled in this repository"):
            there.create_issue("t")
        person = client(github.token(kind="pat", login="mona", scopes=["repo"])).get_repo("acme/churn")
        assert person.create_pull("main", "next", title="t", body="").user.login == "mona"

    def test_limits_of_an_issue(self, github: GitHub, client: Client) -> None:
        there = client(github.token(permissions=MAY)).get_repo("acme/churn")
        for title, body in (("t" * 257, ""), ("t", "x" * 65_537), (" ", "")):
            with pytest.raises(GithubException, match="Validation Failed"):
                there.create_issue(title, body)
        with pytest.raises(UnknownObjectException):
            there.get_issue(99)
        weak = client(github.token(permissions={"issues": "read"})).get_repo("acme/churn")
        with pytest.raises(GithubException, match="Resource not accessible by integration"):
            weak.create_issue("t")


class TestPyGithub:
    def test_writes_finds_edits_and_deletes_a_comment_among_many(self, github: GitHub, client: Client) -> None:
        pull = github.repository("acme/churn").pulls[7]
        for number in range(129):
            pull.comment("mona", f"chatter {number}")
        seen = client(github.token(permissions=WRITE)).get_repo("acme/churn").get_pull(7)
        mine = seen.create_issue_comment("<!-- ci-ml -->\nmade")
        assert (mine.user.login, mine.user.type) == ("github-actions[bot]", "Bot")
        bodies = [comment.body for comment in seen.get_issue_comments()]
        assert len(bodies) == 130
        assert bodies[0] == "chatter 0"
        assert bodies[-1] == "<!-- ci-ml -->\nmade"
        pages = [entry.query["page"] for entry in github.asked("GET", r"/comments$") if "page" in entry.query]
        assert pages == ["2", "3", "4", "5"]  # 30 to a page
        mine.edit("edited")
        assert seen.get_issue_comment(mine.id).body == "edited"
        assert (pull.comments[-1].edits, pull.count("created"), pull.count("edited")) == (1, 130, 1)
        assert pull.comments[-1].updated > pull.comments[-1].created
        mine.delete()
        assert pull.count("deleted") == 1
        with pytest.raises(UnknownObjectException):
            seen.get_issue_comment(mine.id)

    def test_reads_a_pull_request_from_a_fork(self, github: GitHub, client: Client) -> None:
        repo = github.repository("acme/churn")
        there = client(github.token()).get_repo("acme/churn")
        seen = there.get_pull(7)
        assert (seen.head.sha, seen.head.repo.full_name, seen.base.ref) == (HEAD, "stranger/churn", "main")
        assert (seen.state, seen.merged, seen.comments, seen.user.login) == ("open", False, 0, "stranger")
        repo.pulls[7].comment("mona", "hi")
        repo.pulls[7].delete_fork()
        repo.pulls[7].push("d" * 40)
        repo.pulls[7].merge("max")
        seen = there.get_pull(7)
        assert (seen.head.sha, seen.head.repo, seen.state, seen.merged, seen.comments) == (
            "d" * 40,
            None,
            "closed",
            True,
            1,
        )

    def test_finds_the_pull_request_of_a_branch(self, github: GitHub, client: Client) -> None:
        github.repository("acme/churn").pull(8, head="e" * 40, branch="other")
        there = client(github.token()).get_repo("acme/churn")
        assert [pull.number for pull in there.get_pulls(head="stranger:deeper")] == [7]
        assert [pull.number for pull in there.get_pulls(head="acme:deeper")] == []
        assert [pull.number for pull in there.get_pulls()] == [8, 7]

    def test_finds_the_pull_request_of_a_commit_where_the_commit_is(self, github: GitHub, client: Client) -> None:
        repo = github.repository("acme/churn")
        repo.pull(8, head="e" * 40, branch="other")
        one = client(github.token())
        there, fork = one.get_repo("acme/churn"), one.get_repo("stranger/churn")
        assert [pull.number for pull in there.get_commit("e" * 40).get_pulls()] == [8]
        assert [pull.number for pull in there.get_commit(HEAD).get_pulls()] == []  # it is in the fork
        [found] = fork.get_commit(HEAD).get_pulls()
        assert (found.number, found.base.repo.full_name) == (7, "acme/churn")
        repo.pulls[7].merge("max")
        assert [pull.number for pull in there.get_commit(HEAD).get_pulls()] == [7]

    def test_reports_statuses(self, github: GitHub, client: Client) -> None:
        commit = client(github.token(permissions=WRITE)).get_repo("acme/churn").get_commit(HEAD)
        assert commit.get_combined_status().state == "pending"
        commit.create_status("pending", "https://ci.example/1", "running", "ci-ml")
        commit.create_status("success", "https://ci.example/2", "fine", "lint")
        assert commit.get_combined_status().state == "pending"
        made = commit.create_status("failure", "https://ci.example/1", "worse", "ci-ml")
        assert made.creator.login == "github-actions[bot]"
        combined = commit.get_combined_status()
        assert (combined.state, combined.total_count) == ("failure", 2)
        assert {one.context: one.description for one in combined.statuses} == {"ci-ml": "worse", "lint": "fine"}
        every = ask(github, "GET", f"/repos/acme/churn/commits/{HEAD}/statuses").json()
        assert [one["state"] for one in every] == ["failure", "success", "pending"]
        assert [one.state for one in github.repository("acme/churn").statuses_of(HEAD)] == ["failure", "success"]

    def test_reads_who_set_a_label_and_what_they_may(self, github: GitHub, client: Client) -> None:
        repo = github.repository("acme/churn")
        repo.pulls[7].label("mona", "ci-ml: accept regression")
        there = client(github.token()).get_repo("acme/churn")
        seen = there.get_pull(7)
        assert [label.name for label in seen.labels] == ["ci-ml: accept regression"]
        repo.pulls[7].unlabel("max", "CI-ML: accept regression")  # the case of a label does not matter
        events = [(event.event, event.actor.login, event.label.name) for event in seen.get_issue_events()]
        assert events == [
            ("labeled", "mona", "ci-ml: accept regression"),
            ("unlabeled", "max", "ci-ml: accept regression"),
        ]
        levels = {
            login: (there.get_collaborator_permission(login), there.get_collaborator_role_name(login))
            for login in ("acme", "max", "mona", "trish", "stranger")
        }
        assert levels == {
            "acme": ("admin", "admin"),
            "max": ("write", "maintain"),
            "mona": ("write", "write"),
            "trish": ("read", "triage"),
            "stranger": ("read", "read"),
        }
        with pytest.raises(GithubException, match="nobody is not a user"):
            there.get_collaborator_permission("nobody")

    def test_sets_and_removes_a_label(self, github: GitHub, client: Client) -> None:
        pull = github.repository("acme/churn").pulls[7]
        secret = github.token(kind="pat", login="mona", scopes=["repo"])
        seen = client(secret).get_repo("acme/churn").get_pull(7)
        seen.add_to_labels("needs a look", "ready")
        seen.remove_from_labels("ready")
        assert [label.name for label in pull.labels] == ["needs a look"]
        assert [(event.kind, event.actor.login) for event in pull.events] == [
            ("labeled", "mona"),
            ("labeled", "mona"),
            ("unlabeled", "mona"),
        ]
        with pytest.raises(GithubException, match="Label does not exist"):
            seen.remove_from_labels("ready")

    def test_knows_the_errors(self, github: GitHub, client: Client) -> None:
        repo = github.repository("acme/churn")
        with pytest.raises(BadCredentialsException):
            client("ghs_of_yesterday").get_repo("acme/churn")
        with pytest.raises(UnknownObjectException):
            client(github.token()).get_repo("acme/hidden")
        read = client(github.token(permissions={"pull-requests": "read"})).get_repo("acme/churn").get_pull(7)
        with pytest.raises(GithubException, match="Resource not accessible by integration") as refused:
            read.create_issue_comment("hi")
        assert refused.value.status == 403
        write = client(github.token(permissions=WRITE)).get_repo("acme/churn").get_pull(7)
        with pytest.raises(GithubException) as refused:
            write.create_issue_comment("x" * 65_537)
        assert refused.value.status == 422
        assert refused.value.data["errors"][0]["message"] == "Body is too long (maximum is 65536 characters)"
        repo.pulls[7].lock()
        with pytest.raises(GithubException, match="issue is locked") as refused:
            write.create_issue_comment("hi")
        assert refused.value.status == 403

    def test_sees_the_rate_limit(self, github: GitHub, client: Client) -> None:
        one = client(github.token(limit=3))
        assert one.get_rate_limit().rate.remaining == 3
        one.get_repo("acme/churn")
        assert one.rate_limiting == (2, 3)
        one.get_repo("acme/churn")
        one.get_repo("acme/churn")
        with pytest.raises(pygithub.RateLimitExceededException):
            one.get_repo("acme/churn")
        github.clock.advance(3600)
        one.get_repo("acme/churn")

    def test_works_below_the_prefix_of_an_enterprise_server(self, client: Client) -> None:
        with GitHub(prefix="/api/v3") as forge:
            pull = forge.repository("acme/churn").pull(7)
            for number in range(31):
                pull.comment("mona", f"{number}")
            seen = client(forge.token(permissions=WRITE), forge).get_repo("acme/churn").get_pull(7)
            assert len(list(seen.get_issue_comments())) == 31
            assert requests.get(forge.origin + COMMENTS, timeout=30).status_code == 404


class TestWhoMayWhat:
    def test_a_token_of_a_job_is_nobody_but_graphql_names_its_bot(self, github: GitHub) -> None:
        for kind, login in (("actions", "github-actions[bot]"), ("app", "ci-ml[bot]"), ("pat", "mona")):
            secret = github.token(kind=kind)
            answer = ask(github, "GET", "/user", secret)
            if kind == "pat":
                assert answer.json()["login"] == "mona"
            else:
                assert (answer.status_code, answer.json()["message"]) == (403, "Resource not accessible by integration")
            headers = {"Authorization": f"bearer {secret}"}
            query = {"query": "query { viewer { login } }"}
            seen = requests.post(github.graphql_url, json=query, headers=headers, timeout=30).json()
            assert seen == {"data": {"viewer": {"login": login}}}
            query = {"query": "{viewer{login databaseId}}"}
            seen = requests.post(github.graphql_url, json=query, headers=headers, timeout=30).json()
            assert seen["data"]["viewer"]["databaseId"] == github.user(login).id
        assert ask(github, "GET", "/user").status_code == 401
        anonymous = requests.post(github.graphql_url, json=query, timeout=30)
        assert anonymous.status_code == 401
        headers = {"Authorization": f"Bearer {github.token()}"}
        other = requests.post(github.graphql_url, json={"query": "{viewer{email}}"}, headers=headers, timeout=30)
        assert (other.status_code, list(other.json())) == (200, ["errors"])

    def test_the_answer_says_which_permission_is_missing(self, github: GitHub) -> None:
        secret = github.token(permissions={"contents": "read"})
        refused = ask(github, "POST", COMMENTS, secret, json={"body": "hi"})
        assert refused.status_code == 403
        assert refused.headers["X-Accepted-GitHub-Permissions"] == "issues=write; pull_requests=write"
        assert refused.json() == {
            "message": "Resource not accessible by integration",
            "documentation_url": "https://docs.github.com/rest/issues/comments#create-an-issue-comment",
            "status": "403",
        }
        refused = ask(github, "POST", STATUSES, secret, json={"state": "success"})
        assert refused.headers["X-Accepted-GitHub-Permissions"] == "statuses=write"

    def test_either_permission_is_enough_to_comment(self, github: GitHub) -> None:
        for name in ("issues", "pull-requests", "pull_requests"):
            secret = github.token(permissions={name: "write"})
            assert ask(github, "POST", COMMENTS, secret, json={"body": "hi"}).status_code == 201

    def test_what_is_private_does_not_exist_for_others(self, github: GitHub) -> None:
        github.repository("acme/hidden", private=True, collaborators={"mona": "read"}).pull(1)
        path = "/repos/acme/hidden/issues/1/comments"
        outside = [
            None,
            github.token(kind="pat", login="stranger", scopes=["repo"]),
            github.token(kind="pat", login="mona", scopes=["public_repo"]),
            github.token(permissions=WRITE, repositories=["acme/churn"]),
            github.token(kind="fine-grained", login="mona", permissions=WRITE, repositories=["acme/churn"]),
        ]
        assert [ask(github, "GET", path, secret).status_code for secret in outside] == [404] * 5
        inside = [
            github.token(kind="pat", login="mona", scopes=["repo"]),
            github.token(permissions={"issues": "read"}),
            github.token(kind="fine-grained", login="mona", permissions={"issues": "read"}),
        ]
        assert [ask(github, "GET", path, secret).status_code for secret in inside] == [200] * 3
        short = github.token(permissions={"contents": "read"})
        assert ask(github, "GET", path, short).status_code == 403

    def test_a_classic_token_says_its_scopes(self, github: GitHub) -> None:
        secret = github.token(kind="pat", login="mona", scopes=["gist"])
        refused = ask(github, "POST", STATUSES, secret, json={"state": "success"})
        assert refused.status_code == 404
        assert refused.headers["X-OAuth-Scopes"] == "gist"
        assert refused.headers["X-Accepted-OAuth-Scopes"] == "repo, repo:status"
        wide = github.token(kind="pat", login="mona", scopes=["public_repo"])
        assert ask(github, "POST", STATUSES, wide, json={"state": "success"}).status_code == 201

    def test_only_the_author_or_a_writer_changes_a_comment(self, github: GitHub) -> None:
        pull = github.repository("acme/churn").pulls[7]
        comment = pull.comment("mona", "mine")
        path = f"/repos/acme/churn/issues/comments/{comment.id}"
        stranger = github.token(kind="pat", login="stranger", scopes=["repo"])
        refused = ask(github, "PATCH", path, stranger, json={"body": "yours"})
        assert (refused.status_code, refused.json()["message"]) == (403, "Must have admin rights to Repository.")
        assert ask(github, "DELETE", path, stranger).status_code == 403
        assert ask(github, "PATCH", path, github.token(permissions=WRITE), json={"body": "ours"}).status_code == 200
        assert (comment.user.login, comment.body) == ("mona", "ours")

    def test_a_token_ends(self, github: GitHub) -> None:
        secret = github.token(permissions=WRITE)
        assert ask(github, "GET", COMMENTS, secret).status_code == 200
        github.revoke(secret)
        refused = ask(github, "GET", COMMENTS, secret)
        assert (refused.status_code, refused.json()["message"]) == (401, "Bad credentials")
        assert ask(github, "POST", COMMENTS, json={"body": "hi"}).status_code == 401

    def test_the_permission_of_others_needs_push_access(self, github: GitHub) -> None:
        path = "/repos/acme/churn/collaborators/max/permission"
        stranger = github.token(kind="pat", login="stranger", scopes=["repo"])
        assert ask(github, "GET", path, stranger).status_code == 403
        assert ask(github, "GET", path).status_code == 401
        found = ask(github, "GET", path, github.token()).json()
        assert (found["permission"], found["role_name"]) == ("write", "maintain")
        assert found["user"]["permissions"] == {
            "pull": True,
            "triage": True,
            "push": True,
            "maintain": True,
            "admin": False,
        }


class TestTheProtocol:
    def test_pages_are_linked_as_on_github(self, github: GitHub) -> None:
        pull = github.repository("acme/churn").pulls[7]
        for number in range(250):
            pull.comment("mona", f"{number}")
        root = f"{github.url}/repositories/{pull.repository.id}/issues/7/comments"
        first = ask(github, "GET", f"{COMMENTS}?per_page=100")
        assert first.headers["Link"] == (
            f'<{root}?per_page=100&page=2>; rel="next", <{root}?per_page=100&page=3>; rel="last"'
        )
        second = requests.get(first.links["next"]["url"], timeout=30)
        assert list(second.links) == ["prev", "next", "last", "first"]
        third = requests.get(second.links["next"]["url"], timeout=30)
        assert [len(page.json()) for page in (first, second, third)] == [100, 100, 50]
        assert list(third.links) == ["prev", "first"]
        assert len(ask(github, "GET", f"{COMMENTS}?per_page=1000").json()) == 100
        assert len(ask(github, "GET", COMMENTS).json()) == 30
        assert "Link" not in ask(github, "GET", "/repos/acme/churn/issues/7/labels").headers

    def test_limits_of_a_status(self, github: GitHub) -> None:
        secret = github.token(permissions=WRITE, limit=5_000)
        refused = ask(github, "POST", STATUSES, secret, json={"state": "success", "description": "x" * 141})
        assert refused.json()["errors"][0]["message"] == "description is too long (maximum is 140 characters)"
        assert ask(github, "POST", STATUSES, secret, json={"state": "fine"}).status_code == 422
        missing = ask(github, "POST", "/repos/acme/churn/statuses/" + "0" * 40, secret, json={"state": "success"})
        assert missing.json()["message"] == f"No commit found for SHA: {'0' * 40}"
        repo = github.repository("acme/churn")
        made = fake.CommitStatus(1, HEAD, "success", "ci-ml", None, None, github.user("mona"), github.tick())
        repo.statuses += [made] * 1_000
        refused = ask(github, "POST", STATUSES, secret, json={"state": "success", "context": "ci-ml"})
        assert refused.status_code == 422
        assert "maximum number of statuses" in refused.json()["errors"][0]["message"]
        assert ask(github, "POST", STATUSES, secret, json={"state": "success", "context": "other"}).status_code == 201

    def test_a_renamed_repository_redirects(self, github: GitHub) -> None:
        repo = github.repository("acme/churn")
        repo.rename("acme/attrition")
        moved = ask(github, "GET", COMMENTS, allow_redirects=False)
        assert (moved.status_code, moved.json()["message"]) == (301, "Moved Permanently")
        assert moved.headers["Location"] == f"{github.url}/repositories/{repo.id}/issues/7/comments"
        assert ask(github, "GET", COMMENTS).json() == []
        secret = github.token(permissions=WRITE)
        moved = ask(github, "POST", COMMENTS, secret, json={"body": "hi"}, allow_redirects=False)
        assert moved.status_code == 307

    def test_a_request_without_a_user_agent_or_of_an_unknown_version(self, github: GitHub) -> None:
        assert ask(github, "GET", COMMENTS, headers={"User-Agent": ""}).status_code == 403
        assert ask(github, "GET", COMMENTS, headers={"X-GitHub-Api-Version": "1999-01-01"}).status_code == 400
        chosen = ask(github, "GET", COMMENTS, headers={"X-GitHub-Api-Version": "2022-11-28"})
        assert chosen.headers["x-github-api-version-selected"] == "2022-11-28"

    def test_bodies_that_are_none(self, github: GitHub) -> None:
        secret = github.token(permissions=WRITE)
        assert ask(github, "POST", COMMENTS, secret, data="{").status_code == 400
        assert ask(github, "POST", COMMENTS, secret, json={}).status_code == 422
        assert ask(github, "POST", COMMENTS, secret, json={"body": " "}).status_code == 422
        assert ask(github, "POST", COMMENTS, secret, json={"body": "é" * 65_536}).status_code == 201

    def test_the_log_has_every_request_and_no_secret(self, github: GitHub) -> None:
        secret = github.token(permissions=WRITE)
        ask(github, "GET", f"{COMMENTS}?per_page=100", secret)
        ask(github, "GET", "/repos/acme/nowhere")
        assert [str(entry) for entry in github.requests] == [
            f"GET {COMMENTS}?per_page=100 -> 200",
            "GET /repos/acme/nowhere -> 404",
        ]
        assert [entry.token for entry in github.requests] == ["actions", "anonymous"]
        assert secret not in repr([vars(entry) for entry in github.requests])

    def test_fifty_clients_at_once(self, github: GitHub) -> None:
        secret = github.token(permissions=WRITE)

        def publish(number: int) -> int:
            return ask(github, "POST", COMMENTS, secret, json={"body": f"{number}"}).status_code

        with ThreadPoolExecutor(50) as pool:
            assert set(pool.map(publish, range(200))) == {201}
        comments = github.repository("acme/churn").pulls[7].comments
        assert len({comment.id for comment in comments}) == 200
        assert sorted(int(comment.body) for comment in comments) == list(range(200))
        assert [comment.id for comment in comments] == sorted(comment.id for comment in comments)

    def test_a_minimized_comment_says_so(self, github: GitHub) -> None:
        comment = github.repository("acme/churn").pulls[7].comment("mona", "old news")
        comment.minimize()
        [shown] = ask(github, "GET", COMMENTS).json()
        assert shown["minimized"] == {"reason": "outdated"}
