"""Reads one model of pandera, in a process of its own that has no secrets. Layer: adapters.

Run as a script: FOLDER holds the Python files that the model may import, FILE and NAME say which it is, and FORBIDDEN
is the folder of the work tree, of which nothing may be read: its files are those of the change that is judged. The
columns of the table come as JSON on stdin, and what the model says goes as JSON to stdout. Nothing of ci-ml is
imported here, and whoever reads the answer takes it for a stranger's.
"""

import contextlib
import datetime as dt
import importlib
import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from typing import Any


class Refused(Exception):
    """Something that cannot be counted in the engine; the text says what."""


def main() -> None:
    """Answer, whatever the model does to stdout meanwhile."""
    folder, file, name, forbidden = sys.argv[1:5]
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = json.load(sys.stdin)
    _guard(Path(forbidden), Path(folder))
    try:
        found = _described(_schema(Path(folder), file, name), asked["columns"], typed=asked["typed"])
    except Refused as error:
        found = {"refused": str(error)}
    json.dump(found, answer, allow_nan=False)
    answer.close()


def _guard(forbidden: Path, folder: Path) -> None:
    """Let nothing of the work tree be read, by whatever way: a hook of Python's that cannot be taken away again."""
    root = f"{os.path.realpath(forbidden)}{os.sep}"
    # An environment inside the work tree is where packages are; what is there has run long before this.
    allowed = tuple(f"{os.path.realpath(place)}{os.sep}" for place in (folder, sys.prefix, sys.base_prefix))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments and isinstance(arguments[0], str | bytes | os.PathLike):
            place = os.path.realpath(os.fsdecode(arguments[0]))
            if place.startswith(root) and not place.startswith(allowed):
                raise PermissionError(f"{place.removeprefix(root)} is a file of the change that is judged")

    sys.addaudithook(hook)


def _schema(folder: Path, file: str, name: str) -> Any:
    """The schema behind a name: a model's, or one that is written out."""
    try:
        importlib.import_module("pandera.ibis")  # which registers its checks
    except ImportError as error:
        hint = "pip install 'ci-ml[pandera]'; in CI, name pandera in CI_ML_EXTRAS"
        raise Refused(f"pandera is not installed ({error}): {hint}") from None
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    module = ".".join(Path(file).with_suffix("").parts)
    try:
        spec = importlib.util.spec_from_file_location(module, folder / file)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[module] = loaded
        spec.loader.exec_module(loaded)
        found = getattr(loaded, name)
        return found.to_schema() if hasattr(found, "to_schema") else found
    except AttributeError as error:
        if error.name == name:
            raise Refused(f"there is no {name} in {file}") from None
        raise Refused(f"{file} failed: {_words(error)}") from None
    except Exception as error:  # noqa: BLE001  somebody else's module
        raise Refused(f"{file} failed: {_words(error)}") from None


def _words(error: BaseException) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line[:300]}" if line else type(error).__name__


def _described(schema: Any, columns: dict[str, str], *, typed: bool) -> dict[str, Any]:
    """What a schema says: its columns, their checks, and what it says of the whole table."""
    if not hasattr(schema, "columns") or not hasattr(schema, "checks"):
        raise Refused(f"it is {type(schema).__name__}, and no model of a table")
    for key in ("index", "parsers", "drop_invalid_rows", "ordered", "add_missing_columns"):
        if getattr(schema, key, None):
            raise Refused(f"`{key}` is not supported: tables are judged as they are")
    table = _Table(columns if typed else {name: _read_as(schema, name) for name in columns})
    found: dict[str, Any] = {
        "columns": [one for name, column in schema.columns.items() for one in _columns(table, schema, name, column)],
        "checks": [_check(table, check, None) for check in schema.checks],
        "closed": schema.strict is True,
        "unique": _unique(schema.unique),
    }
    return found


# What the text of a file is read as, by how the types of a model begin.
_READ_AS = (
    (("int", "uint"), "int64"),
    (("float", "decimal"), "float64"),
    (("bool",), "boolean"),
    (("date",), "date"),
    (("timestamp",), "timestamp"),
)


def _read_as(schema: Any, name: str) -> str:
    column = schema.columns.get(name)
    kind = str(schema.dtype or (column.dtype if column is not None else "")).lower()
    kind = "timestamp" if kind.startswith("datetime64") else kind
    return next((found for starts, found in _READ_AS if kind.startswith(starts)), "string")


def _unique(unique: Any) -> list[list[str]]:
    if not unique:
        return []
    names = [unique] if isinstance(unique, str) else list(unique)
    return [names] if all(isinstance(name, str) for name in names) else [list(one) for one in names]


