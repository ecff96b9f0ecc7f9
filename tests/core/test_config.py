import contextlib
import hashlib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import config
from ci_ml.core.config import Config, TrainConfig
from ci_ml.core.documents import parse
from ci_ml.core.types import Direction, Margin, MetricKey, Require, Severity
from ci_ml.errors import ConfigError

# The example of the contract, as far as this version goes.
EXAMPLE = """\
version: 1
baseline: auto
train:
  targets: [evaluate]
  when: stale
  track: true
gates:
  - metric: eval/metrics.json:accuracy
    direction: higher
    margin: 0.01
  - metric: eval/metrics.json:train.seconds
    direction: lower
    margin: 20%
    severity: warn
  - metric: eval/*.json:test.*
    direction: higher
    margin: 0.005
    require: non_inferior
    floor: 0.8
    ceiling: 1
"""


def read(text: str) -> Config:
    return config.load(text.encode(), "ci-ml.yaml").config


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return list(caught.value.problems)


def gate(**keys: Any) -> str:
    """A configuration with one gate, where a key that is None is left out."""
    chosen = {"metric": "m.json:acc", "direction": "higher", **keys}
    lines = [f"{key}: {value}" for key, value in chosen.items() if value is not None]
    return "version: 1\ngates:\n  - " + "\n    ".join(lines)


class TestReading:
    def test_the_example(self) -> None:
        found = read(EXAMPLE)
        assert (found.version, found.baseline, found.name) == (1, "auto", None)
        assert found.train == TrainConfig(targets=("evaluate",), when="stale", track=True)
        accuracy, seconds, globbed = found.gates
        assert accuracy.pattern == MetricKey(path="eval/metrics.json", key="accuracy")
        assert (accuracy.direction, accuracy.margin) == (Direction.HIGHER, Margin(value=0.01))
        assert (accuracy.require, accuracy.severity) == (Require.NO_REGRESSION, Severity.BLOCK)
        assert (seconds.margin, seconds.severity) == (Margin(value=0.2, relative=True), Severity.WARN)
        assert (globbed.require, globbed.floor, globbed.ceiling) == (Require.NON_INFERIOR, 0.8, 1.0)

    def test_the_least_there_can_be(self) -> None:
        found = read("version: 1")
        assert found == Config(version=1)
        assert (found.baseline, found.gates, found.train.targets) == ("auto", (), ())

    def test_the_digest_is_of_the_bytes(self) -> None:
        data = b"version: 1\n"
        assert config.load(data, "ci-ml.yaml").digest == f"sha256:{hashlib.sha256(data).hexdigest()}"

    @pytest.mark.parametrize(
        ("written", "margin"),
        [
            ("0.01", Margin(value=0.01)),
            ("0", Margin(value=0.0)),
            ("5", Margin(value=5.0)),
            ("1e-3", Margin(value=0.001)),
            ("2%", Margin(value=0.02, relative=True)),
            ("' 2.5 % '", Margin(value=0.025, relative=True)),
            (".5%", Margin(value=0.005, relative=True)),
            ("0%", Margin(value=0.0, relative=True)),
            (None, Margin(value=0.0)),
        ],
    )
    def test_margins(self, written: str | None, margin: Margin) -> None:
        assert read(gate(margin=written)).gates[0].margin == margin

    @pytest.mark.parametrize(
        ("written", "path", "key"),
        [
            ("m.json:test.acc", "m.json", "test.acc"),
            ("score.txt", "score.txt", ""),
            ("a/score", "a/score", ""),
            ("../shared/m.json:acc", "../shared/m.json", "acc"),
            ("mé trics.json:ä b", "mé trics.json", "ä b"),
            ("m.json:a:b", "m.json", "a:b"),
        ],
    )
    def test_metrics(self, written: str, path: str, key: str) -> None:
        assert read(gate(metric=f'"{written}"')).gates[0].pattern == MetricKey(path=path, key=key)

    @pytest.mark.parametrize("baseline", ["auto", "merge-base", "branch:main", "branch:release/1.x", "rev:v1.4.0"])
    def test_baselines(self, baseline: str) -> None:
        assert read(f"version: 1\nbaseline: {baseline}").baseline == baseline


