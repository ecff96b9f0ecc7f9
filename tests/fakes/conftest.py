"""A forge of each kind, with one repository and one change in it."""

from collections.abc import Iterator

import pytest

from tests.fakes.github import GitHub
from tests.fakes.gitlab import GitLab

HEAD = "c" * 40


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as forge:
        repo = forge.repository("acme/churn", collaborators={"mona": "write", "trish": "triage", "max": "maintain"})
        repo.pull(7, head=HEAD, branch="deeper", source="stranger/churn")
        yield forge


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as forge:
        project = forge.project("acme/churn", private=True, members={"mona": "developer", "max": "maintainer"})
        project.merge_request(7, head=HEAD, branch="deeper", author="mona")
        yield forge
