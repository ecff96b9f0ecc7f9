"""What generated jobs that ask the registry lack, so that they can only fail. Layer: core. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ci_ml.core.listing import some
from ci_ml.core.references import IN_PRODUCTION
from ci_ml.core.registry import ADDRESS, RegisteredConfig
from ci_ml.core.workflow import ForgeKind, Promotion

_JUDGING = ("plan", "gate")
_JOB = {  # where one begins
    ForgeKind.GITHUB: re.compile(r"(?m)^  (?=[\w\"'].*:\s*(?:#.*)?$)"),
    ForgeKind.GITLAB: re.compile(r"(?m)^(?=[\w\"'].*:\s*(?:#.*)?$)"),
}
_CALLS = ("command: promote", "command: rollback")  # as the files of GitHub have them


@dataclass(frozen=True, kw_only=True)
class Lack:
    """What is not there, and what to do; not `certain` where a forge may have it in its settings."""

    sentence: str
    fix: str
    certain: bool = True


def of(
    forge: ForgeKind, found: Promotion, registered: Mapping[str, RegisteredConfig], files: Iterable[str]
) -> tuple[Lack, ...]:
    """What jobs that promote lack, by the texts of the forge's files."""
    return (*_unregistered(forge, found, registered), *_nowhere(forge, files))


def judging(forge: ForgeKind, baseline: str, files: Iterable[str]) -> tuple[Lack, ...]:
    """What jobs that judge lack where the base is what is in production, by the texts of the forge's files."""
    if not IN_PRODUCTION.fullmatch(baseline):
        return ()
    blocks = {name: text for file in files for name, text in _jobs(forge, file) if name in _JUDGING}
    absent = [name for name, text in blocks.items() if ADDRESS not in text]
    if not absent:
        return ()
    settings = " without a variable of that name in the project's settings" if forge is ForgeKind.GITLAB else ""
    what = f"pipelines: {forge}: nothing gives {ADDRESS} to {some(absent)}: `baseline` asks the registry, and fails"
    fix = f"name it beside the secrets of the DVC remote: credentials: {{secrets: {{{ADDRESS}: NAME, …}}}}"
    return (Lack(sentence=f"{what}{settings}", fix=fix, certain=not settings),)


def _jobs(forge: ForgeKind, text: str) -> Iterator[tuple[str, str]]:
    """The jobs of a generated file, by their names without a prefix, with what stands above all of them."""
    above, _, jobs = text.partition("\njobs:\n") if forge is ForgeKind.GITHUB else ("", "", text)
    head, *parts = _JOB[forge].split(jobs)
    for part in parts:
        name = part.partition("\n")[0].partition("#")[0].strip().rstrip(":").strip("\"'")
        yield name.rpartition(":")[2], above + head + part


def _unregistered(forge: ForgeKind, found: Promotion, registered: Mapping[str, RegisteredConfig]) -> Iterator[Lack]:
    where = f"pipelines: {forge}: promote names"
    for model in found.models:
        if model not in registered:
            known = ", ".join(registered)
            fix = f"there are: {known}" if known else "say there which output it is (docs/registry.md)"
            yield Lack(sentence=f"{where} the model {model}, which is not under registry", fix=fix)
            continue
        for alias in found.aliases:
            if alias not in (aliases := registered[model].aliases):
                what = f"{where} the alias {alias}, which is not under registry.{model}.aliases"
                yield Lack(sentence=what, fix=f"there are: {', '.join(aliases)}")


def _nowhere(forge: ForgeKind, files: Iterable[str]) -> Iterator[Lack]:
    fix = f"name the secret that holds the registry's address: promote: {{secrets: {{{ADDRESS}: NAME}}}}"
    if forge is ForgeKind.GITHUB:
        calling = [text for text in files if any(call in text for call in _CALLS)]
        if any(ADDRESS not in text for text in calling):
            what = (
                f"pipelines: github: nothing gives {ADDRESS} to the jobs that promote and take back: they will refuse"
            )
            yield Lack(sentence=what, fix=fix)
    elif not any(ADDRESS in text for text in files):
        what = (
            f"pipelines: gitlab: nothing in the files gives {ADDRESS} to the jobs that promote and take back: they "
            "will refuse without a variable of that name in the project's settings"
        )
        yield Lack(sentence=what, fix=fix, certain=False)
