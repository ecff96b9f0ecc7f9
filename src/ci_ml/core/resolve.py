"""From ci-ml.yaml, DVC's files and what else is in a repository to a `PipelineSpec`. Layer: core."""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ci_ml.core import workflow
from ci_ml.core.naming import naming
from ci_ml.core.pipeline import Pipeline
from ci_ml.core.pipelines import (
    CredentialsConfig,
    MonitorJobConfig,
    PipelineConfig,
    PromoteJobConfig,
    PythonConfig,
    RetrainJobConfig,
)
from ci_ml.core.workflow import (
    App,
    Audit,
    Choices,
    Credentials,
    ForgeKind,
    Layout,
    Manager,
    PipelineSpec,
    Promotion,
    Python,
    Scheduled,
    Transfer,
)
from ci_ml.errors import UsageError

NEWEST_PYTHON = "3.13"

_RUNNERS = {ForgeKind.GITHUB: ("ubuntu-24.04",), ForgeKind.GITLAB: ()}

# Where GitLab has our jobs: one of the stages that there are when nobody says which.
STAGE = "test"

# https://docs.gitlab.com/ci/yaml/needs/
_MOST_NEEDS = 50

# The kind of a remote by the scheme of its address, and the variables that DVC reads for it.
_KINDS = {"s3": "s3", "gs": "gs", "gcs": "gs", "azure": "azure", "az": "azure", "ssh": "ssh", "sftp": "ssh"}
_SECRETS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS_DATA",),
    "azure": ("AZURE_STORAGE_CONNECTION_STRING",),
    "ssh": ("SSH_PRIVATE_KEY", "SSH_KNOWN_HOSTS"),
}
_IDENTITY = {
    "s3": frozenset({"role", "region"}),
    "gs": frozenset({"provider", "service_account"}),
    "azure": frozenset({"client_id", "tenant_id", "subscription_id"}),
}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a repository holds besides ci-ml.yaml: its files (relative to the root of git), and who it belongs to.

    `remote` is the address of DVC's default remote, `folder` that of ci-ml.yaml, `action` ci-ml itself.
    """

    files: frozenset[str]
    read: Callable[[str], str]
    folder: str
    config: str
    name: str
    branch: str
    remote: str | None
    action: Mapping[ForgeKind, str]
    version: str


def resolve(
    chosen: PipelineConfig, pipeline: Pipeline, around: Surroundings, *, only: Iterable[str] | None = None
) -> PipelineSpec:
    """Everything decided. `only` are the stages that get a job, where not all do.

    Raises UsageError for a name under runners, images or timeouts that no stage has, and for credentials that do not
    fit the remote.
    """
    forge = chosen.forge
    where = f"pipelines: {forge.value}"
    if around.remote is None and (needing := _needing(chosen)):
        key, why = needing
        raise UsageError(f"{where}: {key} needs a default remote of DVC: {why}", "`dvc remote add --default …`")
    python = _python(chosen.python, around)
    runner = chosen.runners.get("default", _RUNNERS[forge])
    image = chosen.images.get("default", _image(forge, python))
    timeout = chosen.timeouts.get("default", 60)
    usual = Scheduled(schedule="", runner=runner, image=image, timeout=timeout)
    stages = tuple(stage.name for stage in pipeline.stages)
    jobs: tuple[workflow.Job, ...] = ()
    if chosen.layout is Layout.STAGES:
        if not stages:
            raise UsageError(f"{where}: the layout stages needs a dvc.yaml with stages", "or choose layout: single")
        _known(chosen, stages, where)
        matrices = chosen.graph == "dynamic" and forge is ForgeKind.GITHUB
        choices = Choices(runners=chosen.runners, images=chosen.images, timeouts=chosen.timeouts)
        jobs = workflow.jobs(
            pipeline, choices, runner=runner, image=image, timeout=timeout, only=only, matrices=matrices
        )
        if matrices and (entangled := workflow.entangled(jobs)):
            raise UsageError(
                f"{where}: instances of {' and '.join(entangled)} depend on each other both ways: no job per group",
                "choose graph: static",
            )
        if matrices and (chained := workflow.chained(pipeline)):
            raise UsageError(
                f"{where}: instances of {chained[0]} depend on each other: a matrix runs them all at once",
                "choose graph: static",
            )
        if forge is ForgeKind.GITLAB:
            _few(jobs, where, together=chosen.graph == "static", record=chosen.record)
    return PipelineSpec(
        forge=forge,
        layout=chosen.layout,
        dynamic=chosen.graph == "dynamic",
        name=around.name,
        folder=around.folder,
        config=around.config,
        naming=naming(around.folder, around.config, chosen.prefix),
        stage=chosen.stage or STAGE,
        branch=chosen.branch or around.branch,
        action=chosen.action or around.action[forge],
        version=around.version,
        runner=runner,
        image=image,
        timeout=timeout,
        python=python,
        credentials=_credentials(chosen.credentials, around.remote, where),
        transfer=_transfer(chosen, around.remote, where),
        remote=around.remote is not None,
        record=chosen.record,
        forks=chosen.forks,
        queue=chosen.queue,
        schedule=chosen.schedule,
        monitor=_monitor(chosen.monitor, usual),
        retrain=_retrain(chosen.retrain, usual),
        audit=_audit(chosen),
        promote=_promote(chosen.promote, usual),
        jobs=jobs,
    )


def _needing(chosen: PipelineConfig) -> tuple[str, str] | None:
    """The first key that only works with a remote, and why; mostly None."""
    for key in ("record", "retrain", "promote"):
        if getattr(chosen, key):
            return key, _REMOTELY.get(key, "a recorded dvc.lock points to data that nobody had")
    return None


_REMOTELY = {"promote": "the job has no other place to get the model from"}


def _monitor(chosen: MonitorJobConfig | None, usual: Scheduled) -> Scheduled | None:
    return None if chosen is None else _scheduled(chosen, usual)


def _retrain(chosen: RetrainJobConfig | None, usual: Scheduled) -> Scheduled | None:
    if chosen is None:
        return None
    app = App(client_id=chosen.app.client_id, private_key=chosen.app.private_key) if chosen.app else None
    return replace(_scheduled(chosen, usual), on_drift=chosen.on_drift, token=chosen.token or "", app=app)


def _scheduled(chosen: MonitorJobConfig | RetrainJobConfig, usual: Scheduled) -> Scheduled:
    return Scheduled(
        schedule=chosen.schedule,
        runner=usual.runner if chosen.runner is None else chosen.runner,
        image=chosen.image or usual.image,
        timeout=chosen.timeout or usual.timeout,
        secrets=dict(chosen.secrets),
    )


def _audit(chosen: PipelineConfig) -> Audit | None:
    if chosen.audit is None:
        return Audit() if chosen.promote else None
    return Audit(secrets=dict(chosen.audit.secrets), sigstore=chosen.audit.sigstore)


def _promote(chosen: PromoteJobConfig | None, usual: Scheduled) -> Promotion | None:
    if chosen is None:
        return None
    return Promotion(
        models=chosen.models,
        aliases=chosen.alias,
        environment=chosen.environment or "",
        runner=usual.runner if chosen.runner is None else chosen.runner,
        image=chosen.image or usual.image,
        timeout=chosen.timeout or usual.timeout,
        secrets=dict(chosen.secrets),
        token=chosen.token or "",
        attest=chosen.attest,
    )


def _image(forge: ForgeKind, python: Python) -> str:
    """GitHub's machines have a Python, and conda; on GitLab an image brings them."""
    if forge is ForgeKind.GITHUB:
        return ""
    return "condaforge/miniforge3" if python.manager is Manager.CONDA else f"python:{python.version}"


