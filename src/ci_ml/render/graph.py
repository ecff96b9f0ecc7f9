"""The jobs of a pipeline as a Mermaid flowchart, which both forges render. Layer: render."""

from collections.abc import Iterable

from ci_ml.core.workflow import Job, Layout, PipelineSpec


def graph(specs: Iterable[PipelineSpec]) -> str:
    """One flowchart for each pipeline."""
    return "\n".join(_flowchart(spec) for spec in specs)


def _flowchart(spec: PipelineSpec) -> str:
    lines = [f"%% {spec.forge}, layout {spec.layout}", "flowchart LR"]
    if spec.layout is Layout.SINGLE:
        lines.append('    gate["train, check, publish"]')
    else:
        lines += ['    plan(["plan"])', *(f"    {job.id}{_shape(job)}" for job in spec.jobs), '    gate(["gate"])']
        lines += [f"    {need} --> {job.id}" for job in spec.jobs for need in job.needs or ("plan",)]
        needed = {need for job in spec.jobs for need in job.needs}
        lines += [f"    {job.id} --> gate" for job in spec.jobs if job.id not in needed]
    if spec.record:
        lines.append('    gate --> record(["record, on the default branch"])')
    return "\n".join(lines) + "\n"


def _shape(job: Job) -> str:
    where = ", ".join(job.runner)
    label = job.stage.replace('"', "#quot;") + (f"<br>{where}".replace('"', "#quot;") if where else "")
    return f'[["{label}, one each"]]' if job.matrix else f'["{label}"]'
