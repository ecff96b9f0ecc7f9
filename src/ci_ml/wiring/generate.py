"""`ci-ml generate`: writing and checking CI files. Layer: wiring."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from ci_ml import __version__
from ci_ml.adapters import files, templates
from ci_ml.adapters.dvc import definitions
from ci_ml.core import config
from ci_ml.core.generated import Generated, Surplus
from ci_ml.core.includes import Entry
from ci_ml.core.lacking import Lack
from ci_ml.core.resolve import Surroundings
from ci_ml.core.types import Gap
from ci_ml.core.workflow import ForgeKind, Job, PipelineSpec
from ci_ml.errors import UsageError
from ci_ml.usecases import check, generate, policy
from ci_ml.wiring.workspace import Workspace

# What `branch` is by default: not asked of git, for a clone in CI knows no other branch than its own.
BRANCH = "main"
_HOME = "ci-ml/ci-ml"
_ADDRESS = "https://github.com/ci-ml/ci-ml.git"


def sources(space: Workspace, chosen: config.Config | None = None) -> generate.Sources:
    """What the files of this work tree are made from. Raises UsageError when there is no ci-ml.yaml."""
    if chosen is None:
        loaded = policy.load(space.head_tree, space.project.config, space.project.config)
        if loaded is None:
            raise UsageError(f"there is no {space.project.config}", "`ci-ml init` writes one")
        chosen = loaded.config
    return generate.Sources(
        config=chosen,
        pipeline=space.head_pipeline,
        around=_surroundings(space, chosen),
        tree=space.head_tree,
        templates=templates.builtin(),
        inside=space.project.inside,
    )


def _surroundings(space: Workspace, chosen: config.Config) -> Surroundings:
    return Surroundings(
        files=space.head_tree.files(),
        read=lambda path: _read(space, path),
        folder=space.project.folder,
        config=space.project.config,
        name=check.report_name(space.project, chosen.name),
        branch=BRANCH,
        remote=None if space.project.dvc is None else definitions.default_remote(space.head_tree, space.project.dvc),
        action=_ACTION,
        version=__version__,
    )


def _read(space: Workspace, path: str) -> str:
    data = space.head_tree.read([path])[path]
    return "" if isinstance(data, Gap) else data.decode("utf-8", "replace")


# The same for every installation of a version, so that `--check` says the same everywhere; `action` may pin a commit.
_ACTION = {ForgeKind.GITHUB: f"{_HOME}@v{__version__}", ForgeKind.GITLAB: f"{_ADDRESS}@v{__version__}"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The files that do not say what they should, those that are there for nothing, and whether GitLab reads ours.

    `lacks` are what jobs will miss for all that.
    """

    changed: tuple[Generated, ...]
    surplus: tuple[Surplus, ...]
    entry: Entry
    lacks: tuple[Lack, ...] = ()

    @property
    def current(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.changed or self.surplus or self.entry.absent or self.entry.dangling)


def run(space: Workspace, *, force: bool) -> Outcome:
    """Write every file that does not say what it should, and take away what is needed no more."""
    found = _found(space, force=force)
    for one in found.changed:
        files.write_tracked(space.project.root, one.path, one.text)
    for other in found.surplus:
        files.remove_tracked(space.project.root, other.path)
    return found


def checked(space: Workspace) -> Outcome:
    """What `run` would do; nothing is written."""
    return _found(space, force=True)


def _found(space: Workspace, *, force: bool) -> Outcome:
    """Raises UsageError where nothing is declared and nothing left to be mended, and where files of people clash."""
    given = sources(space)
    _may_retrain(given.config)
    if not given.config.pipelines and not (left := _outcome(given, (), force=force)).current:
        return left
    made = generate.generate(given, force=force)
    found = _outcome(given, made, force=force)
    if clashes := generate.clashes(given, made, [one.path for one in found.surplus]):
        raise UsageError(clashes[0].sentence, clashes[0].fix)
    return dataclasses.replace(found, lacks=generate.lacks(given, made))


def _may_retrain(chosen: config.Config) -> None:
    """Raises UsageError where a job that watches is to retrain: it may push nothing, and has nothing to train with."""
    asking = [name for name, about in chosen.monitor.items() if about.retrain == "fail"]
    if asking and any(pipeline.monitor for pipeline in chosen.pipelines):
        what = f"monitor.{asking[0]}.retrain in ci-ml.yaml: the generated job that watches cannot train"
        fix = "leave it out, and say `retrain: {on_drift: true}` under pipelines: that makes a job of its own"
        raise UsageError(what, fix)


def _outcome(given: generate.Sources, made: tuple[Generated, ...], *, force: bool) -> Outcome:
    gone = generate.surplus(given, made, force=force)
    paths = [one.path for one in gone]
    relisted = generate.unlisted(given, made, gone)
    return Outcome(
        changed=generate.outdated(made) + relisted,
        surplus=gone,
        entry=Entry() if relisted else generate.entry(given, made, paths),
    )


def specs(space: Workspace) -> tuple[PipelineSpec, ...]:
    """What ci-ml.yaml declares."""
    return generate.specs(sources(space))


def jobless(space: Workspace, stages: Iterable[str]) -> tuple[str, ...]:
    """Of these stages those that have no job in the committed file of the CI system that runs this; none if unknown."""
    if space.change.forge is None:
        return ()
    try:
        return generate.jobless(sources(space), ForgeKind(space.change.forge), stages)
    except UsageError:
        return ()


def jobs(space: Workspace, forge: ForgeKind = ForgeKind.GITHUB) -> tuple[Job, ...]:
    """The jobs of a forge's pipeline; none when there is no such pipeline, or it has one job for all stages."""
    found = sources(space)
    declared = generate.specs(found) if found.config.pipelines else ()
    return next((spec.jobs for spec in declared if spec.forge is forge), ())
