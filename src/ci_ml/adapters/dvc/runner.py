"""Runs in a process of its own: reproduces a DVC pipeline and tells its parent what happens. Layer: adapters.

Called as `python -E -P -m ci_ml.adapters.dvc.runner NONCE OPTIONS`. What stages print goes to stdout as it is; between
it, lines that start with NONCE carry events as JSON, so both stay in order. DVC's own seam for a caller that
wants to know about each stage is `Repo.reproduce(repro_fn=...)`, which its experiments use as well.

A parent that is gone or wants to stop closes the file descriptor `control`: then the stage's processes are ended, the
outputs of the stage that was running are put back as they were, and DVC's locks are released.
"""

import contextlib
import itertools
import json
import logging
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_GRACE = 5.0
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# dvc.stage.exceptions.StageCmdFailedError keeps neither the command nor the code but in its message.
_COMMAND_FAILED = re.compile(r"failed to run: (.*), exited with (-?\d+)$", re.DOTALL)

# What DVC raises for a target that nothing here has; by name, because importing them costs as much as running.
_NO_TARGET = frozenset(
    "StageNotFound NoOutputOrStageError StageFileDoesNotExistError StageFileIsNotDvcFileError "
    "StageFileBadNameError StageNameUnspecified".split()
)


def main() -> int:
    """Reproduce what the options ask for; 0 when it worked, 1 when it failed, 130 when it was stopped."""
    nonce, options = sys.argv[1], json.loads(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: None)  # a Python handler, so that stages do not inherit ignoring it
    stop = Stop(options["control"])
    run = Run(nonce, stop, pull=False, alone=options["alone"])
    try:
        run.reproduce(options)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  the parent words it; a traceback here would be noise
        run.failure(error)
        return 130 if stop.asked else 1
    return 130 if stop.asked else 0


class Stop:
    """Waits for the control descriptor to close, then ends the stage's processes ever more firmly."""

    def __init__(self, control: int) -> None:
        self.asked = False
        self._control = control
        threading.Thread(target=self._wait, daemon=True).start()

    def check(self) -> None:
        """Raises KeyboardInterrupt when the parent wants to stop."""
        if self.asked:
            raise KeyboardInterrupt

    def _wait(self) -> None:
        os.read(self._control, 1)
        self.asked = True
        import psutil

        signal.raise_signal(signal.SIGINT)
        own = psutil.Process()
        left: set[Any] = set()
        for kind in itertools.chain((signal.SIGINT, signal.SIGTERM), itertools.repeat(signal.SIGKILL)):
            # One whose parent has ended is no child any more, so those seen before are kept.
            left |= set(own.children(recursive=True))
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(kind)
            left = _ended(left)


def _ended(processes: set[Any]) -> set[Any]:
    """Those that still run after a while. None is waited for: subprocess would miss its exit code and take it for 0."""
    import psutil

    def runs(process: Any) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        return False

    deadline = time.monotonic() + _GRACE
    while True:
        time.sleep(0.05)
        processes = {process for process in processes if runs(process)}
        if not processes or time.monotonic() > deadline:
            return processes


