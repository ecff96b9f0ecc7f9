"""A registry of models and a ledger, with memory, that can be killed at any step; several jobs may share one memory."""

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci_ml.core.bundle import Bundle, Staged
from ci_ml.core.promotions import Promotion, Step
from ci_ml.core.statements import canonical
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError, Overtaken


class Killed(BaseException):
    """As by SIGKILL: nothing that follows runs, no clean-up either."""


@dataclass
class World:
    """Everything that is outside of a job, and outlives it. `steps` are what has been asked of it, in order."""

    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    ledger: list[Step] = field(default_factory=list)
    clock: dt.datetime = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    steps: list[str] = field(default_factory=list)

    def now(self) -> dt.datetime:
        return self.clock

    def by_hand(self, alias: str, version: str) -> None:
        self.aliases[alias] = version


@dataclass
class Job:
    """One job's view: it dies before its step number `dies_before`, or just after it has happened (`dies_after`).

    `between` is called before each step, for what others do meanwhile. `broken` names steps that fail.
    """

    world: World
    who: str = "ada"
    dies_before: int | None = None
    dies_after: int | None = None
    between: Callable[[int, str], None] = field(default=lambda number, name: None)
    broken: tuple[str, ...] = ()
    count: int = 0
    address: str = "https://mlflow.example"
    keeps_aliases: bool = True
    chooses: bool = True
    limits: tuple[str, ...] = ()

    def _step(self, name: str, act: Callable[[], Any]) -> Any:
        self.count += 1
        self.between(self.count, name)
        if self.dies_before == self.count:
            raise Killed(name)
        if name in self.broken:
            raise DependencyError(f"MLflow: {name} does not answer")
        self.world.steps.append(name)
        done = act()
        if self.dies_after == self.count:
            raise Killed(name)
        return done

    # The registry.

    def targets(self, model: str) -> Mapping[str, str]:
        return self._step("targets", lambda: dict(self.world.aliases))

    def stage(self, bundle: Bundle, run: str | None, lock: str | None, marks: Mapping[str, str]) -> Staged:
        def act() -> Staged:
            self.world.files[bundle.mark] = bundle.mark
            return Staged(run="r" * 32, source=f"store:{bundle.mark}")

        return self._step("stage", act)

    def register(self, model: str, staged: Staged, marks: Mapping[str, str], wanted: str | None, bundle: Bundle) -> str:
        def act() -> str:
            for version, tags in self.world.versions.items():
                if all(tags.get(key) == value for key, value in marks.items()):
                    return version
            version = str(len(self.world.versions) + 1)
            self.world.versions[version] = dict(marks)
            return version

        return self._step("register", act)

    def point(self, model: str, alias: str, version: str) -> None:
        self._step(f"point {alias}", lambda: self.world.aliases.__setitem__(alias, version))

    def mark(self, model: str, version: str, marks: Mapping[str, str]) -> None:
        self._step("mark", lambda: self.world.versions[version].update(marks))

    def marks(self, model: str, version: str) -> Mapping[str, str] | Gap:
        found = self.world.versions.get(version)
        return Gap(reason=f"there is no version {version} of {model}", absent=True) if found is None else found

    def versions(self, model: str) -> Mapping[str, Mapping[str, str]]:
        return self.world.versions

    def commit(self, model: str, version: str) -> str | Gap:
        return self.world.versions[version]["ci-ml.commit"]

    def fetch(self, model: str, version: str, folder: Path) -> Path:
        return folder

    # The ledger.

    def read(self, model: str) -> tuple[Step, ...]:
        return self._step("read", lambda: tuple(self.world.ledger))

    def enter(self, what: Promotion, digest: Mapping[str, str], last: str | None) -> Step:
        def act() -> Step:
            ledger = self.world.ledger
            record = f"sha256:{hashlib.sha256(canonical(what.data())).hexdigest()}"
            if known := next((step for step in ledger if step.record == record), None):
                return known
            if ledger and ledger[-1].record != last:
                raise Overtaken("another run was faster")
            number = len(ledger) + 1
            entry = f"sha256:{hashlib.sha256(f'{number} {record}'.encode()).hexdigest()}"
            ledger.append(Step(number=number, at=self.world.clock, record=record, entry=entry, what=what, by=self.who))
            return ledger[-1]

        return self._step(f"enter {what.action}", act)
