"""One repository, one project in it, and everything that reads them. Layer: wiring."""

import contextlib
import dataclasses
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ci_ml.adapters import context, git
from ci_ml.adapters.dvc import cache, definitions, digests
from ci_ml.core import config
from ci_ml.core.listing import some
from ci_ml.core.pipeline import Pipeline, conflicts, part
from ci_ml.core.references import Reference
from ci_ml.core.staleness import Freshness
from ci_ml.core.training import secrets
from ci_ml.core.types import Change, Gap, Revision
from ci_ml.errors import UsageError
from ci_ml.ports import Tree
from ci_ml.usecases import baseline, policy, verify
from ci_ml.usecases.evidence import Side
from ci_ml.usecases.project import Project
from ci_ml.wiring import publishing

OUTPUT = ".ci-ml"
_DVC_CONFIG = re.compile(r"(^|/)\.dvc/config$")


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One repository and one project in it, with everything that reads them.

    `lenient`: a pipeline that DVC would refuse to run is read all the same, for who helps to mend it.
    """

    project: Project
    history: git.Git
    change: Change
    env: Mapping[str, str] = field(repr=False)
    here: Path
    named: bool
    output: Path
    lenient: bool = False

    @cached_property
    def head(self) -> Revision:
        """HEAD and the work tree on top of it."""
        return baseline.head(self.history, self.change)

    @cached_property
    def head_tree(self) -> git.WorkTree:
        """The files on disk."""
        return self.history.work_tree()

    def pipeline(self, tree: Tree) -> Pipeline:
        """What DVC's files in a tree define; empty without DVC."""
        if self.project.dvc is None:
            return Pipeline()
        return part(definitions.read(tree, self.project.dvc), self.project.folder)

    @cached_property
    def head_pipeline(self) -> Pipeline:
        """The pipeline of the work tree. Raises UsageError for one that DVC would refuse to run, unless `lenient`."""
        found = self.pipeline(self.head_tree)
        if not self.lenient and (conflict := conflicts(found)):
            raise UsageError(conflict, "DVC refuses to run it: give every output one place and one owner")
        return found

    @cached_property
    def data(self) -> cache.Cache | None:
        """DVC's data; None without DVC."""
        if self.project.dvc is None:
            return None
        return cache.Cache(root=self.history.root, dvc_root=self.project.dvc, hidden=secrets(self.env))

    @cached_property
    def lock(self) -> str | None:
        """The digest of every dvc.lock in the work tree together, `sha256:…`; None when there is none."""
        return lock(self.head_tree)

    def head_side(self) -> Side:
        """The work tree."""
        return self._side(self.head, self.head_tree, self.head_pipeline, None)

    def side(self, revision: Revision) -> Side:
        """A commit."""
        assert revision.sha is not None
        tree = self.history.tree(revision.sha)
        try:
            pipeline = self.pipeline(tree)
        except UsageError as error:  # nobody can repair a commit: what does not need DVC's files is still judged
            pipeline = Pipeline(unreadable=error.what)
        return self._side(revision, tree, pipeline, revision.sha)

    def _side(self, revision: Revision, tree: Tree, pipeline: Pipeline, commit: str | None) -> Side:
        return Side(
            project=self.project, revision=revision, tree=tree, pipeline=pipeline, data=self.data, commit=commit
        )

    def freshness(self) -> tuple[Freshness, ...]:
        """What dvc.lock is worth for every stage of the work tree."""
        pipeline = self.head_pipeline
        if not pipeline.stages:
            return ()
        names = self.head_tree.files()
        written = [name for name in names if name.endswith((".dvc", "dvc.lock"))]
        facts = digests.Digests(
            root=self.history.root,
            outputs={path: out for path, (out, _) in pipeline.outputs().items()},
            stamp=max(((self.history.root / name).stat().st_mtime for name in written), default=0.0),
            ignore=digests.ignore_rules(self.head_tree, self.project.dvc or ""),
        )
        return verify.verify(self.head_tree, pipeline, facts, cache.python_params)

    def base(self, explicit: str | None) -> Revision:
        """The commit to compare with."""
        if not explicit and self._is_trained_anew():
            return dataclasses.replace(
                self.head, dirty=False, why="HEAD, whose recorded results its training anew is compared with"
            )
        if explicit:
            return baseline.resolve(self.history, "auto", explicit, self.head, self.change, self._promoted)
        try:
            anchor = baseline.resolve(self.history, "auto", None, self.head, self.change)
        except UsageError:
            configured = self._configured_baseline(None)
            if configured == "auto":
                raise
        else:
            configured = self._configured_baseline(anchor)
            if configured == "auto":
                return anchor
        return baseline.resolve(self.history, configured, None, self.head, self.change, self._promoted)

    def _promoted(self, reference: Reference) -> str | Gap:
        """The commit of the model that has an alias. Raises DependencyError when MLflow is down."""
        from ci_ml.wiring import production

        return production.commit(self, reference)

    def _is_trained_anew(self) -> bool:
        """Whether nothing changed but machines and packages, and every stage runs to see what that does."""
        if not self.change.is_scheduled or not self.head_pipeline.stages:
            return False
        loaded = policy.load(self.head_tree, self.project.config, self.project.config)
        return loaded is None or (loaded.config.baseline == "auto" and loaded.config.train.when != "never")

    def _configured_baseline(self, anchor: Revision | None) -> str:
        """What the base's configuration says, so that a change cannot pick its own opponent; else the head's."""
        path = self.project.config
        loaded = None
        if anchor is not None and anchor.sha is not None:
            with contextlib.suppress(UsageError):  # policy.choose explains a broken file
                loaded = policy.load(self.history.tree(anchor.sha), path, f"{path} at {anchor.short}")
        loaded = loaded or policy.load(self.head_tree, path, path)
        return loaded.config.baseline if loaded else "auto"


