"""A profile comes back from its file as it was, and a file that is none is refused."""

import json
from typing import Any

import numpy as np
import pytest

from ci_ml.core import profiles
from ci_ml.core.kinds import Kind
from ci_ml.core.profiles import ColumnProfile, Profile
from ci_ml.core.types import Gap
from ci_ml.errors import UsageError
from ci_ml.stats import grids
from tests.stats.columns import COLUMNS, counted


def profile() -> Profile:
    chance = np.random.default_rng(1)
    columns = {}
    for name in ("normal", "zero-inflated", "denormal", "few whole numbers"):
        values = COLUMNS[name](chance, 5_000)
        grid = grids.of_sample(values, float(values.min()), float(values.max()))
        columns[name] = ColumnProfile(
            name=name, kind=Kind.NUMERIC, type="float64", rows=5_100, missing=60, nan=40, values=counted(grid, values)
        )
    columns["country"] = ColumnProfile(
        name="country", kind=Kind.CATEGORICAL, type="string", rows=5_100, values={"DE": 5_000, "ü\n": 100}
    )
    columns["id"] = ColumnProfile(
        name="id", kind=Kind.CATEGORICAL, type="string", rows=5_100, values=Gap(reason="too many values")
    )
    return Profile(name="train.parquet", rows=5_100, columns=columns)


def test_comes_back_without_loss() -> None:
    one = profile()
    text = profiles.dump(one)
    other = profiles.load(text.encode(), "profile.json")
    assert profiles.dump(other) == text
    for name, column in one.columns.items():
        again = other.columns[name]
        if column.numbers is not None:
            assert again.numbers is not None
            assert again.numbers.grid == column.numbers.grid
            assert again.numbers.counts.tolist() == column.numbers.counts.tolist()
            assert again.numbers.deviation == column.numbers.deviation
        else:
            assert again.values == column.values


def test_its_size_does_not_grow_with_the_table() -> None:
    chance = np.random.default_rng(2)
    values = chance.normal(size=200_000)
    grid = grids.of_sample(values[:10_000], float(values.min()), float(values.max()))
    column = ColumnProfile(name="x", kind=Kind.NUMERIC, type="float64", rows=len(values), values=counted(grid, values))
    assert len(profiles.dump(Profile(name="t", rows=len(values), columns={"x": column}))) < 150_000


def changed(change: Any) -> bytes:
    document = json.loads(profiles.dump(profile()))
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(schema="ci-ml/profile/v2"),
        lambda document: document.update(more=1),
        lambda document: document.update(rows=1),
        lambda document: document["columns"].append(document["columns"][0]),
        lambda document: document["columns"][0].update(missing=61),
        lambda document: document["columns"][0].update(gap="also"),
        lambda document: document["columns"][0]["numbers"]["counts"].append(1),
        lambda document: document["columns"][0]["numbers"]["counts"].__setitem__(0, -1),
        lambda document: document["columns"][0]["numbers"]["grid"].update(center=None),
        lambda document: document["columns"][0]["numbers"]["grid"]["cuts"].reverse(),
        lambda document: document["columns"][0]["numbers"].update(low=1e9),
    ],
)
def test_a_file_that_is_no_profile_is_refused(change: Any) -> None:
    with pytest.raises(UsageError, match=r"profile\.json is no profile"):
        profiles.load(changed(change), "profile.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"NaN", b'{"schema": "ci-ml/profile/v1"}', b"\xff"])
def test_a_file_that_is_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="is no profile"):
        profiles.load(data, "x.json")
