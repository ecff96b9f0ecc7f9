"""Check an exported ledger with nothing but Python. Layer: adapters.

    python3 verify.py [sha256:… of an entry that you know from elsewhere …]

It is exported as it is, beside the ledger: read it, it is short. Exit code 0: the chain holds, every record has the
bytes that its entry names, and every entry that you named is there. 10: it does not, and where. 3: it cannot be read.

What no chain can know is whether its end was cut off, or all of it written anew: name a digest that you kept, such as
that of the newest entry of an earlier export, or the tag `ci-ml.entry` of a model version in the registry.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def sha256(data: bytes) -> str:
    """The digest of some bytes, as entries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check(folder: Path, anchors: "list[str]") -> "list[str]":
    """Everything that is wrong with the ledger in a folder, in words."""
    problems = []
    previous = None
    seen, named = set(), set()
    files = {place.name: place for place in (folder / "entries").glob("*/*.json")}
    numbers = sorted(int(name[:-5]) for name in files if name[:-5].isdigit())
    if not numbers:
        return ["there is no entry"]
    for number in range(1, numbers[-1] + 1):
        place = files.get(f"{number:08d}.json")
        if place is None:
            problems.append(f"entry {number}: it is missing")
            previous = None
            if number > 2 * len(numbers):
                break
            continue
        line = place.read_bytes()
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            problems.append(f"entry {number}: it is no entry")
            previous = sha256(line)
            continue
        if entry.get("number") != number:
            problems.append(f"entry {number}: it says that it is entry {entry.get('number')!r}")
        if entry.get("previous") != previous and (previous or number == 1):
            problems.append(f"entry {number}: it was not written after what is entry {number - 1} now")
        previous = sha256(line)
        seen.add(previous)
        named.add(entry.get("record"))
        problems += record(folder, number, entry.get("record"))
    there = {f"sha256:{place.parent.name}{place.stem}" for place in (folder / "records").glob("??/*.json")}
    loose = sorted(name for name in there - named if _DIGEST.fullmatch(name))
    problems += [f"no entry names the record {name}" for name in loose]
    problems += [f"the entry {name} is not in the ledger" for name in anchors if name not in seen]
    return problems


def record(folder: Path, number: int, name: object) -> "list[str]":
    """What is wrong with the record that an entry names."""
    if not isinstance(name, str) or not _DIGEST.fullmatch(name):
        return [f"entry {number}: it names no record"]
    place = folder / "records" / name[7:9] / f"{name[9:]}.json"
    if not place.is_file():
        return [f"entry {number}: its record {name} is missing"]
    found = sha256(place.read_bytes())
    return [] if found == name else [f"entry {number}: its record {name} was edited: its bytes are those of {found}"]


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
    holds = "the chain holds, and every record is as it was entered"
    problems.append(f"{len(problems)} problems" if problems else holds)
    sys.stdout.write("".join(f"{ascii(problem)[1:-1]}\n" for problem in problems))
    return 10 if len(problems) > 1 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
