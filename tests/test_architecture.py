"""What docs/architecture.md promises about imports, and what the schema promises about ci-ml.yaml."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from ci_ml.cli import cli

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "ci_ml"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


if importlib.util.find_spec("importlinter"):  # it comes with requirements/dev.txt; `make lint` runs it as well

    def test_imports_go_one_way() -> None:
        command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        contracts = SETTINGS["tool"]["importlinter"]["contracts"]
        assert f"Contracts: {len(contracts)} kept, 0 broken." in done.stdout


# What each part may not load when it is imported: it costs 0.4 to 3 seconds.
_HEAVY = "alembic dvc dvc_data mlflow numpy requests rich scipy sklearn sqlalchemy".split()


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("ci_ml.__main__", [*_HEAVY, "click", "pydantic", "yaml"]),
        ("ci_ml.cli", [*_HEAVY, "pydantic", "yaml"]),
        ("ci_ml.wiring.gate", _HEAVY),
    ],
)
def test_no_command_pays_for_what_it_does_not_use(module: str, unwanted: list[str]) -> None:
    code = f"import sys, {module}; print(sorted(set({unwanted!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_every_module_opens_with_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""')
    layer = path.relative_to(SOURCE).parts[0]
    if (SOURCE / layer).is_dir():
        assert f"Layer: {layer}" in text.partition('"""')[2].partition('"""')[0] or path.name == "__init__.py"


EXAMPLE: dict[str, Any] = {
    "version": 1,
    "baseline": "auto",
    "train": {"targets": ["evaluate"], "when": "stale", "track": True},
    "gates": [
        {"metric": "eval/metrics.json:accuracy", "direction": "higher", "margin": 0.01},
        {"metric": "eval/metrics.json:train.seconds", "direction": "lower", "margin": "20%", "severity": "warn"},
    ],
}


class TestThePrintedSchema:
    @pytest.fixture
    def validator(self) -> jsonschema.Draft202012Validator:
        done = CliRunner().invoke(cli, ["schema"])
        assert done.exit_code == 0
        return jsonschema.Draft202012Validator(json.loads(done.output))

    def test_accepts_the_example_of_the_documentation(self, validator: jsonschema.Draft202012Validator) -> None:
        validator.validate(EXAMPLE)

    @pytest.mark.parametrize("where", ["", "train", "gates"])
    def test_refuses_a_key_that_nobody_knows(self, validator: jsonschema.Draft202012Validator, where: str) -> None:
        document = json.loads(json.dumps(EXAMPLE))
        target = document[where] if where else document
        (target[0] if isinstance(target, list) else target)["unknown"] = 1
        errors = [error.message for error in validator.iter_errors(document)]
        assert errors == ["Additional properties are not allowed ('unknown' was unexpected)"]


def test_the_lock_names_no_registry() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        assert not [line for line in lines if re.search(r"https?://|--(extra-)?index-url", line)], path.name