class Run:
    """One reproduction and its events."""

    def __init__(self, nonce: str, stop: Stop, *, pull: bool, alone: bool) -> None:
        self._nonce = nonce
        self._stop = stop
        self._pull = pull
        self._alone = alone
        self._ran = False
        self._current: str | None = None

    def reproduce(self, options: dict[str, Any]) -> None:
        from dvc.repo import Repo
        from dvc.stage import run as commands

        logging.getLogger("dvc").setLevel(logging.WARNING)  # what it informs about, our events say
        run_stage, run_command = commands.cmd_run, commands._run

        def cmd_run(stage: Any, *arguments: Any, **keywords: Any) -> Any:
            _check_here(stage.deps)
            self._ran = True
            self.emit(event="command", stage=stage.addressing, commands=_commands(stage.cmd))
            run_stage(stage, *arguments, **keywords)
            _check_here(stage.outs)

        def one_command(*arguments: Any, **keywords: Any) -> None:
            self._stop.check()
            run_command(*arguments, **keywords)
            self._stop.check()  # a command that ends well when it is interrupted has not done its work

        commands.cmd_run, commands._run = cmd_run, one_command
        repo = Repo(options["root"])
        self._pull = bool(repo.config["core"].get("remote") or repo.config.get("remote"))
        targets = options["targets"] or ["."]
        if options["anew"]:
            _put_back([out for out in repo.index.outs if out.persist and out.stage.cmd], {})
        # `pull` goes to each stage instead of to the whole: given to the whole it fetches the entire run cache first,
        # which can take hours (https://github.com/treeverse/dvc/issues/10449).
        repo.reproduce(
            targets,
            recursive=not options["targets"],
            force=options["force"],
            single_item=self._alone,
            allow_missing=True,
            # A run that is only compared leaves nothing in the cache: neither outputs, nor another answer of the run
            # cache to the question that this pipeline asks.
            no_commit=not options["kept"],
            run_cache=options["kept"],
            repro_fn=self.stage,
        )

    def stage(self, stage: Any, **keywords: Any) -> Any:
        """Reproduce one stage; called by DVC in order."""
        from dvc.repo.reproduce import _reproduce_stage

        self._stop.check()
        if not stage.cmd:  # data, which is not made by anything: to force it would be to take what is here for it
            return _reproduce_stage(stage, pull=self._pull, **{**keywords, "force": False})
        self._current = stage.addressing
        if self._alone:
            # With these DVC tells that an input has changed that is not here; without, it would take it for the same.
            keywords["upstream"] = list(stage.repo.index.graph.successors(stage))
        if not stage.frozen:
            self._prepare(stage, keywords)
        return self._reproduce(stage, keywords, pull=self._pull)

    def _reproduce(self, stage: Any, keywords: dict[str, Any], *, pull: bool) -> Any:
        from dvc.repo.reproduce import _reproduce_stage

        self._ran, self._current, begun = False, stage.addressing, time.monotonic()
        self.emit(event="start", stage=stage.addressing)
        with kept_outputs(stage, lambda: self._ran):
            try:
                result = _reproduce_stage(stage, pull=pull, **keywords)
            except BaseException:
                self.emit(event="end", stage=stage.addressing, state="failed", seconds=time.monotonic() - begun)
                raise
        state = "ran" if self._ran else "cached" if result else "skipped"
        self.emit(event="end", stage=stage.addressing, state=state, seconds=time.monotonic() - begun)
        return result

    def _prepare(self, stage: Any, keywords: dict[str, Any]) -> None:
        """Mend four ways in which `--allow-missing` would keep DVC from the truth.

        A folder that a stage depends on and that lacks some of its DVC-tracked files would be hashed as it is, and the
        stage run on part of the data: they are pulled first. An output that dvc.lock does not know, because it was
        never made, would count as merely missing: the stage is run. An input that a skipped stage makes and that is
        nowhere to be had would be an error: that stage is reproduced after all. A part of a folder that is not here
        would count as unchanged, whatever became of the folder: it is looked up, and provided when it differs.
        """
        self._fill_folders(stage)
        runs = bool(keywords.get("force")) or stage.changed(True, keywords.get("upstream"))
        if not runs and (any(not out.hash_info for out in stage.outs) or (self._alone and not self._have(stage))):
            keywords["force"] = runs = True
        parts = [] if runs else _changed_parts(stage)
        if runs or parts:
            self._provide(stage, keywords)
            _check_here(parts)

    def _have(self, stage: Any) -> bool:
        """Whether a stage's outputs are in the cache, or can be pulled: somebody waits for them."""
        if self._pull:
            with contextlib.suppress(Exception):  # what cannot be pulled can be made
                stage.repo.fetch([stage.addressing])
        with contextlib.suppress(Exception):
            stage.checkout(allow_missing=True)
        return all(out.exists for out in stage.outs if out.protocol == "local")

    def _fill_folders(self, stage: Any) -> None:
        folders = [dep.fs_path for dep in stage.deps if dep.protocol == "local" and Path(dep.fs_path).is_dir()]
        absent = [
            out
            for out in (stage.repo.index.outs if folders else ())
            if out.use_cache
            and out.hash_info
            and not Path(out.fs_path).exists()
            and any(Path(folder) in Path(out.fs_path).parents for folder in folders)
        ]
        lost = [out for out in absent if not self._pull and not out.stage.is_repo_import]
        for out in lost:
            with contextlib.suppress(Exception):  # it may be in the cache all the same
                out.checkout(allow_missing=True)
        if lost := [out for out in lost if not out.exists]:
            names = ", ".join(sorted(str(out) for out in lost)[:5])
            raise FileNotFoundError(f"missing data: {names} belong to a dependency, and there is no remote")
        if absent := [out for out in absent if not out.exists]:
            stage.repo.pull([out.stage.addressing for out in absent])

    def _provide(self, stage: Any, keywords: dict[str, Any]) -> None:
        """Get a stage's inputs that are not here: from the remote, else by reproducing the stages that make them."""
        for dep in stage.deps:
            if dep.protocol != "local" or dep.exists:
                continue
            why = self._pulled(stage.repo, dep)
            maker = None if dep.exists else _maker(stage.repo, dep.fs_path)
            if maker is None:
                continue
            if self._alone:  # what makes it has a job of its own, which may be on another machine
                where = "was neither handed on nor is it to be had from a remote"
                raise FileNotFoundError(f"missing data: {dep}, made by stage {maker.addressing}, {where}") from why
            self._provide(maker, keywords)
            own = {**keywords, "upstream": None, "force": False, "allow_missing": False}
            self._reproduce(maker, own, pull=False)

    def _pulled(self, repo: Any, dep: Any) -> Exception | None:
        """Pull an input, or say why that failed: what cannot be pulled may still be made, but for an import.

        An import comes from where it was imported from, and needs no remote.
        """
        imported = _import(repo, dep.fs_path)
        if not self._pull and imported is None:
            with contextlib.suppress(Exception):  # it may be in the cache all the same
                repo.checkout([os.path.relpath(dep.fs_path)], allow_missing=True)
            return None
        try:
            repo.pull(os.path.relpath(dep.fs_path))
        except Exception as error:  # each storage backend raises its own kinds
            if imported is not None and not dep.exists:
                what = (
                    f"missing data: {dep}, which {imported.relpath} imports, cannot be fetched from where it comes from"
                )
                raise FileNotFoundError(what) from error
            return error
        return None

    def failure(self, error: Exception) -> None:
        """Tell the parent why it failed: the deepest cause is the one that helps."""
        chain = [error]
        while chain[-1].__cause__ is not None and isinstance(chain[-1].__cause__, Exception):
            chain.append(chain[-1].__cause__)
        failed = next((found for item in chain if (found := _COMMAND_FAILED.search(str(item)))), None)
        words = (" ".join(_COLOR.sub("", str(item)).split()) for item in chain)
        message = ": ".join(dict.fromkeys(filter(None, words)))
        self.emit(
            event="failure",
            stage=self._current,
            message=message or type(error).__name__,
            command=failed[1] if failed else None,
            code=int(failed[2]) if failed else None,
            refused=self._current is None and any(type(item).__name__ in _NO_TARGET for item in chain),
        )

    def emit(self, **event: Any) -> None:
        sys.stdout.flush()
        sys.stdout.write(f"\n{self._nonce}{json.dumps(event)}\n")
        sys.stdout.flush()


