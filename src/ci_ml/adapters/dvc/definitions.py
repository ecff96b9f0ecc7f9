"""dvc.yaml, dvc.lock and .dvc files of any tree, to a `Pipeline`. Layer: adapters.

Templating (vars, `${…}`, foreach, matrix) is resolved by DVC's own resolver; a dvc.yaml without any of it needs no
resolving and costs no import of dvc.
"""

import configparser
import dataclasses
import functools
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ci_ml.adapters.dvc.digests import ignore_rules
from ci_ml.core import documents
from ci_ml.core.pipeline import DVC_2, DataSource, Digest, LockedStage, Output, ParamsFile, Pipeline, Stage, covering
from ci_ml.core.types import Gap
from ci_ml.errors import UsageError
from ci_ml.ports import Tree

NEWLINE = b"\n"
DEFAULT_PARAMS = "params.yaml"
T = TypeVar("T", dict[Any, Any], list[Any])

_REFUSED = "DVC refuses it, too"
_TEMPLATED = {"foreach", "matrix", "vars"}

# What DVC's schema wants of what is read here and of what stands beside it: a command that takes more would promise
# what `dvc repro` refuses. `validate` asks DVC itself about the rest.
_TOP = {"stages": dict, "metrics": list, "params": list, "plots": list, "vars": list, "artifacts": dict}
_STAGE: dict[str, type] = dict.fromkeys(("deps", "outs", "metrics", "plots", "params", "vars"), list)
_STAGE |= {"wdir": str, "frozen": bool, "always_changed": bool}
_OUTPUT = {"cache": bool, "push": bool}
_WORDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}


def read(tree: Tree, root: str = "") -> Pipeline:
    """Everything the DVC files of a tree say, below the folder `root` (relative to the repository's root).

    Raises UsageError naming the file and line of a dvc.yaml, dvc.lock or .dvc file that DVC would refuse.
    """
    files = _dvc_files(tree, root)
    contents = {path: data for path, data in tree.read(files).items() if isinstance(data, bytes)}
    project = _Project(tree=tree, root=root, contents=contents)
    sources = [project.source(path) for path in files if path.endswith(".dvc")]
    stages: list[Stage] = []
    metrics: list[str] = []
    params: list[str] = []
    plots: list[str] = []
    for path in files:
        if posixpath.basename(path) == "dvc.yaml":
            definition = project.definition(path)
            stages.extend(project.stages(path, definition))
            metrics.extend(project.declared(path, definition, "metrics"))
            params.extend(project.declared(path, definition, "params"))
            plots.extend([path] if definition.get("plots") else [])
    # What lies inside an output is data, not a definition: DVC does not look for files there.
    made = {out.path for stage in stages for out in stage.outs} | {
        out.path for source in sources for out in source.outs
    }
    kept = tuple(stage for stage in stages if not _within_output(stage.file, made))
    plots.extend(stage.file for stage in kept if any(out.plot for out in stage.outs))
    return Pipeline(
        stages=kept,
        sources=tuple(source for source in sources if not _within_output(source.file, made)),
        metrics=tuple(dict.fromkeys(metrics)),
        params=tuple(dict.fromkeys(params)),
        plots=tuple(dict.fromkeys(path for path in plots if not _within_output(path, made))),
    )


def default_remote(tree: Tree, root: str) -> str | None:
    """The address of DVC's default remote, as .dvc/config in a tree has it; None when there is none."""
    parser = _config(tree, root)
    name = parser.get("core", "remote", fallback=None)
    # DVC writes ['remote "name"'].
    sections = (f"'remote \"{name}\"'", f'remote "{name}"')
    return next((url for section in sections if (url := parser.get(section, "url", fallback=None))), None)


def _config(tree: Tree, root: str) -> configparser.ConfigParser:
    path = posixpath.join(root, ".dvc/config")
    data = tree.read([path])[path]
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(data.decode() if isinstance(data, bytes) else "")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    return parser


def validate(tree: Tree, root: str) -> None:
    """Check dvc.yaml and dvc.lock files against DVC's own schemas. Raises UsageError where DVC would refuse them."""
    contents = tree.read(path for path in _dvc_files(tree, root) if not path.endswith(".dvc"))
    for path, data in contents.items():
        _conform(_mapping(data, path) if isinstance(data, bytes) else {}, path)


