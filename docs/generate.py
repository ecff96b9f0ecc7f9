"""Writes the derived pages of docs/: `python docs/generate.py` writes them, `--check` says whether they are current."""

import json
import sys
from pathlib import Path
from typing import Any

from ci_ml.core import config

ROOT = Path(__file__).parent.parent
_INTRODUCTION = """\
Made from the schema by `make docs`. YAML 1.2; an unknown key is an error, and all errors are reported at once with
file, line and key path. `ci-ml schema` prints the JSON Schema, which is also in [ci-ml.schema.json](ci-ml.schema.json):
editors complete and check the file with `# yaml-language-server: $schema=docs/ci-ml.schema.json` as its first line."""


def main() -> int:
    """Write or check every page; 1 when one is out of date."""
    pages = {
        ROOT / "docs/configuration.md": configuration(),
        ROOT / "docs/ci-ml.schema.json": json.dumps(config.json_schema(), indent=2) + "\n",
    }
    stale = [page for page, text in pages.items() if not page.is_file() or page.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for page in stale:
            sys.stdout.write(f"{page.relative_to(ROOT)} is out of date: run `make docs`\n")
        return 1 if stale else 0
    for page in stale:
        page.write_text(pages[page], encoding="utf-8")
        sys.stdout.write(f"wrote {page.relative_to(ROOT)}\n")
    return 0


# Where each model stands in the file.
_SECTIONS = {
    "predictions": "PredictionsConfig",
    "data": "DataConfig",
    "data.columns": "ColumnConfig",
    "data.columns.length": "LengthConfig",
    "data.rows": "RowsConfig",
    "data.disjoint_from": "DisjointConfig",
    "data.same_columns_as": "SameConfig",
    "data.drift": "DriftConfig",
    "data.drift.columns": "ColumnsConfig",
    "data.drift.limits": "LimitsConfig",
    "gates": "GateConfig",
    "gates.slices": "SlicesConfig",
    "gates.gap": "GapConfig",
    "train": "TrainConfig",
    "rescore": "RescoreConfig",
    "monitor": "MonitorConfig",
    "monitor.production": "TableConfig",
    "monitor.production.source": "SourceConfig",
    "monitor.production.window": "WindowConfig",
    "monitor.labels": "LabelsConfig",
    "retrain": "RetrainConfig",
    "retrain.refresh": "RefreshConfig",
    "retrain.budget": "BudgetConfig",
    "retrain.search": "SearchConfig",
    "testsets": "TestSetConfig",
    "pipelines": "PipelineConfig",
    "pipelines.python": "PythonConfig",
    "pipelines.credentials": "CredentialsConfig",
    "pipelines.monitor": "MonitorJobConfig",
    "pipelines.retrain": "RetrainJobConfig",
    "pipelines.retrain.app": "AppConfig",
    "pipelines.audit": "AuditJobConfig",
    "pipelines.promote": "PromoteJobConfig",
}


def configuration() -> str:
    """docs/configuration.md: every key of ci-ml.yaml, from the models."""
    schema = config.json_schema()
    parts = [
        "# `ci-ml.yaml`, key by key",
        _INTRODUCTION,
        "Paths are relative to the folder of `ci-ml.yaml`, which may be a subfolder of the repository.",
        "## Top level",
        _table(schema, schema),
    ]
    for place, model in _SECTIONS.items():
        level = "#" * (2 + place.count("."))
        parts += [f"{level} `{place}`", _table(schema["$defs"][model], schema)]
    return "\n\n".join(parts) + "\n"


def _table(model: dict[str, Any], schema: dict[str, Any]) -> str:
    required = set(model.get("required", ()))
    rows = ["| key | value | default | meaning |", "| :-- | :-- | :-- | :-- |"]
    for name, field in model["properties"].items():
        default = "required" if name in required else _default(field)
        meaning = field.get("description", "").replace("|", "\\|")
        rows.append(f"| `{name}` | {_kind(field, schema)} | {default} | {meaning} |")
    return "\n".join(rows)


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value in (None, [], {}, ""):
        return "none"
    if isinstance(value, dict):
        return "see below"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in field:
        target = schema["$defs"][field["$ref"].rpartition("/")[2]]
        return _kind(target, schema) if "enum" in target else "mapping"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(item, schema) for item in field["anyOf"] if item.get("type") != "null"))
    if field.get("type") == "string" and "%" in field.get("pattern", ""):
        return "percentage such as `2%`"
    return {"array": "list", "string": "text", "boolean": "`true`, `false`", "object": "mapping"}.get(
        field.get("type", ""), field.get("type", "any")
    )


if __name__ == "__main__":
    sys.exit(main())
