"""`ci-ml doctor`: everything that is looked at, in order. Layer: wiring."""

import dataclasses
import importlib.util
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ci_ml.adapters.dvc import definitions, remotes
from ci_ml.adapters.github_settings import GitHubSettings
from ci_ml.adapters.gitlab_settings import GitLabSettings
from ci_ml.adapters.mlflow import probe
from ci_ml.core import callers, doctor, origin, protection
from ci_ml.core.callers import Caller
from ci_ml.core.config import Config, left_open
from ci_ml.core.doctor import Check, Finding
from ci_ml.core.pipeline import covering
from ci_ml.core.registry import ADDRESS
from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Change
from ci_ml.core.workflow import ForgeKind, PipelineSpec, Promotion
from ci_ml.errors import CiMlError
from ci_ml.ports import Settings
from ci_ml.render import gitlab
from ci_ml.usecases import check, generate, policy
from ci_ml.usecases.doctor import Place, examine
from ci_ml.wiring import generate as generating
from ci_ml.wiring import publishing
from ci_ml.wiring import registry as registries
from ci_ml.wiring.workspace import Workspace, settled

# Seconds for the forge, for git's remote and for DVC's, each: somebody waits for the answer.
_PATIENCE = 20.0
_IMPORTS = 10.0  # DVC alone takes a second or two, and more on a busy machine
_NAMES = {"github": "GITHUB_TOKEN or GH_TOKEN", "gitlab": "GITLAB_TOKEN"}


@dataclass(frozen=True, kw_only=True)
class Examined:
    """Which repository on which forge was asked about, if any, and every finding."""

    forge: str | None
    repository: str | None
    findings: tuple[Finding, ...]


def run(space: Workspace) -> Examined:
    """Look at everything. Nothing is written but what git fetches to reach the base."""
    patience = publishing.patience(space.env, _PATIENCE)
    space = dataclasses.replace(space, history=dataclasses.replace(space.history, timeout=max(1.0, patience)))
    change = space.change if space.change.repository else _from_origin(space)
    found = (*_local(space, patience), *_forge(space, change, patience))
    hidden = secrets(space.env)
    return Examined(
        forge=change.forge,
        repository=change.repository,
        findings=tuple(_redacted(one, hidden) for one in found),
    )


def _redacted(found: Finding, hidden: tuple[str, ...]) -> Finding:
    fix = found.fix and redact(found.fix, hidden)
    return dataclasses.replace(found, sentence=redact(found.sentence, hidden), fix=fix)


def _attempt(which: Check, look: Callable[[], Finding]) -> Finding:
    """What a look found; what it ends in is a finding, too."""
    try:
        return look()
    except CiMlError as error:
        return doctor.failed(which, error)


# --- This clone -------------------------------------------------------------------------------------------------------


def _local(space: Workspace, patience: float) -> Iterator[Finding]:
    chosen, found = _configuration(space)
    yield found
    if space.project.dvc is None:
        yield doctor.no_pipeline(_definitions(space, space.project.folder))
    else:
        pipeline = _attempt(Check.PIPELINE, lambda: _pipeline(space))
        yield pipeline
        yield _lock(space, pipeline)
    if chosen is not None and chosen.data:
        yield _attempt(Check.DATA, lambda: _data(space, chosen))
    yield _attempt(Check.BASE, lambda: _base(space))
    yield _attempt(Check.WORKFLOW, lambda: _workflow(space, chosen))
    if space.project.dvc is not None:
        yield _attempt(Check.REMOTE, lambda: _remote(space, patience))
    if chosen is not None and (chosen.registry or any(one.promote for one in chosen.pipelines)):
        yield _attempt(Check.REGISTRY, lambda: _registry(space, chosen, patience))


def _configuration(space: Workspace) -> tuple[Config | None, Finding]:
    name = space.project.config
    try:
        loaded = policy.load(space.head_tree, name, name)
    except CiMlError as error:
        data = space.head_tree.read([name])[name]
        return None, doctor.invalid(name, error, left_open(data) if isinstance(data, bytes) else 0)
    config = loaded.config if loaded else None
    return config, doctor.configuration(name, len(config.gates) if config else None, len(config.data) if config else 0)