def _few(jobs: tuple[workflow.Job, ...], where: str, *, together: bool, record: bool) -> None:
    """Raises UsageError where a job would need more others than GitLab allows.

    `together`: the gate needs them all, and the job that records needs the gate as well.
    """
    if together and len(jobs) + record > _MOST_NEEDS:
        others = f"{len(jobs)} stages{' and the gate, which record needs' if record else ''}"
        raise UsageError(
            f"{where}: {others}, and a job on GitLab needs {_MOST_NEEDS} others at most", "choose graph: dynamic"
        )
    if wide := next((job for job in jobs if len(job.needs) > _MOST_NEEDS), None):
        raise UsageError(
            f"{where}: {wide.stage} needs {len(wide.needs)} stages, and a job on GitLab {_MOST_NEEDS} others at most",
            "choose layout: single",
        )


def _known(chosen: PipelineConfig, stages: tuple[str, ...], where: str) -> None:
    for key in ("runners", "images", "timeouts"):
        listed = [name for name in getattr(chosen, key) if name != "default"]
        if strange := workflow.unknown(listed, stages):
            raise UsageError(
                f"{where}.{key}.{strange[0]}: no stage of dvc.yaml is called so", "`ci-ml verify` names every stage"
            )


def _transfer(chosen: PipelineConfig, remote: str | None, where: str) -> Transfer:
    if chosen.transfer == "remote" and remote is None:
        raise UsageError(f"{where}: transfer: remote needs a default remote of DVC", "`dvc remote add --default …`")
    if chosen.transfer == "artifacts" or remote is None:
        return Transfer.ARTIFACTS
    return Transfer.REMOTE