def find(
    config_file: str | None, output: str | None, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Workspace:
    """Find the repository and the project around the current folder.

    The project is where the configuration is: the file named, else the nearest ci-ml.yaml upwards, else this folder.
    Raises UsageError outside a repository, or when the named file is not in one.
    """
    env = dict(os.environ if env is None else env)
    here = (cwd or Path.cwd()).resolve()
    named = (here / config_file) if config_file else None
    if named is not None and not named.parent.is_dir():
        raise UsageError(f"there is no folder {named.parent}", "check --config")
    repository = git.find(named.parent if named else here, env)
    root, change = repository.root.resolve(), context.read(env)
    # The file itself is not followed if it is a link, or a change could lead elsewhere by replacing it with one.
    place = named.parent.resolve() / named.name if named else _nearest(here, root)
    return Workspace(
        project=_project(place, root),
        here=here,
        named=named is not None,
        history=git.Git(root=root, env=repository.env, access=publishing.access(change, env)),
        change=change,
        env=env,
        output=(here / output) if output else place.parent / OUTPUT,
    )


def _project(place: Path, root: Path) -> Project:
    folder = place.parent.relative_to(root).as_posix()
    return Project(
        root=root,
        folder="" if folder == "." else folder,
        dvc=_dvc_root(place.parent, root),
        config=place.relative_to(root).as_posix(),
    )


def _nearest(here: Path, root: Path) -> Path:
    for folder in (here, *here.parents):
        if (folder / config.FILE_NAME).is_file():
            return folder / config.FILE_NAME
        if folder == root:
            break
    return here / config.FILE_NAME


def _dvc_root(folder: Path, root: Path) -> str | None:
    for place in (folder, *folder.parents):
        if (place / ".dvc").is_dir():
            relative = place.relative_to(root).as_posix()
            return "" if relative == "." else relative
        if place == root:
            break
    return None


def lock(tree: Tree) -> str | None:
    """The digest of every dvc.lock in a tree together, `sha256:…`; None when there is none."""
    locks = sorted(name for name in tree.files() if name.endswith("dvc.lock"))
    contents = [data for data in tree.read(locks).values() if isinstance(data, bytes)]
    return f"sha256:{hashlib.sha256(b''.join(contents)).hexdigest()}" if contents else None


def settled(space: Workspace, explicit: str | None, *, first: bool = False) -> tuple[Workspace, Revision]:
    """The base, and the project that the base has here.

    With `first` the very first commit is compared with itself, as it is before its stages have run.

    Which ci-ml.yaml counts is up to the base, like what is in it: a change that adds a nearer one, or deletes it, is
    still judged by the one that was there.
    """
    if not space.named:
        with contextlib.suppress(UsageError):  # space.base says it, below
            anchor = baseline.resolve(space.history, "auto", explicit, space.head, space.change)
            assert anchor.sha is not None
            known = space.history.tree(anchor.sha).files()
            place = next((path for path in _upwards(space.here, space.project.root) if path in known), None)
            if place is not None and place != space.project.config:
                space = _located(space, space.project.root / place)
    try:
        return space, space.base(explicit)
    except baseline.FirstCommit:
        if not first:
            raise
        return space, dataclasses.replace(space.head, dirty=False, why="the first commit, before it was trained")


def _upwards(here: Path, root: Path) -> Iterator[str]:
    """Where a ci-ml.yaml may be: in this folder and in every one around it, relative to the repository's root."""
    for folder in (here, *here.parents):
        yield (folder / config.FILE_NAME).relative_to(root).as_posix()
        if folder == root:
            return


def _located(space: Workspace, place: Path) -> Workspace:
    project = _project(place, space.project.root)
    output = (
        place.parent / OUTPUT if space.output == space.project.root / space.project.folder / OUTPUT else space.output
    )
    return dataclasses.replace(space, project=project, output=output)


def require_dvc(space: Workspace) -> str:
    """The folder that holds .dvc. Raises UsageError when there is none."""
    if space.project.dvc is None:
        where = space.project.root / space.project.folder
        others = sorted({name.partition(".dvc/")[0] for name in space.head_tree.files() if _DVC_CONFIG.search(name)})
        known = f"run this in one of: {some(others, 5)}" if others else "start one with `dvc init`"
        raise UsageError(f"there is no DVC project in {where}", known)
    return space.project.dvc
