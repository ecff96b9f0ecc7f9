"""What becomes of a Vega-Lite specification that somebody else wrote."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import vega

PLAIN: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"step": 0, "loss": 0.5, "rev": "head"}]},
    "mark": {"type": "line", "tooltip": {"content": "data"}},
    "encoding": {"x": {"field": "step", "type": "quantitative"}, "color": {"field": "rev"}},
    "config": {"axis": {"grid": False}},
}


def test_a_plain_one_stays_as_it_is() -> None:
    assert vega.clean(PLAIN) == PLAIN


def test_without_a_schema_it_is_vega_lite() -> None:
    assert vega.clean({"mark": "bar"}) == {"$schema": vega.SCHEMA, "mark": "bar"}


@pytest.mark.parametrize(
    "spec",
    [
        {"data": {"url": "https://example.org/x.csv"}},
        {"data": {"URL ": "https://example.org/x.csv"}},
        {"transform": [{"lookup": "id", "from": {"data": {"url": "x.json"}, "key": "id"}}]},
        {"mark": {"type": "image", "url": "https://example.org/a.png"}},
        {"mark": {"type": "point", "href": "javascript:alert(1)", "cursor": "url(https://example.org/a.cur), auto"}},
        {"encoding": {"url": {"field": "picture"}, "href": {"value": "https://example.org"}}},
        {"usermeta": {"embedOptions": {"loader": {"baseURL": "https://example.org"}}}},
        {"params": [{"name": "p", "bind": {"input": "range", "element": "#verdict"}}]},
        {"data": {"values": [{"image": "https://example.org/a.png"}]}},
        {"background": "url(https://example.org/a.png)"},
        {"config": {"style": {"a": {"fill": "URL (https://example.org/a.svg#b)"}}}},
        {"mark": {"type": "image", "url": "data:image/svg+xml;base64,AAAA"}},
        {"mark": {"type": "image", "url": {"expr": "'https://example.org/' + datum.a"}}},
        {"layer": [{"hconcat": [{"data": {"url": "https://example.org"}}]}]},
    ],
)
def test_nothing_is_loaded(spec: dict[str, Any]) -> None:
    text = json.dumps({**vega.clean({**spec, "title": "kept"}), "$schema": ""})
    assert "example.org" not in text
    assert "url" not in text.lower()
    assert "javascript" not in text
    assert "kept" in text


def _shown(text: str) -> str:
    return text.replace("\u202e", "\\u202e")


@pytest.mark.parametrize(
    ("spec", "left"),
    [
        ({"mark": "bar", "data": {"url": "https://evil.example/x.csv"}}, {"mark": "bar", "data": {}}),
        ({"mark": {"type": "image", "url": "x"}, "data": {"values": []}}, {"data": {"values": []}}),
        ({"mark": "image", "usermeta": {"embedOptions": {"loader": {}}}, "width": 3}, {"width": 3}),
        ({"mark": {"type": "bar", "href": "x"}}, {"mark": {"type": "bar"}}),
        ({"mark": "bar", "encoding": {"href": {"field": "x"}, "url": {}}}, {"mark": "bar", "encoding": {}}),
        ({"params": [{"bind": {"element": "#x", "input": "text"}}], "x": 1}, {"params": [{}], "x": 1}),
        ({"data": {"sequence": {"start": 0, "stop": 1e12}}, "x": 1}, {"data": {}, "x": 1}),
        ({"data": {"values": [{"url": "a", "b": 2}, 3]}}, {"data": {"values": [{"b": 2}, 3]}}),
        ({"params": [{"bind": "scales"}]}, {"params": [{"bind": "scales"}]}),
        (
            {"transform": [{"lookup": "a", "from": {"data": {"url": "x"}}}]},
            {"transform": [{"lookup": "a", "from": {"data": {}}}]},
        ),
        ({"mark": "bar", "title": "\u202eabc\n"}, {"mark": "bar", "title": "\\u202eabc\n"}),
        (
            {"layer": [{"mark": "line"}, {"data": {"url": "x", "name": "y"}}]},
            {"layer": [{"mark": "line"}, {"data": {"name": "y"}}]},
        ),
    ],
)
def test_what_leads_out_is_left_out_and_the_rest_stays(spec: dict[str, Any], left: dict[str, Any]) -> None:
    assert {key: value for key, value in vega.clean(spec, _shown).items() if key != "$schema"} == left


@pytest.mark.parametrize("spec", [None, [], "{}", 7])
def test_what_is_no_object_is_refused(spec: object) -> None:
    with pytest.raises(vega.Unfit, match="not a JSON object"):
        vega.clean(spec)


@pytest.mark.parametrize(
    "schema",
    ["https://vega.github.io/schema/vega/v5.json", "https://example.org/vega-lite/v5.json", 7, None],
)
def test_what_is_not_vega_lite_is_refused(schema: object) -> None:
    with pytest.raises(vega.Unfit, match="not Vega-Lite"):
        vega.clean({"$schema": schema})


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"layer": [deep]}
    with pytest.raises(vega.Unfit, match="nested"):
        vega.clean(deep)


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(vega.Unfit, match="larger than 1 MB"):
        vega.size(vega.clean({"title": "x" * 1_000_001}))


def test_numbers_that_are_none_are_null() -> None:
    values = [{"loss": math.nan}, {"loss": math.inf}, {"loss": 1}]
    found = vega.clean({"data": {"values": values}})
    assert found["data"]["values"] == [{"loss": None}, {"loss": None}, {"loss": 1}]
    json.dumps(found, allow_nan=False)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.sampled_from(["url(a)", "data:image/png;base64,AA", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "href", "image", "data", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(spec=st.dictionaries(st.sampled_from(["data", "layer", "usermeta", "Href"]), _JSON, min_size=1))
def test_of_anything_no_address_is_left(spec: dict[str, Any]) -> None:
    found = vega.clean(spec)
    assert vega.clean(found) == found

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                assert key.lower() not in ("url", "href", "image")
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)
        else:
            assert "url(" not in str(value)

    look({key: value for key, value in found.items() if key != "$schema"})


def test_sides_get_the_names_that_a_report_has() -> None:
    sha = "a" * 40
    spec = {
        "data": {"values": [{"rev": sha, "loss": 1}, {"rev": "workspace", "note": "workspace"}]},
        "encoding": {"color": {"field": "rev", "scale": {"domain": ["workspace", sha], "range": ["#1", "#2"]}}},
        "title": "workspace",
    }
    assert vega.named(spec, {sha: "base", "workspace": "head"}) == {
        "data": {"values": [{"rev": "base", "loss": 1}, {"rev": "head", "note": "workspace"}]},
        "encoding": {"color": {"field": "rev", "scale": {"domain": ["head", "base"], "range": ["#1", "#2"]}}},
        "title": "workspace",
    }
