"""An alias moves forth and back; whoever is killed, is late or finds somebody else there leaves nothing half."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from ci_ml.cli.registry import history
from ci_ml.core.bundle import Bundle, Part
from ci_ml.core.promotions import LEASE, Action, fold
from ci_ml.errors import DependencyError, Overtaken, UsageError
from ci_ml.usecases.promote import BYTES, COMMIT, ENTRY, REPORT, Around, Candidate, Moved, promote, rollback
from ci_ml.wiring import promotions, workspace
from ci_ml.wiring.promotions import History
from tests.fakes.registry import Job, Killed, World

COMMITS = {"one": "1" * 40, "two": "2" * 40, "three": "3" * 40}
ORDER = list(COMMITS.values())


def candidate(name: str, commit: str | None = None, policy: str = "a") -> Candidate:
    """A model by its files; its commit is that of the name, if no other is named."""
    bundle = Bundle(
        path="model.json",
        place=Path("model.json"),
        is_folder=False,
        files={"model.json": Part(sha256=name.encode().hex().ljust(64, "0"), size=3)},
        dvc="md5:0",
    )
    digests = {"report": f"sha256:{'a' * 64}", "policy": f"sha256:{policy * 64}"}
    return Candidate(bundle=bundle, commit=COMMITS[commit or name], outcome="pass", **digests)


def newer(one: str, other: str) -> bool:
    return ORDER.index(one) < ORDER.index(other)


def around(job: Job, said: list[str] | None = None) -> Around:
    notes = [] if said is None else said
    return Around(registry=job, ledger=job, now=job.world.now, say=notes.append, is_newer=newer)


def promoted(world: World, name: str, *aliases: str, job: Job | None = None, forced: bool = False) -> Moved:
    return promote("churn", aliases or ("champion",), candidate(name), around(job or Job(world)), forced=forced)


def back(
    world: World, to: str | None = None, *, why: str = "it drifts", job: Job | None = None, forced: bool = False
) -> Moved:
    return rollback("churn", "champion", to, why, around(job or Job(world)), forced=forced)


@pytest.fixture
def world() -> World:
    return World()


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Who is overtaken is told so, in words."""
    said: list[str] = []
    try:
        yield
    except Overtaken as error:
        said.append(error.what)
    assert all("faster" in what or "taken over" in what for what in said), said


def consistent(world: World) -> None:
    """What is true once a command has come to its end."""
    state = fold(world.ledger)
    assert state.holder is None
    assert {alias: world.aliases[alias] for alias in state.targets} == state.targets
    marks = [(tags[COMMIT], tags[BYTES]) for tags in world.versions.values()]
    assert len(set(marks)) == len(marks), "a twin"
    for step in state.done:
        assert step.what.version in world.versions


def tagged(world: World, version: str) -> None:
    """A version has every tag of what last brought it."""
    step = fold(world.ledger).of_version(version)
    assert step is not None
    tags = {ENTRY: step.entry, COMMIT: step.what.commit, REPORT: step.what.report}
    assert {key: world.versions[version].get(key) for key in tags} == tags


def test_a_promotion_is_written_down_before_and_after(world: World) -> None:
    done = promoted(world, "one", "champion", "shadow")
    assert (done.version, done.previous, done.changed) == ("1", {"champion": None, "shadow": None}, True)
    assert world.aliases == {"champion": "1", "shadow": "1"}
    assert world.steps == [
        "read", "targets", "stage", "enter begin", "register", "read", "targets", "point champion", "point shadow",
        "enter promote", "mark",
    ]  # fmt: skip
    assert world.versions["1"][ENTRY] == done.entry == world.ledger[-1].entry
    assert world.ledger[-1].what.begun == world.ledger[0].record
    consistent(world)


def test_the_same_files_again_are_nothing_to_do(world: World) -> None:
    promoted(world, "one")
    again = promoted(world, "one")
    assert not again.changed
    assert again.version == "1"
    assert "already" in again.sentence
    assert len(world.ledger) == 2


