"""What use cases need from the outside, as small Protocols. Layer: ports."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ci_ml.core.approvals import Approval, Merged
from ci_ml.core.bundle import Bundle, Staged
from ci_ml.core.promotions import Promotion, Step
from ci_ml.core.protection import Access, Environment, Protection, Schedules, Variable
from ci_ml.core.publication import Comment, Labelling, Proposal, Status
from ci_ml.core.sources import SourceConfig
from ci_ml.core.topics import Draft, Labels, Merging, Topic
from ci_ml.core.types import Change, FileChange, Gap, Run

if TYPE_CHECKING:  # Ibis costs half a second, and only gates on predictions need it
    from ci_ml.metrics.columns import Custom, Source
    from ci_ml.metrics.engine import Engine


class Tree(Protocol):
    """The files of a repository in one state; paths are relative to its root, with `/` between folders."""

    def files(self) -> frozenset[str]:
        """Every file that git tracks (or, in the work tree, would track)."""
        ...

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes | Gap]:
        """The content of each file, or why there is none; `Gap.absent` says that it does not exist."""
        ...

    def place(self, path: str, folder: Path) -> Path | Gap:
        """A file on disk that has the content, written into `folder` where there is none, or why it cannot be had."""
        ...


class History(Protocol):
    """Commits and branches of the repository."""

    def commit(self, revision: str) -> str | None: ...

    def branch(self) -> str | None: ...

    def parents(self, sha: str) -> tuple[str, ...]: ...

    def merge_base(self, one: str, other: str) -> str | None: ...

    def is_shallow(self) -> bool: ...

    def is_dirty(self) -> bool: ...

    def target_branch(self) -> str | None: ...

    def remote(self) -> str | None: ...

    def fetch(self, *arguments: str) -> bool: ...

    def tree(self, sha: str) -> Tree:
        """The files of a commit."""
        ...

    def changed(self, sha: str) -> tuple[FileChange, ...]:
        """The files of the work tree that differ from a commit; those that git would not track do not count."""
        ...

    def log(self, sha: str, paths: Iterable[str], most: int) -> tuple[tuple[str, str], ...]:
        """Of a commit and its first parents those that changed one of the files, newest first, and when (ISO 8601)."""
        ...


class DataStore(Protocol):
    """Files that DVC keeps outside git. `sha` is a commit, or None for the work tree's dvc.lock."""

    def read(self, sha: str | None, paths: Iterable[str]) -> Mapping[str, bytes | Gap]:
        """The content of tracked files from the cache or the remote, or why there is none."""
        ...

    def find(self, sha: str | None, folder: str) -> frozenset[str]:
        """Every file inside a tracked folder; empty when its listing cannot be had."""
        ...

    def place(self, sha: str | None, path: str, folder: Path) -> Path | Gap:
        """The file in the cache, else fetched alone into `folder`, or why it cannot be had."""
        ...


class Tables(Protocol):
    """An engine, and the files that it may read."""

    @property
    def engine(self) -> "Engine":
        """What runs the expressions of `ci_ml.metrics`."""
        ...

    def source(self, place: Path, called: str, name: str) -> "Source":
        """A file as a table: `called` is its name in the repository, `name` what errors call it. Raises Unusable."""
        ...

    def custom(self, name: str) -> "Custom":
        """A user's own metric by the name of its entry point. Raises UsageError."""
        ...


class Warehouse(Protocol):
    """A database, as far as it may be read."""

    @property
    def engine(self) -> "Engine":
        """What runs the expressions of `ci_ml.metrics`, where the tables are."""
        ...

    def table(self, about: SourceConfig) -> "Source":
        """A whole table or view; its window is `ci_ml.metrics.windows`. Raises UsageError, DependencyError."""
        ...


# The database that a table is in. Others at the same URL are asked for on the same connection, and can be joined.
OpenWarehouse = Callable[[SourceConfig], AbstractContextManager[Warehouse]]

# By the engine's name or URL, and the files that it may read.
OpenTables = Callable[[str, Sequence[Path]], AbstractContextManager[Tables]]


