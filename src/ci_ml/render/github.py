"""What only templates for GitHub need to know of a PipelineSpec. Layer: render."""

from typing import Any

from markupsafe import Markup

from ci_ml.core.workflow import PipelineSpec, Scheduled

_EXCUSE = Markup(" # zizmor: ignore[secrets-outside-env] every run has to reach the DVC remote, not only a deployment")

_UNGUARDED = Markup(" # zizmor: ignore[secrets-outside-env] ci-ml.yaml wants no environment")
_ENTERING = Markup(" # zizmor: ignore[secrets-outside-env] the ledger is no deployment")


def place(spec: PipelineSpec, kind: str = "") -> str:
    """The path of a workflow: that with the jobs, or one of another kind beside it."""
    parts = ("ci-ml", spec.naming.slug, kind)
    return f".github/workflows/{'-'.join(part for part in parts if part)}.yml"


def context(spec: PipelineSpec) -> dict[str, Any]:
    """What the templates are given.

    `secrets` are those that a job has beside the DVC remote's, and `trusted` says that it runs the code of our own
    branch alone; `step` is the id of ci-ml's step, and `condition` what that hangs on. `retraining` is the workflow
    that retrains, `passed` are the secrets that whoever calls it passes on, and `called` says that permissions are for
    all of its jobs. `excuse` tells linters why a job without an environment has a secret, `entering` the same of those
    that sign records, `deployed` of those that mostly have one. `signing` is what Sigstore's identity is for.
    """
    has_environment = spec.promote is not None and spec.promote.environment
    return {
        "secrets": {},
        "trusted": False,
        "step": "ci-ml",
        "condition": "",
        "called": False,
        "excuse": _EXCUSE,
        "entering": _ENTERING,
        "signing": ["the signatures of records"] if spec.audit and spec.audit.sigstore else [],
        "deployed": Markup() if has_environment else _UNGUARDED,
        "retraining": place(spec, "retrain"),
        "passed": _passed(spec, spec.retrain) if spec.retrain else [],
    }


def _passed(spec: PipelineSpec, job: Scheduled) -> list[str]:
    """Names of secrets, each once, however it is written. A called workflow has the job's own token without asking."""
    names = [*spec.credentials.secrets.values(), *job.secrets.values(), job.token]
    names += [job.app.private_key] if job.app else []
    names += spec.audit.secrets.values() if spec.audit else []
    distinct = {name.upper(): name for name in names if name and name.upper() != "GITHUB_TOKEN"}
    return sorted(distinct.values())
