"""Tables that drifted, and reports on them: judged as they are by a schedule, without an engine."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ci_ml.core import drifted, drifting, movements
from ci_ml.core.compare import Comparison
from ci_ml.core.drifts import Drift, DriftConfig
from ci_ml.core.exhibits import Exhibits
from ci_ml.core.kinds import Kind
from ci_ml.core.profiles import ColumnProfile, Profile
from ci_ml.core.report import Report
from ci_ml.core.types import Gap, Revision, Severity
from ci_ml.stats import grids
from ci_ml.stats.distances import Counted
from tests import reports

Values = Counted | Mapping[str, int] | Gap
SPAN = "from 2026-11-14 06:00 to 2026-11-21 06:00 UTC"


def numbers(reference: NDArray[Any], current: NDArray[Any]) -> tuple[Counted, Counted]:
    """Both sides on the grid of the reference."""
    values, counts = np.unique(reference.astype(float), return_counts=True)
    grid = grids.of_counted(values, counts)
    return _counted(grid, reference), _counted(grid, current)


def _counted(grid: grids.Grid, values: NDArray[Any]) -> Counted:
    values = values.astype(float)
    cells, away = grid.place(values), values - grid.center
    return Counted(
        grid=grid,
        counts=np.bincount(cells, minlength=grid.size),
        sums=np.bincount(cells, weights=away, minlength=grid.size),
        squares=float((away**2).sum()),
        low=float(values.min()),
        high=float(values.max()),
    )


AGES = numbers(np.arange(1_000.0) % 50, 20 + np.arange(500.0) % 50)
HOSTILE: tuple[Kind, Values, Values] = (Kind.NUMERIC, *AGES)


def column(name: str, kind: Kind, values: Values, missing: int = 0) -> ColumnProfile:
    """A column whose values have been counted."""
    if isinstance(values, Gap):
        return ColumnProfile(name=name, kind=kind, type=kind.value, rows=values.n or 0, values=values)
    filled = values.n if isinstance(values, Counted) else sum(values.values())
    return ColumnProfile(
        name=name, kind=kind, type=kind.value, rows=filled + missing, missing=missing, values=values
    )  # fmt: skip


def between(
    sides: Mapping[str, tuple[Kind, Values, Values]],
    *,
    examples: int = 5,
    missing: Mapping[str, int] | None = None,
    **config: Any,
) -> Drift:
    """The drift of a table with these columns; `missing` says how many values production lacks."""
    found = []
    for at, name in ((1, "train"), (2, "production")):
        columns = {}
        for key, column_ in sides.items():
            values = column_[at]
            columns[key] = column(key, column_[0], values, (missing or {}).get(key, 0) if at == 2 else 0)
        rows = max((one.rows for one in columns.values()), default=0)
        found.append(Profile(name=name, rows=rows, columns=columns))
    settings = {"multivariate": False, **config}
    return drifting.judge(found[0], found[1], DriftConfig.model_validate(settings), examples=examples)


def customers(*, examples: int = 5, **config: Any) -> Drift:
    """Ages rose, plans were sold anew, one column is empty more often; the rest is as it was."""
    draw = np.random.default_rng(7)
    day = 86_400 * draw.integers(0, 365, 4_000) + 1_735_689_600
    plans = {"free": 6_100, "pro": 2_900, "team": 1_000}
    sides: dict[str, tuple[Kind, Values, Values]] = {
        "age": (Kind.NUMERIC, *numbers(draw.normal(41, 11, 10_000).round(), draw.normal(49, 12, 771).round())),
        "plan": (Kind.CATEGORICAL, plans, {"free": 300, "pro": 250, "team": 101, "student": 120}),
        "income": (Kind.NUMERIC, *numbers(draw.lognormal(7, 0.6, 10_000), draw.lognormal(7.02, 0.6, 617))),
        "country": (Kind.CATEGORICAL, {"DE": 5_200, "FR": 2_700, "IT": 2_100}, {"DE": 404, "FR": 205, "IT": 162}),
        "is_trial": (Kind.BOOLEAN, {"false": 8_000, "true": 2_000}, {"false": 611, "true": 160}),
        "signed_up": (Kind.TIME, *numbers(day, day[:771])),
        "referrer": (
            Kind.OTHER,
            Gap(reason="a list is not compared", n=10_000),
            Gap(reason="a list is not compared", n=771),
        ),
    }
    return between(sides, examples=examples, missing={"income": 154}, **config)


def calm(**config: Any) -> Drift:
    """The same customers, of whom a seventh came again."""
    draw = np.random.default_rng(11)
    ages = draw.normal(41, 11, 10_000).round()
    sides: dict[str, tuple[Kind, Values, Values]] = {
        "age": (Kind.NUMERIC, *numbers(ages, ages[::7])),
        "country": (Kind.CATEGORICAL, {"DE": 5_200, "FR": 2_700, "IT": 2_100}, {"DE": 744, "FR": 386, "IT": 299}),
    }
    return between(sides, **config)


def many(columns: int, **config: Any) -> Drift:
    """A table of so many columns, every third of them categories, every fifth of them drifted."""
    draw = np.random.default_rng(3)
    sides: dict[str, tuple[Kind, Values, Values]] = {}
    for index in range(columns):
        shift = 0.7 * (index % 5 == 0)
        if index % 3 == 0:
            odds = draw.dirichlet(np.ones(30) * 40)
            before, now = draw.multinomial(9_000, odds), draw.multinomial(3_000, np.roll(odds, 1) if shift else odds)
            names = [f"category number {number}" for number in range(30)]
            sides[f"category_{index}"] = (
                Kind.CATEGORICAL,
                dict(zip(names, map(int, before), strict=True)),
                dict(zip(names, map(int, now), strict=True)),
            )
        else:
            pair = numbers(draw.normal(0, 1, 3_000), draw.normal(shift, 1, 1_000))
            sides[f"measurement_{index}"] = (Kind.NUMERIC, *pair)
    return between(sides, **config)


def comparisons(drifts: Mapping[str, Drift]) -> list[Comparison]:
    """What gates make of them."""
    return [one for name, drift in drifts.items() for one in drifted.comparisons(name, drift, Severity.BLOCK)]


def checked(drift: Drift | None = None, **rest: Any) -> Report:
    """A change whose table `train` drifted away from the base's."""
    drifts = {"train": drift or customers()}
    shown = Exhibits(drifts=movements.shown(drifts))
    return reports.report(*comparisons(drifts), **{"shown": shown, **rest})


def production(drift: Drift | None = None, *more: Comparison, **rest: Any) -> Report:
    """What a monitor called `churn` found."""
    drifts = {"churn": drift or customers(examples=0)}
    known: dict[str, Any] = {
        "subject": "production",
        "base": Revision(sha="a" * 40, ref="main", why="recorded with the model at aaaaaaa"),
        "head": Revision(sha="a" * 40, ref="main", why=f"771 rows of production {SPAN}"),
        "shown": Exhibits(drifts=movements.shown(drifts)),
    }
    return reports.report(*comparisons(drifts), *more, **{**known, **rest})


def decayed() -> Comparison:
    """A metric that fell in production, by labels that arrived."""
    return reports.measured(
        reports.gate("test.recall", 0.02, rate=True),
        reports.contrast(0.8402, 0.7710, 0.021, 771, method="independent (mover, tango)"),
    )
