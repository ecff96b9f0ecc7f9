"""A user's own model of a table, from the side that the policy comes from. Layer: wiring."""

from ci_ml.adapters import schemas
from ci_ml.core.expectations import Expected
from ci_ml.core.types import Gap
from ci_ml.metrics.columns import Source, Unusable
from ci_ml.usecases.expectations import Schema
from ci_ml.usecases.policy import Policy
from ci_ml.wiring.workspace import Workspace

_MOST = 64 * 2**20  # bytes of Python files


def loader(space: Workspace, base: str | None, chosen: Policy) -> Schema:
    """What reads the rules of a model; `base` is the commit of the base.

    A model is part of the policy: a change that edits it is judged by the one of the base.
    """
    tree = space.history.tree(base) if chosen.source == "base" and base else space.head_tree

    def read(model: str, source: Source) -> Expected:
        folder = f"{space.project.folder}/" if space.project.folder else ""
        names = [path for path in tree.files() if path.startswith(folder) and path.endswith(".py")]
        found = {path.removeprefix(folder): data for path, data in tree.read(names).items()}
        files = {path: data for path, data in found.items() if not isinstance(data, Gap)}
        if sum(map(len, files.values())) > _MOST:
            raise Unusable(f"there are more than {_MOST // 2**20} MiB of Python files beside {model}")
        columns = {column: str(kind) for column, kind in source.table.schema().items()}
        try:
            return schemas.read(files, model, columns, typed=source.typed, root=space.project.root, env=space.env)
        except schemas.Unreadable as error:
            raise Unusable(str(error)) from None

    return read
