"""The wheel, built for real: every file of the package is in it, and a command works from what it holds."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from ci_ml.render.formats import FORMATS, STYLED
from tests import reports

ROOT = Path(__file__).parent.parent
LEFT_OUT = {"__pycache__", ".gitignore"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel holds, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def tracked(folder: str) -> list[Path]:
    """The files of the project in a folder of it, relative to that."""
    listed = subprocess.run(["git", "ls-files", "-z", "--", folder], cwd=ROOT, check=True, capture_output=True)
    return [Path(name).relative_to(folder) for name in listed.stdout.decode().split("\0") if name]


def test_it_holds_every_file_of_the_package(wheel: Path) -> None:
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source, target in {"src/ci_ml": "ci_ml", **given["force-include"]}.items():
        names = tracked(source)
        assert names
        for name in names:
            assert (wheel / target / name).read_bytes() == (ROOT / source / name).read_bytes()
    for name in ("py.typed", "render/assets/vega.js", "render/assets/vega.LICENSE.txt", "render/assets/report.css",
                 "render/assets/report.js", "render/templates/report.html.j2", "templates/ci-ml.yml"):  # fmt: skip
        assert (wheel / "ci_ml" / name).is_file()


def test_every_format_is_made_from_what_it_holds(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(reports.everything().to_json())
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import ci_ml, pathlib; from ci_ml.core.report import load;"
        " from ci_ml.render.formats import render; from ci_ml.adapters import templates;"
        " assert ci_ml.__file__.startswith(sys.argv[1]); assert 'github/single.yml.j2' in templates.builtin();"
        " content = load(pathlib.Path('report.json').read_bytes(), 'x');"
        " [print(form, len(render(form, content, {}))) for form in sys.argv[2:]]"
    )
    forms = [*FORMATS, *STYLED]
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, wheel, *forms], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line.partition(" ")[0] for line in done.stdout.splitlines()] == forms
