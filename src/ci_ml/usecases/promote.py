"""Moving an alias of a registered model, forth and back, in steps that may be done again. Layer: usecases.

The order: the files are put where versions are made from, the ledger is told what begins, the version is made, the
alias is set, the ledger is told that it is done, the version is tagged. Whoever is killed in between leaves a `begin`
in the ledger; the same command again goes on from there. docs/registry.md says what is where after each step.
"""

import contextlib
import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ci_ml.core import promotions
from ci_ml.core.bundle import Bundle, Staged
from ci_ml.core.chain import short
from ci_ml.core.promotions import (
    LEASE,
    NOUNS,
    Action,
    ApprovalPart,
    OriginPart,
    Promotion,
    RunPart,
    State,
    Step,
    fold,
    moved,
    next_semantic,
)
from ci_ml.core.registry import ADDRESS
from ci_ml.core.report import WaiverPart
from ci_ml.core.types import Gap
from ci_ml.errors import CiMlError, DependencyError, Overtaken, UsageError
from ci_ml.ports import Ledger, Registry

ENTRY, COMMIT, BYTES, REPORT = "ci-ml.entry", "ci-ml.commit", "ci-ml.sha256", "ci-ml.report"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model that may be promoted, and what says so."""

    bundle: Bundle
    commit: str
    report: str
    policy: str
    outcome: str
    verdict: str | None = None
    training: str | None = None
    run: str | None = None
    lock: str | None = None
    change: OriginPart | None = None
    approvals: tuple[ApprovalPart, ...] = ()
    waivers: tuple[WaiverPart, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Around:
    """What moving an alias needs: where models are, what is written down, the time, and who is told."""

    registry: Registry
    ledger: Ledger
    now: Callable[[], dt.datetime]
    say: Callable[[str], None]
    is_newer: Callable[[str, str], bool] = field(default=lambda one, other: False)  # noqa: ARG005
    """Whether the second commit has the first among its ancestors."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What became of it: the version, where each alias was before, and the record; `sentence` says it to people.

    `changed` is False when everything was as it should be, or had better stay so.
    """

    model: str
    version: str | None
    previous: Mapping[str, str | None]
    sentence: str
    changed: bool = True
    record: str | None = None
    entry: str | None = None


def promote(
    model: str, aliases: tuple[str, ...], candidate: Candidate, around: Around, *, forced: bool = False
) -> Moved:
    """Register the candidate and let the aliases be its version; finishes what another run of this has begun.

    Raises Overtaken when somebody else has the turn or an alias was moved by hand, DependencyError when the registry or
    the ledger is down.
    """
    state, actual, ended = _settled(model, around, forced=forced)
    held = _held(model, candidate, state, around)
    wanted = held.what.version if held else None
    if held is None and not around.registry.chooses:
        wanted = next_semantic(state, actual.values())
    what = _begin(model, aliases, candidate, state, actual, around.registry)
    what = what.model_copy(update={"forced": forced, "version": wanted})
    if ended is not None and ended.what.of is Action.PROMOTE and _alike(ended.what, what):
        return _done(ended, around)
    begun = state.holder if state.holder and state.holder.what.same(what) else None
    if begun is None and not forced and (better := _stays(model, aliases, candidate, state, actual, around)):
        return better
    if not forced:
        _refuse_moved(model, aliases, state, actual)
        _refuse_turn(model, state, begun, around.now())
    marks = {COMMIT: candidate.commit, BYTES: candidate.bundle.mark}
    staged = None if held else around.registry.stage(candidate.bundle, candidate.run, candidate.lock, marks)
    known = held.what.mlflow.model_copy(update={"uri": around.registry.address}) if held else None
    place = known or _placed(staged, around.registry)
    training = candidate.training or (held.what.training if held else None)
    what = what.model_copy(update={"mlflow": place, "training": training})
    if begun is not None:
        around.say(f"going on with what was begun {_when(begun)}")
    else:
        begun = around.ledger.enter(what, candidate.bundle.digest, state.last)
    version = held.what.version if held else None
    with _abandoned(begun, candidate.bundle.digest, around):
        if version is None:
            assert staged is not None
            version = around.registry.register(model, staged, marks, begun.what.version or wanted, candidate.bundle)
    return _finished(begun, version, candidate.bundle.digest, around)


def _held(model: str, candidate: Candidate, state: State, around: Around) -> Step | None:
    """What brought a version of these very files, if that is still there: the same files are never two versions."""
    step = state.holding(candidate.bundle.outputs)
    if step is None or step.what.version is None:
        return None
    found = around.registry.marks(model, step.what.version)
    return step if not isinstance(found, Gap) and found.get(BYTES) == candidate.bundle.mark else None


def _placed(staged: Staged | None, registry: Registry) -> RunPart:
    known = {"run": staged.run, "source": staged.source} if staged else {}
    return RunPart(uri=registry.address, **known)


def rollback(
    model: str, alias: str, to: str | None, why: str, around: Around, *, forced: bool = False, guarded: bool = False
) -> Moved:
    """Let an alias be an earlier version again: `to`, else the one before.

    `guarded`: the alias asks for approvals, so it never goes where it has not been, forced or not. Raises UsageError
    when there is none, and what `promote` does. It has the right of way before promotions.
    """
    state, actual, ended = _settled(model, around, forced=forced)
    mine = ended is not None and ended.what.action is Action.ROLLBACK and alias in ended.what.aliases
    if ended is not None and mine and to in (None, ended.what.version):
        return _done(ended, around)
    there = actual.get(alias)
    if to is None and (repeated := _repeated(model, alias, why, state, there, around)):
        return repeated
    if not forced:
        _refuse_moved(model, (alias,), state, actual)
    known = state.targets.get(alias)
    if there is None and known is None:
        raise UsageError(f"nothing is {alias} of {model}", "`ci-ml history` tells what was; `--alias` names another")
    target = to or (known if known != there and known else promotions.before(state, alias))
    if target is None:
        raise UsageError(f"the ledger knows no version of {model} that was {alias} before {there}", "name one: --to")
    if target == there == known:
        _tag(model, target, state, around)
        sentence = f"{alias} of {model} is version {target} already"
        return Moved(model=model, version=target, previous={alias: there}, sentence=sentence, changed=False)
    found = around.registry.marks(model, target)
    if isinstance(found, Gap):
        raise UsageError(found.reason, f"`ci-ml history {model}` lists versions that were promoted")
    _refuse_stranger(model, alias, target, state, there, forced=forced, guarded=guarded)
    made = state.of_version(target)
    if made is None:
        around.say(f"no record says what version {target} of {model} is: ci-ml has not promoted it")
    what = _back(model, alias, target, why, made, state, there, around, forced=forced)
    begun = state.holder if state.holder and state.holder.what.same(what) else None
    digest = {"version": target} if made is None else _digest(made.what)
    begun = begun or around.ledger.enter(what, digest, state.last)
    return _finished(begun, target, digest, around)


def _refuse_stranger(
    model: str, alias: str, target: str, state: State, there: str | None, *, forced: bool, guarded: bool
) -> None:
    """Going back is to where the alias has been: anywhere else it comes by a promotion, with what that asks for."""
    steps = [step.what for step in state.done if alias in step.what.aliases]
    had = {there if not guarded else None}.union(*({what.version, what.previous.get(alias)} for what in steps))
    if target in had or (forced and not guarded):
        return
    hint = "`ci-ml promote` asks for the approvals" if guarded else "`ci-ml promote` brings it there, or --force"
    raise UsageError(f"version {target} of {model} has never been {alias}", hint)


def _back(
    model: str,
    alias: str,
    target: str,
    why: str,
    made: Step | None,
    state: State,
    there: str | None,
    around: Around,
    *,
    forced: bool,
) -> Promotion:
    """What begins when an alias goes back: everything about the version is as it was when it was promoted."""
    known = made.what if made else None
    return Promotion(
        model=model,
        action=Action.BEGIN,
        of=Action.ROLLBACK,
        after=state.last,
        version=target,
        aliases=(alias,),
        previous={alias: there},
        why=why,
        forced=forced,
        **(known.model_dump(include=_KEPT) if known else {}),
        mlflow=(known.mlflow if known else RunPart()).model_copy(update={"uri": around.registry.address}),
    )


_KEPT = {
    "commit", "report", "policy", "verdict", "training", "outcome", "outputs", "change", "approvals", "waivers",
}  # fmt: skip


def _digest(what: Promotion) -> dict[str, str]:
    """What a version is recognised by; of a folder the list of its files is in the record."""
    if len(what.outputs) == 1:
        return {"sha256": next(iter(what.outputs.values()))}
    return {"version": what.version or "1"}


def _alike(one: Promotion, other: Promotion) -> bool:
    """Whether one is what the other begins."""
    return one.model_copy(update={"version": other.version}).same(other)


def _repeated(model: str, alias: str, why: str, state: State, there: str | None, around: Around) -> Moved | None:
    """A rollback that has come to its end, asked for once more: who was killed before the word of it cannot know."""
    step, holder = state.set_by(alias), state.holder
    if step is None or (step.what.action, step.what.why, step.what.version) != (Action.ROLLBACK, why, there):
        return None
    if holder is not None and holder.what.of is Action.ROLLBACK and alias in holder.what.aliases:
        return None  # the next one has begun
    earlier = replace(state, done=state.done[: state.done.index(step)])
    last = earlier.set_by(alias)
    if step.what.version not in (promotions.before(earlier, alias), last.what.version if last else None):
        return None  # that one went to a version that it named
    _tag(model, step.what.version, state, around)
    further = promotions.before(state, alias)
    more = f"--to {further}, or another reason, goes further back" if further else "the ledger knows none before that"
    sentence = f"{alias} of {model} is version {there} already, by this very rollback, since {_when(step)}: {more}"
    return Moved(model=model, version=there, previous={alias: there}, sentence=sentence, changed=False)


def _tag(model: str, version: str | None, state: State, around: Around) -> None:
    """Let a version have the tags of what last brought it, of which somebody who was killed has left some out."""
    if version and (step := state.of_version(version)):
        around.registry.mark(model, version, _tags(step))


def _settled(model: str, around: Around, *, forced: bool) -> tuple[State, Mapping[str, str], Step | None]:
    """What the ledger says of a model, where its aliases are, and what has come to its end just now.

    What another has done but for saying so is said in its place: every alias is where it was to be brought.
    """
    versions = around.registry.versions(model)  # before the ledger, which then has whatever they were tagged with
    steps = around.ledger.read(model)
    _refuse_lost(model, versions, steps)
    state = fold(steps)
    if not forced:
        _refuse_elsewhere(model, state, around.registry)
    if not around.registry.keeps_aliases:
        return state, state.targets, None
    actual = around.registry.targets(model)
    holder = state.holder
    if holder is None:
        return state, actual, None
    there = {actual.get(alias) for alias in holder.what.aliases}
    version = next(iter(there))
    if len(there) > 1 or version is None or not _is_it(holder, version, around):
        return state, actual, None
    end = _end(holder, version, _digest(holder.what), around)
    around.say(f"version {version} of {model} is {_words(holder.what.aliases)} since what was begun {_when(holder)}")
    return fold(around.ledger.read(model)), actual, end


def _refuse_lost(model: str, versions: Mapping[str, Mapping[str, str]], steps: Sequence[Step]) -> None:
    """The entry that a version names proves what the ledger has lost: nothing is written over it."""
    known = {step.entry for step in steps}
    for version, tags in versions.items():
        if (entry := tags.get(ENTRY)) and entry not in known:
            raise DependencyError(
                f"version {version} of {model} names the entry {short(entry)}, which is not in the ledger: that was "
                "cut off or written anew, or another repository promotes a model of this name",
                "find out who did that, and set the ledger back: a clone that has read it knows where it was "
                "(`git rev-parse refs/ci-ml/seen/ledger`), and `ci-ml audit verify` tells whether it then holds",
            )


def _refuse_elsewhere(model: str, state: State, registry: Registry) -> None:
    """Raises UsageError where the registry is another than that of the ledger's last word.

    One that has moved, or has several addresses, is known by what its version was tagged with.
    """
    last = state.done[-1] if state.done else None
    if last is None or last.what.version is None or last.what.mlflow.uri in (None, registry.address):
        return
    found = registry.marks(model, last.what.version)
    same = (last.what.version, last.what.outputs)
    before = () if registry.keeps_aliases else state.done  # GitLab's tags stay what they were first
    ours = {last.entry, *(step.entry for step in before if (step.what.version, step.what.outputs) == same)}
    if isinstance(found, Gap) or found.get(ENTRY) not in ours:
        raise UsageError(
            f"the last that the ledger has of {model}, version {last.what.version} since {_when(last)}, is at "
            f"{last.what.mlflow.uri}, and this is {registry.address}, which has not got it",
            f"set {ADDRESS} to the first; a model that is in two registries has a name for each under `registry` in "
            "ci-ml.yaml; --force begins anew here",
        )


def _is_it(holder: Step, version: str, around: Around) -> bool:
    """Whether a version is what was to be set."""
    what = holder.what
    if what.version is not None:
        return what.version == version
    if version in what.previous.values():
        return False
    marks = around.registry.marks(what.model, version)
    known = {} if isinstance(marks, Gap) else marks
    return known.get(COMMIT) == what.commit and bool(what.commit)


def _begin(
    model: str,
    aliases: tuple[str, ...],
    candidate: Candidate,
    state: State,
    actual: Mapping[str, str],
    registry: Registry,
) -> Promotion:
    return Promotion(
        model=model,
        action=Action.BEGIN,
        of=Action.PROMOTE,
        after=state.last,
        aliases=aliases,
        previous={alias: actual.get(alias) for alias in aliases},
        commit=candidate.commit,
        report=candidate.report,
        policy=candidate.policy,
        verdict=candidate.verdict,
        training=candidate.training,
        outcome=candidate.outcome,
        outputs=candidate.bundle.outputs,
        change=candidate.change,
        approvals=candidate.approvals,
        waivers=candidate.waivers,
        mlflow=RunPart(uri=registry.address),
    )


def _stays(
    model: str,
    aliases: tuple[str, ...],
    candidate: Candidate,
    state: State,
    actual: Mapping[str, str],
    around: Around,
) -> Moved | None:
    """What is said where nothing is to be done: it is there already, was taken back, or is older than what is there."""
    outputs = candidate.bundle.outputs
    previous = {alias: actual.get(alias) for alias in aliases}
    # Each alias by itself: one that nothing has set, or that was moved by hand, blocks nothing and excuses nothing.
    last = {
        alias: step for alias in aliases if (step := state.set_by(alias)) and actual.get(alias) == step.what.version
    }
    steps = list(last.values())
    version = steps[0].what.version if steps else None
    if len(last) == len(aliases) and all(_has(step, candidate) for step in steps):
        _tag(model, version, state, around)
        sentence = f"version {version} of {model}, which is {_words(aliases)} already, holds these very files"
        if (made := steps[-1].what.commit) and made != candidate.commit:
            sentence += f": {candidate.commit[:7]} changes nothing of what {made[:7]} has promoted"
        return Moved(model=model, version=version, previous=previous, sentence=sentence, changed=False)
    for alias, step in last.items():
        version = step.what.version
        if back := next((one for one in _taken_back(alias, state) if _left(one, alias, state) == outputs), None):
            why = f"{back.what.why} ({_when(back)})" if back.what.why else _when(back)
            sentence = f"{alias} of {model} was taken back from these very files: {why}; --force"
            return Moved(model=model, version=version, previous=previous, sentence=sentence, changed=False)
        if step.what.commit and around.is_newer(candidate.commit, step.what.commit):
            sentence = (
                f"version {version} of {model} was made by {step.what.commit[:7]}, which comes after "
                f"{candidate.commit[:7]}: `ci-ml rollback` goes back"
            )
            return Moved(model=model, version=version, previous=previous, sentence=sentence, changed=False)
    return None


def _has(step: Step, candidate: Candidate) -> bool:
    """Whether what set an alias was these very files, and the same gates had let them pass.

    Other gates are evidence that the ledger has to have of what is in production: they are entered, and nothing moves.
    """
    return step.what.outputs == candidate.bundle.outputs and step.what.policy == candidate.policy


def _taken_back(alias: str, state: State) -> Iterator[Step]:
    """The rollbacks of an alias since it was last promoted, the newest first."""
    mine = (step for step in reversed(state.done) if alias in step.what.aliases)
    return itertools.takewhile(lambda step: step.what.action is Action.ROLLBACK, mine)


def _left(step: Step, alias: str, state: State) -> Mapping[str, str] | None:
    """The files of the version that a rollback went away from."""
    away = step.what.previous.get(alias)
    made = state.of_version(away) if away else None
    return made.what.outputs if made else None


def _refuse_moved(model: str, aliases: tuple[str, ...], state: State, actual: Mapping[str, str]) -> None:
    for alias, (expected, there) in moved(state, actual, aliases).items():
        step = state.set_by(alias)
        since = f" since {_when(step)}" if step else ""
        raise Overtaken(
            f"{alias} of {model} was {f'moved by hand: it is version {there}' if there else 'deleted by hand'}, and by "
            f"the ledger it is version {expected}{since}",
            f"find out who has; `ci-ml history {model}` tells what the ledger knows, --force takes it as it is",
        )


def _refuse_turn(model: str, state: State, begun: Step | None, now: dt.datetime) -> None:
    holder = state.holder
    if holder is None or begun is not None or now - holder.at >= LEASE:
        return
    commit = f" of {holder.what.commit[:7]}" if holder.what.commit else ""
    who = f" by {holder.by}" if holder.by else ""
    where = f" in {holder.run_url}" if holder.run_url else ""
    until = holder.at + LEASE
    raise Overtaken(
        f"a {NOUNS[holder.what.of]}{commit} of {model} to {_words(holder.what.aliases)}{who} is under way since "
        f"{_moment(holder.at)}{where}",
        f"wait until it has ended; if it was killed, the same command again ({_command(holder.what)}) finishes it at "
        f"once, and this one may go on from {_moment(until)}, in {_minutes(until - now)}; --force does not wait, and a "
        "rollback need not",
    )


def _command(what: Promotion) -> str:
    """What somebody has to run, and where, to go on with what was begun."""
    option = f"--to {','.join(what.aliases)}" if what.of is Action.PROMOTE else f"--alias {what.aliases[0]}"
    where = f" at {what.commit[:7]}" if what.commit and what.of is Action.PROMOTE else ""
    return f"`ci-ml {what.of} {what.model} {option}`{where}"


def _minutes(span: dt.timedelta) -> str:
    whole = -(-span // dt.timedelta(minutes=1))  # rounded up
    return "1 minute" if whole == 1 else f"{whole} minutes"


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _finished(begun: Step, version: str, digest: Mapping[str, str], around: Around) -> Moved:
    """Set the aliases, say that it is done, and tag the version."""
    what = begun.what
    with _abandoned(begun, digest, around) as untouched:
        _require_turn(begun, around)
        actual = around.registry.targets(what.model) if around.registry.keeps_aliases else dict(what.previous)
        for alias in what.aliases:
            there = actual.get(alias)
            if there not in (version, what.previous.get(alias)) and not what.forced:
                _require_turn(begun, around)  # it may have been somebody's turn since
                raise Overtaken(
                    f"{alias} of {what.model} was moved by hand just now: it was version {what.previous.get(alias)}, "
                    f"and it is version {there}",
                    "find out who has, and run this again; --force takes it as it is",
                )
        for alias in what.aliases:
            if actual.get(alias) != version:
                untouched.clear()
                around.registry.point(what.model, alias, version)
    try:
        end = _end(begun, version, digest, around)
    except Overtaken:
        _mended(begun, version, around)
        raise
    return _done(end, around)


def _done(end: Step, around: Around) -> Moved:
    """What has come to its end; its version is tagged with the entry that says so."""
    what = end.what
    assert what.version is not None
    around.registry.mark(what.model, what.version, _tags(end))
    before = ", ".join(f"{alias} was {f'version {old}' if old else 'nothing'}" for alias, old in what.previous.items())
    sentence = f"version {what.version} of {what.model} is {_words(what.aliases)} ({before})"
    has_moved = what.of is Action.ROLLBACK or any(old != what.version for old in what.previous.values())
    if not has_moved:
        sentence = (
            f"version {what.version} of {what.model}, which is {_words(what.aliases)} already, holds these very files: "
            f"the ledger has by which gates they pass at {(what.commit or '')[:7]}"
        )
    return Moved(
        model=what.model,
        version=what.version,
        previous=dict(what.previous),
        sentence=sentence,
        changed=has_moved,
        record=end.record,
        entry=end.entry,
    )


def _end(begun: Step, version: str, digest: Mapping[str, str], around: Around) -> Step:
    done = {"action": begun.what.of, "begun": begun.record, "after": begun.record, "version": version}
    return around.ledger.enter(begun.what.model_copy(update=done), digest, begun.record)


def _tags(end: Step) -> dict[str, str]:
    known = {ENTRY: end.entry, REPORT: end.what.report, COMMIT: end.what.commit}
    return {key: value for key, value in known.items() if value}


def _require_turn(begun: Step, around: Around) -> None:
    holder = fold(around.ledger.read(begun.what.model)).holder
    if holder is None or holder.record != begun.record:
        who = f"a {NOUNS[holder.what.of]} by {holder.by or 'somebody'}" if holder else "another run"
        raise Overtaken(f"{who} has taken over {begun.what.model}", f"`ci-ml history {begun.what.model}` tells")


def _mended(begun: Step, version: str, around: Around) -> None:
    """Somebody took the turn while an alias was being set: it goes where the ledger says that it is, if it is ours."""
    state = fold(around.ledger.read(begun.what.model))
    actual = around.registry.targets(begun.what.model)
    for alias in begun.what.aliases:
        target = state.targets.get(alias)
        if state.holder is None and target and target != version and actual.get(alias) == version:
            around.registry.point(begun.what.model, alias, target)


@contextlib.contextmanager
def _abandoned(begun: Step, digest: Mapping[str, str], around: Around) -> Iterator[set[str]]:
    """What fails before an alias has moved gives the turn back; after that, only the same command again helps."""
    untouched = {"aliases"}
    try:
        yield untouched
    except CiMlError:
        if untouched:
            gone = {"action": Action.ABANDON, "begun": begun.record, "after": begun.record}
            with contextlib.suppress(DependencyError):
                around.ledger.enter(begun.what.model_copy(update=gone), digest, begun.record)
        raise


def _when(step: Step) -> str:
    who = f" by {step.by}" if step.by else ""
    return f"{step.at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC{who}"


def _words(aliases: tuple[str, ...]) -> str:
    return " and ".join(aliases)
