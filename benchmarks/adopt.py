"""Does `ci-ml init` fit repositories that others have made? Twenty of them, each at a commit.

`python -m benchmarks.adopt` needs the network. In a clone of each it runs `init` without a terminal, answers what that
leaves open (errors and losses are better when lower, everything else when higher, by 0.02), commits, and asks whether
the set-up is valid and passes. actionlint reads the workflows where it is installed. `--source` is where clones come
from, with {owner} and {name} in it.

A repository whose dvc.lock does not fit its own work tree cannot pass, because nothing is trained here: it counts as
undecided, which is what a gate has to say then.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

REPOSITORIES = {
    "01shriyansh/wineq_dvc": "d064ac10e6e4daadf092de840b06fc9902aa937c",
    "178shivam178/mlops-main": "208fab8552f22ac55a9938b849d7460c4724ce61",
    "antoineeudes/DVCPlayground": "1fedd7fd5a1e81265a51614f68cb77e5ac022a13",
    "BorisGrechkin/Prediction-of-Chemical-Reaction-Yields-with-Enhanced-Reaction-Representations": (
        "0528b5840b7c776a2d984feacc1298364ea7bc64"
    ),
    "CoffeeMugTwo/dvc_workflow_templates": "83dc8f42b55ec6365b8effac70babd430ff2bb5d",
    "daavoo/demo-fashion-mnist": "ac5663b913582bf1b557839578c03c16c7fd6741",
    "farhafathima33/random-forest-dvc-pipeline": "041ff3bf90b10f6faf3d754e009994c66e7146ef",
    "Himanshu-1703/experimation-through-pipelines": "6eed3165b3c71fd1a44757318e8398c365029aa5",
    "iterative/demo-bank-customer-churn": "79198bec852c03541c68322ba43281df349c99e4",
    "iterative/example-get-started": "06ea48980a34ef57041c9b905cafcb40d9c3ddbc",
    "iterative/magnetic-tiles-defect": "41a057cf9b9a4a738087c8ad046b99c21f4faf17",
    "iterative/pipeline-conifguration": "a20df1ba81f044c91f36bbdd484896a4f2e186c7",
    "iterative/workshop-uncool-mlops": "a8514cf8e6ca0fe89fe93e60e08e7b3de2c0398b",
    "Keriii/iris-classification": "110e1436b24281ac7e9e1d408c63146e9a73cf4f",
    "Lundez/ml-lifecycle-demo": "e8cb211ba33ae39f4ccd67743a8a5b2e9a778d9d",
    "mlrepa/evidently-dvc": "87b830dd88cf4fbe63d7395303d63d69b846426b",
    "nofalnadeem7/MLOps-DVC-Pipeline": "d71d04e41331e770d7bacbfab97c98911972eb43",
    "pirocheto/phishing-url-detection": "7b95aaabd2866b2813e78691b84f373aa1fc41ec",
    "PythonFZ/dvc-example-get-started": "ae0920ee03f7885ad30b67bd7474a603445e16c0",
    "tapadipti/mtbi_personality_types": "4088177b94bba9f0232bac286889924ed876989f",
}
WANTED = 10
_LOWER = re.compile(r"loss|error|mse|mae|rmse|mape|seconds|time", re.IGNORECASE)
_OUTCOMES = {0: "passes", 11: "undecided", 10: "blocked"}
# Nothing of theirs is run; what git asks for on the way is answered with no.
_ENV = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}


def main() -> int:
    """Print a line for each repository; exit 1 when fewer pass than promised, or one is left with a broken set-up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="https://github.com/{owner}/{name}.git")
    source = parser.parse_args().source
    found = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for repository, commit in REPOSITORIES.items():
            outcome, words = tried(repository, commit, source, Path(folder) / repository.replace("/", "-"))
            found[outcome] += 1
            print(f"{outcome:<10} {repository}{f': {words}' if words else ''}", flush=True)
    print(", ".join(f"{number} {outcome}" for outcome, number in found.most_common()))
    return 0 if found["passes"] >= WANTED and not found["broken"] else 1


def tried(repository: str, commit: str, source: str, place: Path) -> tuple[str, str]:
    """What becomes of a repository: passes, undecided, blocked, refused or broken; and a word on it."""
    owner, name = repository.split("/")
    told("git", "init", "--quiet", str(place))
    told("git", "fetch", "--quiet", "--depth=1", source.format(owner=owner, name=name), commit, place=place)
    told("git", "checkout", "--quiet", "-B", "main", "FETCH_HEAD", place=place)
    told("git", "remote", "add", "origin", f"https://github.com/{repository}.git", place=place)
    begun = ci_ml(place, "init")
    if begun.returncode:
        return "broken", _last(begun)
    settings = place / "ci-ml.yaml"
    settings.write_text(answered(settings.read_text(encoding="utf-8")), encoding="utf-8")
    told("git", "add", "--all", place=place)
    told("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "Gates", place=place)
    for argv, fine in ((("verify",), (0, 12)), (("generate", "--check"), (0,))):  # 12: dvc.lock is theirs
        valid = ci_ml(place, *argv)
        if valid.returncode not in fine:
            return ("broken" if "Traceback" in valid.stderr else "refused"), _last(valid)
    linter = shutil.which("actionlint")
    flows = sorted(place.glob(".github/workflows/ci-ml*.yml"))
    if linter and flows and (faults := run(place, linter, *map(str, flows))).returncode:
        return "broken", faults.stdout
    judged = ci_ml(place, "check", "--base", "HEAD~1")
    if "Traceback" in judged.stderr:
        return "broken", _last(judged)
    return _OUTCOMES.get(judged.returncode, "refused"), "" if judged.returncode == 0 else _last(judged)


def answered(text: str) -> str:
    """ci-ml.yaml with what a person would say to its questions."""

    def direction(found: re.Match[str]) -> str:
        return found[0].replace("TODO", "lower" if _LOWER.search(found[1]) else "higher", 1)

    text = re.sub(r"- metric: (.*)\n    direction: TODO", direction, text)
    text = text.replace("margin: TODO", "margin: 0.02")
    return re.sub(r"label: TODO # one of: ([^,\n]+).*", r"label: \1", text)


def ci_ml(place: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    """Run ci-ml there, as without a terminal."""
    return run(place, sys.executable, "-m", "ci_ml", *argv)


def told(*argv: str, place: Path | None = None) -> None:
    """Run a command that has to succeed."""
    done = run(place or Path.cwd(), *argv)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {_last(done)}")


def run(place: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    """Run a command and keep what it says."""
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(argv, cwd=place, env=_ENV, text=True, timeout=600, check=False, **silent)


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[0][:160] if lines else f"exit status {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
