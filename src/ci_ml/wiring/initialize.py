"""`ci-ml init`: a first ci-ml.yaml and the CI files, or an example's whole pipeline. Layer: wiring."""

import dataclasses
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ci_ml.adapters import examples, files
from ci_ml.adapters.dvc import commands, definitions
from ci_ml.core import callers, config, origin, proposal, resolve, setup
from ci_ml.core.clashes import Clash
from ci_ml.core.config import Config
from ci_ml.core.generated import Generated, merged, ours
from ci_ml.core.pipeline import conflicts
from ci_ml.core.proposal import Answer, Proposal
from ci_ml.core.setup import Setup
from ci_ml.core.staleness import State
from ci_ml.core.types import Revision
from ci_ml.core.workflow import ForgeKind, Manager
from ci_ml.errors import UsageError
from ci_ml.render import pipelines
from ci_ml.usecases import generate
from ci_ml.usecases.evidence import Side
from ci_ml.wiring import generate as generating
from ci_ml.wiring import tables
from ci_ml.wiring.workspace import Workspace

# How many earlier commits are looked at for another version of a table.
_COMMITS = 20

_IGNORED = ".gitignore"
_EXAMPLE = "`ci-ml init --example classification` (or regression) starts a pipeline that works"


def plan(space: Workspace, ask: Callable[[str], Answer], *, asked: ForgeKind | None, example: str | None) -> Setup:
    """What to write where; nothing is written. Raises UsageError when there is a ci-ml.yaml, or nothing to judge."""
    space = dataclasses.replace(space, lenient=True)  # what DVC refuses is among what is left to do
    name = space.project.config
    if name in space.head_tree.files() or (space.project.root / name).exists():
        raise UsageError(f"{name} is there already", "edit it, or take it away to have a new one proposed")
    if example is not None:
        return _example(space, asked, example)
    if below := _below(space):
        raise UsageError(
            "the DVC pipelines of this repository are in folders of their own", f"run `ci-ml init` in {below}"
        )
    from ci_ml.usecases import initialize  # Ibis: no other command pays for it

    found = initialize.propose(space.head_side(), lambda path: _before(space, path), tables.opener(space.env), ask)
    if not space.head_pipeline.stages and not found.gates and not found.tables:
        raise _nothing(space)
    return _complete(space, asked, proposal.written(found), {}, found)


def _before(space: Workspace, path: str) -> Iterator[Side]:
    """Earlier commits that changed a file, or what DVC records of it, newest first."""
    places = [
        space.project.inside(path),
        *(name for name in space.head_tree.files() if name.endswith((".dvc", "dvc.lock"))),
    ]
    listed = space.history.line("log", "--format=%H", f"--max-count={_COMMITS}", "HEAD", "--", *places) or ""
    for sha in listed.split():
        yield space.side(Revision(sha=sha))


# --- Nothing to judge -------------------------------------------------------------------------------------------------

_TRACKS = re.compile(r"^\s*(import mlflow|from mlflow\b)", re.MULTILINE)
_MOST_SCRIPTS = 500


def _nothing(space: Workspace) -> UsageError:
    """Why there is nothing to propose, and what to do about that."""
    names = space.head_tree.files()
    here = "there is no DVC pipeline, no metrics file and no table of predictions here"
    if _uses_mlflow(space, names):
        return UsageError(
            f"the numbers of this repository go to MLflow alone, which a commit knows nothing about: {here}",
            "have the evaluation also write them to a file, such as metrics.json, or a table with a row per example, "
            f"commit that, and run `ci-ml init` again; {_EXAMPLE}, to see how",
        )
    return UsageError(
        f"nothing can be judged yet: {here}",
        "have the evaluation write metrics.json, or a table with a row per example, and run `ci-ml init` again; "
        f"{_EXAMPLE}",
    )


def _below(space: Workspace) -> str:
    """Folders below this one with pipelines, where DVC is not started in this one or above; empty otherwise."""
    folder = f"{space.project.folder}/" if space.project.folder else ""
    ending = "/dvc.yaml"
    if space.project.dvc is not None:
        return ""
    found = sorted(path for path in space.head_tree.files() if path.startswith(folder) and path.endswith(ending))
    inner = [path.removesuffix(ending) for path in found]
    return " or in ".join(inner[:3]) + (f", or in {len(inner) - 3} more" if inner[3:] else "")


