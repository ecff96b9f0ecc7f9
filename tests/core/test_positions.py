"""Where keys stand in JSON and TOML."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import documents, positions

TOML = (
    '''
a.b."c d" = 1  # x = 1
"e\\u0041" = { f = "}", g = { h = [ { i = 1 } ] }, j.k = 1 }
l = [ "]", '[', { m = 1 },
  """ ] """", # ]
]
n = """
o = 1
\\"""
p = 1"""""
q = '''.replace("'''", "")
    + """'''
r = 1''''
s = 1979-05-27T07:32:00Z
3.14 = {}
'' = -1.5e-3

[ t . "u.v" ]
w = 1
[[x]]
y = 1
[x.z]
deep = 1
[[x]]
y = {z = 1}
[after]
it = 1"""
)


def keys(value: Any, path: positions.Path = ()) -> Iterator[positions.Path]:
    """Every key path outside of lists."""
    for key, item in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from keys(item, (*path, key))


def test_every_key_of_a_toml_file_has_its_line() -> None:
    found = positions.lines(TOML, "toml")
    assert found.keys() == set(keys(tomllib.loads(TOML)))
    rows = TOML.splitlines()
    named = {path[-1]: rows[line - 1] for path, line in found.items()}
    assert {key: row.strip()[:9] for key, row in named.items() if key in ("q", "r", "s", "14", "", "l", "n", "k")} == {
        "l": 'l = [ "]"',
        "n": 'n = """',
        "q": "q = '''",
        "s": "s = 1979-",
        "14": "3.14 = {}",
        "": "'' = -1.5",
        "k": '"e\\u0041"',
    }
    assert (rows[found["t",] - 1], rows[found["x",] - 1], found["x",]) == ('[ t . "u.v" ]', "[[x]]", 19)
    assert rows[found["after", "it"] - 1] == "it = 1"


def test_of_a_key_that_json_has_twice_it_is_the_last() -> None:
    text = '{"a": 1,\n"a": {"b": 1},\n"a": 2}'
    assert positions.lines(text, "json")["a",] == 3


@pytest.mark.parametrize("text", ["1", "[]", "{}", '[{"a": 1}]', '"a: {"', "[[[1], {}]]"])
def test_what_has_no_keys_has_no_lines(text: str) -> None:
    assert positions.lines(text, "json") == {}


def test_a_file_that_nobody_wrote_by_hand_is_not_read_again() -> None:
    text = json.dumps({"a": "x" * positions.MAX_CHARACTERS})
    assert positions.lines(text, "json") == {}
    assert positions.lines("a: 1", "yaml") == {}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.sampled_from([None, 0, 1]), st.booleans())
def test_every_key_of_any_json_has_its_line(value: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found = positions.lines(text, "json")
    assert found.keys() == set(keys(value))
    rows = text.split("\n")
    for path, line in found.items():
        assert json.dumps(path[-1], ensure_ascii=ascii_only) in rows[line - 1]


# Pieces of TOML, most of which do not fit together: whatever tomllib takes can be read.
PIECES = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "1",
            " ",
            "=",
            ".",
            ",",
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            "\n",
            "\n",
            "#",
            '"',
            '"""',
            "'",
            "'''",
            "\\",
            "a = 1\n",
        ]
    ),
    max_size=30,
).map("".join)


def _whole(text: str) -> bool:
    try:
        documents.parse(text.encode(), "x.toml")
    except documents.DocumentError:
        return False
    return True


def _toml(value: dict[str, Any]) -> str:
    """A value as TOML in inline tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n# ]\n".join(map(_toml, value)) + "\n]"
    return json.dumps(value)


NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=4)
TABLES = st.recursive(
    st.booleans() | st.integers(-9, 9) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, TABLES, max_size=3), max_size=4))
def test_every_key_of_any_toml_has_its_line(value: dict[str, dict[str, Any]]) -> None:
    blocks = []
    for name, table in value.items():
        rows = (f"{json.dumps(key)} = {_toml(item)}\n" for key, item in table.items())
        blocks.append(f"[{json.dumps(name)}]\n{''.join(rows)}")
    text = "\n".join(blocks)
    assert tomllib.loads(text) == value
    found = positions.lines(text, "toml")
    assert found.keys() == set(keys(value))
    for path, line in found.items():
        assert json.dumps(path[-1]) in text.split("\n")[line - 1]


@given(PIECES)
def test_whatever_is_a_toml_file_can_be_read(text: str) -> None:
    if _whole(text):
        assert positions.lines(text, "toml").keys() == set(keys(tomllib.loads(text)))
