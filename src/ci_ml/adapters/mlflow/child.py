"""Loads a model with mlflow.pyfunc and scores rows; runs alone, with nothing of ci-ml. Layer: adapters.

Reads what is asked as JSON from stdin and writes the answer into a file, for a model may print whatever it likes.
"""

import json
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Score; exits with 4 when the sample is not as it should be."""
    asked = json.load(sys.stdin)
    import mlflow.pyfunc

    table = _table(Path(asked["sample"]), asked["called"], asked["rows"])
    if asked["id"] not in table.columns:
        sys.stderr.write(f"{asked['called']} has no column {asked['id']}, which is the id of the predictions\n")
        return 4
    model = mlflow.pyfunc.load_model(asked["model"])
    columns = asked["columns"] or _signature(model) or [name for name in table.columns if name != asked["id"]]
    if lost := [name for name in columns if name not in table.columns]:
        sys.stderr.write(f"{asked['called']} has no column {lost[0]}, which the model wants\n")
        return 4
    answers = _columns(model.predict(table[columns]))
    ids = [_plain(value) for value in table[asked["id"]].tolist()]
    Path(asked["answer"]).write_text(json.dumps({"ids": ids, "answers": answers}, allow_nan=False), encoding="utf-8")
    return 0


def _table(place: Path, called: str, rows: int) -> Any:
    import pandas as pd

    inner = called.removesuffix(".gz")
    packed = "gzip" if called.endswith(".gz") else None
    if inner.endswith(".parquet"):
        return pd.read_parquet(place).head(rows)
    if inner.endswith((".jsonl", ".ndjson")):
        return pd.read_json(place, lines=True, nrows=rows, compression=packed)
    separator = "\t" if inner.endswith(".tsv") else ","
    return pd.read_csv(place, sep=separator, nrows=rows, compression=packed)


def _signature(model: Any) -> list[str]:
    signature = getattr(model.metadata, "signature", None)
    inputs = signature.inputs if signature is not None else None
    names = inputs.input_names() if inputs is not None else []
    return [name for name in names if isinstance(name, str)]


def _columns(found: Any) -> dict[str, list[Any]]:
    """What a model answers, by columns: a table, an array of one or two dimensions, or a list."""
    if hasattr(found, "columns"):
        return {str(name): [_plain(value) for value in found[name].tolist()] for name in found.columns}
    values = found.tolist() if hasattr(found, "tolist") else list(found)
    if values and isinstance(values[0], list | tuple):
        return {str(index): [_plain(row[index]) for row in values] for index in range(len(values[0]))}
    return {"0": [_plain(value) for value in values]}


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not -sys.float_info.max <= value <= sys.float_info.max:
        return None
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
