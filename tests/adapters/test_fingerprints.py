"""A model's digests are those of sha256sum and DVC."""

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest

from ci_ml.adapters import fingerprints
from ci_ml.errors import UsageError


def nothing(path: str) -> bool:
    return False


def test_a_file_is_what_sha256sum_says(tmp_path: Path) -> None:
    place = tmp_path / "m.bin"
    place.write_bytes(b"weights" * 1_000_000)
    found = fingerprints.bundle("models/m.bin", place, nothing, lambda: "md5:1")
    said = subprocess.run(["sha256sum", place], capture_output=True, text=True, check=True).stdout.split()[0]
    assert found.digest == {"sha256": said}
    assert found.outputs == {"models/m.bin": said}
    assert (found.size, found.dvc, found.can_load, found.mark) == (7_000_000, "md5:1", False, f"sha256:{said}")


# As in-toto has it: https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md#dirhash
DIR_HASH = "find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum | sha256sum | cut -f1 -d' '"


def test_a_folder_is_the_list_of_its_files(tmp_path: Path) -> None:
    for name in ("MLmodel", "b/z", "a"):
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_text(name)
    said = subprocess.run(DIR_HASH, shell=True, cwd=tmp_path / "m", capture_output=True, text=True, check=True).stdout
    (tmp_path / "m" / "ignored").write_text("x")
    found = fingerprints.bundle("m", tmp_path / "m", lambda path: path == "m/ignored", lambda: "")
    names = sorted(["MLmodel", "a", "b/z"])
    assert found.digest == {"dirHash": said.strip()}
    assert found.mark == f"h1:{base64.b64encode(bytes.fromhex(said)).decode()}"
    assert list(found.outputs) == [f"m/{name}" for name in names]
    assert found.can_load


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "away" / "link").symlink_to(tmp_path / "secret")
    for name, words in (("gone", "there is no gone"), ("empty", "an empty folder"), ("away", "a link out of")):
        with pytest.raises(UsageError, match=words):
            fingerprints.bundle(name, tmp_path / name, nothing, str)


def test_links_into_dvcs_cache_are_files(tmp_path: Path) -> None:
    cached = tmp_path / ".dvc" / "cache" / "files" / "md5" / "ab" / "cdef"
    cached.parent.mkdir(parents=True)
    cached.write_text("weights")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "w").symlink_to(cached)
    found = fingerprints.bundle("m", tmp_path / "m", nothing, str)
    assert found.outputs == {"m/w": hashlib.sha256(b"weights").hexdigest()}
