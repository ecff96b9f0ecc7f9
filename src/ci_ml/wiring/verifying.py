"""Whether a model is as somebody who is believed has signed it. Layer: wiring.

With keys that are brought nothing else is needed: no repository, no ledger and no network.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ci_ml.adapters import keys, model_signatures
from ci_ml.errors import UsageError
from ci_ml.wiring import chronicle, signing
from ci_ml.wiring.workspace import Workspace

# Who may have signed, and what asks a signature whether they did: it raises ValueError where not, and Changed.
_Check = tuple[str, Callable[[Path], None]]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Who signed a model as it is, None when nobody has who is believed; `sentence` says it to people."""

    by: str | None
    sentence: str


def model(open_space: Callable[[], Workspace], path: Path, signature: Path | None, brought: Sequence[Path]) -> Checked:
    """Check the signature of a model, a file or a folder, by these keys, else by whom ci-ml.yaml believes.

    Without a `signature` it is where `ci-ml audit sign --model` leaves it. Raises UsageError for a model, a signature
    or a key that is not there, and where nobody is believed.
    """
    if not path.exists():
        raise UsageError(f"there is no model {path}", "`dvc pull` gets one that the pipeline made")
    if signature is not None and not signature.is_file():
        raise UsageError(f"there is no signature {signature}", "look at --signature")
    checks = list(_brought(path, brought)) if brought else None
    place = signature or _place(open_space(), path)
    if not place.is_file():
        return Checked(by=None, sentence=f"{path} is not signed: there is no {place}")
    found = checks if checks is not None else list(_configured(open_space(), path))
    if not found:
        hint = "name `audit.public_keys` or `audit.identities` in ci-ml.yaml, or bring keys with --key FILE"
        raise UsageError("there is nobody whose signature is believed", hint)
    return _checked(path, place, found)


def _checked(path: Path, place: Path, checks: Sequence[_Check]) -> Checked:
    doubts = []
    for name, check in checks:
        try:
            check(place)
        except model_signatures.Changed as error:
            return Checked(by=None, sentence=f"{path} is not as {name} has signed it: {error}")
        except ValueError as error:
            doubts.append(f"{name}: {error}")
        else:
            return Checked(by=name, sentence=f"{path} is as {name} has signed it")
    said = "; ".join(doubts)
    return Checked(by=None, sentence=f"{place} is no signature of {path} by anybody who is believed ({said})")


def _place(space: Workspace, path: Path) -> Path:
    """Where `ci-ml audit sign` leaves the signature of a model of the repository. Raises UsageError for others."""
    absolute, root = path.absolute(), space.project.root
    if not absolute.is_relative_to(root):
        raise UsageError(f"{path} is outside of the repository", "name its signature: --signature FILE")
    return signing.model_place(space, absolute.relative_to(root).as_posix())


def _brought(path: Path, places: Sequence[Path]) -> Iterator[_Check]:
    for place in places:
        pem = signing.brought(place)
        keys.public(pem, str(place))
        yield str(place), partial(model_signatures.check_key, path, pem=pem)


def _configured(space: Workspace, path: Path) -> Iterator[_Check]:
    """Whom ci-ml.yaml believes today: a model's signature does not say when it was made."""
    config, today = signing.configured(space), chronicle.now(space).date()
    for one, pem in signing.public_keys(space, config):
        keys.public(pem, one.file)
        of_key = partial(model_signatures.check_key, path, pem=pem)
        yield one.file, of_key if one.holds(today) else partial(_refuse_old, one.file)
    trust = signing.trust(space, config)
    for who in config.identities:
        asked = partial(model_signatures.check_identity, path, identity=who.identity, issuer=who.issuer, trust=trust)
        yield who.identity, asked


def _refuse_old(file: str, _: Path) -> None:
    raise ValueError(
        f"its days in `audit.public_keys` are not today's; who knows when it signed brings it: --key {file}"
    )
