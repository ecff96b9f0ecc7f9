import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml import __version__
from ci_ml.core.changes import Changes, DataChange, StageChange, ValueChange
from ci_ml.core.exhibits import Exhibits, PlotPart
from ci_ml.core.report import MAX_BYTES, Report, StageRunPart, TrainingPart, load, redacted
from ci_ml.core.types import Gap, MetricKey, Reading, Require, Severity, Status
from ci_ml.errors import ConfigError, UsageError
from tests.reports import comparison, report


def written(content: Report) -> dict[str, Any]:
    return dict(json.loads(content.to_json(), parse_constant=pytest.fail))


class TestReportJson:
    def test_has_the_shape_of_the_contract(self) -> None:
        differences = Changes(
            params=(ValueChange(metric=MetricKey(path="params.yaml", key="train.lr"), base=0.1, head=0.2),),
            data=(DataChange(path="data/train.csv", base="md5:1", head="md5:2"),),
            stages=(StageChange(name="train", change="changed", what=("command",)),),
        )
        training = TrainingPart(
            stages=(StageRunPart(name="train", state="ran", seconds=3.2),), seconds=3.3, mlflow_run="run"
        )
        content = report(
            comparison("accuracy", 0.91, 0.9, require=Require.NON_INFERIOR),
            differences=differences,
            training=training,
            notices=("a notice",),
        )
        sentence = "eval/metrics.json:accuracy fell from 0.91 to 0.90 (−0.01); the gate allows a loss of 0.005."
        assert written(content) == {
            "schema": "ci-ml/report/v1",
            "tool": {"name": "ci-ml", "version": __version__},
            "name": "churn",
            "verdict": {
                "outcome": "fail",
                "sentence": sentence,
                "reasons": [sentence],
                "waivers": [],
            },
            "base": {"sha": "a" * 40, "ref": "main", "why": "merge base of HEAD and origin/main", "dirty": False},
            "head": {"sha": "b" * 40, "ref": "feature", "why": "the work tree", "dirty": True},
            "change": None,
            "policy": {
                "digest": f"sha256:{'0' * 64}",
                "from": "base",
                "changed_in_head": False,
                "read_at": None,
                "comparisons": 1,
            },
            "comparisons": [
                {
                    "metric": "eval/metrics.json:accuracy",
                    "slice": None,
                    "between": None,
                    "rate": False,
                    "direction": "higher",
                    "base": 0.91,
                    "head": 0.9,
                    "delta": 0.9 - 0.91,
                    "interval": None,
                    "head_interval": None,
                    "confidence": None,
                    "p_value": None,
                    "corrected": None,
                    "family": None,
                    "identical": False,
                    "min_n": None,
                    "smallest_margin": None,
                    "settles": "",
                    "n": None,
                    "n_clusters": None,
                    "method": "point",
                    "margin": 0.005,
                    "margin_absolute": 0.005,
                    "allowed": None,
                    "allows": "a loss of 0.005",
                    "floor": None,
                    "ceiling": None,
                    "require": "non_inferior",
                    "severity": "block",
                    "status": "regressed",
                    "impact": "fail",
                    "reason": sentence,
                    "declared": None,
                    "absolute": False,
                    "unit": "",
                }
            ],
            "params": [{"path": "params.yaml", "key": "train.lr", "base": 0.1, "head": 0.2, "location": None}],
            "data": [{"path": "data/train.csv", "base": "md5:1", "head": "md5:2"}],
            "stages": [{"name": "train", "change": "changed", "what": ["command"], "location": None}],
            "outputs": [],
            "testsets": [],
            "code": [],
            "packages": [],
            "environment": None,
            "training": {
                "stages": [{"name": "train", "state": "ran", "seconds": 3.2}],
                "seconds": 3.3,
                "mlflow_run": "run",
                "before": None,
                "rate": None,
            },
            "history": [],
            "curves": [],
            "confusions": [],
            "plots": [],
            "drifts": [],
            "subject": "change",
            "notices": ["a notice"],
        }

    def test_the_most_harmful_comes_first(self) -> None:
        gap = Gap(reason="gone", absent=True)
        content = report(
            comparison("improved", 0.8, 0.9),
            comparison("warned", 0.9, 0.8, severity=Severity.WARN),
            comparison("missing", 0.9, gap),
            comparison("new", gap, 0.9),
            comparison("regressed", 0.9, 0.8),
        )
        names = [item.metric.partition(":")[2] for item in content.comparisons]
        assert names == ["regressed", "missing", "warned", "new", "improved"]

    @pytest.mark.parametrize(
        ("base", "margin", "expected"),
        [
            (200.0, "20%", ("20%", 40.0)),
            (Gap(reason="new", absent=True), "20%", ("20%", None)),
            (Gap(reason="new", absent=True), 0.2, (0.2, 0.2)),
        ],
    )
    def test_a_relative_margin_is_there_as_written_and_in_units(
        self, base: Reading | float, margin: float | str, expected: tuple[float | str, float | None]
    ) -> None:
        (item,) = report(comparison("a", base, 190.0, margin=margin)).comparisons
        assert (item.margin, item.margin_absolute) == expected

    def test_what_no_float_holds_is_null(self) -> None:
        largest = sys.float_info.max
        (item,) = written(report(comparison("a", largest, -largest, margin="900%")))["comparisons"]
        assert (item["delta"], item["margin_absolute"]) == (None, None)

    @given(base=st.floats(allow_nan=False, allow_infinity=False), head=st.floats(allow_nan=False, allow_infinity=False))
    def test_of_any_two_numbers_is_strict_and_read_back_as_it_was(self, base: float, head: float) -> None:
        content = report(comparison("a", base, head))
        assert load(content.to_json().encode(), "report.json") == content

    def test_of_params_that_json_does_not_have(self) -> None:
        key = MetricKey(path="p.yaml", key="lr")
        content = report(differences=Changes(params=(ValueChange(metric=key, base=math.nan, head=[math.inf]),)))
        assert written(content)["params"] == [
            {"path": "p.yaml", "key": "lr", "base": "NaN", "head": ["Infinity"], "location": None}
        ]