def _conform(value: Mapping[str, Any], path: str) -> None:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA, COMPILED_MULTI_STAGE_SCHEMA
    from voluptuous import MultipleInvalid

    if not value:
        return
    schema = COMPILED_LOCKFILE_SCHEMA if path.endswith(".lock") else COMPILED_MULTI_STAGE_SCHEMA
    try:
        schema(value)
    except MultipleInvalid as error:
        first = error.errors[0]
        where = ".".join(map(str, first.path))
        raise UsageError(f"{path}: {where or 'top level'}: {first.msg}", _REFUSED) from None


def _dvc_files(tree: Tree, root: str) -> list[str]:
    """DVC's files below `root`, without those of other DVC projects inside it."""
    names = tree.files()
    others = [
        name.removesuffix(".dvc/config") for name in names if name.endswith("/.dvc/config") and _inside(name, root)
    ]
    others = [folder for folder in others if folder.rstrip("/") != root]
    found = [
        path for path in names if _is_dvc_file(path) and _inside(path, root) and not path.startswith(tuple(others))
    ]
    ignored = ignore_rules(tree, root)
    return sorted(path for path in found if not any(map(ignored, (*_folders(path), path))))


def _folders(path: str) -> Iterator[str]:
    """The folders around a path, outermost first, each with a `/` at its end."""
    parts = path.split("/")
    return ("/".join(parts[:end]) + "/" for end in range(1, len(parts)))


def _is_dvc_file(path: str) -> bool:
    name = posixpath.basename(path)
    return name in ("dvc.yaml", "dvc.lock") or (name.endswith(".dvc") and name != ".dvc")


def _inside(path: str, root: str) -> bool:
    return not root or path.startswith(f"{root}/")


def _within_output(path: str, made: Iterable[str]) -> bool:
    return covering(posixpath.dirname(path), dict.fromkeys(made)) is not None if posixpath.dirname(path) else False


@dataclass(frozen=True, kw_only=True)
class _Project:
    tree: Tree
    root: str
    contents: Mapping[str, bytes] = field(repr=False)

    def definition(self, path: str) -> dict[str, Any]:
        """A dvc.yaml with every template resolved."""
        value = _mapping(self.contents[path], path)
        stages = _section(value, "stages", dict, path)
        _shaped(value, _TOP, path)
        for name, stage in stages.items():
            if not isinstance(name, str):
                raise UsageError(f"{path}: stages: {name!r} is no name: put it in quotes", _REFUSED)
            if isinstance(stage, dict):
                _shaped(stage, _STAGE, f"{path}: stages.{name}")
        if (
            b"${" in self.contents[path]
            or "vars" in value
            or any(isinstance(stage, dict) and _TEMPLATED & stage.keys() for stage in stages.values())
        ):
            return _resolve(value, path, self.tree, self._parsing_config())
        return {**value, "stages": stages}

    def _parsing_config(self) -> dict[str, str]:
        parser = _config(self.tree, self.root)
        return dict(parser["parsing"]) if parser.has_section("parsing") else {}

    def stages(self, path: str, definition: Mapping[str, Any]) -> Iterator[Stage]:
        lock_path = f"{path.removesuffix('.yaml')}.lock"
        locked = _locked_stages(self.contents.get(lock_path), lock_path)
        folder = posixpath.dirname(path)
        for name, stage in definition["stages"].items():
            if not isinstance(stage, dict) or not stage.get("cmd"):
                raise UsageError(
                    f"{path}: stages.{name}: a stage is a mapping with a cmd", "`dvc stage list` checks it"
                )
            if not isinstance(stage["cmd"], str | list):
                raise UsageError(f"{path}: stages.{name}.cmd: must be text or a list", _REFUSED)
            yield self._stage(path, folder, str(name), stage, locked.get(name))

    def _stage(self, path: str, folder: str, name: str, stage: Mapping[str, Any], locked: Any) -> Stage:
        where = f"{path}: stages.{name}"
        wdir = _join(folder, str(stage.get("wdir") or "."))
        outs = tuple(_outputs(stage, wdir, where))
        deps = tuple(_join(wdir, dep) for dep in _listed(stage, "deps", where, str))
        address = (
            name
            if path == posixpath.join(self.root, "dvc.yaml")
            else f"{posixpath.relpath(path, self.root or '.')}:{name}"
        )
        entry = _locked_stage(locked, wdir, where) if locked is not None else None
        return Stage(
            name=address,
            file=path,
            command=_command(stage["cmd"]),
            wdir=wdir,
            deps=deps,
            params=tuple(_params(stage, wdir, where)),
            outs=tuple(_recorded(out, entry) for out in outs),
            frozen=bool(stage.get("frozen", False)),
            always=bool(stage.get("always_changed", False)) or not (deps or outs or stage.get("params")),
            locked=entry,
        )

    def source(self, path: str) -> DataSource:
        value = _mapping(self.contents[path], path)
        wdir = _join(posixpath.dirname(path), str(value.get("wdir") or "."))
        outs = []
        for out in _section(value, "outs", list, path):
            if not isinstance(out, dict) or not isinstance(out.get("path"), str):
                raise UsageError(f"{path}: outs: each output is a mapping with a path", _REFUSED)
            outs.append(
                Output(path=_join(wdir, out["path"]), cached=out.get("cache", True) is not False, recorded=_digest(out))
            )
        deps = [dep for dep in _section(value, "deps", list, path) if isinstance(dep, dict)]
        return DataSource(file=path, outs=tuple(outs), imported=bool(deps))

    def declared(self, path: str, definition: Mapping[str, Any], key: str) -> list[str]:
        """Files that a dvc.yaml declares at its top level under `metrics:` or `params:`."""
        folder = posixpath.dirname(path)
        return [_join(folder, item) for item in _listed(definition, key, path, str)]


