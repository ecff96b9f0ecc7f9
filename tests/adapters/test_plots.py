"""What is taken over from the plots of DVC, and what is said of the rest."""

from typing import Any

import pytest

from ci_ml.adapters.dvc import plots

SHA = "a" * 40
NAMES = {SHA: "base", "workspace": "head"}


def line(rows: int = 2, **more: Any) -> list[dict[str, Any]]:
    """A plot as DVC writes it."""
    values = [{"step": step, "loss": 0.5, "rev": side} for step in range(rows) for side in ("workspace", SHA)]
    return [{"type": "vega", "revisions": ["workspace", SHA], "content": {"data": {"values": values}, **more}}]


def read(**drawn: Any) -> plots.Plots:
    return plots.read({"data": drawn}, NAMES)


def test_a_plot_has_both_sides_by_their_names() -> None:
    found = read(loss=line())
    (plot,) = found.plots
    assert plot.name == "loss"
    assert [row["rev"] for row in plot.spec["data"]["values"]] == ["head", "base"] * 2
    assert found.notices == ()


def test_nothing_of_it_is_loaded() -> None:
    (plot,) = read(loss=line(mark={"type": "image", "url": "https://example.org/a.png"})).plots
    assert "mark" not in plot.spec


@pytest.mark.parametrize(
    ("drawn", "why"),
    [
        ([], "DVC has no data to draw"),
        (None, "DVC has no data to draw"),
        ([{"type": "image", "url": "x.png"}], "a report has no images of DVC"),
        ([7], "a report has no images of DVC"),
        ([{"type": "vega"}], "it is not a JSON object"),
        (line(**{"$schema": "https://vega.github.io/schema/vega/v5.json"}), "it is not Vega-Lite"),
        (line(30_000), "it is larger than 1 MB"),
    ],
)
def test_what_is_left_out_is_told(drawn: Any, why: str) -> None:
    found = read(bad=drawn, good=line())
    assert [plot.name for plot in found.plots] == ["good"]
    assert found.notices == (f"Of DVC's plots bad is left out: {why}",)


def test_together_they_are_not_too_large() -> None:
    found = read(**{f"p{index}": line(9_000) for index in range(8)})
    assert 4 < len(found.plots) < 8
    (notice,) = found.notices
    assert notice.endswith("left out: together they are larger than 5 MB")


def test_many_of_a_kind_are_one_notice() -> None:
    found = read(**{f"p{index}": [] for index in range(5)})
    assert found.notices == ("Of DVC's plots p0, p1, p2 and 2 more are left out: DVC has no data to draw",)


def test_data_that_is_nowhere_is_told() -> None:
    errors = [
        {
            "name": "loss",
            "rev": SHA,
            "type": "FileNotFoundError",
            "msg": "[Errno 2] No storage files available: 'loss'",
        },
        {"name": "new", "rev": SHA, "type": "FileNotFoundError", "msg": "[Errno 2] No such file or directory: 'new'"},
        7,
    ]
    found = plots.read({"data": {"loss": line(), "new": line()}, "errors": errors}, NAMES)
    assert found.notices == ("Of DVC's plots loss is of one side: the other's data is nowhere",)


def test_those_of_another_project_are_nobodys_business() -> None:
    found = plots.read({"data": {"../loss.json": line(), "loss.json": line()}}, NAMES)
    assert [plot.name for plot in found.plots] == ["loss.json"]


@pytest.mark.parametrize("answer", [None, [], {}, {"data": []}, {"errors": []}])
def test_no_plots_are_none(answer: Any) -> None:
    assert plots.read(answer, NAMES) == plots.Plots()