def _uses_mlflow(space: Workspace, names: frozenset[str]) -> bool:
    if any(path == "MLproject" or path.endswith("/MLproject") or "mlruns/" in path for path in names):
        return True
    scripts = sorted(path for path in names if path.endswith((".py", ".ipynb")))[:_MOST_SCRIPTS]
    texts = (data for data in space.head_tree.read(scripts).values() if isinstance(data, bytes))
    return (space.project.root / space.project.folder / "mlruns").is_dir() or any(
        _TRACKS.search(text.decode("utf-8", "replace").replace('"', " ")) for text in texts
    )


# --- An example -------------------------------------------------------------------------------------------------------


def _example(space: Workspace, asked: ForgeKind | None, name: str) -> Setup:
    """An example's files, if none of them is there. Raises UsageError where one is, or any pipeline."""
    if space.head_pipeline.stages:
        raise UsageError("there is a pipeline here already", "`ci-ml init` without --example sets up its gates")
    folder = space.project.root / space.project.folder
    shipped = examples.texts(examples.source(name))
    text = shipped.pop(config.FILE_NAME)
    there = sorted(path for path in shipped if path != _IGNORED and (folder / path).exists())
    if there:
        raise UsageError(
            f"the example would overwrite {', '.join(there)}", "run it in an empty folder, or move these files away"
        )
    shipped[_IGNORED] = _ignored(folder / _IGNORED, shipped[_IGNORED])
    texts = {space.project.inside(path): text for path, text in sorted(shipped.items())}
    made = _complete(space, asked, text, texts, None)
    return dataclasses.replace(made, start=space.project.dvc is None, example=name)


def _ignored(place: Path, lines: str) -> str:
    """What git is to ignore: the lines that are there, and after them the example's."""
    before = place.read_text(encoding="utf-8", errors="surrogateescape") if place.is_file() else ""
    missing = [line for line in lines.splitlines() if line not in before.splitlines()]
    return before + ("\n" if before and not before.endswith("\n") else "") + "".join(f"{line}\n" for line in missing)


# --- The CI files -----------------------------------------------------------------------------------------------------


def _complete(
    space: Workspace, asked: ForgeKind | None, text: str, texts: Mapping[str, str], found: Proposal | None
) -> Setup:
    """ci-ml.yaml with its part about CI files, those files, and what else is to be written."""
    place = origin.parse(space.history.address() or "")
    forge = setup.forge(asked, place.host if place else None, space.head_tree.files())
    branch = _default_branch(space)
    part = None if forge.kind is None else _part(space, forge.kind, branch, texts)
    sources = None if part is None else _sources(space, part(False, {}), texts)
    made = generate.generate(sources, force=True) if sources else ()
    taken = _taken(space, forge.kind, made)
    clashes = generate.clashes(sources, made) if sources and not taken else ()
    names = {clash.key: clash.choice for clash in clashes}
    if part and names:
        sources = _sources(space, part(False, names), texts)
        made = generate.generate(sources, force=True)
        if left := generate.clashes(sources, made):
            raise UsageError(
                left[0].sentence, "give your job another name, or add the stage; then run `ci-ml init` again"
            )
    text += part(bool(taken), names) if part else ""
    written = [Generated(path=space.project.config, text=text)]
    written += [Generated(path=path, text=content) for path, content in texts.items()]
    written += [] if taken else generate.outdated(made)
    remote = None if space.project.dvc is None else definitions.default_remote(space.head_tree, space.project.dvc)
    return Setup(
        config=space.project.config,
        forge=forge,
        branch=branch,
        stages=len(space.head_pipeline.stages),
        stale=tuple(item.name for item in space.freshness() if item.state is State.STALE),
        broken=_broken(space),
        proposal=found,
        spec=generate.of(forge.kind, generate.specs(sources)) if sources and forge.kind else None,
        remote=remote and setup.without_credentials(remote),
        files=tuple(written),
        taken=taken,
        entry=None if taken else _entry(space, forge.kind, made),
        named=tuple(f"{key}: {value}, because {_why(key, clashes)}" for key, value in names.items()),
    )


