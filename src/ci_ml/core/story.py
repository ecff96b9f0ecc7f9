"""The story of a model: an auditor's four questions, answered from records and nothing else. Layer: core. Pure.

What data, what code in what environment, what evidence against which thresholds, and who approved. What no record says
is said to be missing; nothing is guessed. Records are strangers': whatever stands in them is shown as text.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard

from ci_ml.core import numbers, promotions
from ci_ml.core.chain import Entry, short
from ci_ml.core.statements import Kind, Statement, at, commit

SCHEMA = "ci-ml/story/v1"
DONE = ("promote", "rollback")
_LONGEST = 300
_ROWS = 200
_LARGEST = 1e300
_NONE = "not recorded"
_KIND = {"code": "code", "lock": "lock file"}


@dataclass(frozen=True, kw_only=True)
class Held:
    """A record, and its entry in the ledger; None while it is only a file beside the report."""

    record: Statement
    entry: Entry | None = None

    @property
    def where(self) -> str:
        """Where it is, for people."""
        if self.entry is None:
            return "not in the ledger: only a file here"
        by = f" by {self.entry.by}" if self.entry.by else ""
        return f"entry {self.entry.number} of the ledger, {moment(self.entry.at.isoformat())}{by}"


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """What git says of the policy that judged: the commit that fixed it, when, and whether its digest is the one."""

    sha: str
    at: str
    same: bool


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a story is told from; None for what there is no record of.

    `alias` is what it was asked for by, and `doubts` are why that may be another version by now.
    """

    name: str
    alias: str | None = None
    promotion: Held | None = None
    verdict: Held | None = None
    training: Held | None = None
    reproductions: tuple[Held, ...] = ()
    promotions: tuple[Held, ...] = ()
    fixed: Threshold | None = None
    signed: Mapping[str, int] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that a record says."""

    name: str
    value: str
    missing: bool = False


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Things of one kind, as rows of text; `more` are left out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One question of the auditor's, and what the records say."""

    question: str
    facts: tuple[Fact, ...]
    sheets: tuple[Sheet, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Story:
    """One page about one model or commit; `gaps` are what an auditor has to know that is not there.

    `doubts` are why it may not be what an alias is by now.
    """

    title: str
    answers: tuple[Answer, ...]
    records: tuple[tuple[str, str, str], ...]
    gaps: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Strict JSON, ending in a line break."""
        document = {
            "schema": SCHEMA,
            "title": self.title,
            "doubts": list(self.doubts),
            "answers": [asdict(answer) for answer in self.answers],
            "records": [dict(zip(("kind", "digest", "where"), one, strict=True)) for one in self.records],
            "gaps": list(self.gaps),
        }
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def tell(sources: Sources) -> Story:
    """The story that records tell."""
    held = [sources.training, sources.verdict, *sources.promotions, *sources.reproductions]
    if sources.promotion is not None and sources.promotion not in held:
        held.append(sources.promotion)
    return Story(
        title=_title(sources),
        answers=(_data(sources), _code(sources), _evidence(sources), _approval(sources)),
        records=tuple((one.record.kind.value, one.record.digest, _place(one, sources)) for one in held if one),
        gaps=tuple(_gaps(sources)),
        doubts=sources.doubts,
    )


def moment(value: Any) -> str:
    """When that was, as people read it; what is no moment stays as it is."""
    found = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:\+00:00|Z)$", value) if _is(value) else None
    return f"{found[1]} {found[2]} UTC" if found else text(value)


def text(value: Any) -> str:
    """What a stranger's JSON says, as one short line."""
    if value is None or value == "":
        return _NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return numbers.plain(value) if abs(value) < 1e15 else repr(value)
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def _is(value: Any) -> bool:
    return isinstance(value, str)


def _fact(name: str, value: Any) -> Fact:
    shown = text(value)
    return Fact(name=name, value=shown, missing=shown == _NONE)


def _sheet(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Sheet:
    every = [tuple(text(cell) for cell in row) for row in rows]
    return Sheet(title=title, columns=tuple(columns), rows=tuple(every[:_ROWS]), more=max(0, len(every) - _ROWS))


def _sheets(*found: Sheet) -> tuple[Sheet, ...]:
    return tuple(sheet for sheet in found if sheet.rows)


def _each(value: Any, *keys: str) -> Iterator[Mapping[str, Any]]:
    """The objects in a list of a stranger's."""
    found = at(value, *keys)
    yield from (one for one in (found if isinstance(found, list) else []) if isinstance(one, Mapping))


def _texts(value: Any, *keys: str) -> list[str]:
    """The items of a list of a stranger's, as text."""
    found = at(value, *keys)
    return [text(one) for one in found] if isinstance(found, list) else []


def _pairs(value: Any, *keys: str) -> list[tuple[str, Any]]:
    found = at(value, *keys)
    return sorted(found.items()) if isinstance(found, Mapping) else []


def digests(value: Any) -> str:
    """The digests of something, as `md5:…, sha256:…`."""
    return ", ".join(f"{name}:{found}" for name, found in _pairs(value)) or _NONE


# The four questions.


def _title(sources: Sources) -> str:
    promotion = sources.promotion
    if promotion is None:
        return f"commit {sources.name[:12]}" if re.fullmatch("[0-9a-f]{40,64}", sources.name) else sources.name
    said = promotion.record.predicate
    named = ", ".join(aliases(promotion.record)) + (" by the ledger" if sources.doubts else "")
    return f"{text(said.get('model'))} version {text(said.get('version'))}{f' ({named})' if named else ''}"


def _data(sources: Sources) -> Answer:
    build = at(_predicate(sources.training), "buildDefinition")
    read = [one for one in _each(build, "resolvedDependencies") if at(one, "annotations", "kind") == "data"]
    tests = list(_each(_judged(sources), "testsets"))
    rows = [(one.get("name"), digests(one.get("digest"))) for one in read]
    looks = [(one.get("name"), one.get("digest"), _look(one)) for one in tests]
    facts = [_fact("files and folders that stages read as data", len(rows) or None)]
    facts.append(_fact("test sets whose looks are counted", len(tests) or None))
    drifted = [one for one in _each(_judged(sources), "data") if one.get("base") != one.get("head")]
    return Answer(
        question="What data?",
        facts=tuple(facts),
        sheets=_sheets(
            _sheet("data, by DVC's digests", ("path", "digest"), rows),
            _sheet("test sets", ("name", "digest", "how often it was looked at"), looks),
            _sheet(
                "data that this change changed",
                ("path", "before", "after"),
                [(one.get("path"), one.get("base"), one.get("head")) for one in drifted],
            ),
        ),
    )


def _look(one: Mapping[str, Any]) -> str | None:
    return f"look {text(one['look'])} of {text(one.get('of'))}" if one.get("look") is not None else None


def _code(sources: Sources) -> Answer:
    said = _predicate(sources.training)
    build, run = at(said, "buildDefinition"), at(said, "runDetails")
    external, internal = at(build, "externalParameters"), at(build, "internalParameters")
    source = next((one for one in _each(build, "resolvedDependencies") if one.get("name") == "commit"), {})
    environment = at(internal, "environment")
    packages = _pairs(environment, "packages")
    facts = [
        _fact(
            "commit that was judged" if sources.verdict else "commit",
            at(_judged(sources), "head", "sha") or _commit(sources),
        ),
        _fact("trained from commit", at(external, "commit")),
        _fact("with changes not yet committed", at(internal, "dirty")),
        _fact("repository", source.get("uri")),
        _fact("trained", _span(at(run, "metadata", "startedOn"), at(run, "metadata", "finishedOn"))),
        _fact("by", at(run, "builder", "id")),
        _fact("run", at(run, "metadata", "invocationId")),
        _fact("Python", _python(environment)),
        _fact("packages", f"{len(packages)}, {text(at(environment, 'packages_digest'))}" if packages else None),
        _fact("system", at(environment, "os")),
        _fact("processor", at(environment, "cpu")),
        _fact("accelerators", "none" if at(environment, "gpu") == [] else ", ".join(_texts(environment, "gpu"))),
        _fact("container", at(internal, "container")),
    ]
    others = [one for one in _each(build, "resolvedDependencies") if at(one, "annotations", "kind") in _KIND]
    stages = [
        (name, " && ".join(_texts(stage, "command")), _state(run, name))
        for name, stage in sorted(_pairs(external, "stages"), key=lambda one: _turn(run, one[0]))
    ]
    again = [
        (one.record.predicate.get("sameness"), one.record.predicate.get("sentence"), one.where)
        for one in sources.reproductions
    ]
    made = [one for one in sources.training.record.subject if one.name != "commit"] if sources.training else []
    return Answer(
        question="What code, in what environment?",
        facts=tuple(facts),
        sheets=_sheets(
            _sheet("stages", ("stage", "command", "in this training"), stages),
            _sheet("parameters", ("name", "value"), _pairs(external, "params")),
            _sheet("seeds", ("name", "value"), _pairs(internal, "seeds")),
            _sheet(
                "code and lock files",
                ("path", "what", "digest"),
                [(one.get("name"), _KIND[one["annotations"]["kind"]], digests(one.get("digest"))) for one in others],
            ),
            _sheet("what came out", ("path", "digest"), [(one.name, digests(one.digest)) for one in made]),
            _sheet("trained again", ("result", "what came of it", "where"), again),
        ),
    )


def _states(run: Any) -> list[Mapping[str, Any]]:
    """What became of each stage, in the order of the pipeline."""
    found = next((one for one in _each(run, "byproducts") if one.get("name") == "stages"), {})
    return list(_each(found, "annotations", "stages"))


def _state(run: Any, name: str) -> str | None:
    return next((one.get("state") for one in _states(run) if one.get("name") == name), None)


def _turn(run: Any, name: str) -> int:
    """The place of a stage in that order; one that nothing is said of comes last."""
    named = [one.get("name") for one in _states(run)]
    return named.index(name) if name in named else len(named)


def _python(environment: Any) -> str | None:
    version, kind = (at(environment, "interpreter", name) for name in ("version", "implementation"))
    return f"{text(kind)} {text(version)}" if version else None


def _span(start: Any, end: Any) -> str | None:
    return f"{moment(start)} to {moment(end)}" if start else None


def _evidence(sources: Sources) -> Answer:
    said, result = _judged(sources), at(_predicate(sources.verdict), "result")
    policy = at(said, "policy")
    base = at(said, "base", "sha")
    facts = [
        _fact("verdict", f"{text(result)}: {text(at(said, 'verdict', 'sentence'))}" if result else None),
        _fact("compared with", f"{text(base)} ({text(at(said, 'base', 'why'))})" if base else None),
        _fact("thresholds", at(policy, "digest")),
        _fact("read from", _side(policy)),
        _fact("read at", moment(at(policy, "read_at")) if at(policy, "read_at") else None),
        _fact("fixed beforehand", _fixed(sources.fixed)),
        _fact("report", at(said, "report")),
    ]
    gates = [
        (_gate(one), _base(one), _head(one), _interval(one), _needed(one), one.get("status"))
        for one in _each(said, "comparisons")
    ]
    waivers = [
        (one.get("by"), moment(one.get("at")), one.get("label"), one.get("outcome")) for one in _each(said, "waivers")
    ]
    return Answer(
        question="What evidence, against which thresholds?",
        facts=tuple(facts),
        sheets=_sheets(
            _sheet("gates", ("gate", "base", "head", "change, interval", "threshold", "status"), gates),
            _sheet("waivers", ("by", "when", "label", "without it"), waivers),
        ),
    )


def _side(policy: Any) -> str | None:
    side = at(policy, "from")
    if not side:
        return None
    edits = "; the change edits it, which did not count" if at(policy, "changed_in_head") and side == "base" else ""
    return ("the base, so that the change could not lower its own bar" if side == "base" else "the change") + edits


def _fixed(found: Threshold | None) -> str | None:
    if found is None:
        return None
    if not found.same:
        return f"no: the file that git has at {found.sha[:12]} has another digest than the one that judged"
    return f"yes: committed as {found.sha[:12]} at {moment(found.at)}, with this digest"


def _gate(one: Mapping[str, Any]) -> str:
    where = ", ".join(f"{name}={value}" for name, value in _pairs(one, "slice"))
    return f"{text(one.get('metric'))} on {where}" if where else text(one.get("metric"))


def _base(one: Mapping[str, Any]) -> Any:
    return "none" if one.get("base") is None and one.get("status") == "new" else one.get("base")


def _head(one: Mapping[str, Any]) -> Any:
    """What was measured; with its own interval where that is what was judged: by a bound, or for want of a base."""
    value, interval = one.get("head"), one.get("head_interval")
    is_judged = one.get("delta") is None or any(one.get(name) is not None for name in ("floor", "ceiling"))
    if not (is_judged and _is_number(value) and isinstance(interval, list) and all(map(_is_number, interval))):
        return value
    return f"{text(value)}, {' to '.join(map(text, interval))}"


def _interval(one: Mapping[str, Any]) -> str | None:
    delta, interval = one.get("delta"), one.get("interval")
    if not _is_number(delta):
        return None
    if not isinstance(interval, list) or not all(map(_is_number, interval)):
        return numbers.signed(delta)
    ends = " to ".join(numbers.signed(end) for end in interval)
    return f"{numbers.signed(delta)}, {ends}"


def _is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number that a float holds: a stranger's integer may be of any length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _needed(one: Mapping[str, Any]) -> str:
    said = [f"{text(one.get('direction'))} is better, {text(one.get('require'))}, margin {text(one.get('margin'))}"]
    said += [f"{name} {text(one[name])}" for name in ("floor", "ceiling") if one.get(name) is not None]
    return ", ".join(said)


def _approval(sources: Sources) -> Answer:
    said = _predicate(sources.promotion)
    change = at(said, "change") or at(_judged(sources), "change")
    approvals = [(one.get("by"), moment(one.get("at")), one.get("what")) for one in _each(said, "approvals")]
    facts = [
        _fact("change", _change(change)),
        _fact("approvals", len(approvals) if sources.promotion else None),
        _fact("put in place", sources.promotion.where if sources.promotion else None),
        _fact("why", said.get("why")),
    ]
    moves = [
        (
            moment(one.entry.at.isoformat()) if one.entry else None,
            one.record.predicate.get("action"),
            one.record.predicate.get("version"),
            ", ".join(aliases(one.record)),
            one.entry.by if one.entry else None,
            one.record.predicate.get("why"),
        )
        for one in sources.promotions
    ]
    return Answer(
        question="Who approved it?",
        facts=tuple(facts),
        sheets=_sheets(
            _sheet("approvals", ("by", "when", "what"), approvals),
            _sheet("every change of its aliases", ("when", "what", "version", "aliases", "by", "why"), moves),
        ),
    )


def _change(change: Any) -> str | None:
    if not isinstance(change, Mapping) or change.get("number") is None:
        return None
    place = change.get("url") or change.get("repository") or ""
    return f"{text(change.get('forge'))} {text(change['number'])} {place}".rstrip()


# What all of them share.


def _predicate(held: Held | None) -> Mapping[str, Any]:
    return held.record.predicate if held else {}


def _judged(sources: Sources) -> Any:
    return at(_predicate(sources.verdict), "ciMl")


def _commit(sources: Sources) -> str | None:
    held = sources.training or sources.verdict or sources.promotion
    return commit(held.record) if held else None


def _place(held: Held, sources: Sources) -> str:
    count = sources.signed.get(held.record.digest, 0)
    if not count:
        return held.where
    # They were counted, and nobody has looked at who made them: `ci-ml audit verify --signatures` does.
    return f"{held.where}, {count} signature{'s' if count > 1 else ''}, not checked"


def _gaps(sources: Sources) -> Iterator[str]:
    if sources.training is None:
        yield "there is no record of the training that made these bytes"
    elif at(_predicate(sources.training), "buildDefinition", "internalParameters", "environment") is None:
        yield (
            "no stage ran in the training that is recorded: its outputs came from a cache, and the record of the "
            "training that made them is not in the ledger"
        )
    if sources.verdict is None:
        yield "there is no record of a verdict on these bytes"
    elif at(_predicate(sources.verdict), "result") == "FAILED" and not list(_each(_judged(sources), "waivers")):
        yield "the verdict is not a pass, and nobody waived it"
    yield from _differences(sources)
    if sources.fixed is not None and not sources.fixed.same:
        yield "the thresholds that judged are not those that git has at the commit that is named"
    if sources.promotion is None:
        yield "no promotion of it is in the ledger: it was not put in place by ci-ml"
    loose = [one for one in (sources.training, sources.verdict, sources.promotion) if one and one.entry is None]
    if loose:
        kinds = ", ".join(one.record.kind.value for one in loose)
        yield f"not in the ledger yet, so nothing keeps it from being edited: {kinds} (`ci-ml audit record`)"


def _differences(sources: Sources) -> Iterator[str]:
    """Where records that belong together speak of different bytes."""
    trained = {one.name: one.digest for one in sources.training.record.subject} if sources.training else {}
    judged = {one.name: one.digest for one in sources.verdict.record.subject} if sources.verdict else {}
    for path in sorted(trained.keys() & judged.keys()):
        if path != "commit" and any(trained[path].get(kind, value) != value for kind, value in judged[path].items()):
            yield f"the verdict is about other bytes of {text(path)} than those that were trained"
    for path, value in _pairs(_predicate(sources.promotion), "outputs"):
        known = trained.get(path, {}).get("sha256")
        if known is not None and isinstance(value, str) and value.removeprefix("sha256:") != known:
            yield f"what was put in place as {text(path)} has other bytes than those that were trained"


def completed(found: Iterable[Held], *, alias: str | None = None, version: str | None = None) -> tuple[Held, ...]:
    """Of records of promotions those that came to an end, of one alias or version where that is asked for.

    One whose turn it was not, because another had come first, is no end: it moved nothing.
    """
    held = [one for one in found if one.record.kind is Kind.PROMOTION]
    void = moved_nothing(held)
    return tuple(
        one
        for one in held
        if one.record.predicate.get("action") in DONE
        and one.record.digest not in void
        and (version is None or str(one.record.predicate.get("version")) == version)
        and (alias is None or alias in aliases(one.record))
    )


def moved_nothing(held: Iterable[Held]) -> frozenset[str]:
    """The records of promotions that did not count, of every model."""
    return frozenset(record for found in _steps(held).values() for record in promotions.fold(found).void)


def state(held: Iterable[Held], model: str) -> promotions.State:
    """Where the aliases of a model are by its entries in the ledger."""
    return promotions.fold(_steps(held).get(model, ()))


def _steps(held: Iterable[Held]) -> dict[str, list[promotions.Step]]:
    steps: dict[str, list[promotions.Step]] = {}
    for one in held:
        if one.entry is not None and one.record.kind is Kind.PROMOTION:
            with contextlib.suppress(ValueError):  # it is no promotion, and moved nothing
                steps.setdefault(one.entry.subject, []).append(promotions.step(one.entry, one.record.predicate))
    return steps


def aliases(record: Statement) -> tuple[str, ...]:
    """The aliases that a promotion is about."""
    found = record.predicate.get("aliases")
    return tuple(map(text, found)) if isinstance(found, list) else ()


def name(held: Held) -> str:
    """A record in a few words."""
    return f"{held.record.kind.value} {short(held.record.digest)}"
