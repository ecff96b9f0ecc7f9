import datetime as dt
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ci_ml.core import documents
from ci_ml.core.documents import MAX_BYTES, MAX_DEPTH, DocumentError, parse, parse_yaml, scalars
from ci_ml.core.types import Gap, Measurement


def ruamel(text: str) -> Any:
    """What DVC reads: YAML 1.2, safe, by the pure Python implementation."""
    return YAML(typ="safe", pure=True).load(text)


def dumped(value: Any, *, flow: bool | None, width: int) -> str:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = flow
    writer.width = width
    writer.allow_unicode = True
    stream = io.StringIO()
    writer.dump(value, stream)
    return stream.getvalue()


def same(one: Any, other: Any) -> bool:
    """Equal with equal types, NaN equal to NaN, and 1 different from 1.0 and True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


def refusal(data: bytes, path: str = "metrics.yaml") -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        dict(scalars(parse(data, path).value))
    return caught.value


def readable(text: str) -> bool:
    """Not one of two oddities: `:x` and `?x` in a flow mapping are none for libyaml, a quoted << is text for ruamel."""
    return not text.startswith((":", "?")) and text != "<<"


printed = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
texts = st.text(printed | st.sampled_from("\n\t"), max_size=20).filter(readable)
keys = st.text(printed, min_size=1, max_size=8).filter(readable)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.dates(min_value=dt.date(1000, 1, 1))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


class TestYamlIsReadAsDvcReadsIt:
    @given(value=values, flow=st.sampled_from([True, False, None]), width=st.sampled_from([20, 80, 10_000]))
    def test_whatever_ruamel_writes(self, value: Any, flow: bool | None, width: int) -> None:
        text = dumped({"top": value}, flow=flow, width=width)
        assert same(parse_yaml(text).value, ruamel(text))

    @pytest.mark.parametrize(
        "scalar",
        """
        5 +5 -5 0 -0 00 08 017 1_000 1__0 1_ _1 0x1F 0xff -0x1F 0o17 0o8 0b101 +0b1 0b2 0x 0xG 9999999999999999999999
        1.5 1. .5 -.5 +.5 ._5 5._ 1e3 1E3 1e-3 1.e3 .5e3 .5e+3 1.5e 12e+ 1e3.5 1_0.5_0 1e1_0 1e400 0.0 -0.0 1,000 1.2.3
        .inf -.inf +.inf .Inf .INF .iNf .nan .NaN .NAN .Nan inf nan
        true True TRUE tRue false False FALSE yes Yes no on off y n
        null Null NULL nULL ~ None
        2024-01-31 2024-1-1 1:30 190:20:30 12:34:56 -- . + a:b x#y é 😀 a-b C:\\dir
        """.split(),
    )
    def test_plain_scalars(self, scalar: str) -> None:
        assert same(parse_yaml(f"key: {scalar}").value, ruamel(f"key: {scalar}"))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "---\n",
            "# only a comment\n",
            "--- a\n...\n",
            "a:",
            "- a\n-",
            "- - a\n  - b",
            "a:\n  - b\n  -\n    c: d",
            "? a\n: b",
            "{a, b: 1}",
            '{"a":1}',
            "[a: 1]",
            "a: |\n  x\n   y\n\n",
            "a: >-\n  x\n  y\n",
            "a: 'it''s'",
            'a: "\\u00e9\\x41\\t"',
            "a: '5'\nb: \"true\"\nc: ''",
            "null: a\n2: b\n1.5: c\ntrue: d\n2024-01-01: e",
            "a: &x 1\nb: *x",
            "&k a: 1\nb: *k",
            "x: &x {a: 1}\ny: &y {a: 2, b: 3}\nz: {<<: [*x, *y], c: 4}",
            "base: &b {lr: 1, n: 2}\nchild:\n  n: 3\n  <<: *b",
            "a: !!str 5\nb: !!int '5'\nc: !!float 5\nd: !!null ''\ne: !!map {f: !!seq [1]}\ng: !!bool true",
            "%YAML 1.2\n---\na: yes",
            "a: x # y\nb: x#y",
        ],
    )
    def test_structures(self, text: str) -> None:
        assert same(parse_yaml(text).value, ruamel(text))

    def test_a_time_stays_text(self) -> None:
        assert parse_yaml("at: 2024-01-31T10:00:00Z").value == {"at": "2024-01-31T10:00:00Z"}

    @pytest.mark.parametrize("scalar", ["=", "<<"])
    def test_what_ruamel_cannot_read_is_text(self, scalar: str) -> None:
        assert parse_yaml(f"a: {scalar}").value == {"a": scalar}

    def test_every_key_path_has_its_line(self) -> None:
        lines = parse_yaml("version: 1\ngates:\n  - metric: a\n    margin: 2\n  - metric: b\n").lines
        assert lines["version",] == 1
        assert lines["gates", 0, "margin"] == 4
        assert lines["gates", 1, "metric"] == 5


def bomb(leaf: str, opening: str, closing: str) -> bytes:
    """Ten aliases of ten aliases of …: a kilobyte that stands for 10^9 values."""
    lines = [f"a0: &a0 {leaf}"]
    for level in range(1, 10):
        if opening == "{":
            inner = ", ".join(f"k{number}: *a{level - 1}" for number in range(10))
        else:
            inner = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {opening}{inner}{closing}")
    return "\n".join(lines).encode()


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is there twice"),
            ("1: a\n1.0: b", "line 2: the key 1.0 is there twice"),
            ("<<: {a: 1}\n<<: {a: 2}", "line 2: the key '<<' is there twice"),
            ("<<: 5", "the merge key << takes a mapping or a list of mappings"),
            ("<<: null", "the merge key << takes a mapping or a list of mappings"),
            ("<<: [1]", "the merge key << takes a mapping or a list of mappings"),
            ("a: !custom 1", "line 1: the tag !custom is not allowed here"),
            ("a: !custom {b: 1}", "line 1: the tag !custom is not allowed here"),
            ("a: !custom [1]", "line 1: the tag !custom is not allowed here"),
            (
                "a: !!python/object/apply:os.system [x]",
                "line 1: the tag tag:yaml.org,2002:python/object/apply:os.system is not allowed here",
            ),
            (
                "a: !!python/name:os.system x",
                "line 1: the tag tag:yaml.org,2002:python/name:os.system is not allowed here",
            ),
            ("a: !!map [1]", "line 1: the tag tag:yaml.org,2002:map is not allowed here"),
            ("a: !!str {b: 1}", "line 1: the tag tag:yaml.org,2002:str is not allowed here"),
            ("a: !!int many", "line 1: 'many' is not what its tag tag:yaml.org,2002:int says"),
            ("a: !!int true", "line 1: 'true' is not what its tag tag:yaml.org,2002:int says"),
            ("a: 1\n---\nb: 2", "line 2: more than one YAML document in the file"),
            ("a: *b", "line 1: the alias *b has no anchor before it"),
            ("a: &x [1, *x]", "line 1: the alias *x contains itself"),
            ("a: &x\n  b: *x", "line 2: the alias *x contains itself"),
            ("? [a]\n: 1", "line 1: a mapping or list cannot be a key"),
            ("{a: 1}: 2", "line 1: a mapping or list cannot be a key"),
            ("a: {b: 1\n", "line 2: not valid YAML: did not find expected ',' or '}'"),
            ("a: 1\n@b: 2", "line 2: not valid YAML: found character that cannot start any token"),
            ("a: b: c", "line 1: not valid YAML: mapping values are not allowed in this context"),
        ],
    )
    def test_yaml(self, text: str, message: str) -> None:
        assert str(refusal(text.encode())) == message

    def test_a_date_that_is_none(self) -> None:
        assert str(refusal(b"a: 1\nb: 2024-13-01")).startswith("line 2: month must be in 1..12")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "line 1: not valid JSON: Expecting value (column 1)"),
            ('{"a": 1,\n "b": }', "line 2: not valid JSON: Expecting value (column 7)"),
            ('{"a": 1} x', "line 1: not valid JSON: Extra data (column 10)"),
            ('{"a": .5}', "line 1: not valid JSON: Expecting value (column 7)"),
            (
                '{"a\\ud800": 1}',
                "not valid JSON: it holds half of a surrogate pair, which is no character",
            ),
        ],
    )
    def test_json(self, text: str, message: str) -> None:
        assert str(refusal(text.encode(), "metrics.json")) == message

    def test_toml(self) -> None:
        assert refusal(b"a = 1\na = 2", "metrics.toml").reason.startswith("not valid TOML: Cannot overwrite a value")

    @pytest.mark.parametrize(
        ("path", "document"),
        [
            ("m.json", '{"a": N}'),
            ("m.yaml", "a: N"),
            ("m.yaml", "a: !!float N"),
            ("m.yaml", "a: 0xN"),
            ("m.toml", "a = N"),
            ("m.toml", "a = 0xN"),
        ],
    )
    def test_an_integer_that_takes_python_too_long(self, path: str, document: str) -> None:
        assert "digits" in refusal(document.replace("N", "1" * 5000).encode(), path).reason

    @pytest.mark.parametrize("path", ["m.json", "m.yaml", "m.toml", "m"])
    def test_what_is_not_utf_8(self, path: str) -> None:
        assert str(refusal(b'{"a": "\xff"}', path)) == "not UTF-8 text (byte 7)"

    @pytest.mark.parametrize("path", ["m.json", "m.yaml", "m.toml", "m"])
    def test_what_is_too_large_is_not_even_decoded(self, path: str) -> None:
        assert str(refusal(b"\xff" * (20 * 1000**2), path)) == "it is 20 MB large; files of up to 16 MiB are read"

    def test_the_largest_file_is_read(self) -> None:
        document = b'{"a": 1}' + b" " * (MAX_BYTES - 8)
        assert parse(document, "m.json").value == {"a": 1}

    @pytest.mark.parametrize(
        ("path", "nested"),
        [
            ("m.json", lambda depth: '{"a":' * depth + "1" + "}" * depth),
            ("m.json", lambda depth: "[" * depth + "]" * depth),
            ("m.yaml", lambda depth: "{a: " * depth + "1" + "}" * depth),
            ("m.yaml", lambda depth: "[" * depth + "]" * depth),
            (
                "m.yaml",
                lambda depth: "".join(f"{' ' * level}a:\n" for level in range(depth - 1)) + " " * depth + "a: 1",
            ),
            ("m.toml", lambda depth: "a" + ".a" * (depth - 1) + " = 1"),
            ("m.toml", lambda depth: "a = " + "[" * (depth - 1) + "]" * (depth - 1)),
        ],
    )
    def test_depth(self, path: str, nested: Callable[[int], str]) -> None:
        parse(nested(MAX_DEPTH).encode(), path)
        for depth in (MAX_DEPTH + 1, 500, 20_000 if path != "m.toml" else 900):
            if depth > 500 and "\n" in nested(2):
                continue  # megabytes of indentation
            assert refusal(nested(depth).encode(), path).reason == "nested deeper than 64 levels"

    @pytest.mark.parametrize(("leaf", "opening", "closing"), [("1", "{", "}"), ("{}", "{", "}"), ("[x]", "[", "]")])
    def test_a_billion_laughs(self, leaf: str, opening: str, closing: str) -> None:
        assert refusal(bomb(leaf, opening, closing)).reason == "aliases expand to more than 1,000,000 values"

    def test_depth_through_aliases(self) -> None:
        chain = ["a0: &a0 [1]", *(f"a{level}: &a{level} [*a{level - 1}]" for level in range(1, 200))]
        assert refusal("\n".join(chain).encode()).reason == "nested deeper than 64 levels"

    def test_a_shared_value_may_be_used_often(self) -> None:
        text = "shared: &s {lr: 1, n: 2}\n" + "".join(f"m{number}: *s\n" for number in range(100))
        assert len(dict(scalars(parse(text.encode(), "params.yaml").value))) == 202


PIECES = (
    "a b 1 -1 1.5 . _ : ' \" { } [ ] , - ? & * ! !! | > # % @ ` \\ ~ < << = 0x 0b_ ._ e+ \n \t \r\n \x00 \x85  1: 0o "
    ".inf nan 2024-02-30 &a *a !!int !!float !x --- ... \\ud800 \ufeff \u2028 a= [a] [[a]] ''' 1979-05-27"
)


class TestAnyBytes:
    """A stranger's file has one way to fail."""

    @given(data=st.binary(max_size=200), path=st.sampled_from(["m.json", "m.yaml", "m.toml", "m"]))
    def test_random_bytes(self, data: bytes, path: str) -> None:
        self._read(data, path)

    @given(
        text=st.lists(
            st.sampled_from(PIECES.split(" ")),
            max_size=25,
        ).map("".join),
        path=st.sampled_from(["m.json", "m.yaml", "m.toml"]),
    )
    def test_what_looks_like_a_document(self, text: str, path: str) -> None:
        self._read(text.encode(), path)

    def _read(self, data: bytes, path: str) -> None:
        try:
            leaves = dict(scalars(parse(data, path).value))
        except DocumentError:
            return
        for value in leaves.values():
            documents.reading(value, "source")