# Base and head mostly hold the same files, and reading YAML is most of the work. Nothing below changes what it reads.
@functools.lru_cache(maxsize=256)
def _mapping(data: bytes, path: str) -> dict[str, Any]:
    if b"\n<<<<<<< " in b"\n" + data:
        line = (b"\n" + data).index(b"\n<<<<<<< ")
        raise UsageError(
            f"{path}:{data.count(NEWLINE, 0, line) + 1} holds conflict markers of a merge",
            "resolve the conflict, then run `ci-ml train` (or `dvc repro`), which writes it anew"
            if path.endswith(".lock")
            else "resolve the conflict",
        )
    try:
        value = documents.parse(data, "dvc.yaml").value
    except documents.DocumentError as error:
        raise UsageError(
            f"{path}{f':{error.line}' if error.line else ''}: {error.reason}", "DVC cannot read it either"
        ) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{path}: it holds {type(value).__name__} where a mapping belongs", _REFUSED)
    return value


def _section(value: Mapping[str, Any], key: str, kind: type[T], where: str) -> T:
    section = value.get(key)
    if section is None:
        return kind()
    if not isinstance(section, kind):
        raise UsageError(f"{where}: {key}: must be {_WORDS[kind]}", _REFUSED)
    return section


def _shaped(value: Mapping[str, Any], shape: Mapping[str, type], where: str) -> None:
    """Raises UsageError for a key that holds something of another kind; DVC takes no null for nothing."""
    for key, kind in shape.items():
        if key in value and not isinstance(value[key], kind):
            raise UsageError(f"{where}: {key}: must be {_WORDS[kind]}", _REFUSED)


def _listed(stage: Mapping[str, Any], key: str, where: str, *kinds: type) -> list[Any]:
    items = _section(stage, key, list, where)
    for item in items:
        if not isinstance(item, kinds):
            named = f"{where}.{key}" if ": " in where else f"{where}: {key}"
            raise UsageError(f"{named}: {item!r} is not allowed here", _REFUSED)
    return items


def _join(folder: str, path: str) -> str:
    if "://" in path or posixpath.isabs(path):
        return path
    joined = posixpath.normpath(posixpath.join(folder, path))
    return "" if joined == "." else joined


def _command(cmd: Any) -> tuple[str, ...]:
    return tuple(map(str, cmd)) if isinstance(cmd, list) else (str(cmd),)


def _outputs(stage: Mapping[str, Any], wdir: str, where: str) -> Iterator[Output]:
    for section in ("outs", "metrics", "plots"):
        for item in _listed(stage, section, where, str, dict):
            options = item if isinstance(item, dict) else {item: {}}
            _shaped(options, dict.fromkeys(options, dict), f"{where}.{section}")
            for path, settings in options.items():
                _shaped(settings, _OUTPUT, f"{where}.{section}.{path}")
                yield Output(
                    path=_join(wdir, str(path)),
                    cached=settings.get("cache", True) is not False,
                    pushed=settings.get("push", True) is not False,
                    metric=section == "metrics",
                    plot=section == "plots",
                )


def _params(stage: Mapping[str, Any], wdir: str, where: str) -> Iterator[ParamsFile]:
    """Parameters by file. A key without a file is in params.yaml; a file without keys stands for all of its keys."""
    keys: dict[str, list[str]] = {}
    whole: set[str] = set()
    for item in _listed(stage, "params", where, str, dict):
        if isinstance(item, str):
            keys.setdefault(DEFAULT_PARAMS, []).append(item)
            continue
        for path in item:
            listed = _section(item, path, list, f"{where}.params")
            keys.setdefault(str(path), []).extend(map(str, listed))
            if not listed:
                whole.add(str(path))
    for path, names in keys.items():
        yield ParamsFile(path=_join(wdir, path), keys=() if path in whole else tuple(dict.fromkeys(names)))


