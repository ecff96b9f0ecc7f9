"""Files that DVC keeps in its cache or on a remote, at any revision. Layer: adapters."""

import contextlib
import hashlib
import locale
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci_ml.core.documents import MAX_BYTES, too_large
from ci_ml.core.training import redact
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError

_NAMED = ("remote", "machine", "db")


@dataclass(frozen=True, kw_only=True)
class Cache:
    """DVC's data of one repository; `dvc_root` is relative to `root`, the top of the git repository."""

    root: Path
    dvc_root: str
    hidden: tuple[str, ...] = field(default=(), repr=False)

    def read(self, sha: str | None, paths: Iterable[str]) -> Mapping[str, bytes | Gap]:
        """The content of tracked files, from the cache or streamed from the remote, or why there is none."""
        wanted = list(paths)
        try:
            with self._files(sha) as files:
                return {path: self._read(files, path) for path in wanted}
        except Exception as error:  # noqa: BLE001  DVC cannot open this revision at all
            return {path: self._gap(path, error) for path in wanted}

    def find(self, sha: str | None, folder: str) -> frozenset[str]:
        """Every file in a tracked folder; empty when its listing is neither in the cache nor on a remote."""
        prefix = f"{self.dvc_root}/" if self.dvc_root else ""
        try:
            with self._files(sha) as files:
                return frozenset(f"{prefix}{name.lstrip('/')}" for name in files.find(self._inside(folder)))
        except Exception:  # noqa: BLE001  any backend's error means the same: no listing
            return frozenset()

    def place(self, sha: str | None, path: str, folder: Path) -> Path | Gap:
        """The file in DVC's cache, else fetched alone from the remote into `folder`, or why it cannot be had."""
        try:
            with self._files(sha) as files:
                name = self._inside(path)
                digest = files.info(name).get("md5")
                cached = Path(files.repo.cache.local.oid_to_path(digest)) if digest else None
                if cached is not None and cached.is_file():
                    return cached
                copy = folder / str(digest or hashlib.sha256(path.encode()).hexdigest())
                files.get_file(name, str(copy))
                return copy
        except Exception as error:  # noqa: BLE001  each storage backend raises its own kinds
            return self._gap(path, error)

    def share(self, copy: Path) -> None:
        """Let a copy of the repository use the same cache, and the remotes that are beside this one.

        That is written into the copy's .dvc/config.local in the encoding in which DVC reads it: its own commands write
        nothing but ASCII. Raises DependencyError when DVC cannot say where they are, or the file cannot be written.
        """
        from configobj import ConfigObj
        from dvc.config import Config

        place = copy / self.dvc_root / ".dvc" / "config.local"
        try:
            with self._files(None) as files:
                remotes = {name: str(Path(url).resolve()) for name, url in _relative(files.repo).items()}
                cache = str(files.repo.cache.local_cache_dir)
            said: dict[str, Any] = Config.load_file(str(place)) if place.is_file() else {}
            _merged(said, {"cache": {"dir": cache}, "remote": {name: {"url": url} for name, url in remotes.items()}})
            place.unlink(missing_ok=True)  # it may be a link
            with place.open("wb") as stream:
                ConfigObj(_packed(said), encoding=locale.getpreferredencoding(False)).write(stream)
        except Exception as error:  # noqa: BLE001  DVC cannot open this repository at all
            raise DependencyError(f"DVC does not say where its cache is: {redact(str(error), self.hidden)}") from None

    def _read(self, files: Any, path: str) -> bytes | Gap:
        try:
            name = self._inside(path)
            size = files.info(name).get("size") or 0
            if size > MAX_BYTES:
                return Gap(reason=too_large(path, size))
            data: bytes = files.read_bytes(name)
            return data
        except Exception as error:  # noqa: BLE001  each storage backend raises its own kinds
            return self._gap(path, error)

    def _gap(self, path: str, error: Exception) -> Gap:
        words = redact(" ".join(str(error).split()) or type(error).__name__, self.hidden)
        where = "neither in its cache nor to be had from a remote"
        return Gap(reason=f"{path} is tracked by DVC, and {where} ({words[:200]})")

    @contextmanager
    def _files(self, sha: str | None) -> Iterator[Any]:
        """DVC's view of a commit, or of the work tree.

        A `DVCFileSystem(rev=…)` would read a clone of the repository in a temporary folder, where remotes with a
        relative path and the credentials of .dvc/config.local are lost; DVC's own commands switch the repository.
        A remote with a relative path is then taken for one below `/`, so it is given its place in the work tree.
        """
        from dvc.repo import Repo
        from dvc.repo.brancher import switch

        with _quiet():
            repo = Repo(str(self.root / self.dvc_root))
            nearby = _relative(repo)
            with switch(repo, sha) if sha else contextlib.nullcontext(), contextlib.closing(repo):
                for name in _relative(repo).keys() & nearby.keys():
                    repo.config["remote"][name]["url"] = nearby[name]
                yield repo.dvcfs

    def _inside(self, path: str) -> str:
        return path[len(self.dvc_root) + 1 :] if self.dvc_root else path


def _merged(said: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping):
            _merged(said.setdefault(key, {}), value)
        else:
            said[key] = value


def _packed(said: Mapping[str, Any]) -> dict[str, Any]:
    """Sections as DVC writes them: those of remotes and the like have the name in theirs."""
    plain = {key: value for key, value in said.items() if key not in _NAMED and value}
    named = {f'{key} "{name}"': value for key in _NAMED for name, value in said.get(key, {}).items()}
    return {**plain, **named}


def _relative(repo: Any) -> dict[str, str]:
    """The remotes that have a relative path, by name."""
    from dvc.config_schema import RelPath

    remotes = {name: remote.get("url") for name, remote in repo.config["remote"].items()}
    return {name: url for name, url in remotes.items() if isinstance(url, RelPath)}


@contextmanager
def _quiet() -> Iterator[None]:
    """DVC logs to stderr on its own; what matters travels in the Gap."""
    logger = logging.getLogger("dvc")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def python_params(data: bytes, path: str) -> Mapping[str, Any]:
    """The parameters in a Python module, by DVC's own reader, which parses and never runs it.

    Raises UsageError when it is not valid Python.
    """
    from dvc.utils.serialize import PythonFileCorruptedError, parse_py

    from ci_ml.errors import UsageError

    try:
        parsed: dict[str, Any] = parse_py(data.decode("utf-8", "replace"), path)
    except (PythonFileCorruptedError, ValueError, MemoryError, RecursionError) as error:
        raise UsageError(f"{path} is not valid Python: {str(error) or 'it is nested too deeply'}") from None
    return parsed
