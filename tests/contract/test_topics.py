"""Issues and requests of our own on both forges: one of each, whatever others do meanwhile and whatever fails."""

import concurrent.futures
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ci_ml.core.topics import Draft, Kind, Labels, Merging, Sign, Topic
from ci_ml.core.types import Change, Run
from ci_ml.errors import ForgeError, Refused, Unanswered, UsageError
from ci_ml.ports import Forge
from ci_ml.usecases import alarm, propose
from ci_ml.usecases.alarm import Done, Notice, Told
from ci_ml.usecases.propose import Offer, Offered
from ci_ml.wiring import publishing
from tests.contract.sites import Site, site
from tests.fakes.server import Fault, Hang, Page, Reset, Status, Throttled
from tests.repositories import Repository

NAMELESS = [{"user": {"login": "github-actions[bot]"}, "author": 2}]
OLD, NEW = "1" * 40, "2" * 40
BRANCH = "ci-ml/retrain"
MAY = {"issues": "write", "pull-requests": "write", "contents": "write"}


@dataclass(kw_only=True)
class Desk:
    """What a run that watches or retrains does on one forge."""

    site: Site
    waits: list[float] = field(default_factory=list)

    @property
    def repo(self) -> Any:
        return (self.site.server.repositories if self.site.kind == "github" else self.site.server.projects)[0]

    def forge(self, token: str | None = None, **options: Any) -> Forge:
        usual = self.site.token
        if self.site.kind == "github":
            usual = self.site.server.token(permissions=MAY)
        return self.site.forge(token or usual, **options)

    def tell(
        self,
        text: str = "drifted",
        *,
        run: int = 5,
        name: str = "churn",
        over: str | None = None,
        opens: bool = True,
        labels: Labels | None = None,
        forge: Forge | None = None,
    ) -> Told:
        sign = Sign(about="monitor", name=name, run=Run(number=run, attempt=1))
        notice = Notice(
            sign=sign,
            title=f"{name} has drifted",
            body=lambda longest: f"{sign}\n{text}"[:longest],
            over=over,
            opens=opens,
            labels=labels or Labels(wanted=("ci-ml: drift",)),
        )
        return alarm.tell(forge or self.forge(), notice, self.waits.append)

    def offer(
        self,
        text: str = "better",
        *,
        run: int = 5,
        merging: Merging | None = None,
        labels: Labels | None = None,
        forge: Forge | None = None,
        head: str = NEW,
        pause: Callable[[float], None] | None = None,
    ) -> Offered:
        sign = Sign(about="retrain", name="churn", run=Run(number=run, attempt=1))
        offer = Offer(
            sign=sign,
            branch=BRANCH,
            target="main",
            head=head,
            title="Retrain churn",
            body=lambda longest: f"{sign}\n{text}"[:longest],
            merging=merging,
            labels=labels or Labels(),
        )
        return propose.propose(forge or self.forge(), offer, pause or self.waits.append)

    @property
    def issues(self) -> list[tuple[str, str]]:
        """State and text of every issue, the oldest first."""
        return [(item.state.removesuffix("ed"), words(item)) for item in self.repo.issues.values()]

    @property
    def requests(self) -> list[Any]:
        """The requests from our branch."""
        known = self.repo.pulls if self.site.kind == "github" else self.repo.merge_requests
        return [item for item in known.values() if item.branch == BRANCH]

    def issue(self, person: str, title: str, body: str) -> Any:
        return self.repo.issue(person, title, body)

    def remarks(self, item: Any) -> list[str]:
        return [note.body for note in (item.comments if self.site.kind == "github" else item.notes)]

    def labels(self, item: Any) -> list[str]:
        return sorted(getattr(label, "name", label) for label in item.labels)

    def edits(self, item: Any) -> int:
        return sum(kind == "edited" for kind, *_ in item.history)

    def push(self, sha: str = NEW, branch: str = BRANCH) -> None:
        self.repo.commit(sha, branch=branch)

    def fail(self, fault: Fault, what: str, **options: Any) -> Any:
        method, _, path = ADDRESSES[self.site.kind][what].partition(" ")
        return self.site.server.fail(fault, method, path, **options)

    def before(self, action: Callable[[Any], object], what: str, **options: Any) -> Any:
        method, _, path = ADDRESSES[self.site.kind][what].partition(" ")
        return self.site.server.before(action, method, path, **options)


