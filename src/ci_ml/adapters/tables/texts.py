"""What of a text has to be known before a database reads it, and what is wrong where it does not. Layer: adapters.

DuckDB guesses much about a text: it takes a line further down for the header when the first ones do not fit, drops
what looks like a comment, and takes `#1` and `1` for numbers. None of it may be guessed here, so columns are named for
it, and all of them are text.
"""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from ci_ml.adapters.tables.formats import Broken, Format

DELIMITERS = {Format.CSV: ",", Format.TSV: "\t"}

_HEAD = 1 << 20
_POINTER = "version https://git-lfs.github.com/spec/"
_REASONS = (
    (re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)"), r"has \2 values where the header has \1 names"),
    (re.compile(r"unterminated quote"), "has a quote that is not closed, or not doubled inside of quotes"),
    (re.compile(r"unicode"), "is not UTF-8"),
    (re.compile(r"Maximum line size of (\d+) bytes"), r"is longer than \1 bytes"),
)
_LINE = re.compile(r"CSV Error on Line: (\d+)")


def header(path: Path, kind: Format, *, packed: bool) -> list[str]:
    """The names of a CSV file's columns, each as it is written but for blanks around it. Raises Broken."""
    try:
        with _opened(path, packed=packed) as stream:
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(stream.read(_HEAD))
        _no_pointer(text)
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[kind], strict=True), [])
    except UnicodeDecodeError:
        raise Broken("it is not UTF-8 text") from None
    except (csv.Error, EOFError, OSError, zlib.error) as error:
        raise Broken(str(error)) from None
    if not text.strip():
        raise Broken("it is empty")
    stripped = [name.strip() for name in names]
    if not any(stripped):
        raise Broken("its first line holds no names of columns")
    if twice := next((name for name in stripped if name and stripped.count(name) > 1), None):
        raise Broken(f"two of its columns are called {twice!r}")
    return stripped


def no_pointer(path: Path) -> None:
    """Raises Broken for what stands in for a file that Git LFS has not fetched, and for an empty file."""
    with path.open("rb") as stream:
        start = stream.read(len(_POINTER))
    if not start:
        raise Broken("it is empty")
    _no_pointer(start.decode("latin-1"))


def _no_pointer(text: str) -> None:
    if text.startswith(_POINTER):
        raise Broken("it is a pointer of Git LFS and not the file itself: run `git lfs pull`")


def distinct(names: Sequence[str]) -> list[str]:
    """Names for a database that does not tell `ID` from `id`, and needs one for each column."""
    found: list[str] = []
    taken: set[str] = set()
    for index, name in enumerate(names):
        free = name or f"column{index}"
        while free.lower() in taken:
            free += "_1"
        taken.add(free.lower())
        found.append(free)
    return found


def csv_words(said: str) -> str | None:
    """What DuckDB says of a CSV file, in one sentence; None when that is not what it speaks of."""
    if match := _LINE.search(said):
        reasons = (found.expand(words) for pattern, words in _REASONS if (found := pattern.search(said)))
        return f"line {match[1]} {next(reasons, 'is not a line of a CSV file')}"
    if "state machine" in said:
        return "its lines do not all end alike, or a quote stands where none may"
    return None


def bad_line(path: Path, *, packed: bool) -> str | None:
    """Which line of a JSON Lines file is none, and why; None when every one is.

    DuckDB counts lines in more than one way.
    """
    try:
        with _opened(path, packed=packed) as stream:
            for number, line in enumerate(stream, 1):
                if line.strip() and (problem := _json_problem(line)):
                    return f"line {number} {problem}"
    except (EOFError, OSError, zlib.error) as error:
        return str(error)
    return None


def _json_problem(line: bytes) -> str | None:
    if line.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark"
    try:
        value = json.loads(line, object_pairs_hook=list)
    except UnicodeDecodeError:
        return "is not UTF-8"
    except RecursionError:
        return "is nested too deeply"
    except json.JSONDecodeError as error:
        return f"is not JSON: {error.msg} (character {error.pos + 1})"
    if not isinstance(value, list) or not line.lstrip().startswith(b"{"):
        return "is no JSON object"
    names = [name for name, _ in value]
    if twice := next((name for name in names if names.count(name) > 1), None):
        return f"has {twice!r} twice"
    return None if names and all(names) else "has no value with a name"


def _opened(path: Path, *, packed: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if packed else path.open("rb")
