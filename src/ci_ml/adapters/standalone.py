"""Check an exported ledger with nothing but Python. Layer: adapters.

    python3 verify.py [sha256:… of an entry that you know from elsewhere …]

It is exported as it is, beside the ledger: read it, it is short. Exit code 0: the chain holds, every record has the
bytes and the kind that its entry names, and every entry that you named is there. 10: it does not, and where. 3: it
cannot be read.

What no chain can know is whether its end was cut off, or all of it written anew: name a digest that you kept, such as
that of the newest entry of an earlier export, or the tag `ci-ml.entry` of a model version in the registry.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ENTRY = re.compile(r"[0-9]{8}\.json")
_KINDS = {
    "training": "https://slsa.dev/provenance/v1",
    "verdict": "https://in-toto.io/attestation/test-result/v0.1",
    "promotion": "urn:ci-ml:promotion:v1",
    "rotation": "urn:ci-ml:rotation:v1",
    "reproduction": "urn:ci-ml:reproduction:v1",
}


def sha256(data: bytes) -> str:
    """The digest of some bytes, as entries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def parsed(data: bytes) -> "dict[str, object] | None":
    """A JSON object; None for whatever is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def places(folder: Path) -> "tuple[dict[int, Path], list[str]]":
    """The files of entries by their numbers, and what is wrong with where files are."""
    files, problems = {}, []
    for place in sorted((folder / "entries").rglob("*")):
        if place.is_dir() and not place.is_symlink():
            continue
        number = int(place.stem) if _ENTRY.fullmatch(place.name) else 0
        if number and place == folder / "entries" / f"{number // 100:06d}" / place.name:
            files[number] = place
        else:
            problems.append(f"{place.relative_to(folder).as_posix()} is no place of an entry")
    return files, problems


def check(folder: Path, anchors: "list[str]") -> "list[str]":
    """Everything that is wrong with the ledger in a folder, in words."""
    files, problems = places(folder)
    if not files:
        return [*problems, "there is no entry"]
    previous = None
    seen: set[str] = set()
    named: dict[str, int] = {}
    for number in range(1, max(files) + 1):
        place = files.get(number)
        if place is None:
            problems.append(f"entry {number}: it is missing")
            previous = None
            if number > 2 * len(files):
                break
            continue
        line = place.read_bytes()
        entry = parsed(line)
        if entry is None:
            problems.append(f"entry {number}: it is no entry")
            previous = sha256(line)
            continue
        # true and 1.0 are equal to 1, and no number of an entry
        if type(entry.get("number")) is not int or entry["number"] != number:
            problems.append(f"entry {number}: it says that it is entry {str(entry.get('number'))[:80]}")
        if entry.get("previous") != previous and (previous or number == 1):
            problems.append(f"entry {number}: it was not written after what is entry {number - 1} now")
        previous = sha256(line)
        seen.add(previous)
        name = entry.get("record")
        if not isinstance(name, str) or not _DIGEST.fullmatch(name):
            problems.append(f"entry {number}: it names no record")
            continue
        if named.setdefault(name, number) != number:
            problems.append(f"entry {number}: its record was entered before, by entry {named[name]}")
        problems += [f"entry {number}: {what}" for what in record(folder, name, entry.get("kind"))]
    there = {f"sha256:{place.parent.name}{place.stem}" for place in (folder / "records").glob("??/*.json")}
    loose = sorted(name for name in there - named.keys() if _DIGEST.fullmatch(name))
    problems += [f"no entry names the record {name}" for name in loose]
    problems += [f"the entry {name} is not in the ledger" for name in anchors if name not in seen]
    return problems


def record(folder: Path, name: str, kind: object) -> "list[str]":
    """What is wrong with the record that an entry names, and says to be of this kind."""
    place = folder / "records" / name[7:9] / f"{name[9:]}.json"
    if not place.is_file():
        return [f"its record {name} is missing"]
    data = place.read_bytes()
    found = sha256(data)
    if found != name:
        return [f"its record {name} was edited: its bytes are those of {found}"]
    wanted = _KINDS.get(kind) if isinstance(kind, str) else None
    if wanted is None or (parsed(data) or {}).get("predicateType") != wanted:
        return [f"it says that its record is of the kind {str(kind)[:80]}, which that is not"]
    return []


def newest(folder: Path) -> str:
    """The digest of the newest entry."""
    files, _ = places(folder)
    return sha256(files[max(files)].read_bytes())


def main(arguments: "list[str]") -> int:
    """Check the ledger beside this file; returns the exit code."""
    folder = Path(__file__).resolve().parent
    if wrong := [name for name in arguments if not _DIGEST.fullmatch(name)]:
        sys.stderr.write(f"{wrong[0]} is no digest of an entry: sha256:…\n")
        return 2
    try:
        problems = check(folder, arguments)
    except OSError as error:
        sys.stderr.write(f"cannot be read: {error}\n")
        return 3
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    said = [*problems, count] if problems else ["the chain holds, and every record is as entered"]
    if not problems and not arguments:
        said += [
            f"newest entry: {newest(folder)}",
            "nothing here tells whether the end was cut off or edited: compare that digest with one kept elsewhere",
        ]
    sys.stdout.write("".join(f"{ascii(what)[1:-1]}\n" for what in said))
    return 10 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
