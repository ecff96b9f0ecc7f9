"""GitLab's code quality report: a finding at each line that is involved. Layer: render.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

import hashlib
import json
from typing import Any

from ci_ml.core.config import FILE_NAME
from ci_ml.core.report import Report
from ci_ml.core.types import Outcome
from ci_ml.render import safe
from ci_ml.render.findings import Finding, findings

_SEVERITY = {
    Outcome.FAIL: "blocker",
    Outcome.UNDECIDED: "critical",
    Outcome.WARN: "minor",
    Outcome.PASS: "info",
}


def report(content: Report) -> str:
    """Strict JSON: every gate that did not hold, and what changed beside one that blocks."""
    found = [_entry(content.name, item) for item in findings(content)]
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return safe.inert_json(text)


def _entry(name: str, item: Finding) -> dict[str, Any]:
    path, line = (item.place.path, item.place.line) if item.place else (FILE_NAME, None)
    return {
        "description": f"{name}: {item.text}",
        "check_name": f"ci-ml/{item.check}",
        "fingerprint": _fingerprint(name, item),
        "severity": _SEVERITY[item.outcome],
        "location": {"path": safe.printable(path), "lines": {"begin": line or 1}},
    }


def _fingerprint(name: str, item: Finding) -> str:
    """The same in every run that finds the same, for GitLab shows what differs from the target branch."""
    return hashlib.sha256(json.dumps([name, item.check, *item.subject]).encode()).hexdigest()
