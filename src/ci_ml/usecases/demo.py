"""The demo: a small real project, a better and a worse change to it, and the verdict on each. Layer: usecases.

The files are those of examples/breast-cancer, `ci-ml train` and `ci-ml check` do the work, and every number that is
shown comes out of the training. The seed of the split in params.yaml was chosen for a plain story: dropping the class
weights costs 2.8 points of recall in the median of the seeds 0 to 99, and more than the gate allows with 90 of them;
with this one it costs 4.7, and accuracy does not move at all.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ci_ml.core import numbers
from ci_ml.core.report import Report
from ci_ml.core.training import Training
from ci_ml.core.verdict import EXIT_CODES
from ci_ml.render import markdown, terminal, words

EXAMPLE = "breast-cancer"
STORAGE = "dvc-storage"
_METRICS = ("recall", "precision", "accuracy")
_INDENT = 19
_WIDEST = 100


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A change that somebody proposes: its branch, its commit message, and what it edits in params.yaml."""

    branch: str
    message: str
    key: str
    old: str
    new: str


BETTER = Proposal(
    branch="more-measurements",
    message="Use all measurements, not only means",
    key="features",
    old="[mean]",
    new="[mean, error, worst]",
)
WORSE = Proposal(
    branch="drop-class-weight",
    message="Simplify: train without class weights",
    key="class_weight",
    old="balanced",
    new="none",
)


class Workshop(Protocol):
    """The demo's folder, which holds a copy of the example, and what can be done in it."""

    def git(self, *arguments: str) -> None: ...

    def hide(self, *names: str) -> None:
        """Have git ignore these, in this clone alone."""
        ...

    def dvc(self, *commands: Sequence[str]) -> None: ...

    def python(self, script: str) -> None: ...

    def edit(self, path: str, old: str, new: str) -> None: ...

    def train(self) -> Training: ...

    def numbers(self) -> Mapping[str, float]:
        """Every number in the metrics files, by `file:key`."""
        ...

    def check(self) -> Report: ...


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Where the story is told: `folder` is what a user calls the folder, `activate` a command they need first."""

    write: Callable[[str], None]
    width: int
    color: bool
    folder: str
    activate: str | None

    def tell(self, label: str, text: str) -> None:
        """One line of the story, or a few when it is long: a label, and text beside it."""
        first, rest = f"{label:<{_INDENT}}", " " * _INDENT
        lines = textwrap.wrap(text, min(self.width, _WIDEST), initial_indent=first, subsequent_indent=rest)
        self.write("".join(f"{line}\n" for line in lines))

    def title(self, text: str) -> None:
        """A line across that says what follows."""
        self.write(f"\n── {text} {'─' * (min(self.width, _WIDEST) - len(text) - 4)}\n\n")


def demo(shop: Workshop, screen: Screen) -> None:
    """Build the project, say what happens, show what ci-ml says on the worse branch, and leave that checked out."""
    screen.write(f"A small real project in {screen.folder}: is a tumour benign or malignant?\n\n")
    _baseline(shop, screen)
    better = _propose(shop, screen, BETTER)
    screen.tell("", f"{words.HEADLINE[better.verdict.outcome]}: {better.verdict.sentence}")
    worse = _propose(shop, screen, WORSE)
    screen.tell("", f"{words.HEADLINE[worse.verdict.outcome]}: see below")
    code = EXIT_CODES[worse.verdict.outcome]
    screen.title(f"`ci-ml check` on {WORSE.branch}, exit code {code}")
    screen.write(terminal.report(worse, width=screen.width, color=screen.color))
    screen.title("The comment for its pull request")
    screen.write(markdown.report(worse))
    screen.title("Now you")
    _next(screen, code)


def _baseline(shop: Workshop, screen: Screen) -> None:
    screen.tell("main", "569 biopsies in DVC, three stages, five gates in ci-ml.yaml, a first model")
    shop.git("init", "--quiet", "--initial-branch=main")
    shop.hide(STORAGE)
    shop.python("src/fetch.py")
    shop.dvc(
        ("init", "--quiet"),
        ("config", "--quiet", "core.analytics", "false"),
        ("config", "--quiet", "core.check_update", "false"),
        ("remote", "add", "--quiet", "--default", "storage", STORAGE),
        ("add", "--quiet", "data/tumours.csv"),
        ("push", "--quiet"),
    )
    _commit(shop, "A pipeline, its data and its gates")
    _train(shop, screen)
    _commit(shop, "Train the baseline")


def _propose(shop: Workshop, screen: Screen, proposal: Proposal) -> Report:
    """A branch off main with one change, trained and committed, and the verdict on it."""
    screen.tell(proposal.branch, f"{proposal.message} ({proposal.key}: {proposal.old} → {proposal.new})")
    shop.git("switch", "--quiet", "--create", proposal.branch, "main")
    shop.edit("params.yaml", f"{proposal.key}: {proposal.old}", f"{proposal.key}: {proposal.new}")
    _train(shop, screen)
    _commit(shop, proposal.message)
    return shop.check()


def _train(shop: Workshop, screen: Screen) -> None:
    seconds = words.seconds(shop.train().seconds)
    found = shop.numbers()
    values = [f"{name} {numbers.plain(found[f'eval/metrics.json:test.{name}'], 3)}" for name in _METRICS]
    screen.tell("", f"trained in {seconds}: {', '.join(values)}")


def _commit(shop: Workshop, message: str) -> None:
    shop.git("add", "--all")
    shop.git("commit", "--quiet", f"--message={message}")


def _next(screen: Screen, code: int) -> None:
    """What is in the folder, and commands to copy, each with what it does."""
    tries = (
        (f"{screen.activate} && cd {screen.folder}" if screen.activate else f"cd {screen.folder}", ""),
        ("ci-ml check", f"the verdict above again, exit code {code}"),
        ("ci-ml diff", "every number and parameter that differs from main"),
        (f"git switch {BETTER.branch} && ci-ml ci", "the job for CI: train what is stale, then judge"),
        ("ci-ml ci", "the same for your own edit of params.yaml or src/train.py"),
    )
    screen.write(
        f"{screen.folder} is a git repository with the branches above; {WORSE.branch} is checked out.\n"
        f"Data and models are DVC's, and {STORAGE} stands in for a bucket; report.json is in .ci-ml.\n\n"
    )
    column = max(len(command) for command, what in tries if what)
    screen.write("".join(f"  {command:<{column}}  # {what}\n" if what else f"  {command}\n" for command, what in tries))