def of_files(world: World, name: str, commit: str, *aliases: str, policy: str = "a", job: Job | None = None) -> Moved:
    """Promote files that were promoted before, of another commit."""
    known = candidate(name, commit, policy)
    return promote("churn", aliases or ("champion",), known, around(job or Job(world)))


def test_a_commit_that_changes_nothing_of_the_model_makes_no_version(world: World) -> None:
    promoted(world, "one")
    again = of_files(world, "one", "two")
    assert (again.changed, again.version, again.record) == (False, "1", None)
    assert "2222222 changes nothing of what 1111111 has promoted" in again.sentence
    assert list(world.versions) == ["1"]
    assert len(world.ledger) == 2


def test_files_that_pass_other_gates_are_entered_and_are_no_other_version(world: World) -> None:
    promoted(world, "one")
    again = of_files(world, "one", "two", policy="b")
    assert (again.changed, again.version, again.entry) == (False, "1", world.ledger[-1].entry)
    assert "the ledger has by which gates they pass at 2222222" in again.sentence
    last = world.ledger[-1].what
    assert (last.commit, last.policy, last.version) == (COMMITS["two"], f"sha256:{'b' * 64}", "1")
    assert world.versions == {"1": {**world.versions["1"], COMMIT: COMMITS["two"], ENTRY: again.entry}}
    assert of_files(world, "one", "three", policy="b").record is None, "said once"
    with pytest.raises(UsageError, match="knows no version of churn that was champion before 1"):
        back(world)
    consistent(world)


def test_history_says_what_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted(world, "one")
    of_files(world, "one", "two", policy="b")
    steps = tuple(world.ledger)
    told = History(model="churn", steps=steps, state=fold(steps), aliases=world.aliases, doubts=())
    monkeypatch.setattr(workspace, "find", lambda *_: None)
    monkeypatch.setattr(promotions, "history", lambda *_: told)
    done = CliRunner().invoke(history, ["churn"])
    assert "UTC  champion stays version 1 by ada\n" in done.output
    assert "UTC  champion: nothing → version 1 by ada\n" in done.output


def test_another_alias_gets_the_version_that_has_the_files(world: World) -> None:
    promoted(world, "one")
    assert of_files(world, "one", "two", "champion", "shadow").version == "1"
    assert world.aliases == {"champion": "1", "shadow": "1"}
    assert "stage" not in world.steps[world.steps.index("mark") :], "nothing is uploaded again"
    consistent(world)


def test_files_that_come_back_are_the_version_that_they_were(world: World) -> None:
    promoted(world, "one")
    promoted(world, "two")
    done = of_files(world, "one", "three")
    assert (done.version, done.changed, done.previous) == ("1", True, {"champion": "2"})
    assert world.ledger[-1].what.commit == COMMITS["three"], "what was asked for"
    assert back(world).version == "2"
    consistent(world)


def test_a_version_that_was_deleted_by_hand_is_made_anew(world: World) -> None:
    promoted(world, "one")
    promoted(world, "two")
    world.versions["1"] = {BYTES: "sha256:another"}
    assert of_files(world, "one", "three").version == "3"
    assert world.aliases["champion"] == "3"


@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
@pytest.mark.parametrize(("name", "policy"), [("one", "a"), ("two", "b")])
def test_known_files_killed_at_every_step_and_run_again(name: str, policy: str, when: str) -> None:
    """Files that come back, and those that are there and pass other gates."""
    for number in count(1):
        world = World()
        promoted(world, "one")
        promoted(world, "two")
        try:
            of_files(world, name, "three", policy=policy, job=Job(world, **{when: number}))  # type: ignore[arg-type]
        except Killed:
            of_files(world, name, "three", policy=policy)
        else:
            assert number > 6
            return
        assert world.aliases == {"champion": {"one": "1", "two": "2"}[name]}
        assert len(fold(world.ledger).done) == 3, "said once"
        assert list(world.versions) == ["1", "2"]
        consistent(world)


