"""A repository around ci-ml.yaml, as far as its CI files depend on it."""

from ci_ml.core.resolve import Surroundings
from ci_ml.core.workflow import ForgeKind

ACTION = {ForgeKind.GITHUB: "ci-ml/ci-ml@v0.1.0", ForgeKind.GITLAB: "https://gitlab.example.org/tools/ci-ml.git@v0.1.0"}


def around(
    *,
    lock: str = "requirements.txt",
    remote: str | None = "s3://data",
    folder: str = "",
    name: str = "tumours",
    config: str | None = None,
) -> Surroundings:
    """One that holds a lock file of a package manager, and ci-ml.yaml in `folder`."""
    return Surroundings(
        files=frozenset({lock}),
        read=lambda _: "",
        folder=folder,
        config=f"{folder}/ci-ml.yaml".lstrip("/") if config is None else config,
        name=name,
        branch="main",
        remote=remote,
        action=ACTION,
        version="0.1.0",
    )
