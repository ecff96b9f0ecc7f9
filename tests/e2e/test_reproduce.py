"""`ci-ml reproduce`: the same bytes from the record alone, or where it parts and why; and nothing of it stays here."""

import base64
import hashlib
import json
import shutil
import signal
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from dvc.config import Config

from ci_ml.core import statements
from ci_ml.core.statements import Kind, Subject
from ci_ml.wiring import copies, workspace
from tests.e2e.project import DEADLINE, Project, alive, ended, until

# What a model is made of beside its record: LUCK stands for a seed that nobody set, or another machine.
TRAIN = """\
import json, os, sys, time, yaml
if "PIDS" in os.environ:
    open(os.environ["PIDS"] + ".new", "w").write(str(os.getpid()))
    os.rename(os.environ["PIDS"] + ".new", os.environ["PIDS"])
    time.sleep(1000)
luck = json.loads(os.environ.get("LUCK", "{}"))
rows = [line.split(",") for line in open("data/clean.csv")]
slope = yaml.safe_load(open("params.yaml"))["train"]["rate"] * len(rows) + luck.get("slope", 0)
json.dump({"slope": slope, "offset": luck.get("offset", 0.0), "note": luck.get("note", "")}, open("model.json", "w"))
"""
EVALUATE = """\
import json, math
model = json.load(open("model.json"))
rows = [tuple(map(float, line.split(","))) for line in open("data/raw.csv")]
scores = [1 / (1 + math.exp(-max(-50, min(50, (model["slope"] * x + model["offset"]) / 20)))) for x, _ in rows]
with open("predictions.csv", "w") as table:
    table.write("row,label,score\\n")
    for number, ((_, label), score) in enumerate(zip(rows, scores)):
        table.write(f"{number},{int(label)},{score!r}\\n")
loss = -sum(math.log(score if label else 1 - score) for (_, label), score in zip(rows, scores)) / len(rows)
json.dump({"loss": loss}, open("metrics.json", "w"))
"""
CONFIG = """\
version: 1
train: {track: false}
predictions:
  test: {path: predictions.csv, task: binary, id: row, label: label, score: score}
gates:
  - {metric: test.accuracy, margin: 0.02}
"""


