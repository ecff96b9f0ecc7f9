"""What both forges promise to `ci-ml promote`: which request brought a commit, and who has approved it."""

from collections.abc import Iterator
from typing import Any

import pytest

from ci_ml.core.approvals import Approval, Merged, brought, counted
from ci_ml.errors import Refused, Unanswered
from tests.contract.sites import HEAD, Site, site
from tests.fakes.server import Page, Status

MERGE = "f" * 40
PUSHED = "e" * 40


@pytest.fixture(params=["github", "gitlab"])
def place(request: pytest.FixtureRequest) -> Iterator[Site]:
    with site(request.param) as made:
        home = made.server.repositories[0] if made.kind == "github" else made.server.projects[0]
        people = home.collaborators if made.kind == "github" else home.members
        for person in ("ada", "tom"):
            made.server.user(person)
            people[person] = "write" if made.kind == "github" else "developer"
        made.server.user("stranger")
        yield made


def approve(place: Site, person: str) -> None:
    (place.proposal.review if place.kind == "github" else place.proposal.approve)(person)


def take_back(place: Site, person: str) -> None:
    if place.kind == "github":
        place.proposal.review(person, "CHANGES_REQUESTED")
    else:
        place.proposal.unapprove(person)


def found(place: Site, *people: str, token: str | None = None) -> tuple[Approval, ...]:
    forge = place.forge(token)
    return forge.approvals(forge.origin(7), people)


def who(approvals: tuple[Approval, ...]) -> list[str]:
    return [one.by for one in counted(approvals)]


def doubts(approvals: tuple[Approval, ...]) -> str:
    return "; ".join(one.doubt or "" for one in approvals)


def test_a_merged_request_brought_the_commit_that_stands_for_it(place: Site) -> None:
    forge = place.forge()
    assert brought(MERGE, forge.origins(HEAD)) == ()
    assert brought(HEAD, forge.origins(HEAD)) == (), "it is open"
    place.proposal.merge(commit=MERGE)
    for sha in (MERGE, HEAD):
        (one,) = brought(sha, forge.origins(sha))
        assert (one.number, one.head, one.author, one.is_merged, one.commits) == (7, HEAD, "mona", True, (MERGE,))
        assert (one.url or "").endswith("/7")
    assert forge.origin(7) == one
    assert brought(PUSHED, (one,)) == ()


def test_approvals_of_people_who_may_write_count_once_each(place: Site) -> None:
    assert found(place) == ()
    approve(place, "ada")
    approve(place, "tom")
    given = found(place)
    assert who(given) == ["ada", "tom"]
    assert all(one.at.startswith("20") and HEAD[:7] in one.what for one in given)


@pytest.mark.parametrize(
    ("person", "why"),
    [("mona", "mona has written it"), ("stranger", "stranger"), ("rita", "rita")],
)
def test_others_do_not_count(place: Site, person: str, why: str) -> None:
    approve(place, person)
    given = found(place)
    assert who(given) == []
    assert why in doubts(given)


def test_who_takes_it_back_does_not_count(place: Site) -> None:
    approve(place, "ada")
    take_back(place, "ada")
    assert who(found(place)) == []


def test_what_was_approved_before_the_last_commit_does_not_count(place: Site) -> None:
    approve(place, "ada")
    place.proposal.push(PUSHED)
    approve(place, "tom")
    given = found(place)
    assert who(given) == ["tom"]
    assert PUSHED[:7] in doubts(given)


def test_only_those_who_are_asked_for_count(place: Site) -> None:
    approve(place, "ada")
    approve(place, "tom")
    assert who(found(place, "Tom")) == ["tom"]
    assert "ada is none of tom" in doubts(found(place, "tom"))


def test_teams_and_groups(place: Site) -> None:
    approve(place, "ada")
    approve(place, "tom")
    name = "@acme/risk"
    if place.kind == "github":
        place.server.teams["acme/risk"] = {"ada"}
        token = place.server.token(kind="pat", login="mona", scopes=["repo", "read:org"])
        assert who(found(place, name, token=token)) == ["ada"]
        blind = found(place, name)
        assert who(blind) == []
        assert "the token needs to read the organization's members" in doubts(blind)
    else:
        place.server.groups["acme/risk"] = {"ada"}
        assert who(found(place, name)) == ["ada"]


def test_a_remark_takes_no_approval_back_and_a_bot_gives_none() -> None:
    with site("github") as place:
        place.server.repositories[0].collaborators["ada"] = "write"
        place.proposal.review("ada")
        place.proposal.review("ada", "COMMENTED")
        place.proposal.review("helper[bot]")
        given = found(place)
        assert who(given) == ["ada"]
        assert "helper[bot] is no person" in doubts(given)
        place.proposal.reviews[0].state = "DISMISSED"
        assert who(found(place)) == []


def test_an_older_gitlab_says_in_a_note_when_somebody_approved() -> None:
    with site("gitlab") as place:
        place.server.projects[0].members["ada"] = "developer"
        place.server.user("ada")
        place.server.says_when = False
        place.proposal.approve("ada")
        assert who(found(place)) == ["ada"]
        place.proposal.notes.clear()
        assert "does not say when ada has approved" in doubts(found(place))


def test_a_hundred_reviews_are_more_than_one_page() -> None:
    with site("github") as place:
        place.server.repositories[0].collaborators["ada"] = "write"
        for _ in range(120):
            place.proposal.review("mona", "COMMENTED")
        place.proposal.review("ada")
        assert who(found(place)) == ["ada"]


@pytest.mark.parametrize("fault", [Page(), Status(500), Status(200, {"approved_by": [{}], "state": "APPROVED"})])
def test_an_answer_of_another_shape_is_no_approval(place: Site, fault: Any) -> None:
    about = Merged(number=7, head=HEAD, author="mona", is_merged=True)
    path = "/reviews$" if place.kind == "github" else "/approvals$"
    place.server.fail(fault, "GET", path, times=None)
    try:
        given = place.forge(patience=0.1).approvals(about, ())
    except (Unanswered, Refused):
        return
    assert who(given) == []
