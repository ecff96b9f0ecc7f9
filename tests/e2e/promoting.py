"""Projects that promote what they train, on the embedded store or a server."""

import contextlib
import sqlite3
import sys
from pathlib import Path

from tests.e2e.project import Project, Result

REGISTRY = """\
registry:
  churn:
    model: model.json
    aliases: {champion: {}, shadow: {}}
"""

# Runs ci-ml, and lets it die by SIGKILL before or after the nth call of something.
KILLER = """\
import os, signal, sys
from ci_ml.adapters.mlflow.registry import Models
from ci_ml.wiring.registry import Chronicled
where, number = sys.argv[1], int(sys.argv[2])
seen = 0
def dying(inner):
    def call(*arguments, **options):
        global seen
        seen += 1
        if seen == number and where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = inner(*arguments, **options)
        if seen == number and where == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return call
for kind, names in ((Models, ("targets", "stage", "register", "point", "mark")), (Chronicled, ("read", "enter"))):
    for name in names:
        setattr(kind, name, dying(getattr(kind, name)))
sys.argv[1:3] = []
from ci_ml.__main__ import main
main()
"""


def trained(project: Project, rate: float) -> str:
    """A commit whose model is another one, judged; returns its sha."""
    project.write("params.yaml", {"prepare": {"keep": 1.0}, "train": {"rate": rate, "steps": 3}})
    project.ci_ml("train").expect(0)
    sha = project.commit(f"rate {rate}")
    project.ci_ml("check").expect(0)
    return sha


def killed(project: Project, where: str, number: int, *arguments: str) -> Result:
    return project.run(sys.executable, "-c", KILLER, where, str(number), *arguments)


def store(project: Project) -> Path:
    """The embedded store's file."""
    uri = project.env.get("MLFLOW_TRACKING_URI")
    return Path(uri.removeprefix("sqlite:///")) if uri else project.root / ".ci-ml" / "mlflow.db"


def asked(project: Project, question: str) -> list[tuple[str, ...]]:
    """What the store itself holds: MLflow's client costs seconds."""
    with contextlib.closing(sqlite3.connect(store(project))) as database:
        return [tuple(map(str, row)) for row in database.execute(question)]


def aliases(project: Project) -> dict[str, str]:
    """Where the aliases are."""
    return dict(asked(project, "select alias, version from registered_model_aliases where name = 'churn'"))


def tags(project: Project, version: str) -> dict[str, str]:
    """The tags of a version."""
    return dict(asked(project, f"select key, value from model_version_tags where version = {int(version)}"))


def versions(project: Project) -> list[str]:
    return [
        row[0] for row in asked(project, "select version from model_versions where name = 'churn' order by version")
    ]


def report(project: Project) -> Path:
    return project.root / ".ci-ml" / "report.json"
