"""The CI files that ci-ml.yaml declares: what they should say, and whether they do. Layer: usecases."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from ci_ml.core import callers, documents, generated, includes, lacking, resolve, workflow
from ci_ml.core import clashes as clash
from ci_ml.core.clashes import Clash
from ci_ml.core.config import Config
from ci_ml.core.documents import DocumentError
from ci_ml.core.generated import Generated, Surplus
from ci_ml.core.includes import Entry
from ci_ml.core.lacking import Lack
from ci_ml.core.pipeline import Pipeline
from ci_ml.core.pipelines import PipelineConfig
from ci_ml.core.resolve import Surroundings
from ci_ml.core.types import Gap
from ci_ml.core.workflow import ForgeKind, PipelineSpec
from ci_ml.errors import UsageError
from ci_ml.ports import Tree
from ci_ml.render import gitlab, pipelines
from ci_ml.render.pipelines import Templates

_TEMPLATE = ".yml.j2"
_NONE = "add `pipelines: [{forge: github}]` to it, or gitlab"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the files are made from. `templates` are ours by name."""

    config: Config
    pipeline: Pipeline
    around: Surroundings
    tree: Tree
    templates: Mapping[str, str]
    inside: Callable[[str], str]


def specs(sources: Sources) -> tuple[PipelineSpec, ...]:
    """What ci-ml.yaml and dvc.yaml resolve to. Raises UsageError where that is nothing, or cannot be."""
    if not sources.config.pipelines:
        raise UsageError(f"{sources.around.config} declares no pipelines", _NONE)
    return tuple(resolve.resolve(one, sources.pipeline, sources.around) for one in sources.config.pipelines)


def generate(sources: Sources, *, force: bool = False) -> tuple[Generated, ...]:
    """Every file, with what people added to the one that is there.

    Raises UsageError where a template is broken, or writing would lose what people wrote.
    """
    made: dict[str, str] = {}
    for chosen, spec in zip(sources.config.pipelines, specs(sources), strict=True):
        _bounded(sources, spec)
        made |= pipelines.files(spec, templates(sources, chosen))
    there = sources.tree.read([*made, pipelines.ENTRY])
    return _entry(made, there) + tuple(
        generated.merged(path, text, _text(path, there[path]), force=force) for path, text in sorted(made.items())
    )


def _bounded(sources: Sources, spec: PipelineSpec) -> None:
    """Raises UsageError for a matrix that GitHub would not run if all of it had to."""
    if found := workflow.crowded(spec.jobs, sources.pipeline):
        group, count = found
        most = workflow.MOST_INSTANCES
        raise UsageError(
            f"pipelines: github: {group} has {count} instances, and a matrix of GitHub {most} jobs at most",
            "choose graph: static, or layout: single",
        )


def _entry(made: Mapping[str, str], there: Mapping[str, bytes | Gap]) -> tuple[Generated, ...]:
    """GitLab's first file, where there is none: it is the team's from then on, and nobody compares it with anything."""
    listed = sorted(path for path in made if path.startswith(".gitlab/"))
    first = there[pipelines.ENTRY]
    if not listed or not isinstance(first, Gap) or not first.absent:
        return ()
    return (Generated(path=pipelines.ENTRY, text=pipelines.entry(listed)),)


def surplus(sources: Sources, made: Iterable[Generated] = (), *, force: bool = False) -> tuple[Surplus, ...]:
    """The files that an earlier ci-ml.yaml asked for, and this one does not; those of other projects are left alone.

    Raises UsageError where taking one away would lose what people wrote.
    """
    config = pipelines.shown(sources.around.config)
    needed = {one.path for one in made}
    paths = sorted(path for path in sources.tree.files() - needed if generated.placed(path))
    texts = {
        path: data.decode("utf-8", "replace")
        for path, data in sources.tree.read(paths).items()
        if isinstance(data, bytes)
    }
    found = [generated.surplus(path, text, force=force) for path, text in texts.items() if generated.of(text, config)]
    first = _first(sources, needed, {one.path for one in found})
    if first is not None and not first.left:
        found.append(Surplus(path=pipelines.ENTRY, before=first.before))
    return tuple(found)


def unlisted(sources: Sources, made: Iterable[Generated], gone: Iterable[Surplus]) -> tuple[Generated, ...]:
    """GitLab's first file without what is not there any more, where it is as ci-ml wrote it and holds more."""
    first = _first(sources, {one.path for one in made}, {one.path for one in gone} - {pipelines.ENTRY})
    if first is None or not first.left:
        return ()
    return (Generated(path=pipelines.ENTRY, text=pipelines.entry(first.left), before=first.before),)


@dataclass(frozen=True, kw_only=True)
class _First:
    """GitLab's first file as ci-ml wrote it, with files that are not there; `left` are the others."""

    before: str
    left: tuple[str, ...]


def _first(sources: Sources, made: Set[str], gone: Set[str]) -> _First | None:
    """None where it includes nothing that is not there, or where people have written in it."""
    data = sources.tree.read([pipelines.ENTRY])[pipelines.ENTRY]
    if not isinstance(data, bytes) or pipelines.ENTRY in made:
        return None
    text, paths = data.decode("utf-8", "replace"), includes.listed(data)
    there = (sources.tree.files() - gone) | made
    left = tuple(path for path in paths if path in there)
    ours = text == pipelines.entry(paths) and all(map(generated.placed, paths))
    return _First(before=text, left=left) if ours and len(left) < len(paths) else None


