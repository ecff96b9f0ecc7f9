"""What publishing does on both forges: one comment and one status, whatever others do meanwhile and whatever fails."""

import concurrent.futures
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ci_ml.core.publication import WAIVER_LABEL, Marker
from ci_ml.core.types import Outcome, Run
from ci_ml.errors import Refused
from ci_ml.ports import Forge
from tests.contract.sites import HEAD, OLDER, Site, blocked, site
from tests.fakes.server import (
    Fault,
    Half,
    Hang,
    Page,
    PrimaryLimit,
    Redirect,
    Reset,
    SecondaryLimit,
    Status,
    Throttled,
)
from tests.reports import comparison, report


@pytest.fixture(params=["github", "gitlab"])
def there(request: pytest.FixtureRequest) -> Iterator[Site]:
    with site(request.param) as made:
        yield made


@pytest.fixture
def on_github() -> Iterator[Site]:
    with site("github") as made:
        yield made


@pytest.fixture
def on_gitlab() -> Iterator[Site]:
    with site("gitlab") as made:
        yield made


def old(text: str, *, head: str = OLDER, run: int = 1, name: str = "churn") -> str:
    return f"{Marker(name=name, head=head, run=Run(number=run, attempt=1))}\n{text}"


# --- One comment, one status -------------------------------------------------------------------------------------------


def test_the_first_run_writes_a_comment_and_a_status(there: Site) -> None:
    told = there.publish("fell", outcome=Outcome.FAIL)
    assert there.ours == ["fell"]
    assert told.comment_url
    assert str(there.written[0].id) in told.comment_url
    assert (told.troubles, told.failed) == ((), False)
    assert there.statuses == [("ci-ml/churn", {"github": "failure", "gitlab": "failed"}[there.kind])]


@pytest.mark.parametrize(
    ("outcome", "good"),
    [(Outcome.PASS, True), (Outcome.WARN, True), (Outcome.UNDECIDED, False), (Outcome.FAIL, False), (None, False)],
)
def test_only_a_pass_is_a_good_status(there: Site, outcome: Outcome | None, good: bool) -> None:
    there.publish(outcome=outcome)
    assert (there.statuses[0][1] == "success") is good


def test_a_later_run_replaces_the_text(there: Site) -> None:
    there.publish("first", run=5)
    there.publish("second", run=6)
    there.publish("third", run=6, attempt=2)
    assert there.ours == ["third"]
    assert (there.proposal.count("created"), there.proposal.count("edited")) == (1, 2)


def test_the_same_text_is_not_written_again(there: Site) -> None:
    first = there.publish("same")
    again = there.publish("same")
    assert again.comment_url == first.comment_url
    assert (there.proposal.count("created"), there.proposal.count("edited")) == (1, 0)


def test_reports_of_different_names_have_comments_of_their_own(there: Site) -> None:
    there.publish("one", name="churn")
    there.publish("other", name="churn/eu model")
    there.publish("one more", name="churn", run=6)
    assert there.ours == ["one more", "other"]


def test_a_report_with_the_longest_name_finds_its_comment(there: Site) -> None:
    for run in (5, 6):
        there.publish(f"run {run}", name="a b " * 20, run=run)
    assert there.ours == ["run 6"]


def test_a_run_without_a_request_sets_only_the_status(there: Site) -> None:
    told = there.publish(number=None)
    assert (told.comment_url, told.troubles) == (None, ())
    assert there.statuses
    assert there.written == []


@pytest.mark.parametrize("others", [99, 100, 101, 150, 300])
def test_our_comment_is_found_among_many(there: Site, others: int) -> None:
    there.publish("first", run=5)
    for number in range(others):
        there.say("mona", f"remark {number}")
    there.publish("second", run=6)
    assert there.ours == ["second"]
    assert there.proposal.count("created") == others + 1


@pytest.mark.parametrize("before", [0, 60, 250, 300])
@pytest.mark.parametrize("after", [0, 99])
def test_few_requests_when_our_comment_is_among_the_newest_hundred(there: Site, before: int, after: int) -> None:
    for number in range(before):
        there.say("mona", f"remark {number}")
    there.knows_author = True
    there.publish("first", run=5)
    for number in range(after):
        there.say("mona", f"reply {number}")
    asked = len(there.server.asked())
    there.publish("second", run=6)
    assert there.ours == ["second"]
    assert len(there.server.asked()) - asked <= 6