def test_back_and_further_back_and_forth(world: World) -> None:
    for name in COMMITS:
        promoted(world, name)
    assert back(world).version == "2"
    assert back(world, why="it still does").version == "1"
    with pytest.raises(UsageError, match="knows no version of churn that was champion before 1"):
        back(world, why="and still")
    assert back(world, "3").version == "3"
    assert back(world).version == "1", "the one that was there before"
    consistent(world)
    assert world.ledger[-1].what.why == "it drifts"
    assert world.ledger[-1].what.commit == COMMITS["one"], "what is known of the version is in the record"


def test_a_model_that_was_taken_back_does_not_come_again_by_itself(world: World) -> None:
    promoted(world, "one")
    promoted(world, "two")
    back(world)
    again = promoted(world, "two")
    assert not again.changed
    assert "taken back" in again.sentence
    assert world.aliases["champion"] == "1"
    assert promoted(world, "two", forced=True).version == "2"
    assert len(world.versions) == 2
    assert back(world).version == "1"
    consistent(world)


def test_an_older_commit_does_not_push_away_a_newer(world: World) -> None:
    promoted(world, "two")
    late = promoted(world, "one")
    assert not late.changed
    assert "comes after 1111111" in late.sentence
    assert world.aliases["champion"] == "1"


def test_a_rollback_of_nothing_or_to_nothing(world: World) -> None:
    with pytest.raises(UsageError, match="nothing is champion of churn"):
        back(world)
    promoted(world, "one")
    with pytest.raises(UsageError, match="there is no version 9"):
        back(world, "9")
    assert not back(world, "1").changed
    consistent(world)


@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_killed_at_every_step_and_run_again(action: str, when: str) -> None:
    """The end is the same as if nobody had died: no twin of a version, every alias where the ledger says."""
    for number in count(1):
        world = World()
        promoted(world, "one", "champion", "shadow")
        promoted(world, "two", "champion", "shadow")
        job = Job(world, **{when: number})  # type: ignore[arg-type]
        try:
            if action == "promote":
                promoted(world, "three", "champion", "shadow", job=job)
            else:
                promoted(world, "three", "champion", "shadow")
                back(world, job=job)
        except Killed:
            pass
        else:
            assert number > 6
            return
        world.clock += dt.timedelta(seconds=20)
        if action == "promote":
            promoted(world, "three", "champion", "shadow")
            assert world.aliases == {"champion": "3", "shadow": "3"}
        else:
            back(world)
            assert world.aliases == {"champion": "2", "shadow": "3"}
        consistent(world)
        assert len(world.versions) == 3
        done = fold(world.ledger).done
        assert len(done) == (3 if action == "promote" else 4), "said once"
        tagged(world, world.aliases["champion"])


@pytest.mark.parametrize("number", range(1, 12))
def test_whoever_comes_after_a_killed_promotion_can_go_back_at_once(number: int) -> None:
    world = World()
    promoted(world, "one")
    promoted(world, "two")
    with contextlib.suppress(Killed):
        promoted(world, "three", job=Job(world, dies_after=number))
    live = world.aliases["champion"]
    back(world)
    assert world.aliases["champion"] == {"3": "2", "2": "1"}[live]
    consistent(world)


@pytest.mark.parametrize("tag", [ENTRY, COMMIT, REPORT])
@pytest.mark.parametrize("action", ["promote", "rollback", "rollback to"])
def test_a_version_that_lacks_a_tag_gets_it(world: World, action: str, tag: str) -> None:
    """Whoever tags one may be killed in between."""
    promoted(world, "one", "champion", "shadow")
    if action != "promote":
        promoted(world, "two")
        back(world)
    del world.versions["1"][tag]
    if action == "promote":
        assert not promoted(world, "one", "champion", "shadow").changed
    else:
        assert not back(world, "1" if action == "rollback to" else None).changed
    tagged(world, "1")


