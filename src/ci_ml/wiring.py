"""Where environment, adapters and use cases meet; the only place that reads the environment. Layer: wiring."""

import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import sys
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TextIO

from ci_ml.adapters import console, context, environment, examples, files, git, mlflow, proc
from ci_ml.adapters.dvc import cache, commands, definitions, digests, repro
from ci_ml.core import config
from ci_ml.core.pipeline import Pipeline, conflicts, part
from ci_ml.core.report import Report
from ci_ml.core.report import load as load_report
from ci_ml.core.staleness import Freshness
from ci_ml.core.training import Event, Training, secrets
from ci_ml.core.types import Change, Revision
from ci_ml.core.verdict import EXIT_CODES
from ci_ml.errors import DependencyError, UsageError
from ci_ml.ports import Tree
from ci_ml.usecases import baseline, check, difference, policy, train, verify
from ci_ml.usecases.evidence import Side
from ci_ml.usecases.project import Project

OUTPUT = ".ci-ml"
DVC_CONFIG = re.compile(r"(^|/)\.dvc/config$")
TRAINING = "training.json"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One repository and one project in it, with everything that reads them."""

    project: Project
    history: git.Git
    change: Change
    env: Mapping[str, str] = field(repr=False)
    here: Path
    named: bool
    output: Path

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
        """The pipeline of the work tree."""
        return self.pipeline(self.head_tree)

    @cached_property
    def data(self) -> cache.Cache | None:
        """DVC's data; None without DVC."""
        if self.project.dvc is None:
            return None
        return cache.Cache(root=self.history.root, dvc_root=self.project.dvc, hidden=secrets(self.env))

    @cached_property
    def lock(self) -> str | None:
        """The digest of every dvc.lock in the work tree together, `sha256:…`; None when there is none."""
        locks = sorted(name for name in self.head_tree.files() if name.endswith("dvc.lock"))
        contents = [data for data in self.head_tree.read(locks).values() if isinstance(data, bytes)]
        return f"sha256:{hashlib.sha256(b''.join(contents)).hexdigest()}" if contents else None

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
        if explicit:
            return baseline.resolve(self.history, "auto", explicit, self.head, self.change)
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
        return baseline.resolve(self.history, configured, None, self.head, self.change)

    def _configured_baseline(self, anchor: Revision | None) -> str:
        """What the base's configuration says, so that a change cannot pick its own opponent; else the head's."""
        path = self.project.config
        loaded = None
        if anchor is not None and anchor.sha is not None:
            with contextlib.suppress(UsageError):  # policy.choose explains a broken file
                loaded = policy.load(self.history.tree(anchor.sha), path, f"{path} at {anchor.short}")
        loaded = loaded or policy.load(self.head_tree, path, path)
        return loaded.config.baseline if loaded else "auto"