def words(item: Any) -> str:
    text = item.body if hasattr(item, "body") else item.description
    return (text or "").partition("\n")[2] if (text or "").startswith("<!--") else text


ADDRESSES = {
    "github": {
        "issues": "GET /issues$",
        "open issue": "POST /issues$",
        "change issue": "PATCH /issues/",
        "remark": "POST /comments$",
        "labels": "POST /labels$",
        "requests": "GET /pulls$",
        "open request": "POST /pulls$",
        "change request": "PATCH /pulls/",
        "merge": "POST /graphql$",
    },
    "gitlab": {
        "issues": "GET /issues$",
        "open issue": "POST /issues$",
        "change issue": "PUT /issues/",
        "remark": "POST /notes$",
        "labels": "PUT /(issues|merge_requests)/",
        "requests": "GET /merge_requests$",
        "open request": "POST /merge_requests$",
        "change request": "PUT /merge_requests/",
        "merge": "PUT /merge$",
    },
}


@pytest.fixture(params=["github", "gitlab"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with site(request.param) as made:
        here = Desk(site=made)
        here.push(OLD, "main")
        here.push()
        yield here


def on(kind: str) -> Iterator[Desk]:
    with site(kind) as made:
        here = Desk(site=made)
        here.push(OLD, "main")
        here.push()
        yield here


@pytest.fixture
def on_github() -> Iterator[Desk]:
    yield from on("github")


@pytest.fixture
def on_gitlab() -> Iterator[Desk]:
    yield from on("gitlab")


# --- The issue ---------------------------------------------------------------------------------------------------------


def test_an_issue_opens_says_more_closes_and_opens_again(desk: Desk) -> None:
    first = desk.tell("drifted", run=1)
    assert first.done is Done.OPENED
    assert first.url
    assert str(first.number) in first.url
    assert desk.tell("drifted more", run=2).done is Done.UPDATED
    assert desk.issues == [("open", "drifted more")]
    over = desk.tell("fine", run=3, over="Fine again.")
    assert (over.done, over.number, over.troubles) == (Done.CLOSED, first.number, ())
    assert desk.issues == [("clos", "fine")]
    [issue] = desk.repo.issues.values()
    assert desk.remarks(issue) == ["Fine again."]
    assert desk.tell("drifted anew", run=4).done is Done.REOPENED
    assert desk.issues == [("open", "drifted anew")]
    assert desk.labels(issue) == ["ci-ml: drift"]


def test_the_same_said_twice_is_written_once(desk: Desk) -> None:
    desk.tell("drifted")
    assert desk.tell("drifted").done is Done.UNCHANGED
    [issue] = desk.repo.issues.values()
    assert desk.edits(issue) == 0


def test_while_all_is_well_there_is_no_issue(desk: Desk) -> None:
    assert desk.tell(over="Fine.").done is Done.UNCHANGED
    assert desk.issues == []
    desk.tell(run=6)
    desk.tell(run=7, over="Fine.")
    desk.tell(run=8, over="Fine.")
    [issue] = desk.repo.issues.values()
    assert desk.remarks(issue) == ["Fine."]


def test_a_warning_neither_opens_an_issue_nor_closes_one(desk: Desk) -> None:
    assert desk.tell("perhaps", run=1, opens=False).done is Done.UNCHANGED
    assert desk.issues == []
    desk.tell("drifted", run=2)
    assert desk.tell("perhaps", run=3, opens=False).done is Done.UPDATED
    assert desk.issues == [("open", "perhaps")]
    desk.tell("fine", run=4, over="Fine.")
    assert desk.tell("perhaps", run=5, opens=False).done is Done.UNCHANGED
    assert desk.issues == [("clos", "fine")]


def test_two_models_have_issues_of_their_own(desk: Desk) -> None:
    desk.tell("one")
    desk.tell("other", name="churn/eu model")
    desk.tell("one more", run=6)
    assert [text for _, text in desk.issues] == ["one more", "other"]


def test_somebody_elses_issue_with_our_marker_is_not_ours(desk: Desk) -> None:
    sign = Sign(about="monitor", name="churn", run=Run(number=900))
    desk.issue("mona", "churn has drifted", f"{sign}\nmine")
    desk.tell("drifted")
    assert desk.issues == [("open", "mine"), ("open", "drifted")]
    desk.tell("fine", run=6, over="Fine.")
    assert desk.issues == [("open", "mine"), ("clos", "fine")]


def test_a_forge_that_lists_what_others_wrote_does_not_make_it_ours(desk: Desk) -> None:
    """As when it does not know the filter: https://docs.github.com/rest ignores what it does not understand."""
    body = f"{Sign(about='monitor', name='churn')}\nmine"
    made = desk.issue("mona", "t", body)
    number = getattr(made, "number", None) or made.iid
    theirs = {
        "number": number,
        "iid": number,
        "title": "t",
        "state": "open",
        "body": body,
        "description": body,
        "labels": [],
    }
    answer = [theirs | {"user": {"login": "mona"}, "author": {"id": 999, "username": "mona"}}]
    desk.fail(Status(200, answer), "issues", times=2)
    assert desk.tell("drifted").done is Done.OPENED
    assert desk.issues == [("open", "mine"), ("open", "drifted")]


def test_an_issue_of_another_run_of_ours_is_found_among_many(desk: Desk) -> None:
    desk.tell("drifted", run=1)
    for number in range(230):
        desk.issue(desk.site.bot, f"something else {number}", "by the same token")
    desk.tell("drifted more", run=2)
    assert [text for _, text in desk.issues if text.startswith("drifted")] == ["drifted more"]


def test_an_older_run_that_comes_late_changes_nothing(desk: Desk) -> None:
    desk.tell("new", run=9)
    assert desk.tell("old", run=8).done is Done.SUPERSEDED
    desk.tell("fine", run=10, over="Fine.")
    assert desk.tell("old", run=9).done is Done.SUPERSEDED
    assert desk.issues == [("clos", "fine")]


def test_two_runs_at_once_leave_one_issue(desk: Desk) -> None:
    other = desk.forge()
    desk.before(lambda _: desk.tell("other", run=6, forge=other), "open issue", times=1)
    told = desk.tell("this", run=7)
    assert [state for state, _ in desk.issues] == ["open", "clos"]
    assert desk.issues[0] == ("open", "this")
    assert told.number == next(iter(desk.repo.issues))
    desk.tell("fine", run=8, over="Fine.")
    assert desk.tell("again", run=9).number == told.number  # and not the one that was too many
    assert [state for state, _ in desk.issues] == ["open", "clos"]


def test_the_older_of_two_runs_at_once_gives_way(desk: Desk) -> None:
    other = desk.forge()
    desk.before(lambda _: desk.tell("newer", run=8, forge=other), "open issue", times=1)
    assert desk.tell("older", run=7).done is Done.SUPERSEDED
    assert desk.issues[0] == ("open", "newer")
    assert [state for state, _ in desk.issues] == ["open", "clos"]


def test_many_runs_at_once_end_with_one_open_issue(desk: Desk) -> None:
    forges = [desk.forge() for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda run: desk.tell("drifted", run=run, forge=forges[run - 1]), range(1, 7)))
    desk.tell("last", run=7)
    assert [text for state, text in desk.issues if state == "open"] == ["last"]


def test_what_people_set_and_say_stays(desk: Desk) -> None:
    desk.tell(run=1)
    [issue] = desk.repo.issues.values()
    issue.label("mona", "on call")
    desk.tell("worse", run=2, labels=Labels(wanted=("ci-ml: decay",), unwanted=("ci-ml: drift",)))
    assert desk.labels(issue) == ["ci-ml: decay", "on call"]


def test_an_issue_that_timed_out_but_was_opened_is_not_opened_again(desk: Desk) -> None:
    desk.fail(Reset(done=True), "open issue")
    assert desk.tell("once").done is Done.UNCHANGED
    assert desk.issues == [("open", "once")]


def test_an_issue_that_timed_out_and_was_not_opened_is_opened(desk: Desk) -> None:
    desk.fail(Reset(), "open issue", times=2)
    assert desk.tell("once").done is Done.OPENED
    assert desk.waits == [1.0, 2.0]


@pytest.mark.parametrize("fault", [Status(502), Throttled(3), Reset()])
@pytest.mark.parametrize("what", ["issues", "change issue"])
def test_what_passes_is_tried_again(desk: Desk, fault: Fault, what: str) -> None:
    desk.tell("first", run=1)
    trigger = desk.fail(fault, what)
    assert desk.tell("second", run=2).done is Done.UPDATED
    assert trigger.hits == 1
    assert desk.issues == [("open", "second")]


def test_an_issue_without_its_last_word_is_closed_all_the_same(desk: Desk) -> None:
    desk.tell(run=1)
    desk.fail(Status(403, {"message": "no"}), "remark")
    told = desk.tell("fine", run=2, over="Fine.")
    assert told.done is Done.CLOSED
    assert told.troubles[0].startswith("The issue does not have the last word: ")


@pytest.mark.parametrize("document", [[], {}, {"number": "x", "iid": "x"}, "text", [3], NAMELESS])
@pytest.mark.parametrize("what", ["issues", "open issue"])
def test_an_answer_of_another_shape_is_no_crash(desk: Desk, what: str, document: object) -> None:
    desk.fail(Status(200, document), what, times=None)
    forge = desk.forge(patience=0)
    if (what, document) == ("issues", []):  # that is an answer: there are none
        assert desk.tell(forge=forge).done is Done.OPENED
        return
    with pytest.raises(ForgeError, match=desk.site.name):
        desk.tell(forge=forge)
    assert desk.issues == [] or what == "open issue"


def test_a_forge_that_is_down_ends(desk: Desk) -> None:
    desk.site.server.fail(Status(503), times=None)
    with pytest.raises(Unanswered, match="answered 503"):
        desk.tell(forge=desk.forge(patience=5))


# --- What tokens may do ------------------------------------------------------------------------------------------------


def test_without_the_permission_it_is_named(on_github: Desk) -> None:
    weak = on_github.site.server.token(permissions={"contents": "read"})
    with pytest.raises(Refused) as found:
        on_github.tell(forge=on_github.forge(weak))
    assert found.value.hint == "give the job `permissions: issues: write`"
    with pytest.raises(Refused) as found:
        on_github.offer(forge=on_github.forge(weak))
    assert found.value.hint == "give the job `permissions: pull-requests: write`"


def test_without_the_scope_it_is_named(on_gitlab: Desk) -> None:
    for options in ({"scopes": ("read_api",)}, {"kind": "job"}):
        weak = on_gitlab.site.server.token(project="acme/churn", **options)
        for action in (on_gitlab.tell, on_gitlab.offer):
            with pytest.raises(Refused) as found:
                action(forge=on_gitlab.forge(weak))
            assert "a project access token with the scope `api` and the role Developer" in str(found.value.hint)
            assert weak not in str(found.value)


def test_a_repository_without_issues_says_so(desk: Desk) -> None:
    desk.repo.has_issues = False
    with pytest.raises(Refused) as found:
        desk.tell()
    if desk.site.kind == "github":
        assert found.value.hint == "turn on Settings > General > Issues"
    assert found.value.status in (403, 410)


def test_github_may_forbid_workflows_to_open_requests(on_github: Desk) -> None:
    on_github.repo.may_open = False
    with pytest.raises(Refused, match="not permitted to create") as found:
        on_github.offer()
    assert "Allow GitHub Actions to create and approve pull requests" in str(found.value.hint)
    app = on_github.site.server.token(kind="app", permissions=MAY)
    assert on_github.offer(forge=on_github.forge(app)).is_new


def test_a_workflows_own_token_starts_nothing_and_others_do(on_github: Desk, on_gitlab: Desk) -> None:
    said = on_github.forge().silence()
    assert said is not None
    assert "starts no workflow" in said
    assert "GitHub App" in said
    app = on_github.site.server.token(kind="app", permissions=MAY)
    assert on_github.forge(app).silence() is None
    assert on_gitlab.forge().silence() is None
    assert on_github.offer().silence == said
    assert on_github.offer(run=6, forge=on_github.forge(app)).silence is None


# --- The request -------------------------------------------------------------------------------------------------------


def test_a_request_is_opened_and_then_kept_true(desk: Desk) -> None:
    first = desk.offer("better", run=1)
    assert (first.is_new, first.troubles) == (True, ())
    assert (first.topic.kind, first.topic.branch, first.topic.target) == (Kind.REQUEST, BRANCH, "main")
    assert first.topic.head == NEW
    second = desk.offer("better still", run=2)
    assert (second.is_new, second.topic.number, second.topic.url) == (False, first.topic.number, first.topic.url)
    [request] = desk.requests
    assert words(request) == "better still"
    desk.offer("better still", run=2)
    assert desk.edits(request) == 1


def test_labels_of_a_request_change_with_what_it_says(desk: Desk) -> None:
    desk.offer(run=1, labels=Labels(wanted=("ci-ml: held",), unwanted=("ci-ml: improved",)))
    [request] = desk.requests
    request.label("mona", "urgent")
    desk.offer(run=2, labels=Labels(wanted=("ci-ml: improved",), unwanted=("ci-ml: held",)))
    assert desk.labels(request) == ["ci-ml: improved", "urgent"]


@pytest.mark.parametrize("fork", ["stranger/churn", "acme/copy"])
def test_a_request_of_a_fork_with_the_same_branch_is_not_ours(desk: Desk, fork: str) -> None:
    make = desk.repo.pull if desk.site.kind == "github" else desk.repo.merge_request
    sign = Sign(about="retrain", name="churn")
    text = {"body" if desk.site.kind == "github" else "description": f"{sign}\nevil"}
    make(30, head="e" * 40, branch=BRANCH, source=fork, **text)
    offered = desk.offer()
    assert offered.is_new
    assert [words(item) for item in desk.requests] == ["evil", "better"]


def test_a_request_that_a_person_opened_keeps_its_words(desk: Desk) -> None:
    make = desk.repo.pull if desk.site.kind == "github" else desk.repo.merge_request
    make(30, head=NEW, branch=BRANCH, title="Mine", base=OLD, base_branch="main")
    offered = desk.offer(merging=Merging.MERGE)
    assert (offered.is_new, offered.topic.number) == (False, 30)
    assert "was opened by somebody else" in offered.troubles[0]
    [request] = desk.requests
    assert (request.title, request.automatic) == ("Mine", None)


def test_two_runs_at_once_open_one_request(desk: Desk) -> None:
    other = desk.forge()
    desk.before(lambda _: desk.offer("other", run=6, forge=other), "open request", times=1)
    offered = desk.offer("this", run=7)
    assert not offered.is_new
    assert [words(item) for item in desk.requests] == ["this"]
    assert desk.offer("late", run=6).superseded
    assert [words(item) for item in desk.requests] == ["this"]


def test_a_request_that_timed_out_but_was_opened_is_found(desk: Desk) -> None:
    desk.fail(Reset(done=True), "open request")
    offered = desk.offer()
    assert not offered.is_new
    assert len(desk.requests) == 1


def test_what_is_wrong_with_a_request_is_said(desk: Desk) -> None:
    branches = desk.repo.branches
    del branches[BRANCH]
    with pytest.raises(Refused) as found:
        desk.offer()
    assert found.value.status in (400, 422)
    assert len(desk.waits) <= 1


def test_what_is_really_pushed_is_what_is_proposed(desk: Desk, repository: Repository) -> None:
    """From a commit on this machine over a branch of a real repository to a request, and to its next commit."""
    there = Repository(repository.root.parent / "bare.git")
    repository.commit({"dvc.lock": "old"})
    repository.clone(there.root, "--bare")
    desk.repo.bare = there.root
    parent, tip, seen = repository.sha(), None, []
    for run, text in enumerate(("one", "two"), start=1):
        repository.write("dvc.lock", text)
        made = repository.adapter.committed(parent, ["dvc.lock"], "Retrain")
        tip = repository.adapter.push(made, str(there.root), BRANCH, expected=tip)
        assert tip == made
        seen.append(desk.offer(text, run=run, head=made).topic)
        assert seen[-1].head == made
    assert seen[0].number == seen[1].number


def test_a_closed_request_is_not_reopened_but_followed_by_another(desk: Desk) -> None:
    desk.offer(run=1)
    desk.requests[0].close()
    assert desk.offer(run=2).is_new
    assert len(desk.requests) == 2


def test_withdrawing_closes_ours_with_the_reason(desk: Desk) -> None:
    sign = Sign(about="retrain", name="churn")
    assert propose.withdraw(desk.forge(), BRANCH, "main", sign, "no") is None
    desk.offer()
    other = Sign(about="retrain", name="other")
    assert propose.withdraw(desk.forge(), BRANCH, "main", other, "no") is None
    closed = propose.withdraw(desk.forge(), BRANCH, "main", sign, "The challenger is worse.")
    assert closed is not None
    [request] = desk.requests
    assert request.state == "closed"
    assert "The challenger is worse." in desk.remarks(request)


# --- Merging by itself -------------------------------------------------------------------------------------------------


def ready(desk: Desk) -> None:
    """What has to be there before a forge merges by itself."""
    if desk.site.kind == "github":
        desk.repo.require("gate")
    else:
        desk.repo.pipeline(NEW, BRANCH)


def test_a_request_waits_to_be_merged(desk: Desk) -> None:
    ready(desk)
    offered = desk.offer(merging=Merging.SQUASH)
    assert offered.troubles == ()
    [request] = desk.requests
    assert request.automatic
    assert desk.forge().requests(BRANCH)[0].waits
    if desk.site.kind == "github":
        assert request.automatic[1] == "squash"


def test_a_pipeline_that_is_not_there_yet_is_waited_for(on_gitlab: Desk) -> None:
    def pause(seconds: float) -> None:
        on_gitlab.waits.append(seconds)
        if len(on_gitlab.waits) == 3:
            ready(on_gitlab)

    assert on_gitlab.offer(merging=Merging.MERGE, pause=pause).troubles == ()
    assert on_gitlab.waits == [1.0, 2.0, 4.0]


def test_another_commit_than_the_judged_one_is_not_merged(desk: Desk) -> None:
    ready(desk)
    offered = desk.offer(merging=Merging.MERGE, head="9" * 40)
    assert "waits for somebody to merge it" in offered.troubles[0]
    assert not desk.requests[0].automatic


def test_where_nothing_is_required_there_is_nothing_to_wait_for(desk: Desk) -> None:
    offered = desk.offer(merging=Merging.MERGE)
    assert offered.is_new
    assert "waits for somebody to merge it" in offered.troubles[0]
    expected = {"github": "require a check on the branch", "gitlab": "it has no pipeline yet"}
    assert desk.waits == {"github": [], "gitlab": [1.0, 2.0, 4.0, 8.0]}[desk.site.kind]
    assert expected[desk.site.kind] in offered.troubles[0]


def test_the_setting_for_merging_by_itself_is_named(on_github: Desk) -> None:
    ready(on_github)
    on_github.repo.may_wait = False
    assert "turn on Settings > General > Allow auto-merge" in on_github.offer(merging=Merging.MERGE).troubles[0]


def test_the_permission_for_merging_by_itself_is_named(on_github: Desk) -> None:
    ready(on_github)
    weak = on_github.site.server.token(permissions={**MAY, "contents": "read"})
    offered = on_github.offer(merging=Merging.MERGE, forge=on_github.forge(weak))
    assert "give the job `permissions: contents: write`" in offered.troubles[0]


@pytest.mark.parametrize("fault", [Status(503), Page(), Status(200, {"errors": "?"}), Status(200, [])])
def test_merging_by_itself_that_fails_costs_no_request(desk: Desk, fault: Fault) -> None:
    ready(desk)
    desk.fail(fault, "merge", times=None)
    offered = desk.offer(merging=Merging.MERGE, forge=desk.forge(patience=0))
    assert offered.is_new
    assert len(desk.requests) == 1


@pytest.mark.thorough
def test_a_forge_that_never_answers_ends(desk: Desk) -> None:
    hang = Hang()
    desk.fail(hang, "open request", times=None)
    with pytest.raises(ForgeError):
        desk.offer(forge=desk.forge(patience=0))


# --- Signs and labels --------------------------------------------------------------------------------------------------


def test_a_sign_is_read_as_it_was_written() -> None:
    sign = Sign(about="monitor", name="churn/eu model", run=Run(number=12, attempt=3))
    assert Sign.of(f"{sign}\ntext") == sign
    longest = Sign(about="monitor", name="a " * 40)
    assert longest.is_same(Sign.of(str(longest)))
    assert Sign.of(f"text {sign}") is None
    assert Sign.of("<!-- ci-ml:other name=a run=1.1 -->") is None


def test_labels_do_not_care_for_capitals() -> None:
    labels = Labels(wanted=("Drift", "x"), unwanted=("drift", "Old"))
    assert labels.added(["DRIFT"]) == ("x",)
    assert labels.removed(["DRIFT", "old", "other"]) == ("old",)


def test_a_draft_names_branches_of_the_repository_only(on_github: Desk) -> None:
    draft = Draft(branch="stranger:deeper", target="main", title="t", body="b")
    with pytest.raises(Refused):
        on_github.forge().open_request(draft)


def test_a_topic_that_is_gone_is_told(desk: Desk) -> None:
    gone = Topic(kind=Kind.ISSUE, number=999, title="", body="", is_open=True)
    assert desk.forge().change(gone, body="x") is None


# --- Where a run may speak ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forge", "env", "words"),
    [
        (None, {}, "this is no CI job"),
        ("github", {}, "give the step the token"),
        ("gitlab", {"CI_JOB_TOKEN": "job"}, "a project access token with the scope `api`"),
        (
            "gitlab",
            {"CI_JOB_TOKEN": "job", "CI_ML_TOKEN": "job"},
            "CI_JOB_TOKEN opens neither issues nor merge requests",
        ),
    ],
)
def test_where_nothing_can_be_opened_it_is_said(forge: str | None, env: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as found:
        publishing.connect(Change(forge=forge, repository="acme/churn"), env)
    assert words in f"{found.value} {found.value.hint}"


@pytest.mark.parametrize(("forge", "name"), [("github", "GitHub"), ("gitlab", "GitLab")])
def test_with_a_token_there_is_a_forge(forge: str, name: str) -> None:
    env = {"CI_ML_TOKEN": "secret", "CI_JOB_TOKEN": "job"}
    assert publishing.connect(Change(forge=forge, repository="acme/churn"), env).name == name