@pytest.mark.parametrize("size", [10, 140, 141, 255, 256, 5000])
def test_the_status_says_as_much_as_fits(there: Site, size: int) -> None:
    sentence = "x" * size
    there.publish(sentence)
    [status] = (there.server.repositories if there.kind == "github" else there.server.projects)[0].statuses
    longest = {"github": 140, "gitlab": 255}[there.kind]
    assert status.description == (sentence if size <= longest else f"{'x' * (longest - 1)}…")


def test_the_status_of_a_merged_result_belongs_to_its_pipeline(on_gitlab: Site) -> None:
    merge = "9" * 40
    pipeline = on_gitlab.server.projects[0].pipeline(merge, "refs/merge-requests/7/merge").id
    on_gitlab.publish(checked_out=merge, pipeline=pipeline)
    [status] = on_gitlab.server.projects[0].statuses
    assert (status.sha, status.pipeline) == (merge, pipeline)
    assert on_gitlab.ours == ["hello"]


# --- Whose comment it is -----------------------------------------------------------------------------------------------


def test_a_marker_in_the_comment_of_a_person_is_not_ours(there: Site) -> None:
    there.say("mallory", old("all is well", head=HEAD, run=10**9))
    there.publish("fell")
    assert there.ours == ["fell"]
    assert there.written[0].body.endswith("all is well")


def test_a_marker_that_is_quoted_is_not_ours(there: Site) -> None:
    there.say(there.bot, f"> {old('quoted')}")
    there.publish("fell")
    assert there.ours == ["fell"]
    assert len(there.written) == 2


# --- Runs that race ----------------------------------------------------------------------------------------------------


def test_an_older_run_that_comes_late_changes_nothing(there: Site) -> None:
    there.publish("new", run=6, outcome=Outcome.PASS)
    told = there.publish("old", run=5, outcome=Outcome.FAIL)
    assert there.ours == ["new"]
    assert there.statuses[0][1] == "success"
    assert not told.failed
    assert told.troubles == (
        "No comment: a newer run has reported on this commit already.",
        "No commit status: a newer run has set it already.",
    )


def test_an_older_attempt_of_the_same_run_changes_nothing(there: Site) -> None:
    there.publish("new", run=6, attempt=2)
    there.publish("old", run=6, attempt=1)
    assert there.ours == ["new"]


def test_after_a_push_the_run_of_the_old_head_says_nothing(there: Site) -> None:
    there.proposal.push("e" * 40)
    told = there.publish("old")
    assert there.written == [] or there.ours == []
    assert "has moved on to eeeeeee" in told.troubles[0]
    assert not told.failed
    assert there.statuses  # the commit keeps its verdict


def test_a_head_that_comes_back_is_reported_again(there: Site) -> None:
    there.say(there.bot, old("about another commit", head=OLDER, run=9))
    there.publish("about this one", run=8)
    assert there.ours == ["about this one"]


def test_a_change_that_is_closed_meanwhile_gets_no_comment(there: Site) -> None:
    there.proposal.close()
    told = there.publish()
    assert there.ours == []
    assert "#7 is closed" in told.troubles[0]
    assert not told.failed


def test_two_runs_that_create_at_once_leave_the_newer_one(there: Site) -> None:
    there.before(lambda _: there.publish("newer", run=6), "create")
    told = there.publish("older", run=5)
    assert there.ours == ["newer"]
    assert "a newer run" in told.troubles[0]


def test_the_newer_of_two_that_create_at_once_stays(there: Site) -> None:
    there.before(lambda _: there.publish("older", run=5), "create")
    there.publish("newer", run=6)
    assert there.ours == ["newer"]


def test_duplicates_of_ours_are_cleaned_up(there: Site) -> None:
    for text in ("one", "two", "three"):
        there.say(there.bot, old(text))
    there.say(there.bot, old("of another report", name="other"))
    there.publish("now")
    assert sorted(there.ours) == ["now", "of another report"]
    assert there.proposal.count("deleted") == 2