def _why(key: str, clashes: Iterable[Clash]) -> str:
    return next(clash.sentence for clash in clashes if clash.key == key)


def _broken(space: Workspace) -> str | None:
    """Why DVC would refuse to run the pipeline; None when it would not."""
    if space.project.dvc is None:
        return None
    try:
        definitions.validate(space.head_tree, space.project.dvc)
    except UsageError as error:
        return error.what
    return conflicts(space.head_pipeline)


def _default_branch(space: Workspace) -> str:
    """The branch that changes are merged into, as far as this clone knows."""
    found = space.history.target_branch() or space.history.branch() or generating.BRANCH
    return found.removeprefix("origin/")


def _part(
    space: Workspace, kind: ForgeKind, branch: str, texts: Mapping[str, str]
) -> Callable[[bool, Mapping[str, str]], str]:
    """The part of ci-ml.yaml about CI files, as a comment if the argument says so, with more keys."""
    named = None if branch == generating.BRANCH else branch
    plain = setup.section(kind, named)
    spec = generate.specs(_sources(space, plain, texts))[0]
    lock = setup.packages(space.head_tree.files()) if spec.python.manager is Manager.NONE else None
    install = None
    if lock is not None:
        place = posixpath.relpath(lock, space.project.folder or ".")
        install = f"python -m pip install -r {resolve.quoted(place)}"
    return lambda off, more: setup.section(kind, named, install, more=more, off=off)


def _sources(space: Workspace, part: str, texts: Mapping[str, str]) -> generate.Sources:
    """What the CI files are made from, as it will be once `texts` are written."""
    chosen: Config = config.load(f"version: 1\ngates: []\n{part}".encode(), space.project.config).config
    found = generating.sources(space, chosen)
    around = found.around
    return dataclasses.replace(
        found,
        around=dataclasses.replace(
            around,
            files=around.files | texts.keys(),
            read=lambda path: texts[path] if path in texts else around.read(path),
        ),
    )


def _taken(space: Workspace, kind: ForgeKind | None, made: Iterable[Generated]) -> tuple[str, ...]:
    """Files that people wrote: in the place of ours, or calling ci-ml from another."""
    if kind is None:
        return ()
    own = {one.path for one in made}
    begins = ".github/" if kind is ForgeKind.GITHUB else ".gitlab"
    paths = [path for path in space.head_tree.files() - own if callers.candidate(path) and path.startswith(begins)]
    found = [
        path
        for path, data in space.head_tree.read(paths).items()
        if isinstance(data, bytes) and _calls(path, data, own)
    ]
    return tuple(sorted([*found, *(one.path for one in made if _is_foreign(one))]))


def _calls(path: str, data: bytes, own: set[str]) -> bool:
    """Whether a file calls ci-ml without ours."""
    rest = "\n".join(
        line for line in data.decode("utf-8", "replace").splitlines() if not any(name in line for name in own)
    )
    return not ours(rest) and callers.read(path, rest.encode()) is not None


def _is_foreign(one: Generated) -> bool:
    """Whether writing a file would lose what people wrote."""
    try:
        merged(one.path, one.text, one.before, force=False)
    except UsageError:
        return True
    return False


def _entry(space: Workspace, kind: ForgeKind | None, made: Iterable[Generated]) -> str | None:
    """GitLab's first file, where it is people's and does not include ours yet."""
    if kind is not ForgeKind.GITLAB or pipelines.ENTRY in (own := {one.path for one in made}):
        return None
    data = space.head_tree.read([pipelines.ENTRY])[pipelines.ENTRY]
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else ""
    return None if any(path in text for path in own) else pipelines.ENTRY


def write(space: Workspace, found: Setup) -> None:
    """Write every file, ci-ml.yaml first, which nobody may have written meanwhile; start DVC where there is none."""
    root = space.project.root
    first, *others = found.files
    files.write_new(root / first.path, first.text)
    for one in others:
        files.write_tracked(root, one.path, one.text)
    if found.start:
        below = ("--subdir",) if space.project.folder else ()
        commands.run([("init", "--quiet", *below)], cwd=root / space.project.folder, env=space.env)
