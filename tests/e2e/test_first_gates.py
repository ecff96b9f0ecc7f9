"""`ci-ml init` proposes gates that a test set can hold; `ci-ml selftest` counts how often gates cry wolf."""

import random
import re

import pytest

from ci_ml.core.config import load
from tests.e2e.project import Project

HEADER = "row_id,churned,p_churn,plan\n"


def scores(count: int, seed: int, *, noise: float = 0.0, constant: float = 0.0) -> str:
    """A table of predictions: the same examples for every seed, whose scores `noise` shakes and `constant` lowers."""
    same, own = random.Random(7), random.Random(seed)
    lines = []
    for index in range(count):
        label = int(same.random() < 0.3)
        score = same.gauss(0.35 + 0.3 * label, 0.18) + own.gauss(0, noise) - constant
        lines.append(f"{index},{label},{min(max(score, 0), 1):.4f},{same.choice(['free', 'pro'])}\n")
    return HEADER + "".join(lines)


@pytest.fixture(scope="module")
def history(started: Project) -> Project:
    """Two trainings of one model: 1,000 examples, of which the second scores each a little differently."""
    started.write("eval/p.csv", scores(1000, 1, noise=0.02))
    started.commit("one training")
    started.write("eval/p.csv", scores(1000, 2, noise=0.02))
    started.commit("another")
    return started


@pytest.fixture(scope="module")
def started(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(root=tmp_path_factory.mktemp("gates") / "project", env=environment)
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    return project


class TestInit:
    @pytest.mark.thorough
    def test_it_proposes_gates_that_pass_the_history_they_come_from(self, history: Project) -> None:
        text = history.ci_ml("init", "--dry-run").expect(0).out
        config = load(text.encode(), "proposed").config
        assert config.predictions["test"].path == "eval/p.csv"
        assert (config.predictions["test"].id, config.predictions["test"].label) == ("row_id", "churned")
        assert config.predictions["test"].score == "p_churn"
        assert {gate.metric for gate in config.gates} == {
            "test.recall",
            "test.precision",
            "test.roc_auc",
            "test.log_loss",
        }
        assert not (history.root / "ci-ml.yaml").exists()
        clone = history.clone("proposed")
        clone.ci_ml("init").expect(0)
        assert clone.read("ci-ml.yaml") == text
        report = clone.ci_ml("check", "--base", "HEAD~1", "--format", "json").expect(0).json()
        for item in report["comparisons"]:
            # Rounded up from what this very pair of versions can hold, and not by more than to the next round number.
            assert item["smallest_margin"] <= item["margin"] <= 2 * item["smallest_margin"]

    def test_it_estimates_margins_where_there_is_one_version_only(self, history: Project) -> None:
        alone = history.clone("alone", "--depth=1", url=f"file://{history.root}")
        text = alone.ci_ml("init", "--dry-run").expect(0).out
        assert text.count("estimated as if a retrained model changed 5% of its predictions") == 4
        estimated = {gate.metric: gate.margin.value for gate in load(text.encode(), "proposed").config.gates}
        assert all(margin > 0 for margin in estimated.values())
        # Two trainings that differ in 5 % of 1,000 classes: no margin of accuracy below this is held in 80 % of cases.
        assert estimated["test.recall"] >= (1.96 + 0.84) * (0.05 / 1000) ** 0.5

    def test_a_file_that_is_there_is_left_alone(self, history: Project) -> None:
        clone = history.clone("taken")
        clone.write("ci-ml.yaml", "mine")
        assert "ci-ml.yaml is there already" in clone.ci_ml("init").expect(2).err
        assert clone.read("ci-ml.yaml") == "mine"

    def test_what_only_the_user_knows_is_a_todo_that_check_refuses(self, history: Project) -> None:
        clone = history.clone("unknown")
        table = clone.read("eval/p.csv").replace("churned", "one").replace("row_id,", "row_id,two,")
        first, *rest = table.splitlines()
        rows = [f"{line.partition(',')[0]},{len(line) % 2},{line.partition(',')[2]}" for line in rest]
        clone.write("eval/p.csv", "\n".join([first, *rows]) + "\n")
        said = clone.ci_ml("init").expect(0).out
        assert "TODO" in said
        assert re.search(r"label: TODO # one of: two, one", clone.read("ci-ml.yaml"))
        assert "gates.0.margin" in clone.ci_ml("check").expect(2).err

    def test_numbers_in_metrics_files_need_a_direction(self, project: Project) -> None:
        project.remove("ci-ml.yaml")
        text = project.ci_ml("init", "--dry-run").expect(0).out
        assert "metric: metrics.json:accuracy\n    direction: TODO" in text
        assert "metric: metrics.json:loss.log" in text


class TestSelftest:
    CONFIG = """\
version: 1
predictions:
  test: {path: eval/p.csv, task: binary, id: row_id, label: churned, score: p_churn}
gates:
  - {metric: test.accuracy, margin: 0.05, slices: {by: plan}}
  - {metric: test.roc_auc, margin: 0.0001}
  - {metric: test.flips_to_wrong, margin: 0.01}
"""

    @pytest.mark.thorough
    def test_it_counts_false_alarms_and_passes(self, history: Project) -> None:
        clone = history.clone("tried")
        clone.write("ci-ml.yaml", self.CONFIG)
        said = clone.ci_ml("selftest", "--policy", "head", "--base", "HEAD~1", "--draws", "20").expect(0).out
        accuracy, slices, area = (
            re.search(rf"^{re.escape(name)} .* (\d+) of 20 .* (\d+) of 20", said, re.MULTILINE)
            for name in ("test.accuracy", "test.accuracy, any of its slices", "test.roc_auc")
        )
        assert accuracy, said
        assert slices, said
        assert area, said
        assert int(accuracy[1]) == 0, "with a margin of 5 points no exchange of two trainings is a regression"
        assert int(accuracy[2]) == 20
        assert int(area[1]) <= 4, "at most 2.5 % of 20, and what chance makes of that"
        assert int(area[2]) < 20, "a margin of 0.0001 cannot always be held"
        assert "test.flips_to_wrong: not tried" in said
        again = clone.ci_ml("selftest", "--policy", "head", "--base", "HEAD~1", "--draws", "20").expect(0).out
        assert again == said, "which examples are exchanged does not depend on the run"

    def test_sides_that_are_the_same_teach_nothing(self, history: Project) -> None:
        clone = history.clone("same")
        clone.write("ci-ml.yaml", self.CONFIG)
        said = clone.ci_ml("selftest", "--policy", "head", "--base", "HEAD", "--draws", "20").expect(11).out
        assert "Nothing was tried, so nothing is known." in said
        assert "both sides predict the same: name another base" in said

    def test_without_predictions_there_is_nothing_to_test(self, project: Project) -> None:
        project.commit("another commit")
        assert "no gate is on predictions" in project.ci_ml("selftest").expect(2).err