class TestFormats:
    @pytest.mark.parametrize(
        ("path", "data"),
        [
            ("m.json", b'{"a": {"b": 0.5}, "c": 1}'),
            ("m.JSON", b'{"a": {"b": 0.5}, "c": 1}'),
            ("m.toml", b"c = 1\n[a]\nb = 0.5"),
            ("m.yaml", b"a:\n  b: 0.5\nc: 1\n"),
            ("m.yml", b"a: {b: 0.5}\nc: 1"),
            ("dir.json/m", b"a: {b: 0.5}\nc: 1"),
            ("m", b'{"a": {"b": 0.5}, "c": 1}'),
        ],
    )
    def test_the_ending_decides(self, path: str, data: bytes) -> None:
        assert parse(data, path).value == {"a": {"b": 0.5}, "c": 1}

    @pytest.mark.parametrize("path", ["m.json", "m.yaml", "m.toml"])
    @pytest.mark.parametrize("form", [lambda data: b"\xef\xbb\xbf" + data, lambda data: data.replace(b"\n", b"\r\n")])
    def test_a_byte_order_mark_and_line_ends_of_windows(self, path: str, form: Callable[[bytes], bytes]) -> None:
        data = {"m.json": b'{"a": 1,\n"b": 2}\n', "m.yaml": b"a: 1\nb: 2\n", "m.toml": b"a = 1\nb = 2\n"}[path]
        assert parse(form(data), path).value == {"a": 1, "b": 2}

    def test_json_of_python_holds_nan_and_infinity(self) -> None:
        value = parse(b'{"a": NaN, "b": -Infinity, "c": 1e999}', "m.json").value
        assert math.isnan(value["a"])
        assert value["b"] == -math.inf
        assert value["c"] == math.inf

    def test_both_halves_of_a_surrogate_pair_are_a_character(self) -> None:
        assert parse(b'{"a": "\\ud83d\\ude00"}', "m.json").value == {"a": "😀"}


