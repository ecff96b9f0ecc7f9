"""`ci-ml init` is the way in: ci-ml.yaml and the CI files of an existing repository, or an example's whole pipeline."""

import os
import pty
from pathlib import Path

import pytest

from ci_ml.core.config import load
from tests.e2e.project import DEADLINE, Project, ended

pytestmark = pytest.mark.thorough

GITHUB = "git@github.com:ada/churn.git"
GITLAB = "https://oauth2:glpat-secret@gitlab.com/ada/churn.git"
WORKFLOWS = (".github/workflows/ci-ml.yml", ".github/workflows/ci-ml-publish.yml")


@pytest.fixture
def bare(project: Project) -> Project:
    """A DVC project that knows nothing of ci-ml, whose remote is on GitHub."""
    project.remove("ci-ml.yaml")
    project.commit("without ci-ml")
    project.git("remote", "add", "origin", GITHUB)
    return project


def filled(project: Project) -> None:
    """Do what the TODOs of ci-ml.yaml ask for."""
    text = project.read("ci-ml.yaml")
    for name, way in (("metrics.json:accuracy", "higher"), ("metrics.json:loss.log", "lower")):
        old = f"metric: {name}\n    direction: TODO"
        assert old in text
        text = text.replace(old, f"metric: {name}\n    direction: {way}")
    assert "direction: TODO" not in text
    project.write("ci-ml.yaml", text)


