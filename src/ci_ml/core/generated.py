"""A generated file: what wrote it, what people may add to it, and whether somebody edited the rest. Layer: core.

Its first lines end in a digest of everything but the kept lines. Lines between `# ci-ml: keep NAME` and `# ci-ml: end`
belong to people, and go over into the next version.
"""

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ci_ml.errors import UsageError

_KEEP = re.compile(r"[ \t]*# ci-ml: keep (?P<name>.+?)[ \t]*")
_END = re.compile(r"[ \t]*# ci-ml: end[ \t]*")
_DIGEST = re.compile(r"# ci-ml: (sha256:[0-9a-f]{64})")
UNSIGNED = "# ci-ml: sha256:" + "0" * 64


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A file to write, at `path` from the root of the repository; `before` is what is there now, if anything."""

    path: str
    text: str
    before: str | None = None

    @property
    def current(self) -> bool:
        """Whether the file says already what it should."""
        return self.before == self.text

    def diff(self) -> str:
        """What writing it would change, as a unified diff."""
        old, new = ([] if text is None else _split(text) for text in (self.before, self.text))
        lines = difflib.unified_diff(old, new, f"a/{self.path}", f"b/{self.path}", lineterm="")
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, kw_only=True)
class Surplus:
    """A file that ci-ml wrote once, and would not write any more."""

    path: str
    before: str

    def diff(self) -> str:
        """What taking it away would change, as a unified diff."""
        lines = difflib.unified_diff(_split(self.before), [], f"a/{self.path}", "/dev/null", lineterm="")
        return "".join(f"{line}\n" for line in lines)


_PLACE = re.compile(r"\.(?:github/workflows|gitlab)/ci-ml[^/]*\.ya?ml")


def placed(path: str) -> bool:
    """Whether ci-ml may have written a file here."""
    return _PLACE.fullmatch(path) is not None


def of(text: str, config: str) -> bool:
    """Whether ci-ml wrote this file for the project with this configuration, as its first line says."""
    return _origin(text) == config


def _origin(text: str) -> str | None:
    """The configuration that a file was made from, as its first line says; None where ci-ml did not write it."""
    match = _FIRST.match(_split(text)[0])
    return match["config"] if match and ours(text) else None


_FIRST = re.compile(r"# Written by ci-ml \S+ from (?P<config>.*?)(?: and dvc\.yaml)?\. To change it,")


def surplus(path: str, before: str, *, force: bool) -> Surplus:
    """A file to take away. Raises UsageError where that would lose what people wrote; `force` gives it up."""
    if not force:
        try:
            lost = _edited(before) or bool(kept(before))
        except ValueError:
            lost = True
        if lost:
            raise UsageError(
                f"{path} is needed no more, and holds lines that people wrote",
                "move them to where they belong, and take the file away; --force does so at once",
            )
    return Surplus(path=path, before=before)


def _edited(text: str) -> bool:
    """Whether somebody changed more than the kept lines."""
    return _digest(text) != next(match[1] for line in _split(text) if (match := _DIGEST.fullmatch(line)))


def keep(name: str, indent: int) -> str:
    """The two lines between which people may write."""
    pad = " " * indent
    return f"{pad}# ci-ml: keep {name}\n{pad}# ci-ml: end"


def signed(text: str) -> str:
    """A rendered text, which has one line UNSIGNED, with its digest there instead."""
    assert text.count(UNSIGNED) == 1
    return text.replace(UNSIGNED, f"# ci-ml: {_digest(text)}")


def _digest(text: str) -> str:
    """The digest of a text as it was generated: without the kept lines, and without a digest."""
    bare = "\n".join(line for line, kept in _lines(text) if not kept and not _DIGEST.fullmatch(line))
    return f"sha256:{hashlib.sha256(bare.encode()).hexdigest()}"


def _split(text: str) -> list[str]:
    """The lines of a file. There are more letters that Python takes for the end of a line, and YAML does not."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _lines(text: str) -> Iterator[tuple[str, str | None]]:
    """Every line, and the name of the region that it is kept in. Raises ValueError for marks that do not pair."""
    inside: str | None = None
    for number, line in enumerate(_split(text), start=1):
        if match := _KEEP.fullmatch(line):
            if inside is not None:
                raise ValueError(f"line {number}: `ci-ml: keep {inside}` has no `ci-ml: end`")
            yield line, None
            inside = match["name"]
        elif _END.fullmatch(line):
            if inside is None:
                raise ValueError(f"line {number}: `ci-ml: end` without `ci-ml: keep`")
            inside = None
            yield line, None
        else:
            yield line, inside
    if inside is not None:
        raise ValueError(f"`ci-ml: keep {inside}` has no `ci-ml: end`")


def kept(text: str) -> Mapping[str, tuple[str, ...]]:
    """What people wrote, by the name of the region. Raises ValueError for marks that do not pair."""
    found: dict[str, list[str]] = {}
    for line, name in _lines(text):
        if name is not None:
            found.setdefault(name, []).append(line)
    return {name: tuple(lines) for name, lines in found.items()}


def ours(text: str) -> bool:
    """Whether ci-ml wrote this file, whatever happened to it since."""
    return any(_DIGEST.fullmatch(line) for line in _split(text)[:20])


def merged(path: str, text: str, before: str | None, *, force: bool) -> Generated:
    """The file to write: a signed text, with the lines that people added to the one before.

    Raises UsageError where that would lose something that people wrote: a file that is not ours, one edited outside
    of the kept lines, or kept lines that have no place any more; `force` gives up all of these. The file of another
    project is nobody's to give up.
    """
    if before is None:
        return Generated(path=path, text=text)
    other, own = _origin(before), _origin(text)
    if other not in (None, own):
        raise UsageError(
            f"{path} is made from {other}, and would be from {own}: neither may overwrite the other",
            f"give one of the folders another name, or take the file away if {other} needs it no more",
        )
    try:
        added = kept(before) if ours(before) else {}
        if not force:
            _refuse(path, text, before, added)
    except ValueError as error:
        if not force:
            raise UsageError(f"{path}: {error}", "restore the line, or overwrite the file: --force") from None
        added = {}
    lines: list[str] = []
    for line, _ in _lines(text):
        lines.append(line)
        if match := _KEEP.fullmatch(line):
            lines.extend(added.get(match["name"], ()))
    return Generated(path=path, text="\n".join(lines) + "\n", before=before)


def _refuse(path: str, text: str, before: str, added: Mapping[str, tuple[str, ...]]) -> None:
    if not ours(before):
        raise UsageError(f"{path} is there, and ci-ml did not write it", "move it away, or overwrite it: --force")
    if _edited(before):
        raise UsageError(
            f"{path} was edited outside of the lines that are kept",
            "move the edit between `ci-ml: keep` and `ci-ml: end`, or into a template (docs/pipelines.md); "
            "--force overwrites it",
        )
    places = {match["name"] for line in _split(text) if (match := _KEEP.fullmatch(line))}
    if lost := [name for name in added if name not in places]:
        raise UsageError(
            f"{path}: the lines kept for {lost[0]!r} have no place in the new file",
            "move them to where they belong, then generate again; --force drops them",
        )
