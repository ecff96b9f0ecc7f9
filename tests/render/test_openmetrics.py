import math
import re
import shlex
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ci_ml.core.report import Report
from ci_ml.render import openmetrics
from tests import movements, reports
from tests.render.names import HALF, HOSTILE, NAMES, hostile

Key = tuple[str, frozenset[tuple[str, str]]]


def samples(content: Report) -> dict[Key, float]:
    """What a parser of OpenMetrics reads: every sample is there once."""
    found: dict[Key, float] = {}
    for family in text_string_to_metric_families(openmetrics.report(content)):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = float(sample.value)
    return found


def gitlab(text: str) -> Iterator[tuple[str, str]]:
    """Names and values as GitLab reads them: two words of a shell, before the first `#`."""
    for line in text.splitlines():
        words = shlex.split(re.sub("#.*$", "", line))
        if words:
            name, value = words
            yield name, value


def key(name: str, **labels: str) -> Key:
    return name, frozenset({"report": "churn", **labels}.items())


def test_everything_as_a_file(golden: Callable[[str, str], None]) -> None:
    golden("formats/openmetrics.txt", openmetrics.report(reports.everything()))


def test_every_number_is_read_back_as_it_is() -> None:
    content = reports.everything()
    found = samples(content)
    assert found[key("ci_ml_outcome")] == 3
    item = next(item for item in content.comparisons if item.name == "test.recall on plan = free")
    about = {"metric": "test.recall", "slice": "plan = free"}
    assert found[key("ci_ml_gate", **about)] == 3
    assert found[key("ci_ml_metric", side="head", **about)] == item.head
    assert found[key("ci_ml_metric", side="base", **about)] == item.base
    assert found[key("ci_ml_change", **about)] == item.delta
    assert (found[key("ci_ml_change_low", **about)], found[key("ci_ml_change_high", **about)]) == item.interval
    assert found[key("ci_ml_examples", **about)] == item.n
    assert found[key("ci_ml_training_seconds", side="head")] == 268.4
    assert found[key("ci_ml_training_seconds", side="base")] == 212.0
    assert found[key("ci_ml_metric", side="head", metric="test.recall")] == 0.8361
    assert len([1 for name, _ in found if name == "ci_ml_gate"]) == len(content.comparisons)


def test_what_could_not_be_measured_has_no_sample() -> None:
    content = reports.report()
    assert samples(content) == {key("ci_ml_outcome"): 2}
    assert openmetrics.report(content).endswith("# EOF\n")


@given(base=st.floats(allow_nan=False, allow_infinity=False), head=st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_back_as_it_is(base: float, head: float) -> None:
    content = reports.report(reports.comparison("m.json:a", base, head))
    found = samples(content)
    assert found[key("ci_ml_metric", metric="m.json:a", side="base")] == base
    assert found[key("ci_ml_metric", metric="m.json:a", side="head")] == head
    assert all(math.isfinite(value) for value in found.values())


def gates_and_metrics(content: Report) -> int:
    return len(content.comparisons) * 3  # a gate, and two sides that were measured


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_text_to_prometheus_and_to_gitlab(name: str) -> None:
    content = hostile(name)
    read = samples(content)
    assert len([1 for kind, _ in read if kind in ("ci_ml_gate", "ci_ml_metric")]) == gates_and_metrics(content)
    theirs = dict(gitlab(openmetrics.report(content)))
    assert sorted(map(float, theirs.values())) == sorted(read.values())


@given(one=HOSTILE, other=HOSTILE)
def test_whatever_names_there_are_nothing_gets_lost(one: str, other: str) -> None:
    content = hostile(*dict.fromkeys((one, other)))
    read = samples(content)
    assert len([1 for kind, _ in read if kind in ("ci_ml_gate", "ci_ml_metric")]) == gates_and_metrics(content)
    theirs = dict(gitlab(openmetrics.report(content)))
    assert sorted(map(float, theirs.values())) == sorted(read.values())


def test_names_that_are_cut_alike_stay_apart() -> None:
    content = hostile(f"{HALF}1{HALF}", f"{HALF}2{HALF}")
    assert len([1 for kind, _ in samples(content) if kind == "ci_ml_gate"]) == len(content.comparisons)


def test_drift_is_a_gauge_by_table_column_and_statistic() -> None:
    content = movements.production()
    found = samples(content)
    (table,) = content.drifts
    for column in table.columns:
        about = {"table": "churn", "column": column.column}
        for test in column.tests:
            assert found[key("ci_ml_drift", statistic=test.statistic, **about)] == test.effect
            assert found[key("ci_ml_drift_limit", statistic=test.statistic, **about)] == test.limit
        assert found.get(key("ci_ml_drifted", **about)) == column.drifted
    assert key("ci_ml_drifted", table="churn", column="referrer") not in found
    age = {"table": "churn", "column": "age"}
    statistics = next(column.statistics for column in table.columns if column.column == "age")
    assert found[key("ci_ml_drift", statistic="psi", **age)] == statistics["psi"]
    assert found[key("ci_ml_drift", statistic="wasserstein_normed", **age)] == statistics["wasserstein_normed"]
    assert found[key("ci_ml_column", statistic="mean", side="current", **age)] == statistics["mean_current"]
    assert found[key("ci_ml_drift_share", table="churn")] == 0.5
    assert found[key("ci_ml_drift_share_limit", table="churn")] == 0.3
    assert found[key("ci_ml_drift_unknown", table="churn")] == 1
    assert found[key("ci_ml_drift_outcome", table="churn")] == content.drifts[0].outcome.rank == 3
    assert found[key("ci_ml_drift_rows", table="churn", side="current")] == 771


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_column_is_text_to_prometheus_and_to_gitlab(name: str) -> None:
    content = movements.production(movements.between({name: movements.HOSTILE, f"{name}2": movements.HOSTILE}))
    read = samples(content)
    assert len([1 for kind, _ in read if kind == "ci_ml_drifted"]) == 2
    theirs = dict(gitlab(openmetrics.report(content)))
    assert sorted(map(float, theirs.values())) == sorted(read.values())


def test_tables_that_are_called_alike_stay_apart() -> None:
    content = movements.checked()
    assert len(samples(content.model_copy(update={"drifts": content.drifts * 2}))) > len(samples(content))