class TestScalars:
    def test_keys_are_dotted_and_lists_are_leaves(self) -> None:
        value = {"a": {"b": 1, "c": {"d": None, "e": {}}}, "f": [1, {"g": 2}], 1: "x", "h.i": 2}
        assert list(scalars(value)) == [
            ("a.b", 1),
            ("a.c.d", None),
            ("f", [1, {"g": 2}]),
            ("1", "x"),
            ("h.i", 2),
        ]

    @pytest.mark.parametrize("value", [0.5, "x", None, [1]])
    def test_a_bare_value_has_the_empty_key(self, value: Any) -> None:
        assert list(scalars(value)) == [("", value)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "m.json:a is NaN"),
        (math.inf, "m.json:a is infinite"),
        (-math.inf, "m.json:a is infinite"),
        (10**400, "m.json:a is too large for a floating-point number"),
        (True, "m.json:a is a boolean (true), not a number"),
        ("0.5", "m.json:a is text, not a number"),
        (None, "m.json:a is null, not a number"),
        ([0.5], "m.json:a is a list, not a number"),
        (dt.date(2024, 1, 1), "m.json:a is date, not a number"),
    ],
)
def test_what_is_no_number_is_a_gap_that_says_why(value: Any, reason: str) -> None:
    assert documents.reading(value, "m.json:a") == Gap(reason=reason)


@given(value=st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_a_measurement(value: float) -> None:
    assert documents.reading(value, "source") == Measurement(value=float(value), source="source")
