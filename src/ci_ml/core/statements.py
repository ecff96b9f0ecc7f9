"""Records as in-toto statements: what is said (the predicate) of what (the subjects), in canonical bytes. Layer: core.

A record is known by the SHA-256 of its bytes, so there is one way to write each: keys sorted, no spaces, UTF-8.
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

STATEMENT = "https://in-toto.io/Statement/v1"
MAX_BYTES = 16 * 1024 * 1024
_DEPTH = 64
_SUBJECTS = 100_000
_SHOWN = 80


class Kind(StrEnum):
    """What a record is about."""

    TRAINING = "training"
    VERDICT = "verdict"
    PROMOTION = "promotion"
    ROTATION = "rotation"
    REPRODUCTION = "reproduction"


PREDICATE: Mapping[Kind, str] = {
    Kind.TRAINING: "https://slsa.dev/provenance/v1",
    Kind.VERDICT: "https://in-toto.io/attestation/test-result/v0.1",
    Kind.PROMOTION: "urn:ci-ml:promotion:v1",
    Kind.ROTATION: "urn:ci-ml:rotation:v1",
    Kind.REPRODUCTION: "urn:ci-ml:reproduction:v1",
}
_KINDS = {predicate: kind for kind, predicate in PREDICATE.items()}
_Algorithm = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
_Value = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:+/=-]{1,300}$")]


class Subject(BaseModel):
    """A thing that a record speaks of: its name, and the digests by which anybody recognises it.

    `md5` and `dvcDir` are DVC's, of a file and of a folder's listing (which ends with .dir).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    digest: Annotated[dict[_Algorithm, _Value], Field(min_length=1, max_length=20)]


class Statement(BaseModel):
    """One record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=_SUBJECTS)]
    predicate: dict[str, Any]

    @cached_property
    def data(self) -> bytes:
        """The bytes of the record, by which it is known. Raises ValueError for what is no JSON."""
        return canonical(
            {
                "_type": STATEMENT,
                "predicateType": PREDICATE[self.kind],
                "subject": [{"name": one.name, "digest": one.digest} for one in self.subject],
                "predicate": self.predicate,
            }
        )

    @cached_property
    def digest(self) -> str:
        """`sha256:…` of its bytes."""
        return digest(self.data)


def statement(kind: Kind, subject: Iterable[Subject], predicate: Mapping[str, Any]) -> Statement:
    """A record of these. Raises ValueError when it could not be read again."""
    made = Statement(kind=kind, subject=tuple(subject), predicate=json.loads(canonical(dict(predicate))))
    return read(made.data)


def read(data: bytes) -> Statement:
    """A record from its bytes. Raises ValueError, in words, for whatever ci-ml would not have written so."""
    document = parsed(data, MAX_BYTES)
    if not isinstance(document, dict) or document.get("_type") != STATEMENT:
        raise ValueError(f"it is no in-toto statement: its _type is not {STATEMENT}")
    told = _KINDS.get(text) if isinstance(text := document.get("predicateType"), str) else None
    if told is None:
        raise ValueError(f"its predicateType is none of ci-ml's: {str(text)[:_SHOWN]!r}")
    subjects, predicate = document.get("subject"), document.get("predicate")
    if document.keys() != {"_type", "predicateType", "subject", "predicate"} or not isinstance(subjects, list):
        raise ValueError("a statement holds _type, predicateType, subject and predicate, and nothing else")
    try:
        found = Statement.model_validate({"kind": told, "subject": tuple(subjects), "predicate": predicate})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))[:_SHOWN]}: {first['msg']}") from None
    if found.data != data:
        raise ValueError("its bytes are not those that ci-ml writes of it: keys sorted, no spaces, UTF-8")
    return found


def entered(data: bytes) -> tuple[Kind, str] | None:
    """The kind of a record and what it is found by, as its entry has them; None for what is none.

    Only that is looked at: it is for bytes that are known to be those that were entered, and there are many.
    """
    try:
        document = json.loads(data)
        found = _KINDS[document["predicateType"]]
        subjects = [(one["name"], one["digest"]) for one in document["subject"]]
        about = _about(found, document["predicate"], subjects)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    return found, about


def canonical(value: Any) -> bytes:
    """The one way in which a JSON value is written here. Raises ValueError for what is none."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON: {error}") from None
    return text.encode()


def digest(data: bytes) -> str:
    """`sha256:…` of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parsed(data: bytes, most: int) -> Any:
    """JSON from strangers, strictly: no name twice, no infinity, not too large, not too deep. Raises ValueError."""
    if len(data) > most:
        raise ValueError(f"it is larger than {most:,} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from None
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _shallow(value)
    return value


def cleaned(value: Any, hide: Callable[[str], str]) -> Any:
    """A JSON value with every text in it, names of keys too, passed through `hide`."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {hide(str(key)): cleaned(item, hide) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item, hide) for item in value]
    return value


def about(record: Statement) -> str:
    """What a record is found by: the model of a promotion, the test set of a rotation, otherwise the commit."""
    return _about(record.kind, record.predicate, [(one.name, one.digest) for one in record.subject])


def _about(kind: Kind, predicate: Mapping[str, Any], subjects: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    named = {Kind.PROMOTION: "model", Kind.ROTATION: "testset"}.get(kind)
    name = predicate.get(named) if named else None
    if isinstance(name, str) and name:
        return name
    commit = next((digest["gitCommit"] for _, digest in subjects if "gitCommit" in digest), None)
    return commit or subjects[0][0]


def commit(record: Statement) -> str | None:
    """The commit that a record says it is about."""
    found = next((one.digest["gitCommit"] for one in record.subject if "gitCommit" in one.digest), None)
    if found is None and record.kind is Kind.TRAINING:
        found = at(record.predicate, "buildDefinition", "externalParameters", "commit")
    if found is None:
        found = record.predicate.get("commit")
    return found if isinstance(found, str) else None


def at(value: Any, *keys: str) -> Any:
    """What a stranger's JSON has under these names, None where it has nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object: readers would differ about what it says")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not allowed")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:_SHOWN]} is no finite number")
    return value


def _shallow(value: Any) -> None:
    level = [value]
    for _ in range(_DEPTH):
        parts = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level = [item for part in parts for item in part]
        if not level:
            return
    raise ValueError("it is nested too deeply")