def _data(space: Workspace, chosen: Config) -> Finding:
    """Whether the tables are on disk, or known to DVC, which has them elsewhere."""
    models = [about.schema_.rpartition(":")[0] for about in chosen.data.values() if about.schema_]
    made = space.head_pipeline.outputs()
    places = {path: space.project.inside(path) for path in (*(about.path for about in chosen.data.values()), *models)}
    absent = [
        path
        for path, place in places.items()
        if not (space.project.root / place).is_file() and covering(place, made) is None
    ]
    has_pandera = importlib.util.find_spec("pandera") is not None
    return doctor.data(len(chosen.data), absent, None if has_pandera or not models else "pandera")


def _pipeline(space: Workspace) -> Finding:
    root, stages = space.project.dvc or "", space.head_pipeline.stages
    folders = [posixpath.dirname(path) for path in _definitions(space, root)]
    wanted = [posixpath.join(folder, name) for folder in folders for name in ("dvc.yaml", "dvc.lock")]
    wanted.append(posixpath.join(root, ".dvc/config"))
    there = [path for path in wanted if (space.project.root / path).is_file()]
    absent = [path for path in wanted if path.endswith("dvc.lock") and path not in there]
    return doctor.tracked(len(stages), there, space.history.tracked(there), absent if stages else ())


def _definitions(space: Workspace, folder: str) -> list[str]:
    """Every dvc.yaml at or below a folder."""
    prefix = f"{folder}/" if folder else ""
    names = space.head_tree.files()
    return sorted(path for path in names if path.startswith(prefix) and posixpath.basename(path) == "dvc.yaml")


def _lock(space: Workspace, pipeline: Finding) -> Finding:
    try:
        return doctor.lock(space.freshness())
    except CiMlError as error:
        if pipeline.health is doctor.Health.PROBLEM:  # and says the same
            return doctor.unknown(Check.LOCK, "DVC's files cannot be read")
        return doctor.failed(Check.LOCK, error)


def _base(space: Workspace) -> Finding:
    _, found = settled(space, None)
    return doctor.base(found.short, found.why, shallow=space.history.is_shallow())


def _workflow(space: Workspace, chosen: Config | None) -> Finding:
    if chosen is None:
        return doctor.unknown(Check.WORKFLOW, f"what CI files should say: {space.project.config} does not")
    sources = generating.sources(space, chosen)
    if not chosen.pipelines:
        if left := generate.surplus(sources, force=True):
            return doctor.generated([], [], [], [one.path for one in left])
        if unread := doctor.included(generate.entry(sources, ())):
            return unread
        return doctor.written(_read_callers(space), space.project.config)
    made = generate.generate(sources, force=True)
    current = [one.path for one in made if one.current]
    known = space.history.tracked(current)
    outdated = [one.path for one in generate.outdated(made)]
    gone = generate.surplus(sources, made, force=True)
    surplus = [one.path for one in gone]
    if clashes := generate.clashes(sources, made, surplus):
        return doctor.clashing(clashes[0])
    outdated += [one.path for one in generate.unlisted(sources, made, gone)]
    found = doctor.generated(outdated, [path for path in current if path not in known], current, surplus)
    unread = doctor.included(generate.entry(sources, made))
    return unread if unread and found.health is doctor.Health.OK else found


def _read_callers(space: Workspace) -> list[str]:
    """The CI files that call ci-ml, without those that GitLab certainly does not read."""
    found, read = [caller.path for caller in _callers(space)], generate.read(space.head_tree)
    return [path for path in found if not path.startswith(".gitlab/") or path in read.paths or read.doubts]


def _callers(space: Workspace) -> tuple[Caller, ...]:
    """The CI files that call ci-ml, as they are here."""
    paths = sorted(path for path in space.head_tree.files() if callers.candidate(path))
    texts = {path: data for path, data in space.head_tree.read(paths).items() if isinstance(data, bytes)}
    return tuple(found for path, data in texts.items() if (found := callers.read(path, data)))


def _remote(space: Workspace, patience: float) -> Finding:
    root = space.project.dvc or ""
    sources = [out.path for source in space.head_pipeline.sources if not source.imported for out in source.outs]
    if definitions.default_remote(space.head_tree, root) is None:
        return doctor.no_remote(sources)
    found = remotes.probe(space.project.root / root, env=space.env, patience=max(_IMPORTS, patience))
    return doctor.remote(found, needed=bool(sources))