def test_of_equal_duplicates_the_oldest_stays(there: Site) -> None:
    first = there.say(there.bot, old("one"))
    there.say(there.bot, old("two"))
    there.publish("now")
    assert [item.id for item in there.written] == [first.id]


@pytest.mark.parametrize("role", ["triage", "write", "maintain", "admin"])
def test_every_role_that_may_set_labels_may_waive(on_github: Site, role: str) -> None:
    on_github.server.repositories[0].collaborators["zoe"] = role
    on_github.server.user("zoe")
    on_github.proposal.label("zoe", WAIVER_LABEL)
    assert on_github.waived(blocked())[0].verdict.waivers[0].by == "zoe"


def test_fifty_runs_at_once_end_in_one_comment(there: Site) -> None:
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        done = [pool.submit(there.publish, f"run {run}", run=run) for run in range(1, 51)]
        for item in done:
            item.result()
    assert len(there.ours) == 1
    there.publish("the last", run=60)
    assert there.ours == ["the last"]


def test_the_status_of_a_newer_run_stays_whatever_becomes_of_comments(there: Site) -> None:
    for options in ({"number": None}, {}):
        there.publish("new", run=6, outcome=Outcome.FAIL, **options)
        there.publish("old", run=5, outcome=Outcome.PASS, **options)
        assert there.statuses[0][1] in ("failure", "failed")


def test_a_newer_run_between_comment_and_status_keeps_both(there: Site) -> None:
    def newer(_: object) -> None:
        there.publish("newer", run=6, outcome=Outcome.FAIL)

    there.before(newer, "statuses")
    there.publish("older", run=5, outcome=Outcome.PASS)
    assert there.ours == ["newer"]
    assert there.statuses[0][1] in ("failure", "failed")


@pytest.mark.parametrize("before", [98, 99, 100, 199])
def test_a_race_at_the_end_of_a_page_leaves_one_comment(there: Site, before: int) -> None:
    for number in range(before):
        there.say("mona", f"remark {number}")
    there.before(lambda _: there.publish("newer", run=6), "create")
    there.publish("older", run=5)
    assert there.ours == ["newer"]


def test_what_may_not_be_deleted_does_not_keep_the_verdict_from_being_written(there: Site) -> None:
    there.say(there.bot, old("one"))
    there.say(there.bot, old("two"))
    there.fail(Status(403, {"message": "no"}), "delete", times=None)
    there.publish("now")
    assert "now" in there.ours


# --- What people do meanwhile ------------------------------------------------------------------------------------------


def test_a_comment_that_was_deleted_is_written_again(there: Site) -> None:
    there.publish("first", run=5)
    there.written[0].delete()
    there.publish("second", run=6)
    assert there.ours == ["second"]


def test_a_comment_that_is_deleted_just_now_is_written_again(there: Site) -> None:
    there.publish("first", run=5)
    there.before(lambda _: there.written[0].delete(), "update")
    there.publish("second", run=6)
    assert there.ours == ["second"]


def test_a_comment_that_a_person_edited_says_the_verdict_again(there: Site) -> None:
    there.publish("fell", run=5)
    first = there.written[0]
    first.edit(first.body.replace("fell", "rose"))
    there.publish("fell", run=5)
    assert there.ours == ["fell"]
    assert there.proposal.count("created") == 1


def test_a_comment_whose_marker_is_gone_is_left_alone(there: Site) -> None:
    there.publish("first", run=5)
    there.written[0].edit("I have no marker any more")
    there.publish("second", run=6)
    assert there.ours == ["second"]
    assert len(there.written) == 2


def test_a_comment_that_a_person_has_hidden_stays_where_it_is(on_github: Site) -> None:
    on_github.publish("first", run=5)
    on_github.proposal.comments[0].minimize()
    on_github.publish("second", run=6)
    assert on_github.ours == ["second"]
    assert on_github.proposal.comments[0].minimized