class TestReadingAReport:
    def test_an_addition_of_a_newer_version_is_left_out(self) -> None:
        document = {**written(report(comparison("a", 0.9, 0.9))), "carbon": 3}
        document["comparisons"][0]["power"] = 0.8
        assert load(json.dumps(document).encode(), "report.json").comparisons[0].status is Status.UNCHANGED

    def test_what_an_older_version_did_not_write_has_a_default(self) -> None:
        document = written(report())
        for key in ("notices", "stages", "data", "params", "training", "name"):
            del document[key]
        assert load(json.dumps(document).encode(), "report.json").notices == ()

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "r.json is not strict JSON: Expecting value: line 1 column 1 (char 0)"),
            (b'{"schema": NaN}', "r.json is not strict JSON: NaN is not allowed"),
            (b"[1]", "r.json is not a report of ci-ml: its schema is None"),
            (b'{"schema": 7}', "r.json is not a report of ci-ml: its schema is 7"),
            (
                b'{"schema": "ci-ml/report/v2"}',
                f"r.json has the schema ci-ml/report/v2; this ci-ml {__version__} reads ci-ml/report/v1",
            ),
            (b"[" * 100_000, "r.json is not strict JSON: "),
            (b"\xff", "r.json is not strict JSON: "),
        ],
    )
    def test_that_is_none_is_refused(self, data: bytes, message: str) -> None:
        with pytest.raises(UsageError) as caught:
            load(data, "r.json")
        assert caught.value.what == message or (message.endswith(": ") and caught.value.what.startswith(message))

    def test_that_is_too_large_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"r\.json is too large; reports of up to 64 MiB are read"):
            load(b" " * (MAX_BYTES + 1), "r.json")

    def test_with_mistakes_is_refused_with_all_of_them(self) -> None:
        document = written(report(comparison("a", 0.9, 0.9)))
        document["verdict"]["outcome"] = "great"
        del document["comparisons"][0]["status"]
        with pytest.raises(ConfigError) as caught:
            load(json.dumps(document).encode(), "r.json")
        assert list(caught.value.problems) == [
            "r.json: verdict.outcome: Input should be 'pass', 'warn', 'undecided' or 'fail'",
            "r.json: comparisons.0.status: Field required",
        ]


def test_secrets_are_hidden_under_any_key_and_in_keys() -> None:
    secret = "hunter2hunter2"
    value = [{"name": secret, secret: 1, "state": secret}]
    spec = {"title": secret, "data": {"values": [{"name": secret, "kind": secret, secret: secret}]}}
    content = report(
        comparison("a", 0.9, 0.9),
        differences=Changes(params=(ValueChange(metric=MetricKey(path="p.yaml", key="a"), base=1, head=value),)),
        shown=Exhibits(plots=(PlotPart(name=secret, spec=spec),)),
    )
    found = redacted(content, lambda text: text.replace(secret, "***"))
    assert secret not in found.to_json()
    assert found.verdict == content.verdict
    assert found.comparisons == content.comparisons


def test_a_number_of_thousands_of_digits_is_no_error() -> None:
    differences = Changes(
        params=(ValueChange(metric=MetricKey(path="p.yaml", key="a"), base=1, head=int("F" * 4200, 16)),)
    )
    content = report(comparison("a", 0.9, 0.9), differences=differences)
    assert load(content.to_json().encode(), "report.json").params[0].head == f"0x{'f' * 4200}"
