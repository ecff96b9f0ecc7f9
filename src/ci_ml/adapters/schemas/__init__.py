"""Models of pandera, read in a process of their own. Layer: adapters.

A model is code: that of the side which the policy comes from, never that of the change. It gets the Python files of
that side and the names and types of the table's columns, none of the environment's secrets, and no file of the work
tree. What it answers is checked like anything from a stranger, and rows are counted by the engine, not by it.
"""

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ci_ml.adapters import proc
from ci_ml.core import expectations
from ci_ml.core.expectations import ColumnType, Expected, Kind, Rule
from ci_ml.errors import CiMlError, DependencyError

_CHILD = Path(__file__).with_name("child.py")
_PATIENCE = 120.0
_LONGEST = 4 * 2**20
# All that it gets of the environment: what it takes to find programs and libraries, and to read text.
_HANDED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP")

Text = Annotated[str, Field(max_length=2000)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Check(_Answer):
    name: Text
    warning: bool
    arguments: dict[Text, Any] | None = None
    expression: Annotated[str, Field(max_length=100_000)] | None = None
    refused: Text | None = None


class _Column(_Answer):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    type: Text | None
    required: bool
    nullable: bool
    unique: bool
    checks: list[_Check]


class _Model(_Answer):
    columns: list[_Column]
    checks: list[_Check]
    closed: bool
    unique: list[list[Text]]


class _Refusal(_Answer):
    refused: Text


class Unreadable(Exception):
    """A model cannot be read; the text says why."""


def read(
    files: Mapping[str, bytes],
    model: str,
    columns: Mapping[str, str],
    *,
    typed: bool,
    root: Path,
    env: Mapping[str, str],
) -> Expected:
    """The rules of a model, FILE.py:NAME, for a table with these columns (name to type of Ibis).

    `files` are the Python files that it may import, by path; `root` is the work tree. `typed`: the table says itself of
    what type its columns are; else they are text. Raises Unreadable.
    """
    file, _, name = model.rpartition(":")
    if file not in files:
        raise Unreadable(f"there is no file {file}")
    with tempfile.TemporaryDirectory(prefix="ci-ml-schema-") as folder:
        for path, data in files.items():
            place = Path(folder) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        asked = json.dumps({"columns": dict(columns), "typed": typed}).encode()
        said = _asked(Path(folder), file, name, asked, root, env)
    try:
        answer = json.loads(said)
        is_refusal = isinstance(answer, dict) and "refused" in answer
        found = (_Refusal if is_refusal else _Model).model_validate(answer)
    except (ValueError, RecursionError, ValidationError):
        raise Unreadable(f"{file} was read, and its answer was none of a model") from None
    if isinstance(found, _Refusal):
        raise Unreadable(found.refused)
    rules = _expected(found)
    if not rules.rules and rules.closed is None:
        raise Unreadable(f"{model} expects nothing")
    return rules


def _asked(folder: Path, file: str, name: str, asked: bytes, root: Path, env: Mapping[str, str]) -> bytes:
    handed = {key: value for key, value in env.items() if key in _HANDED_ON} | {"HOME": str(folder)}
    command = [sys.executable, "-I", "-B", str(_CHILD), str(folder), file, name, str(root)]
    try:
        done = proc.run(command, cwd=folder, env=handed, stdin=asked, timeout=_PATIENCE)
    except DependencyError as error:
        raise Unreadable(f"{file} could not be read: {error.what}") from None
    except CiMlError as error:
        raise Unreadable(error.what) from None
    if done.code != 0:
        line = next((line.strip() for line in reversed(done.err.splitlines()) if line.strip()), "")
        raise Unreadable(f"{file} could not be read (exit code {done.code}): {line[:300]}")
    if len(done.out) > _LONGEST:
        raise Unreadable(f"{file} says more than {_LONGEST // 2**20} MiB")
    return done.out


# --- From what it says to rules ---------------------------------------------------------------------------------------

# Types of pandas' own, which say what values are and not how an engine keeps them.
_OF_PANDAS = {
    "object": ColumnType.STRING,
    "str": ColumnType.STRING,
    "string[python]": ColumnType.STRING,
    "string[pyarrow]": ColumnType.STRING,
    "bool": ColumnType.BOOLEAN,
    "Int64": ColumnType.INTEGER,
    "Float64": ColumnType.NUMBER,
    "datetime64[ns]": ColumnType.TIMESTAMP,
    "date": ColumnType.DATE,
}
_FAMILIES = (
    (("int", "uint"), ColumnType.INTEGER),
    (("float", "decimal"), ColumnType.NUMBER),
    (("string",), ColumnType.STRING),
    (("bool",), ColumnType.BOOLEAN),
    (("timestamp",), ColumnType.TIMESTAMP),
)


def _expected(model: _Model) -> Expected:
    rules = [rule for column in model.columns for rule in _of_column(column)]
    rules += [_of_check(check, None, None) for check in model.checks]
    rules += [
        Rule(what=f"{', '.join(names)} unique" if len(names) > 1 else "unique", kind=Kind.UNIQUE, columns=tuple(names))
        for names in model.unique
    ]
    closed = frozenset(column.name for column in model.columns) if model.closed else None
    return Expected(rules=tuple(rules), closed=closed)


def _of_column(column: _Column) -> list[Rule]:
    kind = _family(column.type)
    common: dict[str, Any] = {"columns": (column.name,), "type": kind, "optional": not column.required}
    found = []
    if column.type is not None:
        wanted = column.type if column.type not in _OF_PANDAS else kind
        found.append(Rule(what=str(column.type), kind=Kind.TYPE, value=wanted, **common))
    if not column.nullable:
        found.append(Rule(what="no missing values", kind=Kind.MISSING, **common))
    elif column.type is None and column.required:
        found.append(Rule(what="is there", kind=Kind.MISSING, limit=expectations.ANY, **common))
    if column.unique:
        found.append(Rule(what="unique", kind=Kind.UNIQUE, **common))
    return found + [_of_check(check, column, kind) for check in column.checks]


def _family(kind: str | None) -> ColumnType | None:
    if kind is None:
        return None
    known = (found for starts, found in _FAMILIES if kind.lower().startswith(starts))
    return _OF_PANDAS.get(kind) or next(known, None)


def _of_check(check: _Check, column: _Column | None, kind: ColumnType | None) -> Rule:
    """A check as a rule; one that cannot be counted stays a rule, which says why it cannot be judged."""
    common: dict[str, Any] = {"warns": check.warning, "type": kind}
    if column is not None:
        common |= {"columns": (column.name,), "optional": not column.required}
    name = expectations.shortened(check.name)
    if check.refused is None and check.expression is not None:
        return Rule(what=name, kind=Kind.HOLDS, value=check.expression, **common)
    why = check.refused or f"{check.name} is not known here"
    if check.arguments is not None and column is not None:
        try:
            what, found, value = _built_in(check.name, {key: _plain(item) for key, item in check.arguments.items()})
            return Rule(what=what, kind=found, value=value, **common)
        except (KeyError, TypeError, ValueError) as error:
            why = f"{check.name} cannot be counted: {error}"
    return Rule(what=name, kind=Kind.REFUSED, value=why, **common)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        found = expectations.moment(str(value["moment"]))
        if found is None:
            raise ValueError(f"{value['moment']!r} is no date")
        return found
    return tuple(_plain(item) for item in value) if isinstance(value, list) else value


_ENDS = {
    "greater_than_or_equal_to": (Kind.MIN, "min_value", "at least"),
    "greater_than": (Kind.ABOVE, "min_value", "above"),
    "less_than_or_equal_to": (Kind.MAX, "max_value", "at most"),
    "less_than": (Kind.BELOW, "max_value", "below"),
}
_LISTS = {
    "isin": (Kind.ALLOWED, "allowed_values", "one of"),
    "notin": (Kind.FORBIDDEN, "forbidden_values", "none of"),
    "equal_to": (Kind.ALLOWED, "value", "one of"),
    "not_equal_to": (Kind.FORBIDDEN, "value", "none of"),
}
_PATTERNS = {
    "str_matches": ("pattern", "begins as", r"\A(?:{})"),
    "str_contains": ("pattern", "contains", "{}"),
    "str_startswith": ("string", "starts with", r"\A\Q{}\E"),
    "str_endswith": ("string", "ends with", r"\Q{}\E\z"),
}


def _built_in(name: str, given: Mapping[str, Any]) -> tuple[str, Kind, Any]:
    """One of pandera's own checks: how people call it, its kind and its value. Raises ValueError, KeyError."""
    if name in _ENDS:
        kind, key, words = _ENDS[name]
        return f"{words} {expectations.said(_end(given[key]))}", kind, given[key]
    if name == "in_range":
        low, high = _end(given["min_value"]), _end(given["max_value"])
        includes = (given.get("include_min", True), given.get("include_max", True))
        brackets = ("[" if includes[0] else "(", "]" if includes[1] else ")")
        what = f"in {brackets[0]}{expectations.said(low)}, {expectations.said(high)}{brackets[1]}"
        return what, Kind.RANGE, (low, high, *includes)
    if name in _LISTS:
        kind, key, words = _LISTS[name]
        values = given[key] if isinstance(given[key], tuple) else (given[key],)
        if isinstance(given[key], str) and name in ("isin", "notin"):
            values = tuple(given[key])  # pandera takes a text for its characters
        return f"{words} {expectations.listed(values)}", kind, values
    if name in _PATTERNS:
        key, words, form = _PATTERNS[name]
        text = str(given[key])
        if r"\Q" in form and r"\E" in text:
            raise ValueError(r"it holds \E")
        inner = expectations.pattern(text) if key == "pattern" else text
        return f"{words} {expectations.shortened(text)}", Kind.PATTERN, form.replace("{}", inner)
    if name == "str_length":
        exact = given.get("exact_value")
        ends = (exact, exact) if exact is not None else (given.get("min_value"), given.get("max_value"))
        return expectations.length(*ends), Kind.LENGTH, ends
    raise ValueError("it is about the column as a whole")


def _end(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | dt.date):
        raise TypeError(f"{value!r} is neither a number nor a date")
    return value
