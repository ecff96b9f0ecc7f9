"""Training again, in a clean copy of the commit and from its record alone, to compare what comes out. Layer: wiring."""

import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ci_ml.adapters import files, restoring
from ci_ml.core import environments, reproducing, sameness, story
from ci_ml.core.config import TrainConfig
from ci_ml.core.listing import some
from ci_ml.core.pipeline import DVC_2, content_digest, covering
from ci_ml.core.reproducing import Recorded, Reproduction, Restoring
from ci_ml.core.sameness import Likeness, Measured, Sameness
from ci_ml.core.statements import Kind, Statement
from ci_ml.core.types import Gap, Revision
from ci_ml.errors import CiMlError, DependencyError, UsageError
from ci_ml.usecases import difference, policy
from ci_ml.usecases.evidence import Side
from ci_ml.wiring import chronicle, copies, gathered, repetition, standing, tables, training
from ci_ml.wiring.gathered import Gathered
from ci_ml.wiring.workspace import Workspace, require_dvc

SCRATCH = "ci-ml-reproduce-"
_CHILDREN = 1000
_HASHED = 2**30  # bytes of a lock file, which is never that long
_WHERE = "records are made by `ci-ml train` and `ci-ml ci`, and entered into the ledger by `ci-ml audit record`"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The record to train by, the commit to train at, and whether dvc.lock there is what the record made.

    `doubts` are why an alias that it was asked for by may be another version by now.
    """

    recorded: Recorded
    commit: str
    is_made: bool
    doubts: tuple[str, ...] = ()


def run(
    space: Workspace, what: str, required: Sameness, asked: Restoring | None, stream: TextIO
) -> tuple[Reproduction, Statement]:
    """Train again what a commit or a model was trained by, compare, and keep a record of what came of it.

    Everything happens in a copy in a temporary folder: the repository gets nothing but the record, however this ends.
    Raises DependencyError when it cannot be done: no record, data or environment, UsageError for what is neither a
    commit nor a model.
    """
    require_dvc(space)
    found = _find(space, what)
    for doubt in found.doubts:
        print(f"note: {doubt}", file=stream)
    print(f"note: training {found.commit[:7]} again, by the record {found.recorded.record[:14]}…", file=stream)
    with files.scratch(SCRATCH) as folder:
        copy = _copied(space, folder / "copy", found)
        _fits(copy, found)
        env, restored = _environment(copy, found, asked, folder, stream)
        inner = dataclasses.replace(copy, env=env)
        settings = TrainConfig(track=False, when="always", targets=found.recorded.targets)
        done = training.run(inner, stream, settings, kept=False)
        like, notices = _likeness(dataclasses.replace(inner), found)
    result = Reproduction(
        recorded=dataclasses.replace(found.recorded, commit=found.commit),
        likeness=like,
        environment=environments.compared(
            found.recorded.environment or Gap(reason="its record does not hold it, for no stage ran then"),
            done.environment or Gap(reason="it could not be read"),
        ),
        restored=restored,
        seconds=done.seconds,
        notices=(*notices, *_container(found.recorded, env)),
    )
    record = reproducing.reproduction(result, required)
    files.make_output(space.output)
    chronicle.keep(space, record)
    return result, record


# Which record, and which commit.


def _find(space: Workspace, what: str) -> _Found:
    sha = space.history.commit(what) if what else None
    known = gathered.records(space, Kind.TRAINING, Kind.PROMOTION)
    if sha is None:
        chosen, alias = _promotion(space, what, known)
        found = _of_model(space, what, chosen, known)
        if alias is None:
            return found
        one = standing.Standing(model=str(chosen.get("model")), alias=alias, version=str(chosen.get("version")))
        return dataclasses.replace(found, doubts=standing.doubts(space, one, known.held))
    return _of_commit(space, sha, what, known.records, known.trouble)


def _of_commit(space: Workspace, sha: str, what: str, records: Sequence[Statement], trouble: str | None) -> _Found:
    """The newest training whose dvc.lock the commit has, else the newest one of the commit itself."""
    known = [found for record in records if (found := _read(record, trouble_at=None)) is not None]
    locks = _locks(space, sha)
    same = [one for one in reversed(known) if _is_made(one, locks)]
    # A later run in which no stage had to run says the same of the model, and nothing of what it was made in.
    if best := next((one for one in same if one.environment is not None), next(iter(same), None)):
        return _Found(recorded=best, commit=sha, is_made=True)
    own = next((one for one in reversed(known) if one.commit == sha), None)
    if own is None:
        why = f"; the ledger could not be read: {trouble}" if trouble else ""
        raise DependencyError(f"there is no record of a training of {what} ({sha[:7]}){why}", _WHERE)
    return _placed(space, own, ())


def _promotion(space: Workspace, what: str, known: Gathered) -> tuple[Mapping[str, Any], str | None]:
    """The promotion of the version that an alias leads to, and that alias; production's where none is named.

    A model that was never there is what was promoted last.
    """
    promoted = [one.record.predicate for one in story.completed(known.held)]
    aliases = [] if "@" in what else [f"{what}@{alias}" for alias in standing.production(space, what)]
    fits = ((one, name) for name in [*aliases, what] for one in reversed(promoted) if reproducing.promotes(one, name))
    chosen, name = next(fits, (None, what))
    if chosen is None:
        trouble = known.trouble
        shallow = ", and this clone is shallow: `git fetch --unshallow` gets older commits"
        why = f"; the ledger could not be read: {trouble}" if trouble else ""
        raise UsageError(
            f"{what!r} is neither a commit of this clone nor a model that was promoted{why}",
            f"name a commit, MODEL, MODEL@ALIAS or MODEL/VERSION{shallow if space.history.is_shallow() else ''}",
        )
    return chosen, name.partition("@")[2] or None


def _of_model(space: Workspace, what: str, chosen: Mapping[str, Any], known: Gathered) -> _Found:
    """The training of what a promotion put in place."""
    records, trouble = known.records, known.trouble
    commit, digest = chosen.get("commit"), chosen.get("training")
    record = next((one for one in records if one.digest == digest and one.kind is Kind.TRAINING), None)
    if record is not None:
        found = _read(record, trouble_at=what)
        assert found is not None
        return _placed(space, found, [commit] if isinstance(commit, str) else [])
    sha = space.history.commit(commit) if isinstance(commit, str) else None
    if sha is None:
        raise DependencyError(f"the record of the training of {what} is not there", _WHERE)
    return _of_commit(space, sha, what, records, trouble)


def _read(record: Statement, trouble_at: str | None) -> Recorded | None:
    """What the record of a training says; None for another, or for one that is not asked about and cannot be read."""
    if record.kind is not Kind.TRAINING:
        return None
    try:
        return reproducing.recorded(record)
    except ValueError as error:
        if trouble_at is None:
            return None
        what = f"the record of the training of {trouble_at} ({record.digest[:14]}…) cannot be followed: {error}"
        raise DependencyError(what, "`ci-ml audit verify` says whether somebody edited it") from None


def _placed(space: Workspace, found: Recorded, others: Sequence[str]) -> _Found:
    """The record with the commit that has what it made, else with the one that it was trained at."""
    history = space.history
    for sha in (*others, found.commit, *_children(space, found.commit)):
        known = history.commit(sha)
        if known is not None and _is_made(found, _locks(space, known)):
            return _Found(recorded=found, commit=known, is_made=True)
    return _Found(recorded=found, commit=found.commit, is_made=False)


def _children(space: Workspace, sha: str) -> list[str]:
    """The commits right after one: `ci-ml record` commits dvc.lock there when a job has trained."""
    done = space.history.ask("log", "--all", f"--max-count={_CHILDREN}", "--format=%H %P")
    lines = done.out.decode().splitlines() if done.code == 0 else []
    return [line.split()[0] for line in lines if sha in line.split()[1:]]


def _locks(space: Workspace, sha: str) -> dict[str, str]:
    tree = space.history.tree(sha)
    names = [name for name in tree.files() if name.rpartition("/")[2] == "dvc.lock"]
    return {
        name: hashlib.sha256(data).hexdigest() for name, data in tree.read(names).items() if isinstance(data, bytes)
    }


def _is_made(found: Recorded, locks: Mapping[str, str]) -> bool:
    wanted = {path: value for path, value in found.locks.items() if path.rpartition("/")[2] == "dvc.lock"}
    return bool(wanted) and wanted.items() <= locks.items()


# The copy, and whether it is what the record is about.


def _copied(space: Workspace, root: Path, found: _Found) -> Workspace:
    try:
        return copies.copied(space, root, at=found.commit)
    except copies.NoCommit as error:
        shallow = "this clone is shallow: `git fetch --unshallow`" if space.history.is_shallow() else "`git fetch` it"
        raise DependencyError(f"{error.what}, so nothing can be trained from it", shallow) from None


def _fits(copy: Workspace, found: _Found) -> None:
    """Raises DependencyError where the commit does not have the inputs that the record names."""
    recorded = found.recorded
    wrong = reproducing.strangers(recorded, _inputs(copy, recorded.inputs))
    wrong += tuple(
        path
        for path, value in sorted(recorded.locks.items())
        if path.rpartition("/")[2] != "dvc.lock" and files.sha256(copy.project.root / path, _HASHED) != value
    )
    if not wrong:
        return
    what = f"{some(wrong, 5)} {'is' if len(wrong) == 1 else 'are'} not what commit {found.commit[:7]} has"
    if recorded.dirty:
        raise DependencyError(f"it was trained with changes that nobody committed: {what}", "train what is committed")
    raise DependencyError(
        f"the record does not fit its commit: {what}", "`ci-ml audit verify` says whether somebody edited the record"
    )


def _inputs(copy: Workspace, wanted: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The digests that the commit has of inputs, as far as it says: of what DVC tracks, and of files of git."""
    made = copy.head_pipeline.outputs()
    found: dict[str, tuple[str, ...]] = {
        path: (str(made[path][0].recorded),) for path in wanted if path in made and made[path][0].recorded
    }
    open_ = [path for path in wanted if path not in found and "://" not in path and covering(path, made) is None]
    for path, data in copy.head_tree.read(open_).items():
        if isinstance(data, bytes):
            found[path] = tuple(f"md5:{content_digest(io.BytesIO(data), kind)}" for kind in ("md5", DVC_2))
        elif data.absent:
            found[path] = ()
    return found