class TestProblems:
    def test_all_of_them_at_once_each_with_its_line_and_key_path(self) -> None:
        text = """\
version: 2
baselines: main
baseline: main
name: "-x"
train:
  when: sometimes
  track: maybe
  targets: evaluate
gates:
  - metric: accuracy
    direction: up
    margin: a little
  - metric: m.json:acc
    margin: -1
    requires: improvement
    floor: high
  - metric: m.json:f1
    direction: lower
    severity: block!
    floor: 2
    ceiling: true
  - direction: higher
  - just text
  - metric: m.json:recall
    direction: higher
    1: 2
"""
        assert problems(text) == [
            "ci-ml.yaml:1: version: must be 1, not 2",
            (
                "ci-ml.yaml:4: name: must be letters, digits, blanks and . _ / -, and start with a letter or digit, "
                "not '-x'"
            ),
            "ci-ml.yaml:3: baseline: must be auto, merge-base, branch:NAME, rev:REVISION or mlflow:models:/NAME@alias, not 'main'",
            "ci-ml.yaml:8: train.targets: must be a list",
            "ci-ml.yaml:6: train.when: must be stale, always or never, not sometimes",
            "ci-ml.yaml:7: train.track: must be true or false",
            (
                "ci-ml.yaml:10: gates.0.metric: 'accuracy' names no file: write FILE:KEY, "
                "for example metrics.json:accuracy"
            ),
            "ci-ml.yaml:11: gates.0.direction: must be higher or lower, not up",
            (
                "ci-ml.yaml:12: gates.0.margin: must be a number in the metric's units or a percentage such as 2%, "
                "not 'a little'"
            ),
            (
                "ci-ml.yaml:13: gates.1.direction: missing: say whether higher or lower is better; "
                "it is never guessed from a name"
            ),
            "ci-ml.yaml:14: gates.1.margin: a margin is a number of 0 or more, not -1.0",
            "ci-ml.yaml:16: gates.1.floor: must be a finite number, not 'high'",
            "ci-ml.yaml:15: gates.1.requires: unknown key; did you mean require?",
            "ci-ml.yaml:19: gates.2.severity: must be block or warn, not block!",
            "ci-ml.yaml:21: gates.2.ceiling: must be a finite number, not True",
            "ci-ml.yaml:22: gates.3.metric: missing",
            "ci-ml.yaml:23: gates.4: must be a mapping",
            "ci-ml.yaml:26: gates.5.1: a key must be text",
            "ci-ml.yaml:2: baselines: unknown key; did you mean baseline?",
        ]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("gates: []", ["ci-ml.yaml:1: version: missing"]),
            ("version: 1\nmonitors: {}", ["ci-ml.yaml:2: monitors: unknown key; did you mean monitor?"]),
            ("version: 1\ntrain: {xyz: x}", ["ci-ml.yaml:2: train.xyz: unknown key"]),
            ("version: 1\n7: x", ["ci-ml.yaml:2: 7: a key must be text"]),
            (
                gate(floor=0.9, ceiling=0.8),
                ["ci-ml.yaml:3: gates.0: floor 0.9 is above ceiling 0.8: no value could pass"],
            ),
            (
                gate(metric="/abs/m.json:a"),
                [
                    (
                        "ci-ml.yaml:3: gates.0.metric: the file is relative to the folder of ci-ml.yaml, "
                        "with / between folders"
                    )
                ],
            ),
            (
                gate(metric="':acc'"),
                [("ci-ml.yaml:3: gates.0.metric: ':acc' names no file: write FILE:KEY, for example metrics.json:acc")],
            ),
            (
                gate(metric="5"),
                [
                    (
                        "ci-ml.yaml:3: gates.0.metric: must be text: TABLE.METRIC of predictions, or FILE:KEY, "
                        "for example metrics.json:accuracy"
                    )
                ],
            ),
            (
                gate(margin=".nan"),
                [
                    (
                        "ci-ml.yaml:5: gates.0.margin: must be a number in the metric's units "
                        "or a percentage such as 2%, not nan"
                    )
                ],
            ),
            (gate(floor=".inf"), ["ci-ml.yaml:5: gates.0.floor: must be a finite number, not inf"]),
            (
                (
                    "version: 1\ngates:\n  - {metric: a.json:x, direction: lower}\n"
                    "  - {metric: a.json:x, direction: higher}"
                ),
                ["ci-ml.yaml:4: gates.1.metric: gates.0 judges a.json:x already"],
            ),
            ("version: 1\nversion: 1", ["ci-ml.yaml:2: the key 'version' is there twice"]),
            ("version: 1\ngates: [\n", ["ci-ml.yaml:3: not valid YAML: did not find expected node content"]),
            ("- version: 1", ["ci-ml.yaml:1: it must hold keys such as version and gates"]),
            ("", ["ci-ml.yaml:1: it must hold keys such as version and gates"]),
            ("\xff", ["ci-ml.yaml:1: it must hold keys such as version and gates"]),
        ],
    )
    def test_one_at_a_time(self, text: str, expected: list[str]) -> None:
        assert problems(text) == expected

    @pytest.mark.parametrize("key", ["margin", "floor", "ceiling"])
    def test_a_number_beyond_floating_point(self, key: str) -> None:
        (found,) = problems(gate(**{key: "1" * 400}))
        assert found.startswith(f"ci-ml.yaml:5: gates.0.{key}: must be a")

    def test_the_headline_counts_them_and_says_where_to_look(self) -> None:
        with pytest.raises(ConfigError) as caught:
            read("version: 1\na: 1\nb: 2")
        assert caught.value.what == "ci-ml.yaml has 2 problems"
        assert caught.value.hint == "every key is in docs/configuration.md, or run `ci-ml schema`"
        assert caught.value.exit_code == 2

    @given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"version: 1\n{text}".encode()))
    def test_no_bytes_do_worse_than_a_config_error(self, data: bytes) -> None:
        with contextlib.suppress(ConfigError):
            config.load(data, "ci-ml.yaml")

    @given(
        values=st.dictionaries(
            st.sampled_from(["metric", "direction", "margin", "require", "severity", "floor", "ceiling", "x"]),
            st.sampled_from(
                ["m.json:a", "higher", "1%", "-1", "10", "true", "null", ".nan", "[1]", "{a: 1}", "2024-01-01", "1e999"]
            ),
        )
    )
    def test_no_gate_does_worse_than_a_config_error(self, values: dict[str, str]) -> None:
        text = "version: 1\ngates:\n  - {" + ", ".join(f"{key}: '{value}'" for key, value in values.items()) + "}"
        for form in (text, text.replace("'", "")):
            with contextlib.suppress(ConfigError):
                read(form)


