"""One table against another, from files. Layer: wiring."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from ci_ml.core.drifts import Drift, DriftConfig
from ci_ml.core.profiles import MAX_BYTES, Profile, load
from ci_ml.errors import UsageError
from ci_ml.wiring import tables

_KINDS = ".parquet, .csv, .tsv or .jsonl (texts also with .gz)"


def run(reference: Path, current: Path, config: DriftConfig, env: Mapping[str, str], engine: str = "duckdb") -> Drift:
    """Judge a table by another one, or by a profile that was recorded of one.

    Raises UsageError for a file that is not there, or no table.
    """
    from ci_ml.metrics.columns import Unusable
    from ci_ml.usecases import drift

    profile = _profile(reference)
    files = [place for place, known in ((reference, profile), (current, None)) if known is None]
    for place in files:
        _table(place)
    try:
        with tables.opener(env)(engine, files) as opened:
            other = opened.source(current, current.name, str(current))
            if profile is not None:
                return drift.of_profile(opened.engine, profile, other, config)
            source = opened.source(reference, reference.name, str(reference))
            return drift.drift(opened.engine, source, other, config)
    except Unusable as error:
        raise UsageError(str(error), "nothing was compared: mend the file, or name another one") from None


def _profile(place: Path) -> Profile | None:
    """What was recorded of a reference; None for a table."""
    if place.suffix != ".json" or not place.is_file():
        return None
    with place.open("rb") as stream:
        return load(stream.read(MAX_BYTES + 1), str(place))


def _table(place: Path) -> None:
    from ci_ml.adapters.tables import formats

    if not place.is_file():
        raise UsageError(f"there is no file {place}", "data that DVC keeps is brought here by `dvc pull`")
    try:
        formats.of(place.name)
    except KeyError:
        raise UsageError(f"{place} is no table: a file ends with {_KINDS}") from None


def config(
    share: str | None, *, only: Sequence[str], without: Sequence[str], never: Sequence[str], together: bool
) -> DriftConfig:
    """What the command line asks for. Raises UsageError, with the first problem."""
    asked = {
        "columns": {"only": tuple(only) or None, "except": tuple(without), "never": tuple(never)},
        "multivariate": together,
        **({"share": _number(share)} if share is not None else {}),
    }
    try:
        return DriftConfig.model_validate(asked)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "--" + str(first["loc"][0]) if first["loc"] else "the options"
        raise UsageError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
