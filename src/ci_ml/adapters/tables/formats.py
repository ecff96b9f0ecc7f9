"""What kind of file a table is, by its name. Layer: adapters."""

import re
from enum import StrEnum

import psutil

from ci_ml.errors import UsageError

_SIZE = re.compile(r"\s*[0-9]+(\.[0-9]+)?\s*([KMGT]i?B|%)\s*", re.IGNORECASE)


class Format(StrEnum):
    """How a table is written."""

    PARQUET = "parquet"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"

    @property
    def typed(self) -> bool:
        """Whether the file says itself of what type its columns are."""
        return self is Format.PARQUET


_ENDINGS = {
    ".parquet": Format.PARQUET,
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
}


class Broken(Exception):
    """A file is not what its name says; the text says what is wrong with it."""


def of(path: str) -> tuple[Format, bool]:
    """The format by the name's ending, and whether the file is packed with gzip."""
    plain = path.removesuffix(".gz")
    return _ENDINGS[f".{plain.rpartition('.')[2]}"], plain != path


# Ten million rows take no less time with more: what does not fit is sorted on disk.
_ENOUGH = 3 * 2**30


def memory_limit(wanted: str | None) -> str:
    """How much memory tables may take: what is asked for, else half of what is free now, and 3 GiB at most.

    Raises UsageError for what is not a size.
    """
    if wanted is None:
        free = psutil.virtual_memory().available // 2
        return f"{min(max(free, 256 * 2**20), _ENOUGH) // 2**20}MiB"
    if not _SIZE.fullmatch(wanted):
        raise UsageError(f"CI_ML_MEMORY is {wanted!r}, which is no size", "write it like 4GB")
    return wanted.strip()
