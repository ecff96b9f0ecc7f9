"""A search for better parameters: experiments in copies of the work tree, side by side. Layer: wiring.

Not DVC's own queue: docs/decisions/0011-searching.md says why.
"""

import contextlib
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TextIO

from ci_ml.adapters import files
from ci_ml.adapters.dvc import overrides, repro
from ci_ml.core import search as core
from ci_ml.core.config import Config
from ci_ml.core.documents import reading
from ci_ml.core.retraining import SearchConfig
from ci_ml.core.search import Found, Trial, Tried
from ci_ml.core.training import CommandStarted, Failure, OutputLine, StageRun, StageState, redact, secrets
from ci_ml.core.types import Gap, MetricKey, Reading
from ci_ml.errors import UsageError
from ci_ml.usecases.evidence import leaves
from ci_ml.wiring import copies, publishing
from ci_ml.wiring.workspace import Workspace


def search(space: Workspace, chosen: Config, asked: SearchConfig, stream: TextIO) -> Found:
    """Try combinations of parameters, and set those of the best in the work tree.

    What the best one made is in DVC's cache: training on the work tree takes it from there. Raises UsageError for
    parameters that cannot be meant, DependencyError when every experiment failed.
    """
    with tempfile.TemporaryDirectory(prefix="ci-ml-search-", ignore_cleanup_errors=True) as folder:
        found = _Search(space=space, chosen=chosen, asked=asked, stream=stream, folder=Path(folder).resolve()).run()
    for path, content in found.best.files.items():
        files.write_tracked(space.project.root, path, content.decode("utf-8"))
    return found


@dataclass(frozen=True, kw_only=True)
class _Search:
    space: Workspace
    chosen: Config
    asked: SearchConfig
    stream: TextIO = field(repr=False)
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def _env(self) -> Mapping[str, str]:
        return publishing.without_token(self.space.change, self.space.env)

    def run(self) -> Found:
        asked = self.asked
        seed = "\n".join(asked.params)  # the same configuration tries the same
        count, chosen = overrides.combinations(
            asked.params, asked.trials, seed, cwd=self._place(self.space), env=self._env
        )
        trials = core.trials(chosen)
        self._say(f"{len(trials)} of {count} combinations of parameters are tried, {asked.jobs} at a time")
        lanes = [self._lane(number) for number in range(min(asked.jobs, len(trials)))]
        return core.conclusion(asked, count, self._tried_all(lanes, trials))

    def _lane(self, number: int) -> Workspace:
        lane = copies.copied(self.space, self.folder / str(number))
        copies.settled(lane)
        return lane

    def _tried_all(self, lanes: list[Workspace], trials: tuple[Trial, ...]) -> list[Tried]:
        """Every trial, in order; each lane takes the next one that is left."""
        waiting = iter(trials)
        tried: list[Tried] = []
        with ThreadPoolExecutor(len(lanes)) as pool:
            running = [pool.submit(self._work, lane, waiting, tried) for lane in lanes]
            try:
                for one in as_completed(running):
                    one.result()
            except BaseException:  # Ctrl-C reaches this thread alone
                self.stop.set()
                raise
        return sorted(tried, key=lambda one: one.trial.number)

    def _work(self, lane: Workspace, waiting: Iterator[Trial], tried: list[Tried]) -> None:
        while not self.stop.is_set():
            with self.lock:
                trial = next(waiting, None)
            if trial is None:
                return
            found = self._try(lane, trial)
            with self.lock:
                tried.append(found)
            said = found.reading.reason if isinstance(found.reading, Gap) else f"{found.reading.value:g}"
            self._say(f"{trial.number}: {trial.words}: {said}")

    def _try(self, lane: Workspace, trial: Trial) -> Tried:
        copy = copies.reset(lane)
        place = self._place(copy)
        overrides.apply(trial.overrides, cwd=place, env=self._env)
        found = {copy.project.inside(path): (place / path).read_bytes() for path in trial.overrides}
        self._say(f"{trial.number}: {trial.words}")
        failure = self._reproduced(place, trial)
        return Tried(trial=trial, reading=Gap(reason=failure) if failure else self._read(copy), files=found)

    def _reproduced(self, place: Path, trial: Trial) -> str | None:
        """Run the pipeline in a copy; why it failed, or None."""
        settings = self.chosen.train
        events = repro.reproduce(
            place, settings.targets, force=False, env=self._env, anew=True, stopped=self.stop.is_set
        )
        failure: str | None = None
        with contextlib.closing(events):
            for event in events:
                match event:
                    case CommandStarted(name=name, commands=commands):
                        for command in commands:
                            self._say(f"{trial.number}: {name} | $ {command}")
                    case OutputLine(name=name, text=text, transient=False):
                        self._say(f"{trial.number}: {name or 'dvc'} | {text}")
                    case StageRun(name=name, state=StageState.FAILED):
                        self._say(f"{trial.number}: {name} | failed")
                    case Failure(stage=stage, message=message):
                        failure = redact(f"stage {stage}: {message}" if stage else message, secrets(self.space.env))
        return failure

    def _read(self, copy: Workspace) -> Reading:
        path, _, key = self.asked.metric.partition(":")
        (content,) = copy.head_side().read([path]).values()
        values = content if isinstance(content, Gap) else leaves(content, path)
        if isinstance(values, Gap):
            return values
        metric = MetricKey(path=path, key=key)
        return reading(values[key], str(metric)) if key in values else Gap(reason=f"{path} has no key {key}")

    def _place(self, space: Workspace) -> Path:
        return space.project.root / space.project.folder

    def _say(self, text: str) -> None:
        with self.lock:
            self.stream.write(f"search | {redact(text, secrets(self.space.env))}\n")
            self.stream.flush()


def refuse(chosen: Config) -> None:
    """Raises UsageError when the search that is configured cannot be meant."""
    if chosen.retrain is None or chosen.retrain.search is None:
        return
    if chosen.train.when == "never":
        raise UsageError("retrain.search: train.when is never, and a search has to train", "leave train.when out")
    core.refuse_test_set(chosen, chosen.retrain.search)
