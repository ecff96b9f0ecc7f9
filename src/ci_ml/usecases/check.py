"""The gate: base and head read, compared, judged, reported. Layer: usecases."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ci_ml.core import compare, gates, report, verdict
from ci_ml.core.report import Report, TrainingPart
from ci_ml.core.staleness import Freshness
from ci_ml.errors import OutOfDate
from ci_ml.usecases import evidence, policy, verify
from ci_ml.usecases.difference import difference
from ci_ml.usecases.evidence import Side
from ci_ml.usecases.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Question:
    """Two sides, and how to ask about them."""

    base: Side
    head: Side
    prefer: Literal["base", "head"] = "base"
    freshness: Callable[[], tuple[Freshness, ...]] = tuple
    training: TrainingPart | None = None


def check(question: Question) -> Report:
    """Judge the head against the base.

    Raises UsageError or ConfigError when there is nothing to judge by, OutOfDate when dvc.lock is stale and the
    configuration says that it may not be.
    """
    base, head = question.base, question.head
    chosen = policy.choose(base.tree, head.tree, head.project.config, base.revision, question.prefer)
    sides = tuple(evidence.gather(side, chosen.config.gates) for side in (base, head))
    comparisons = [
        compare.compare(gate, *(side.reading(gate.metric) for side in sides))
        for gate in gates.expand(chosen.config.gates, sides)
    ]
    stale = stale_warning(verify.stale(question.freshness()), chosen)
    found = difference(base, head, metrics=False)
    return report.build(
        name=report_name(head, chosen),
        judged=verdict.decide(comparisons, (*chosen.warnings, *stale)),
        base=base.revision,
        head=head.revision,
        policy=report.PolicyPart.model_validate(
            {"digest": chosen.digest, "from": chosen.source, "changed_in_head": chosen.changed_in_head}
        ),
        comparisons=comparisons,
        differences=found.changes,
        training=question.training,
        notices=(*chosen.notices, *found.notices),
    )


def report_name(side: Side, chosen: Policy) -> str:
    """The configured name, else the name of the project's folder."""
    folder = (side.project.folder or str(side.project.root)).rstrip("/").rpartition("/")[2]
    return chosen.config.name or re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-") or "ci-ml"


def stale_warning(stale: tuple[Freshness, ...], chosen: Policy) -> tuple[str, ...]:
    """What to say when the numbers are not from this code. Raises OutOfDate when the configuration forbids that."""
    if not stale:
        return ()
    if chosen.config.train.when == "never":
        refuse_stale(stale)
    return (f"{_stale_words(stale)}; these numbers are not from this code. `ci-ml train` makes them anew.",)


def refuse_stale(stale: tuple[Freshness, ...]) -> None:
    """Raises OutOfDate when a stage is stale."""
    if stale:
        raise OutOfDate(_stale_words(stale), "train.when is never: run `dvc repro` and commit dvc.lock")


def _stale_words(stale: tuple[Freshness, ...]) -> str:
    more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
    return f"dvc.lock is stale: {stale[0].name} ({stale[0].reasons[0]}){more}"


def training_part(data: bytes, lock: str | None) -> TrainingPart | None:
    """The training recorded in training.json if it made this dvc.lock (`lock` is its digest); None otherwise."""
    try:
        record = json.loads(data)
        if record["lock"] != lock or record["outcome"] != "success":
            return None
        return TrainingPart.model_validate(record)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
