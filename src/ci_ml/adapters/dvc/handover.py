"""Handing stages from job to job: their entries of dvc.lock, and what they made. Layer: adapters.

Runs in a process of its own, as `python -E -P -m ci_ml.adapters.dvc.handover give|take` with options on stdin, because
importing DVC costs a second and it logs on its own. What it says goes to stdout as one line of JSON.
"""

import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ci_ml.adapters import proc
from ci_ml.core.handover import harmless
from ci_ml.core.pipeline import content_digest
from ci_ml.errors import DependencyError


def give(folder: Path, stages: Sequence[str], target: Path, *, objects: bool, env: Mapping[str, str]) -> dict[str, Any]:
    """Write the outputs of stages into `target`: uncached ones to files/, with `objects` cached ones to objects/.

    What DVC never pushes (`push: false`) goes to objects/ in any case. Returns their entries of dvc.lock by stage
    (`entries`), and what was written as in a `Handover`. Raises DependencyError when an output is not here.
    """
    options = {"stages": list(stages), "target": str(target), "objects": objects}
    return _run("give", options, folder, env)


def take(folder: Path, received: Sequence[Mapping[str, Any]], *, env: Mapping[str, str]) -> None:
    """Put handovers into place: objects into DVC's cache, uncached outputs into the work tree, entries into dvc.lock.

    Each has `place` and what is in a `Handover`. The lock is written by DVC, in the order of `dvc repro`. Raises
    DependencyError for an object that is not what its name says, and for anything that is no plain file.
    """
    _run("take", {"received": list(received)}, folder, env)


