"""The fakes as processes of their own, as jobs in containers see them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]

GITHUB = {
    "repositories": [
        {
            "name": "acme/churn",
            "collaborators": {"mona": "write"},
            "commits": ["f" * 40],
            "pulls": [
                {
                    "number": 7,
                    "head": "c" * 40,
                    "source": "stranger/churn",
                    "comments": [["mona", "hi"]],
                    "labels": [["mona", "ready"]],
                }
            ],
        }
    ],
    "tokens": [{"secret": "ghs_known", "permissions": {"pull-requests": "write"}}],
}
GITLAB = {
    "projects": [
        {
            "path": "acme/churn",
            "private": True,
            "members": {"mona": "developer"},
            "commits": ["f" * 40],
            "merge_requests": [{"iid": 7, "head": "c" * 40, "notes": [["mona", "hi"]], "labels": [["mona", "ready"]]}],
            "pipelines": [{"sha": "c" * 40, "ref": "refs/merge-requests/7/head"}],
        }
    ],
    "tokens": [{"secret": "glpat-known"}],
}


@pytest.mark.parametrize("dumped", [True, False])
@pytest.mark.parametrize(
    ("forge", "setup", "headers", "path"),
    [
        ("github", GITHUB, {"Authorization": "Bearer ghs_known"}, "/repos/acme/churn/issues/7/comments"),
        ("gitlab", GITLAB, {"PRIVATE-TOKEN": "glpat-known"}, "/projects/acme%2Fchurn/merge_requests/7/notes"),
    ],
)
def test_it_serves_until_it_is_told_to_stop_and_then_tells(
    forge: str, setup: dict[str, object], headers: dict[str, str], path: str, dumped: bool, tmp_path: Path
) -> None:
    (tmp_path / "setup.json").write_text(json.dumps(setup), encoding="utf-8")
    command = [sys.executable, "-m", f"tests.fakes.{forge}", "--setup", str(tmp_path / "setup.json")]
    command += ["--dump", str(tmp_path / "memory.json")] if dumped else []
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert requests.post(url + path, json={"body": "made"}, headers=headers, timeout=30).status_code == 201
        asked = requests.get(url.removesuffix("/api/v4") + "/_fake/state", timeout=30).json()
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    memory = json.loads((tmp_path / "memory.json").read_text(encoding="utf-8") if dumped else printed)
    assert process.returncode == 0
    assert memory == asked
    assert memory["requests"] == [f"POST {path} -> 201"]
    text = json.dumps(memory)
    assert '"body": "hi"' in text
    assert '"body": "made"' in text
    assert "_known" not in text
    assert "glpat" not in text