def test_the_same_rollback_again_goes_no_further_and_says_what_does(world: World) -> None:
    """Who was killed before the word of it cannot know; to go back twice takes a version, or another reason."""
    for name in COMMITS:
        promoted(world, name)
    assert back(world).version == "2"
    world.clock += dt.timedelta(days=2)
    again = back(world)
    assert (again.changed, again.version) == (False, "2")
    assert again.sentence == (
        "champion of churn is version 2 already, by this very rollback, since 2026-01-01 12:00 UTC by ada: "
        "--to 1, or another reason, goes further back"
    )
    assert back(world, "1").version == "1"
    assert "the ledger knows none before that" in back(world).sentence
    promoted(world, "three", forced=True)
    assert back(world).version == "1", "of another promotion it is another rollback"
    consistent(world)


def test_the_next_rollback_that_was_killed_is_not_the_one_before(world: World) -> None:
    for name in COMMITS:
        promoted(world, name)
    back(world)
    with pytest.raises(Killed):
        back(world, "1", job=Job(world, dies_after=3))
    assert fold(world.ledger).holder is not None
    assert back(world).version == "1"
    consistent(world)


def test_a_rollback_of_one_alias_ends_none_of_another(world: World) -> None:
    for name in ("one", "two"):
        promoted(world, name, "champion", "shadow")
    with pytest.raises(Killed):
        rollback("churn", "shadow", None, "it drifts", around(Job(world, dies_after=6)))
    assert back(world).version == "1"
    assert world.aliases == {"champion": "1", "shadow": "1"}
    consistent(world)


def test_a_rollback_after_another_alias_came_to_its_version(world: World) -> None:
    """What the version was tagged with since says nothing of the rollback."""
    for name in COMMITS:
        promoted(world, name)
    back(world)
    promoted(world, "two", "shadow")
    assert back(world, why="it still does").version == "1"
    consistent(world)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_ledger_that_was_cut_off_is_not_built_on(world: World, lost: int) -> None:
    """The entry that a version names is what proves it: nothing writes over that, forced or not."""
    promoted(world, "one")
    promoted(world, "two")
    del world.ledger[-lost:]
    before = {version: dict(tags) for version, tags in world.versions.items()}
    attempts = (
        lambda: promoted(world, "two"), lambda: promoted(world, "three", forced=True),
        lambda: back(world), lambda: back(world, forced=True),
    )  # fmt: skip
    for attempt in attempts:
        with pytest.raises(
            DependencyError, match=r"version [12] of churn names the entry .*, which is not in the ledger"
        ):
            attempt()
    assert (world.versions, world.aliases, len(world.ledger)) == (before, {"champion": "2"}, 4 - lost)


@pytest.mark.parametrize("keeps", [True, False])
def test_another_registry_is_told_from_an_alias_that_somebody_moved(world: World, keeps: bool) -> None:
    """Also where its versions have the same numbers; --force begins anew there, and then the first is the other one."""
    for name in ("one", "two"):
        promoted(world, name, job=Job(world, keeps_aliases=keeps))
    there = World(ledger=world.ledger, versions={"2": {COMMIT: "9" * 40, BYTES: "sha256:9"}}, aliases={"champion": "2"})
    other = {"address": "https://other.example", "keeps_aliases": keeps}
    attempts = (lambda: promoted(there, "three", job=Job(there, **other)), lambda: back(there, job=Job(there, **other)))
    for attempt in attempts:
        with pytest.raises(UsageError) as error:
            attempt()
        assert error.value.what == (
            "the last that the ledger has of churn, version 2 since 2026-01-01 12:00 UTC by ada, is at "
            "https://mlflow.example, and this is https://other.example, which has not got it"
        )
    assert len(world.ledger) == 4
    assert there.aliases == {"champion": "2"}
    del there.versions["2"]
    assert promoted(there, "two", job=Job(there, **other), forced=True).version == "1"
    assert promoted(there, "three", job=Job(there, **other)).version == "2"
    with pytest.raises(UsageError, match=r"is at https://other\.example, and this is https://mlflow\.example"):
        promoted(world, "one", job=Job(world, keeps_aliases=keeps))


