"""The CI files that ci-ml.yaml declares: what they should say, and whether they do. Layer: usecases."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ci_ml.core import generated, resolve
from ci_ml.core.config import Config
from ci_ml.core.generated import Generated
from ci_ml.core.pipeline import Pipeline
from ci_ml.core.pipelines import PipelineConfig
from ci_ml.core.resolve import Surroundings
from ci_ml.core.types import Gap
from ci_ml.core.workflow import ForgeKind, PipelineSpec
from ci_ml.errors import UsageError
from ci_ml.ports import Tree
from ci_ml.render import pipelines
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
        made |= pipelines.files(spec, templates(sources, chosen))
    there = sources.tree.read([*made, pipelines.ENTRY])
    return _entry(made, there) + tuple(
        generated.merged(path, text, _text(path, there[path]), force=force) for path, text in sorted(made.items())
    )


def _entry(made: Mapping[str, str], there: Mapping[str, bytes | Gap]) -> tuple[Generated, ...]:
    """GitLab's first file, where there is none: it is the team's from then on, and nobody compares it with anything."""
    listed = sorted(path for path in made if path.startswith(".gitlab/"))
    if not listed or _text(pipelines.ENTRY, there[pipelines.ENTRY]) is not None:
        return ()
    return (Generated(path=pipelines.ENTRY, text=pipelines.entry(listed)),)


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
