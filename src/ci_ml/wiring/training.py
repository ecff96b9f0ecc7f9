"""Running a training. Layer: wiring."""

import contextlib
import dataclasses
import uuid
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from ci_ml.adapters import console, environment, files, mlflow
from ci_ml.adapters.dvc import repro
from ci_ml.core import config
from ci_ml.core.pipeline import Pipeline
from ci_ml.core.training import Earlier, Environment, Event, Training, secrets
from ci_ml.core.types import Revision
from ci_ml.errors import CiMlError
from ci_ml.usecases import check, difference, policy, train, verify
from ci_ml.usecases.policy import Policy
from ci_ml.wiring import chronicle, publishing, reports
from ci_ml.wiring.workspace import Workspace, lock, require_dvc

FILE = "training.json"


def run(
    space: Workspace,
    stream: TextIO,
    chosen: config.TrainConfig | None = None,
    targets: Sequence[str] = (),
    only: str | None = None,
    *,
    kept: bool = True,
) -> Training:
    """Reproduce what is stale, as `chosen` or else the work tree's ci-ml.yaml says, and write training.json.

    With `only`, that stage alone is looked at, and its outputs are here afterwards whether it was stale or not. What is
    made to be compared, and no more, is not `kept`: it gets into no cache.
    Raises StageFailed or DependencyError when it fails, OutOfDate when `train.when` is never and dvc.lock is stale.
    """
    reports.forget(space.output)  # it is not about what is there after a training
    require_dvc(space)
    files.make_output(space.output)
    if chosen is None:
        loaded = policy.load(space.head_tree, space.project.config, space.project.config)
        chosen = loaded.config.train if loaded else config.TrainConfig()
    stages = space.head_pipeline.stages
    if chosen.when == "never":
        check.refuse_stale(verify.stale(space.freshness()))
    mark = uuid.uuid4().hex
    own = publishing.without_token(space.change, space.env)
    env = mlflow.stage_environment(own, mark) if chosen.track else own
    # A stage's own name is that of DVC's root; targets are the user's, and relative to ci-ml.yaml.
    folder = space.project.root / ((space.project.dvc or "") if only else space.project.folder)
    events: Iterator[Event] = iter(())
    if chosen.when != "never":
        asked = (only,) if only else tuple(targets or chosen.targets)
        force = chosen.when == "always"
        events = repro.reproduce(folder, asked, force=force, alone=only is not None, kept=kept, env=env)
    with (
        console.display(stream, 1 if only else len(stages)) as display,
        contextlib.closing(_generator(events)) as running,
    ):
        done = train.train(
            train.Job(
                head=space.head,
                run_url=space.change.run_url,
                mark=mark,
                events=running,
                show=display.show,
                environment=lambda ran: _environment(space, folder, ran),
                result=lambda: _trained(space),
                save=lambda record: files.write(space.output / FILE, record.to_json()),
                notice=lambda text: print(f"note: {text}", file=stream),
                tracker=tracker(space) if chosen.track else None,
                hidden=secrets(space.env),
            )
        )
    if only is None and kept:
        chronicle.keep_training(dataclasses.replace(space), done, targets or chosen.targets)
    if done.mlflow_run is not None:
        _recorded(dataclasses.replace(space), done.mlflow_run, stream)
    return done


def _recorded(space: Workspace, run: str, stream: TextIO) -> None:
    """What `ci-ml monitor` will compare with is kept with the run, where something is watched."""
    loaded = None
    with contextlib.suppress(CiMlError):  # what is wrong with it is told by whoever needs it
        loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    if loaded is None or not loaded.config.monitor:
        return
    from ci_ml.wiring import recorded

    recorded.keep(space, loaded.config, tracker(space), run, stream)


def settings(space: Workspace, chosen: Policy) -> config.TrainConfig:
    """How the policy says that CI trains; the change says whether it is tracked. On a schedule, everything anew."""
    own = policy.load(space.head_tree, space.project.config, space.project.config)
    asked = chosen.config.train
    always = space.change.is_scheduled and asked.when == "stale"
    return asked.model_copy(
        update={"track": (own or chosen).config.train.track, "when": "always" if always else asked.when}
    )


def before(space: Workspace, against: Revision, chosen: config.TrainConfig) -> Earlier | None:
    """The training behind the base's dvc.lock, where MLflow knows it; None when it does not, or cannot be asked."""
    recorded = lock(space.history.tree(against.sha)) if against.sha else None
    if not (chosen.track and recorded):
        return None
    with contextlib.suppress(CiMlError):  # it is worth no error
        return tracker(space).before(recorded)
    return None


def _environment(space: Workspace, folder: Path, ran: Collection[str]) -> Environment:
    """What the stages that ran had around them; that of all where none did."""
    stages = space.head_pipeline.stages
    chosen = [stage for stage in stages if stage.name in ran] or stages
    calls = [(space.project.root / stage.wdir, line) for stage in chosen for line in stage.command]
    return environment.read(folder, calls, space.env)


def environment_of(space: Workspace) -> Environment:
    """What stages that run now would have around them."""
    return _environment(space, space.project.root / space.project.folder, ())


def _generator(events: Iterator[Event]) -> Generator[Event]:
    """Events that can be closed, which stops the training behind them."""
    yield from events


def _trained(space: Workspace) -> tuple[Pipeline, str | None, Mapping[str, float]]:
    """The pipeline, the digest of dvc.lock and the numbers, read anew after a training."""
    after = dataclasses.replace(space)
    return after.head_pipeline, after.lock, difference.numbers(after.head_side())


def tracker(space: Workspace) -> mlflow.Tracking:
    """Where this project's runs are, and what is kept with them."""
    name = space.env.get("MLFLOW_EXPERIMENT_NAME") or space.project.root.name
    return mlflow.Tracking(uri=space.env.get("MLFLOW_TRACKING_URI") or None, folder=space.output, experiment=name)
