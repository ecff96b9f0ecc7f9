"""CI systems that run workflow files on this machine, and the forge that they check changes out from."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.project import DEADLINE, Project, Result
from tests.fakes import github as fake

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "breast-cancer"
REPOSITORY = "acme/tumours"

# Machines that workflows ask for, which is always this one.
LABELS = ("ubuntu-latest", "ubuntu-24.04")

# actions/NAME@… in a workflow is ours of the same name; act takes the commit as it is written there.
STAND_INS = Path(__file__).parent / "actions"


def set_up(checkout: Path, tools: Path, env: Mapping[str, str], *, folder: Path | None = None) -> Result:
    """Run the real set-up script, with packages out of uv's cache if they are there, else from the registry.

    It runs in `folder`, else where there is no repository.
    """
    script = checkout / "templates" / "setup.sh"
    for offline in ({"UV_OFFLINE": "1"}, {}):
        settled = {**env, **offline, "RUNNER_TOOL_CACHE": str(tools)}
        done = Project(root=folder or tools, env=settled).run("bash", str(script))
        if done.code == 0:
            break
    return done


@dataclass(frozen=True, kw_only=True)
class Change:
    """A pull request: its number, what it edits, and the commits that the forge makes of it."""

    number: int
    branch: str
    head: str
    merge: str
    base: str


@dataclass(frozen=True, kw_only=True)
class Forge:
    """A bare repository with main and pull requests, and the folder where its DVC remote is."""

    url: str
    project: Project
    trained: str
    changes: Mapping[str, Change]

    @property
    def main(self) -> str:
        """The newest commit of main."""
        return self.project.git("rev-parse", "main")


# What people propose. The second trains the same model, and says where it was trained.
PROPOSALS = {
    "worse": ("params.yaml", "class_weight: balanced", "class_weight: none"),
    "better": ("params.yaml", "features: [mean]", "features: [mean, error, worst]"),
}
WHERE = """
import importlib.util
import sys

print("trained in", sys.prefix)
print("with click" if importlib.util.find_spec("click") else "without click")
"""


def forge(folder: Path, env: Mapping[str, str]) -> Forge:
    """Build the example's repository: main is trained, then moves on; each proposal is a pull request that is not trained."""
    shutil.copytree(EXAMPLE, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    project = Project(root=folder / "project", env=env)
    project.git("init", "--quiet", "--initial-branch=main")
    assert project.run(sys.executable, "src/fetch.py").code == 0
    project.dvc("init", "--quiet")
    project.dvc("remote", "add", "--quiet", "--default", "storage", str(folder / "storage"))
    project.dvc("add", "--quiet", "data/tumours.csv")
    project.commit("A pipeline, its data and its gates")
    project.ci_ml("train").expect(0)
    project.dvc("push", "--quiet")
    trained = project.commit("Train the baseline")
    project.write("NOTES.md", "What main says after the changes began.\n")
    project.commit("A note")

    return hosted(
        project,
        trained,
        {
            name: [(path, old, new), *([("src/train.py", "", WHERE)] if name == "better" else [])]
            for name, (path, old, new) in PROPOSALS.items()
        },
    )


def hosted(project: Project, start: str, proposals: Mapping[str, Sequence[tuple[str, str, str]]]) -> Forge:
    """A bare repository beside a project, with a pull request from `start` for each proposal.

    A proposal is edits: a file, what is replaced in it, by what; nothing is replaced by what is added at the end.
    """
    bare = project.root.parent / "forge.git"
    project.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    for setting in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):  # as on GitHub and GitLab
        project.git("--git-dir", str(bare), "config", setting, "true")
    changes = {}
    for number, (name, edits) in enumerate(proposals.items(), start=1):
        project.git("checkout", "--quiet", "-b", name, start)
        for path, old, new in edits:
            if old:
                project.edit(path, old, new)
            else:
                project.write(path, project.read(path) + new)
        head = project.commit(f"Propose: {name}")
        project.git("checkout", "--quiet", "--detach", "main")
        project.git("merge", "--quiet", "--no-ff", "--no-edit", name)
        merge = project.git("rev-parse", "HEAD")
        project.git(
            "push", "--quiet", str(bare), f"{head}:refs/pull/{number}/head", f"{merge}:refs/pull/{number}/merge"
        )
        base = project.git("rev-parse", "main")
        changes[name] = Change(number=number, branch=name, head=head, merge=merge, base=base)
    project.git("checkout", "--quiet", "main")
    project.git("push", "--quiet", str(bare), "--all")
    return Forge(url=bare.as_uri(), project=project, trained=start, changes=changes)