class TestOnAnExistingRepository:
    def test_it_writes_what_a_gated_pull_request_takes(self, bare: Project) -> None:
        said = bare.ci_ml("init").expect(0).out
        for line in (
            "pipeline        3 stages of DVC",
            "metrics         metrics.json:accuracy, metrics.json:loss.log",
            "forge           github: the remote is at github.com",
            "default branch  main",
            "DVC remote      ../../remote",
            "1. fill in the 2 lines of ci-ml.yaml with TODO",
            "require the status check `gate` on main (`ci-ml doctor` looks whether it is)",
        ):
            assert line in said
        assert all((bare.root / path).is_file() for path in WORKFLOWS)
        assert "gates.0.direction" in bare.ci_ml("check").expect(2).err
        filled(bare)
        bare.commit("Gate changes with ci-ml")
        assert bare.ci_ml("generate", "--check").expect(0).out == ""
        bare.ci_ml("check").expect(0)
        bare.branch()
        bare.edit("params.yaml", "rate: 0.1", "rate: -0.0001")
        bare.commit("learn the contrary")
        assert "metrics.json:loss.log rose from" in bare.ci_ml("ci", "--no-publish").expect(10).out

    def test_it_names_the_secrets_of_the_dvc_remote_and_never_shows_credentials(self, bare: Project) -> None:
        bare.dvc("remote", "add", "--default", "--force", "storage", "s3://data/churn")
        said = bare.ci_ml("init").expect(0).out
        assert "for the DVC remote, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (Settings → Secrets and variables" in said
        bare.remove("ci-ml.yaml")
        bare.dvc("remote", "add", "--default", "--force", "storage", "https://ada:secret@example.org/churn")
        said = bare.ci_ml("init").expect(0).out
        assert "DVC remote      https://example.org/churn" in said
        assert "secret@" not in said

    def test_a_gitlab_project_gets_gitlabs_files(self, bare: Project) -> None:
        bare.git("remote", "set-url", "origin", GITLAB)
        said = bare.ci_ml("init").expect(0).out
        assert "forge           gitlab: the remote is at gitlab.com" in said
        assert "tick `Pipelines must succeed`" in said
        assert "glpat-secret" not in said
        assert bare.yaml(".gitlab-ci.yml") == {"include": [{"local": "/.gitlab/ci-ml.yml"}]}
        assert not (bare.root / ".github").exists()
        filled(bare)
        bare.ci_ml("generate", "--check").expect(0)

    @pytest.mark.parametrize(
        ("path", "theirs", "line", "said"),
        [
            (
                ".gitlab-ci.yml",
                "stages: [build, deploy]\n",
                'stage: "deploy"',
                "has the stages build, deploy and no test",
            ),
            (".gitlab-ci.yml", "gate: {script: make}\n", 'prefix: "ci-ml"', "has a job gate, too"),
            (
                ".github/workflows/own.yml",
                "on: push\njobs: {gate: {runs-on: a, steps: [{run: make}]}}\n",
                'prefix: "ci-ml"',
                "has a check gate, too",
            ),
        ],
    )
    def test_jobs_get_a_name_and_a_stage_that_fit_what_is_there(
        self, bare: Project, path: str, theirs: str, line: str, said: str
    ) -> None:
        bare.git("remote", "remove", "origin")
        bare.write(path, theirs)
        bare.commit("CI of its own")
        done = bare.ci_ml("init").expect(0)
        assert f"{path} {said}" in done.out
        assert f"\n    {line}\n" in bare.read("ci-ml.yaml")
        if "prefix" in line and "github" in path:
            assert "require the status check `ci-ml:gate`" in done.out

    def test_a_gitlab_ci_yml_of_your_own_stays_and_has_to_include_ours(self, bare: Project) -> None:
        bare.write(".gitlab-ci.yml", "test: {script: make test}\n")
        bare.git("remote", "remove", "origin")
        said = bare.ci_ml("init").expect(0).out
        assert "forge           gitlab: there is .gitlab-ci.yml" in said
        assert "add to .gitlab-ci.yml: include: [{local: /.gitlab/ci-ml.yml}]" in said
        assert bare.read(".gitlab-ci.yml") == "test: {script: make test}\n"

    @pytest.mark.parametrize("path", [".github/workflows/ci-ml.yml", ".github/workflows/gate.yml"])
    def test_a_workflow_that_people_wrote_is_left_alone(self, bare: Project, path: str) -> None:
        mine = "on: pull_request\njobs:\n  mine:\n    runs-on: ubuntu-latest\n    steps: [{run: ci-ml ci}]\n"
        bare.write(path, mine)
        said = bare.ci_ml("init").expect(0).out
        assert f"left alone: {path}" in said
        assert bare.read(path) == mine
        assert [place.name for place in (bare.root / ".github/workflows").iterdir()] == [Path(path).name]
        filled(bare)
        assert load(bare.read("ci-ml.yaml").encode(), "it").config.pipelines == ()
        bare.write("ci-ml.yaml", bare.read("ci-ml.yaml").replace("# pipelines:", "pipelines:").replace("#   ", "  "))
        bare.ci_ml("generate", "--force").expect(0)
        bare.ci_ml("generate", "--check").expect(0)

    def test_another_default_branch_is_written_down(self, bare: Project) -> None:
        bare.git("branch", "--move", "main", "trunk")
        assert "default branch  trunk" in bare.ci_ml("init").expect(0).out
        assert 'branch: "trunk"' in bare.read("ci-ml.yaml")
        assert "trunk" in bare.read(WORKFLOWS[0])

    def test_a_dry_run_prints_every_file_and_writes_none(self, bare: Project) -> None:
        done = bare.ci_ml("init", "--dry-run").expect(0)
        assert bare.status() == ""
        bare.ci_ml("init").expect(0)
        for path in ("ci-ml.yaml", *WORKFLOWS):
            assert f"# --- {path} ---\n{bare.read(path)}" in done.out
        assert "forge           github" in done.err

    def test_without_a_forge_there_are_no_ci_files_unless_asked_for(self, bare: Project) -> None:
        bare.git("remote", "remove", "origin")
        said = bare.ci_ml("init").expect(0).out
        assert "forge           unknown: git has no remote on a server, and there are no CI files" in said
        assert bare.status() == "?? ci-ml.yaml"
        bare.remove("ci-ml.yaml")
        bare.ci_ml("init", "--forge", "gitlab").expect(0)
        assert (bare.root / ".gitlab/ci-ml.yml").is_file()

    def test_the_only_requirements_are_installed_wherever_they_are(self, bare: Project) -> None:
        bare.write("src/requirements.txt", "pyyaml\n")
        assert "packages        python -m pip install -r src/requirements.txt" in bare.ci_ml("init").expect(0).out
        assert "python -m pip install -r src/requirements.txt" in bare.read(WORKFLOWS[0])

    def test_a_stale_pipeline_is_said_to_be_one(self, bare: Project) -> None:
        bare.edit("params.yaml", "steps: 3", "steps: 4")
        said = bare.ci_ml("init").expect(0).out
        assert "dvc.lock is out of date for train, evaluate" in said
        assert "ci-ml train, and commit what it writes" in said

    def test_a_pipeline_that_dvc_refuses_has_to_be_mended(self, bare: Project) -> None:
        bare.edit("dvc.yaml", "    outs: [model.json]", "    outs: [model.json]\n    live: here")
        assert "mend the pipeline, which DVC refuses: dvc.yaml: stages.train.live" in bare.ci_ml("init").expect(0).out

    def test_metrics_that_are_not_here_have_to_be_named(self, bare: Project) -> None:
        bare.remove("metrics.json")
        bare.ci_ml("init").expect(0)
        text = bare.read("ci-ml.yaml")
        assert "# metrics.json is not here" in text
        assert "metric: metrics.json:TODO" in text

    def test_it_asks_on_a_terminal(self, bare: Project) -> None:
        ours, theirs = pty.openpty()
        os.write(ours, b"higher\nskip\n")
        with ended(bare.start("init", stdin=theirs, stdout=theirs, stderr=theirs)) as process:
            os.close(theirs)
            assert process.wait(DEADLINE) == 0
        os.close(ours)
        gates = load(bare.read("ci-ml.yaml").encode(), "it").config.gates
        assert [(gate.metric, gate.direction) for gate in gates] == [("metrics.json:accuracy", "higher")]


