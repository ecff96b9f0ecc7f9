"""Test sets: how often they were looked at, and turning to a new one. Layer: wiring."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from ci_ml.core import testsets
from ci_ml.core.config import Config
from ci_ml.core.statements import Kind
from ci_ml.core.testsets import Look, Rotation, TestSetConfig
from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Gap
from ci_ml.errors import CiMlError, DependencyError, UsageError
from ci_ml.usecases import policy
from ci_ml.usecases import testsets as reading
from ci_ml.wiring import chronicle, gathered
from ci_ml.wiring.workspace import Workspace

_WHY = 2000


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A test set as it is now; `digest` and `looks` are None where it is not there."""

    name: str
    config: TestSetConfig
    digest: str | None
    looks: int | None
    rotations: tuple[Rotation, ...] = ()


def known(space: Workspace) -> tuple[tuple[Look, ...], tuple[Rotation, ...]] | Gap:
    """Every look and rotation in the ledger, and in the records that lie here; or why nobody can say."""
    try:
        found = gathered.records(space, Kind.VERDICT, Kind.ROTATION)
        if found.trouble is not None:
            return Gap(reason=found.trouble)
        return testsets.looks(found.records), testsets.rotations(found.records)
    except CiMlError as error:
        return Gap(reason=redact(error.what, secrets(space.env)))
    except ValueError as error:
        return Gap(reason=str(error))


def show(space: Workspace, asked: str | None = None) -> tuple[Standing, ...]:
    """Each test set of the work tree's ci-ml.yaml, or the one that is asked for.

    Raises UsageError for one that is not there, DependencyError when the ledger cannot be read.
    """
    whole = _configured(space)
    config = {name: one for name, one in whole.testsets.items() if asked is None or name == _named(space, whole, asked)}
    looked, turned = _told(known(space))
    found = reading.digests(space.head_side(), config)
    return tuple(
        Standing(
            name=name,
            config=asked,
            digest=found.get(name),
            looks=testsets.count(looked, found[name]) if name in found else None,
            rotations=tuple(one for one in turned if one.name == name),
        )
        for name, asked in config.items()
    )


def rotate(space: Workspace, asked: str, why: str) -> tuple[Rotation, str | None]:
    """Record that a test set has new rows, and why: in the ledger, where this may write it.

    It is asked for by its name, its path, or the table of predictions on it.

    Returns why it is not there yet, None when it is: then the next `ci-ml audit record` enters it. Raises UsageError
    for one that is not new.
    """
    why = why.strip()
    if not why:
        raise UsageError("a rotation without a reason tells an auditor nothing", "--why 'the labels of June'")
    if len(why) > _WHY:
        raise UsageError(f"--why has more than {_WHY:,} characters", "link to what is longer")
    whole = _configured(space)
    config, name = whole.testsets, _named(space, whole, asked)
    digest = reading.digests(space.head_side(), config).get(name)
    if digest is None:
        raise UsageError(f"testsets.{name}: {config[name].path} is not there", "`dvc pull` it, or check the path")
    looked, turned = _told(known(space))
    before = _before(name, digest, looked, turned)
    rotation = Rotation(
        name=name,
        before=before,
        digest=digest,
        looks=testsets.count(looked, before) if before else 0,
        why=why,
        by=chronicle.actor(space),
        commit=space.head.sha,
    )
    record = testsets.rotated(rotation)
    chronicle.keep(space, record)
    try:
        chronicle.enter(space, [record])
    except DependencyError as error:
        return rotation, redact(error.what, secrets(space.env))
    return rotation, None


def _before(name: str, digest: str, looked: Sequence[Look], turned: Sequence[Rotation]) -> str | None:
    """The content that the test set had until now. Raises UsageError when that is what it has, or has had before."""
    if any(one.name == name and one.digest == digest for one in turned):
        raise UsageError(f"the rotation of {name} to these rows is recorded already", "`ci-ml testset show` has it")
    if seen := testsets.count(looked, digest):
        times = "once" if seen == 1 else f"{seen:,} times"
        raise UsageError(
            f"the rows of {name} have been looked at {times}: they are not new",
            "put other rows into its file (`dvc add` or commit it), then rotate",
        )
    earlier = [look.digest for look in looked if look.name == name]
    return earlier[-1] if earlier else None


def _told(
    found: tuple[tuple[Look, ...], tuple[Rotation, ...]] | Gap,
) -> tuple[tuple[Look, ...], tuple[Rotation, ...]]:
    if isinstance(found, Gap):
        raise DependencyError(
            f"how often test sets were looked at is not known: {found.reason}", "`ci-ml audit verify`"
        )
    return found


def _named(space: Workspace, config: Config, asked: str) -> str:
    """The test set of this name; else the one with this path, or with that of the predictions of this name."""
    if asked in config.testsets:
        return asked
    table = config.predictions.get(asked)
    path = posixpath.normpath(table.path if table and table.path else asked)
    found = [name for name, one in config.testsets.items() if one.path == path]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{asked} is the test sets {' and '.join(found)}", "name one of them")
    known = f"there are: {', '.join(config.testsets)}"
    raise UsageError(f"there is no test set {asked} in {space.project.config}", known)


def _configured(space: Workspace) -> Config:
    loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    if loaded is None or not loaded.config.testsets:
        raise UsageError(
            f"{space.project.config} names no test set", "testsets: {test: {path: data/test.csv, looks: 64}}"
        )
    return loaded.config
