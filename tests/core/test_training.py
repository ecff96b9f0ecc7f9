import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core.training import (
    Environment,
    StageRun,
    StageState,
    Training,
    TrainingOutcome,
    redact,
    secrets,
)


def training(**rest: object) -> Training:
    known = {
        "outcome": TrainingOutcome.SUCCESS,
        "commit": "0" * 40,
        "dirty": False,
        "started": "2024-01-31T10:00:00+00:00",
        "seconds": 3.2,
        "stages": (StageRun(name="train", state=StageState.RAN, seconds=3.0),),
    }
    return Training(**{**known, **rest})  # type: ignore[arg-type]


class TestTheRecord:
    def test_is_strict_json_with_its_schema(self) -> None:
        environment = Environment(
            interpreter={"version": "3.12.1"}, packages={"numpy": "2.0"}, packages_digest="sha256:0", os="x", cpu="y"
        )
        record = training(environment=environment, params={"lr": 0.1, "name": "é"})
        text = record.to_json()
        assert text.endswith("}\n")
        assert "é" in text
        document = json.loads(text)
        assert document["schema"] == "ci-ml/training/v1"
        assert document["stages"] == [{"name": "train", "state": "ran", "seconds": 3.0}]
        assert document["environment"]["packages"] == {"numpy": "2.0"}

    def test_refuses_nan_instead_of_writing_what_json_does_not_have(self) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            training(params={"lr": math.nan}).to_json()

    @pytest.mark.parametrize(
        ("states", "trained"),
        [((), False), ((StageState.SKIPPED, StageState.CACHED), False), ((StageState.SKIPPED, StageState.RAN), True)],
    )
    def test_trained_means_that_a_command_ran(self, states: tuple[StageState, ...], trained: bool) -> None:
        stages = tuple(StageRun(name="s", state=state, seconds=1) for state in states)
        assert training(stages=stages).trained is trained


class TestSecrets:
    def test_are_known_by_the_names_of_their_variables_longest_first(self) -> None:
        environment = {
            "GITHUB_TOKEN": "ghp_abcdef",
            "AWS_SECRET_ACCESS_KEY": "long-secret-value",
            "db_password": "hunter22",
            "OPENAI_API_KEY": "sk-123456",
            "SHORT_TOKEN": "abc",
            "PATH": "/usr/bin:/bin",
            "KEYBOARD": "qwertyuiop",
        }
        assert secrets(environment) == ("long-secret-value", "ghp_abcdef", "sk-123456", "hunter22")

    def test_are_replaced_wherever_they_stand(self) -> None:
        assert redact("token=ghp_abcdef;ghp_abcdef", ("ghp_abcdef",)) == "token=***;***"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("https://user:pw@host/x", "https://***@host/x"),
            ("fetch https://token@host failed", "fetch https://***@host failed"),
            ("https://user:p/w@host/x", "https://***@host/x"),
            ("https://user:p@w@host/x", "https://***@host/x"),
            ("https://host/path", "https://host/path"),
            ("mail ada@example.org", "mail ada@example.org"),
            ("postgresql://u:p%40w@db:5432/x", "postgresql://***@db:5432/x"),
        ],
    )
    def test_credentials_in_a_url_are_hidden_and_the_rest_stays(self, text: str, expected: str) -> None:
        assert redact(text, ()) == expected

    @given(secret=st.text(min_size=6, max_size=12), before=st.text(max_size=10), after=st.text(max_size=10))
    def test_nothing_of_a_secret_is_left(self, secret: str, before: str, after: str) -> None:
        hidden = secrets({"MY_TOKEN": secret})
        if "*" not in secret:
            assert secret not in redact(f"{before}{secret}{after}", hidden).replace("***", "")
