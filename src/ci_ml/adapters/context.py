"""What the CI system's environment says about the change. Layer: adapters.

GitHub: https://docs.github.com/actions/reference/workflows-and-actions/variables and the event file.
GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_ml.core.types import Change, Run

_EVENT_BYTES = 32 * 1024 * 1024
_IS_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_PULL_REQUEST = ("pull_request", "pull_request_target")


def read(env: Mapping[str, str]) -> Change:
    """The change this process runs for; empty outside CI. An event file that cannot be read leaves its fields empty."""
    if env.get("GITHUB_ACTIONS") == "true":
        return _github(_plain(env))
    if env.get("GITLAB_CI") == "true":
        return _gitlab(_plain(env))
    return Change()


def _plain(env: Mapping[str, str]) -> dict[str, str]:
    """The environment as text that can be written: a branch's name may be any bytes."""
    kept = {name: value for name, value in env.items() if name.startswith(("GITHUB_", "CI_", "GITLAB_"))}
    return {
        name: value if name == "GITHUB_EVENT_PATH" else value.encode("utf-8", "replace").decode()
        for name, value in kept.items()
    }


def _github(env: Mapping[str, str]) -> Change:
    event = _event(env.get("GITHUB_EVENT_PATH"))
    if env.get("GITHUB_EVENT_NAME") == "workflow_run":
        return _after_another(event, env)
    server, repository, run = (env.get(key) for key in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"))
    is_pull = env.get("GITHUB_EVENT_NAME") in _PULL_REQUEST
    pull = event.get("pull_request") if is_pull else None
    queued = event.get("merge_group") if env.get("GITHUB_EVENT_NAME") == "merge_group" else None
    return Change(
        forge="github",
        event=env.get("GITHUB_EVENT_NAME"),
        head=_sha(_text(pull, "head", "sha") or _text(queued, "head_sha")),
        target=env.get("GITHUB_BASE_REF") or _branch(_text(queued, "base_ref")),
        base=_text(queued, "base_sha") or _before(event, env),
        is_merge=is_pull and env.get("GITHUB_REF", "").endswith("/merge"),
        ref=env.get("GITHUB_HEAD_REF") or env.get("GITHUB_REF_NAME"),
        repository=repository,
        number=_number(pull, "number"),
        outsider=_outsider(_text(pull, "head", "repo", "full_name"), env) if pull else None,
        checked_out=_sha(env.get("GITHUB_SHA")),
        run=Run(number=_count(run), attempt=_count(env.get("GITHUB_RUN_ATTEMPT"))),
        run_url=_run_url(f"{server}/{repository}/actions/runs/{run}", env) if server and repository and run else None,
    )


def _run_url(run: str, env: Mapping[str, str]) -> str:
    attempt = _count(env.get("GITHUB_RUN_ATTEMPT"))
    return f"{run}/attempts/{attempt}" if attempt else run


def _after_another(event: Mapping[str, Any], env: Mapping[str, str]) -> Change:
    """The change behind the run that started this one; all of it is GitHub's word, none of it the run's.

    `pull_requests` is empty for forks, so that the number has to be looked up:
    https://docs.github.com/webhooks/webhook-events-and-payloads#workflow_run
    """
    run = event.get("workflow_run")
    is_pull = _text(run, "event") in _PULL_REQUEST
    owner, branch = _text(run, "head_repository", "owner", "login"), _text(run, "head_branch")
    own, url, attempt = env.get("GITHUB_REPOSITORY"), _text(run, "html_url"), _number(run, "run_attempt")
    return Change(
        forge="github",
        event="workflow_run",
        head=_sha(_text(run, "head_sha")),
        ref=branch,
        repository=own,
        source=f"{owner}:{branch}" if is_pull and owner and branch else None,
        outsider=_outsider(_text(run, "head_repository", "full_name"), env) if is_pull else None,
        checked_out=_sha(_text(run, "head_sha")),
        run=Run(number=_number(run, "id") or 0, attempt=attempt or 0),
        run_url=f"{url}/attempts/{attempt}" if url and attempt else url,
    )


def _outsider(repository: str | None, env: Mapping[str, str]) -> str | None:
    """https://docs.github.com/code-security/dependabot/troubleshooting-dependabot/troubleshooting-dependabot-on-github-actions"""
    if repository != env.get("GITHUB_REPOSITORY"):  # also where the fork has been deleted
        return "a fork"
    return "Dependabot" if env.get("GITHUB_ACTOR") == "dependabot[bot]" else None


def _before(event: Mapping[str, Any], env: Mapping[str, str]) -> str | None:
    """What a push to the default branch found there. On other branches an earlier push is no base: it may be worse."""
    is_push = env.get("GITHUB_EVENT_NAME") == "push" and env.get("GITHUB_REF_TYPE", "branch") == "branch"
    default = _text(event, "repository", "default_branch")
    return _text(event, "before") if is_push and default and env.get("GITHUB_REF_NAME") == default else None


def _gitlab(env: Mapping[str, str]) -> Change:
    number = _count(env.get("CI_MERGE_REQUEST_IID")) or None
    on_default = bool(env.get("CI_COMMIT_BRANCH")) and env.get("CI_COMMIT_BRANCH") == env.get("CI_DEFAULT_BRANCH")
    target, source = (env.get(f"CI_MERGE_REQUEST_{side}PROJECT_ID") for side in ("", "SOURCE_"))
    return Change(
        forge="gitlab",
        event=env.get("CI_ML_EVENT") or env.get("CI_PIPELINE_SOURCE"),  # a child pipeline is told its parent's
        head=_sha(env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or env.get("CI_COMMIT_SHA")),
        target=env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        base=_text(dict(env), "CI_COMMIT_BEFORE_SHA") if on_default and number is None else None,
        is_merge=env.get("CI_MERGE_REQUEST_EVENT_TYPE") in ("merged_result", "merge_train"),
        ref=env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or env.get("CI_COMMIT_REF_NAME"),
        repository=target or env.get("CI_PROJECT_ID"),
        number=number,
        outsider="a fork" if source and source != target else None,
        checked_out=_sha(env.get("CI_COMMIT_SHA")),
        # A job that is retried keeps its pipeline and gets a new number of its own.
        run=Run(number=_count(env.get("CI_PIPELINE_ID")), attempt=_count(env.get("CI_JOB_ID"))),
        # A child pipeline has no statuses; it is told the number of its parent.
        pipeline=_count(env.get("CI_ML_PIPELINE") or env.get("CI_PIPELINE_ID")) or None,
        run_url=env.get("CI_JOB_URL"),
    )


def _count(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 19 else 0


def _number(value: Any, key: str) -> int | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 10**18 else None


def _event(path: str | None) -> dict[str, Any]:
    try:
        place = Path(path or "")
        if not place.is_file() or place.stat().st_size > _EVENT_BYTES:
            return {}
        event = json.loads(place.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _text(value: Any, *keys: str) -> str | None:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value.strip("0") else None


def _sha(value: str | None) -> str | None:
    return value if value and _IS_SHA.fullmatch(value) else None


def _branch(ref: str | None) -> str | None:
    return ref.removeprefix("refs/heads/") if ref else None
