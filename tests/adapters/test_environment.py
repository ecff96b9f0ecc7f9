import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ci_ml.adapters import environment
from ci_ml.core.training import Environment


def program(place: Path, script: str) -> Path:
    """An executable shell script."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return place


def interpreter(place: Path, name: str) -> Path:
    """A Python that says who it is."""
    answer = f'{{"executable": "{name}", "version": "3.12.0", "packages": {{"b": "2", "a": "1"}}}}'
    return program(place, f"cat <<'END'\n{answer}\nEND")


def read(folder: Path, commands: Sequence[str], path: Sequence[Path] = (), **env: str) -> Environment:
    """The environment as seen with these folders in front on PATH."""
    search = os.pathsep.join([*map(str, path), "/usr/bin", "/bin"])
    return environment.read(folder, [(folder, command) for command in commands], {"PATH": search, **env})


def test_the_machine_and_the_interpreter_are_described(tmp_path: Path) -> None:
    found = environment.read(tmp_path, [(tmp_path, f"{sys.executable} train.py")], dict(os.environ))
    version = ".".join(map(str, sys.version_info[:3]))
    assert found.interpreter["version"].startswith(version)
    assert found.packages["pytest"] == pytest.__version__
    assert list(found.packages) == sorted(found.packages)
    assert found.os
    assert found.cpu.endswith("logical cores")


class TestTheInterpreter:
    @pytest.mark.parametrize(
        ("commands", "expected"),
        [
            (["python train.py"], "python"),
            (["python3 -m train"], "python3"),
            (["python3.12 train.py"], "python3.12"),
            (["uv run python train.py"], "python"),
            (["env X=1 poetry run python3 train.py"], "python"),
            (["env X=1 python3 train.py"], "python3"),
            (["echo hello", "./tools/train.sh", "python3 train.py"], "python3"),
            (["./env/bin/python train.py"], "env/bin/python"),
            (["env/bin/python3 train.py"], "python"),
            (["echo 'unfinished", "python3 x.py"], "python3"),
            (["Rscript train.R"], "python"),
            (["python-config --libs"], "python"),
            ([], "python"),
        ],
    )
    def test_is_the_first_python_that_the_stages_call(self, tmp_path: Path, commands: list[str], expected: str) -> None:
        for name in ("python", "python3", "python3.12"):
            interpreter(tmp_path / "bin" / name, name)
        interpreter(tmp_path / "env/bin/python", "env/bin/python")
        assert read(tmp_path, commands, [tmp_path / "bin"]).interpreter["executable"] == expected

    def test_is_asked_away_from_files_that_would_shadow_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
        found = environment.read(tmp_path, [(tmp_path, "python train.py")], {"PATH": str(Path(sys.executable).parent)})
        assert "pytest" in found.packages


class TestWhetherTheStagesRunWithIt:
    @pytest.mark.parametrize(
        "commands",
        [
            ["python train.py --rate 0.1"],
            ["mkdir -p out && python train.py > out/log 2>&1; echo 'python3 x'"],
            ["X=1 env Y=2 exec python -m train", "cd src\npython train.py", "echo done"],
            ["python x.py < in.txt | python y.py | tee log || exit 1"],
            ["./env/bin/python train.py", "env/bin/python train.py"],
        ],
    )
    def test_is_known_where_their_commands_call_it_themselves(self, tmp_path: Path, commands: list[str]) -> None:
        for name in ("bin/python", "bin/python3", "env/bin/python"):
            interpreter(tmp_path / name, name)
        found = read(tmp_path, commands, [tmp_path / "bin"])
        assert found.runs_stages
        assert found.interpreter["executable"] == ("env/bin/python" if "env/bin" in commands[0] else "bin/python")

    @pytest.mark.parametrize(
        "commands",
        [
            [],
            ["echo hello"],
            ["uv run python train.py"],
            ["./train.sh"],
            ["Rscript train.R"],
            ["python train.py", "./evaluate.sh"],
            ["python train.py", "python3 evaluate.py"],
            ["source env/bin/activate && python train.py"],
            [". env/bin/activate; python train.py"],
            ["conda activate x\npython train.py"],
            ["PATH=env/bin:$PATH python train.py"],
            ["export PATH=env/bin\npython train.py"],
            ["cd env && ./bin/python train.py"],
            ["$PYTHON train.py"],
            ["$(which python) train.py"],
            ['echo "$(./train.sh)"', "python train.py"],
            ["echo `./train.sh`", "python train.py"],
            ["python 'unfinished"],
            ["python3.14 train.py"],
            ["echo \\\npython train.py"],
        ],
    )
    def test_is_not_claimed_where_anything_else_may_run(self, tmp_path: Path, commands: list[str]) -> None:
        for name in ("bin/python", "bin/python3", "env/bin/python"):
            interpreter(tmp_path / name, name)
        assert not read(tmp_path, commands, [tmp_path / "bin"]).runs_stages

    def test_it_is_asked_where_they_run(self, tmp_path: Path) -> None:
        """What stands for several Pythons chooses by the folder."""
        (tmp_path / "stage").mkdir()
        (tmp_path / "stage/.python-version").write_text("3.9.1")
        program(tmp_path / "bin/python", """echo "{\\"version\\": \\"$(cat .python-version)\\"}\"""")
        calls = [(tmp_path / "stage", "python train.py")]
        found = environment.read(tmp_path, calls, {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"})
        assert found.interpreter["version"] == "3.9.1"


class TestTheDigestOfPackages:
    def packages(self, tmp_path: Path, packages: Mapping[str, str]) -> Environment:
        listed = ", ".join(f'"{name}": "{version}"' for name, version in packages.items())
        program(tmp_path / "bin/python", f"echo '{{\"packages\": {{{listed}}}}}'")
        return read(tmp_path, [], [tmp_path / "bin"])

    def test_does_not_depend_on_their_order(self, tmp_path: Path) -> None:
        one = self.packages(tmp_path, {"a": "1", "b": "2"})
        other = self.packages(tmp_path, {"b": "2", "a": "1"})
        assert one.packages_digest == other.packages_digest
        assert one.packages_digest.startswith("sha256:")

    def test_depends_on_their_versions(self, tmp_path: Path) -> None:
        one, other = (self.packages(tmp_path, {"a": version}).packages_digest for version in ("1", "2"))
        assert one != other


class TestWhatCannotBeFoundOut:
    @pytest.mark.parametrize("script", ["exit 1", "echo no json", "echo [1]", "echo '{\"packages\"'", "kill -9 $$"])
    def test_is_left_empty(self, tmp_path: Path, script: str) -> None:
        program(tmp_path / "bin/python", script)
        found = read(tmp_path, ["python x.py"], [tmp_path / "bin"])
        assert (found.interpreter, found.packages) == ({}, {})

    def test_with_no_interpreter_at_all(self, tmp_path: Path) -> None:
        found = environment.read(tmp_path, [(tmp_path, "python x.py")], {"PATH": str(tmp_path)})
        assert (found.interpreter, found.packages) == ({}, {})

    def test_a_python_that_is_no_program(self, tmp_path: Path) -> None:
        program(tmp_path / "bin/python", "").write_bytes(b"\x7fELF nothing")
        assert read(tmp_path, [], [tmp_path / "bin"]).interpreter == {}


class TestGraphicsCards:
    def test_are_what_nvidia_smi_says(self, tmp_path: Path) -> None:
        program(tmp_path / "bin/nvidia-smi", "printf 'A100, 550.1, 40960 MiB\\nA100, 550.1, 40960 MiB\\n'")
        assert read(tmp_path, [], [tmp_path / "bin"]).gpu == ("A100, 550.1, 40960 MiB",) * 2

    def test_are_not_known_when_it_fails(self, tmp_path: Path) -> None:
        program(tmp_path / "bin/nvidia-smi", "echo NVIDIA-SMI has failed; exit 9")
        assert read(tmp_path, [], [tmp_path / "bin"]).gpu is None

    def test_are_none_when_it_finds_none(self, tmp_path: Path) -> None:
        program(tmp_path / "bin/nvidia-smi", "echo No devices were found; exit 6")
        assert read(tmp_path, [], [tmp_path / "bin"]).gpu == ()

    @pytest.mark.parametrize("device", ["nvidia0", "kfd", "accel0"])
    def test_without_it_there_are_none_unless_there_is_a_device(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
    ) -> None:
        monkeypatch.setattr(environment, "_DEVICES", tmp_path / "dev")
        (tmp_path / "dev").mkdir()
        assert environment.read(tmp_path, [], {"PATH": str(tmp_path)}).gpu == ()
        (tmp_path / "dev" / device).touch()
        assert environment.read(tmp_path, [], {"PATH": str(tmp_path)}).gpu is None
