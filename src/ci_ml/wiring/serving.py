"""Whether the model that ships is the model that was judged: its bytes, and what it answers. Layer: wiring."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ci_ml.adapters import fingerprints
from ci_ml.adapters.mlflow import pyfunc
from ci_ml.core.config import PredictionsConfig
from ci_ml.core.promotions import Step, fold
from ci_ml.core.registry import ServeConfig
from ci_ml.core.serving import Served, compared, spelled
from ci_ml.core.types import Gap, Revision
from ci_ml.errors import UsageError, Withheld
from ci_ml.usecases.evidence import Side
from ci_ml.wiring import publishing, registry, tables
from ci_ml.wiring.registry import Registered
from ci_ml.wiring.workspace import Workspace

_META = "registered_model_meta"  # MLflow's own, which it lays beside a model that it hands out


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Which model was looked at, and what came of it."""

    what: str
    served: Served


def check(
    space: Workspace, name: str, *, alias: str | None, version: str | None, here: bool, python: str | None
) -> Checked:
    """Score the sample through a registered model, or through the one that is here, and compare.

    Raises Withheld when the registered bytes are not those that were promoted, UsageError, DependencyError.
    """
    model = registry.find(space, name)
    serve = model.about.serve
    if serve is None:
        raise UsageError(f"registry.{name} says nothing of `serve`", "name a sample and its predictions there")
    if here:
        place = space.project.root / space.project.inside(model.about.model)
        return _scored(space, model, serve, place, space.head_side(), f"{model.about.model} as it is here", python)
    registry.require_lasting(space)
    models = registry.models(space)
    state = fold(registry.Chronicled(space).read(name))
    chosen = alias or next(iter(model.about.aliases))
    targets = models.targets(name) if models.keeps_aliases else state.targets
    wanted = version or targets.get(chosen)
    if wanted is None:
        raise UsageError(f"nothing is {chosen} of {name}", "promote it, or check the one that is here: --here")
    step = state.of_version(wanted)
    if step is None:
        raise Withheld(f"no record says what version {wanted} of {name} is: ci-ml has not promoted it")
    with TemporaryDirectory(prefix="ci-ml-model-") as folder:
        place = models.fetch(name, wanted, Path(folder))
        _require_bytes(step, place, f"version {wanted} of {name}")
        side = _side(space, step)
        return _scored(space, model, serve, place, side, f"version {wanted} of {name}", python)


def _side(space: Workspace, step: Step) -> Side:
    """Where the rows are and what was evaluated: as at the commit that the version was made from."""
    sha = step.what.commit
    if sha is None or sha == space.head.sha:
        return space.head_side()
    if space.history.commit(sha) is None and (remote := space.history.remote()):
        space.history.fetch("--depth=1", remote, sha)
    if space.history.commit(sha) is None:
        raise UsageError(f"{sha[:7]}, which the model was made from, is not in this clone", f"git fetch origin {sha}")
    return space.side(Revision(sha=sha, ref=None, why="the commit of the model"))


def _require_bytes(step: Step, place: Path, what: str) -> None:
    found = fingerprints.bundle(place.name, place, lambda path: path.endswith(f"/{_META}"), str)
    there = {Path(name).name: value for name, value in found.outputs.items()} if not found.is_folder else None
    wanted = step.what.outputs
    if found.is_folder:
        top = len(found.path) + 1
        there = {name[top:]: value for name, value in found.outputs.items()}
        first = min(wanted, default="")
        parts = _common(wanted) if len(wanted) > 1 else first.rpartition("/")[0]
        wanted = {name.removeprefix(f"{parts}/"): value for name, value in wanted.items()}
    else:
        wanted = {Path(name).name: value for name, value in wanted.items()}
    if there != wanted:
        assert there is not None
        odd = sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))
        raise Withheld(
            f"{what} is not what was promoted: {odd[0]} has other bytes than entry {step.number} of the ledger says",
            "somebody has changed the registry's files: `ci-ml rollback` to a version that is whole",
        )


def _common(names: Mapping[str, str]) -> str:
    """The folder of a model, which its MLmodel is in."""
    tops = [name.rpartition("/")[0] for name in names if name.endswith("/MLmodel")]
    return min(tops, key=len, default="")


def _scored(
    space: Workspace, model: Registered, serve: ServeConfig, place: Path, side: Side, what: str, python: str | None
) -> Checked:
    if not (place / "MLmodel").is_file():
        raise UsageError(f"{what} is no folder with a file MLmodel", "let the stage save it with mlflow's save_model")
    about = model.config.predictions[serve.predictions]
    with TemporaryDirectory(prefix="ci-ml-sample-") as folder:
        sample = _placed(side, serve.sample, Path(folder))
        scored = pyfunc.score(
            place,
            sample,
            called=serve.sample,
            id_=about.id,
            columns=serve.columns,
            rows=serve.rows,
            python=python,
            env=publishing.without_token(space.change, space.env),
        )
        column = serve.compare or _compared(about, serve.predictions)
        evaluated = _evaluated(space, model, side, about, column, {spelled(id_) for id_ in scored.ids}, Path(folder))
    answers = scored.answers[_output(scored, serve, column)]
    return Checked(what=what, served=compared(scored.ids, answers, evaluated, serve.tolerance))


def _placed(side: Side, path: str, folder: Path) -> Path:
    found = side.place(path, folder)
    if isinstance(found, Gap):
        raise UsageError(found.reason)
    return found


def _compared(about: PredictionsConfig, name: str) -> str:
    """The column of the predictions that a model's answers are."""
    column = about.prediction or about.score
    if column is None or "*" in column:
        raise UsageError(f"predictions.{name} has no single column of answers", "say which: `compare` under `serve`")
    return column


def _output(scored: pyfunc.Scored, serve: ServeConfig, column: str) -> str:
    names = list(scored.answers)
    if serve.output is not None:
        if str(serve.output) not in scored.answers:
            raise UsageError(f"the model does not answer with {serve.output}", f"there are: {', '.join(names[:20])}")
        return str(serve.output)
    if len(names) == 1:
        return names[0]
    if column in scored.answers:
        return column
    raise UsageError(f"the model answers with {len(names)} columns: {', '.join(names[:20])}", "say `output` in `serve`")


def _evaluated(
    space: Workspace,
    model: Registered,
    side: Side,
    about: PredictionsConfig,
    column: str,
    ids: set[str],
    folder: Path,
) -> dict[str, Any]:
    """What was evaluated of these examples, by id."""
    from ci_ml.metrics.columns import Unusable

    if about.path is None:
        raise UsageError("predictions of several seeds belong to several models", "`serve` wants a table with a `path`")
    place = _placed(side, about.path, folder)
    with tables.opener(space.env)(model.config.engine, [place]) as opened:
        try:
            table = opened.source(place, about.path, about.path).table
        except Unusable as error:
            raise UsageError(str(error)) from None
        for name in (about.id, column):
            if name not in table.columns:
                raise UsageError(f"{about.path} has no column {name}")
        found = table.select(id=table[about.id], value=table[column])
        return {
            key: _value(row["value"]) for row in opened.engine.rows(found) if (key := spelled(_value(row["id"]))) in ids
        }


def _value(value: Any) -> Any:
    """A cell of a table; of text files it may be a number that is written as text."""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return value
        return number if abs(number) < float("inf") else value
    return value if isinstance(value, bool | int | float) or value is None else str(value)
