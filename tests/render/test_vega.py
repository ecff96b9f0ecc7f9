import builtins
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import altair
import pytest

from ci_ml.core.exhibits import BeforePart, ConfusionPart, CurvePart, HistoryPart, PointPart, SeriesPart
from ci_ml.core.report import StageRunPart, TrainingPart
from ci_ml.errors import UsageError
from ci_ml.render import figures, pictures, vega
from tests import reports

ROOT = Path(__file__).parents[2]
_RESIDUALS = SeriesPart(x=(-1.0, 0.0, 1.0), n=(3, 4))
_DRAWN: list[figures.Figure] = [
    *(figure for group in figures.predictions(reports.everything()) for figure in group.figures),
    *figures.plots(reports.everything()),
]


def _specs() -> dict[str, dict[str, Any]]:
    content = reports.everything()
    found = {figure.title: figure.spec for figure in _DRAWN}
    for part in content.history:
        item = next((item for item in content.comparisons if item.metric == part.metric and not item.slice), None)
        found[f"history of {part.metric}"] = vega.history(part, item)
    point = PointPart(sha="a" * 40, at="", value=1.0)
    found["history without a gate"] = vega.history(HistoryPart(metric="m", points=(point,)), None)
    assert content.training
    found["training"] = vega.timeline(content.training)
    ran = StageRunPart(name="only", state="ran", seconds=1.0)
    found["training without a base"] = vega.timeline(TrainingPart(stages=(ran,)))
    found["residuals"] = vega.curve(CurvePart(table="t", kind="residuals", head=_RESIDUALS))
    many = [f"class {index}" for index in range(40)]
    found["many classes"] = vega.confusion(many, [[index] * 40 for index in range(40)], "head")
    return found


def _beginning(data: dict[str, Any] | None) -> dict[str, Any] | None:
    return data and {**data, "values": data["values"][:3]} if isinstance((data or {}).get("values"), list) else data


@pytest.mark.parametrize(("name", "spec"), _specs().items())
def test_specifications_are_valid_and_can_be_drawn(name: str, spec: dict[str, Any]) -> None:
    few = {**spec, "config": vega.config(vega.PAGE), "data": _beginning(spec.get("data"))}  # rows are what takes long
    altair.Chart.from_dict({key: value for key, value in few.items() if value is not None}, validate=True)
    drawn = pictures.picture(spec, "svg").decode()
    assert drawn.startswith("<svg")
    assert len(drawn) > 1500


def test_base_and_head_differ_by_more_than_their_colour() -> None:
    for spec in (figure.spec for figure in _DRAWN if figure.title.startswith(("ROC", "Precision", "Scores", "Cal"))):
        assert any("strokeDash" in layer["encoding"] for layer in spec["layer"])


def test_classes_that_look_the_same_stay_apart() -> None:
    names = [f"{'a' * 30}{letter}{'b' * 30}" for letter in "xyz"]
    spec = vega.confusion(names, [[1, 2, 3]] * 3, "base")
    assert len({value["truth"] for value in spec["data"]["values"]}) == 3
    assert figures.confusion(ConfusionPart(table="t", classes=tuple(names), base=((0, 0, 0),) * 3))[0].detail == ""


def test_only_stages_that_ran_have_a_bar() -> None:
    content = reports.everything()
    assert content.training
    spec = vega.timeline(content.training)  # of the base all three ran
    drawn = pictures.picture({**spec, "config": vega.config(vega.PAGE)}, "svg").decode()
    assert re.findall(r'mark-rect role-mark.*?fill="var\(--(base|head)\)', drawn) == ["base"] * 3 + ["head"] * 2
    assert re.findall(r"layer_1_marks.*?>([^<>]+)</text>", drawn) == ["from cache"]


@pytest.mark.parametrize("state", ["cached", "skipped"])
def test_where_nothing_ran_there_is_no_timeline(state: str) -> None:
    stage = StageRunPart.model_validate({"name": "train", "state": state, "seconds": 0.2})
    assert figures.training(TrainingPart(stages=(stage,))) is None
    known = BeforePart(seconds=9.0, stages={"train": 8.0})
    assert figures.training(TrainingPart(stages=(stage,), before=known)) is not None


def test_pictures_are_svg_and_png() -> None:
    spec = figures.training(reports.everything().training).spec  # type: ignore[arg-type,union-attr]
    assert pictures.picture(spec, "png").startswith(b"\x89PNG\r\n")
    assert b"stage" in pictures.picture(spec, "svg") or b"train" in pictures.picture(spec, "svg")


def test_a_picture_that_cannot_be_drawn_is_an_error() -> None:
    with pytest.raises(UsageError, match="cannot be drawn"):
        pictures.picture({"mark": "line", "data": {"url": "https://example.org/x.csv"}, "encoding": 3}, "svg")


def test_without_vl_convert_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "vl_convert":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError) as error:
        pictures.picture({"mark": "bar"}, "svg")
    assert error.value.hint == "pip install 'ci-ml[images]'"


# --- The bundle -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle() -> ModuleType:
    given = importlib.util.spec_from_file_location("bundle", ROOT / "docs/bundle.py")
    assert given
    assert given.loader
    module = importlib.util.module_from_spec(given)
    given.loader.exec_module(module)
    return module


def test_what_draws_charts_is_what_vl_convert_gives(bundle: ModuleType) -> None:
    assert bundle.PLACE.read_text(encoding="utf-8") == bundle.bundle(), "run `make vega`"


def test_what_draws_charts_says_whose_it_is(bundle: ModuleType) -> None:
    licence = bundle.PLACE.with_name("vega.LICENSE.txt").read_text(encoding="utf-8")
    assert "University of Washington Interactive Data Lab" in licence
    assert "Mike Bostock" in licence
    assert "BSD-3-Clause" in bundle.PLACE.read_text(encoding="utf-8")[:300]


def test_every_chart_of_a_report_is_a_file() -> None:
    found = pictures.charts(reports.everything(), "svg")
    assert next(iter(found)) == "00-gates.svg"
    names = [name.partition("-")[2] for name in found]
    assert {"test-recall-history.svg", "training-stages.svg"} <= set(names)
    assert sum(name.startswith("plot-") for name in names) == 1
    assert all(data.startswith(b"<svg") for data in found.values())


def test_every_chart_as_png_is_one_that_of_the_gates_too() -> None:
    found = pictures.charts(reports.churn(), "png")
    assert next(iter(found)) == "00-gates.png"
    assert all(name.endswith(".png") and data.startswith(b"\x89PNG") for name, data in found.items())
