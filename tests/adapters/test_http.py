"""The one client for HTTP: what it sends, how long it waits, and what it refuses."""

import datetime as dt
import email.utils
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_ml.adapters import http
from ci_ml.errors import Refused, Unanswered
from tests.contract.sites import Site, site
from tests.fakes.server import Half, Page, PrimaryLimit, Redirect, Status, Throttled


@pytest.fixture
def there() -> Iterator[Site]:
    with site("github") as made:
        yield made


def test_the_address_is_completed_and_the_token_sent(there: Site) -> None:
    assert there.client().get("repos/acme/churn/pulls/7").body["number"] == 7
    assert [entry.token for entry in there.server.requests] == ["actions"]
    assert not [entry for entry in there.server.requests if there.token in f"{entry.path}{entry.query}"]


def test_what_netrc_has_for_the_host_is_not_sent(there: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login mallory password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    there.client().get("repos/acme/churn/pulls/7")
    assert [entry.token for entry in there.server.requests] == ["actions"]


def test_an_endless_answer_is_cut(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_MAX_BYTES", 100)
    with pytest.raises(Refused, match="is larger than"):
        there.client().get("repos/acme/churn/pulls/7")


def test_a_date_to_wait_for_is_waited_for(there: Site) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=50)
    there.fail(Throttled(email.utils.format_datetime(later, usegmt=True)), "proposal")
    there.client().get("repos/acme/churn/pulls/7")
    assert 40 < there.waits[0] <= 50


def test_the_end_of_githubs_hour_is_waited_for(there: Site) -> None:
    there.fail(PrimaryLimit(30), "proposal")
    there.client().get("repos/acme/churn/pulls/7")
    assert 20 < there.waits[0] <= 31


@pytest.mark.parametrize("word", ["-5", "soon", "1e9", "5.5", "", "٣"])
def test_a_retry_after_that_makes_no_sense_is_a_limit_like_any(there: Site, word: str) -> None:
    there.fail(Status(429, headers={"Retry-After": word.encode("ascii", "ignore").decode()}), "proposal")
    there.client().get("repos/acme/churn/pulls/7")
    assert there.waits == [60.0]


def test_all_waits_together_are_bounded(there: Site) -> None:
    client = there.client(patience=20)
    there.fail(Throttled(15), "proposal", times=3)
    with pytest.raises(Unanswered):
        client.get("repos/acme/churn/pulls/7")
    with pytest.raises(Unanswered):
        client.get("repos/acme/churn/pulls/7")
    assert there.waits == [15.0]


@pytest.mark.parametrize("fault", [Half(), Page(), Status(502)])
def test_a_write_that_may_have_happened_says_so_and_is_not_repeated(there: Site, fault: object) -> None:
    there.fail(fault, "create", times=None)  # type: ignore[arg-type]
    with pytest.raises(Unanswered) as caught:
        there.client().send("POST", "repos/acme/churn/issues/7/comments", {"body": "x"})
    assert caught.value.perhaps
    assert len(there.server.asked("POST")) == 1


def test_a_write_that_cannot_have_happened_is_repeated(there: Site) -> None:
    client = there.client(patience=2)
    client.base = "http://127.0.0.1:1"
    with pytest.raises(Unanswered) as caught:
        client.send("POST", "anything", {})
    assert not caught.value.perhaps
    assert there.waits == [1.0]


@pytest.mark.parametrize(
    "where", ["https://127.0.0.1{port}{{path}}", "http://127.0.0.1:1{{path}}", "//elsewhere.example/"]
)
def test_a_token_never_leaves_its_server(there: Site, where: str) -> None:
    port = there.server.origin.rpartition(":")[2]
    there.fail(Redirect(where.format(port=f":{port}")), "proposal")
    with pytest.raises(Refused, match="leads to another server"):
        there.client().get("repos/acme/churn/pulls/7")


def test_a_redirect_keeps_the_query_it_was_given_and_no_other(there: Site) -> None:
    there.fail(Redirect("/repos/acme/churn/issues/7/comments?per_page=3&page=2"), "list")
    there.client().get("repos/acme/churn/issues/7/comments", {"per_page": 100})
    assert there.server.requests[-1].query == {"per_page": "3", "page": "2"}


@pytest.mark.parametrize("base", ["", "nonsense", "ftp://example.com", "http://", "http://[::1", "http://a b"])
def test_an_address_that_is_none(base: str) -> None:
    client = http.Client(name="GitHub", base=base, headers={}, patience=0)
    with pytest.raises((Unanswered, Refused)):
        client.get("x")


@pytest.mark.parametrize("token", ["two\nlines", "tab\there", "naïve", "\N{SNOWMAN}", "trailing "])
def test_a_token_that_is_none_is_refused_and_not_shown(there: Site, token: str) -> None:
    with pytest.raises((Refused, Unanswered)) as caught:
        there.client(token).get("repos/acme/churn/pulls/7")
    assert token not in str(caught.value)
    assert "lines" not in str(caught.value)


def test_a_client_does_not_show_its_token(there: Site) -> None:
    assert there.token not in repr(there.client())