# In what it runs.


def _environment(
    copy: Workspace, found: _Found, asked: Restoring | None, folder: Path, stream: TextIO
) -> tuple[dict[str, str], str | None]:
    """The environment for the stages, and the lock file it was made from; None for what is here."""
    env = repetition.untracked(copy.env, folder)
    if asked is Restoring.HERE:
        return env, None
    recorded, root = found.recorded, copy.project.root
    names = {*recorded.locks, *recorded.inputs} & copy.head_tree.files()
    lock = restoring.lock_file(root, names)
    if asked is None and (lock is None or _is_here(copy, recorded)):
        return env, None
    if lock is None:
        what = f"the environment of {found.commit[:7]} cannot be restored: its record names no lock file with hashes"
        raise DependencyError(what, "commit uv.lock, or requirements.txt with --hash; --environment here goes without")
    trained = recorded.environment
    version = trained.interpreter.get("version") if trained else None
    print(f"note: the environment is restored from {lock}", file=stream)
    inner = restoring.restore(root / lock, folder / "environment", version, env, trained.packages if trained else ())
    # What installing left in the copy, such as a folder of build files, is nothing that was committed.
    return inner, lock


def _is_here(copy: Workspace, recorded: Recorded) -> bool:
    """Whether the environment that is here has the very packages of the recorded one."""
    if recorded.environment is None:
        return False
    now = training.environment_of(copy)
    same = recorded.environment.packages_digest == now.packages_digest
    return same and recorded.environment.interpreter.get("version") == now.interpreter.get("version")


