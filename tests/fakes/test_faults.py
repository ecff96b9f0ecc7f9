"""What goes wrong between a client and a forge, and what others do in the meantime: the same for both forges."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.fakes.conftest import HEAD
from tests.fakes.github import GitHub
from tests.fakes.gitlab import GitLab
from tests.fakes.server import (
    Half,
    Hang,
    Page,
    PrimaryLimit,
    Redirect,
    Request,
    Reset,
    SecondaryLimit,
    Server,
    Status,
    Throttled,
)


@dataclass
class Side:
    """One of the forges, seen as the same thing: a conversation to read and to write in."""

    forge: Server
    path: str
    headers: dict[str, str]
    bodies: Callable[[], list[str]]
    write: Callable[[str], object]

    def ask(self, method: str = "GET", body: str | None = None, **options: Any) -> requests.Response:
        sent = None if body is None else {"body": body}
        return requests.request(
            method, self.forge.url + self.path, json=sent, headers=self.headers, timeout=30, **options
        )


@pytest.fixture(params=["github", "gitlab"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    if request.param == "github":
        with GitHub() as forge:
            pull = forge.repository("acme/churn").pull(7, head=HEAD)
            token = {"Authorization": f"Bearer {forge.token(permissions={'issues': 'write'})}"}
            path = "/repos/acme/churn/issues/7/comments"
            yield Side(
                forge, path, token, lambda: [one.body for one in pull.comments], lambda text: pull.comment("mona", text)
            )
    else:
        with GitLab() as forge:
            change = forge.project("acme/churn").merge_request(7, head=HEAD)
            token = {"PRIVATE-TOKEN": forge.token()}
            path = "/projects/acme%2Fchurn/merge_requests/7/notes"
            yield Side(
                forge, path, token, lambda: [one.body for one in change.notes], lambda text: change.note("mona", text)
            )


class TestFaults:
    @pytest.mark.parametrize("code", [500, 502, 503, 504])
    def test_a_status_and_nothing_done(self, side: Side, code: int) -> None:
        side.forge.fail(Status(code), "POST")
        assert side.ask("POST", "hi").status_code == code
        assert side.bodies() == []
        assert side.ask("POST", "hi").status_code == 201

    def test_who_is_hit(self, side: Side) -> None:
        trigger = side.forge.fail(Status(503), "GET", r"/(comments|notes)$", times=2, after=1)
        assert side.ask("POST", "hi").status_code == 201
        assert [side.ask().status_code for _ in range(4)] == [200, 503, 503, 200]
        assert trigger.hits == 2
        side.forge.fail(Status(502), times=None)
        side.forge.fail(Status(503), times=None)  # never its turn
        assert [side.ask().status_code for _ in range(3)] == [502] * 3
        side.forge.heal()
        assert side.ask().status_code == 200
        assert [entry.status for entry in side.forge.asked("GET")] == [200, 503, 503, 200, 502, 502, 502, 200]

    def test_one_after_the_other(self, side: Side) -> None:
        side.forge.fail(Status(502))
        side.forge.fail(Throttled(1))
        side.forge.fail(Page(200))
        assert [side.ask().status_code for _ in range(4)] == [502, 429, 200, 200]

    def test_throttled(self, side: Side) -> None:
        side.forge.fail(Throttled(30))
        refused = side.ask("POST", "hi")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
        assert side.bodies() == []
        side.forge.fail(Throttled(None))
        assert "Retry-After" not in side.ask().headers
        date = "Mon, 02 Mar 2026 09:00:30 GMT"
        side.forge.fail(Throttled(date))
        assert side.ask().headers["Retry-After"] == date

    def test_the_date_of_an_answer_is_that_of_the_clock(self, side: Side) -> None:
        side.forge.clock.now = datetime(2027, 1, 1, tzinfo=UTC)
        assert side.ask().headers["Date"] == "Fri, 01 Jan 2027 00:00:00 GMT"

    def test_the_connection_breaks_before_anything_is_done(self, side: Side) -> None:
        side.forge.fail(Reset())
        with pytest.raises(requests.ConnectionError, match="reset by peer"):
            side.ask("POST", "hi")
        assert side.bodies() == []
        assert [entry.status for entry in side.forge.requests] == [None]
        assert side.ask("POST", "hi").status_code == 201

    def test_the_connection_breaks_after_it_was_done(self, side: Side) -> None:
        side.forge.fail(Reset(done=True), "POST")
        with pytest.raises(requests.ConnectionError, match="reset by peer"):
            side.ask("POST", "hi")
        assert side.bodies() == ["hi"]
        assert [entry.status for entry in side.forge.requests] == [None]

    def test_half_of_the_answer(self, side: Side) -> None:
        side.forge.fail(Half())
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            side.ask("POST", "hi")
        assert side.bodies() == ["hi"]

    def test_a_page_for_people(self, side: Side) -> None:
        side.forge.fail(Page())
        page = side.ask()
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        with pytest.raises(requests.JSONDecodeError):
            page.json()
        side.forge.fail(Page(502, "<h1>Bad Gateway</h1>"), "POST")
        assert side.ask("POST", "hi").text == "<h1>Bad Gateway</h1>"
        assert side.bodies() == []

    def test_a_redirect_to_another_host(self, side: Side) -> None:
        with GitLab(prefix="") as elsewhere:
            side.forge.fail(Redirect(elsewhere.url + "{path}", 302))
            moved = side.ask(allow_redirects=False)
            assert moved.status_code == 302
            assert moved.headers["Location"] == elsewhere.url + side.forge.prefix + side.path
            side.forge.fail(Redirect(elsewhere.url + "{path}"))
            assert side.ask().status_code == 404
            [followed] = elsewhere.requests
            assert (followed.method, followed.path) == ("GET", side.forge.prefix + side.path)

    def test_a_slow_forge_answers_when_it_is_released(self, side: Side) -> None:
        hang = Hang()
        side.forge.fail(hang, "POST")
        with ThreadPoolExecutor() as pool:
            slow = pool.submit(side.ask, "POST", "late")
            assert hang.arrived.wait(30)
            assert side.ask("POST", "soon").status_code == 201  # others are not held up
            assert not slow.done()
            hang.release()
            assert slow.result().status_code == 201
        assert side.bodies() == ["soon", "late"]

    def test_a_client_may_give_up_on_a_slow_forge(self, side: Side) -> None:
        hang = Hang()
        side.forge.fail(hang, "POST")
        with pytest.raises(requests.ReadTimeout):
            requests.post(side.forge.url + side.path, json={"body": "late"}, headers=side.headers, timeout=(30, 0.05))
        assert side.bodies() == []
        hang.release()
        assert side.ask().status_code == 200

    def test_leaving_the_block_releases_whoever_hangs(self) -> None:
        hang = Hang()
        with GitHub() as forge:
            forge.fail(hang)
        assert hang.released.is_set()


class TestTheLimitsOfGitHub:
    def test_secondary(self, github: GitHub) -> None:
        github.fail(SecondaryLimit(7))
        refused = requests.get(f"{github.url}/repos/acme/churn", timeout=30)
        assert (refused.status_code, refused.headers["Retry-After"]) == (403, "7")
        assert refused.json()["message"].startswith("You have exceeded a secondary rate limit.")

    def test_primary(self, github: GitHub) -> None:
        github.fail(PrimaryLimit(90))
        refused = requests.get(f"{github.url}/repos/acme/churn", timeout=30)
        assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
        assert int(refused.headers["x-ratelimit-reset"]) == int(github.clock.now.timestamp()) + 90
        assert "Retry-After" not in refused.headers

    def test_the_budget_is_on_every_answer(self, github: GitHub) -> None:
        left = [requests.get(f"{github.url}/repos/acme/churn", timeout=30).headers for _ in range(2)]
        assert [one["x-ratelimit-remaining"] for one in left] == ["59", "58"]
        assert left[0]["x-ratelimit-reset"] == left[1]["x-ratelimit-reset"]


def test_gitlab_says_retry_later_in_plain_text(gitlab: GitLab) -> None:
    gitlab.fail(Throttled(11))
    refused = requests.get(f"{gitlab.url}/user", timeout=30)
    assert (refused.text, refused.headers["Content-Type"]) == ("Retry later\n", "text/plain")
    assert (refused.headers["Retry-After"], refused.headers["RateLimit-Remaining"]) == ("11", "0")


class TestInTheMeantime:
    def test_somebody_does_something_between_two_requests(self, side: Side) -> None:
        side.forge.before(lambda _: side.write("me too"), "POST")
        assert side.ask().json() == []
        assert side.ask("POST", "first").status_code == 201
        assert side.bodies() == ["me too", "first"]
        assert side.ask("POST", "second").status_code == 201
        assert side.bodies() == ["me too", "first", "second"]

    def test_another_run_publishes(self, side: Side) -> None:
        def publish(request: Request) -> None:
            assert request.document == {"body": "older"}
            assert side.ask("POST", "newer").status_code == 201

        side.forge.before(publish, "POST")
        assert side.ask("POST", "older").status_code == 201
        assert side.bodies() == ["newer", "older"]

    def test_a_person_deletes_what_is_about_to_be_edited(self, github: GitHub) -> None:
        pull = github.repository("acme/churn").pulls[7]
        comment = pull.comment("github-actions[bot]", "mine")
        github.before(lambda _: comment.delete(), "PATCH")
        headers = {"Authorization": f"Bearer {github.token(permissions={'issues': 'write'})}"}
        url = f"{github.url}/repos/acme/churn/issues/comments/{comment.id}"
        assert requests.patch(url, json={"body": "new"}, headers=headers, timeout=30).status_code == 404
        assert [kind for kind, *_ in pull.history] == ["created", "deleted"]

    def test_what_breaks_in_a_callback_is_not_lost(self) -> None:
        def broken(_: Request) -> None:
            raise LookupError("oh")

        def ask() -> None:
            with GitHub() as forge:
                forge.before(broken)
                assert requests.get(f"{forge.url}/user", timeout=30).status_code == 500

        with pytest.raises(AssertionError, match="LookupError: oh"):
            ask()


def test_servers_come_and_go_and_leave_nothing_behind() -> None:
    before = threading.active_count()
    for _ in range(20):
        with GitHub() as forge, requests.Session() as session:
            forge.repository("acme/churn")
            assert session.get(f"{forge.url}/repos/acme/churn", timeout=30).ok
    assert threading.active_count() < before + 15  # the last ones may still be on their way out
