"""What `ci-ml init` found, wrote, and leaves to do, as lines for people. Layer: render."""

import shlex
from collections.abc import Iterator

from ci_ml.core.config import TODO
from ci_ml.core.listing import some
from ci_ml.core.setup import Setup
from ci_ml.core.workflow import ForgeKind, Manager, PipelineSpec
from ci_ml.render import safe

_COLUMN = 16
_MOST = 5
_SETTING = {
    ForgeKind.GITHUB: "Settings → Rules → Rulesets: require the status check `{check}` on {branch}",
    ForgeKind.GITLAB: "Settings → Merge requests: tick `Pipelines must succeed`",
}
_SECRETS = {
    ForgeKind.GITHUB: "Settings → Secrets and variables → Actions",
    ForgeKind.GITLAB: "Settings → CI/CD → Variables, masked",
}
_REQUEST = {ForgeKind.GITHUB: "pull request", ForgeKind.GITLAB: "merge request"}


def found(setup: Setup) -> str:
    """What the repository holds, a line each."""
    return "".join(f"{label:<{_COLUMN}}{safe.printable(text)}\n" for label, text in _found(setup))


def _found(setup: Setup) -> Iterator[tuple[str, str]]:
    if setup.example:
        yield "example", f"{setup.example}, a DVC pipeline of three stages"
    else:
        stages = f"{setup.stages} stage{'' if setup.stages == 1 else 's'} of DVC" if setup.stages else "none of DVC"
        yield "pipeline", stages + _state(setup)
    if setup.proposal is not None:
        tables = [f"{table.keys['path']} ({table.task.value})" for table in setup.proposal.tables]
        yield "predictions", ", ".join(tables) or "no table with a row per example"
        named = [gate.metric for gate in setup.proposal.gates if not gate.known]
        metrics = [name.replace(f":{TODO}", " (not here)") for name in named]
        if metrics or not tables:
            yield "metrics", ", ".join(metrics) or "none"
    kind = setup.forge.kind
    yield "forge", f"{kind.value}: {setup.forge.why}" if kind else f"unknown: {setup.forge.why}"
    yield "default branch", setup.branch
    if setup.spec is not None:
        yield "packages", _packages(setup.spec)
    for reason in setup.named:
        yield "CI jobs", reason
    yield "DVC remote", setup.remote or "none"


def _state(setup: Setup) -> str:
    """What is wrong with the pipeline, if anything is."""
    if setup.broken:
        return "; DVC refuses it"
    return f"; dvc.lock is out of date for {some(setup.stale, _MOST)}" if setup.stale else ""


def _packages(spec: PipelineSpec) -> str:
    python = spec.python
    if python.manager is Manager.NONE:
        if python.install:
            return f"{python.install[0]} (Python {python.version})"
        return f"no file says which: CI installs none (Python {python.version})"
    return f"{python.manager.value}, from {python.lock or 'no file'} (Python {python.version})"


def files(setup: Setup) -> str:
    """Every file that would be written; a line says which it is where there are several."""
    if len(setup.files) == 1:
        return setup.files[0].text
    return "\n".join(f"# --- {safe.printable(one.path)} ---\n{one.text}" for one in setup.files)


def written(setup: Setup) -> str:
    """What was written, and what is to be done now."""
    lines = ["", *(f"wrote {one.path}" for one in setup.files)]
    lines += [f"left alone: {path}, which is your own and calls ci-ml or would" for path in setup.taken]
    steps = list(_steps(setup))
    lines += ["", "Next:", *(f"{number}. {step}" for number, step in enumerate(steps, start=1))]
    return "".join(f"{safe.printable(line)}\n" for line in lines)


def _preparations(setup: Setup) -> Iterator[str]:
    """What to do before anything is committed."""
    if setup.todo:
        lines = "the line" if setup.todo == 1 else f"the {setup.todo} lines"
        yield f"fill in {lines} of {setup.config} with TODO: nothing is judged before"
    if setup.proposal is not None and not setup.proposal.gates:
        yield f"name under `gates` of {setup.config} what your evaluation writes: without a gate nothing can pass"
    if setup.broken:
        yield f"mend the pipeline, which DVC refuses: {setup.broken}"
    elif setup.stale:
        yield "ci-ml train, and commit what it writes: until then CI trains those stages in every run"
    if setup.spec and setup.stages and setup.spec.python.manager is Manager.NONE and not setup.spec.python.install:
        yield f"say in {setup.config} how CI installs packages: `python: {{install: …}}` of the pipeline"
    if setup.example:
        yield "pip install -r requirements.txt"


def _steps(setup: Setup) -> Iterator[str]:
    yield from _preparations(setup)
    if setup.forge.kind is None:
        yield "write the CI files: add `pipelines: [{forge: github}]`, or gitlab, and run `ci-ml generate`"
    elif setup.taken:
        yield f"keep {setup.taken[0]}, or take the marks off `pipelines` and run `ci-ml generate --force`"
    if setup.entry:
        listed = next(one.path for one in setup.files if one.path.startswith(".gitlab/"))
        yield f"add to {setup.entry}: include: [{{local: /{listed}}}]"
    yield from _first_model() if setup.example else [_commit(setup)]
    if setup.forge.kind is not None:
        setting = _SETTING[setup.forge.kind].format(branch=setup.branch, check=_check(setup))
        yield f"make the gate binding. {setting} (`ci-ml doctor` looks whether it is)"
        yield from _secrets(setup, setup.forge.kind)


def _check(setup: Setup) -> str:
    """The name of the check: two projects of a repository have one each."""
    return setup.spec.naming.required if setup.spec else "gate"


def _first_model() -> Iterator[str]:
    """An example is trained once it is committed, which is what later changes are compared with."""
    yield "git add --all && git commit -m 'A pipeline and its gates'"
    yield (
        "ci-ml ci --no-publish, which trains it; then git add --all && git commit -m 'Train the first model' "
        "&& git push -u origin HEAD: what pull requests are compared with"
    )


def _commit(setup: Setup) -> str:
    top = ":/" if "/" in setup.config else ""  # from the root, wherever somebody is
    paths = ["--all"] if setup.entry else [shlex.quote(f"{top}{one.path}") for one in setup.files]
    request = _REQUEST.get(setup.forge.kind or ForgeKind.GITHUB, "")
    return (
        f"git switch -c ci-ml && git add {' '.join(paths)} && git commit -m 'Gate changes with ci-ml' "
        f"&& git push -u origin ci-ml, and open a {request}"
    )


def _secrets(setup: Setup, kind: ForgeKind) -> Iterator[str]:
    """The secrets that CI needs, by name."""
    credentials = setup.spec.credentials if setup.spec else None
    if credentials is not None and credentials.secrets:
        yield f"for the DVC remote, {', '.join(credentials.secrets.values())} ({_SECRETS[kind]})"
    elif setup.remote is None:
        if setup.stages and not setup.example:
            yield "give DVC a remote that CI can reach (`dvc remote add --default …`), or every run trains from nothing"
    elif "://" not in setup.remote:
        yield f"the DVC remote {setup.remote} is a folder: name one that CI can reach, or have a runner that sees it"
    else:
        yield "if the DVC remote wants credentials, name their variables under pipelines.credentials.secrets"
    if kind is ForgeKind.GITLAB:
        yield "for comments, CI_ML_TOKEN: a project access token with the scope api (without it the gate works, too)"