def _maker(repo: Any, path: str) -> Any:
    """The stage with a command that makes `path` or a folder around it; None when there is none."""
    places = {path, *map(str, Path(path).parents)}
    stages = (stage for stage in repo.index.stages if stage.cmd and not stage.frozen)
    return next((stage for stage in stages if any(out.fs_path in places for out in stage.outs)), None)


def _import(repo: Any, path: str) -> Any:
    """The .dvc file that imports `path` or a folder around it from another repository; None when there is none."""
    places = {path, *map(str, Path(path).parents)}
    imports = (stage for stage in repo.index.stages if stage.is_repo_import)
    return next((stage for stage in imports if stage.outs[0].fs_path in places), None)


def _changed_parts(stage: Any) -> list[Any]:
    """The inputs that are not here, and that are parts of a tracked folder whose listing has something else for them.

    A listing that cannot be had says nothing, like any data that is not here.
    """
    absent = [dep for dep in stage.deps if dep.protocol == "local" and dep.hash_info and not dep.exists]
    folders = [out for out in stage.repo.index.outs if absent and out.use_cache and out.is_dir_checksum]
    return [
        dep
        for dep in absent
        for out in folders
        if Path(out.fs_path) in Path(dep.fs_path).parents
        and out.hash_name == dep.hash_name  # digests of DVC 2 and 3 cannot be compared
        and out.get_dir_cache() is not None
        and ((part := out.get_obj(dep.fs_path)) is None or part.hash_info.value != dep.hash_info.value)
    ]


def _check_here(items: list[Any]) -> None:
    """With `--allow-missing` DVC lets a stage run without its inputs, and without writing its outputs.

    Raises DoesNotExistError of DVC for the first local file or folder that is not here.
    """
    for item in items:
        if item.protocol == "local" and not item.exists:
            raise item.DoesNotExistError(item)


def _commands(cmd: Any) -> list[str]:
    return [str(item) for item in cmd] if isinstance(cmd, list) else str(cmd).splitlines()


@contextlib.contextmanager
def kept_outputs(stage: Any, ran: Callable[[], bool]) -> Iterator[None]:
    """Put a stage's outputs back as they were when it fails or is stopped half-way.

    DVC removes outputs before it runs a stage. What it caches it can check out again; what git tracks is kept aside.
    Outputs marked `persist` carry a run's progress and are left alone.
    """
    outs = [out for out in stage.outs if out.protocol == "local" and not out.persist]
    aside = Path(stage.repo.tmp_dir or stage.repo.root_dir) / f"ci-ml-{os.getpid()}"
    kept: dict[Path, Path] = {}
    try:
        for number, out in enumerate(out for out in outs if not out.use_cache):
            place = Path(out.fs_path)
            if place.exists():
                kept[place] = aside / str(number)
                aside.mkdir(parents=True, exist_ok=True)
                _link(place, kept[place])
        yield
    except BaseException:
        # What fails before the command starts, such as a pull of its data, may have removed outputs already.
        _put_back([out for out in outs if ran() or not Path(out.fs_path).exists()], kept)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put_back(outs: list[Any], kept: dict[Path, Path]) -> None:
    for out in outs:
        place = Path(out.fs_path)
        with contextlib.suppress(Exception):  # the failure itself is what the user has to hear about
            if place in kept:
                _remove(place)
                shutil.move(kept[place], place)
            elif out.use_cache:
                out.remove()
                if out.hash_info:
                    out.checkout(force=True, allow_missing=True)
            else:
                _remove(place)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    """A hard link costs nothing, and DVC unlinks the original before the stage writes a new one."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copy2)
    else:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)


if __name__ == "__main__":
    sys.exit(main())