def test_what_a_forge_does_to_line_ends_is_no_difference(there: Site) -> None:
    there.publish("first\nsecond")
    kept = there.written[0]
    kept.body = kept.body.replace("\n", "\r\n") + "\r\n"
    there.publish("first\nsecond")
    assert there.proposal.count("edited") == 0


# --- What may fail -----------------------------------------------------------------------------------------------------

PASSING: list[tuple[str, Fault]] = [
    ("500", Status(500)),
    ("502", Status(502)),
    ("503", Status(503)),
    ("504", Status(504)),
    ("429", Throttled(7)),
    ("429 with a date", Throttled("Sun, 06 Nov 1994 08:49:37 GMT")),
    ("429 without a word", Throttled(None)),
    ("reset", Reset()),
    ("half a body", Half()),
    ("a page of a proxy", Page()),
    ("a bad gateway's page", Page(502)),
]
EVERYWHERE = ["proposal", "list", "create", "update", "status", "who"]


@pytest.mark.parametrize("what", EVERYWHERE)
@pytest.mark.parametrize("fault", [fault for _, fault in PASSING], ids=[name for name, _ in PASSING])
def test_what_passes_is_tried_again_and_leaves_no_trace(there: Site, what: str, fault: Fault) -> None:
    if what == "update":
        there.publish("first", run=4)
    trigger = there.fail(fault, what)
    told = there.publish("now", run=5)
    assert trigger.hits == 1
    assert there.ours == ["now"]
    assert there.proposal.count("created") == 1
    assert len(there.statuses) == 1
    assert (told.troubles, told.failed) == ((), False)


@pytest.mark.parametrize("fault", [SecondaryLimit(9), SecondaryLimit(None), PrimaryLimit(30)])
@pytest.mark.parametrize("what", EVERYWHERE)
def test_githubs_own_limits_are_waited_for(on_github: Site, what: str, fault: Fault) -> None:
    if what == "update":
        on_github.publish("first", run=4)
    on_github.fail(fault, what)
    assert on_github.publish("now", run=5).troubles == ()
    assert on_github.ours == ["now"]
    assert sum(on_github.waits) >= 1


def test_the_server_says_how_long_to_wait(there: Site) -> None:
    there.fail(Throttled(7), "create")
    there.publish()
    assert there.waits == [7.0]


def test_without_a_word_it_waits_ever_longer(there: Site) -> None:
    there.fail(Status(502), "list", times=4)
    there.publish()
    assert there.waits == [1.0, 2.0, 4.0, 8.0]


def test_a_wait_that_is_too_long_is_not_begun(there: Site) -> None:
    there.fail(Throttled(3600), "list")
    told = there.publish()
    assert there.waits == []
    assert "asks to wait 3600 s" in told.troubles[0]
    assert there.statuses  # what does not depend on it is done


def test_a_post_that_timed_out_but_happened_is_not_repeated(there: Site) -> None:
    there.fail(Reset(done=True), "create")
    told = there.publish("once")
    assert there.ours == ["once"]
    assert there.proposal.count("created") == 1
    assert told.comment_url


def test_a_post_that_timed_out_and_did_not_happen_is_repeated(there: Site) -> None:
    there.fail(Reset(), "create", times=2)
    there.publish("once")
    assert there.proposal.count("created") == 1
    assert there.waits == [1.0, 2.0]


def test_a_forge_that_is_down_costs_the_comment_and_a_bounded_wait(there: Site) -> None:
    there.server.fail(Status(503), times=None)
    told = there.publish(patience=10)
    assert sum(there.waits) <= 10
    assert told.failed
    assert [text.partition(":")[0] for text in told.troubles] == ["No comment", "No commit status"]
    assert f"{there.name} answered 503" in told.troubles[0]


@pytest.mark.thorough
def test_a_forge_that_never_answers_ends(there: Site) -> None:
    hang = Hang()
    there.fail(hang, "proposal", times=None)
    begun = time.monotonic()
    told = there.publish(patience=0)
    assert time.monotonic() - begun < 60
    assert "took too long" in told.troubles[0]
    assert there.statuses


