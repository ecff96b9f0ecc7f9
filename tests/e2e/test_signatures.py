"""Signatures in a real ledger: whose count, what forging them comes to, and keys that are missing, wrong or too old."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ci_ml.core import envelopes, statements
from ci_ml.core.statements import Kind, Statement, Subject
from ci_ml.errors import CiMlError, DependencyError, UsageError
from ci_ml.wiring import chronicle, signing, workspace
from tests.fakes import sigstore as fake
from tests.repositories import Repository
from tests.signers import Pair, pair

WORKFLOW = "https://github.com/acme/churn/.github/workflows/promote.yml@refs/heads/main"
HIDDEN = "CI_ML_SIGNING_KEY"


def record(number: int) -> Statement:
    """A record like that of a rotation, one for each number."""
    said = {"testset": "test", "why": f"the {number}. time"}
    return statements.statement(Kind.ROTATION, [Subject(name="test", digest={"md5": f"{number:032x}"})], said)


class Place:
    """A repository with a ledger, and ci-ml.yaml that says how it is signed."""

    def __init__(self, root: Path) -> None:
        self.repository = Repository.init(root)
        self.configure()
        self.repository.commit({"ci-ml.yaml": "version: 1\n"})

    def configure(self, **audit: Any) -> None:
        self.repository.write("ci-ml.yaml", f"version: 1\naudit: {json.dumps(audit)}\n")

    def space(self, env: Mapping[str, str] | None = None) -> workspace.Workspace:
        base = {name: value for name, value in self.repository.adapter.env.items() if not name.startswith("CI_ML")}
        return workspace.find(None, None, cwd=self.repository.root, env={**base, **(env or {})})

    def believes(self, *keys: Pair, **audit: Any) -> None:
        for number, key in enumerate(keys):
            self.repository.write(f"keys/{number}.pub", key.public)
        files = [f"keys/{number}.pub" for number, _ in enumerate(keys)]
        self.configure(**{"sign": "key", "public_keys": files, **audit})

    def enter(self, *numbers: int, key: Pair | None = None, env: Mapping[str, str] | None = None) -> None:
        hidden = {HIDDEN: key.private.decode()} if key else {}
        chronicle.enter(self.space({**hidden, **(env or {})}), [record(number) for number in numbers])

    def entries(self) -> int:
        return len(chronicle.ledger(self.space()).read().lines)

    def problems(self, *brought: Path) -> list[str]:
        here = self.space()
        return [str(one) for one in signing.verify(here, chronicle.ledger(here).read(), brought)[1]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "repo")


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519"])
def test_what_is_entered_is_signed(place: Place, kind: str) -> None:
    key = pair(kind)
    place.believes(key)
    place.enter(1, 2, key=key)
    assert place.problems() == []
    book = chronicle.ledger(place.space()).read()
    assert [len(found) for found in book.attachments.values()] == [1, 1]
    place.enter(1, 2, key=key)  # again: nothing is entered twice, nor signed twice
    assert [len(found) for found in chronicle.ledger(place.space()).read().attachments.values()] == [1, 1]


@pytest.mark.parametrize(
    ("said", "env", "why"),
    [
        ({}, {}, "CI_ML_SIGNING_KEY is not set"),
        ({}, {HIDDEN: "   "}, "CI_ML_SIGNING_KEY is not set"),
        ({"key": "env:OTHER"}, {HIDDEN: "x"}, "OTHER is not set"),
        ({}, {HIDDEN: "nothing\nlike a key"}, "neither a key in PEM nor the path of a file"),
        ({}, {HIDDEN: "/nowhere/key.pem"}, "neither a key in PEM nor the path of a file"),
        ({}, {HIDDEN: pair().public.decode()}, "is a public key"),
        ({}, {HIDDEN: pair(password=b"p").private.decode()}, "is encrypted, and there is no password"),
        (
            {},
            {HIDDEN: pair(password=b"p").private.decode(), "CI_ML_SIGNING_PASSWORD": "wrong-one"},
            "cannot be opened with this password",
        ),
        ({"public_keys": ["keys/none.pub"]}, {HIDDEN: pair().private.decode()}, "keys/none.pub"),
    ],
)
def test_without_a_key_that_works_nothing_is_entered(
    place: Place, said: dict[str, Any], env: dict[str, str], why: str
) -> None:
    place.configure(**{"sign": "key", **said})
    with pytest.raises(UsageError, match=why) as caught:
        place.enter(1, env=env)
    assert "wrong-one" not in f"{caught.value.what}{caught.value.hint}"
    assert "nothing\nlike" not in caught.value.what
    assert place.entries() == 0


@pytest.mark.parametrize("kind", ["p256", "p521", "ed25519"])
@pytest.mark.parametrize("form", ["base64", "body"])
def test_a_key_in_another_form_is_refused_and_never_shown(place: Place, kind: str, form: str) -> None:
    private = pair(kind).private
    body = "".join(private.decode().splitlines()[1:-1])
    value = body if form == "body" else base64.b64encode(private).decode()
    place.configure(sign="key")
    with pytest.raises(UsageError, match="CI_ML_SIGNING_KEY is neither a key in PEM nor the path of a file") as caught:
        place.enter(1, env={HIDDEN: value})
    place.configure(sign="key", key=value[:390])
    with pytest.raises(UsageError, match="neither env:NAME nor the path of a file") as other:
        place.enter(1)
    for one in (caught.value, other.value):
        assert "-----BEGIN" in str(one.hint) or "variable" in str(one.hint)
        assert value[:20] not in f"{one.what}{one.hint}"


def test_a_key_in_the_place_of_its_file_is_never_shown(place: Place) -> None:
    place.believes(key := pair())
    place.enter(1, key=key)
    for value in (base64.b64encode(key.private).decode(), key.private.decode(), "nowhere.pub"):
        with pytest.raises(UsageError, match="--key is no path of a file that is there") as caught:
            place.problems(Path(value))
        assert value[:20] not in f"{caught.value.what}{caught.value.hint}"


def test_a_key_that_nobody_believes_signs_nothing(place: Place) -> None:
    place.believes(pair())
    with pytest.raises(UsageError, match=r"whose public half is none of `audit.public_keys` \(keys/0.pub\)"):
        place.enter(1, key=pair())
    assert place.entries() == 0


def test_a_key_past_its_days_signs_nothing_and_is_not_believed_later(place: Place) -> None:
    key = pair()
    place.believes(key)
    place.enter(1, key=key)
    place.configure(sign="key", public_keys=[{"file": "keys/0.pub", "until": "2020-01-31"}])
    with pytest.raises(UsageError, match=r"keys/0\.pub may not sign on"):
        place.enter(2, key=key)
    (problem,) = place.problems()
    assert problem.startswith("entry 1: it was signed with keys/0.pub, which may not sign on")


def test_an_encrypted_key_in_a_file_outside_of_git(place: Place, tmp_path: Path) -> None:
    key = pair(password=b"secret")
    outside, _ = key.write(tmp_path / "secrets")
    place.believes(key)
    place.enter(1, env={HIDDEN: str(outside), "CI_ML_SIGNING_PASSWORD": "secret"})
    place.configure(sign="key", public_keys=["keys/0.pub"], key=str(outside))
    place.enter(2, env={"CI_ML_SIGNING_PASSWORD": "secret"})
    assert place.problems() == []


def test_a_private_key_in_git_is_refused(place: Place) -> None:
    key = pair()
    place.believes(key, key="keys/ci.pem")
    place.repository.commit({"keys/ci.pem": key.private})
    with pytest.raises(UsageError, match="private key in git"):
        place.enter(1)


def test_an_unsigned_entry_is_found(place: Place) -> None:
    key = pair()
    place.configure()
    place.enter(1)
    place.believes(key)
    place.enter(2, key=key)
    assert place.problems() == ["entry 1: its record is not signed"]
    place.believes(key, signed_from=2)
    assert place.problems() == []


def test_an_envelope_of_another_record_is_none(place: Place) -> None:
    key = pair()
    place.configure()
    place.enter(1, 2)
    place.believes(key)
    sign = signing.signer(place.space({HIDDEN: key.private.decode()}))
    assert sign is not None
    chronicle.attach(place.space(), {record(1).digest: sign(record(2).data), record(2).digest: sign(record(2).data)})
    assert place.problems() == ["entry 1: its signature is of another record"]


def test_a_forged_signature_is_found_and_a_good_one_beside_it_counts(place: Place) -> None:
    key, stranger = pair(), pair()
    place.configure()
    place.enter(1, 2)
    place.believes(key)
    here = place.space({HIDDEN: key.private.decode()})
    good = signing.signer(here)
    assert good is not None
    data = record(1).data
    said = json.loads(good(data))
    said["signatures"][0]["sig"] = json.loads(good(record(2).data))["signatures"][0]["sig"]
    chronicle.attach(here, {record(1).digest: statements.canonical(said)})
    place.believes(stranger)
    theirs = signing.signer(place.space({HIDDEN: stranger.private.decode()}))
    assert theirs is not None
    chronicle.attach(place.space(), {record(2).digest: theirs(record(2).data)})
    place.believes(key)
    one, two = place.problems()
    assert one == "entry 1: its signature claims to be made with keys/0.pub, and is not: it was forged, or damaged"
    assert two.startswith("entry 2: nobody who is believed signed it (sha256:")
    assert signing.sign_ledger(here).records == 2
    assert place.problems() == []


def test_an_auditor_believes_the_keys_that_were_brought_and_no_others(place: Place, tmp_path: Path) -> None:
    key, theirs = pair(), pair()
    place.believes(key)
    place.enter(1, key=key)
    _, ours = key.write(tmp_path, "ours")
    _, other = theirs.write(tmp_path, "other")
    assert place.problems(ours) == []
    assert place.problems(other)[0].startswith("entry 1: nobody who is believed signed it")
    assert place.problems(other, ours) == []
    place.believes(key, signed_from=100)  # what whoever may edit ci-ml.yaml could write
    assert len(place.problems(other)) == 1
    with pytest.raises(UsageError, match="no path of a file"):
        place.problems(tmp_path / "none.pub")


def test_with_nobody_to_believe_nothing_verifies(place: Place) -> None:
    key = pair()
    place.configure(sign="key")
    place.enter(1, key=key)
    with pytest.raises(UsageError, match="nobody whose signature is believed"):
        place.problems()


def test_signing_again_signs_nothing_twice_though_nobody_is_believed_yet(place: Place) -> None:
    key = pair()
    place.enter(1, 2)
    place.configure(sign="key")
    here = place.space({HIDDEN: key.private.decode()})
    assert [signing.sign_ledger(here).records for _ in range(2)] == [2, 0]
    with fake.running() as service:
        service.trust(place.repository.root / "trust.json")
        place.configure(sign="sigstore", trust="trust.json")
        assert signing.sign_ledger(place.space({"SIGSTORE_ID_TOKEN": service.token(WORKFLOW)})).records == 0


def test_a_huge_signature_file_is_not_read_as_one(place: Place) -> None:
    key = pair()
    place.configure()
    place.enter(1)
    place.believes(key)
    chronicle.attach(place.space(), {record(1).digest: b"[" * 1_000_000})
    assert place.problems() == ["entry 1: its signature cannot be read: it is nested too deeply"]


def test_a_record_too_large_for_an_envelope_is_said_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelopes, "MAX_BYTES", 100)
    key = pair()
    place.believes(key)
    with pytest.raises(UsageError, match="too large"):
        place.enter(1, key=key)
    assert place.entries() == 0


# With Sigstore.


def test_records_are_signed_with_an_identity(place: Place) -> None:
    with fake.running() as service:
        service.trust(place.repository.root / "trust.json")
        who = {"identity": WORKFLOW, "issuer": fake.ISSUER}
        place.configure(sign="sigstore", trust="trust.json", identities=[who])
        with pytest.raises(UsageError, match="no OIDC token"):
            place.enter(1)
        service.broken = 503
        with pytest.raises(DependencyError, match="Sigstore"):
            place.enter(1, env={"SIGSTORE_ID_TOKEN": service.token(WORKFLOW)})
        assert place.entries() == 0
        service.broken = None
        place.enter(1, 2, env={"SIGSTORE_ID_TOKEN": service.token(WORKFLOW)})
        assert place.problems() == []
        assert len(service.certificates) == 1
        place.configure(sign="sigstore", trust="trust.json", identities=[{**who, "identity": "somebody else"}])
        assert len(place.problems()) == 2
        assert all("does not hold" in one for one in place.problems())


def test_a_library_that_is_not_there_is_said_with_its_extra(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    key = pair()
    for way, module, extra in (("key", "cryptography.hazmat.primitives", "sign"), ("sigstore", "sigstore", "sigstore")):
        place.configure(sign=way)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(CiMlError) as caught:
                place.enter(1, key=key)
        assert f"ci-ml[{extra}]" in str(caught.value.hint)
