"""Blobs, trees, commits and references, as GitHub's API makes them: https://docs.github.com/rest/git."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.server import Answer

_PERSON = {"name": "Ada", "email": "ada@example.org", "date": "2026-01-01T00:00:00Z"}
_UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


@dataclass
class Objects:
    """What was made of a repository: trees hold the blob of each path, commits their tree."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, dict[str, str]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)

    def at(self, sha: str) -> dict[str, bytes]:
        """The files of a commit."""
        return {path: self.blobs[blob] for path, blob in self.trees[self.commits[sha]].items()}


def _sha(kind: str, *parts: object) -> str:
    return hashlib.sha1(repr((kind, *parts)).encode()).hexdigest()


def _root(call: Any, repo: Any) -> str:
    return f"{call.forge.url}/repos/{repo.name}/git"


def _blob(call: Any) -> Answer:
    repo, sent = call.repository(), call.document()
    try:
        encoded = sent.get("encoding") == "base64"
        data = base64.b64decode(sent["content"], validate=True) if encoded else sent["content"].encode()
    except (binascii.Error, KeyError):
        raise call.refused(422, "content is not valid Base64") from None
    sha = _sha("blob", data)
    repo.objects.blobs[sha] = data
    return Answer(201, {"sha": sha, "url": f"{_root(call, repo)}/blobs/{sha}"})


def _tree(call: Any) -> Answer:
    repo, sent = call.repository(), call.document()
    base = sent.get("base_tree")
    if base is not None and base not in repo.objects.trees:
        raise call.refused(404, "Not Found")
    entries = dict(repo.objects.trees.get(base, {}))
    for entry in sent["tree"]:
        if entry["sha"] not in repo.objects.blobs:
            raise call.refused(422, f"tree.sha {entry['sha']} is not a valid blob")
        entries[entry["path"]] = entry["sha"]
    sha = _sha("tree", sorted(entries.items()))
    repo.objects.trees[sha] = entries
    root = _root(call, repo)
    listed = [
        {
            "path": path,
            "mode": "100644",
            "type": "blob",
            "sha": blob,
            "size": len(repo.objects.blobs[blob]),
            "url": f"{root}/blobs/{blob}",
        }
        for path, blob in entries.items()
    ]
    return Answer(201, {"sha": sha, "url": f"{root}/trees/{sha}", "truncated": False, "tree": listed})


def _commit(call: Any) -> Answer:
    repo, sent = call.repository(), call.document()
    tree, parents = sent["tree"], tuple(sent.get("parents") or ())
    if tree not in repo.objects.trees or any(parent not in repo.commits for parent in parents):
        raise call.refused(422, "Tree SHA or a parent does not exist")
    sha = _sha("commit", tree, parents, sent["message"])
    repo.objects.commits[sha] = tree
    repo.commit(sha, *parents)
    return Answer(201, _shown(call, repo, sha, sent["message"]))


def _read_commit(call: Any) -> Answer:
    repo, sha = call.repository(), call.arguments["sha"]
    if sha not in repo.objects.commits:
        raise call.refused(404, "Not Found")
    return Answer(200, _shown(call, repo, sha, "a commit"))


def _shown(call: Any, repo: Any, sha: str, message: str) -> dict[str, Any]:
    root, web = _root(call, repo), f"{call.forge.origin}/{repo.name}/commit"
    tree = repo.objects.commits[sha]
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "url": f"{root}/commits/{sha}",
        "html_url": f"{web}/{sha}",
        "author": _PERSON,
        "committer": _PERSON,
        "message": message,
        "tree": {"sha": tree, "url": f"{root}/trees/{tree}"},
        "parents": [
            {"sha": parent, "url": f"{root}/commits/{parent}", "html_url": f"{web}/{parent}"}
            for parent in repo.commits[sha]
        ],
        "verification": _UNSIGNED,
    }


def _reference(call: Any) -> Answer:
    repo, branch = call.repository(), call.arguments["branch"]
    if branch not in repo.branches:
        raise call.refused(404, "Not Found")
    return Answer(200, _pointed(call, repo, branch))


def _create_reference(call: Any) -> Answer:
    repo, sent = call.repository(), call.document()
    branch = sent["ref"].removeprefix("refs/heads/")
    if branch in repo.branches:
        raise call.refused(422, "Reference already exists")
    if sent["sha"] not in repo.commits:
        raise call.refused(422, "Object does not exist")
    repo.commit(sent["sha"], branch=branch)
    return Answer(201, _pointed(call, repo, branch))


def _update_reference(call: Any) -> Answer:
    repo, sent, branch = call.repository(), call.document(), call.arguments["branch"]
    if branch not in repo.branches:
        raise call.refused(422, "Reference does not exist")
    if not sent.get("force") and repo.branches[branch] not in repo.commits.get(sent["sha"], ()):
        raise call.refused(422, "Update is not a fast forward")
    repo.branches[branch] = sent["sha"]
    return Answer(200, _pointed(call, repo, branch))


def _pointed(call: Any, repo: Any, branch: str) -> dict[str, Any]:
    root, sha = _root(call, repo), repo.branches[branch]
    return {
        "ref": f"refs/heads/{branch}",
        "node_id": f"REF_{branch}",
        "url": f"{root}/refs/heads/{branch}",
        "object": {"sha": sha, "type": "commit", "url": f"{root}/commits/{sha}"},
    }


# What runs, by method and address below that of the repository; where it is documented; what it needs.
ENDPOINTS = {
    ("POST", r"/git/blobs"): (_blob, "git/blobs#create-a-blob", "contents=write"),
    ("POST", r"/git/trees"): (_tree, "git/trees#create-a-tree", "contents=write"),
    ("POST", r"/git/commits"): (_commit, "git/commits#create-a-commit", "contents=write"),
    ("GET", r"/git/commits/(?P<sha>[0-9a-f]+)"): (_read_commit, "git/commits#get-a-commit-object", "contents=read"),
    ("GET", r"/git/ref/heads/(?P<branch>.+)"): (_reference, "git/refs#get-a-reference", "contents=read"),
    ("POST", r"/git/refs"): (_create_reference, "git/refs#create-a-reference", "contents=write"),
    ("PATCH", r"/git/refs/heads/(?P<branch>.+)"): (
        _update_reference,
        "git/refs#update-a-reference",
        "contents=write",
    ),
}
