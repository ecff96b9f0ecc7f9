"""Stages as jobs of their own: the plan, one stage, and what comes of all of them. Layer: wiring."""

import contextlib
import dataclasses
import datetime as dt
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TextIO

from ci_ml.adapters import files
from ci_ml.adapters.dvc import commands, definitions
from ci_ml.adapters.dvc import handover as moving
from ci_ml.core import handover, plan, workflow
from ci_ml.core.handover import Handed, Handover
from ci_ml.core.listing import some
from ci_ml.core.training import StageState, Training, TrainingOutcome
from ci_ml.core.workflow import Transfer
from ci_ml.errors import DependencyError, OutOfDate, UsageError
from ci_ml.usecases import baseline, policy
from ci_ml.usecases import generate as generating
from ci_ml.usecases.policy import Policy
from ci_ml.wiring import chronicle, generate, publishing, training
from ci_ml.wiring.workspace import Workspace, require_dvc, settled

# The place of what one job trained, all stages together; no stage has this id.
_TOGETHER = "all.stages"


def planned(space: Workspace, base: str | None, prefer: Literal["base", "head"]) -> tuple[str, ...]:
    """The stages that have to run, as the policy and dvc.lock say."""
    root = require_dvc(space)
    space, chosen = _policy(space, base, prefer)
    return plan.plan(
        space.head_pipeline,
        space.freshness(),
        when=training.settings(space, chosen).when,
        targets=tuple(map(space.project.inside, chosen.config.train.targets)),
        remote=definitions.default_remote(space.head_tree, root) is not None,
    )


def _policy(space: Workspace, base: str | None, prefer: Literal["base", "head"]) -> tuple[Workspace, Policy]:
    """The policy that judges, as in `ci`: a change cannot leave stages out."""
    baseline.require_change(space.history, space.head, space.change)
    space, against = settled(space, base, first=True)
    assert against.sha is not None
    return space, policy.choose(space.history.tree(against.sha), space.head_tree, space.project.config, against, prefer)


