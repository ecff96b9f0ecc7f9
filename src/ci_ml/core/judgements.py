"""A verdict as a record: in-toto's test result, with everything that a verdict rests on. Layer: core. Pure.

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

import re
from collections.abc import Sequence
from typing import Any

from ci_ml.core.report import Report
from ci_ml.core.statements import Kind, Statement, Subject, at, canonical, statement
from ci_ml.core.types import Outcome

_RESULTS = {Outcome.PASS: "PASSED", Outcome.WARN: "WARNED"}
_LISTS = {Outcome.PASS: "passedTests", Outcome.WARN: "warnedTests"}
_DIGEST = re.compile(r"([A-Za-z0-9_-]+):([0-9a-f]+)(\.dir)?")
# What is for looking at, and follows from tables that are recorded by their digests.
_PICTURES = {"curves", "confusions", "plots", "history"}
_LABELS = {"settles", "declared", "smallest_margin", "allows"}


def verdict(report: Report, *, name: str, digest: str, training: str | None = None) -> Statement:
    """The record of a verdict: `name` is the policy's file, `digest` that of report.json's bytes.

    `training` is the digest of the record of the training that was judged, where there is one.
    """
    document = report.model_dump(mode="json", by_alias=True, exclude=_PICTURES)
    tests: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for item in report.comparisons:
        tests[_LISTS.get(item.impact, "failedTests")].append(item.name)
    annotations = {"read_at": report.policy.read_at, "from": report.policy.source}
    policy: dict[str, Any] = {"name": name, "annotations": annotations}
    if found := parts(report.policy.digest):
        policy["digest"] = found
    predicate = {
        "result": _RESULTS.get(report.verdict.outcome, "FAILED"),
        "configuration": [policy],
        **{key: list(dict.fromkeys(names)) for key, names in tests.items()},
        "ciMl": {
            "tool": document["tool"],
            "name": report.name,
            "about": report.subject,
            "verdict": document["verdict"],
            "base": document["base"],
            "head": document["head"],
            "comparisons": [
                {key: value for key, value in item.items() if key not in _LABELS} for item in document["comparisons"]
            ],
            "policy": document["policy"],
            "waivers": document["verdict"]["waivers"],
            "testsets": document.get("testsets", []),
            "change": document["change"],
            "params": document["params"],
            "data": document["data"],
            "packages": document["packages"],
            "environment": document["environment"],
            "drifts": document["drifts"],
            "notices": document["notices"],
            "mlflow_run": report.training.mlflow_run if report.training else None,
            "training": training,
            "report": digest,
        },
    }
    if report.change and report.change.run_url:
        predicate["url"] = report.change.run_url
    return statement(Kind.VERDICT, subjects(report), predicate)


# What does not depend on when and where it was judged, waivers apart.
_SAID = (("base", "sha"), ("policy", "digest"), ("comparisons",), ("verdict", "sentence"), ("verdict", "reasons"))


def alike(one: Statement, other: Statement) -> bool:
    """Whether two verdicts are the same one come to twice: on the same commit and outputs, with the same numbers."""
    subjects_ = [sorted((item.name, sorted(item.digest.items())) for item in record.subject) for record in (one, other)]
    said = [[at(record.predicate, "ciMl", *path) for path in _SAID] for record in (one, other)]
    outcomes = [_outcomes(record) for record in (one, other)]
    return subjects_[0] == subjects_[1] and canonical(said[0]) == canonical(said[1]) and outcomes[0] == outcomes[1]


def _outcomes(record: Statement) -> Any:
    """The outcome before anybody waived it."""
    waivers = at(record.predicate, "ciMl", "verdict", "waivers") or []
    return at(waivers[0], "outcome") if waivers else at(record.predicate, "ciMl", "verdict", "outcome")


def subjects(report: Report) -> Sequence[Subject]:
    """What was judged: the commit, and everything that its stages made."""
    made = [Subject(name=one.path, digest=found) for one in report.outputs if (found := parts(one.digest))]
    commit = [Subject(name="commit", digest={"gitCommit": report.head.sha})] if report.head.sha else []
    return [*commit, *made] or [Subject(name=report.name, digest={"policy": report.policy.digest})]


def parts(digest: str) -> dict[str, str] | None:
    """A digest of ours or of DVC's as in-toto has it; None for what is none."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        return None
    return {"dvcDir": found[2] + found[3]} if found[3] else {found[1]: found[2]}