def entry(sources: Sources, made: Iterable[Generated], gone: Iterable[str] = ()) -> Entry:
    """Whether GitLab reads the files that were made for it; it does where the first file is ours to write."""
    paths = [one.path for one in made]
    if pipelines.ENTRY in {*paths, *gone}:
        return Entry()
    ours = [path for path in paths if path.startswith(".gitlab/")]
    there = sources.tree.files() - set(gone)
    return includes.entry(lambda path: _bytes(sources.tree, path), there, ours)


def clashes(sources: Sources, made: Iterable[Generated], gone: Iterable[str] = ()) -> tuple[Clash, ...]:
    """What of people's own CI files keeps ours from working, once those are made and others are gone."""
    ours = {one.path: one.text.encode() for one in made}
    theirs = sources.tree.files() - ours.keys() - set(gone)
    found: list[Clash] = []
    for spec in specs(sources):
        if spec.forge is ForgeKind.GITHUB:
            paths = [path for path in theirs if path.startswith(".github/") and callers.candidate(path)]
            read = {path: data for path, data in sources.tree.read(paths).items() if isinstance(data, bytes)}
            found += clash.github(read, spec.naming.required)
        else:
            own = {path: data for path, data in ours.items() if path.startswith(".gitlab/")}
            found += clash.gitlab(
                lambda path: ours[path] if path in ours else _bytes(sources.tree, path), {*theirs, *ours}, own
            )
    return tuple(found)


def lacks(sources: Sources, made: Iterable[Generated]) -> tuple[Lack, ...]:
    """What jobs that promote or judge will lack, once these files are there."""
    texts = {one.path: one.text for one in made}
    found: list[Lack] = []
    for spec in specs(sources):
        files = [text for path, text in texts.items() if path.startswith(f".{spec.forge}/")]
        if spec.promote:
            found += lacking.of(spec.forge, spec.promote, sources.config.registry, files)
        found += lacking.judging(spec.forge, sources.config.baseline, files)
    return tuple(found)


def read(tree: Tree) -> includes.Read:
    """Every file that GitLab reads."""
    return includes.reached(lambda path: _bytes(tree, path), tree.files())


def jobless(sources: Sources, forge: ForgeKind, stages: Iterable[str]) -> tuple[str, ...]:
    """Of these stages those that have no job in the file of a forge as it is here; none where that is not known."""
    spec = of(forge, specs(sources))
    if spec is None or spec.dynamic or not spec.jobs:
        return ()
    path = pipelines.place(spec)
    try:
        document = documents.parse(_bytes(sources.tree, path), path, includes.TAGS).value
    except DocumentError:
        return ()
    jobs = document.get("jobs") if forge is ForgeKind.GITHUB and isinstance(document, dict) else document
    if not isinstance(jobs, dict):
        return ()
    names = {job.stage: gitlab.named(spec, job.id) if forge is ForgeKind.GITLAB else job.id for job in spec.jobs}
    return tuple(stage for stage in stages if stage in names and names[stage] not in jobs)


def _bytes(tree: Tree, path: str) -> bytes:
    """What is in a file; one that is yet to be written includes nothing."""
    data = tree.read([path])[path]
    if isinstance(data, Gap) and not data.absent:
        raise DocumentError(data.reason)
    return b"" if isinstance(data, Gap) else data


def child(sources: Sources, stages: Iterable[str]) -> str:
    """The child pipeline for these stages. Raises UsageError where ci-ml.yaml declares no pipeline that starts one."""
    chosen = next((one for one in sources.config.pipelines if _dynamic(one)), None)
    if chosen is None:
        where = sources.around.config
        raise UsageError(
            f"{where} declares no pipeline with a child",
            "`pipelines: [{forge: gitlab, layout: stages, graph: dynamic}]`",
        )
    spec = resolve.resolve(chosen, sources.pipeline, sources.around, only=stages)
    return pipelines.child(spec, templates(sources, chosen))


def _dynamic(chosen: PipelineConfig) -> bool:
    return chosen.forge is ForgeKind.GITLAB and chosen.graph == "dynamic"


def templates(sources: Sources, chosen: PipelineConfig) -> Templates:
    """Ours, and the user's by the same names.

    Raises UsageError for a folder without any, or a name that none of ours has.
    """
    if chosen.templates is None:
        return Templates(builtin=sources.templates, own={})
    folder = sources.inside(chosen.templates)
    prefix = f"{folder}/" if folder else ""
    paths = [path for path in sources.tree.files() if path.startswith(prefix) and path.endswith(_TEMPLATE)]
    if not paths:
        raise UsageError(
            f"pipelines.templates: there is no {_TEMPLATE} file in {folder}", "docs/pipelines.md names ours"
        )
    own = {path.removeprefix(prefix): _text(path, data) or "" for path, data in sources.tree.read(paths).items()}
    if strange := sorted(name for name in own if name not in sources.templates):
        names = ", ".join(sorted(name for name in sources.templates if name.startswith(chosen.forge.value)))
        raise UsageError(f"{prefix}{strange[0]} replaces no template of ci-ml", f"there are: {names}")
    return Templates(builtin=sources.templates, own=own)


def _text(path: str, data: bytes | Gap) -> str | None:
    if isinstance(data, Gap):
        if data.absent:
            return None
        raise UsageError(data.reason, "take it away, then generate again")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", "take it away, then generate again") from None


def outdated(files: Iterable[Generated]) -> tuple[Generated, ...]:
    """Those that do not say what they should."""
    return tuple(one for one in files if not one.current)


def of(forge: ForgeKind, found: Iterable[PipelineSpec]) -> PipelineSpec | None:
    """The pipeline of a forge, if there is one."""
    return next((spec for spec in found if spec.forge is forge), None)