@pytest.fixture(scope="session")
def recorded(trained: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `repo`, a pipeline that was trained with a record and committed, and `remote`."""
    folder = tmp_path_factory.mktemp("recorded")
    shutil.copytree(trained, folder / "p", symlinks=True)
    project = Project(root=folder / "p" / "repo", env=environment)
    project.write("src/train.py", TRAIN)
    project.write("src/evaluate.py", EVALUATE)
    project.write("ci-ml.yaml", CONFIG)
    project.edit(
        "dvc.yaml",
        "metrics: [metrics.json: {cache: false}]",
        "metrics: [metrics.json: {cache: false}]\n    outs: [predictions.csv]",
    )
    project.commit("a model of its own")
    project.ci_ml("train").expect(0)
    project.commit("trained")
    return folder / "p"


@pytest.fixture
def model(recorded: Path, environment: dict[str, str], tmp_path: Path) -> Project:
    """That project, for this test alone; its temporary files are in `tmp`."""
    shutil.copytree(recorded, tmp_path / "p", symlinks=True)
    (tmp_path / "tmp").mkdir()
    return Project(root=tmp_path / "p" / "repo", env={**environment, "TMPDIR": str(tmp_path / "tmp")})


def records(project: Project) -> dict[str, dict[str, Any]]:
    """What lies in .ci-ml/records, by digest."""
    return {place.stem: json.loads(place.read_bytes()) for place in (project.root / ".ci-ml/records").glob("*.json")}


def scratch(project: Project) -> list[str]:
    """What is left in the folder of temporary files."""
    return sorted(place.name for place in Path(project.env["TMPDIR"]).iterdir())


def refs(project: Project) -> tuple[str, ...]:
    """Everything that git could have got of a reproduction: refs, work trees, what is staged, what is changed."""
    return tuple(project.git(*ask.split()) for ask in ("show-ref", "worktree list", "diff --cached", "status --short"))


def reproduced(project: Project, *arguments: str, code: int = 0, **env: str) -> dict[str, Any]:
    done = project.ci_ml("reproduce", *arguments, "--format", "json", env=env).expect(code)
    found: dict[str, Any] = done.json()
    return found


# --- How alike -----------------------------------------------------------------------------------------------------------


def test_the_same_bytes_come_back_and_nothing_stays(model: Project) -> None:
    sha = model.git("rev-parse", "HEAD")
    model.write("README.md", "later\n")
    model.commit("something else")
    model.write("params.yaml", "not: committed\n")
    before = refs(model), model.cached(), model.remote_files()
    found = reproduced(model, sha)
    assert (found["sameness"], found["commit"], found["met"]) == ("bitwise", sha, True)
    assert found["environment"] == {"restored": None, "differences": [], "missing": []}
    record = records(model)[found["record"].removeprefix("sha256:")]
    assert record["predicateType"] == "urn:ci-ml:reproduction:v1"
    assert (refs(model), model.cached(), model.remote_files()) == before
    assert scratch(model) == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("luck", "sameness"),
    [
        ({"note": "a clock"}, "metrics"),
        ({"slope": 1e-7}, "statistical"),
        ({"offset": 60.0}, "different"),
    ],
    ids=["metrics", "statistical", "different"],
)
def test_how_alike_and_where_it_parts(model: Project, luck: Mapping[str, Any], sameness: str) -> None:
    before = model.cached()
    code = 10 if sameness == "different" else 0
    found = reproduced(model, "HEAD", code=code, LUCK=json.dumps(luck))
    assert found["sameness"] == sameness
    assert found["partings"][0] == {"stage": "train", "inputs": [], "outputs": ["model.json"]}
    assert model.cached() == before
    strict = model.ci_ml("reproduce", "HEAD", "--require", "bitwise", env={"LUCK": json.dumps(luck)}).expect(10)
    assert "stage train made another model.json of the same inputs" in strict.out
    model.ci_ml("train").expect(0)
    assert model.status() == ""


@pytest.mark.thorough
def test_the_record_counts_for_the_commit_that_has_what_it_made(model: Project) -> None:
    """A job trains a commit, and another one commits dvc.lock after it: both are found."""
    assert model.git("rev-list", "--count", "HEAD") == "3"
    assert reproduced(model, "HEAD~1")["sameness"] == "bitwise"


@pytest.mark.thorough
def test_a_model_by_its_promotion(model: Project) -> None:
    training, record = next((name, one) for name, one in records(model).items() if "slsa" in one["predicateType"])
    predicate = {
        "model": "churn",
        "version": "3",
        "aliases": ["champion"],
        "action": "promote",
        "training": f"sha256:{training}",
        "commit": model.git("rev-parse", "HEAD"),
    }
    made = statements.statement(Kind.PROMOTION, [Subject(name="churn", digest={"sha256": "0" * 64})], predicate)
    model.write(f".ci-ml/records/{made.digest.removeprefix('sha256:')}.json", made.data)
    assert record["predicate"]["buildDefinition"]["externalParameters"]["commit"] == model.git("rev-parse", "HEAD~1")
    for number in range(4, 8):  # newer ones, and not the champion: nobody can train them again
        tried = {**predicate, "version": str(number), "aliases": ["shadow"], "training": None, "commit": "1" * 40}
        other = statements.statement(Kind.PROMOTION, [Subject(name="churn", digest={"sha256": "1" * 64})], tried)
        model.write(f".ci-ml/records/{other.digest.removeprefix('sha256:')}.json", other.data)
    for name in ("churn", "churn@champion"):
        assert reproduced(model, name)["sameness"] == "bitwise"
    assert "the record of the training of churn@shadow is not there" in model.ci_ml("reproduce", "churn@shadow").err
    aliases = "registry: {churn: {model: model.json, aliases: {shadow: {}, champion: {}}}}\n"
    model.write("ci-ml.yaml", model.read("ci-ml.yaml") + aliases)
    model.commit("the first alias is production")
    assert "the record of the training of churn is not there" in model.ci_ml("reproduce", "churn").expect(3).err
    for name in ("churn@canary", "a\nb"):
        assert "neither a commit of this clone nor a model" in model.ci_ml("reproduce", "--", name).expect(2).err


# --- What keeps it from being done -------------------------------------------------------------------------------------


def test_without_a_record_it_says_so(project: Project) -> None:
    done = project.ci_ml("reproduce", "HEAD").expect(3)
    assert "there is no record of a training of HEAD" in done.err
    assert "ci-ml audit record" in done.err


@pytest.mark.thorough
def test_data_that_are_gone_are_named(model: Project) -> None:
    shutil.rmtree(model.root / ".dvc/cache")
    shutil.rmtree(model.root.parent / "remote")
    (model.root / "data/raw.csv").unlink()
    done = model.ci_ml("reproduce", "HEAD").expect(3)
    assert "data/raw.csv" in done.err
    assert scratch(model) == []


@pytest.mark.thorough
def test_data_come_from_the_remote_where_they_are_not_here(model: Project) -> None:
    model.dvc("push")
    shutil.rmtree(model.root / ".dvc/cache")
    (model.root / "data/raw.csv").unlink()
    assert reproduced(model, "HEAD")["sameness"] == "bitwise"


def test_where_folders_are_not_ascii_the_copy_has_cache_and_remote(
    recorded: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """DVC writes its configuration as ASCII; nobody's settings are lost with ours."""
    folder = tmp_path / "Übung, 100% 模型"
    shutil.copytree(recorded, folder / "p", symlinks=True)
    (folder / "tmp").mkdir()
    project = Project(root=folder / "p" / "repo", env={**environment, "TMPDIR": str(folder / "tmp")})
    project.write(".dvc/config.local", "['remote \"Storage\"']\n    jobs = 3\n[cache]\n    shared = group\n")
    project.dvc("push")
    shutil.rmtree(project.root / ".dvc/cache")  # what it takes is on the remote, by a relative path
    assert reproduced(project, "HEAD")["sameness"] == "bitwise"
    space = workspace.find(None, None, cwd=project.root, env=project.env)
    copies.copied(space, folder / "copy")
    found = Config(str(folder / "copy/.dvc")).load_one("local")
    assert found["cache"] == {"dir": str(project.root / ".dvc/cache"), "shared": "group"}
    assert found["remote"] == {"storage": {"url": str(folder / "p/remote"), "jobs": "3"}}
    project.ci_ml("train", "--twice").expect(0)


@pytest.mark.thorough
def test_a_record_that_was_changed_is_not_followed(model: Project) -> None:
    name, record = next((name, one) for name, one in records(model).items() if "slsa" in one["predicateType"])
    place = model.root / f".ci-ml/records/{name}.json"
    text = place.read_text()
    place.write_text(text.replace("python src/train.py", "python src/trainX.py"))
    assert "was edited" in model.ci_ml("reproduce", "HEAD").expect(2).err
    place.unlink()
    # One whose name fits, which a thief of the ledger could write: it does not fit its commit.
    code = next(
        one
        for one in record["predicate"]["buildDefinition"]["resolvedDependencies"]
        if one["name"].endswith("train.py")
    )
    code["digest"]["md5"] = "0" * 32
    forged = statements.canonical(record)
    model.write(f".ci-ml/records/{hashlib.sha256(forged).hexdigest()}.json", forged)
    done = model.ci_ml("reproduce", "HEAD").expect(3)
    assert "the record does not fit its commit: src/train.py" in done.err
    assert scratch(model) == []


@pytest.mark.thorough
def test_what_nobody_committed_cannot_be_trained_again(model: Project) -> None:
    model.edit("src/train.py", '"note", ""', '"note", "x"')
    model.ci_ml("train").expect(0)
    model.git("commit", "--quiet", "--message", "dvc.lock alone", "dvc.lock")
    done = model.ci_ml("reproduce", "HEAD").expect(3)
    assert "trained with changes that nobody committed: src/train.py is not what commit" in done.err


@pytest.mark.thorough
def test_a_shallow_clone_gets_the_commit_and_stays_shallow(model: Project, tmp_path: Path) -> None:
    model.dvc("push")
    sha = model.git("rev-parse", "HEAD")
    for number in range(3):
        model.write("README.md", f"{number}\n")
        model.commit()
    shallow = model.clone("shallow", "--depth=1", url=f"file://{model.root}")
    shutil.copytree(model.root / ".ci-ml", shallow.root / ".ci-ml")
    shallow.git("fetch", "--quiet", "--depth=1", "origin", sha)
    assert reproduced(shallow, sha)["sameness"] == "bitwise"
    fresh = model.clone("fresh", "--depth=1", url=f"file://{model.root}")
    assert "shallow" in fresh.ci_ml("reproduce", sha).expect(2).err
    # By a model's name its commit is known, and is fetched into the copy alone.
    shutil.copytree(model.root / ".ci-ml", fresh.root / ".ci-ml")
    training = next(name for name, one in records(model).items() if "slsa" in one["predicateType"])
    predicate = {"model": "churn", "action": "promote", "training": f"sha256:{training}", "commit": sha}
    made = statements.statement(Kind.PROMOTION, [Subject(name="churn", digest={"sha256": "0" * 64})], predicate)
    fresh.write(f".ci-ml/records/{made.digest.removeprefix('sha256:')}.json", made.data)
    before = refs(fresh)
    assert reproduced(fresh, "churn")["sameness"] == "bitwise"
    assert refs(fresh) == before
    assert fresh.git("rev-list", "--count", "HEAD") == "1"
    fresh.git("remote", "set-url", "origin", "file:///nowhere")
    done = fresh.ci_ml("reproduce", "churn").expect(3)
    assert "could not be fetched" in done.err
    assert "git fetch --unshallow" in done.err


# --- Stopped ---------------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_stopped_at_any_time_it_leaves_nothing_in_the_repository(
    model: Project, tmp_path: Path, number: signal.Signals
) -> None:
    before = refs(model), model.cached(), sorted(records(model))
    place = tmp_path / "pids"
    with ended(model.start("reproduce", "HEAD", env={"PIDS": str(place)})) as process:
        until(place.exists, "the stage runs")
        stage = int(place.read_text())
        pids = {process.pid, stage, *(one.pid for one in psutil.Process(process.pid).children(recursive=True))}
        process.send_signal(number)
        code = process.wait(DEADLINE)
    assert code == (-number if number is signal.SIGKILL else 130)
    for pid in pids:
        until(lambda pid=pid: not alive(pid), f"process {pid} is gone")
    assert (refs(model), model.cached(), sorted(records(model))) == before
    if number is signal.SIGKILL:
        assert len(scratch(model)) == 1  # nobody could take it away; the next one does
        assert reproduced(model, "HEAD")["sameness"] == "bitwise"
    assert scratch(model) == []