def by_job(space: Workspace, names: Sequence[str], known: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Stages by the id of their job. `known` are the ids that the workflow has, if it says so.

    Raises OutOfDate when a stage has no job in it: it would never run.
    """
    found = workflow.placed(generate.jobs(space), names)
    if known and (lost := [job for job in found if job not in known]):
        raise OutOfDate(
            f"the workflow has no job {lost[0]} for {some(found[lost[0]])}: it is older than dvc.yaml",
            "run `ci-ml generate`, and commit what it writes",
        )
    if full := next((job for job, listed in found.items() if len(listed) > workflow.MOST_INSTANCES), None):
        raise UsageError(
            f"{full} has {len(found[full])} instances, and a matrix of GitHub {workflow.MOST_INSTANCES} jobs at most",
            "choose graph: static, or layout: single",
        )
    return found


def child(space: Workspace, base: str | None, prefer: Literal["base", "head"], place: Path) -> tuple[str, ...]:
    """Write GitLab's child pipeline for the stages that have to run, and return those."""
    names = planned(space, base, prefer)
    files.write(place, generating.child(generate.sources(space), names))
    return names


def tell(space: Workspace, **values: str) -> None:
    """Outputs of this step, where the CI system is GitHub."""
    publishing.outputs(space.env, values)


def as_json(found: Mapping[str, Sequence[str]]) -> str:
    """The plan on one line."""
    return json.dumps(found, separators=(",", ":"))


def run(
    space: Workspace,
    name: str,
    transfer: Transfer,
    base: str | None,
    prefer: Literal["base", "head"],
    stream: TextIO,
) -> tuple[Training, Path]:
    """Run one stage on what the jobs before it handed on, and write what it hands on itself: into a folder with its id.

    Raises UsageError when there is no such stage, StageFailed when it fails.
    """
    require_dvc(space)
    names = {stage.name for stage in space.head_pipeline.stages}
    if name not in names:
        raise UsageError(f"there is no stage {name!r}", "`ci-ml verify` names every stage")
    space, chosen = _policy(space, base, prefer)
    if space.change.outsider:  # who gets no secrets, so that nothing can be pushed to the remote
        transfer = Transfer.ARTIFACTS
    target = folder(space) / workflow.ids(names)[name]
    receive(space)
    space = dataclasses.replace(space)
    shutil.rmtree(folder(space), ignore_errors=True)  # it is in place, and what is there next is this job's own
    done = training.run(space, stream, training.settings(space, chosen), only=name)
    give(dataclasses.replace(space), done, (name,), target, transfer)
    return done, target


def folder(space: Workspace) -> Path:
    """Where jobs find what others hand on, and leave what they do."""
    return space.output / handover.FOLDER


def give_all(space: Workspace, done: Training) -> None:
    """Hand on whatever a training changed, for a job that records it."""
    shutil.rmtree(folder(space), ignore_errors=True)
    if names := tuple(stage.name for stage in done.stages if stage.state is not StageState.SKIPPED):
        give(space, done, names, folder(space) / _TOGETHER, Transfer.ARTIFACTS)


def give(space: Workspace, done: Training, names: Sequence[str], target: Path, transfer: Transfer) -> None:
    """Hand stages on: into the folder `target`, and with DVC's remote for the data where that is how it goes."""
    root = space.project.root / (space.project.dvc or "")
    env = publishing.without_token(space.change, space.env)
    files.make_output(space.output)
    target.mkdir(parents=True)
    if transfer is Transfer.REMOTE:
        commands.run([["push", "--", *names]], cwd=root, env=env)
    written = moving.give(root, names, target, objects=transfer is Transfer.ARTIFACTS, env=env)
    runs = {stage.name: stage for stage in done.stages}
    assert space.head.sha is not None
    document = Handover(
        schema=handover.SCHEMA,
        commit=space.head.sha,
        transfer=transfer.value,
        stages=tuple(
            Handed(stage=name, entry=written["entries"][name], state=runs[name].state, seconds=runs[name].seconds)
            for name in names
        ),
        files=tuple(written["files"]),
        executable=tuple(written["executable"]),
        folders=tuple(written["folders"]),
        objects=tuple(dict.fromkeys(written["objects"])),
    )
    files.write(target / handover.FILE, document.to_json())


def receive(space: Workspace) -> tuple[Handover, ...]:
    """Take everything that other jobs left in the handover folder. Raises UsageError for what is not of this run."""
    found = tuple(_received(space))
    if found:
        root = space.project.root / (space.project.dvc or "")
        moving.take(
            root,
            [
                {
                    "place": str(place.resolve()),
                    "entries": {one.stage: one.entry for one in document.stages},
                    "files": document.files,
                    "executable": document.executable,
                    "folders": document.folders,
                    "objects": document.objects,
                }
                for place, document in found
            ],
            env=publishing.without_token(space.change, space.env),
        )
    return tuple(document for _, document in found)


def _received(space: Workspace) -> Iterator[tuple[Path, Handover]]:
    if not folder(space).is_dir():
        return
    known = workflow.ids(stage.name for stage in space.head_pipeline.stages)
    for place in sorted(folder(space).iterdir()):
        file = place / handover.FILE
        if not file.is_file():
            continue
        where = f"{handover.FOLDER}/{place.name}/{handover.FILE}"
        document = handover.read(files.read_plain(file, handover.MOST_BYTES + 1), where)
        assert space.head.sha is not None
        handover.refuse(document, where, space.head_pipeline, space.head.sha)
        strange = [one.stage for one in document.stages if known[one.stage] != place.name]
        if strange and place.name != _TOGETHER:
            raise UsageError(f"{where} is not the place of {strange[0]}", "run the whole pipeline again")
        yield place, document


def collect(space: Workspace, needs: str | None, planned_before: Sequence[str]) -> None:
    """Put together what the jobs of all stages made, and write training.json.

    Raises DependencyError when a stage that had to run has not, so that nothing is judged; OutOfDate where no job
    could have run it.
    """
    trouble = handover.failed(needs) if needs else {}
    received = receive(space)
    lost = handover.missing(planned_before, received)
    if jobless := generate.jobless(space, lost):
        raise OutOfDate(
            f"the CI file has no job for {some(jobless)}: it is older than dvc.yaml",
            "run `ci-ml generate`, and commit what it writes",
        )
    if trouble or lost:
        said = [f"the job {job} ended as {result}" for job, result in trouble.items()]
        said += [f"the stage {name} has not run" for name in lost]
        raise DependencyError(
            f"not everything ran: {some(said, 8, between='; ')}",
            "the log of that job says why; where there is no such job, run `ci-ml generate` and commit what it writes",
        )
    after = dataclasses.replace(space)
    runs = tuple(run for one in received for run in one.runs())
    record = Training(
        outcome=TrainingOutcome.SUCCESS,
        commit=space.head.sha,
        dirty=space.head.dirty,
        started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        seconds=round(sum(run.seconds for run in runs), 3),
        stages=runs,
        run_url=space.change.run_url,
        lock=after.lock,
    )
    with contextlib.suppress(FileNotFoundError):
        (space.output / training.FILE).unlink()
    files.write(space.output / training.FILE, record.to_json())
    chronicle.keep_training(after, record)
