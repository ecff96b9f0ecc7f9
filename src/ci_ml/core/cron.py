"""When a schedule fires, as five fields of cron. Layer: core."""

import re

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "sun mon tue wed thu fri sat".split()
# The fields of cron as GitHub takes them: what each is called, its least and its greatest number, and names for these.
_CRON: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)


def checked(value: str) -> str:
    """The same text, which may be empty. Raises ValueError for fields that GitHub does not understand."""
    fields = value.split(" ") if value else []
    if value and len(fields) != len(_CRON):
        raise ValueError(f'must be five fields of cron, such as "23 4 * * 1", not {value!r}')
    for field, (what, least, most, names) in zip(fields, _CRON, strict=bool(value)):
        if not all(_fires(part, least, most, names) for part in field.split(",")):
            raise ValueError(
                f"the {what} must be {least} to {most}, *, a range such as {least}-{most}, or steps such as */2, "
                f"not {field!r}"
            )
    return value


def _fires(part: str, least: int, most: int, names: list[str]) -> bool:
    """Whether a part of a field is one that cron understands: `*`, a number or name, or a range; each with steps."""
    match = re.fullmatch(r"(?:\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?", part.lower())
    if match is None:
        return False
    first, last = (_number(text, least, names) for text in match.group(1, 2))
    ends = [least if first is None else first, most if last is None else last]
    known = all(
        text is None or number is not None for text, number in zip(match.group(1, 2), (first, last), strict=True)
    )
    return known and least <= ends[0] <= ends[1] <= most and (match[3] is None or 1 <= int(match[3]) <= most)


def _number(text: str | None, least: int, names: list[str]) -> int | None:
    if text in names:
        return names.index(text) + least
    return int(text) if text is not None and text.isdecimal() else None
