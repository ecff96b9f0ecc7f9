"""How parameters are looked up, against DVC's own way; whether stages are stale is in tests/core and tests/e2e."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ci_ml.core.pipeline import LockedStage, ParamsFile, Pipeline, Stage
from ci_ml.core.staleness import State
from ci_ml.errors import UsageError
from ci_ml.usecases import verify
from tests.repositories import Repository

NESTED = "a: {b: {c: 1}, 'x.y': 2, 3: three, '4': four, l: [10, {m: 20}, [30]], n: null, t: 2024-01-31}\n5: five\n"


def refuse(data: bytes, path: str) -> Mapping[str, Any]:
    raise AssertionError(f"{path} is no Python module")


def stage(path: str, keys: tuple[str, ...], locked: Mapping[str, Any]) -> Stage:
    return Stage(
        name="train",
        file="dvc.yaml",
        command=("x",),
        wdir="",
        params=(ParamsFile(path=path, keys=keys),),
        locked=LockedStage(command=("x",), params={path: locked}),
    )


def reasons(repository: Repository, made: Stage) -> tuple[str, ...]:
    """Why a stage is stale that has nothing but parameters."""
    tree = repository.adapter.work_tree()
    (found,) = verify.verify(tree, Pipeline(stages=(made,)), lambda path, like: None, refuse)
    assert (found.state is State.STALE) == bool(found.reasons)
    return found.reasons


@pytest.mark.parametrize(
    "key",
    "a a.b a.b.c a.b.d a.3 a.4 5 a.l a.l.0 a.l.1.m a.l.2.0 a.l.3 a.l.x a.n a.n.x a.t z a.b.c.d".split(),
)
def test_a_key_leads_where_dvc_says(repository: Repository, key: str) -> None:
    from dvc.dependency.param import read_param_file
    from dvc.fs import localfs

    place: Path = repository.write("params.yaml", NESTED)
    expected = read_param_file(localfs, str(place), [key], flatten=True)
    assert reasons(repository, stage("params.yaml", (key,), expected)) == (
        () if expected else (f"params: {key} is gone from params.yaml",)
    )
    if expected:
        assert reasons(repository, stage("params.yaml", (key,), {key: "something else"}))


@pytest.mark.parametrize(
    ("path", "content"),
    [("p.yaml", "lr: 0.1\nn: [1, 2]\n"), ("p.json", '{"lr": 0.1, "n": [1, 2]}'), ("p.toml", "lr = 0.1\nn = [1, 2]\n")],
)
def test_a_whole_file_is_all_of_its_keys(repository: Repository, path: str, content: str) -> None:
    repository.write(path, content)
    assert reasons(repository, stage(path, (), {"lr": 0.1, "n": [1, 2]})) == ()
    assert reasons(repository, stage(path, (), {"lr": 0.1})) == (f"params: n of {path} is not in dvc.lock",)


def test_a_broken_file_is_an_error_with_its_line(repository: Repository) -> None:
    repository.write("p.yaml", "lr: 0.1\nlr: 0.2\n")
    with pytest.raises(UsageError, match=r"p\.yaml:2: the key 'lr' is there twice"):
        reasons(repository, stage("p.yaml", ("lr",), {"lr": 0.1}))


def test_a_folder_in_its_place_is_an_error(repository: Repository) -> None:
    repository.write("p.yaml/x", "")
    with pytest.raises(UsageError, match=r"p\.yaml is a folder"):
        reasons(repository, stage("p.yaml", ("lr",), {"lr": 0.1}))


def test_a_file_that_is_not_here_says_nothing(repository: Repository) -> None:
    assert reasons(repository, stage("p.yaml", ("lr",), {"lr": 0.1})) == ()
