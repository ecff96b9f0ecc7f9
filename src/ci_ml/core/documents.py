"""JSON, YAML 1.2 and TOML bytes to plain values, with limits, and their numbers by dotted key. Layer: core.

Everything read here may come from a stranger's pull request: size, depth and alias expansion are bounded, tags are
refused, and every failure is one `DocumentError` that says what and where.

YAML: the events come from libyaml (through PyYAML), because a pure Python scanner needs 0.4 s for a dvc.lock of 200
stages; which scalar is a number, a boolean or null follows YAML 1.2 as ruamel.yaml and so DVC understand it
(`on` and `yes` are strings, `1e3` is a number). docs/decisions/0001-yaml.md has the reasons.
"""

import datetime as dt
import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from ci_ml.core.types import Gap, Measurement, Reading

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_SCALARS = 1_000_000

Path = tuple[str | int, ...]


def too_large(path: str, size: int) -> str:
    """Why a file of `size` bytes is not read."""
    return f"{path} is {size / 1e6:,.0f} MB large; files of up to {MAX_BYTES // 2**20} MiB are read"


class DocumentError(ValueError):
    """The bytes are not a document of their kind; `line` is 1-based where it is known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line


class Tagged(list[Any]):
    """A list with a tag that was allowed: it stands for something else."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A parsed file: its value, and for YAML the 1-based line of every key path."""

    value: Any
    lines: Mapping[Path, int] = field(default_factory=dict)


def parse(data: bytes, path: str, tags: Set[str] = frozenset()) -> Document:
    """Parse `data` by the ending of `path` (.json, .toml; anything else is YAML, as in DVC).

    `tags` of YAML are those that may be there all the same; what they mean is not done, the value is as it is written.

    Raises DocumentError when it is too large, too deep, not text, or not well-formed.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(too_large("it", len(data)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 text (byte {error.start})") from None
    suffix = path.rpartition(".")[2].lower() if "." in path else ""
    try:
        document = _PARSERS[suffix](text) if suffix in _PARSERS else parse_yaml(text, tags)
    except RecursionError:
        raise DocumentError(f"nested deeper than {MAX_DEPTH} levels") from None
    _check_depth(document.value)
    return document


def _check_depth(value: Any) -> None:
    """Nothing downstream has to fear a deep value, of whatever kind and however it came about."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return
    raise DocumentError(f"nested deeper than {MAX_DEPTH} levels")


def _children(item: Any) -> Iterable[Any]:
    return item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _json(text: str) -> Document:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(f"not valid JSON: {error.msg} (column {error.colno})", error.lineno) from None
    except ValueError as error:  # an integer of more than 4,300 digits
        raise DocumentError(f"not valid JSON: {error}") from None
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DocumentError("not valid JSON: it holds half of a surrogate pair, which is no character") from None
    return Document(value=value)


def _toml(text: str) -> Document:
    try:
        value = tomllib.loads(text)
        json.dumps(value, default=str)  # an integer of other bases may be too long to be printed
        return Document(value=value)
    except ValueError as error:  # its TOMLDecodeError, or an integer of more than 4,300 digits
        raise DocumentError(f"not valid TOML: {error}") from None


def parse_yaml(text: str, tags: Set[str] = frozenset()) -> Document:
    """Parse one YAML 1.2 document; duplicate keys, tags other than `tags` and more than one document are errors."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _YamlBuilder(tags)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(
            f"not valid YAML: {error.problem or error.context}", mark.line + 1 if mark else None
        ) from None
    except yaml.YAMLError as error:
        raise DocumentError(f"not valid YAML: {error}") from None
    return Document(value=builder.value, lines=builder.lines)


_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: Mapping[str, type] = {
    f"{_TAG}{name}": kind
    for name, kind in {"str": str, "int": int, "float": float, "bool": bool, "null": type(None)}.items()
}


class _YamlBuilder:
    """Builds a value from libyaml's events without recursion, so that no nesting can exhaust the stack."""

    def __init__(self, tags: Set[str]) -> None:
        self.tags = tags
        self.value: Any = None
        self.lines: dict[Path, int] = {}
        self._stack: list[_Container] = []
        self._anchors: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            self._add(self._scalar(event), event)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._open(event, {} if kind == "MappingStartEvent" else [])
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            container = self._stack.pop()
            if container.anchor:
                self._sizes[container.anchor] = self._nodes - container.opened
            if isinstance(container.value, dict):
                _merge(container.value)
        elif kind == "AliasEvent":
            self._add(self._alias(event), event)
        elif kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise DocumentError("more than one YAML document in the file", event.start_mark.line + 1)

    def _scalar(self, event: Any) -> Any:
        line = event.start_mark.line + 1
        kind: type | None = str if event.style else None
        if event.tag in self.tags:
            kind = str
        elif event.tag not in (None, "!"):
            kind = _SCALAR_TAGS.get(event.tag)
            if kind is None:
                raise DocumentError(f"the tag {event.tag} is not allowed here", line)
        try:
            value = event.value if kind is str else resolve_scalar(event.value)
        except ValueError as error:
            raise DocumentError(str(error), line) from None
        if kind is float and type(value) is int:
            value = float(value)
        if kind is not None and type(value) is not kind:
            raise DocumentError(f"{event.value!r} is not what its tag {event.tag} says", line)
        if event.anchor:
            self._anchors[event.anchor] = value
        return value

    def _open(self, event: Any, value: Any) -> None:
        line = event.start_mark.line + 1
        usual = (None, "!", f"{_TAG}{'map' if isinstance(value, dict) else 'seq'}")
        if event.tag not in usual and event.tag not in self.tags:
            raise DocumentError(f"the tag {event.tag} is not allowed here", line)
        if event.tag in self.tags and isinstance(value, list):
            value = Tagged()
        if len(self._stack) >= MAX_DEPTH:
            raise DocumentError(f"nested deeper than {MAX_DEPTH} levels", line)
        path = self._add(value, event)
        self._stack.append(_Container(value, path, event.anchor, self._nodes))
        if event.anchor:
            self._anchors[event.anchor] = value

    def _alias(self, event: Any) -> Any:
        line = event.start_mark.line + 1
        if event.anchor not in self._anchors:
            raise DocumentError(f"the alias *{event.anchor} has no anchor before it", line)
        value = self._anchors[event.anchor]
        if any(container.value is value for container in self._stack):
            raise DocumentError(f"the alias *{event.anchor} contains itself", line)
        self._nodes += self._sizes.get(event.anchor, 0)
        if self._nodes > MAX_SCALARS:
            raise DocumentError(f"aliases expand to more than {MAX_SCALARS:,} values", line)
        return value

    def _add(self, value: Any, event: Any) -> Path:
        self._nodes += 1
        line = event.start_mark.line + 1
        if not self._stack:
            self.value = value
            self.lines[()] = line
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            path = (*top.path, len(top.value))
            top.value.append(value)
        elif top.key is _NO_KEY:
            self._take_key(top, value, line)
            return top.path
        else:
            path = (*top.path, top.key)
            top.value[top.key] = value
            top.key = _NO_KEY
        self.lines.setdefault(path, line)
        return path

    def _take_key(self, top: "_Container", key: Any, line: int) -> None:
        if isinstance(key, dict | list):
            raise DocumentError("a mapping or list cannot be a key", line)
        if key in top.value:
            raise DocumentError(f"the key {key!r} is there twice", line)
        top.key = key
        self.lines[(*top.path, key)] = line


