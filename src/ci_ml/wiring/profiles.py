"""A first set of expectations from a table. Layer: wiring."""

import os
from pathlib import Path

from ci_ml.adapters import files
from ci_ml.core import config
from ci_ml.core.config import Config
from ci_ml.core.types import Gap
from ci_ml.errors import UsageError
from ci_ml.usecases import policy, profile
from ci_ml.wiring import tables
from ci_ml.wiring.workspace import Workspace


def run(space: Workspace, table: str, name: str | None, *, write: bool) -> str:
    """What to expect of a table (its name under `data`, or a file), as lines; with `write` they go into ci-ml.yaml."""
    place = space.project.config
    loaded = policy.load(space.head_tree, place, place)
    known = loaded.config if loaded else None
    own = known.data.get(table) if known else None
    if own is not None and write:
        raise UsageError(f"{table} is under data already", "run it without --write, and choose what to take over")
    path = own.path if own is not None else _relative(space, table)
    called = name or (table if own is not None else profile.table_name(path, known if write else None))
    _fits(called, known if write else None)
    text = _text(space)
    engine = known.engine if known else "duckdb"
    indent = profile.indentation(text or "")
    block = profile.profile(engine, path, called, space.head_side(), tables.opener(space.env), indent)
    if not write:
        return f"data:\n{block}"
    files.write_tracked(space.project.root, place, profile.added(text, block, called, place))
    return f"wrote {called} to {place}\n"


def _fits(name: str, known: Config | None) -> None:
    try:
        Config.model_validate({"version": 1, "data": {name: {"path": "x.csv"}}})
    except ValueError:
        raise UsageError(f"{name!r} is no name of a table", "a letter, then letters, digits, _ and -") from None
    if known is not None and name in known.data:
        raise UsageError(f"{name} is under data already", "choose another name: --name NAME")


def _relative(space: Workspace, table: str) -> str:
    """The path of a file, relative to the folder of ci-ml.yaml. Raises UsageError for one that is not in it."""
    folder = space.project.root / space.project.folder
    path = Path(os.path.relpath(space.here / table, folder)).as_posix()
    if path.startswith("../"):
        raise UsageError(f"{table} is not in {folder}", "a table is a file of the project")
    try:
        Config.model_validate({"version": 1, "data": {"x": {"path": path}}})
    except ValueError:
        kinds = ".parquet, .csv, .tsv or .jsonl (texts also with .gz)"
        raise UsageError(
            f"{table} is no table under data, and no file that is one", f"a file ends with {kinds}"
        ) from None
    return path


def _text(space: Workspace) -> str | None:
    data = space.head_tree.read([space.project.config])[space.project.config]
    if isinstance(data, Gap):
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{space.project.config} is not UTF-8 text", f"every key is in {config.DOCS}") from None
