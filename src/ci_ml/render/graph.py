"""The jobs of a pipeline as a Mermaid flowchart, which both forges render. Layer: render."""

import re
from collections.abc import Iterable, Iterator

from ci_ml.core.workflow import ForgeKind, Job, Layout, PipelineSpec
from ci_ml.render.safe import printable


def graph(specs: Iterable[PipelineSpec]) -> str:
    """One flowchart for each pipeline."""
    return "\n".join(_flowchart(spec) for spec in specs)


def _flowchart(spec: PipelineSpec) -> str:
    lines = [f"%% {spec.forge}, layout {spec.layout}", "flowchart LR"]
    if spec.layout is Layout.SINGLE:
        lines.append('    gate["train, check, publish"]')
    else:
        lines += _stages(spec)
    if spec.record:
        lines.append('    gate --> record(["record, on the default branch"])')
    if spec.audit:
        lines.append('    gate --> audit(["audit, on the default branch"])')
    if spec.promote:
        lines += [f"    {job} --> promote" for job in (("audit", "record") if spec.record else ("audit",))]
        lines.append(f'    promote(["promote {_text(", ".join(spec.promote.models))}"])')
    return "\n".join(lines) + "\n"


def _stages(spec: PipelineSpec) -> Iterator[str]:
    """A node for each job. Its name is a number: words such as `end` and `style` mean something to Mermaid."""
    names = {job.id: f"stage{number}" for number, job in enumerate(spec.jobs, start=1)}
    planned = spec.forge is ForgeKind.GITHUB or spec.dynamic  # elsewhere each job asks for itself whether it has to run
    yield from ['    plan(["plan"])'] if planned else []
    yield from (f"    {names[job.id]}{_shape(job)}" for job in spec.jobs)
    yield '    gate(["gate"])'
    for job in spec.jobs:
        needs = [names[need] for need in job.needs] or (["plan"] if planned else [])
        yield from (f"    {need} --> {names[job.id]}" for need in needs)
    needed = {need for job in spec.jobs for need in job.needs}
    yield from (f"    {names[job.id]} --> gate" for job in spec.jobs if job.id not in needed)


def _shape(job: Job) -> str:
    label = _text(job.stage) + (f"<br>{_text(', '.join(job.runner))}" if job.runner else "")
    return f'[["{label}, one each"]]' if job.matrix else f'["{label}"]'


def _text(name: str) -> str:
    """A name in quotes of Mermaid, where nothing but letters and a few signs stands for itself."""
    return re.sub(r"[^\w ,./:@+=()-]", lambda match: f"#{ord(match[0])};", printable(name))
