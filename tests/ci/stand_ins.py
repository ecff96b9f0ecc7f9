"""Stand-ins for ci-ml, which only say how they were called; the action that calls them is the real one."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ci_ml import __version__
from tests.ci.runners import ROOT
from tests.e2e.project import Project


def release(folder: Path, env: Mapping[str, str], command: str) -> Project:
    """A release of ci-ml that has the real action, and a shell script as its command."""
    here = Project(root=folder, env=env)
    shutil.copy(ROOT / "action.yml", here.root)
    here.write("command", command)
    (here.root / "command").chmod(0o755)
    # GitLab's jobs throw the checkout away, and keep what it set up.
    here.write(
        "templates/setup.sh", 'place="$(mktemp -d)/ci-ml" && cp "${0%/*}/../command" "$place" && echo "$place"\n'
    )
    here.git("init", "--quiet")
    here.commit("A release")
    here.git("tag", f"v{__version__}")
    return here


def actions(stand_in: Project) -> dict[str, str]:
    """What `action` of a pipeline is, by forge, so that a stand-in is called."""
    tag = f"@v{__version__}"
    return {"github": f"ci-ml/ci-ml{tag}", "gitlab": f"{stand_in.root.as_uri()}{tag}"}


def project(root: Path, env: Mapping[str, str]) -> Project:
    """A repository with DVC and a remote, and nothing in it yet."""
    here = Project(root=root, env=env)
    root.mkdir()
    here.git("init", "--quiet", "--initial-branch=main")
    here.write(".dvc/config", "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../storage\n")
    return here
