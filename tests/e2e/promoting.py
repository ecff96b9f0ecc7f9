"""Projects that promote what they train, on the embedded store or a server."""

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


def aliases(project: Project) -> dict[str, str]:
    """Where the aliases are, asked of MLflow itself."""
    code = (
        "import json, sys\nfrom mlflow import MlflowClient\n"
        "client = MlflowClient(sys.argv[1], sys.argv[1])\n"
        "print(json.dumps(dict(client.get_registered_model('churn').aliases)))\n"
    )
    uri = project.env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project.root}/.ci-ml/mlflow.db"
    found: dict[str, str] = project.run(sys.executable, "-W", "ignore", "-c", code, uri).expect(0).json()
    return found


def report(project: Project) -> Path:
    return project.root / ".ci-ml" / "report.json"
