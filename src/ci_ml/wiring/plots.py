"""The plots of DVC for a report. Layer: wiring."""

from ci_ml.adapters.dvc import plots as dvc
from ci_ml.core.exhibits import PlotPart
from ci_ml.core.types import Revision
from ci_ml.wiring import publishing
from ci_ml.wiring.workspace import Workspace


def plots(space: Workspace, against: Revision) -> tuple[tuple[PlotPart, ...], tuple[str, ...]]:
    """The work tree's plots against a commit's, and what a reader should know about them.

    No process is started where no dvc.yaml defines a plot; else it costs two seconds, and no verdict depends on it.
    """
    if against.sha is None or not space.head_pipeline.plots:
        return (), ()
    env = publishing.without_token(space.change, space.env)
    found = dvc.diff(against.sha, cwd=space.project.root / space.project.folder, env=env)
    return found.plots, found.notices