class TestSchema:
    @pytest.fixture
    def validator(self) -> jsonschema.Draft202012Validator:
        schema = config.json_schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        return jsonschema.Draft202012Validator(schema)

    def test_accepts_the_example(self, validator: jsonschema.Draft202012Validator) -> None:
        validator.validate(parse(EXAMPLE.encode(), "ci-ml.yaml").value)

    @pytest.mark.parametrize(
        ("where", "text"),
        [
            ("the top", f"{EXAMPLE}unknown: 1\n"),
            ("a gate", gate(unknown=1)),
            ("train", "version: 1\ntrain: {unknown: 1}"),
            ("no version", "gates: []"),
            ("another version", "version: 2"),
            ("no direction", gate(direction=None)),
            ("a direction nobody knows", gate(direction="up")),
            ("a margin below 0", gate(margin=-1)),
            ("a margin in words", gate(margin="much")),
            ("a floor in words", gate(floor="high")),
        ],
    )
    def test_refuses_what_ci_ml_refuses(
        self, validator: jsonschema.Draft202012Validator, where: str, text: str
    ) -> None:
        problems(text)
        assert not validator.is_valid(parse(text.encode(), "ci-ml.yaml").value), where

    def test_every_key_says_what_it_is_for(self) -> None:
        schema = config.json_schema()
        for model in (schema, *schema["$defs"].values()):
            for name, field in model.get("properties", {}).items():
                assert field.get("description"), name

    def test_the_committed_copy_is_current(self) -> None:
        committed = Path(__file__).parents[2] / "docs" / "ci-ml.schema.json"
        assert parse(committed.read_bytes(), "schema.json").value == config.json_schema()