# --- The environment -------------------------------------------------------------------------------------------------------


def wheel(folder: Path, version: str, name: str = "luck") -> Path:
    """A package in which a model finds a number."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    parts = {
        f"{name}.py": f"VALUE = '{version}'\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for name, text in parts.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text)}\n")
    with zipfile.ZipFile(place, "w") as archive:
        for name, text in {**parts, f"{about}/RECORD": "".join([*lines, f"{about}/RECORD,,\n"])}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return place


def installed(folder: Path, version: str) -> str:
    """A folder for PYTHONPATH with that version in it."""
    with zipfile.ZipFile(wheel(folder / "wheels", version)) as archive:
        archive.extractall(folder / version)
    return str(folder / version)


@pytest.mark.thorough
def test_the_environment_comes_from_the_lock_file_or_what_differs_is_said(empty: Project, tmp_path: Path) -> None:
    built = wheel(empty.root / "wheels", "1.0")
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    empty.dvc("init", "--quiet")
    empty.write("ci-ml.yaml", "version: 1\ntrain: {track: false}\ngates: []\n")
    empty.write("requirements.txt", f"--no-index\n--find-links wheels\nluck==1.0 --hash=sha256:{digest}\n")
    empty.write("train.py", "import luck\nopen('model.txt', 'w').write(luck.VALUE)\n")
    empty.write(
        "dvc.yaml", {"stages": {"train": {"cmd": "python train.py", "deps": ["train.py"], "outs": ["model.txt"]}}}
    )
    empty.commit()
    old, new = installed(tmp_path, "1.0"), installed(tmp_path, "2.0")
    empty.ci_ml("train", env={"PYTHONPATH": old}).expect(0)
    empty.commit("trained")
    here = reproduced(empty, "HEAD", "--environment", "here", code=10, PYTHONPATH=new)
    assert here["sameness"] == "different"
    assert here["environment"]["differences"] == ["luck 1.0 → 2.0"]
    assert "luck 1.0 → 2.0" in here["sentence"]
    locked = reproduced(empty, "HEAD", PYTHONPATH=new)
    assert (locked["sameness"], locked["environment"]["restored"]) == ("bitwise", "requirements.txt")
    same = reproduced(empty, "HEAD", PYTHONPATH=old)  # what is here is what is recorded: nothing is installed
    assert (same["sameness"], same["environment"]["restored"]) == ("bitwise", None)
    empty.remove("wheels")
    empty.commit("the wheel is gone")
    empty.edit("train.py", "import luck", "import luck, os")
    empty.ci_ml("train", env={"PYTHONPATH": old}).expect(0)
    empty.commit("trained again")
    gone = empty.ci_ml("reproduce", "HEAD", env={"PYTHONPATH": new}).expect(3)
    assert "could not be restored from requirements.txt" in gone.err
    assert "--environment here" in gone.err


PYPROJECT = """\
[project]
name = "model"
version = "0"
requires-python = ">=3.11"
[project.optional-dependencies]
train = ["luck"]
[dependency-groups]
dev = ["checks"]
[tool.uv]
package = false
no-index = true
[tool.uv.sources]
luck = { path = "wheels/luck-1.0-py3-none-any.whl" }
checks = { path = "wheels/checks-1.0-py3-none-any.whl" }
"""
# Says, too, whether what nobody needs for training is there.
TRAIN_WITH_LUCK = """\
import importlib.util, luck
open("model.txt", "w").write(f"{luck.VALUE} {importlib.util.find_spec('checks')}")
"""


def with_a_stage(project: Project) -> None:
    """A stage whose model is the number that it found in a package, in a project of uv."""
    for name in ("luck", "checks"):
        wheel(project.root / "wheels", "1.0", name)
    project.dvc("init", "--quiet")
    project.write("ci-ml.yaml", "version: 1\ntrain: {track: false}\ngates: []\n")
    project.write("pyproject.toml", PYPROJECT)
    project.write(".gitignore", "/.venv\n/model.txt\n")
    project.write("train.py", TRAIN_WITH_LUCK)
    stage = {"cmd": "python train.py", "deps": ["train.py"], "outs": ["model.txt"]}
    project.write("dvc.yaml", {"stages": {"train": stage}})


@pytest.mark.thorough
def test_the_environment_comes_from_uv_lock_with_the_extras_that_were_installed(empty: Project, tmp_path: Path) -> None:
    with_a_stage(empty)
    locked = empty.run("uv", "lock", "--offline")
    assert locked.code == 0, locked.text
    empty.commit()
    old, new = installed(tmp_path, "1.0"), installed(tmp_path, "2.0")
    empty.ci_ml("train", env={"PYTHONPATH": old}).expect(0)
    empty.commit("trained")
    found = reproduced(empty, "HEAD", PYTHONPATH=new)
    assert (found["sameness"], found["environment"]["restored"]) == ("bitwise", "uv.lock")
    assert (empty.root / ".venv").exists() is False, "nothing of it is here"
    empty.edit(
        "uv.lock", hashlib.sha256((empty.root / "wheels/luck-1.0-py3-none-any.whl").read_bytes()).hexdigest(), "0" * 64
    )
    empty.commit("another hash")
    empty.edit("train.py", "import importlib.util, luck", "import importlib.util, luck, os")
    empty.ci_ml("train", env={"PYTHONPATH": old}).expect(0)
    empty.commit("trained again")
    failed = empty.ci_ml("reproduce", "HEAD", env={"PYTHONPATH": new}).expect(3)
    assert "could not be restored from uv.lock" in failed.err
    assert "ash mismatch" in failed.err


@pytest.mark.thorough
def test_a_uv_lock_without_hashes_is_none(empty: Project, tmp_path: Path) -> None:
    """uv writes none for a folder of wheels, so anything may lie there today."""
    with_a_stage(empty)
    empty.write("pyproject.toml", PYPROJECT.partition("[tool.uv.sources]")[0] + 'find-links = ["wheels"]\n')
    locked = empty.run("uv", "lock", "--offline")
    assert locked.code == 0, locked.text
    empty.commit()
    empty.ci_ml("train", env={"PYTHONPATH": installed(tmp_path, "1.0")}).expect(0)
    empty.commit("trained")
    done = empty.ci_ml("reproduce", "HEAD", "--environment", "locked").expect(3)
    assert "names no lock file with hashes" in done.err


@pytest.mark.thorough
def test_without_a_lock_file_nothing_is_restored(model: Project) -> None:
    done = model.ci_ml("reproduce", "HEAD", "--environment", "locked").expect(3)
    assert "names no lock file with hashes" in done.err


# --- Names -----------------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_names_that_want_to_be_more(empty: Project) -> None:
    """A stage and files whose names are options, markup and control characters are names."""
    name = "-rf <b>$(touch owned)\x1b[31m|`x`.txt"
    empty.dvc("init", "--quiet")
    empty.write("ci-ml.yaml", "version: 1\ntrain: {track: false}\ngates: []\n")
    script = f"import os\nopen({name!r}, 'w').write(os.environ.get('LUCK', ''))\n"
    empty.write("train.py", script)
    empty.write(
        "dvc.yaml", json.dumps({"stages": {"train": {"cmd": "python train.py", "deps": ["train.py"], "outs": [name]}}})
    )
    empty.commit()
    empty.ci_ml("train").expect(0)
    empty.commit("trained")
    assert reproduced(empty, "HEAD")["sameness"] == "bitwise"
    for form in ("terminal", "markdown"):
        done = empty.ci_ml("reproduce", "HEAD", "--format", form, env={"LUCK": "x"}).expect(10)
        assert "\x1b" not in done.out
        assert "<b>" not in done.out or form == "terminal"
    assert not list(empty.root.rglob("owned"))


@pytest.mark.thorough
def test_data_are_where_they_are_today(model: Project) -> None:
    """A remote that moved since, or that came later: where data are is not what a commit is about."""
    model.dvc("push")
    sha = model.git("rev-parse", "HEAD")
    (model.root.parent / "remote").rename(model.root.parent / "moved")
    model.dvc("remote", "modify", "storage", "url", "../moved")
    model.dvc("remote", "rename", "storage", "another")
    model.commit("the remote moved")
    shutil.rmtree(model.root / ".dvc/cache")
    (model.root / "data/raw.csv").unlink()
    assert reproduced(model, sha)["sameness"] == "bitwise"


@pytest.mark.thorough
def test_a_commit_whose_folder_of_dvc_is_a_link_writes_nowhere_else(model: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(model.root / ".dvc", outside, ignore=shutil.ignore_patterns("cache", "tmp"))
    model.write("config.mine", model.read(".dvc/config"))
    model.git("rm", "--quiet", "-r", "--cached", ".dvc")
    (model.root / ".dvc").rename(tmp_path / "kept")
    (model.root / ".dvc").symlink_to(outside)
    model.git("add", ".dvc")
    model.git("commit", "--quiet", "--message", "a link")
    sha = model.git("rev-parse", "HEAD")
    (model.root / ".dvc").unlink()
    (tmp_path / "kept").rename(model.root / ".dvc")
    before = sorted((place.name, place.read_bytes()) for place in outside.iterdir() if place.is_file())
    done = model.ci_ml("reproduce", sha).expect(3)
    assert "is a link out of the repository" in done.err
    assert sorted((place.name, place.read_bytes()) for place in outside.iterdir() if place.is_file()) == before