def test_a_forge_that_cannot_be_reached(there: Site) -> None:
    there.server.url  # noqa: B018
    client = there.client(patience=2)
    client.base = "http://127.0.0.1:1"
    forge = there.forge()
    forge.client = client  # type: ignore[attr-defined]
    from ci_ml.usecases import publish

    found = publish.find(forge, there.change())
    assert found.proposal is None
    assert found.trouble is not None
    assert "did not answer" in found.trouble
    assert "refused" in found.trouble


@pytest.mark.parametrize("place", ["http://127.0.0.2:9{path}", "https://elsewhere.example{path}"])
def test_a_redirect_to_another_server_does_not_get_the_token(there: Site, place: str) -> None:
    there.fail(Redirect(place), "proposal")
    told = there.publish()
    assert "leads to another server" in told.troubles[0]


def test_a_project_that_was_renamed_is_followed(there: Site) -> None:
    there.fail(Redirect("{path}", 301), "proposal")
    there.fail(Redirect("{path}", 307), "create")
    assert there.publish("here").troubles == ()
    assert there.ours == ["here"]


def test_a_redirect_in_circles_ends(there: Site) -> None:
    there.fail(Redirect("{path}"), "proposal", times=None)
    assert "redirects for ever" in there.publish().troubles[0]


@pytest.mark.parametrize("document", [[], {}, {"id": "x"}, "text", 3, {"head": 1, "state": [], "labels": [1]}])
@pytest.mark.parametrize("what", ["proposal", "list", "create", "who"])
def test_an_answer_of_another_shape_is_no_crash(there: Site, what: str, document: object) -> None:
    there.fail(Status(200, document), what, times=None)
    there.publish(patience=0)
    assert there.statuses


# --- Tokens ------------------------------------------------------------------------------------------------------------


def test_an_unknown_token(there: Site) -> None:
    told = there.publish(token="no-such-token")
    assert told.failed
    assert "answered 401" in told.troubles[0]
    assert "the token is not valid any more" in told.troubles[0]
    assert "no-such-token" not in "".join(told.troubles)


def test_a_token_that_has_expired(there: Site) -> None:
    there.server.revoke(there.token)
    assert "the token is not valid any more" in there.publish().troubles[0]


def test_a_read_only_token_on_github_names_the_permission(on_github: Site) -> None:
    token = on_github.server.token(permissions={"pull-requests": "read", "contents": "read"})
    told = on_github.publish(token=token)
    assert "give the job `permissions: pull-requests: write`" in told.troubles[0]
    assert "give the job `permissions: statuses: write`" in told.troubles[1]
    assert told.failed
    assert on_github.ours == []


@pytest.mark.parametrize("outsider", ["a fork", "Dependabot"])
def test_for_an_outsider_the_way_is_a_second_workflow(on_github: Site, outsider: str) -> None:
    token = on_github.server.token(permissions={"pull-requests": "read", "contents": "read"})
    told = on_github.publish(token=token, outsider=outsider)
    assert f"{outsider} gets a read-only token; a second workflow can publish report.json" in told.troubles[0]


@pytest.mark.parametrize("options", [{"scopes": ("read_api",)}, {"role": "guest"}])
def test_a_token_that_may_not_write_on_gitlab_names_what_is_needed(on_gitlab: Site, options: dict[str, object]) -> None:
    told = on_gitlab.publish(token=on_gitlab.server.token(kind="project", project="acme/churn", **options))
    assert told.failed
    assert "the scope `api` and the role Developer" in " ".join(told.troubles)


def test_a_comment_without_a_status_is_still_a_comment(on_github: Site) -> None:
    token = on_github.server.token(permissions={"pull-requests": "write"})
    told = on_github.publish("here", token=token)
    assert on_github.ours == ["here"]
    assert [text.partition(":")[0] for text in told.troubles] == ["No commit status"]


def test_a_locked_conversation_is_said(on_github: Site) -> None:
    on_github.proposal.lock()
    token = on_github.server.token(kind="pat", login="stranger", scopes=["repo"])
    told = on_github.publish(token=token)
    assert told.failed


