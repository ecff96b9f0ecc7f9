"""A CI pipeline with every default decided: templates render it and decide nothing. Layer: core."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeVar

from ci_ml.core import plan
from ci_ml.core.naming import Naming
from ci_ml.core.pipeline import Pipeline, Stage, in_order

T = TypeVar("T")


class ForgeKind(StrEnum):
    """Whose pipelines these are."""

    GITHUB = "github"
    GITLAB = "gitlab"


class Layout(StrEnum):
    """One job for everything, or one job per stage of dvc.yaml."""

    SINGLE = "single"
    STAGES = "stages"


class Transfer(StrEnum):
    """How outputs get from job to job: through the DVC remote, or with the CI system's artifacts."""

    REMOTE = "remote"
    ARTIFACTS = "artifacts"


class Manager(StrEnum):
    """What installs the packages that the stages need."""

    PIP = "pip"
    UV = "uv"
    POETRY = "poetry"
    CONDA = "conda"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Python:
    """The environment that trains: `install` are the commands that make it, `lock` the file that its cache hangs on.

    `bin` is the folder of its programs, as a shell sees it; empty where they are on PATH already.
    """

    manager: Manager
    version: str
    install: tuple[str, ...] = ()
    lock: str = ""
    bin: str = ""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What jobs get to reach the DVC remote: variables by the secret that holds each, or an identity by OpenID Connect.

    `kind` is s3, gs, azure, ssh or none; `identity` holds the settings of OpenID Connect, such as role and region.
    """

    kind: str
    secrets: Mapping[str, str] = field(default_factory=dict)
    identity: Mapping[str, str] = field(default_factory=dict)

    @property
    def registry(self) -> dict[str, str]:
        """Of the variables those that MLflow reads, for jobs that reach no remote and ask what is in production."""
        return {name: secret for name, secret in self.secrets.items() if name.startswith("MLFLOW_")}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that runs a stage, or every instance of a foreach or matrix stage that the plan finds at run time.

    `id` is what the CI system calls it; `stage` the DVC address, or the group's when `matrix` is true. `needs` are ids.
    """

    id: str
    stage: str
    matrix: bool = False
    needs: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()
    image: str = ""
    timeout: int = 60


@dataclass(frozen=True, kw_only=True)
class App:
    """A GitHub App: who it is, and the secret with its private key."""

    client_id: str
    private_key: str


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """A job that a schedule starts, or a person: it has no change to judge. `schedule` is empty where only people do.

    `secrets` are variables by the secret that holds each, beside those of the DVC remote. Of retraining: `on_drift`
    where monitoring starts it as well, and who pushes and proposes, by `token`, the name of a secret, or as an `app`.
    """

    schedule: str
    runner: tuple[str, ...]
    image: str
    timeout: int
    secrets: Mapping[str, str] = field(default_factory=dict)
    on_drift: bool = False
    token: str = ""
    app: App | None = None


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What jobs get that enter records: variables by the secret that holds each, and whether Sigstore knows them."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    sigstore: bool = False


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """The jobs that move aliases of a registry: one on a push to the default branch, and one by hand, back.

    `secrets` are variables by the secret that holds each, `token` the name of one, empty for the job's own (GitHub) or
    the usual one (GitLab). `environment` is empty for none.
    """

    models: tuple[str, ...]
    aliases: tuple[str, ...]
    environment: str
    runner: tuple[str, ...]
    image: str
    timeout: int
    secrets: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    attest: bool = False


@dataclass(frozen=True, kw_only=True)
class PipelineSpec:
    """Everything that the files of one forge say. `jobs` are empty in the layout `single`.

    `runner`, `image` and `timeout` are those of the jobs that plan, gate and publish; `action` is ci-ml itself as
    `OWNER/NAME@REF`, `version` what REF stands for. `remote` says whether there is one, `audit` is there where
    there is a ledger, and `stage` is where GitLab has our jobs.
    """

    forge: ForgeKind
    layout: Layout
    dynamic: bool
    name: str
    folder: str
    config: str
    naming: Naming
    stage: str
    branch: str
    action: str
    version: str
    runner: tuple[str, ...]
    image: str
    timeout: int
    python: Python
    credentials: Credentials
    transfer: Transfer
    remote: bool
    record: bool
    forks: bool
    queue: bool
    schedule: str
    monitor: Scheduled | None = None
    retrain: Scheduled | None = None
    audit: Audit | None = None
    promote: Promotion | None = None
    jobs: tuple[Job, ...] = ()

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages, or groups of them, that have a job."""
        return tuple(job.stage for job in self.jobs)


# Ids that the templates use themselves, and what is no job's name on GitLab, or one with a meaning of its own:
# https://docs.gitlab.com/ci/jobs/#job-names
_KEYWORDS = "image services stages types before_script after_script variables cache include true false nil null default"
# What YAML 1.1 takes for true and false, besides the words themselves.
_TRUTHS = ("yes", "no", "on", "off", "y", "n")
_OURS = ("plan", "gate", "publish", "record", "monitor", "retrain", "audit", "promote", "rollback", "ci-ml")
RESERVED = (*_OURS, *_KEYWORDS.split(), "spec", "workflow", "pages", *_TRUTHS)


def slug(name: str) -> str:
    """A stage's name as part of a job's id or of a file's name: letters, digits, `-` and `_`."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")
    return plain or "stage"