def test_a_registry_that_has_another_address_is_the_same(world: World) -> None:
    promoted(world, "one")
    moved = "https://moved.example"
    promoted(world, "two", job=Job(world, address=moved))
    assert back(world, job=Job(world, address=moved)).version == "1"
    assert world.ledger[-1].what.mlflow.uri == moved, "where it was done, not where the version came from"
    assert of_files(world, "one", "three", policy="b", job=Job(world, address="https://again.example")).version == "1"
    assert world.ledger[-1].what.mlflow.uri == "https://again.example"
    consistent(world)


def test_another_promotion_waits_for_one_that_was_killed_and_then_takes_its_turn(world: World) -> None:
    promoted(world, "one")
    with pytest.raises(Killed):
        promoted(world, "two", job=Job(world, dies_before=5))
    assert fold(world.ledger).holder is not None
    world.clock += dt.timedelta(minutes=3, seconds=5)
    with pytest.raises(Overtaken) as error:
        promoted(world, "three")
    assert (error.value.what, error.value.hint) == (
        "a promotion of 2222222 of churn to champion by ada is under way since 2026-01-01 12:00:00 UTC",
        "wait until it has ended; if it was killed, the same command again (`ci-ml promote churn --to champion` at "
        "2222222) finishes it at once, and this one may go on from 2026-01-01 12:10:00 UTC, in 7 minutes; --force does "
        "not wait, and a rollback need not",
    )
    world.clock += LEASE
    assert promoted(world, "three").changed
    consistent(world)


def test_two_at_once_one_wins_and_the_other_says_so() -> None:
    """The other comes in before each step of the first, in turn."""
    for number in count(1):
        world = World()
        promoted(world, "one")
        lost: list[str] = []

        def meanwhile(step: int, name: str, world: World = world, at: int = number, lost: list[str] = lost) -> None:
            if step == at:
                try:
                    promoted(world, "three")
                except Overtaken as error:
                    lost.append(error.what)

        try:
            promoted(world, "two", job=Job(world, between=meanwhile))
        except Overtaken as error:
            lost.append(error.what)
        moves = [step for step in fold(world.ledger).done if step.what.action is Action.PROMOTE]
        consistent(world)
        if len(lost) == 0:  # one after the other
            assert len(moves) in (2, 3)
        else:
            assert len(lost) == 1
            assert len(moves) == 2
        if number > 12:
            return


def test_the_same_promotion_twice_at_once_makes_one_version() -> None:
    for number in range(1, 13):
        world = World()

        def meanwhile(step: int, name: str, world: World = world, at: int = number) -> None:
            if step == at:
                promoted(world, "two")

        with told():
            promoted(world, "two", job=Job(world, between=meanwhile))
        assert world.aliases == {"champion": "1"}
        assert list(world.versions) == ["1"]
        consistent(world)


def test_a_rollback_goes_before_a_promotion_that_is_under_way() -> None:
    for number in range(5, 12):
        world = World()
        promoted(world, "one")
        promoted(world, "two")

        def meanwhile(step: int, name: str, world: World = world, at: int = number) -> None:
            if step == at:
                rollback("churn", "champion", "1", "it drifts", around(Job(world)))

        job = Job(world, between=meanwhile)
        with told():
            promoted(world, "three", job=job)
        if job.count >= number:
            assert world.aliases["champion"] == "1", number
            consistent(world)


@pytest.mark.parametrize("broken", ["targets", "stage", "register", "point champion", "mark"])
def test_a_registry_that_is_down_leaves_nothing_half(broken: str) -> None:
    world = World()
    promoted(world, "one")
    with pytest.raises(DependencyError, match="does not answer"):
        promoted(world, "two", job=Job(world, broken=(broken,)))
    assert world.aliases["champion"] == ("2" if broken == "mark" else "1")
    if broken != "point champion":
        assert fold(world.ledger).holder is None, "others need not wait"
    promoted(world, "two")
    assert world.aliases["champion"] == "2"
    consistent(world)
    assert len(world.versions) == 2
    assert world.versions["2"][ENTRY] == world.ledger[-1].entry