@pytest.mark.parametrize("kind", ["pat", "app"])
def test_other_kinds_of_tokens_find_their_own_comment(on_github: Site, kind: str) -> None:
    options = (
        {"scopes": ["repo"]} if kind == "pat" else {"permissions": {"pull-requests": "write", "statuses": "write"}}
    )
    token = on_github.server.token(kind=kind, login="mona" if kind == "pat" else "gate[bot]", **options)
    on_github.publish("first", run=5, token=token)
    on_github.publish("second", run=6, token=token)
    assert [item.body.partition("\n")[2] for item in on_github.written] == ["second"]


@pytest.mark.parametrize("fault", [Status(403, {"message": "no"}), Status(502), Page()])
def test_without_knowing_who_we_are_nothing_is_written_twice(on_github: Site, fault: Fault) -> None:
    token = on_github.server.token(kind="pat", login="mona", scopes=["repo"])
    on_github.publish("first", run=5, token=token)
    on_github.fail(fault, "who", times=None)
    told = on_github.publish("second", run=6, token=token, patience=0)
    assert len(on_github.written) == 1
    assert told.failed


# --- The request that has to be looked up ------------------------------------------------------------------------------


def test_the_number_of_a_fork_is_found_by_where_it_comes_from(on_github: Site) -> None:
    repo = on_github.server.repositories[0]
    repo.pull(8, head="e" * 40, branch="deeper", source="stranger/churn")
    repo.pull(9, head="f" * 40, branch="other", source="stranger/churn")
    on_github.publish("fork", number=None, source="stranger:deeper", head="e" * 40)
    assert [item.body.partition("\n")[2] for item in repo.pulls[8].comments] == ["fork"]


def test_a_fork_that_has_moved_on_is_not_found(on_github: Site) -> None:
    on_github.server.repositories[0].pull(8, head="e" * 40, branch="deeper", source="stranger/churn")
    told = on_github.publish(number=None, source="stranger:deeper", head="f" * 40)
    assert "not exactly one open pull request from stranger:deeper that is at fffffff" in told.troubles[0]


def test_two_requests_of_one_branch_are_not_told_apart(on_github: Site) -> None:
    for number, base in ((8, "main"), (9, "release")):
        on_github.server.repositories[0].pull(
            number, head="e" * 40, branch="deeper", source="stranger/churn", base_branch=base
        )
    told = on_github.publish(number=None, source="stranger:deeper", head="e" * 40)
    assert "not exactly one open pull request" in told.troubles[0]


def test_a_fork_that_is_gone_is_said(on_github: Site) -> None:
    told = on_github.publish(number=None, source=None, event="workflow_run", outsider="a fork")
    assert "its fork is gone" in told.troubles[0]


# --- Waivers -----------------------------------------------------------------------------------------------------------


def test_the_label_makes_a_warning_that_says_who_and_when_and_keeps_the_reasons(there: Site) -> None:
    there.proposal.label("trish", WAIVER_LABEL)
    judged, trouble = there.waived(blocked())
    assert trouble is None
    assert judged.verdict.outcome is Outcome.WARN
    assert judged.verdict.reasons == blocked().verdict.reasons
    assert [(item.by, item.label, item.outcome) for item in judged.verdict.waivers] == [
        ("trish", WAIVER_LABEL, Outcome.FAIL)
    ]
    assert judged.verdict.waivers[0].at.startswith("20")
    assert judged.comparisons == blocked().comparisons


def test_without_the_label_nothing_is_waived_and_nobody_is_asked(there: Site) -> None:
    judged, trouble = there.waived(blocked())
    assert (judged, trouble) == (blocked(), None)
    assert there.server.asked("GET", "events") == []


def test_capitals_in_the_label_are_the_same_label(there: Site) -> None:
    there.proposal.label("trish", WAIVER_LABEL.title())
    assert there.waived(blocked())[0].verdict.waivers[0].by == "trish"


def test_a_label_that_was_taken_away_waives_nothing(there: Site) -> None:
    there.proposal.label("trish", WAIVER_LABEL)
    there.proposal.unlabel("trish", WAIVER_LABEL)
    assert there.waived(blocked())[0].verdict.outcome is Outcome.FAIL


