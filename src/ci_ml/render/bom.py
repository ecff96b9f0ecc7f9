"""A dossier as a bill of materials: CycloneDX 1.6 with a model card, as JSON. Layer: render.

Written here and not by cyclonedx-python-lib, which has no model cards (11.12); its schema checks it in tests.
https://cyclonedx.org/docs/1.6/json/
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ci_ml import __version__
from ci_ml.core.dossier import Artifact, Dossier
from ci_ml.core.report import ComparisonPart
from ci_ml.render.safe import printable

SPEC = "1.6"
_SPACE = uuid.UUID("6c1f3a52-7f4e-5d0b-9a57-0f1f6f0a8f11")  # of serial numbers: the same records, the same number
_HASHES = {"md5": ("MD5", 32), "sha1": ("SHA-1", 40), "sha256": ("SHA-256", 64), "sha512": ("SHA-512", 128)}
_PURL = re.compile(r"[^A-Za-z0-9._~-]")
_MODEL = "model"


def bom(dossier: Dossier) -> str:
    """The bill as strict JSON, ending in a line break; the same records give the same bytes."""
    components = list(_components(dossier))
    document = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, ' '.join(sorted(dossier.records.values())))}",
        "version": 1,
        "metadata": _metadata(dossier),
        "components": components,
        "dependencies": [
            {"ref": _MODEL, "dependsOn": [item["bom-ref"] for item in components]},
            *({"ref": item["bom-ref"]} for item in components),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _metadata(dossier: Dossier) -> dict[str, Any]:
    moment = _moment(dossier.at) or _moment(dossier.finished)
    tool = {"type": "application", "name": "ci-ml", "version": __version__}
    return {
        **({"timestamp": moment} if moment else {}),
        "lifecycles": [{"phase": "build"}],
        "tools": {"components": [tool]},
        "component": _model(dossier),
    }


def _model(dossier: Dossier) -> dict[str, Any]:
    own = dossier.outputs[0] if len(dossier.outputs) == 1 else None
    version = dossier.version or (dossier.commit[:12] if dossier.commit else None)
    files = [] if own else [_file(one, f"output:{place}") for place, one in enumerate(dossier.outputs)]
    source = {"type": "vcs", "url": dossier.repository} if dossier.repository and _is_uri(dossier.repository) else None
    return {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": printable(dossier.name),
        **({"version": printable(version)} if version else {}),
        **({"hashes": hashes} if own and (hashes := _hashes(own)) else {}),
        **({"externalReferences": [source]} if source else {}),
        **({"components": files} if files else {}),
        "modelCard": _card(dossier),
        "properties": list(_properties(dossier)),
    }


def _card(dossier: Dossier) -> dict[str, Any]:
    data = [{"ref": f"data:{place}"} for place, _ in enumerate(dossier.data)]
    metrics = [found for item in dossier.metrics for found in _metric(item)]
    limits = [*dossier.gaps, *(f"{item.name} was not measured: {item.reason}" for item in dossier.unmeasured)]
    return {
        **({"modelParameters": {"datasets": data}} if data else {}),
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {"technicalLimitations": [printable(text) for text in limits]},
        "properties": [_property(f"param:{key}", _text(value)) for key, value in sorted(dossier.params.items())],
    }


def _metric(item: ComparisonPart) -> Iterator[dict[str, Any]]:
    """What the model reached, with its own interval where there is one; and by how much that differs from the base."""
    where = {"slice": printable(str(item.where))} if item.where else {}
    if item.between:
        where = {"slice": printable(" against ".join(item.between))}
    name = printable(item.metric)
    yield {"type": name, "value": _text(item.head), **where, **_interval(item.head_interval)}
    if item.delta is not None:
        yield {
            "type": f"{name}, difference from the base",
            "value": _text(item.delta),
            **where,
            **_interval(item.interval),
        }


def _interval(ends: tuple[float, float] | None) -> dict[str, Any]:
    if ends is None:
        return {}
    return {"confidenceInterval": {"lowerBound": _text(ends[0]), "upperBound": _text(ends[1])}}


def _properties(dossier: Dossier) -> Iterator[dict[str, str]]:
    """What CycloneDX has no field for; in the order of the questions: which, what evidence, against what, who."""
    verdict, policy = dossier.verdict, dossier.policy
    said: Iterable[tuple[str, str | None]] = (
        ("commit", dossier.commit),
        ("aliases", ", ".join(dossier.aliases) or None),
        ("trained:started", dossier.started),
        ("trained:finished", dossier.finished),
        ("trained:by", dossier.builder or None),
        ("verdict", verdict.outcome.value if verdict else None),
        ("verdict:base", dossier.base),
        ("policy", policy.digest if policy else None),
        ("policy:from", policy.source if policy else None),
        ("policy:read-at", policy.read_at if policy else None),
        *((f"record:{kind.value}", digest) for kind, digest in dossier.records.items()),
        *(("approval", _joined(one.by, one.at, one.what)) for one in dossier.approvals),
        *(("waiver", _joined(one.by, one.at, one.label)) for one in (verdict.waivers if verdict else ())),
        *(("test-set", _looked(one.name, one.look, one.of)) for one in dossier.testsets),
        *((f"gate:{item.name}", _gate(item)) for item in dossier.comparisons),
        *((f"seed:{key}", _text(value)) for key, value in sorted(dossier.seeds.items())),
        *((f"output:{one.name}:{key}", text) for one in dossier.outputs for key, text in _others(one)),
    )
    for key, value in said:
        if value is not None:
            yield _property(key, value)


def _gate(item: ComparisonPart) -> str:
    """One gate in one line: what it allowed, how it was judged, on how many examples, and what came of it."""
    parts = [f"{item.status.value} ({item.impact.value})", f"margin {item.margin}"]
    parts += [f"floor {_text(item.floor)}"] if item.floor is not None else []
    parts += [f"ceiling {_text(item.ceiling)}"] if item.ceiling is not None else []
    parts += [f"confidence {_text(item.confidence)}"] if item.confidence is not None else []
    parts += [f"n {item.n}"] if item.n is not None else []
    return "; ".join([*parts, f"method {item.method}"])


def _components(dossier: Dossier) -> Iterator[dict[str, Any]]:
    for place, one in enumerate(dossier.data):
        yield _data(one, f"data:{place}")
    for place, one in enumerate(one for one in dossier.inputs if one.kind != "data"):
        yield _file(one, f"file:{place}")
    environment = dossier.environment
    if dossier.container:
        yield {"type": "container", "bom-ref": "container", "name": printable(dossier.container)}
    if environment is None:
        return
    if environment.os:
        yield {"type": "operating-system", "bom-ref": "os", "name": printable(environment.os)}
    if environment.interpreter:
        said = ", ".join(f"{key} {value}" for key, value in environment.interpreter.items())
        yield {"type": "platform", "bom-ref": "interpreter", "name": printable(said)}
    for place, (name, version) in enumerate(sorted(environment.packages.items())):
        yield _package(name, version, f"package:{place}")


def _data(one: Artifact, ref: str) -> dict[str, Any]:
    about: dict[str, Any] = {"type": "dataset", "name": printable(one.name)}
    if one.uri and _is_uri(one.uri):
        about = {**about, "contents": {"url": one.uri}}
    return {**_file(one, ref), "type": "data", "data": [about]}


def _file(one: Artifact, ref: str) -> dict[str, Any]:
    others = [_property(f"digest:{key}", text) for key, text in _others(one)]
    return {
        "type": "file",
        "bom-ref": ref,
        "name": printable(one.name),
        **({"hashes": hashes} if (hashes := _hashes(one)) else {}),
        **({"properties": others} if others else {}),
    }


def _package(name: str, version: str, ref: str) -> dict[str, Any]:
    plain = re.sub(r"[-_.]+", "-", name).lower()
    purl = f"pkg:pypi/{_PURL.sub(_quoted, plain)}@{_PURL.sub(_quoted, version)}"
    return {
        "type": "library",
        "bom-ref": ref,
        "name": printable(name),
        "version": printable(version),
        "purl": purl,
    }


def _quoted(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _hashes(one: Artifact) -> list[dict[str, str]]:
    """The digests that CycloneDX knows and that are as long as they must be."""
    return [
        {"alg": _HASHES[key][0], "content": value}
        for key, value in sorted(one.digests.items())
        if key in _HASHES and re.fullmatch(rf"[0-9a-f]{{{_HASHES[key][1]}}}", value)
    ]


def _others(one: Artifact) -> list[tuple[str, str]]:
    """The digests that it does not know: of folders as DVC has them, and of commits."""
    known = {key for key, (name, _) in _HASHES.items() if any(item["alg"] == name for item in _hashes(one))}
    return [(key, value) for key, value in sorted(one.digests.items()) if key not in known]


def _property(key: str, value: str) -> dict[str, str]:
    return {"name": f"ci-ml:{printable(key)}", "value": printable(value)}


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _looked(name: str, look: int | None, of: int | None) -> str:
    if look is None:
        return name
    return f"{name}: look {look} of {of}" if of is not None else f"{name}: look {look}"


def _text(value: Any) -> str:
    """A value of JSON as text, numbers with every digit."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)[:4096]
    return json.dumps(value, default=str)


def _moment(text: str | None) -> str | None:
    """A time as the schema wants it; None for what is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.isoformat() if found.tzinfo else None


def _is_uri(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", text) is not None