def _registry(space: Workspace, chosen: Config, patience: float) -> Finding:
    """Whether jobs that promote have what they need, and whether the registry that is named here answers."""
    promoted = any(one.promote for one in chosen.pipelines)
    if chosen.pipelines:
        sources = generating.sources(space, chosen)
        lacks = generate.lacks(sources, generate.generate(sources, force=True))
        if certain := next((lack for lack in lacks if lack.certain), None):
            return doctor.problem(Check.REGISTRY, certain.sentence, certain.fix)
    models = list(chosen.registry)
    place = space.env.get("MLFLOW_REGISTRY_URI") or space.env.get(ADDRESS)
    if not space.env.get(ADDRESS) or place is None:
        return doctor.no_registry(models, registries.unshared(space), promoted=promoted)
    address, here = registries.models(space).address, space.here
    if probe.is_new(place, here):
        return doctor.registry(address, models, None, new=True)
    return doctor.registry(address, models, probe.probe(models, cwd=here, env=space.env, patience=patience))


# --- The forge --------------------------------------------------------------------------------------------------------


def _from_origin(space: Workspace) -> Change:
    """On a laptop the address of the remote says which repository it is.

    A server that only calls itself a GitLab gets no token: the environment has to name it.
    """
    place = origin.parse(space.history.address() or "")
    if place is None:
        return Change()
    if place.host == "github.com" or (space.env.get("GITHUB_API_URL") and "gitlab" not in place.host):
        return Change(forge="github", repository=place.path)
    if place.host == "gitlab.com" or space.env.get("CI_API_V4_URL") or space.env.get("CI_SERVER_URL"):
        return Change(forge="gitlab", repository=place.path)
    return Change()


def _forge(space: Workspace, change: Change, patience: float) -> tuple[Finding, ...]:
    if change.forge is None or not change.repository:
        why = "this is no clone from a forge that ci-ml knows"
        fix = "for a server of your own set GITHUB_API_URL or CI_API_V4_URL to the address of its API"
        return protection.unasked(why, fix)
    token = publishing.token_for(change, space.env)
    if token is None or token == space.env.get("CI_JOB_TOKEN"):
        names = f"{publishing.TOKEN}, {_NAMES[change.forge]}"
        return protection.unasked("there is no token to ask the forge with", f"set {names}, then ask again")
    client = publishing.client(change.forge, token, space.env, patience)
    settings: Settings = (
        GitHubSettings(client=client, repository=change.repository)
        if change.forge == "github"
        else GitLabSettings(client=client, project=change.repository)
    )
    place = Place(
        target=change.target,
        callers=_callers(space),
        status=f"ci-ml/{_name(space)}",
        variable=publishing.TOKEN,
    )
    return examine(settings, _scheduled(space, change.forge, place))


def _scheduled(space: Workspace, forge: str, place: Place) -> Place:
    """The place with what monitoring, retraining and promoting need, where ci-ml.yaml asks for them."""
    try:
        spec = generate.of(ForgeKind(forge), generating.specs(space))
    except CiMlError:  # which has been said already
        return place
    if spec is None:
        return place
    jobs = {"monitor": spec.monitor, "retrain": spec.retrain}
    names = tuple(gitlab.named(spec, name) for name, job in jobs.items() if job and job.schedule)
    promote = spec.promote
    return dataclasses.replace(
        place,
        proposer=_proposer(spec),
        schedules=names,
        environment=promote.environment if promote else None,
        promoters=_promoters(promote, spec.audit.secrets if spec.audit else {}, forge) if promote else (),
    )


def _proposer(spec: PipelineSpec) -> str | None:
    """The secret that retraining proposes with: on GitHub none where that is the job's own token."""
    if spec.retrain is None:
        return None
    own = spec.retrain.app.private_key if spec.retrain.app else spec.retrain.token
    return own or ("" if spec.forge is ForgeKind.GITHUB else publishing.TOKEN)


def _promoters(found: Promotion, audited: Mapping[str, str], forge: str) -> tuple[str, ...]:
    """The secrets that promoting needs, each once."""
    # GitLab gives every job what its settings have; on GitHub a job gets what its file names, which was looked at.
    usual = ADDRESS if forge == "gitlab" and ADDRESS not in {**audited, **found.secrets} else ""
    return tuple(dict.fromkeys(name for name in (*found.secrets.values(), found.token, usual) if name))


def _name(space: Workspace) -> str:
    chosen, _ = _configuration(space)
    return check.report_name(space.project, chosen.name if chosen else None)