@pytest.mark.parametrize("broken", ["enter begin", "enter promote", "read"])
def test_a_ledger_that_is_down_leaves_nothing_half(broken: str) -> None:
    world = World()
    promoted(world, "one")
    with pytest.raises(DependencyError, match="does not answer"):
        promoted(world, "two", job=Job(world, broken=(broken,)))
    promoted(world, "two")
    assert world.aliases["champion"] == "2"
    consistent(world)
    assert len(world.versions) == 2


def test_an_alias_that_was_moved_by_hand_is_not_overwritten(world: World) -> None:
    promoted(world, "one")
    promoted(world, "two")
    world.by_hand("champion", "1")
    for attempt in (lambda: promoted(world, "three"), lambda: back(world)):
        with pytest.raises(Overtaken, match="champion of churn was moved by hand: it is version 1, and by the ledger"):
            attempt()
    assert world.aliases["champion"] == "1"
    assert len(world.ledger) == 4
    done = promoted(world, "three", forced=True)
    assert done.previous == {"champion": "1"}
    assert world.ledger[-1].what.forced
    consistent(world)


def test_an_alias_that_is_moved_by_hand_in_the_middle(world: World) -> None:
    promoted(world, "one")
    promoted(world, "two")

    def meanwhile(step: int, name: str) -> None:
        if name == "register":
            world.by_hand("champion", "1")

    with pytest.raises(Overtaken, match="moved by hand just now"):
        promoted(world, "three", job=Job(world, between=meanwhile))
    assert world.aliases["champion"] == "1"
    assert fold(world.ledger).holder is None


def test_an_alias_that_was_there_before_ci_ml_is_kept_as_the_previous_one(world: World) -> None:
    world.versions["1"] = {COMMIT: "9" * 40, BYTES: "sha256:9"}
    world.by_hand("champion", "1")
    assert promoted(world, "one").previous == {"champion": "1"}
    said: list[str] = []
    assert rollback("churn", "champion", None, "why not", around(Job(world), said)).version == "1"
    assert said == ["no record says what version 1 of churn is: ci-ml has not promoted it"]
    consistent(world)


def test_a_registry_without_aliases_leaves_them_to_the_ledger(world: World) -> None:
    for name in ("one", "two"):
        promoted(world, name, job=Job(world, keeps_aliases=False, chooses=False))
    back(world, job=Job(world, keeps_aliases=False, chooses=False))
    assert fold(world.ledger).targets == {"champion": "1"}
    assert [step.what.version for step in world.ledger if step.what.action is Action.BEGIN] == ["1.0.0", "2.0.0", "1"]


def test_going_back_is_to_where_the_alias_has_been(world: World) -> None:
    promoted(world, "one")
    promoted(world, "two", "shadow")
    with pytest.raises(UsageError, match="version 2 of churn has never been champion"):
        back(world, "2")
    with pytest.raises(UsageError, match="has never been champion"):
        rollback("churn", "champion", "2", "so", around(Job(world)), forced=True, guarded=True)
    assert world.aliases["champion"] == "1"
    assert back(world, "2", forced=True).version == "2"


def test_an_alias_that_was_deleted_by_hand_comes_back_by_force(world: World) -> None:
    promoted(world, "one")
    del world.aliases["champion"]
    with pytest.raises(Overtaken, match="champion of churn was deleted by hand, and by the ledger it is version 1"):
        back(world)
    assert back(world, forced=True).version == "1"
    assert world.aliases["champion"] == "1"
    consistent(world)


def test_what_was_taken_back_before_the_last_rollback_stays_away_too(world: World) -> None:
    for name in COMMITS:
        promoted(world, name)
    back(world)
    back(world, why="it still does")
    for name in ("three", "two"):
        assert "taken back" in promoted(world, name).sentence
    assert world.aliases["champion"] == "1"


def test_an_alias_that_is_not_set_excuses_no_other(world: World) -> None:
    promoted(world, "one")
    promoted(world, "two")
    back(world)
    assert "champion of churn was taken back" in promoted(world, "two", "champion", "shadow").sentence
    assert world.aliases == {"champion": "1"}
    assert promoted(world, "three", "champion", "shadow").changed
