"""python-gitlab, which others wrote for the real one, cannot tell the fake from it; what it does not ask is asked by hand."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gitlab as pygitlab
import pytest
import requests
from gitlab.exceptions import (
    GitlabAuthenticationError,
    GitlabCreateError,
    GitlabError,
    GitlabGetError,
    GitlabHttpError,
    GitlabUpdateError,
)

from tests.fakes.conftest import HEAD
from tests.fakes.gitlab import GitLab
from tests.fakes.server import Throttled

Client = Callable[..., pygitlab.Gitlab]


@pytest.fixture
def client(gitlab: GitLab) -> Iterator[Client]:
    """python-gitlab with a token; it does not wait when it is told to."""
    opened = []

    def opening(secret: str, **options: Any) -> pygitlab.Gitlab:
        how = options or {"private_token": secret}
        opened.append(pygitlab.Gitlab(gitlab.origin, **how))
        return opened[-1]

    yield opening
    for one in opened:
        one.session.close()


def ask(forge: GitLab, method: str, path: str, secret: str | None = None, **options: Any) -> requests.Response:
    headers = {"PRIVATE-TOKEN": secret} if secret else {}
    return requests.request(
        method, forge.url + path, headers=headers | options.pop("headers", {}), timeout=30, **options
    )


CHANGE = "/projects/acme%2Fchurn/merge_requests/7"
NOTES = f"{CHANGE}/notes"
STATUSES = f"/projects/acme%2Fchurn/statuses/{HEAD}"


class TestPythonGitlabOnTopics:
    """Issues, and requests that are opened through the API."""

    def test_opens_finds_edits_and_closes_an_issue(self, gitlab: GitLab, client: Client) -> None:
        project = gitlab.project("acme/churn")
        project.issue("mona", "by hand")
        secret = gitlab.token()
        there = client(secret).projects.get("acme/churn")
        made = there.issues.create({"title": "drift", "description": "it drifted\n\n/close", "labels": "ci-ml: drift"})
        assert (made.iid, made.state, made.labels, made.description) == (2, "closed", ["ci-ml: drift"], "it drifted")
        bot = gitlab.tokens[secret].user.id
        assert [issue.iid for issue in there.issues.list(author_id=bot, scope="all", get_all=True)] == [2]
        assert [issue.iid for issue in there.issues.list(state="opened", get_all=True)] == [1]
        made.state_event, made.title, made.description = "reopen", "still", "more"
        made.add_labels, made.remove_labels = "worse", "ci-ml: drift"
        made.save()
        made.notes.create({"body": "a remark"})
        seen = there.issues.get(2)
        assert (seen.state, seen.title, seen.description, seen.labels) == ("opened", "still", "more", ["worse"])
        assert [note.body for note in seen.notes.list(get_all=True)] == ["a remark"]
        actions = [event.action for event in seen.resourcelabelevents.list(get_all=True)]
        assert sorted(actions) == ["add", "add", "remove"]
        updated = there.issues.list(order_by="updated_at", get_all=True)
        assert [issue.iid for issue in updated] == [2, 1]

    def test_opens_edits_and_merges_a_merge_request(self, gitlab: GitLab, client: Client) -> None:
        project = gitlab.project("acme/churn")
        project.commit("1" * 40, branch="main")
        project.commit("2" * 40, branch="next")
        there = client(gitlab.token()).projects.get("acme/churn")
        wanted = {"source_branch": "next", "target_branch": "main", "title": "Retrain", "description": "better"}
        made = there.mergerequests.create({**wanted, "remove_source_branch": True})
        assert (made.iid, made.sha, made.description, made.source_project_id) == (8, "2" * 40, "better", project.id)
        with pytest.raises(GitlabCreateError, match="Another open merge request already exists"):
            there.mergerequests.create(wanted)
        with pytest.raises(GitlabCreateError, match="does not exist"):
            there.mergerequests.create({**wanted, "source_branch": "none"})
        made.title, made.description, made.labels = "Retrain churn", "better still", ["ci-ml: improved"]
        made.save()
        seen = there.mergerequests.get(8)
        assert (seen.title, seen.description, seen.labels) == ("Retrain churn", "better still", ["ci-ml: improved"])
        with pytest.raises(GitlabError, match="405"):
            seen.merge(auto_merge=True)  # it has no pipeline
        project.pipeline("2" * 40, "next")
        with pytest.raises(GitlabError, match="SHA does not match"):
            seen.merge(auto_merge=True, sha="0" * 40)
        seen.merge(auto_merge=True, sha="2" * 40)
        seen = there.mergerequests.get(8)
        assert (seen.merge_when_pipeline_succeeds, seen.state) == (True, "opened")
        seen.merge(sha="2" * 40)
        assert there.mergerequests.get(8).state == "merged"

    def test_a_jobs_own_token_opens_nothing(self, gitlab: GitLab, client: Client) -> None:
        gitlab.project("acme/churn").commit("2" * 40, branch="next")
        job = client("", job_token=gitlab.token(kind="job", username="mona"))
        there = job.projects.get("acme/churn", lazy=True)
        with pytest.raises(GitlabAuthenticationError):
            there.mergerequests.create({"source_branch": "next", "target_branch": "main", "title": "t"})
        with pytest.raises(GitlabAuthenticationError):
            there.issues.create({"title": "t"})

    def test_who_may_not_and_what_is_turned_off(self, gitlab: GitLab, client: Client) -> None:
        project = gitlab.project("acme/churn")
        project.commit("2" * 40, branch="next")
        weak = client(gitlab.token(role="guest")).projects.get("acme/churn")
        with pytest.raises(GitlabCreateError, match="403"):
            weak.mergerequests.create({"source_branch": "next", "target_branch": "main", "title": "t"})
        project.has_issues = False
        strong = client(gitlab.token()).projects.get("acme/churn")
        with pytest.raises(GitlabCreateError, match="403"):
            strong.issues.create({"title": "t"})
        assert strong.issues.list(get_all=True) == []


class TestPythonGitlab:
    def test_writes_finds_edits_and_deletes_a_note_among_many(self, gitlab: GitLab, client: Client) -> None:
        change = gitlab.project("acme/churn").merge_requests[7]
        for number in range(45):
            change.note("mona", f"chatter {number}")
        change.push("d" * 40)
        seen = client(gitlab.token()).projects.get("acme/churn").mergerequests.get(7)
        mine = seen.notes.create({"body": "<!-- ci-ml -->\nmade"})
        listed = seen.notes.list(iterator=True)
        assert (listed.total, listed.total_pages, listed.per_page) == (47, 3, 20)
        notes = list(listed)
        assert notes[0].body == "<!-- ci-ml -->\nmade"  # newest first
        assert notes[1].system
        assert notes[-1].body == "chatter 0"
        oldest = seen.notes.list(sort="asc", order_by="updated_at", per_page=100, page=1)
        assert [note.body for note in oldest][:2] == ["chatter 0", "chatter 1"]
        assert len(seen.notes.list(get_all=True)) == 47
        mine.body = "edited"
        mine.save()
        assert seen.notes.get(mine.id).body == "edited"
        assert (change.notes[-1].edits, change.count("created"), change.count("edited")) == (1, 46, 1)
        mine.delete()
        assert change.count("deleted") == 1
        with pytest.raises(GitlabGetError, match="404 Not found"):
            seen.notes.get(mine.id)

    def test_reads_a_merge_request(self, gitlab: GitLab, client: Client) -> None:
        project = gitlab.project("acme/churn")
        fork = project.merge_request(8, head="e" * 40, branch="theirs", source="stranger/churn")
        there = client(gitlab.token()).projects.get(project.id)
        seen = there.mergerequests.get(7)
        assert (seen.sha, seen.state, seen.source_project_id, seen.target_project_id) == (
            HEAD,
            "opened",
            project.id,
            project.id,
        )
        assert seen.diff_refs["head_sha"] == HEAD
        assert seen.author["username"] == "mona"
        assert [one.iid for one in there.mergerequests.list(source_branch="theirs", state="opened")] == [8]
        assert there.mergerequests.get(8).source_project_id == gitlab.project("stranger/churn").id
        fork.delete_fork()
        fork.close()
        closed = there.mergerequests.get(8)
        assert (closed.source_project_id, closed.state) == (None, "closed")

    def test_reports_statuses(self, gitlab: GitLab, client: Client) -> None:
        commit = client(gitlab.token()).projects.get("acme/churn").commits.get(HEAD, lazy=True)
        for state in ("pending", "running", "success"):
            made = commit.statuses.create({"state": state, "name": "ci-ml", "target_url": "https://ci.example/1"})
            assert made.status == state
        assert len(gitlab.project("acme/churn").statuses) == 1  # it moved on
        again = commit.statuses.create({"state": "failed", "name": "ci-ml", "description": "worse"})
        assert again.id != made.id
        assert [(one.name, one.status, one.description) for one in commit.statuses.list()] == [
            ("ci-ml", "failed", "worse")
        ]
        assert len(commit.statuses.list(query_parameters={"all": True})) == 2
        [status] = gitlab.project("acme/churn").statuses_of(HEAD)
        assert (status.state, status.ref) == ("failed", "deeper")

    def test_cannot_repeat_a_state_that_is_still_going(self, gitlab: GitLab, client: Client) -> None:
        commit = client(gitlab.token()).projects.get("acme/churn").commits.get(HEAD, lazy=True)
        for state, event in (("pending", "enqueue"), ("running", "run")):
            commit.statuses.create({"state": state, "name": "ci-ml"})
            with pytest.raises(GitlabCreateError, match=f"Cannot transition status via :{event} from :{state}"):
                commit.statuses.create({"state": state, "name": "ci-ml"})
        with pytest.raises(GitlabCreateError, match="Cannot transition status via :enqueue from :running"):
            commit.statuses.create({"state": "pending", "name": "ci-ml"})

    def test_reads_who_set_a_label_and_what_they_are(self, gitlab: GitLab, client: Client) -> None:
        change = gitlab.project("acme/churn").merge_requests[7]
        change.label("mona", "ci-ml: accept regression")
        there = client(gitlab.token()).projects.get("acme/churn")
        seen = there.mergerequests.get(7)
        assert seen.labels == ["ci-ml: accept regression"]
        change.unlabel("max", "ci-ml: accept regression")
        events = seen.resourcelabelevents.list()
        assert [(event.action, event.user["username"], event.label["name"]) for event in events] == [
            ("add", "mona", "ci-ml: accept regression"),
            ("remove", "max", "ci-ml: accept regression"),
        ]
        assert [there.members_all.get(event.user["id"]).access_level for event in events] == [30, 40]
        with pytest.raises(GitlabGetError, match="404 Not found"):
            there.members_all.get(gitlab.user("stranger").id)

    def test_sees_who_is_a_bot(self, gitlab: GitLab, client: Client) -> None:
        one = client(gitlab.token())
        one.auth()
        assert one.user is not None
        assert one.users.get(one.user.id).bot
        assert not one.users.get(gitlab.user("mona").id).bot
        note = one.projects.get("acme/churn").mergerequests.get(7).notes.create({"body": "hi"})
        assert "bot" not in note.author

    def test_sets_and_removes_a_label(self, gitlab: GitLab, client: Client) -> None:
        secret = gitlab.token(kind="personal", username="mona")
        seen = client(secret).projects.get("acme/churn").mergerequests.get(7)
        seen.labels = ["needs a look", "ready"]
        seen.save()
        seen.labels = ["ready"]
        seen.save()
        events = gitlab.project("acme/churn").merge_requests[7].label_events
        assert [(event.action, event.label, event.user.username) for event in events] == [
            ("add", "needs a look", "mona"),
            ("add", "ready", "mona"),
            ("remove", "needs a look", "mona"),
        ]

    def test_knows_the_errors(self, gitlab: GitLab, client: Client) -> None:
        with pytest.raises(GitlabAuthenticationError, match="401 Unauthorized"):
            client("glpat-of-yesterday").auth()
        with pytest.raises(GitlabGetError, match="404 Project Not Found"):
            client(gitlab.token()).projects.get("acme/hidden")
        seen = client(gitlab.token()).projects.get("acme/churn").mergerequests.get(7)
        with pytest.raises(GitlabCreateError, match="is too long") as refused:
            seen.notes.create({"body": "x" * 1_000_001})
        assert refused.value.response_code == 400
        reader = client(gitlab.token(scopes=["read_api"])).projects.get("acme/churn").mergerequests.get(7)
        with pytest.raises(GitlabCreateError, match="insufficient_scope") as refused:
            reader.notes.create({"body": "hi"})
        assert refused.value.response_code == 403

    def test_is_told_to_wait(self, gitlab: GitLab, client: Client) -> None:
        gitlab.fail(Throttled(60), times=None)
        with pytest.raises(GitlabHttpError, match="429"):
            client(gitlab.token()).http_get("/user", obey_rate_limit=False)

    def test_comes_with_the_other_tokens_too(self, gitlab: GitLab, client: Client) -> None:
        bearer = client("", oauth_token=gitlab.token())
        bearer.auth()
        assert bearer.user is not None
        assert bearer.user.username.startswith("project_")
        job = client("", job_token=gitlab.token(kind="job", username="mona"))
        assert job.http_get("/job")["user"]["username"] == "mona"


class TestWhoMayWhat:
    def test_a_job_reads_notes_and_writes_nothing(self, gitlab: GitLab) -> None:
        change = gitlab.project("acme/churn").merge_requests[7]
        note = change.note("mona", "hi")
        secret = gitlab.token(kind="job", username="max")
        for headers in ({"JOB-TOKEN": secret}, {"Authorization": f"Bearer {secret}"}):
            asked = {
                (method, path): ask(gitlab, method, path, json=document, headers=headers).status_code
                for method, path, document in [
                    ("GET", NOTES, None),
                    ("GET", CHANGE, None),
                    ("POST", NOTES, {"body": "hi"}),
                    ("PUT", f"{NOTES}/{note.id}", {"body": "hi"}),
                    ("POST", STATUSES, {"state": "success"}),
                    ("GET", "/user", None),
                    ("GET", "/projects/acme%2Fchurn", None),
                ]
            }
            assert list(asked.values()) == [200, 200, 401, 401, 401, 401, 404]
        gitlab.revoke(secret, "over")
        assert ask(gitlab, "GET", NOTES, headers={"JOB-TOKEN": secret}).status_code == 401

    def test_the_job_of_another_project_sees_nothing(self, gitlab: GitLab) -> None:
        gitlab.project("mona/other", private=True)
        secret = gitlab.token(kind="job", username="mona", project="mona/other")
        assert ask(gitlab, "GET", NOTES, headers={"JOB-TOKEN": secret}).status_code == 404

    def test_the_notes_of_others_are_for_maintainers(self, gitlab: GitLab) -> None:
        change = gitlab.project("acme/churn").merge_requests[7]
        note = change.note("mona", "mine")
        path = f"{NOTES}/{note.id}"
        assert ask(gitlab, "PUT", path, gitlab.token(), json={"body": "yours"}).json() == {"message": "403 Forbidden"}
        assert ask(gitlab, "DELETE", path, gitlab.token()).status_code == 403
        maintainer = gitlab.token(role="maintainer")
        assert ask(gitlab, "PUT", path, maintainer, json={"body": "ours"}).status_code == 200
        assert (note.author.username, note.body) == ("mona", "ours")
        system = change.note("mona", "added 1 commit", system=True)
        assert ask(gitlab, "PUT", f"{NOTES}/{system.id}", maintainer, json={"body": "x"}).status_code == 403

    def test_a_status_needs_a_developer(self, gitlab: GitLab) -> None:
        reporter = gitlab.token(role="reporter")
        assert ask(gitlab, "POST", STATUSES, reporter, json={"state": "success"}).status_code == 403
        path = f"/projects/acme%2Fchurn/repository/commits/{HEAD}/statuses"
        tokens = (reporter, gitlab.token(role="guest"), None)
        assert [ask(gitlab, "GET", path, secret).status_code for secret in tokens] == [200, 403, 401]

    def test_what_is_private_does_not_exist_for_others(self, gitlab: GitLab) -> None:
        stranger = gitlab.token(kind="personal", username="stranger")
        assert ask(gitlab, "GET", CHANGE, stranger).json() == {"message": "404 Project Not Found"}
        assert ask(gitlab, "GET", CHANGE).status_code == 404
        assert ask(gitlab, "GET", NOTES).json() == {"message": "401 Unauthorized"}  # never without a token

    @pytest.mark.parametrize("state", ["expired", "revoked"])
    def test_a_token_ends(self, gitlab: GitLab, state: str) -> None:
        secret = gitlab.token()
        gitlab.revoke(secret, state)
        refused = ask(gitlab, "GET", CHANGE, secret)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
        assert state in refused.json()["error_description"]


class TestTheProtocol:
    def test_pages_are_described_in_headers(self, gitlab: GitLab) -> None:
        change = gitlab.project("acme/churn").merge_requests[7]
        for number in range(250):
            change.note("mona", f"{number}")
        secret = gitlab.token()
        second = ask(gitlab, "GET", f"{NOTES}?per_page=100&page=2", secret)
        names = ("X-Total", "X-Total-Pages", "X-Per-Page", "X-Page", "X-Next-Page", "X-Prev-Page")
        assert [second.headers[name] for name in names] == ["250", "3", "100", "2", "3", "1"]
        assert list(second.links) == ["prev", "next", "first", "last"]
        third = requests.get(second.links["next"]["url"], headers={"PRIVATE-TOKEN": secret}, timeout=30)
        assert (len(third.json()), third.headers["X-Next-Page"]) == (50, "")
        assert len(ask(gitlab, "GET", f"{NOTES}?per_page=1000", secret).json()) == 100
        assert ask(gitlab, "GET", f"{NOTES}?per_page=many", secret).json() == {"error": "per_page is invalid"}
        assert ask(gitlab, "GET", f"{NOTES}?sort=up", secret).status_code == 400

    def test_lines_of_a_note_can_be_commands(self, gitlab: GitLab) -> None:
        change = gitlab.project("acme/churn").merge_requests[7]
        secret = gitlab.token()
        spared = "```\n/close\n```\n<details>\n/close\n</details>\n/usr/bin/python"
        text = f'a report\n/label ~"ci-ml: accept regression" ~ready\n{spared}\n\n'
        made = ask(gitlab, "POST", NOTES, secret, json={"body": text}).json()
        assert made["body"] == f"a report\n{spared}"
        assert change.labels == ["ci-ml: accept regression", "ready"]
        assert change.state == "opened"
        only = ask(gitlab, "POST", NOTES, secret, json={"body": "/close"})
        assert only.status_code == 202
        assert (change.state, len(change.notes)) == ("closed", 1)
        edited = ask(gitlab, "PUT", f"{NOTES}/{made['id']}", secret, json={"body": "/reopen"})
        assert (edited.status_code, change.state, change.notes) == (202, "opened", [])
        assert change.quick_actions == ['label ~"ci-ml: accept regression" ~ready', "close", "reopen"]

    def test_the_commit_of_a_fork_has_no_branch_here(self, gitlab: GitLab) -> None:
        project = gitlab.project("acme/churn")
        project.merge_request(8, head="e" * 40, branch="theirs", source="stranger/churn")
        path = f"/projects/{project.id}/statuses/{'e' * 40}"
        secret = gitlab.token()
        refused = ask(gitlab, "POST", path, secret, json={"state": "success"})
        assert refused.json() == {"message": "404 References for commit Not Found"}
        runs = project.pipeline("e" * 40, "refs/merge-requests/8/head")
        made = ask(gitlab, "POST", path, secret, json={"state": "success", "pipeline_id": runs.id})
        assert made.json()["pipeline_id"] == runs.id
        assert ask(gitlab, "POST", path, secret, json={"state": "success", "pipeline_id": 1}).status_code == 404

    def test_limits_of_a_status(self, gitlab: GitLab) -> None:
        secret = gitlab.token()
        long = ask(gitlab, "POST", STATUSES, secret, json={"state": "success", "description": "x" * 256})
        assert long.json() == {"message": {"description": ["is too long (maximum is 255 characters)"]}}
        assert ask(gitlab, "POST", STATUSES, secret, json={"state": "fine"}).json() == {
            "error": "state does not have a valid value"
        }
        missing = ask(gitlab, "POST", STATUSES.replace(HEAD, "0" * 40), secret, json={"state": "success"})
        assert missing.json() == {"message": "404 Commit Not Found"}

    def test_parameters_come_in_three_ways(self, gitlab: GitLab) -> None:
        secret = gitlab.token()
        ways = [{"json": {"body": "json"}}, {"data": {"body": "form"}}, {"params": {"body": "query"}}]
        assert [ask(gitlab, "POST", NOTES, secret, **way).json()["body"] for way in ways] == ["json", "form", "query"]
        assert ask(gitlab, "POST", NOTES, secret, json={}).json() == {"error": "body is missing"}
        plain = ask(gitlab, "POST", NOTES, secret, data="{}", headers={"Content-Type": "text/plain"})
        assert plain.status_code == 415

    def test_a_locked_conversation_is_for_members(self, gitlab: GitLab) -> None:
        public = gitlab.project("acme/open").merge_request(1)
        public.lock()
        path = "/projects/acme%2Fopen/merge_requests/1/notes"
        stranger = gitlab.token(kind="personal", username="stranger")
        assert ask(gitlab, "POST", path, stranger, json={"body": "hi"}).status_code == 403

    def test_a_label_from_outside_is_ignored(self, gitlab: GitLab) -> None:
        change = gitlab.project("acme/open").merge_request(1, author="stranger")
        stranger = gitlab.token(kind="personal", username="stranger")
        path = "/projects/acme%2Fopen/merge_requests/1"
        assert ask(gitlab, "PUT", path, stranger, json={"add_labels": "ci-ml: accept regression"}).status_code == 200
        assert change.labels == []

    def test_the_log_has_every_request_and_no_secret(self, gitlab: GitLab) -> None:
        secret = gitlab.token()
        ask(gitlab, "GET", f"{NOTES}?per_page=100", secret)
        assert [str(entry) for entry in gitlab.requests] == [f"GET {NOTES}?per_page=100 -> 200"]
        assert [entry.token for entry in gitlab.requests] == ["project"]
        assert secret not in repr([vars(entry) for entry in gitlab.requests])

    def test_fifty_clients_at_once(self, gitlab: GitLab) -> None:
        secret = gitlab.token()

        def publish(number: int) -> int:
            return ask(gitlab, "POST", NOTES, secret, json={"body": f"{number}"}).status_code

        with ThreadPoolExecutor(50) as pool:
            assert set(pool.map(publish, range(200))) == {201}
        notes = gitlab.project("acme/churn").merge_requests[7].notes
        assert len({note.id for note in notes}) == 200
        assert sorted(int(note.body) for note in notes) == list(range(200))


def test_an_edit_of_nothing_is_refused(gitlab: GitLab, client: Client) -> None:
    note = gitlab.project("acme/churn").merge_requests[7].note("mona", "hi")
    seen = client(gitlab.token(role="maintainer")).projects.get("acme/churn").mergerequests.get(7)
    with pytest.raises(GitlabUpdateError, match="can't be blank"):
        seen.notes.update(note.id, {"body": " "})