def test_who_set_it_last_counts(there: Site) -> None:
    there.proposal.label("rita", WAIVER_LABEL)
    there.proposal.unlabel("rita", WAIVER_LABEL)
    for number in range(120):
        there.proposal.label("rita", f"label {number}")
    there.proposal.label("trish", WAIVER_LABEL)
    assert there.waived(blocked())[0].verdict.waivers[0].by == "trish"


@pytest.mark.parametrize("person", ["rita", "nobody"])
def test_somebody_without_the_right_waives_nothing(there: Site, person: str) -> None:
    there.proposal.label(person, WAIVER_LABEL)
    judged, trouble = there.waived(blocked())
    assert judged.verdict.outcome is Outcome.FAIL
    assert trouble is not None
    assert f"does not count: {person} " in trouble


def test_a_bot_waives_nothing(there: Site) -> None:
    there.proposal.label(there.bot, WAIVER_LABEL)
    judged, trouble = there.waived(blocked())
    assert judged.verdict.outcome is Outcome.FAIL
    assert trouble is not None
    assert "is no person" in trouble


@pytest.mark.parametrize("what", ["events", "role"])
@pytest.mark.parametrize("fault", [Status(403, {"message": "no"}), Status(503), Page()])
def test_what_cannot_be_read_waives_nothing(there: Site, what: str, fault: Fault) -> None:
    there.proposal.label("trish", WAIVER_LABEL)
    there.fail(fault, what, times=None)
    judged, trouble = there.waived(blocked())
    assert judged.verdict.outcome is Outcome.FAIL
    assert trouble is not None
    assert "does not count" in trouble


@pytest.mark.parametrize("make", [lambda: report(comparison("recall", 0.9, 0.95)), report], ids=["pass", "none"])
def test_a_pass_needs_no_waiver_and_undecided_can_have_one(there: Site, make: Callable[[], object]) -> None:
    there.proposal.label("trish", WAIVER_LABEL)
    judged = make()
    assert bool(there.waived(judged)[0].verdict.waivers) is (judged.verdict.outcome is Outcome.UNDECIDED)  # type: ignore[attr-defined,arg-type]


# --- Pictures ---------------------------------------------------------------------------------------------------------


def pictures(there: Site) -> dict[str, bytes]:
    """What is kept, by its address."""
    if there.kind == "gitlab":
        return dict(there.server.projects[0].uploads)
    repository = there.server.repositories[0]
    tip = repository.branches.get("ci-ml-pictures")
    files = repository.objects.at(tip) if tip else {}
    return {f"https://github.com/acme/churn/blob/ci-ml-pictures/{path}?raw=true": data for path, data in files.items()}


def keeper(there: Site, **options: Any) -> Forge:
    """With a token that may keep pictures, or with another."""
    usual = {"permissions": {"contents": "write"}} if there.kind == "github" else {"project": "acme/churn"}
    return there.forge(there.server.token(**(options or usual)))


def test_pictures_are_kept_and_have_an_address(there: Site) -> None:
    addresses = [keeper(there).picture(f"7/churn-{run}.1.svg", f"<svg>{run}</svg>".encode()) for run in (1, 2)]
    assert pictures(there) == {address: f"<svg>{run}</svg>".encode() for run, address in enumerate(addresses, start=1)}


def test_who_may_not_keep_pictures_is_told_what_to_do(there: Site) -> None:
    weak = {"permissions": {"contents": "read"}} if there.kind == "github" else {"scopes": ["read_api"]}
    with pytest.raises(Refused, match="403") as found:
        keeper(there, **weak, **({} if there.kind == "github" else {"project": "acme/churn"})).picture("7/a.svg", b"")
    assert str(found.value.hint).startswith(
        ("give the job `permissions: contents: write`", "put a project access token")
    )
    assert pictures(there) == {}


def test_pictures_of_runs_at_the_same_time_are_all_kept(on_github: Site) -> None:
    keeper(on_github).picture("7/churn-1.1.svg", b"1")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda run: keeper(on_github).picture(f"7/churn-{run}.1.svg", b"2"), range(2, 5)))
    assert len(pictures(on_github)) == 4
