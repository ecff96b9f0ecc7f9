"""A first set of expectations from a table, and its place in ci-ml.yaml. Layer: usecases."""

import re
import tempfile
from pathlib import Path

from ci_ml.core import config, documents, expectations, observed
from ci_ml.core.config import Config
from ci_ml.core.observed import Proposed
from ci_ml.core.types import Gap
from ci_ml.errors import ConfigError, UsageError
from ci_ml.metrics import expectations as counting
from ci_ml.metrics.columns import Source, Unusable
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.observed import observe
from ci_ml.ports import OpenTables
from ci_ml.render import expectations as rendering
from ci_ml.usecases.evidence import Side

_INDENT = "  "


def profile(engine: str, path: str, name: str, head: Side, open_tables: OpenTables, indent: str = _INDENT) -> str:
    """What to expect of a table, as lines of ci-ml.yaml. Raises UsageError for a table that cannot be read."""
    with tempfile.TemporaryDirectory(prefix="ci-ml-data-") as folder:
        place = head.place(path, Path(folder))
        if isinstance(place, Gap):
            raise UsageError(f"{path} cannot be read: {place.reason}", "name a file of this project")
        with open_tables(engine, [place]) as tables:
            try:
                source = tables.source(place, path, path)
                n, columns = _proposed(tables.engine, source)
            except Unusable as error:
                raise UsageError(str(error), "mend the table first") from None
    return rendering.block(name, path, n, observed.rows(n), columns, indent)


def _proposed(engine: Engine, source: Source) -> tuple[int, list[Proposed]]:
    n, seen = observe(engine, source)
    proposed = [observed.propose(one, n) for one in seen if 0 < len(one.name) <= 200]
    return n, _kept(engine, source, proposed)


def _kept(engine: Engine, source: Source, proposed: list[Proposed]) -> list[Proposed]:
    """What the table itself does not break, whatever was thought of it."""
    models = {one.name: expectations.ColumnConfig.model_validate(one.keys) for one in proposed}
    rules = [rule for name, model in models.items() for rule in expectations.of_column(name, model)]
    counted = counting.count(engine, source, expectations.distinct(rules))
    broken: dict[str, set[str]] = {}
    for rule, what in counted.found.items():
        allowed = rule.limit.value * (counted.n if rule.limit.share else 1)
        if isinstance(what, Gap) or what.rows > allowed:
            broken.setdefault(rule.columns[0], set()).add(rule.kind.value)
    return [
        Proposed(
            name=one.name,
            keys={key: value for key, value in one.keys.items() if key not in broken.get(one.name, ())},
            seen=one.seen,
        )
        for one in proposed
    ]


def table_name(path: str, taken: Config | None) -> str:
    """A name for a table, from that of its file. Raises UsageError when it is there already."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.rpartition("/")[2].partition(".")[0]).strip("-")
    name = stem[:80] if stem[:1].isalpha() else f"table-{stem}"[:80].rstrip("-")
    if taken is not None and name in taken.data:
        raise UsageError(f"{name} is under data already", "choose another name: --name NAME")
    return name


def indentation(text: str) -> str:
    """How far the tables under `data` are indented, where there are any."""
    lines = text.splitlines()
    start = _data_line(text)
    if start is None:
        return _INDENT
    inside = (line for line in lines[start:] if line.strip() and not line.lstrip().startswith("#"))
    first = next(inside, "")
    found = first[: len(first) - len(first.lstrip(" "))]
    return found or _INDENT


def added(text: str | None, block: str, name: str, path: str) -> str:
    """The text of ci-ml.yaml with one more table, and nothing else changed; `path` is what errors call the file.

    Raises UsageError for a file in which there is no place for it, ConfigError for one that is broken.
    """
    if text is None:
        return f"version: 1\n\ndata:\n{block}"
    before = config.load(text.encode(), path)
    start = _data_line(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    block = block.replace("\n", newline)
    lines = text.splitlines(keepends=True)
    if start is None:
        ended = text if text.endswith("\n") or not text else text + newline
        found = f"{ended}{newline}data:{newline}{block}"
    else:
        found = "".join([*lines[:start], block, *lines[start:]])
    _check(found, before.config, name, path)
    return found


def _data_line(text: str) -> int | None:
    """The number of the line after `data:`, counted from 0; None when there is no such key."""
    try:
        return documents.parse(text.encode(), config.FILE_NAME).lines.get(("data",))
    except documents.DocumentError:
        return None


def _check(text: str, before: Config, name: str, path: str) -> None:
    """Raises UsageError unless the file says what it said before, and of one table more."""
    try:
        after = config.load(text.encode(), path).config
    except ConfigError:
        after = None
    rest = {other: about for other, about in after.data.items() if other != name} if after else None
    if after is None or rest != before.data or after.model_copy(update={"data": before.data}) != before:
        raise UsageError(
            f"{path} has no place where a table can be added", "run it without --write, and put the lines there by hand"
        )