_NO_KEY: Any = object()


@dataclass
class _Container:
    value: Any
    path: Path
    anchor: str | None
    opened: int  # how many nodes came before its first
    key: Any = _NO_KEY


def _merge(mapping: dict[Any, Any]) -> None:
    """Apply YAML's merge key `<<`: what the mapping says itself wins, earlier sources win over later ones."""
    if "<<" not in mapping:
        return
    sources = mapping.pop("<<")
    own = dict(mapping)
    for source in sources if isinstance(sources, list) else [sources]:
        if not isinstance(source, dict):
            raise DocumentError("the merge key << takes a mapping or a list of mappings")
        for key, value in source.items():
            own.setdefault(key, value)
    mapping.update(own)


_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = {"", "~", "null", "Null", "NULL"}
_INT = re.compile(
    r"(?P<bin>[-+]?0b[01_]+)|(?P<hex>[-+]?0x[0-9a-fA-F_]+)|(?P<oct>[-+]?0o[0-7_]+)|(?P<dec>[-+]?[0-9][0-9_]*)"
)
_FLOAT = re.compile(
    r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9_]+([eE][-+][0-9]+)?)"
)
_INF = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = {".nan", ".NaN", ".NAN"}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOST_DIGITS = 4300  # Python's own limit for decimal integers; printing larger ones of other bases fails later
_FIRST = frozenset("-+.0123456789~ntfNTF")


def resolve_scalar(text: str) -> Any:
    """What a plain YAML 1.2 scalar means. Dates become `datetime.date`; every other text stays a string."""
    if text in _NULL:
        return None
    if text[0] not in _FIRST:
        return text
    if text in _BOOL:
        return _BOOL[text]
    if match := _INT.fullmatch(text):
        return _integer(text.replace("_", ""), {"bin": 2, "hex": 16, "oct": 8, "dec": 10}[str(match.lastgroup)])
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    if _INF.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    if text in _NAN:
        return math.nan
    if _DATE.fullmatch(text):
        return dt.date.fromisoformat(text)
    return text


def _integer(digits: str, base: int) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits if base == 10 else re.sub(r"0[box]", "", digits, count=1), base)


_PARSERS = {"json": _json, "toml": _toml}


def scalars(value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a document by dotted key, in order; a list is a leaf, an empty mapping has none.

    A document that is itself a leaf has the empty key. Raises DocumentError beyond `MAX_DEPTH` or `MAX_SCALARS`
    (aliases can make a small YAML file expand without end).
    """
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    count = 0
    while stack:
        key, item, depth = stack.pop()
        if isinstance(item, dict):
            if depth >= MAX_DEPTH:
                raise DocumentError(f"nested deeper than {MAX_DEPTH} levels")
            children = [(f"{key}.{name}" if depth else str(name), child, depth + 1) for name, child in item.items()]
            stack.extend(reversed(children))
            continue
        count += 1
        if count > MAX_SCALARS:
            raise DocumentError(f"more than {MAX_SCALARS:,} values")
        yield key, item


def is_numeric(value: Any) -> bool:
    """Whether a leaf is meant as a number, NaN and infinity included; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def reading(value: Any, source: str) -> Reading:
    """A leaf as a measurement, or the reason it is not one."""
    if isinstance(value, bool):
        return Gap(reason=f"{source} is a boolean ({str(value).lower()}), not a number")
    if is_numeric(value):
        try:
            number = float(value)
        except OverflowError:
            return Gap(reason=f"{source} is too large for a floating-point number")
        if not math.isfinite(number):
            return Gap(reason=f"{source} is {'NaN' if math.isnan(number) else 'infinite'}")
        return Measurement(value=number, source=source)
    kinds = {type(None): "null", str: "text", list: "a list"}
    return Gap(reason=f"{source} is {kinds.get(type(value), type(value).__name__)}, not a number")
