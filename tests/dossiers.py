"""Records of one model, for tests of what is made from them."""

from typing import Any

from ci_ml.core import statements
from ci_ml.core.statements import Kind, Statement, Subject

COMMIT = "1234567890abcdef1234567890abcdef12345678"
SHA256 = "ab" * 32
MD5 = "cd" * 16


def training(
    *,
    dirty: bool = False,
    data: str = "data/train.csv",
    params: dict[str, Any] | None = None,
    packages: dict[str, str] | None = None,
    os: str = "Linux",
    gpu: list[str] | None = None,
) -> Statement:
    """How it was trained."""
    dependencies = [
        {
            "name": "commit",
            "uri": f"git+https://github.com/acme/churn@{COMMIT}",
            "digest": {"gitCommit": COMMIT},
        },
        {"name": data, "digest": {"md5": MD5}, "annotations": {"kind": "data"}},
        {"name": "train.py", "digest": {"md5": MD5}, "annotations": {"kind": "code"}},
        {"name": "uv.lock", "digest": {"sha256": SHA256}, "annotations": {"kind": "lock"}},
    ]
    environment = {
        "interpreter": {"implementation": "CPython", "version": "3.12.1"},
        "packages": {"numpy": "2.0.0"} if packages is None else packages,
        "os": os,
        "cpu": "two cores",
        "gpu": gpu,
    }
    predicate = {
        "buildDefinition": {
            "buildType": "urn:ci-ml:train:v1",
            "externalParameters": {
                "commit": COMMIT,
                "params": {"train.rate": 0.1, "train.seed": 7} if params is None else params,
                "stages": {"train": {"command": ["python train.py"], "deps": [data], "outs": ["model.bin"]}},
            },
            "internalParameters": {"dirty": dirty, "environment": environment, "seeds": {"train.seed": 7}},
            "resolvedDependencies": dependencies,
        },
        "runDetails": {
            "builder": {"id": "https://github.com/acme/churn/.github/workflows/ci.yml@refs/heads/main"},
            "metadata": {"startedOn": "2026-11-21T10:00:00+00:00", "finishedOn": "2026-11-21T10:05:00+00:00"},
        },
    }
    subjects = [
        Subject(name="model.bin", digest={"md5": MD5, "sha256": SHA256}),
        Subject(name="commit", digest={"gitCommit": COMMIT}),
    ]
    return statements.statement(Kind.TRAINING, subjects, predicate)


def comparison(**said: Any) -> dict[str, Any]:
    """One gate of a verdict."""
    return {
        "metric": "test.roc_auc", "direction": "higher", "base": 0.8, "head": 0.81, "delta": 0.01,
        "interval": [-0.005, 0.025], "head_interval": [0.78, 0.84], "confidence": 0.95, "n": 1200, "method": "delong",
        "margin": 0.02, "floor": 0.7, "require": "no_regression", "severity": "block", "status": "held",
        "impact": "pass", "reason": "held", **said,
    }  # fmt: skip


def verdict(*comparisons: dict[str, Any], sentence: str = "All gates held.", **said: Any) -> Statement:
    """How it was judged."""
    gates = comparisons or (
        comparison(),
        comparison(slice={"plan": "pro"}, n=300, delta=-0.01, interval=[-0.03, 0.012]),
        comparison(
            metric="test.recall", head=None, delta=None, interval=None, head_interval=None, status="missing",
            impact="fail", reason="the column p is not there",
        ),
    )  # fmt: skip
    predicate = {
        "result": "PASSED",
        "ciMl": {
            "verdict": {"outcome": "pass", "sentence": sentence, "waivers": []},
            "base": {"sha": "f" * 40, "ref": "main"},
            "head": {"sha": COMMIT},
            "policy": {"digest": f"sha256:{SHA256}", "from": "base", "read_at": "2026-11-21T10:06:00+00:00"},
            "comparisons": list(gates),
            "testsets": [{"name": "test", "digest": f"md5:{MD5}", "look": 17, "of": 64}],
            **said,
        },
    }
    subjects = [
        Subject(name="commit", digest={"gitCommit": COMMIT}),
        Subject(name="model.bin", digest={"md5": MD5}),
    ]
    return statements.statement(Kind.VERDICT, subjects, predicate)


def promotion(model: str = "churn", **said: Any) -> Statement:
    """Who promoted it."""
    predicate = {
        "model": model,
        "version": "3",
        "aliases": ["champion"],
        "action": "promote",
        "commit": COMMIT,
        "outputs": {"model.bin": f"sha256:{SHA256}"},
        "approvals": [{"by": "ada", "at": "2026-11-21T11:00:00+00:00", "what": "approved"}],
        **said,
    }
    return statements.statement(Kind.PROMOTION, [Subject(name=model, digest={"sha256": SHA256})], predicate)