def _columns(table: "_Table", schema: Any, name: str, column: Any) -> list[dict[str, Any]]:
    if getattr(column, "parsers", None) or getattr(column, "drop_invalid_rows", None):
        raise Refused(f"{name}: parsers and drop_invalid_rows are not supported: tables are judged as they are")
    if getattr(column, "default", None) is not None:
        raise Refused(f"{name}: `default` is not supported: tables are judged as they are")
    names = [name]
    if column.regex:
        pattern = column.selector if isinstance(getattr(column, "selector", None), str) else f"^{name}$"
        names = [one for one in table.columns if re.search(pattern, one)]
    kind = schema.dtype or column.dtype
    return [
        {
            "name": one,
            "type": None if kind is None else str(kind),
            "required": bool(column.required),
            "nullable": bool(column.nullable),
            "unique": bool(column.unique),
            "checks": [_check(table, check, one) for check in column.checks],
        }
        for one in names
    ]


def _check(table: "_Table", check: Any, column: str | None) -> dict[str, Any]:
    """A check as pandera's own, as an expression over a row, or as what cannot be counted, and why."""
    name = str(check.name or check.error or getattr(check._check_fn, "__name__", "check"))
    found: dict[str, Any] = {"name": name, "warning": bool(check.raise_warning)}
    try:
        if column is not None and (arguments := _built_in(check)) is not None:
            return {**found, "arguments": arguments}
        return {**found, "expression": table.expression(check, column)}
    except Refused as error:
        return {**found, "refused": str(error)}
    except Exception as error:  # noqa: BLE001  somebody else's function
        return {**found, "refused": f"it failed: {_words(error)}"}


def _built_in(check: Any) -> dict[str, Any] | None:
    """The arguments of a check of pandera's; None for one of the user's, whatever it calls itself."""
    kind = type(check)
    if not kind.is_builtin_check(check.name):
        return None
    own, given = kind.get_builtin_check_fn(check.name), check._check_fn  # a model has copies of them
    functions = {*given._function_registry.values()} if type(given) is type(own) else set()
    if not functions or not functions <= {*own._function_registry.values()}:
        return None
    try:
        return {key: _plain(value) for key, value in check._check_kwargs.items()}
    except TypeError:
        return None  # an interval, a time of the day: an expression, if it can be one


def _plain(value: Any) -> Any:
    """A value as JSON has it. Raises TypeError for one that it has not."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124  NaN is not itself
        return value
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, dt.date):
        return {"moment": value.isoformat()}
    if isinstance(value, list | tuple | set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    if hasattr(value, "item"):  # a number of numpy's
        return _plain(value.item())
    raise TypeError(type(value).__name__)


_MORE = ("where", "group", "having", "joins", "qualify", "order", "limit", "with", "with_", "distinct")


class _Table:
    """A table that has the columns and no rows, to ask checks about."""

    def __init__(self, columns: dict[str, str]) -> None:
        import ibis

        self.columns = list(columns)
        self._table = ibis.table(columns, name="t")

    def expression(self, check: Any, column: str | None) -> str:
        """What a check says of a row, as SQL. Raises Refused."""
        from pandera.api.ibis.types import IbisData

        if check.element_wise:
            raise Refused("it runs Python on every value: return an expression of Ibis instead")
        if check.groupby is not None:
            raise Refused("`groupby` is not supported")
        if column is not None and column not in self.columns:
            raise Refused(f"the table has no column {column}")
        function = check._check_fn
        if type(function).__name__ == "Dispatcher":  # one of pandera's, whose copy may not know of Ibis
            function = type(check).get_builtin_check_fn(check.name)
        out = function(IbisData(self._table, column), **check._check_kwargs)
        said = " AND ".join(f"({sql})" for sql in self._sql(out))
        quoted = column.replace('"', '""') if column is not None else ""
        return f'"{quoted}" IS NULL OR ({said})' if column is not None and check.ignore_na else said

    def _sql(self, out: Any) -> list[str]:
        import ibis
        import ibis.expr.types as ir
        from ibis.backends.sql.compilers.duckdb import DuckDBCompiler

        if isinstance(out, dict):
            out = self._table.select(**out)
        elif isinstance(out, ir.BooleanColumn):
            out = self._table.select(holds=out)
        if not isinstance(out, ibis.Table):
            raise Refused("it answers for the table as a whole, and not for each of its rows")
        if not all(kind.is_boolean() for kind in out.schema().values()):
            raise Refused("it returns something else than yes or no for each row")
        tree = DuckDBCompiler().to_sqlglot(out)
        with contextlib.suppress(ImportError):
            from sqlglot import exp

            simple = isinstance(tree, exp.Select) and not any(tree.args.get(part) for part in _MORE)
            source = tree.args.get("from_") or tree.args.get("from")
            if not simple or source is None or not isinstance(source.this, exp.Table):
                raise Refused("it is more than an expression over one row")
            for node in tree.find_all(exp.Column):
                node.set("table", None)
            return [item.unalias().sql(dialect="duckdb") for item in tree.expressions]
        raise Refused("it cannot be read")


if __name__ == "__main__":
    main()
