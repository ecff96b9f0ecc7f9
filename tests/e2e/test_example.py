"""examples/churn does what its README says: every command of it is run, and ends as is written there."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.thorough

EXAMPLE = Path(__file__).parents[2] / "examples" / "churn"


def commands(section: str) -> list[tuple[str, int]]:
    """The commands of a section of the README, each with the exit code that it is said to end with."""
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert lines, f"there is no {section}"
    said = [re.fullmatch(r"(.*?)(?: +# exit code (\d+))?", line) for line in lines]
    return [(found[1], int(found[2] or 0)) for found in said if found and not found[1].startswith("pip install ")]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Project:
    root = tmp_path_factory.mktemp("example") / "churn"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(root=root, env=environment)


def followed(project: Project, section: str) -> str:
    """What the commands of a section say."""
    told = ""
    for command, code in commands(section):
        done = project.run("bash", "-c", command).expect(code)
        told += done.out
    return told


def branches(project: Project) -> dict[str, str]:
    """The branches, and where they are."""
    listed = project.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return dict(line.split() for line in listed)


def test_the_loop_closes_as_the_readme_says(example: Project) -> None:
    followed(example, "Train it once")
    assert "Nothing drifted." in followed(example, "Production is as it was")

    told = followed(example, "The prices rise")
    shown = re.search(r"```text\n(.*?)```", (EXAMPLE / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    assert shown[1] in told

    champion = example.git("rev-parse", "main")
    for command, code in commands("A challenger")[:1]:
        example.run("bash", "-c", command).expect(code)
    report = json.loads(example.read(".ci-ml/report.json"))
    (accuracy,) = (item for item in report["comparisons"] if item["metric"] == "test.accuracy")
    assert accuracy["status"] == "improved"
    challenger = branches(example)["ci-ml/retrain"]
    assert example.git("rev-parse", f"{challenger}^") == champion
    for command, code in commands("A challenger")[1:]:
        example.run("bash", "-c", command).expect(code)
    assert example.git("rev-parse", "main") == challenger
    assert "Nothing drifted." in example.ci_ml("monitor").expect(0).out

    followed(example, "A bad challenger")
    assert branches(example) == {"main": challenger, "ci-ml/retrain": challenger}
    record = [json.loads(line) for line in example.git("show", "refs/ci-ml/retraining:entries.jsonl").splitlines()]
    ends = [(entry["why"], entry["outcome"]) for entry in record if entry["event"] == "ended"]
    assert ends == [("production drifted", "pass"), ("a new export", "fail")]
    assert example.status() == ""

    story = followed(example, "An auditor asks")
    asked = ("1. What data?", "2. What code, in what environment?", "3. What evidence,", "4. Who approved it?")
    assert [question for question in asked if question not in story] == []
    said = (("data/customers.csv", "md5:"), ("src/train.py", "md5:"), ("test.accuracy", "improved"), ("put in place",))
    assert [
        words for words in said if not any(all(word in line for word in words) for line in story.splitlines())
    ] == []
    assert challenger in story
    assert "the ledger holds" in story
    assert "bitwise equal" in story

    told = followed(example, "And back")
    assert "champion of churn is version 1" in told
    assert "complaints since noon" in told
    assert example.status() == ""