def _container(recorded: Recorded, env: Mapping[str, str]) -> Iterator[str]:
    here = env.get(chronicle.CONTAINER) or env.get("CI_JOB_IMAGE")
    if recorded.container and recorded.container != here:
        yield f"it was trained in the container {recorded.container}, and now in {here or 'none that is known'}"


# What came of it.


def _likeness(after: Workspace, found: _Found) -> tuple[Likeness, tuple[str, ...]]:
    """How alike it came out; numbers are read, and tables compared, only where bytes differ."""
    later = sameness.made(after.head_pipeline)
    before = found.recorded.made(later)
    if not sameness.partings(before, later):
        return sameness.likeness(before, later, ({}, {})), ()
    if not found.is_made:
        what = "no commit has the dvc.lock that the recorded training made, so its numbers cannot be compared"
        return sameness.likeness(before, later, ({}, {})), (what,)
    original, now = after.side(Revision(sha=found.commit, why="recorded")), after.head_side()
    notices: list[str] = []
    tests = tuple(_tested(after, original, now, notices))
    numbers = (difference.numbers(original), difference.numbers(now))
    return sameness.likeness(before, later, numbers, tests), tuple(notices)


def _tested(after: Workspace, original: Side, now: Side, notices: list[str]) -> Iterator[Measured]:
    """What the paired tests say of the metrics of predictions that the commit's ci-ml.yaml has gates on."""
    config = None
    with contextlib.suppress(CiMlError):  # what is wrong with it says nothing about the training
        loaded = policy.load(after.head_tree, after.project.config, after.project.config)
        config = loaded.config if loaded else None
    if config is None or not any(gate.asked for gate in config.gates):
        return
    from ci_ml.usecases import tables as judging  # Ibis: half a second, and only where tables differ

    whole = tuple(gate.model_copy(update={"slices": None}) for gate in config.gates)
    judged = judging.judge(config.model_copy(update={"gates": whole}), original, now, tables.opener(after.env))
    for item in judged.comparisons:
        if item.contrast is None:
            notices.append(item.reason)
            yield Measured(metric=item.gate.name, before=None, after=None)
        else:
            yield sameness.measured(item.gate.name, item.contrast, item.gate.margin)
