"""Which gates judge a change: those of the base, so that a change cannot lower its own bar. Layer: usecases."""

from dataclasses import dataclass
from typing import Literal

from ci_ml.core import config
from ci_ml.core.config import Config, LoadedConfig
from ci_ml.core.types import Gap, Revision
from ci_ml.errors import ConfigError, UsageError
from ci_ml.ports import Tree
from ci_ml.usecases.project import Project

TEMPLATE = ".j2"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The configuration that judges, the side it came from, and what a reader must know about that."""

    config: Config
    digest: str
    source: Literal["base", "head"]
    changed_in_head: bool
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def load(tree: Tree, path: str, at: str) -> LoadedConfig | None:
    """The configuration in a tree, or None when it has none. `at` names the tree in errors."""
    data = tree.read([path])[path]
    if isinstance(data, Gap):
        if data.absent:
            return None
        raise UsageError(f"{at}: {data.reason}", "name the configuration with --config FILE")
    return config.load(data, at)


def choose(base_tree: Tree, head_tree: Tree, path: str, base: Revision, prefer: Literal["base", "head"]) -> Policy:
    """The gates that judge: the base's when it has any, else the head's, and what to say about it.

    The head's file must be valid in any case, for it will be the policy once merged. A base whose file is broken
    cannot be repaired by any change if it blocks, so the head's is taken and the verdict warns.
    """
    own = load(head_tree, path, path)
    if prefer == "head":
        if own is None:
            raise UsageError(f"there is no {path} in the work tree", "drop --policy head, or write the file")
        return _from_head(
            own, changed=False, notices=("the gates are those of the work tree (--policy head), not of the base",)
        )
    try:
        theirs = load(base_tree, path, f"{path} at {base.short}")
    except ConfigError as error:
        if own is None:
            raise
        warning = f"{error.what} (first: {error.problems[0]}), so the gates are those of the change itself."
        return _from_head(own, changed=True, warnings=(warning,))
    if theirs is None:
        if own is None:
            raise UsageError(
                f"there is no {path}, neither in the base {base.short} nor in the work tree",
                "the README shows a minimal file",
            )
        return _from_head(
            own,
            changed=False,
            notices=(f"the base {base.short} has no {path}: the gates are those of the change itself",),
        )
    changed = own is None or own.digest != theirs.digest
    notices: tuple[str, ...] = ()
    if changed:
        edits = "deletes" if own is None else "edits"
        notices = (f"this change {edits} {path}; it is judged by the gates of the base {base.short}",)
    return Policy(config=theirs.config, digest=theirs.digest, source="base", changed_in_head=changed, notices=notices)


def _from_head(
    own: LoadedConfig, *, changed: bool, warnings: tuple[str, ...] = (), notices: tuple[str, ...] = ()
) -> Policy:
    return Policy(
        config=own.config, digest=own.digest, source="head", changed_in_head=changed, warnings=warnings, notices=notices
    )


def templates(tree: Tree, project: Project, config: Config) -> dict[str, str]:
    """The user's templates of reports in a tree, by their names. Raises UsageError for a folder without any."""
    if config.report.templates is None:
        return {}
    folder = project.inside(config.report.templates)
    prefix = f"{folder}/" if folder else ""
    names = [name for name in tree.files() if name.startswith(prefix) and name.endswith(TEMPLATE)]
    if not names:
        raise UsageError(f"report.templates: there is no {TEMPLATE} file in {folder}", "docs/reports.md names ours")
    found = tree.read(names)
    return {name.removeprefix(prefix): _template(name, data) for name, data in found.items()}


def _template(name: str, data: bytes | Gap) -> str:
    if isinstance(data, Gap):
        raise UsageError(f"the template {name} cannot be read: {data.reason}")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"the template {name} is not UTF-8 text") from None