def _credentials(chosen: CredentialsConfig, remote: str | None, where: str) -> Credentials:
    kind = _KINDS.get(remote.partition("://")[0], "none") if remote and "://" in remote else "none"
    if chosen.identity:
        wanted = _IDENTITY.get(kind)
        if wanted is None:
            raise UsageError(f"{where}: credentials.identity: there is none for this remote", "use `secrets`")
        if wanted != chosen.identity.keys():
            raise UsageError(f"{where}: credentials.identity of {kind} holds {', '.join(sorted(wanted))}, all of them")
        return Credentials(kind=kind, identity=dict(chosen.identity))
    secrets = chosen.secrets if chosen.secrets is not None else {name: name for name in _SECRETS.get(kind, ())}
    return Credentials(kind=kind, secrets=dict(secrets))


# --- The environment that trains --------------------------------------------------------------------------------------

# By the file that gives it away, best first.
_MANAGERS = (
    ("uv.lock", Manager.UV),
    ("poetry.lock", Manager.POETRY),
    ("environment.yml", Manager.CONDA),
    ("environment.yaml", Manager.CONDA),
    ("conda.yaml", Manager.CONDA),
    ("requirements.txt", Manager.PIP),
    ("pyproject.toml", Manager.PIP),
    ("setup.py", Manager.PIP),
)


def _python(chosen: PythonConfig, around: Surroundings) -> Python:
    """The nearest lock file upwards of ci-ml.yaml says which manager it is."""
    found = next(
        (
            (posixpath.join(folder, name), manager)
            for folder in _upwards(around.folder)
            for name, manager in _MANAGERS
            if posixpath.join(folder, name) in around.files and chosen.manager in (None, manager)
        ),
        ("", Manager.NONE),
    )
    lock, manager = found[0], chosen.manager or found[1]
    version = chosen.version or _version(around)
    nearby = posixpath.relpath(lock, around.folder or ".") if lock else ""
    usual = _INSTALL[manager](nearby) if lock or manager is Manager.NONE else ()
    return Python(
        manager=manager,
        version=version,
        lock=lock,
        install=chosen.install if chosen.install is not None else usual,
        bin=_bin(manager, nearby),
    )


def _upwards(folder: str) -> Iterable[str]:
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
    yield ""


def _version(around: Surroundings) -> str:
    for folder in _upwards(around.folder):
        path = posixpath.join(folder, ".python-version")
        if path in around.files and (match := re.match(r"\s*(3\.\d+(?:\.\d+)?)\s*$", around.read(path))):
            return match[1]
    return NEWEST_PYTHON


def _pip(lock: str) -> tuple[str, ...]:
    if lock.endswith(".txt"):
        return (f"python -m pip install -r {quoted(lock)}",)
    return (f"python -m pip install {quoted(posixpath.dirname(lock) or '.')}",)


def quoted(text: str) -> str:
    """A text as one word of a shell."""
    import shlex

    return shlex.quote(text)


def _inside(lock: str, command: str, option: str) -> str:
    folder = posixpath.dirname(lock)
    return f"{command} {option} {quoted(folder)}" if folder else command


_INSTALL: Mapping[Manager, Callable[[str], tuple[str, ...]]] = {
    Manager.PIP: _pip,
    Manager.UV: lambda lock: (_inside(lock, "uv sync --locked", "--project"),),
    Manager.POETRY: lambda lock: (_inside(lock, "poetry install --no-interaction", "--directory"),),
    Manager.CONDA: lambda lock: (
        f'"${{CONDA:-/opt/conda}}/bin/conda" env create --quiet --yes --prefix "$HOME/conda" --file {quoted(lock)}',
    ),
    Manager.NONE: lambda _: (),
}


def _bin(manager: Manager, lock: str) -> str:
    """The folder of the environment's programs: uv and poetry put the environment where the lock file is."""
    if manager is Manager.CONDA:
        return "$HOME/conda/bin"
    # The lock is here or further up, so this is nothing but `..`, and safe inside of a shell's quotes.
    return posixpath.join("$PWD", posixpath.dirname(lock), ".venv/bin") if manager in _IN_PROJECT else ""


_IN_PROJECT = (Manager.UV, Manager.POETRY)
