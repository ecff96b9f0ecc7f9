"""The fake is compared with GitHub's own description of its API, with every answer that any test provokes."""

import re
from pathlib import Path

import pytest
import requests

from tests.fakes.conftest import HEAD
from tests.fakes.description import Description, file
from tests.fakes.github import ENDPOINTS, GitHub
from tests.fakes.server import Answer, Request


@pytest.fixture(scope="module")
def description() -> Description:
    found = Description.installed()
    if found is None:
        pytest.skip("GitHub's description is not installed: run `npm ci` in tests/fakes, or set CI_ML_GITHUB_OPENAPI")
    return found


def request(method: str, path: str, body: bytes = b"", **query: str) -> Request:
    return Request(method, path, query, {"content-type": "application/json"}, body)


COMMENTS = "/repos/acme/churn/issues/7/comments"


def test_every_endpoint_is_described(description: Description) -> None:
    for method, pattern in ENDPOINTS:
        path = re.sub(r"\(\?P<[^>]+>(\[\^/\]\+|\.\+|\\d\+)\)", "1", pattern)
        path = re.sub(r"^/\(\?:(repos/1/1)\|.*?\)(?=/|$)", r"/\1", path)
        if "graphql" in path:
            continue
        assert description._operation(request(method, path)) is not None, path


def test_a_wrong_answer_is_noticed(description: Description) -> None:
    wrong = description.problems(request("GET", COMMENTS), Answer(200, [{"id": "1"}]))
    assert any("'node_id' is a required property" in problem for problem in wrong)
    assert any("'1' is not of type 'integer'" in problem for problem in wrong)
    undeclared = description.problems(request("GET", COMMENTS), Answer(202, []))
    assert undeclared == [
        "GET /repos/{owner}/{repo}/issues/{issue_number}/comments -> 202: "
        "the status is not declared, only 200, 404, 410"
    ]
    shape = description.problems(request("GET", COMMENTS), Answer(404, {"message": 404}))
    assert any("404 is not of type 'string'" in problem for problem in shape)


def test_a_wrong_request_that_was_accepted_is_noticed(description: Description) -> None:
    asked = description.problems(request("GET", COMMENTS, pages="2", per_page="many"), Answer(200, []))
    assert [problem.partition(": ")[2] for problem in asked] == [
        "there is no parameter pages",
        "per_page: 'many' is not of type 'integer'",
    ]
    path = f"/repos/acme/churn/statuses/{HEAD}"
    sent = description.problems(request("POST", path, b'{"state": "good"}'), Answer(422, {"message": "no"}))
    assert sent == []  # it was refused, as it should be
    sent = description.problems(request("POST", path, b'{"state": "good"}'), Answer(201, {}))
    assert any("'good' is not one of" in problem for problem in sent)


def test_the_block_raises_what_did_not_fit(description: Description) -> None:
    def ask() -> None:
        with GitHub() as forge:
            forge.repository("acme/churn").pull(7)
            assert requests.get(forge.url + COMMENTS, params={"pages": 1}, timeout=30).ok

    with pytest.raises(AssertionError, match="there is no parameter pages"):
        ask()


def test_the_file_may_be_elsewhere(tmp_path: Path) -> None:
    assert file(f"{tmp_path}/api.json") is None
    (tmp_path / "api.json").touch()
    assert file(f"{tmp_path}/api.json") == tmp_path / "api.json"
