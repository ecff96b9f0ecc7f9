"""What jobs that promote lack, by what the files of a forge say."""

import pytest

from ci_ml.core import lacking
from ci_ml.core.registry import RegisteredConfig
from ci_ml.core.workflow import ForgeKind, Promotion

MODELS = {"churn": RegisteredConfig(model="models/churn")}
GATE = "with: {}\nenv: {MLFLOW_TRACKING_URI: x}\n"
PROMOTES, GOES_BACK = "with:\n  command: promote\n", "with:\n  command: rollback\n"
NAMED = "MLFLOW_TRACKING_URI: ${{ secrets.URI }}\n"


def said(forge: ForgeKind, *files: str, models: tuple[str, ...] = ("churn",), alias: str = "champion") -> list[str]:
    found = Promotion(models=models, aliases=(alias,), environment="", runner=(), image="", timeout=60)
    return [lack.sentence for lack in lacking.of(forge, found, MODELS, files)]


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        ((PROMOTES + NAMED, GOES_BACK + NAMED, "another"), 0),
        ((PROMOTES + NAMED, GOES_BACK), 1),
        ((PROMOTES, GOES_BACK + NAMED), 1),
        ((GATE, PROMOTES, GOES_BACK), 1),
    ],
)
def test_jobs_of_github_get_what_their_files_name(files: tuple[str, ...], lacks: int) -> None:
    found = said(ForgeKind.GITHUB, *files)
    assert len(found) == lacks
    assert all("nothing gives MLFLOW_TRACKING_URI to the jobs that promote and take back" in one for one in found)


def test_gitlab_may_have_it_in_its_settings() -> None:
    assert said(ForgeKind.GITLAB, NAMED) == []
    (found,) = said(ForgeKind.GITLAB, PROMOTES)
    assert "without a variable of that name in the project's settings" in found


def test_what_is_promoted_is_registered() -> None:
    assert said(ForgeKind.GITLAB, NAMED, models=("churn", "fraud")) == [
        "pipelines: gitlab: promote names the model fraud, which is not under registry"
    ]
    assert said(ForgeKind.GITLAB, NAMED, alias="king") == [
        "pipelines: gitlab: promote names the alias king, which is not under registry.churn.aliases"
    ]


def test_gitlab_may_have_what_judges_in_its_settings() -> None:
    baseline, job = "mlflow:models:/churn@champion", '"models:gate":\n  script: []\n'
    (found,) = lacking.judging(ForgeKind.GITLAB, baseline, [job])
    assert found.sentence.endswith("without a variable of that name in the project's settings")
    assert not found.certain
    assert lacking.judging(ForgeKind.GITLAB, baseline, [job + "  variables: {MLFLOW_TRACKING_URI: x}\n"]) == ()
    assert lacking.judging(ForgeKind.GITLAB, baseline, ["other:\n  script: []\n"]) == ()
