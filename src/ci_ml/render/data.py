"""What machines read of a diff and of a verification. Layer: render. The report is JSON already (core.report)."""

import json
from collections.abc import Sequence
from typing import Any

from ci_ml.core.changes import Changes, ValueChange, jsonable
from ci_ml.core.staleness import Freshness
from ci_ml.core.types import Revision
from ci_ml.render import safe


def diff(base: Revision, head: Revision, changes: Changes, notices: Sequence[str]) -> str:
    """`ci-ml/diff/v1`: what is absent on one side is null; NaN and infinity are text."""
    return _dump(
        {
            "schema": "ci-ml/diff/v1",
            "base": _revision(base),
            "head": _revision(head),
            "metrics": [
                {
                    "metric": str(item.metric),
                    "base": jsonable(item.base),
                    "head": jsonable(item.head),
                    "delta": item.delta,
                }
                for item in changes.metrics
            ],
            "params": [_param(item) for item in changes.params],
            "data": [{"path": item.path, "base": item.base, "head": item.head} for item in changes.data],
            "stages": [{"name": item.name, "change": item.change, "what": list(item.what)} for item in changes.stages],
            "notices": list(notices),
        }
    )


def _param(item: ValueChange) -> dict[str, Any]:
    return {"path": item.metric.path, "key": item.metric.key, "base": jsonable(item.base), "head": jsonable(item.head)}


def _revision(revision: Revision) -> dict[str, Any]:
    return {"sha": revision.sha, "ref": revision.ref, "dirty": revision.dirty, "why": revision.why}


def freshness(items: Sequence[Freshness]) -> str:
    """`ci-ml/verify/v1`."""
    stages = [
        {
            "name": item.name,
            "state": item.state.value,
            "reasons": list(item.reasons),
            "missing": list(item.missing),
            "modified": list(item.modified),
            "unchecked": list(item.unchecked),
        }
        for item in items
    ]
    return _dump(
        {"schema": "ci-ml/verify/v1", "stale": any(item["state"] == "stale" for item in stages), "stages": stages}
    )


def _dump(document: dict[str, Any]) -> str:
    return safe.inert_json(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"