def _recorded(out: Output, entry: LockedStage | None) -> Output:
    recorded = entry.outs.get(out.path) if entry else None
    return dataclasses.replace(out, recorded=recorded)


def _locked_stages(data: bytes | None, path: str) -> Mapping[str, Any]:
    if data is None:
        return {}
    value = _mapping(data, path)
    if "schema" not in value:  # dvc.lock of DVC 1: the stages themselves
        return value
    return _section(value, "stages", dict, path)


def _locked_stage(locked: Any, wdir: str, where: str) -> LockedStage:
    if not isinstance(locked, dict):
        raise UsageError(f"{where}: its entry in dvc.lock is not a mapping", "run `dvc repro`, which writes it anew")
    digests: dict[str, dict[str, Digest | None]] = {"deps": {}, "outs": {}}
    for section, found in digests.items():
        for item in _section(locked, section, list, f"{where} in dvc.lock"):
            if isinstance(item, dict) and isinstance(item.get("path"), str):
                found[_join(wdir, item["path"])] = _digest(item)
    params = _section(locked, "params", dict, f"{where} in dvc.lock")
    return LockedStage(
        command=_command(locked.get("cmd", "")),
        deps=digests["deps"],
        outs=digests["outs"],
        params={_join(wdir, str(path)): values for path, values in params.items() if isinstance(values, dict)},
    )


def _digest(item: Mapping[str, Any]) -> Digest | None:
    """The digest of an entry. Without `hash:` it is DVC 2's, which folds CRLF line ends of text files."""
    algorithm = item.get("hash") if isinstance(item.get("hash"), str) else None
    value = item.get(algorithm or "md5")
    if not isinstance(value, str):
        return None
    size, files = item.get("size"), item.get("nfiles")
    return Digest(
        algorithm=algorithm or DVC_2,
        value=value,
        size=size if isinstance(size, int) else None,
        files=files if isinstance(files, int) else None,
    )


def _resolve(value: dict[str, Any], path: str, tree: Tree, parsing: Mapping[str, str]) -> dict[str, Any]:
    from dvc.exceptions import DvcException
    from dvc.parsing import DataResolver
    from dvc.parsing.context import ContextError

    _conform(value, path)  # DVC's resolver trusts that this has been checked
    repository = _Repository(fs=_Files(tree), config={"parsing": dict(parsing)})
    try:
        resolver = DataResolver(repository, posixpath.dirname(path), value)
        stages = {name: resolver.resolve_one(name)[name] for name in resolver.get_keys()}
        found = {"stages": stages, "metrics": resolver.resolve_metrics(), "params": resolver.resolve_params()}
        return {**found, "plots": value.get("plots")}
    except (DvcException, ContextError) as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise UsageError(
            f"{path} cannot be resolved: {' '.join(str(error).split())}{cause}", "`dvc stage list` checks it"
        ) from None
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        why = str(error) or "DVC's resolver fails on it"
        raise UsageError(f"{path} cannot be resolved: {why}", "`dvc stage list` checks it") from None


@dataclass(frozen=True, kw_only=True)
class _Repository:
    """The part of dvc.repo.Repo that DVC's resolver uses."""

    fs: "_Files"
    config: Mapping[str, Any]


class _Files:
    """A tree as the file system that DVC's resolver reads vars from."""

    join = staticmethod(posixpath.join)
    normpath = staticmethod(posixpath.normpath)

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def relpath(self, path: str, start: str = ".") -> str:
        return posixpath.relpath(path, start)

    def suffix(self, path: str) -> str:
        return posixpath.splitext(path)[1]

    def exists(self, path: str) -> bool:
        return not isinstance(self._read(path), Gap) or self.isdir(path)

    def isdir(self, path: str) -> bool:
        return any(name.startswith(f"{posixpath.normpath(path)}/") for name in self._tree.files())

    def open(self, path: str, mode: str = "r", encoding: str | None = None, **_: Any) -> Any:
        import io

        data = self._read(path)
        if isinstance(data, Gap):
            raise FileNotFoundError(path)
        return io.BytesIO(data) if "b" in mode else io.StringIO(data.decode(encoding or "utf-8"))

    def _read(self, path: str) -> bytes | Gap:
        name = posixpath.normpath(path)
        return self._tree.read([name])[name]
