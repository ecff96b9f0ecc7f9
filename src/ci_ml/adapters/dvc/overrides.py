"""Parameters as `dvc exp run --set-param` takes them: their combinations, and setting them. Layer: adapters.

Runs as `python -P -m ci_ml.adapters.dvc.overrides REQUEST`, with the request as JSON, for DVC and Hydra take a second
to import. They understand the values, so that they mean here what they mean to them.
"""

import itertools
import json
import math
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ci_ml.adapters import proc
from ci_ml.core.search import Overrides
from ci_ml.core.training import redact, secrets
from ci_ml.errors import DependencyError, UsageError

_WRONG = 2
_VALUES = 100_000
_WORDS = 500


def combinations(
    params: Sequence[str], most: int, seed: str, *, cwd: Path, env: Mapping[str, str]
) -> tuple[int, tuple[Overrides, ...]]:
    """How many combinations there are, and at most so many of them in order, chosen by chance when there are more.

    Raises UsageError with DVC's own words for what is none.
    """
    found = json.loads(_asked({"params": list(params), "most": most, "seed": seed}, cwd, env))
    chosen = tuple({path: tuple(texts) for path, texts in one.items()} for one in found["chosen"])
    return int(found["count"]), chosen


def apply(overrides: Overrides, *, cwd: Path, env: Mapping[str, str]) -> None:
    """Set parameters in their files below `cwd`. Raises UsageError for a file or a parameter that is not there."""
    _asked({"set": {path: list(texts) for path, texts in overrides.items()}}, cwd, env)


def _asked(request: Mapping[str, Any], cwd: Path, env: Mapping[str, str]) -> bytes:
    command = [sys.executable, "-E", "-P", "-m", __name__, json.dumps(request)]
    done = proc.run(command, cwd=cwd, env=env, timeout=None)
    words = redact(" ".join(done.err.split())[-_WORDS:], secrets(env))
    if done.code == _WRONG:
        raise UsageError(f"retrain.search.params: {words}", "write them as `dvc exp run --set-param` takes them")
    if done.code != 0:
        raise DependencyError(f"DVC failed: {words or f'exit code {done.code}'}")
    return done.out


def main() -> int:
    """Answer one request; 2 when what it asks for cannot be meant."""
    from dvc.exceptions import DvcException

    request = json.loads(sys.argv[1])
    try:
        if "set" in request:
            _set(request["set"])
        else:
            json.dump(_combined(**request), sys.stdout)
    except (DvcException, ValueError, OSError) as error:
        causes: list[BaseException] = [error]
        while causes[-1].__cause__ is not None:
            causes.append(causes[-1].__cause__)
        sys.stderr.write(": ".join(dict.fromkeys(str(cause) or type(cause).__name__ for cause in causes)))
        return _WRONG
    return 0


def _combined(params: Sequence[str], most: int, seed: str) -> dict[str, Any]:
    choices = [choice for path, texts in _by_file(params).items() for choice in _choices(path, texts)]
    count = math.prod(map(len, choices))
    if count <= most:
        chosen = [list(one) for one in itertools.product(*choices)]
    else:
        chance = random.Random(seed)  # noqa: S311  it guards nothing
        chosen = [_numbered(choices, number) for number in _some(count, most, chance)]
    return {"count": count, "chosen": [_joined(one) for one in chosen]}


def _by_file(params: Sequence[str]) -> dict[str, list[str]]:
    from dvc.utils.cli_parse import to_path_overrides

    return dict(to_path_overrides(params))


def _choices(path: str, texts: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """The values of each parameter of a file, every one as an override of its own."""
    from dvc.utils.hydra import to_hydra_overrides
    from hydra.core.override_parser.types import ValueType
    from hydra.errors import HydraException

    for text in texts:
        try:
            (override,) = to_hydra_overrides([text])
        except HydraException as error:
            raise ValueError(f"{text}: {error}") from None
        if not override.is_sweep_override():
            yield [(path, text)]
            continue
        if not override.is_discrete_sweep() or override.value_type == ValueType.GLOB_CHOICE_SWEEP:
            raise ValueError(f"{text} has no list of values: take choice(…) or range(…)")
        key = override.get_key_element()
        values = list(itertools.islice(override.sweep_string_iterator(), _VALUES + 1))
        if len(values) > _VALUES:
            raise ValueError(f"{text} has more than {_VALUES} values")
        if not values:
            raise ValueError(f"{text} has no value")
        yield [(path, f"{key}={value}") for value in dict.fromkeys(values)]


def _some(count: int, most: int, chance: random.Random) -> list[int]:
    """So many different numbers below `count`, which may be beyond what a range can be sampled for."""
    found: set[int] = set()
    while len(found) < most:
        found.add(chance.randrange(count))
    return sorted(found)


def _numbered(choices: Sequence[list[tuple[str, str]]], number: int) -> list[tuple[str, str]]:
    """The combination at a place in the order of all of them, the last parameter changing fastest."""
    found = []
    for values in reversed(choices):
        number, rest = divmod(number, len(values))
        found.append(values[rest])
    return found[::-1]


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    joined: dict[str, list[str]] = {}
    for path, text in pairs:
        joined.setdefault(path, []).append(text)
    return joined


def _set(overrides: Mapping[str, list[str]]) -> None:
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo
    from dvc.utils.hydra import apply_overrides

    repo = Repo()
    composed = ParamsDependency.DEFAULT_PARAMS_FILE if repo.config.get("hydra", {}).get("enabled") else None
    for path, texts in overrides.items():
        if path == composed:
            repo.experiments.workspace_queue._update_params({path: texts})  # noqa: SLF001  Hydra composes the file
        elif not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        else:
            apply_overrides(path, texts)


if __name__ == "__main__":
    sys.exit(main())