def ids(names: Iterable[str]) -> dict[str, str]:
    """An id for every stage: its slug, with a number where two would be alike, and never one of ours.

    The same stages get the same ids, in whatever order they come.
    """
    found: dict[str, str] = {}
    taken = set(RESERVED)
    for name in sorted(names, key=lambda name: (slug(name) != name, name)):  # who is named so keeps the name
        base = slug(name)
        base = base if re.match(r"[A-Za-z_]", base) else f"stage-{base}"
        numbered = (base if number == 1 else f"{base}-{number}" for number in range(1, 100_000))
        found[name] = next(one for one in numbered if one.lower() not in taken)
        taken.add(found[name].lower())
    return found


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a configuration says of jobs: by the name of a stage or a glob of them, the first that fits counts."""

    runners: Mapping[str, tuple[str, ...]]
    images: Mapping[str, str]
    timeouts: Mapping[str, int]

    def runner(self, stage: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
        """The labels or tags of the machine that a stage needs."""
        return _first(self.runners, stage, otherwise)

    def image(self, stage: str, otherwise: str) -> str:
        """The container's image."""
        return _first(self.images, stage, otherwise)

    def timeout(self, stage: str, otherwise: int) -> int:
        """Minutes."""
        return _first(self.timeouts, stage, otherwise)


def _first(listed: Mapping[str, T], stage: str, otherwise: T) -> T:
    own = (stage, plan.group(stage))
    exact = (listed[name] for name in own if name in listed)
    fitting = (value for pattern, value in listed.items() if any(fnmatchcase(name, pattern) for name in own))
    return next(exact, next(fitting, otherwise))


def unknown(listed: Iterable[str], stages: Sequence[str]) -> tuple[str, ...]:
    """The names and globs that fit no stage."""
    names = {*stages, *map(plan.group, stages)}
    return tuple(one for one in listed if not any(fnmatchcase(name, one) for name in names))


def jobs(
    pipeline: Pipeline,
    choices: Choices,
    *,
    runner: tuple[str, ...],
    image: str,
    timeout: int,
    only: Iterable[str] | None = None,
    matrices: bool = False,
) -> tuple[Job, ...]:
    """A job per stage, each after those it needs; `only` those stages, and with `matrices` one job per foreach.

    A stage that is left out hands on what it depends on: whoever needs it, needs that.
    """
    ordered, upstream = in_order(pipeline.stages)
    kept = {stage.name for stage in ordered if not stage.frozen}
    kept &= kept if only is None else set(only)
    above = _above(ordered, upstream, kept)
    job_of = {name: plan.group(name) if matrices and "@" in name else name for name in kept}
    names = list(dict.fromkeys(job_of[stage.name] for stage in ordered if stage.name in kept))
    # Those that `ci-ml stage` finds, which does not know who was left out; groups are no stages to it.
    known = ids(names if matrices else (stage.name for stage in ordered))
    needs: dict[str, dict[str, None]] = {name: {} for name in names}
    for stage in ordered:
        if stage.name in kept:
            own = job_of[stage.name]
            needs[own].update(dict.fromkeys(known[job_of[name]] for name in above[stage.name] if job_of[name] != own))
    return tuple(
        Job(
            id=known[name],
            stage=name,
            matrix=name not in kept,
            needs=tuple(needs[name]),
            runner=choices.runner(name, runner),
            image=choices.image(name, image),
            timeout=choices.timeout(name, timeout),
        )
        for name in names
    )


def placed(listed: Sequence[Job], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Stages by the id of the job that runs them; a stage without a job is under its own id."""
    known = ids(names)
    by_stage = {job.stage: job.id for job in listed}
    found: dict[str, list[str]] = {}
    for name in known:
        job = by_stage.get(name) or by_stage.get(plan.group(name)) or known[name]
        found.setdefault(job, []).append(name)
    return {job: tuple(stages) for job, stages in found.items()}


def _above(ordered: Sequence[Stage], upstream: Mapping[str, set[str]], kept: set[str]) -> dict[str, tuple[str, ...]]:
    """For each stage the nearest kept ones upstream of it, in order."""
    place = {stage.name: index for index, stage in enumerate(ordered)}
    found: dict[str, tuple[str, ...]] = {}
    for stage in ordered:
        near: set[str] = set()
        for name in upstream[stage.name]:
            near.update([name] if name in kept else found.get(name, ()))
        found[stage.name] = tuple(sorted(near, key=place.__getitem__))
    return found


# https://docs.github.com/actions/reference/limits
MOST_INSTANCES = 256


def crowded(listed: Sequence[Job], pipeline: Pipeline) -> tuple[str, int] | None:
    """The first matrix with more jobs than GitHub runs if every instance has to, and how many; mostly None."""
    count = Counter(plan.group(stage.name) for stage in pipeline.stages if not stage.frozen)
    found = ((job.stage, count[job.stage]) for job in listed if job.matrix)
    return next((one for one in found if one[1] > MOST_INSTANCES), None)


def entangled(listed: Sequence[Job]) -> tuple[str, ...]:
    """The stages of jobs that need each other, which happens to groups whose instances do; mostly none."""
    needs = {job.id: set(job.needs) for job in listed}
    while free := {name for name, above in needs.items() if not above & needs.keys()}:
        needs = {name: above for name, above in needs.items() if name not in free}
    return tuple(job.stage for job in listed if job.id in needs)


def chained(pipeline: Pipeline) -> tuple[str, ...]:
    """The groups of which one instance needs another: in one matrix they would run at the same time; mostly none."""
    ordered, upstream = in_order(pipeline.stages)
    pairs = ((stage.name, above) for stage in ordered for above in upstream[stage.name])
    groups = (plan.group(name) for name, above in pairs if plan.group(name) == plan.group(above))
    return tuple(dict.fromkeys(groups))
