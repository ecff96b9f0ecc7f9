"""What two trainings ran in, compared; and the text in which a tracker keeps it (version 1). Layer: core."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from packaging.utils import canonicalize_name
from pydantic import TypeAdapter

from ci_ml.core.exhibits import EnvironmentPart, SettingPart
from ci_ml.core.training import Environment
from ci_ml.core.types import Gap

SCHEMA = "ci-ml/environment/v1"
_LONGEST = 200
# As `platform.platform()` writes it: Linux-6.8.0-1014-azure-x86_64-with-glibc2.39.
_LINUX = re.compile(r"Linux-.+-(\w+)-with-(\S+)")
_SIDES = ("base", "head")


def dump(environment: Environment) -> str:
    """Compact JSON, in ASCII."""
    return json.dumps({"schema": SCHEMA, **asdict(environment)}, separators=(",", ":"))


def load(document: Any) -> Environment | None:
    """An environment from what `dump` or a training's record says, as a value or text; None for anything else."""
    try:
        value = json.loads(document) if isinstance(document, str) else document
        if not isinstance(value, Mapping) or value.get("schema", SCHEMA) != SCHEMA:
            return None
        return TypeAdapter(Environment).validate_python(dict(value))
    except (ValueError, RecursionError):
        return None


def compared(base: Environment | Gap, head: Environment | Gap) -> EnvironmentPart:
    """What differs between two environments. What either does not hold is missing, and never a likeness."""
    sides = dict(zip(_SIDES, (base, head), strict=True))
    missing = [
        f"in what the {side} was trained ({found.reason})" for side, found in sides.items() if isinstance(found, Gap)
    ]
    if isinstance(base, Gap) or isinstance(head, Gap):
        return EnvironmentPart(missing=tuple(missing))
    differences = [*_python(base, head, missing), *_machine(base, head, missing)]
    return EnvironmentPart(differences=tuple(differences), missing=tuple(missing))


def _python(base: Environment, head: Environment, missing: list[str]) -> Iterator[SettingPart]:
    unknown = [side for side, found in zip(_SIDES, (base, head), strict=True) if not _is_known(found)]
    if unknown:
        whose = " and the ".join(unknown)
        why = "their commands leave it open, or it could not be asked"
        missing.append(f"with which Python and packages the stages of the {whose} ran ({why})")
        return
    yield from _setting("python", _version(base), _version(head))
    before, after = ({canonicalize_name(k): v for k, v in found.packages.items()} for found in (base, head))
    for name in sorted(before.keys() | after.keys()):
        yield from _setting("package", before.get(name), after.get(name), name)


def _is_known(found: Environment) -> bool:
    return found.runs_stages and bool(found.packages) and bool(found.interpreter.get("version"))


def _version(found: Environment) -> str:
    """`3.13.1`, and whose Python it is where that is not the usual one."""
    kind = found.interpreter.get("implementation", "")
    return f"{'' if kind in ('', 'CPython') else f'{kind} '}{found.interpreter['version']}"


def _machine(base: Environment, head: Environment, missing: list[str]) -> Iterator[SettingPart]:
    machines = (("platform", _platform(base.os), _platform(head.os)), ("processor", base.cpu, head.cpu))
    for kind, before, after in machines:
        if before and after:
            yield from _setting(kind, before, after)
        else:
            missing.append(f"the {kind} of the {'head' if before else 'base'} (it is not recorded)")
    if unknown := [side for side, found in zip(_SIDES, (base, head), strict=True) if found.gpu is None]:
        missing.append(f"the accelerators of the {' and the '.join(unknown)} (they are not recorded)")
    elif base.gpu is not None and head.gpu is not None:
        yield from _setting("gpu", "; ".join(base.gpu) or None, "; ".join(head.gpu) or None)


def _platform(recorded: str) -> str:
    """The system and its C library. Hosted runners have another Linux kernel every week, and no model knows which."""
    linux = _LINUX.fullmatch(recorded)
    return f"Linux {linux[1]}, {linux[2]}" if linux else recorded


def _setting(kind: str, base: str | None, head: str | None, name: str | None = None) -> Iterator[SettingPart]:
    if base != head:
        cut = {key: text and text[:_LONGEST] for key, text in (("name", name), ("base", base), ("head", head))}
        yield SettingPart.model_validate({"kind": kind, **cut})
