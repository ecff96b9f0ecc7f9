"""A dossier as a model card: Markdown with the front matter that Hugging Face reads. Layer: render.

`model-index` holds one result for each table that was measured, with its metrics. Whatever is no number of ours is a
stranger's: in Markdown it is escaped, in the front matter it is text in quotes. What people alone can say (what the
model is for, where it must not be used) comes from them, or the card says that nobody has said it.
https://github.com/huggingface/hub-docs/blob/main/modelcard.md?plain=1
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from ci_ml.core.dossier import Artifact, Dossier
from ci_ml.core.report import ComparisonPart
from ci_ml.core.types import Outcome
from ci_ml.render import cells, words
from ci_ml.render.safe import code, printable, prose, shortened

_SLUG = re.compile(r"[^a-z0-9]+")
_ROWS = 500  # of one table: a card is read by people
_LONGEST = 200
_VERDICT = {Outcome.PASS: "passed", Outcome.WARN: "passed with warnings", Outcome.FAIL: "failed"}
_UNSAID = "Nobody has said this: write it into a file, and give it to `ci-ml audit card` with `--about`."


def card(dossier: Dossier, *, task: str = "other", licence: str | None = None, about: str | None = None) -> str:
    """The card, ending in a line break. `about` is Markdown of the project's own people, taken as it is."""
    front = yaml.dump(_front(dossier, task, licence), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    parts = [
        f"# {prose(dossier.name)}",
        _summary(dossier),
        about.strip() if about else f"## Uses\n\n{_UNSAID}",
        *_details(dossier),
        *_evaluation(dossier),
        *_training(dossier),
        *_people(dossier),
        *_gaps(dossier),
        *_records(dossier),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(parts) + "\n"


class _Dumper(yaml.SafeDumper):
    """Without references to what stands elsewhere: a card is read by people, and by parsers that know none."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


# The front matter.


def _front(dossier: Dossier, task: str, licence: str | None) -> dict[str, Any]:
    kinds = list(dict.fromkeys(_kind(item) for item in dossier.metrics))
    return {
        **({"license": licence} if licence else {}),
        "tags": ["ci-ml"],
        "model_name": _plain(dossier.name),
        **({"metrics": kinds} if kinds else {}),
        **({"model-index": [_index(dossier, task)]} if kinds else {}),
    }


def _index(dossier: Dossier, task: str) -> dict[str, Any]:
    results: dict[tuple[str, str], list[ComparisonPart]] = {}
    for item in dossier.metrics:
        results.setdefault((_table(item), str(item.where or "")), []).append(item)
    digests = {one.name: one.digest for one in dossier.testsets}
    return {
        "name": _plain(dossier.name),
        "results": [
            {
                "task": {"type": task},
                "dataset": _dataset(table, where, digests.get(table)),
                "metrics": [_metric(item) for item in items],
            }
            for (table, where), items in results.items()
        ],
    }


def _dataset(table: str, where: str, digest: str | None) -> dict[str, Any]:
    name = f"{table} ({where})" if where else table
    return {
        "type": _slug(table),
        "name": _plain(name),
        **({"revision": _plain(digest)} if digest else {}),
    }


def _metric(item: ComparisonPart) -> dict[str, Any]:
    """A metric of `model-index`; the intervals are among its arguments, for the layout has no place of their own."""
    said: dict[str, Any] = {"status": item.status.value, "method": _plain(item.method), "n": item.n}
    if item.head_interval:
        said["interval"] = list(item.head_interval)
    if item.delta is not None:
        said["difference_from_base"] = item.delta
    if item.interval:
        said["difference_interval"] = list(item.interval)
    if item.confidence:
        said["confidence"] = item.confidence
    name = item.metric + (f" ({' against '.join(item.between)})" if item.between else "")
    return {
        "type": _kind(item),
        "value": item.head,
        "name": _plain(name),
        "args": {key: value for key, value in said.items() if value is not None},
    }


def _kind(item: ComparisonPart) -> str:
    """What was measured, as an identifier: `roc_auc` of `test.roc_auc`, `accuracy` of `metrics.json:accuracy`."""
    name = item.metric.rpartition(":")[2] if ":" in item.metric else item.metric.partition(".")[2] or item.metric
    return _slug(name, "_")


def _table(item: ComparisonPart) -> str:
    """On what it was measured: the table, or the file that the number stands in."""
    return item.metric.rpartition(":")[0] if ":" in item.metric else item.metric.partition(".")[0]


def _slug(text: str, between: str = "-") -> str:
    return _SLUG.sub(between, text.lower())[:100].strip(between) or "unnamed"


def _plain(text: str) -> str:
    return shortened(printable(text), _LONGEST)


# What people read.


def _summary(dossier: Dossier) -> str:
    if dossier.verdict is None:
        return "**Not judged**: no record of a verdict is known."
    found = _VERDICT.get(dossier.verdict.outcome, "undecided")
    return (
        f"**The gates {found}.** {prose(dossier.verdict.sentence)}"
        if found != "undecided"
        else (f"**Undecided.** {prose(dossier.verdict.sentence)}")
    )


def _details(dossier: Dossier) -> Iterator[str]:
    rows = [
        ("version", dossier.version),
        ("aliases", ", ".join(dossier.aliases) or None),
        ("commit", dossier.commit),
        ("repository", dossier.repository),
        ("trained", words.moment(dossier.started) if dossier.started else None),
        ("recorded", words.moment(dossier.at) if dossier.at else None),
        ("trained by", dossier.builder or None),
    ]
    yield "## Model details\n\n" + _table_of(("", ""), [(name, code(value)) for name, value in rows if value])
    if dossier.outputs:
        yield "Files of the model:\n\n" + _files(dossier.outputs)


def _evaluation(dossier: Dossier) -> Iterator[str]:
    yield "## Evaluation"
    if policy := dossier.policy:
        when = f", read {prose(words.moment(policy.read_at))}" if policy.read_at else ""
        yield f"Judged by the thresholds of {code(policy.digest)}, as the {policy.source} of the change has them{when}."
    if dossier.metrics:
        yield _measured(dossier.metrics)
    for item in dossier.unmeasured[:_ROWS]:
        yield f"Not measured: {code(item.name)}: {prose(item.reason)}."
    if dossier.checks:
        held = sum(item.status.value == "held" for item in dossier.checks)
        yield f"Expectations of the data: {held} of {len(dossier.checks)} hold."
    for one in dossier.testsets:
        if one.look is not None:
            of = f" of {one.of}" if one.of is not None else ""
            yield f"The test set {code(one.name)} was looked at for the {one.look}. time{of}."


def _measured(items: Sequence[ComparisonPart]) -> str:
    titles = ("metric", "on", "value", "base", "change", "allowed", "examples", "status")
    rows = [
        (
            code(item.metric),
            code(str(item.where)) if item.where else "all",
            prose(_value(item)),
            prose(cells.values(item)[0]),
            prose(cells.change(item)),
            prose(cells.allows(item)),
            f"{item.n:,}" if item.n is not None else "",
            prose(item.status.value),
        )
        for item in items[:_ROWS]
    ]
    level = {item.confidence for item in items if item.interval and item.confidence}
    note = (
        f"Intervals in brackets are at {', '.join(cells.level(one) for one in sorted(level))} confidence."
        if level
        else ""
    )
    left = f"{len(items) - _ROWS:,} more are in the record of the verdict." if len(items) > _ROWS else ""
    return "\n\n".join(part for part in (_table_of(titles, rows), note, left) if part)


def _value(item: ComparisonPart) -> str:
    value = cells.values(item)[1]
    if item.head_interval is None:
        return value
    low, high = (words.text(end) for end in item.head_interval)
    return f"{value} {cells.bracketed((low, high))}"


def _training(dossier: Dossier) -> Iterator[str]:
    yield "## Training"
    if dossier.data:
        yield "Data:\n\n" + _files(dossier.data)
    if code_files := [one for one in dossier.inputs if one.kind != "data"]:
        yield "Code and lock files:\n\n" + _files(code_files)
    if dossier.params:
        rows = [(code(key), code(words.text(value))) for key, value in sorted(dossier.params.items())[:_ROWS]]
        yield "Parameters:\n\n" + _table_of(("parameter", "value"), rows)
    environment = dossier.environment
    if environment is None:
        return
    python = ", ".join(f"{key} {value}" for key, value in environment.interpreter.items())
    said = [("operating system", environment.os), ("processor", environment.cpu), ("interpreter", python)]
    said += [("GPU", one) for one in environment.gpu or (("none",) if environment.gpu == () else ())]
    said += [("container", dossier.container or "")]
    yield "Environment:\n\n" + _table_of(("", ""), [(name, code(value)) for name, value in said if value])
    if environment.packages:
        names = sorted(environment.packages.items())[:_ROWS]
        listed = ", ".join(code(f"{name}=={version}") for name, version in names)
        yield f"<details><summary>{len(environment.packages):,} packages</summary>\n\n{listed}\n\n</details>"


def _people(dossier: Dossier) -> Iterator[str]:
    lines = [f"- approved by {_who(one.by, one.at, one.what)}" for one in dossier.approvals[:_ROWS]]
    waivers = dossier.verdict.waivers if dossier.verdict else ()
    lines += [
        f"- what blocked ({one.outcome.value}) was accepted by {_who(one.by, one.at, one.label)}" for one in waivers
    ]
    if lines:
        yield "## Approvals and waivers\n\n" + "\n".join(lines)


def _who(by: str, at: str | None, what: str | None) -> str:
    when = f", {prose(words.moment(at))}" if at else ""
    return f"{code(by)}{when}{f' ({prose(what)})' if what else ''}"


def _gaps(dossier: Dossier) -> Iterator[str]:
    if dossier.gaps:
        yield "## What is not known\n\n" + "\n".join(f"- {prose(gap)}" for gap in dossier.gaps)


def _records(dossier: Dossier) -> Iterator[str]:
    rows = [(kind.value, code(digest)) for kind, digest in dossier.records.items()]
    yield "## Records\n\nThis card was made from these records, and from nothing else.\n\n" + _table_of(
        ("record", "digest"), rows
    )


def _files(items: Iterable[Artifact]) -> str:
    rows = [(code(one.name), _digests(one.digests)) for one in items]
    left = f"\n\n{len(rows) - _ROWS:,} more are in the record of the training." if len(rows) > _ROWS else ""
    return _table_of(("file", "digest"), rows[:_ROWS]) + left


def _digests(digests: Mapping[str, str]) -> str:
    found = digests.get("sha256")
    first = f"sha256:{found}" if found else next((f"{key}:{value}" for key, value in digests.items()), "")
    return code(first) if first else "not known"


def _table_of(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)