def workspace(
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
    root = repository.root.resolve()
    # The file itself is not followed if it is a link, or a change could lead elsewhere by replacing it with one.
    place = named.parent.resolve() / named.name if named else _nearest(here, root)
    return Workspace(
        project=_project(place, root),
        here=here,
        named=named is not None,
        history=git.Git(root=root, env=repository.env),
        change=context.read(env),
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


def settled(space: Workspace, explicit: str | None) -> tuple[Workspace, Revision]:
    """The base, and the project that the base has here.

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
    return space, space.base(explicit)


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


def run_ci(space: Workspace, base: str | None, prefer: Literal["base", "head"], stream: TextIO) -> Report:
    """Train, then judge. What would make the judgement impossible is found out before anything is trained."""
    space, against = settled(space, base)
    assert against.sha is not None
    chosen = policy.choose(space.history.tree(against.sha), space.head_tree, space.project.config, against, prefer)
    if space.project.dvc is not None:  # what is trained is part of the policy: a change cannot leave stages out
        own = policy.load(space.head_tree, space.project.config, space.project.config)
        track = (own or chosen).config.train.track
        run_training(space, stream, chosen.config.train.model_copy(update={"track": track}))
    trained = dataclasses.replace(space)  # the files have changed: forget what was read of them
    return judge(trained, against, prefer)


def run_check(space: Workspace, base: str | None, prefer: Literal["base", "head"]) -> Report:
    """Judge the work tree, and write report.json."""
    space, against = settled(space, base)
    return judge(space, against, prefer)


def judge(space: Workspace, against: Revision, prefer: Literal["base", "head"]) -> Report:
    """Judge the work tree against a commit, and write report.json."""
    recorded = space.output / TRAINING
    training = check.training_part(recorded.read_bytes(), space.lock) if recorded.is_file() else None
    report = check.check(
        check.Question(
            base=space.side(against),
            head=space.head_side(),
            prefer=prefer,
            freshness=space.freshness,
            training=training,
        )
    )
    files.write(space.output / "report.json", report.to_json())
    return report


def run_diff(
    space: Workspace, base: str | None, head: str | None, *, unchanged: bool
) -> tuple[Revision, Revision, difference.Difference]:
    """What differs between two revisions, or between a revision and the work tree."""
    if head is None:
        against = _diff_base(space, base)
        other = space.head_side()
    else:
        sha = space.history.commit(head)
        if sha is None:
            raise UsageError(f"{head} is not a commit of this clone", "check --head")
        other = space.side(Revision(sha=sha, ref=head, why="named with --head"))
        at = Revision(sha=sha, dirty=True)  # diff never blocks: the same commit on both sides is an empty diff
        if base is None and not space.history.parents(sha):
            raise UsageError(
                f"{head} is the first commit: there is nothing before it", "name the other side: --base REV"
            )
        against = baseline.resolve(space.history, "auto", base or f"{sha}^", at, space.change)
    found = difference.difference(space.side(against), other, unchanged=unchanged)
    return against, other.revision, found


def _diff_base(space: Workspace, base: str | None) -> Revision:
    if base is None:
        return space.base(None)
    anywhere = Revision(sha=space.head.sha, dirty=True)
    return baseline.resolve(space.history, "auto", base, anywhere, space.change)


def run_training(
    space: Workspace, stream: TextIO, chosen: config.TrainConfig | None = None, targets: Sequence[str] = ()
) -> Training:
    """Reproduce what is stale, as `chosen` or else the work tree's ci-ml.yaml says, and write training.json.

    Raises StageFailed or DependencyError when it fails, OutOfDate when `train.when` is never and dvc.lock is stale.
    """
    require_dvc(space)
    files.make_output(space.output)
    if chosen is None:
        loaded = policy.load(space.head_tree, space.project.config, space.project.config)
        chosen = loaded.config.train if loaded else config.TrainConfig()
    stages = space.head_pipeline.stages
    if chosen.when == "never":
        check.refuse_stale(verify.stale(space.freshness()))
    mark = uuid.uuid4().hex
    env = mlflow.stage_environment(space.env, mark) if chosen.track else dict(space.env)
    folder = space.project.root / space.project.folder
    events: Iterator[Event] = iter(())
    if chosen.when != "never":
        events = repro.reproduce(folder, targets or chosen.targets, force=chosen.when == "always", env=env)
    with console.display(stream, len(stages)) as display, contextlib.closing(_generator(events)) as running:
        return train.train(
            train.Job(
                head=space.head,
                run_url=space.change.run_url,
                mark=mark,
                events=running,
                show=display.show,
                environment=lambda: environment.read(
                    folder, (line for stage in stages for line in stage.command), space.env
                ),
                result=lambda: _trained(space),
                save=lambda record: files.write(space.output / TRAINING, record.to_json()),
                notice=lambda text: print(f"note: {text}", file=stream),
                tracker=_tracker(space) if chosen.track else None,
                hidden=secrets(space.env),
            )
        )


def _generator(events: Iterator[Event]) -> Generator[Event]:
    """Events that can be closed, which stops the training behind them."""
    yield from events


def _trained(space: Workspace) -> tuple[Pipeline, str | None, Mapping[str, float]]:
    """The pipeline, the digest of dvc.lock and the numbers, read anew after a training."""
    after = dataclasses.replace(space)
    return after.head_pipeline, after.lock, difference.numbers(after.head_side())


def _tracker(space: Workspace) -> mlflow.Tracking:
    name = space.env.get("MLFLOW_EXPERIMENT_NAME") or space.project.root.name
    return mlflow.Tracking(uri=space.env.get("MLFLOW_TRACKING_URI") or None, folder=space.output, experiment=name)


def run_verify(space: Workspace) -> tuple[Freshness, ...]:
    """What dvc.lock is worth for every stage.

    Raises UsageError where there is no DVC project, or when DVC would refuse its files.
    """
    definitions.validate(space.head_tree, require_dvc(space))
    if conflict := conflicts(space.head_pipeline):
        raise UsageError(conflict, "DVC refuses to run it: give every output one place and one owner")
    return space.freshness()


def require_dvc(space: Workspace) -> str:
    """The folder that holds .dvc. Raises UsageError when there is none."""
    if space.project.dvc is None:
        where = space.project.root / space.project.folder
        others = sorted({name.partition(".dvc/")[0] for name in space.head_tree.files() if DVC_CONFIG.search(name)})
        known = f"run this in one of: {', '.join(others[:5])}" if others else "start one with `dvc init`"
        raise UsageError(f"there is no DVC project in {where}", known)
    return space.project.dvc


def read_report(path: Path) -> Report:
    """A report from its file. Raises UsageError or ConfigError when it is not one."""
    try:
        return load_report(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise UsageError(
            f"there is no report {path}", "`ci-ml check` writes one, or name it: ci-ml report FILE"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def exit_code(report: Report) -> int:
    """The exit code of a report's verdict."""
    return EXIT_CODES[report.verdict.outcome]


# Another repository's, server's or CI job's settings have no place in the demo, which is about itself.
_NOT_FOR_DEMO = re.compile(r"(GITHUB_|GITLAB_|CI_|MLFLOW_|DVC_(?!SITE_CACHE_DIR))\w+|CI")


def run_demo(output: Path, stream: TextIO, *, width: int, color: bool) -> None:
    """Build the demo project in `output`, and show what ci-ml says about it.

    Raises UsageError when something is missing or `output` is somebody else's, before anything is touched.
    """
    from ci_ml.usecases import demo  # it renders: no other command pays for that

    folder = Path.cwd() / output
    example = examples.source(demo.EXAMPLE)
    shop = _Workshop(folder=folder, env=_demo_environment(folder))
    _require_for_demo(shop.env)
    examples.claim(folder)
    examples.copy(example, folder)

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    named = shlex.quote(str(output))
    demo.demo(shop, demo.Screen(write=write, width=width, color=color, folder=named, activate=_activation()))


def _demo_environment(folder: Path) -> dict[str, str]:
    """This environment with ci-ml's interpreter as `python`, and with no settings for git and DVC but the demo's."""
    kept = {name: value for name, value in os.environ.items() if not _NOT_FOR_DEMO.fullmatch(name)}
    nowhere = str(folder / ".git" / "no-config")
    identity = {f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in _DEMO_AUTHOR.items()}
    return proc.environment(
        kept,
        **identity,
        PATH=os.pathsep.join(filter(None, (str(Path(sys.executable).parent), kept.get("PATH")))),
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_CONFIG_NOSYSTEM="1",
        DVC_NO_ANALYTICS="1",
        DVC_GLOBAL_CONFIG_DIR=nowhere,
        DVC_SYSTEM_CONFIG_DIR=nowhere,
    )


_DEMO_AUTHOR = {"NAME": "ci-ml demo", "EMAIL": "demo@ci-ml.invalid"}


def _require_for_demo(env: Mapping[str, str]) -> None:
    if importlib.util.find_spec("sklearn") is None:
        raise UsageError("the demo trains with scikit-learn, which is not installed", "pip install 'ci-ml[demo]'")
    if shutil.which("python", path=str(Path(sys.executable).parent)) is None:
        where = Path(sys.executable).parent
        raise UsageError(
            f"the demo's stages call `python`, and {where} has none", "install ci-ml in a virtual environment"
        )
    proc.run(["git", "--version"], cwd=Path.cwd(), env=env)


def _activation() -> str | None:
    """The command that puts this environment on PATH, where it is a virtual environment and not active."""
    script = Path(sys.prefix) / "bin" / "activate"
    if sys.prefix in (sys.base_prefix, os.environ.get("VIRTUAL_ENV")) or not script.is_file():
        return None
    near = script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script
    return f"source {shlex.quote(str(near))}"


@dataclass(frozen=True, kw_only=True)
class _Workshop:
    """The demo's folder, and the parts of ci-ml that work in it."""

    folder: Path
    env: Mapping[str, str] = field(repr=False)

    def git(self, *arguments: str) -> None:
        git.Git(root=self.folder, env=self.env).tell(*arguments)

    def hide(self, *names: str) -> None:
        examples.hide(self.folder, examples.MARKER, *names)

    def dvc(self, *run: Sequence[str]) -> None:
        commands.run(run, cwd=self.folder, env=self.env)

    def python(self, script: str) -> None:
        done = proc.run(["python", script], cwd=self.folder, env=self.env)
        if done.code != 0:
            raise DependencyError(f"python {script} failed: {done.err[-500:]}")

    def edit(self, path: str, old: str, new: str) -> None:
        examples.replace(self.folder / path, old, new)

    def train(self) -> Training:
        return run_training(self._space(), io.StringIO())

    def numbers(self) -> Mapping[str, float]:
        return difference.numbers(self._space().head_side())

    def check(self) -> Report:
        return run_check(self._space(), None, "base")

    def _space(self) -> Workspace:
        return workspace(None, None, cwd=self.folder, env=self.env)