def _run(what: str, options: Mapping[str, Any], folder: Path, env: Mapping[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-E", "-P", "-m", __name__, what]
    done = proc.run(command, cwd=folder, env=env, stdin=json.dumps(options).encode())
    lines = done.out.decode("utf-8", "replace").strip().splitlines()
    if done.code != 0 or not lines:
        words = " ".join((lines[-1] if lines and done.code == 4 else done.err).split()) or f"exit code {done.code}"
        raise DependencyError(f"handing stages on failed: {words[-500:]}", "run the job again")
    return dict(json.loads(lines[-1]))


def main() -> int:
    """Give or take; 0 when it worked, 4 with a sentence on stdout when what was received is wrong."""
    import logging

    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    options = json.load(sys.stdin)
    repo = Repo(".")
    try:
        with repo.lock:
            done = _give(repo, options) if sys.argv[1] == "give" else _take(repo, options)
    except (_Wrong, DvcException, OSError) as error:
        print(" ".join(str(error).split()))
        return 4
    print(json.dumps(done, default=str))
    return 0


class _Wrong(Exception):
    """What was received, or should be given, is not what it has to be."""


# --- Giving -----------------------------------------------------------------------------------------------------------


def _give(repo: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    target = Path(options["target"])
    entries: dict[str, Any] = {}
    found: dict[str, list[str]] = {"files": [], "executable": [], "folders": [], "objects": []}
    for address in options["stages"]:
        stage = _stage(repo, address)
        entries[address] = _entry(stage)
        for out in stage.outs:
            if out.protocol != "local":
                continue
            if not out.use_cache:
                _give_files(repo, Path(out.fs_path), target / "files", found)
            elif options["objects"] or not out.can_push:
                found["objects"].extend(_give_objects(out, target / "objects"))
    return {"entries": entries, **found}


def _stage(repo: Any, address: str) -> Any:
    found = next((stage for stage in repo.index.stages if stage.addressing == address), None)
    if found is None:
        raise _Wrong(f"there is no stage {address} here")
    return found


def _entry(stage: Any) -> Any:
    from dvc.dvcfile import Lockfile

    lock = Lockfile(stage.repo, str(Path(stage.path).with_suffix(".lock")))
    listed = lock.load()["stages"]
    if stage.name not in listed:
        raise _Wrong(f"dvc.lock has no entry for the stage {stage.addressing}: it has not run here")
    return listed[stage.name]


def _give_files(repo: Any, place: Path, target: Path, found: dict[str, list[str]]) -> None:
    top = Path(repo.scm.root_dir)
    for path in [place, *sorted(place.rglob("*"))] if place.is_dir() else [place]:
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                found["folders"].append(path.relative_to(top).as_posix())
            continue
        if path.is_symlink() or not path.is_file():
            raise _Wrong(f"{path.relative_to(top)} is no plain file, and cannot be handed on")
        name = path.relative_to(top).as_posix()
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)
        found["files"].append(name)
        if path.stat().st_mode & stat.S_IXUSR:  # which an artifact of a CI system forgets
            found["executable"].append(name)


def _give_objects(out: Any, target: Path) -> Iterator[str]:
    for digest in _digests(out):
        source = Path(out.cache.oid_to_path(digest))
        if not source.is_file():
            raise _Wrong(f"{out} is not in DVC's cache: it cannot be handed on")
        name = _object(out, digest)
        place = target / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            _link(source, place)
        yield name


def _object(out: Any, digest: str) -> str:
    return f"{out.hash_info.name}/{digest[:2]}/{digest[2:]}"


def _digests(out: Any) -> Iterator[str]:
    """The digest of an output; of a folder also that of everything in it, which comes first."""
    if out.hash_info.isdir:
        tree = out.get_obj()
        if tree is None:
            raise _Wrong(f"the listing of {out} is not in DVC's cache: it cannot be handed on")
        yield from dict.fromkeys(digest.value for _, _, digest in tree)
    yield out.hash_info.value


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)


# --- Taking -----------------------------------------------------------------------------------------------------------


def _take(repo: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    received = options["received"]
    for one in received:
        for address, entry in one["entries"].items():
            _check_entry(address, entry)
        for name in one["objects"]:
            _take_object(repo, Path(one["place"]) / "objects" / name, name)
    for one in received:
        executable = set(one["executable"])
        for name in one["files"]:
            _take_file(repo, Path(one["place"]) / "files" / name, name, 0o755 if name in executable else 0o644)
        for name in one["folders"]:
            _unlinked(repo, name).mkdir(parents=True, exist_ok=True)
    entries = {address: entry for one in received for address, entry in one["entries"].items()}
    for address in _in_order(repo, entries):
        _write_entry(_stage(repo, address), entries[address])
    repo._reset()
    for one in received:
        _check_out(repo, one["entries"], set(one["objects"]))
    return {}


def _check_out(repo: Any, addresses: Iterable[str], objects: set[str]) -> None:
    """What comes after looks for its inputs in the work tree; what is on the remote it pulls."""
    for out in (out for address in addresses for out in _stage(repo, address).outs):
        if out.use_cache and out.hash_info and _object(out, out.hash_info.value) in objects:
            out.checkout(allow_missing=True, force=True)


def _check_entry(address: str, entry: Any) -> None:
    """What goes into dvc.lock has to be what DVC reads there, or it could be read no more."""
    from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
    from voluptuous import MultipleInvalid

    try:
        COMPILED_LOCK_FILE_STAGE_SCHEMA(entry)
    except MultipleInvalid as error:
        where = ".".join(map(str, error.errors[0].path))
        raise _Wrong(f"the entry of {address} is none of dvc.lock: {where}: {error.errors[0].msg}") from None


def _plain(place: Path) -> Path:
    if not os.path.lexists(place):
        raise _Wrong(f"{place.name} is listed, and was not handed on")
    if any(path.is_symlink() for path in (place, *place.parents)) or not stat.S_ISREG(place.lstat().st_mode):
        raise _Wrong(f"{place.name} is no plain file")
    return place


def _take_object(repo: Any, source: Path, name: str) -> None:
    algorithm, _, rest = name.partition("/")
    digest = rest.replace("/", "")
    cache = repo.cache.local if algorithm == "md5" else repo.cache.legacy
    place = Path(cache.oid_to_path(digest))
    if digest.endswith(".dir"):
        _check_listing(_plain(source), digest)
    if place.exists():
        return
    with _plain(source).open("rb") as stream:
        if content_digest(stream, algorithm) != digest.removesuffix(".dir"):
            raise _Wrong(f"the object {digest} is not what its name says")
    _move(source, place, 0o444)


def _check_listing(place: Path, digest: str) -> None:
    """What a folder holds is written where the listing says: nowhere else than in that folder."""
    try:
        names = [str(item["relpath"]) for item in json.loads(place.read_bytes())]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise _Wrong(f"the object {digest} is no listing of a folder") from None
    if (bad := next((name for name in names if not harmless(name)), None)) is not None:
        raise _Wrong(f"the listing {digest} names {bad!r}, which is no place for data")


def _take_file(repo: Any, source: Path, name: str, mode: int) -> None:
    _move(_plain(source), _unlinked(repo, name), mode)


def _unlinked(repo: Any, name: str) -> Path:
    top = Path(repo.scm.root_dir)
    place = top / name
    if any(path.is_symlink() for path in (place, *place.parents) if path != top and path.is_relative_to(top)):
        raise _Wrong(f"{name} is, or is behind, a symbolic link")
    return place


def _move(source: Path, place: Path, mode: int) -> None:
    """A copy that is there whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".ci-ml-", dir=place.parent)
    os.close(handle)
    shutil.copyfile(source, name)
    Path(name).chmod(mode)
    Path(name).replace(place)


def _in_order(repo: Any, wanted: Iterable[str]) -> list[str]:
    """Addresses as `dvc repro` would come to them: dvc.lock is written in that order."""
    from dvc.repo.reproduce import plan_repro

    left = set(wanted)
    ordered = plan_repro(repo.index.graph, list(repo.index.stages))
    return [stage.addressing for stage in ordered if stage.addressing in left]


def _write_entry(stage: Any, entry: Any) -> None:
    from dvc.utils.serialize import modify_yaml

    path = str(Path(stage.path).with_suffix(".lock"))
    with modify_yaml(path, fs=stage.repo.fs) as data:
        if not data:
            data["schema"] = "2.0"
        data.setdefault("stages", {})[stage.name] = entry


if __name__ == "__main__":
    sys.exit(main())
