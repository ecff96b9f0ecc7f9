"""Text from strangers, made harmless. Layer: render.

Names of metrics, files and parameters, and messages that hold them, come from the change that is judged: they must not
mention people, link, hide text, break a table or be taken for HTML.
"""

import re
from collections.abc import Callable, Iterable

_LONGEST = 200
_ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"
_NBSP = "\N{NO-BREAK SPACE}"  # stands between a number and its percent sign
_PIECE = 13  # characters of a name that stay together: two columns of them fit a phone
_PARTS = [re.compile(rf"[^{ends}]*[{ends}]+|[^{ends}]+") for ends in ("/: ", "/:._ -")]
# Names that mean nothing in HTML, and of which Markdown makes no link, once they are escaped.
_PLAIN = re.compile(r"(?!.*(?:www\.|//))[A-Za-z0-9_./:=\[\] -]+", re.IGNORECASE)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|~$])")
_BRACKET = re.compile(r"#(?=#\w*\[)")  # ##[name], ##vso[…], ##teamcity[…]
_COLONS = re.compile(r"(?:(?<=[\r\n])|^)(\s*):(?=:)")
# What begins a block where it begins a line; a slash begins a command to GitLab (quick action).
_BLOCK = re.compile(r"^(\s*)([-+=/])|^(\s*\d+)([.)])(?=\s)")
# GitHub and GitLab replace these after rendering, so escaping them in Markdown does not help: a character between does.
# Links, to people too; `:emoji:`; and of GitLab `[issue:1]`, `*iteration:1`, `[[_TOC_]]`, `[TOC]`, `{+ added +}`.
# https://docs.gitlab.com/user/markdown/
_REFERENCE = re.compile(
    r"""([@#!&%~^$])(?=[\w"])|(?<=\b[Ww]{2})([Ww])(?=\.)|(:)(?=//|[\w+-]+:)|(?<=\b[Gg][Hh])(-)(?=\d)"""
    r"""|([\[{])(?=[-+])|(\[)(?=\[|[Tt][Oo][Cc]\]|\w+:)|(\*)(?=iteration:)"""
)


def printable(text: str) -> str:
    """Text that cannot move a cursor, reorder what is before it or hide: such characters are shown as escapes."""
    return "".join(char if char.isprintable() or char == _NBSP else ascii(char)[1:-1] for char in text)


def inert(text: str) -> str:
    """Lines for a log in which no runner finds a command: `::name::` at the start of one, `##[name]` anywhere.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands
    GitLab's `section_start:` is none without the control characters behind it, which `printable` shows as escapes.
    """
    return _BRACKET.sub(f"#{_ZERO_WIDTH}", _COLONS.sub(rf"\1:{_ZERO_WIDTH}", text))


def inert_json(text: str) -> str:
    """The same JSON without a command: no line of it begins with a colon, and `#` stands in texts only."""
    return _BRACKET.sub(r"\\u0023", text)


def inert_markup(text: str) -> str:
    """The same HTML or XML without a command, where it holds no script and no style."""
    return _BRACKET.sub("&#35;", _COLONS.sub(r"\1&#58;", text))


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A text of at most `longest` characters, with its beginning and end kept."""
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def code(text: str, longest: int = _LONGEST) -> str:
    """A name as a Markdown code span that is safe inside a table: nothing in it is interpreted."""
    return span(text, longest).replace("|", "\\|")


def span(text: str, longest: int = _LONGEST) -> str:
    """The same outside of a table, where a code span would show the backslash."""
    clean = shortened(printable(text), longest)
    longest = max((len(run) for run in re.findall("`+", clean)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if clean.startswith("`") or clean.endswith("`") or not clean else ""
    return f"{fence}{pad}{clean}{pad}{fence}"


def folded(text: str, longest: int = _LONGEST) -> str:
    """A name as a code span that breaks between its parts, and only where a line would be too long for a phone.

    After a blank that needs nothing; after other characters it needs `<wbr>`, so HTML, which is for plain names alone.
    No character is added, for names are copied.
    """
    clean = shortened(printable(text), longest)
    lines = _lines(clean)
    if all(line.endswith(" ") for line in lines[:-1]) or not _PLAIN.fullmatch(clean):
        return code("".join(map(_kept, lines)), longest)
    escaped = (_MARKDOWN.sub(r"\\\1", _kept(line)) for line in lines)
    return f"<code>{'<wbr>'.join(escaped)}</code>"


def _lines(text: str) -> list[str]:
    """The parts of a name, as many together as stay together; broken within words only where there is no other way."""
    loose, tight = _PARTS
    pieces = [
        piece
        for part in loose.findall(text)
        for piece in ([part] if len(part.rstrip(" ")) <= _PIECE else tight.findall(part))
    ]
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1]) + len(piece.rstrip(" ")) > _PIECE:
            lines.append("")
        lines[-1] += piece
    return lines


def _kept(line: str) -> str:
    """Without breaks, but for that at its end."""
    return line.rstrip(" ").replace(" ", _NBSP) + line[len(line.rstrip(" ")) :]


def prose(text: str, longest: int = 1000) -> str:
    """A sentence that may hold foreign names, as Markdown text: no HTML, no formatting, no mention, no link."""
    clean = shortened(printable(text), longest)
    apart = _REFERENCE.sub(lambda match: f"{match[0]}{_ZERO_WIDTH}", clean)
    escaped = _BLOCK.sub(r"\1\3\\\2\4", _MARKDOWN.sub(r"\\\1", apart))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markup(text: str, longest: int = 1000) -> str:
    """Text inside of an element of HTML in a comment, where escapes of Markdown would be shown as they are."""
    apart = _REFERENCE.sub(lambda match: f"{match[0]}{_ZERO_WIDTH}", shortened(printable(text), longest))
    return apart.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def named(text: str, names: Iterable[str]) -> str | None:
    """The longest of `names` that a sentence holds."""
    return max((name for name in names if name and name in text), key=len, default=None)


def sentence(text: str, names: Iterable[str], longest: int = 1000, show: Callable[[str], str] = span) -> str:
    """A sentence as Markdown text, with the longest of `names` that it holds as `show` shows it."""
    name = named(text, names)
    if name is None:
        return prose(text, longest)
    before, _, after = text.partition(name)
    return f"{prose(before, longest)}{show(name)}{prose(after, longest)}"


def brief(text: str, names: Iterable[str], longest: int = 1000) -> str:
    """A sentence of bounded length for a terminal: what is said about a name stays, however long the name is."""
    name = named(text, names) if len(text) > _LONGEST else None
    if name is not None:
        before, _, after = text.partition(name)
        text = f"{before}{shortened(name)}{after}"
    return shortened(text, longest)
