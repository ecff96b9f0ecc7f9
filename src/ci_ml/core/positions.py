"""Which line each key of a JSON or TOML file stands on. Layer: core.

Python's own parsers keep no positions, and neither does tomlkit. The text has been parsed by then, so that what is
read here is well-formed and not deep; a list is a value like any other, as everywhere where keys are dotted.
"""

import json
import re
import tomllib
from collections.abc import Iterator

Path = tuple[str | int, ...]

MAX_CHARACTERS = 1024 * 1024  # what people write by hand is shorter; of a longer file it is the file as a whole

_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:\n]')
_TOML = re.compile(
    r"""\#[^\n]*
    |"{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}  # up to two quotes may stand right before those that end it
    |"(?:\\.|[^"\\\n])*"|'[^'\n]*'
    |[\[\]{}=,.\n]|[^\s\#"'\[\]{}=,.]+""",
    re.DOTALL | re.VERBOSE,
)


def lines(text: str, suffix: str) -> dict[Path, int]:
    """The 1-based line of every key path of a document that has been parsed; none but of `json` and `toml`.

    Where a key stands twice, as JSON allows, it is the last: that is the one that counts.
    """
    if len(text) > MAX_CHARACTERS or suffix not in ("json", "toml"):
        return {}
    return _json(text) if suffix == "json" else _toml(text)


def _tokens(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in pattern.finditer(text):
        yield match[0], line
        line += match[0].count("\n")


def _json(text: str) -> dict[Path, int]:
    found: dict[Path, int] = {}
    inside: list[Path | None] = []  # the path of each mapping that is open; None for a list, and all that is in it
    path: Path | None = ()  # of the value that comes next
    last = ("", 0)
    for token, line in _tokens(_JSON, text):
        if token == ":" and inside[-1] is not None:
            path = (*inside[-1], json.loads(last[0]))
            found[path] = last[1]
        elif token in "{[":
            inside.append(path if token == "{" else None)
            path = None
        elif token in "}]":
            inside.pop()
        elif token[0] == '"':
            last = (token, line)
    return found


def _toml(text: str) -> dict[Path, int]:
    reader = _Toml()
    for token, line in _tokens(_TOML, text):
        reader.take(token, line)
    return reader.found


class _Toml:
    """Reads keys and skips what they are set to, token by token."""

    def __init__(self) -> None:
        self.found: dict[Path, int] = {}
        # Of the table of the header, of what a key in it is set to, of what a key in that is set to, where it is an
        # inline table, and so on; None in a list of tables.
        self._open: list[Path | None] = [()]
        self._lists: set[Path] = set()
        self._key: list[str] = []
        self._header = 0  # how many brackets began it
        self._depth: int | None = None  # of lists in a value; None where a key is read

    def take(self, token: str, line: int) -> None:
        if token[0] == "#":
            return
        if self._depth is None:
            self._take_key(token, line)
        elif token in "[]":
            self._depth += 1 if token == "[" else -1
        elif self._depth == 0:
            self._take_value(token)

    def _take_key(self, token: str, line: int) -> None:
        if token == "[":
            self._header += 1
        elif token == "]" and self._header:
            self._end_header(line)
        elif token == "=":
            table = self._open[-1]
            path = None if table is None else (*table, *self._key)
            self._note(path, len(table or ()), line)
            self._open.append(path)
            self._key, self._depth = [], 0
        elif token == "}":
            self._depth = 0
        elif token not in "],.\n":
            self._key.append(str(tomllib.loads(f"k = {token}")["k"]) if token[0] in "\"'" else token)

    def _take_value(self, token: str) -> None:
        if token == "{":
            self._depth = None
        elif token in "},\n":
            self._open.pop()
            self._depth = 0 if token == "}" else None

    def _end_header(self, line: int) -> None:
        path, is_list = tuple(self._key), self._header > 1
        in_list = any(path[:end] in self._lists for end in range(1, len(path) + 1))
        if not in_list:
            self._note(path, 0, line)
        if is_list:
            self._lists.add(path)
        self._open = [None if in_list or is_list else path]
        self._key, self._header = [], 0

    def _note(self, path: Path | None, known: int, line: int) -> None:
        """The first `known` keys of the path stand elsewhere."""
        for end in range(known + 1, len(path or ()) + 1):
            self.found.setdefault((path or ())[:end], line)