PIPELINES = "version: 1\ngates: [{metric: 'm.json:a', direction: higher, margin: 0}]\npipelines:\n  - forge: github\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("python: {version: banana}", "ci-ml.yaml:5: pipelines.0.python.version: must be like"),
        ('python: {version: "3"}', 'must be like "3.13" or "3.13.1"'),
        ('schedule: "99 99 * * *"', "ci-ml.yaml:5: pipelines.0.schedule: the minute must be 0 to 59"),
        ('schedule: "5 24 * * *"', "the hour must be 0 to 23"),
        ('schedule: "5 4 0 * *"', "the day of the month must be 1 to 31"),
        ('schedule: "5 4 * 13 *"', "the month must be 1 to 12"),
        ('schedule: "5 4 * mon *"', "the month must be 1 to 12"),
        ('schedule: "5 4 * * 7"', "the day of the week must be 0 to 6"),
        ('schedule: "30-10 4 * * *"', "the minute must be"),
        ('schedule: "*/0 4 * * *"', "the minute must be"),
        ('schedule: "5, 4 * * *"', "the minute must be"),
        ('schedule: "5 4 * *"', "must be five fields of cron"),
        ('credentials: {secrets: {AWS: "my secret"}}', "ci-ml.yaml:5: pipelines.0.credentials.secrets.AWS: must be"),
        ('monitor: "0 25 * * *"', "ci-ml.yaml:5: pipelines.0.monitor.schedule: the hour must be 0 to 23"),
        ('monitor: ""', "pipelines.0.monitor.schedule: "),
        ("monitor: {secrets: {}}", "ci-ml.yaml:5: pipelines.0.monitor.schedule: "),
        ('monitor: {schedule: "0 6 * * *", on_drift: true}', "pipelines.0.monitor.on_drift: "),
        ('monitor: {schedule: "0 6 * * *", secrets: {A B: C}}', "pipelines.0.monitor.secrets.A B"),
        ('monitor: {schedule: "0 6 * * *", secrets: {A: "$C"}}', "pipelines.0.monitor.secrets.A: must be"),
        ('monitor: {schedule: "0 6 * * *", runner: []}', "monitor.runner: GitHub finds no machine without a label"),
        ("retrain: 7", "pipelines.0.retrain: "),
        ("retrain: {on_drift: true}", "retrain.on_drift needs `monitor`, which notices the drift"),
        ("retrain: {token: my token}", "pipelines.0.retrain.token: must be the name of a secret"),
        ("retrain: {token: GITHUB_TOKEN}", "leave it out for the job's own token"),
        ("retrain: {token: T, app: {client_id: a, private_key: K}}", "two ways to the same"),
        ("retrain: {app: {client_id: 123456, private_key: K}}", "pipelines.0.retrain.app.client_id: must be in quotes"),
        ('retrain: {app: {client_id: "${{ a }}", private_key: K}}', "must be plain text"),
    ],
)
def test_what_no_ci_system_would_take(text: str, said: str) -> None:
    (problem,) = problems(f"{PIPELINES}    {text}\n")
    assert said in problem


@pytest.mark.parametrize(
    "text",
    [
        'python: {version: "3.13"}',
        'monitor: "0 6 * * *"',
        "retrain: {}",
        'retrain: "23 4 * * 1"',
        'monitor: {schedule: "0 6 * * *", secrets: {A: B}}\n    retrain: {on_drift: true, token: T, runner: [gpu]}',
        'retrain: {app: {client_id: "123456", private_key: K}}',
        'python: {version: "3.13.1"}',
        'schedule: ""',
        'schedule: "*/15 0-23/2 1,15,31 JAN-mar Mon-Fri"',
        'schedule: "59 23 31 12 6"',
        'schedule: "5/10 4 * * sun,sat"',
        "credentials: {secrets: {AWS: MY_SECRET_2}}",
    ],
)
def test_what_ci_systems_take(text: str) -> None:
    assert read(f"{PIPELINES}    {text}\n").pipelines


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        ("gates.0.metric", "m.json:a", "m.json:TODO"),
        ("gates.0.direction", "higher", "TODO"),
        ("gates.0.margin", "0.1", "TODO"),
        ("predictions.test.label", "y", "TODO"),
        ("gates.1.slices.by", "country", "TODO"),
    ],
)
def test_what_init_left_to_its_user_is_refused_wherever_it_stands(place: str, old: str, new: str) -> None:
    """A name can be anything, so that a TODO would else be a column or a key that is not there."""
    text = (
        "version: 1\n"
        "predictions: {test: {path: p.csv, task: binary, id: id, label: y, score: p}}\n"
        "gates:\n"
        '  - {metric: "m.json:a", direction: higher, margin: 0.1}\n'
        "  - {metric: test.recall, slices: {by: country}}\n"
    )
    config.load(text.encode(), "ci-ml.yaml")
    left = text.replace(old, new, 1) if old != "y" else text.replace("label: y", "label: TODO")
    with pytest.raises(ConfigError) as caught:
        config.load(left.encode(), "ci-ml.yaml")
    (problem,) = caught.value.problems
    assert problem.endswith(f"{place}: TODO is left for you: say here what only you can know")
    assert config.left_open(left.encode()) == 1
    assert config.left_open(text.encode()) == config.left_open(b"{") == 0


def test_a_column_may_say_todo() -> None:
    text = (
        "version: 1\n"
        "data: {tasks: {path: tasks.csv, columns: {status: {allowed: [TODO, DONE]}}}}\n"
        'gates: [{metric: "m.json:a", direction: higher, margin: 0.1}]\n'
    )
    assert config.load(text.encode(), "ci-ml.yaml").config.data["tasks"].columns["status"].allowed == ("TODO", "DONE")
    assert config.left_open(text.encode()) == 0
