"""The forge and repository behind the address of a git remote. Layer: core."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_SHORT = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?!//)(?P<path>[^\s]+)")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A server, and the path of a repository on it; never the credentials that the address may have held."""

    host: str
    path: str


def parse(url: str) -> Origin | None:
    """`https://HOST/PATH.git`, `ssh://git@HOST:PORT/PATH` or `git@HOST:PATH`; None for a folder and for nonsense."""
    try:
        if "://" in url:
            parts = urlsplit(url)
            host, path = (parts.hostname, parts.path) if parts.scheme in ("https", "http", "ssh", "git") else (None, "")
        else:
            match = _SHORT.fullmatch(url)
            host, path = (match["host"], match["path"]) if match else (None, "")
    except ValueError:
        return None
    path = path.strip("/").removesuffix(".git")
    if not host or "/" not in path or not re.fullmatch(r"[\w./~+-]+", path) or ".." in path.split("/"):
        return None
    return Origin(host=host.lower(), path=path)
