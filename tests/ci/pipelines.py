"""Runs pipelines of GitLab by gitlab-ci-local."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ci.runners import REPOSITORY
from tests.e2e.project import DEADLINE, Project

PIPELINE = ".gitlab/ci-ml.yml"  # which .gitlab-ci.yml includes


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a pipeline ended, and what its jobs left in `state`, the folder of the runner."""

    code: int
    log: str
    state: Path
    times: Path

    def built(self, job: str) -> Path:
        """The work tree of a job after it ended."""
        return self.state / "builds" / job

    def jobs(self) -> dict[str, str]:
        """How each job ended, PASS or FAIL; one that did not start is not there. A child's jobs are said with its name."""
        ends = re.findall(r"^\s*(PASS|FAIL) +(?:\[\S+\] -> )?(\S+)", self.log, re.MULTILINE)
        return {job: end for end, job in ends}

    def failed(self) -> set[str]:
        """The jobs that failed, also those of a child pipeline, whose failure gitlab-ci-local keeps from its parent."""
        names = {job for job, end in self.jobs().items() if end == "FAIL"}
        assert bool(names) == (self.code != 0) or "downstream pipeline" in self.log, self.log
        return names

    def ran(self) -> set[str]:
        """The stages that ran to their end."""
        return {place.stem for place in self.times.glob("*.json")}

    def interval(self, stage: str) -> tuple[float, float]:
        """When a stage began and ended."""
        begin, end = json.loads((self.times / f"{stage}.json").read_bytes())
        return begin, end

    def report(self) -> Any:
        """What the gate left as an artifact."""
        return json.loads((self.state / "artifacts" / "gate" / ".ci-ml" / "report.json").read_bytes())


@dataclass(frozen=True, kw_only=True)
class Pipelines:
    """A project that jobs clone from, and the runner of its pipelines."""

    command: str
    project: Project
    folder: Path
    env: Mapping[str, str] = field(repr=False)

    def merge_request(self, commit: str, *, partners: bool = False) -> Run:
        """Run the pipeline of a merge request."""
        return self.run(
            commit,
            partners=partners,
            CI_PIPELINE_SOURCE="merge_request_event",
            CI_MERGE_REQUEST_IID="1",
            CI_MERGE_REQUEST_SOURCE_BRANCH_NAME="change",
            CI_MERGE_REQUEST_SOURCE_BRANCH_SHA=commit,
            CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main",
        )

    def run(self, commit: str, *, partners: bool = False, **variables: str) -> Run:
        """Run the pipeline of a commit, each job in a checkout of its own with nothing but the artifacts it needs."""
        clone = Project(root=self.folder / "clone", env=self.env)
        clone.root.mkdir()
        clone.git("init", "--quiet")
        clone.git("remote", "add", "origin", self.project.root.as_uri())
        clone.git("remote", "add", "gcl-origin", f"https://gitlab.example.org/{REPOSITORY}.git")
        clone.git("fetch", "--quiet", "--no-tags", "--depth", "20", "origin", f"+{commit}:refs/pipelines/1")
        clone.git("checkout", "--quiet", "--detach", commit)
        settled = {
            "GITLAB_CI": "true",
            "CI_COMMIT_SHA": commit,
            "CI_DEFAULT_BRANCH": "main",
            "CI_PROJECT_ID": "7",
            "CI_PIPELINE_ID": "41",
            **variables,
        }
        # In a file, because a child pipeline gets those too.
        (self.folder / "variables.yml").write_text(json.dumps(settled))
        source = settled.get("CI_PIPELINE_SOURCE", "push")
        # GitLab puts values into the variables of a trigger before it hands them on; gitlab-ci-local hands on the names.
        pipeline = clone.read(PIPELINE)
        clone.write(PIPELINE, pipeline.replace("CI_ML_EVENT: $CI_PIPELINE_SOURCE", f"CI_ML_EVENT: {source}"))
        clone.git("update-index", "--assume-unchanged", PIPELINE)
        gone = [] if "CI_COMMIT_BRANCH" in settled else ["--unset-variable", "CI_COMMIT_BRANCH"]
        times = self.folder / "times"
        times.mkdir()
        done = subprocess.run(
            [
                self.command,
                *("--state-dir", "../state", "--variables-file", "../variables.yml"),
                *("--force-shell-executor", "--shell-isolation", "--no-color", "--no-artifacts-to-source"),
                *("--variable", f"CI_PIPELINE_SOURCE={source}", *gone),
            ],
            cwd=clone.root,
            env={**self.env, "STAGE_TIMES": str(times), **({"STAGE_PARTNERS": "1"} if partners else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=2 * DEADLINE,
        )
        log = done.stdout.decode("utf-8", "replace")
        return Run(code=done.returncode, log=log, state=self.folder / "state", times=times)