@contextmanager
def served(forge: Forge) -> Iterator[fake.GitHub]:
    """GitHub, as it knows the forge's repository and its pull requests."""
    with fake.GitHub() as server:
        repository = server.repository(REPOSITORY, collaborators={"mona": "write"})
        repository.commit(forge.main, branch="main")
        for change in forge.changes.values():
            repository.pull(change.number, head=change.head, branch=change.branch, base=change.base)
        yield server


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a job ended: the runner's exit code, its log, and the artifacts that the job left."""

    code: int
    log: str
    artifacts: Path

    def report(self) -> dict[str, Any]:
        """The report that the job left as an artifact."""
        return dict(json.loads((self.artifacts / "ci-ml-report" / "report.json").read_bytes()))


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """Runs workflows of the forge's repository with act, on this machine."""

    act: str
    action: Path
    folder: Path
    forge: Forge
    env: Mapping[str, str] = field(repr=False)

    def run(
        self,
        event: str,
        payload: Mapping[str, Any],
        commit: str,
        *,
        branch: str | None = None,
        workflow: str = ".github/workflows/ci-ml.yml",
        content: str | None = None,
        token: str = "a-token",
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Run:
        """Run a workflow for an event on a commit: of a branch, or one that is on none. `content` is another workflow."""
        clone = self._clone(commit, branch)
        if content is not None:
            workflow = ".github/workflows/another.yml"
            (clone / workflow).write_text(content)
        (self.folder / "event.json").write_text(json.dumps(payload))
        artifacts = self.folder / "artifacts"
        if event != "workflow_run":  # which is there for those of another run
            shutil.rmtree(artifacts, ignore_errors=True)
        artifacts.mkdir(exist_ok=True)
        actions = {place.name: place for place in STAND_INS.iterdir()}
        done = subprocess.run(
            [
                self.act,
                event,
                *("--directory", str(clone), "--workflows", workflow, "--eventpath", str(self.folder / "event.json")),
                *(part for label in LABELS for part in ("--platform", f"{label}=-self-hosted")),
                *("--action-cache-path", str(self.folder / "act")),
                # Jobs wait for each other, and not for a processor of this machine.
                *("--no-skip-checkout", "--no-cache-server", "--concurrent-jobs", "8"),
                *(
                    part
                    for use in _uses(clone / workflow, actions, self.action)
                    for part in ("--local-repository", use)
                ),
                *("--secret", f"GITHUB_TOKEN={token}"),
                *(part for pair in (secrets or {}).items() for part in ("--secret", "=".join(pair))),
                *(part for pair in (env or {}).items() for part in ("--env", "=".join(pair))),
            ],
            env={**self.env, "FORGE": self.forge.url, "ARTIFACTS": str(artifacts)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=2 * DEADLINE,
        )
        return Run(code=done.returncode, log=done.stdout.decode("utf-8", "replace"), artifacts=artifacts)

    def _clone(self, commit: str, branch: str | None) -> Path:
        """Where act finds the workflow file, the commit, and which repository this is."""
        clone = self.folder / "clone"
        shutil.rmtree(clone, ignore_errors=True)
        git = self.forge.project
        git.git("clone", "--quiet", "--no-checkout", str(git.root), str(clone))
        here = Project(root=clone, env=git.env)
        here.git("remote", "set-url", "origin", f"https://github.com/{REPOSITORY}.git")
        here.git("checkout", "--quiet", *(("-B", branch, commit) if branch else ("--detach", commit)))
        return clone

    def pull_request(self, change: Change, *, fork: bool = False, **options: Any) -> Run:
        """Run the workflow for a pull request, of a branch here or in a fork."""
        home = {"full_name": "somebody/tumours" if fork else REPOSITORY, "fork": fork}
        base = {"full_name": REPOSITORY, "fork": False, "default_branch": "main"}
        payload = {
            "action": "synchronize",
            "number": change.number,
            "pull_request": {
                "number": change.number,
                "head": {"ref": change.branch, "sha": change.head, "repo": home},
                "base": {"ref": "main", "sha": change.base, "repo": base},
                "labels": [],
            },
            "repository": base,
        }
        return self.run("pull_request", payload, change.merge, **options)


def _uses(workflow: Path, actions: Mapping[str, Path], ours: Path) -> list[str]:
    """`OWNER/NAME@REF=FOLDER` for every action of a workflow, and of those that it calls, which are ours."""
    lines = (line.strip().removeprefix("- ") for line in workflow.read_text().splitlines())
    used = [line.removeprefix("uses: ").split("#")[0].strip() for line in lines if line.startswith("uses: ")]
    found: dict[str, None] = {}
    for place, _, ref in (use.partition("@") for use in used):
        if place.startswith("./"):  # another workflow of the same repository, which act finds by itself
            found |= dict.fromkeys(_uses(workflow.parents[2] / place, actions, ours))
            continue
        owner, name, *path = place.split("/")
        found[f"{owner}/{name}@{ref}={actions.get(name, ours)}"] = None
        if path:
            found |= dict.fromkeys(_uses(ours.joinpath(*path), actions, ours))
    return list(found)


@dataclass(frozen=True, kw_only=True)
class GitLab:
    """Runs pipelines of the forge's repository with gitlab-ci-local, on this machine and without containers."""

    command: str
    folder: Path
    forge: Forge
    source: str
    release: str
    template: str
    env: Mapping[str, str] = field(repr=False)

    def run(self, commit: str, variables: Mapping[str, str], *, file: str | None = None) -> Run:
        """Run a pipeline on a commit, checked out as a runner of GitLab does it; `file` is another .gitlab-ci.yml."""
        clone = Project(root=self.folder / "clone", env=self.env)
        shutil.rmtree(clone.root, ignore_errors=True)
        clone.root.mkdir()
        clone.git("init", "--quiet")
        clone.git("remote", "add", "origin", self.forge.url)
        clone.git("remote", "add", "gcl-origin", f"https://gitlab.example.org/{REPOSITORY}.git")
        clone.git("fetch", "--quiet", "--no-tags", "--depth", "20", "origin", f"+{commit}:refs/pipelines/1")
        clone.git("checkout", "--quiet", "--detach", commit)
        pipeline = self.folder / "pipeline.yml"
        pipeline.write_text(file or self.example())
        settled = {
            "GITLAB_CI": "true",
            "CI_COMMIT_SHA": commit,
            "CI_DEFAULT_BRANCH": "main",
            "CI_PROJECT_ID": "7",
            "CI_PIPELINE_ID": "41",
            "CI_JOB_URL": f"https://gitlab.example.org/{REPOSITORY}/-/jobs/1",
            **({} if file else {"CI_ML_SOURCE": self.source}),
            **variables,
        }
        gone = [name for name in ("CI_COMMIT_BRANCH",) if name not in variables]
        done = subprocess.run(
            [
                self.command,
                *("--file", "../pipeline.yml", "--state-dir", "../state"),
                *("--force-shell-executor", "--no-color"),
                *(part for pair in settled.items() for part in ("--variable", "=".join(pair))),
                *(part for name in gone for part in ("--unset-variable", name)),
            ],
            cwd=clone.root,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
        )
        return Run(code=done.returncode, log=done.stdout.decode("utf-8", "replace"), artifacts=clone.root)

    def example(self) -> str:
        """The example's pipeline, with the template from the server of these tests."""
        lines = (EXAMPLE / ".gitlab-ci.yml").read_text().splitlines(keepends=True)
        remotes = [index for index, line in enumerate(lines) if line.strip().startswith("- remote: ")]
        assert len(remotes) == 1
        lines[remotes[0]] = f"  - remote: {self.template}\n"
        return "".join(lines)

    def merge_request(self, change: Change, variables: Mapping[str, str]) -> Run:
        """Run the pipeline of a merge request, on the merge of its branch into the target."""
        settled = {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_COMMIT_REF_NAME": change.branch,
            "CI_MERGE_REQUEST_IID": str(change.number),
            "CI_MERGE_REQUEST_EVENT_TYPE": "merged_result",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": change.branch,
            "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": change.head,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": change.base,
        }
        return self.run(change.merge, {**settled, **variables})
