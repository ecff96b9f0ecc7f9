"""What the CI system's environment says about the change. Layer: adapters.

GitHub: https://docs.github.com/actions/reference/workflows-and-actions/variables and the event file.
GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_ml.core.types import Change

_EVENT_BYTES = 32 * 1024 * 1024
_PULL_REQUEST = ("pull_request", "pull_request_target")


def read(env: Mapping[str, str]) -> Change:
    """The change this process runs for; empty outside CI. An event file that cannot be read leaves its fields empty."""
    if env.get("GITHUB_ACTIONS") == "true":
        return _github(env)
    if env.get("GITLAB_CI") == "true":
        return _gitlab(env)
    return Change()


def _github(env: Mapping[str, str]) -> Change:
    event = _event(env.get("GITHUB_EVENT_PATH"))
    server, repository, run = (env.get(key) for key in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"))
    is_pull = env.get("GITHUB_EVENT_NAME") in _PULL_REQUEST
    pull = event.get("pull_request") if is_pull else None
    queued = event.get("merge_group") if env.get("GITHUB_EVENT_NAME") == "merge_group" else None
    return Change(
        forge="github",
        head=_text(pull, "head", "sha") or _text(queued, "head_sha"),
        target=env.get("GITHUB_BASE_REF") or _branch(_text(queued, "base_ref")),
        base=_text(queued, "base_sha") or _before(event, env),
        is_merge=is_pull and env.get("GITHUB_REF", "").endswith("/merge"),
        ref=env.get("GITHUB_HEAD_REF") or env.get("GITHUB_REF_NAME"),
        run_url=f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None,
    )


def _before(event: Mapping[str, Any], env: Mapping[str, str]) -> str | None:
    """What a push to the default branch found there. On other branches an earlier push is no base: it may be worse."""
    is_push = env.get("GITHUB_EVENT_NAME") == "push" and env.get("GITHUB_REF_TYPE", "branch") == "branch"
    default = _text(event, "repository", "default_branch")
    return _text(event, "before") if is_push and default and env.get("GITHUB_REF_NAME") == default else None


def _gitlab(env: Mapping[str, str]) -> Change:
    in_merge_request = bool(env.get("CI_MERGE_REQUEST_IID"))
    on_default = bool(env.get("CI_COMMIT_BRANCH")) and env.get("CI_COMMIT_BRANCH") == env.get("CI_DEFAULT_BRANCH")
    return Change(
        forge="gitlab",
        head=env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or env.get("CI_COMMIT_SHA"),
        target=env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        base=_text(dict(env), "CI_COMMIT_BEFORE_SHA") if on_default and not in_merge_request else None,
        is_merge=env.get("CI_MERGE_REQUEST_EVENT_TYPE") in ("merged_result", "merge_train"),
        ref=env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or env.get("CI_COMMIT_REF_NAME"),
        run_url=env.get("CI_JOB_URL"),
    )


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


def _branch(ref: str | None) -> str | None:
    return ref.removeprefix("refs/heads/") if ref else None
