"""What `ci-ml init` finds out about a repository, and what it is going to write there. Layer: core."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ci_ml.core import config
from ci_ml.core.generated import Generated
from ci_ml.core.proposal import Proposal
from ci_ml.core.workflow import ForgeKind, PipelineSpec

_WORKFLOW = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_GITLAB = ".gitlab-ci.yml"
_NAMED = {ForgeKind.GITHUB: "github", ForgeKind.GITLAB: "gitlab"}


@dataclass(frozen=True, kw_only=True)
class Forge:
    """Whose CI files are written, and how we know; `kind` None where nothing says it."""

    kind: ForgeKind | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Everything that was found, and every file to write: ci-ml.yaml is the first of `files`.

    `stale` are the stages that dvc.lock is not true for, and `broken` says why DVC refuses the pipeline, if it does.
    `remote` is the address of DVC's default remote without credentials, `taken` are CI files that people wrote, and
    `entry` is GitLab's first file where it does not include ours yet. `start`: DVC is to be started here first.
    `named` says what the jobs got another name or stage than usual for.
    """

    config: str
    forge: Forge
    branch: str
    stages: int
    stale: tuple[str, ...]
    broken: str | None
    proposal: Proposal | None
    spec: PipelineSpec | None
    remote: str | None
    files: tuple[Generated, ...]
    taken: tuple[str, ...] = ()
    entry: str | None = None
    start: bool = False
    example: str | None = None
    named: tuple[str, ...] = ()

    @property
    def todo(self) -> int:
        """How many values of ci-ml.yaml are left to the user."""
        text = next(one.text for one in self.files if one.path == self.config)
        return config.left_open(text.encode())


def forge(asked: ForgeKind | None, host: str | None, files: Iterable[str]) -> Forge:
    """Whose repository this is: as asked for, else by the server's name, else by the CI files that are there."""
    if asked is not None:
        return Forge(kind=asked, why="asked for with --forge")
    for kind, name in _NAMED.items():
        if host is not None and name in host:
            return Forge(kind=kind, why=f"the remote is at {host}")
    there = [path for path in files if path == _GITLAB or _WORKFLOW.fullmatch(path)]
    kinds = {ForgeKind.GITLAB if path == _GITLAB else ForgeKind.GITHUB for path in there}
    if len(kinds) == 1:
        return Forge(kind=kinds.pop(), why=f"there is {min(there)}")
    if kinds:
        return Forge(kind=None, why="there are CI files of both")
    known = f"{host} may be either" if host else "git has no remote on a server"
    return Forge(kind=None, why=f"{known}, and there are no CI files")


def packages(files: Iterable[str]) -> str | None:
    """The one requirements.txt of a repository that has none where CI looks; None where that is not clear."""
    found = [path for path in files if path.endswith("/requirements.txt")]
    return found[0] if len(found) == 1 else None


def section(
    kind: ForgeKind,
    branch: str | None,
    install: str | None = None,
    *,
    more: Mapping[str, str] | None = None,
    off: bool = False,
) -> str:
    """The part of ci-ml.yaml about CI files, with `more` keys; `off`, as a comment, where people have their own."""
    lines = [
        "pipelines:",
        f"  - forge: {kind.value}",
        "    layout: single # all stages in one job; `stages` gives each a job, on machines of its own (`runners`)",
        *([f"    branch: {json.dumps(branch, ensure_ascii=False)} # the default branch"] if branch else []),
        *(f"    {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in (more or {}).items()),
        *([f"    python: {{install: {json.dumps(install, ensure_ascii=False)}}}"] if install else []),
    ]
    if off:
        head = "# The CI files are your own. Take these marks off, and `ci-ml generate --force` writes them:"
        return "\n".join(["", head, *(f"# {line}" for line in lines), ""])
    return "\n".join(["", "# The CI files. After an edit here, `ci-ml generate` writes them anew.", *lines, ""])


def without_credentials(address: str) -> str:
    """The address of a remote as it may be shown."""
    return re.sub(r"(?<=://)[^/@]*@", "", address)