class Forge(Protocol):
    """GitHub or GitLab, as far as publishing, monitoring and retraining need it.

    Every method raises Refused when the token may not do it, with what to do about that, and Unanswered when the forge
    is down; both name the forge. Numbers are those of pull or merge requests in the repository that the forge was
    made for. Texts are inert already (`ci_ml.render.safe`): GitLab obeys a line that begins with a slash.
    """

    name: str
    longest: int

    def number(self, change: Change) -> int | None:
        """The open pull or merge request of a change whose number is not known; None when there is none."""
        ...

    def proposal(self, number: int) -> Proposal:
        """The request as it is now."""
        ...

    def comments(self, proposal: Proposal) -> Iterator[tuple[Comment, ...]]:
        """The comments of a request that we wrote, in batches: those among the newest hundred first."""
        ...

    def create(self, number: int, body: str) -> Comment:
        """Write a comment. Unanswered.perhaps: it may be there all the same."""
        ...

    def update(self, comment: Comment, body: str) -> Comment | None:
        """Replace the text of a comment; None when somebody has deleted it."""
        ...

    def delete(self, comment: Comment) -> None:
        """Remove a comment; one that is gone already is fine."""
        ...

    def picture(self, path: str, data: bytes) -> str:
        """Keep an SVG picture where those see it who see the repository; returns its address for a comment."""
        ...

    def reporter(self, change: Change, name: str) -> Run | None:
        """The run that has set the newest commit status of this name; None when there is none, or it does not say."""
        ...

    def set_status(self, change: Change, status: Status) -> None:
        """Set the commit status `status.name` on the change's head."""
        ...

    def labelling(self, number: int, label: str) -> Labelling | None:
        """Who set a label that the request has; None when nobody can be found who did."""
        ...

    def issues(self) -> Iterator[tuple[Topic, ...]]:
        """The issues that we wrote, open and closed, in batches: those that changed last first."""
        ...

    def requests(self, branch: str) -> tuple[Topic, ...]:
        """The open pull or merge requests from a branch of this repository itself, never from a fork's."""
        ...

    def open_issue(self, title: str, body: str) -> Topic:
        """Open an issue. Unanswered.perhaps: it may be there all the same."""
        ...

    def open_request(self, draft: Draft) -> Topic:
        """Open a pull or merge request. Unanswered.perhaps: it may be there all the same."""
        ...

    def change(
        self, topic: Topic, *, title: str | None = None, body: str | None = None, is_open: bool | None = None
    ) -> Topic | None:
        """Change what is given, in one step; None when somebody has deleted it."""
        ...

    def relabel(self, topic: Topic, labels: Labels) -> None:
        """Add and take away labels; what is as it should be costs no request."""
        ...

    def remark(self, topic: Topic, body: str) -> None:
        """Write a comment below a topic. Unanswered.perhaps: it may be there all the same."""
        ...

    def merge_later(self, topic: Topic, how: Merging) -> None:
        """Ask the forge to merge a request once everything that it requires holds, and never another commit of it."""
        ...

    def origins(self, sha: str) -> tuple[Merged, ...]:
        """The pull or merge requests that a commit of this repository belongs to."""
        ...

    def origin(self, number: int) -> Merged:
        """A request, merged or not."""
        ...

    def approvals(self, about: Merged, people: Sequence[str]) -> tuple[Approval, ...]:
        """The approvals of a request that stand, each with why it does not count, if it does not.

        It counts of a person who may write and has not opened the request, given to its last commit. With `people` only
        theirs count: logins, and teams or groups as @NAME.
        """
        ...

    def silence(self) -> str | None:
        """Why what this token pushes or opens starts no pipeline, and what to do; None when it starts them."""
        ...


class Registry(Protocol):
    """Where models are registered. Whatever is done may be done again: it then changes nothing.

    Every method raises DependencyError when the registry is down or refuses. `marks` are tags of a version.
    """

    @property
    def address(self) -> str:
        """Where it is, without a password."""
        ...

    @property
    def keeps_aliases(self) -> bool:
        """Whether it has aliases; where it has none, the ledger alone says which version has which."""
        ...

    @property
    def chooses(self) -> bool:
        """Whether it numbers versions itself."""
        ...

    @property
    def limits(self) -> tuple[str, ...]:
        """What it cannot do, in words."""
        ...

    def targets(self, model: str) -> Mapping[str, str]:
        """The aliases of a model and their versions."""
        ...

    def stage(self, bundle: Bundle, run: str | None, lock: str | None, marks: Mapping[str, str]) -> Staged:
        """Put a model's files where versions are made from; raises UsageError for what can never be registered."""
        ...

    def register(self, model: str, staged: Staged, marks: Mapping[str, str], wanted: str | None, bundle: Bundle) -> str:
        """The version with these marks, made when it is not there yet, as `wanted` where versions are chosen."""
        ...

    def point(self, model: str, alias: str, version: str) -> None:
        """Let an alias be a version."""
        ...

    def mark(self, model: str, version: str, marks: Mapping[str, str]) -> None:
        """Put tags on a version."""
        ...

    def marks(self, model: str, version: str) -> Mapping[str, str] | Gap:
        """The tags of a version, or that there is none."""
        ...

    def versions(self, model: str) -> Mapping[str, Mapping[str, str]]:
        """Every version of a model with its tags, as far as they can be listed."""
        ...

    def commit(self, model: str, version: str) -> str | Gap:
        """The commit that a version was made from."""
        ...

    def fetch(self, model: str, version: str, folder: Path) -> Path:
        """The files of a version, brought into a folder."""
        ...


class Ledger(Protocol):
    """What was promoted, in the order in which it was."""

    def read(self, model: str) -> tuple[Step, ...]:
        """What the ledger says of a model."""
        ...

    def enter(self, what: Promotion, digest: Mapping[str, str], last: str | None) -> Step:
        """Keep a record and enter it, if the model's newest is `last` still, or this one is there already.

        Raises Overtaken when somebody else has entered another, DependencyError when the ledger cannot be written.
        """
        ...


class Settings(Protocol):
    """GitHub's or GitLab's settings of a repository. Nothing here writes.

    Every method raises Refused when the token may not read it, and Unanswered when the forge is down.
    """

    name: str

    def access(self) -> Access:
        """What the token may do, as far as the forge says."""
        ...

    def protection(self, branch: str) -> Protection:
        """What has to be there before something is merged into a branch."""
        ...

    def variable(self, name: str) -> Variable:
        """Whether CI jobs get a variable, never what is in it."""
        ...

    def proposer(self, secret: str) -> Variable:
        """Whether a job may open a request with this secret, never what is in it; its own token has no name."""
        ...

    def schedules(self) -> Schedules:
        """The jobs that schedules start by their names, as far as the token may see."""
        ...

    def environment(self, name: str, branch: str) -> Environment:
        """Whether only jobs of this branch, or of protected ones, get to an environment."""
        ...

    def kept(self, secret: str, environment: str) -> Variable:
        """Whether jobs of an environment (empty for none) get a secret; `protected` where no others do."""
        ...

    def apart(self, environment: str) -> bool:
        """Whether the forge can keep secrets from other branches, with or without this environment."""
        ...