class TestWithNothingToJudge:
    def test_a_repository_without_anything(self, empty: Project) -> None:
        empty.write("README.md", "nothing yet")
        empty.commit()
        said = empty.ci_ml("init").expect(2).err
        assert "there is no DVC pipeline, no metrics file and no table of predictions here" in said
        assert "`ci-ml init --example classification` (or regression) starts a pipeline that works" in said
        assert empty.status() == ""

    def test_one_that_logs_to_mlflow_alone(self, empty: Project) -> None:
        empty.write("train.py", "import mlflow\nmlflow.log_metric('accuracy', 0.9)\n")
        empty.commit()
        assert "the numbers of this repository go to MLflow alone" in empty.ci_ml("init").expect(2).err
        empty.write("results/metrics.json", {"accuracy": 0.9})
        empty.ci_ml("init").expect(0)
        assert "metric: results/metrics.json:accuracy" in empty.read("ci-ml.yaml")

    def test_a_pipeline_in_a_folder_below(self, empty: Project) -> None:
        empty.write("models/churn/dvc.yaml", {"stages": {"train": {"cmd": "true"}}})
        empty.commit()
        assert "run `ci-ml init` in models/churn" in empty.ci_ml("init").expect(2).err
        (empty.root / "models/churn/.dvc").mkdir()
        said = empty.ci_ml("init", "--forge", "github", cwd="models/churn").expect(0).out
        assert "git add :/models/churn/ci-ml.yaml :/.github/workflows/ci-ml-models--churn-publish.yml" in said
        assert "require the status check `gate models/churn` on main" in said
        assert "name: gate models/churn" in empty.read(".github/workflows/ci-ml-models--churn.yml")


class TestExamples:
    @pytest.mark.parametrize(("name", "address"), [("classification", GITHUB), ("regression", GITLAB)])
    def test_one_passes_from_its_first_commit_on(self, empty: Project, name: str, address: str) -> None:
        empty.git("remote", "add", "origin", address)
        empty.write(".gitignore", "/mine")
        said = empty.ci_ml("init", "--example", name).expect(0).out
        assert "pip install -r requirements.txt" in said
        assert empty.read(".gitignore").startswith("/mine\n__pycache__/\n")
        empty.commit("A pipeline and its gates")
        report = empty.ci_ml("ci", "--no-publish", "--format", "json").expect(0).json()
        assert report["base"]["why"] == "the first commit, before it was trained"
        assert {item["status"] for item in report["comparisons"]} == {"new"}
        empty.ci_ml("generate", "--check").expect(0)
        empty.commit("Train the first model")
        empty.branch()
        empty.write("README.md", "a change that changes nothing")
        empty.commit()
        report = empty.ci_ml("ci", "--no-publish", "--format", "json").expect(0).json()
        assert {item["status"] for item in report["comparisons"]} == {"unchanged"}

    def test_one_overwrites_nothing(self, empty: Project) -> None:
        empty.write("train.py", "mine")
        empty.write("params.yaml", "mine: 1\n")
        said = empty.ci_ml("init", "--example", "regression").expect(2).err
        assert "the example would overwrite params.yaml, train.py" in said
        assert empty.status() == "?? params.yaml\n?? train.py"

    def test_one_has_no_place_beside_a_pipeline(self, bare: Project) -> None:
        assert "there is a pipeline here already" in bare.ci_ml("init", "--example", "regression").expect(2).err

    def test_a_dry_run_of_one_writes_nothing(self, empty: Project) -> None:
        out = empty.ci_ml("init", "--example", "classification", "--forge", "github", "--dry-run").expect(0).out
        assert "# --- prepare.py ---" in out
        assert "pip install -r requirements.txt" in out
        assert [place.name for place in empty.root.iterdir()] == [".git"]
