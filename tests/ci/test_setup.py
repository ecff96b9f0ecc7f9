"""templates/setup.sh, run for real: an environment of ci-ml's own, complete or not there, and nobody else's touched."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from ruamel.yaml import YAML

from ci_ml import __version__
from tests.ci import runners
from tests.ci.runners import ROOT
from tests.e2e.project import DEADLINE, Project, Result, ended, until

pytestmark = pytest.mark.thorough

# What a job may have set for its own Python, pip and uv, and what each would do to ours.
FOREIGN = {
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "{folder}/shadows",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_TARGET": "{folder}/target",
    "PIP_USER": "1",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "UV_PROJECT_ENVIRONMENT": "{folder}/target",
    "UV_SYSTEM_PYTHON": "1",
    "UV_PYTHON": "2.7",
    "UV_EXCLUDE_NEWER": "2001-01-01T00:00:00Z",
    "UV_CONSTRAINT": "{folder}/constraints.txt",
    "UV_COMPILE_BYTECODE": "1",
    "UV_NO_BUILD": "1",
    "VIRTUAL_ENV": "{folder}/target",
}


def test_it_prints_the_path_of_a_command_that_works_and_nothing_else(
    tool_cache: Path, checkout: Path, ready: dict[str, str]
) -> None:
    done = runners.set_up(checkout, tool_cache, ready)
    assert (done.code, done.err) == (0, ""), "it was there already"
    command = Path(done.out.removesuffix("\n"))
    assert command.parts[-4:-2] == ("ci-ml", command.parts[-3])
    assert command.parts[-3].startswith(f"{__version__}-")
    assert Project(root=tool_cache, env=ready).run(str(command), "--version").out == f"ci-ml {__version__}\n"


def test_what_it_installs_is_what_the_wheel_would_hold(installed: Path, checkout: Path) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["src/ci_ml"]
    package = _package(installed)
    for source, target in {"src/ci_ml": "ci_ml", **wheel["force-include"]}.items():
        for file in _files(checkout / source):
            assert (package.parent / target / file).read_bytes() == (checkout / source / file).read_bytes()


def test_every_package_is_the_one_in_the_lock(installed: Path, tool_cache: Path, ready: dict[str, str]) -> None:
    python = installed.with_name("python")
    listing = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"
    found = (
        Project(root=tool_cache, env=ready)
        .run(str(python), "-I", "-c", listing)
        .out.lower()
        .replace("_", "-")
        .replace(".", "-")
    )
    lock = (ROOT / "requirements" / "ci-ml.txt").read_text().lower().replace("_", "-").replace(".", "-")
    locked = set(re.findall(r"^(\S+==\S+)", lock, re.MULTILINE))
    assert found.split()
    assert set(found.split()) <= locked


def test_a_job_that_set_everything_for_its_own_python_gets_the_same(
    checkout: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    for name in ("click", "yaml", "ci_ml", "sitecustomize"):
        (tmp_path / "shadows").mkdir(exist_ok=True)
        (tmp_path / "shadows" / f"{name}.py").write_text("raise SystemExit('this is not the one')")
    (tmp_path / "constraints.txt").write_text("click==1.0\n")
    (tmp_path / "target").mkdir()
    (tmp_path / "uv.toml").write_text('exclude-newer = "2001-01-01T00:00:00Z"\n')
    foreign = {name: value.format(folder=tmp_path) for name, value in FOREIGN.items()}
    done = runners.set_up(checkout, tmp_path, {**ready, **foreign})
    assert done.code == 0, done.text
    assert not list((tmp_path / "target").iterdir())
    here = Project(root=tmp_path / "shadows", env={**ready, **foreign})
    assert here.run(done.out.strip(), "schema").expect(0).json()["title"]
    bytecode = list(_package(Path(done.out.strip())).rglob("*.pyc"))
    assert bytecode, "importing DVC without bytecode costs seconds each time"


def test_what_the_training_has_in_its_path_is_for_the_training_alone(
    tool_cache: Path, checkout: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    command = runners.set_up(checkout, tool_cache, ready).out.strip()
    (tmp_path / "shadows").mkdir()
    (tmp_path / "shadows" / "funcy.py").write_text("print('the one of the training')\n")
    here = Project(root=tmp_path, env={**ready, "PYTHONPATH": str(tmp_path / "shadows")})
    here.git("init", "--quiet")
    assert here.run(str(Path(command).with_name("python")), "-I", "-m", "dvc", "init", "--quiet").code == 0
    here.write("dvc.yaml", {"stages": {"train": {"cmd": "python -c 'import funcy' > words", "outs": ["words"]}}})
    here.write("ci-ml.yaml", "version: 1\ntrain: {track: false}\ngates: []\n")
    here.commit()
    here.run(command, "train").expect(0)
    assert here.read("words") == "the one of the training\n"


def test_the_training_environment_stays_as_it_is(
    checkout: Path, ready: dict[str, str], training: Path, tmp_path: Path
) -> None:
    before = sorted(training.rglob("*"))
    done = runners.set_up(checkout, tmp_path, {**ready, "VIRTUAL_ENV": str(training)})
    assert done.code == 0, done.text
    assert sorted(training.rglob("*")) == before
    prefixes = "import sys; print(sys.prefix, sys.base_prefix)"
    ours, base = (
        Project(root=tmp_path, env=ready).run(done.out.replace("ci-ml\n", "python"), "-c", prefixes).out.split()
    )
    assert Path(ours).is_relative_to(tmp_path)
    assert not Path(base).is_relative_to(training), "or it would end with the training environment"


def test_two_jobs_at_once_end_with_one_environment(checkout: Path, ready: dict[str, str], tmp_path: Path) -> None:
    jobs = [_start(checkout, tmp_path, ready) for _ in range(2)]
    outputs = []
    for job in jobs:
        with ended(job):
            outputs.append(job.communicate(timeout=DEADLINE)[0].decode().strip())
            assert job.returncode == 0
    assert outputs[0] == outputs[1]
    assert Project(root=tmp_path, env=ready).run(outputs[0], "--version").code == 0
    assert list((tmp_path / "ci-ml").iterdir()) == [place := Path(outputs[0]).parents[1]]
    assert not (place / "env").exists(), "the slower one's, moved into the faster one's"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_killed_leaves_nothing_that_looks_complete(
    checkout: Path, ready: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with ended(_start(checkout, tmp_path, ready)) as job:
        until(lambda: list(tmp_path.glob("ci-ml/.new-*/env/lib/*/site-packages/*")), "packages are being installed")
        os.killpg(job.pid, number)
        job.wait(DEADLINE)
    assert not list(tmp_path.glob("ci-ml/[!.]*"))
    assert bool(list(tmp_path.glob("ci-ml/.new-*"))) == (number is signal.SIGKILL), "a job that is cancelled tidies up"
    done = runners.set_up(checkout, tmp_path, ready)
    assert done.code == 0, done.text
    assert Project(root=tmp_path, env=ready).run(done.out.strip(), "--version").code == 0


def test_what_goes_into_an_environment_decides_which_one_it_is(
    checkout: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    places = {runners.set_up(checkout, tools, ready).out}
    for path in ("requirements/ci-ml.txt", "src/ci_ml/errors.py", "examples/breast-cancer/params.yaml"):
        changed = tmp_path / path.replace("/", "-")
        shutil.copytree(checkout, changed)
        (changed / path).write_text((changed / path).read_text() + "# changed\n")
        places.add(runners.set_up(changed, tools, ready).out)
    assert len(places) == len(list((tools / "ci-ml").iterdir())) == 4


def test_an_environment_whose_interpreter_is_gone_is_built_again(
    checkout: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    python = Path(runners.set_up(checkout, tmp_path, ready).out.replace("ci-ml\n", "python"))
    python.unlink()
    python.symlink_to("/nowhere/python3")
    done = runners.set_up(checkout, tmp_path, ready)
    assert Project(root=tmp_path, env=ready).run(done.out.strip(), "--version").code == 0


def test_the_interpreters_it_takes_are_those_that_the_project_supports() -> None:
    script = (ROOT / "templates" / "setup.sh").read_text()
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    minors = [int(found[1]) for line in classifiers if (found := re.search(r"Python :: 3\.(\d+)$", line))]
    assert f"readonly OLDEST={min(minors)} NEWEST={max(minors)}\n" in script


@pytest.fixture
def ready(machine: dict[str, str], training: Path) -> dict[str, str]:
    """A job's environment with its training environment on PATH."""
    return {**machine, "PATH": f"{training}/bin{os.pathsep}{machine['PATH']}"}


def _start(checkout: Path, tools: Path, env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["bash", checkout / "templates" / "setup.sh"],
        env={**env, "RUNNER_TOOL_CACHE": str(tools)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _package(command: Path) -> Path:
    """Where the ci_ml of a command is installed."""
    (found,) = command.parents[1].glob("lib/python3*/site-packages/ci_ml")
    return found


def _files(folder: Path) -> list[Path]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if not any(part == "__pycache__" or part.endswith("_cache") for part in path.parts)]


# --- DVC's remotes --------------------------------------------------------------------------------------------------

KINDS = ("azure", "gs", "s3", "ssh")

PIPELINE = {"copy": {"cmd": "cp data.txt copied.txt", "deps": ["data.txt"], "outs": ["copied.txt"]}}


# What the S3 server of the tests lets in.
KEYS = {
    "AWS_ACCESS_KEY_ID": "key-of-the-test",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def s3() -> Iterator[str]:
    """An S3 server on this machine, with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        script = "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='data')"
        subprocess.run([sys.executable, "-c", script, url], check=True, env={**os.environ, **KEYS}, timeout=DEADLINE)
        yield url
    finally:
        server.stop()


@pytest.fixture
def empty(tmp_path: Path, ready: dict[str, str]) -> Project:
    """A repository without a file."""
    (tmp_path / "repository").mkdir()
    project = Project(root=tmp_path / "repository", env=ready)
    project.git("init", "--quiet", "--initial-branch=main")
    return project


def _remote(*urls: str) -> str:
    """A .dvc/config with remotes, the first of which is the default."""
    remotes = "".join(f"['remote \"{number}\"']\n    url = {url}\n" for number, url in enumerate(urls))
    return f"[core]\n    analytics = false\n    remote = 0\n{remotes}"


def _kinds(command: str) -> set[str]:
    """The kinds of remotes that the environment of a command has packages for."""
    listing = "import importlib.util as u, sys; print(*(k for k in sys.argv[1:] if u.find_spec(f'dvc_{k}')))"
    python = Path(command.strip()).with_name("python")
    done = subprocess.run([python, "-I", "-c", listing, *KINDS], capture_output=True, check=True, timeout=DEADLINE)
    return set(done.stdout.decode().split())


def _asked(where: Project, checkout: Path, function: str, **env: str) -> str:
    """What a function of the script says would be installed; nothing is."""
    script = (checkout / "templates" / "setup.sh").read_text()
    assert script.endswith("\nmain\n")
    asked = Project(root=where.root, env={**where.env, **env})
    done = asked.run("bash", "-c", script.removesuffix("main\n") + function)
    assert (done.code, done.err) == (0, ""), done.text
    return done.out.removesuffix("\n")


def test_data_on_s3_is_pulled_and_pushed_by_the_command_it_prints(
    empty: Project, checkout: Path, tools: Path, s3: str
) -> None:
    empty.write("data.txt", "from the bucket\n")
    empty.write("dvc.yaml", {"stages": PIPELINE})
    empty.write("ci-ml.yaml", "version: 1\ntrain: {track: false}\ngates: []\n")
    ours = {**empty.env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{empty.env['PATH']}", **KEYS}
    trained = Project(root=empty.root, env=ours)
    trained.dvc("init", "--quiet")
    trained.write(".dvc/config", f"{_remote('s3://data/store')}    endpointurl = {s3}\n")
    trained.dvc("add", "--quiet", "data.txt")
    trained.dvc("repro", "--quiet")
    trained.dvc("push", "--quiet")
    trained.commit("trained")
    trained.git("checkout", "--quiet", "-b", "change")
    trained.edit("dvc.yaml", "cp data.txt", "cat data.txt >")
    trained.commit("change")
    clone = trained.clone("clone")
    job = Project(root=clone.root, env={**empty.env, **KEYS})

    command = runners.set_up(checkout, tools, empty.env, folder=job.root).out.strip()
    assert _kinds(command) == {"s3"}
    assert not (job.root / "data.txt").exists()
    job.run(command, "train").expect(0)
    assert job.read("copied.txt") == "from the bucket\n"
    job.run(command, "stage", "--base", "origin/main", "--transfer", "remote", "copy").expect(0)

    without = runners.set_up(checkout, tools, {**empty.env, "CI_ML_REMOTES": ""}, folder=job.root).out.strip()
    assert not _kinds(without)
    other = Project(root=trained.clone("other").root, env=job.env)
    for where, *argv in (
        (other, "train"),
        (job, "stage", "--base", "origin/main", "--transfer", "remote", "copy"),
    ):
        said = where.run(without, *argv).expect(3).err
        assert "requires 'dvc-s3' to be installed" in said
        assert "hint: install ci-ml[s3]; in CI, name s3 in CI_ML_REMOTES" in said


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_remote_has_a_lock_whose_packages_work(
    empty: Project, checkout: Path, tools: Path, ready: dict[str, str], kind: str
) -> None:
    done = runners.set_up(checkout, tools, {**ready, "CI_ML_REMOTES": kind})
    assert done.code == 0, done.text
    assert _kinds(done.out) == {kind}
    python = Path(done.out.strip()).with_name("python")
    opened = f"from dvc.fs import get_fs_cls; cls = get_fs_cls({{'url': '{kind}://host/path'}}); print(cls.protocol); assert not cls.get_missing_deps()"
    script = f"import dvc_{kind}; {opened}"
    assert empty.run(str(python), "-I", "-c", script).expect(0).out.strip() == kind


def test_all_kinds_of_remotes_go_into_one_environment(checkout: Path, tools: Path, ready: dict[str, str]) -> None:
    done = runners.set_up(checkout, tools, {**ready, "CI_ML_REMOTES": "ssh s3\n gs\tazure s3 "})
    assert done.code == 0, done.text
    assert _kinds(done.out) == set(KINDS)
    again = runners.set_up(checkout, tools, {**ready, "CI_ML_REMOTES": "azure gs s3 ssh"})
    assert (again.code, again.out, again.err) == (0, done.out, ""), "their order is nothing"


def test_locks_of_remotes_are_the_lock_and_what_dvc_needs_more() -> None:
    versions = {
        name: set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))
        for name in ("ci-ml", "dev", *KINDS)
    }
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for kind in KINDS:
        assert versions["ci-ml"] < versions[kind] <= versions["dev"]
        assert any(found.startswith(f"dvc-{kind}==") for found in versions[kind])
        assert [need.partition(">")[0] for need in extras[kind]] == [f"dvc[{kind}]"]
    script = (ROOT / "templates" / "setup.sh").read_text()
    assert f"readonly KINDS=({' '.join(KINDS)})\n" in script


def test_without_such_a_remote_nothing_is_added(
    empty: Project, checkout: Path, tool_cache: Path, ready: dict[str, str]
) -> None:
    plain = runners.set_up(checkout, tool_cache, ready)
    empty.write(".dvc/config", _remote("../storage", "https://example.org/s3://data", "/mnt/ssh://x"))
    empty.write("more/.dvc/config", "# url = s3://a/comment\n[core]\n    myurl = s3://data\n    url2 = gs://data\n")
    empty.write("not.dvc/config", _remote("azure://another/folder"))
    empty.commit()
    empty.write("new/.dvc/config", _remote("gs://nobody/tracks/it"))
    (empty.root / "link" / ".dvc").mkdir(parents=True)
    outside = empty.root.parent / "outside"
    outside.write_text(_remote("ssh://host/outside"))
    (empty.root / "link" / ".dvc" / "config").symlink_to(outside)
    empty.git("add", "link")
    done = runners.set_up(checkout, tool_cache, ready, folder=empty.root)
    assert (done.code, done.out, done.err) == (0, plain.out, "")
    assert not _kinds(done.out)


@pytest.mark.parametrize(
    ("config", "kinds"),
    [
        (_remote("s3://data/store"), "s3"),
        (_remote("gs://data"), "gs"),
        (_remote("gcs://data"), "gs"),
        (_remote("azure://data"), "azure"),
        (_remote("az://data"), "azure"),
        (_remote("ssh://ada@host:22/data"), "ssh"),
        (_remote("sftp://host/data"), "ssh"),
        (_remote("ssh://host/data", "../storage", "s3://a/b", "s3://c/d"), "s3 ssh"),
        (_remote("S3://data").replace("    url = ", "URL="), "s3"),
        (_remote("s3://data").replace("\n", "\r\n"), "s3"),
        (_remote('"gs://data"', "'az://data'"), "azure gs"),
        (_remote("s3://$(touch pwned)/`touch pwned`;touch pwned/=gs://"), "s3"),
        (_remote("s3://d\u00e4t\u00e4/\udcff"), "s3"),
        (_remote("s3x://a", "gdrive://b", "s3:/c", "oss://d", "-s3://e"), ""),
    ],
)
def test_the_kinds_are_found_by_the_schemes_of_addresses(
    empty: Project, checkout: Path, config: str, kinds: str
) -> None:
    (empty.root / "a folder" / "deep" / ".dvc").mkdir(parents=True)
    (empty.root / "elsewhere").mkdir()
    (empty.root / "a folder" / "deep" / ".dvc" / "config").write_bytes(config.encode("utf-8", "surrogateescape"))
    empty.git("config", "grep.column", "true")
    empty.git("config", "grep.lineNumber", "true")
    empty.git("config", "color.ui", "always")
    empty.commit()
    assert _asked(Project(root=empty.root / "elsewhere", env=empty.env), checkout, "remotes") == kinds
    assert not list(empty.root.rglob("pwned*"))


def test_what_the_variable_says_is_taken_as_it_is(empty: Project, checkout: Path, tool_cache: Path) -> None:
    empty.write(".dvc/config", _remote("s3://data/store"))
    empty.commit()
    plain = runners.set_up(checkout, tool_cache, {**empty.env, "CI_ML_REMOTES": ""}, folder=empty.root)
    assert (plain.code, plain.err) == (0, "")
    assert not _kinds(plain.out)


@pytest.mark.parametrize("named", ["gdrive", "s3 gdrive", "gdrive,s3", "*", "../build", "S3", "-n", "gs s3 $(id)"])
def test_a_kind_that_nobody_knows_is_named(bare: Project, checkout: Path, named: str) -> None:
    done = _set_up(bare, checkout, CI_ML_REMOTES=named)
    assert (done.code, done.out) == (2, "")
    wrong = next(word for word in named.split() if word not in KINDS)
    assert done.err == (
        f"error: CI_ML_REMOTES names `{wrong}`, and the kinds of DVC remotes are azure gs s3 ssh"
        " (the action's input `remotes`)\n"
    )
    assert not (bare.root / "tools").exists()


def test_a_lock_decides_which_environment_it_is_where_it_is_used(
    checkout: Path, tools: Path, tool_cache: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(checkout, tmp_path / "changed")
    lock = tmp_path / "changed" / "requirements" / "s3.txt"
    lock.write_text(lock.read_text() + "# changed\n")
    for kinds, place, same in (("", tool_cache, True), ("s3", tools, False)):
        env = {**ready, "CI_ML_REMOTES": kinds}
        found = [runners.set_up(source, place, env).out for source in (checkout, tmp_path / "changed")]
        assert all(found)
        assert (found[0] == found[1]) == same


@pytest.mark.parametrize(
    ("given", "variable", "kinds"),
    [("", None, "s3"), ("", "", ""), ("ssh", None, "ssh"), ("ssh", "gs", "ssh"), (" ", "gs", "")],
)
def test_the_input_of_the_action_counts_more_than_the_variable_and_that_more_than_the_files(
    empty: Project, checkout: Path, tools: Path, given: str, variable: str | None, kinds: str
) -> None:
    empty.write(".dvc/config", _remote("s3://data/store"))
    empty.commit()
    step = YAML(typ="safe", pure=True).load((checkout / "action.yml").read_text())["runs"]["steps"][0]
    assert step["env"]["ACTION_REMOTES"] == "${{ inputs.remotes }}"
    env = {
        **empty.env,
        "GITHUB_ACTION_PATH": str(checkout),
        "GITHUB_OUTPUT": str(empty.root.parent / "output"),
        "RUNNER_TOOL_CACHE": str(tools),
        "ACTION_REMOTES": given,
        **({} if variable is None else {"CI_ML_REMOTES": variable}),
    }
    job = Project(root=empty.root, env=env)
    assert job.run("bash", "-eo", "pipefail", "-c", step["run"]).code == 0
    command = (empty.root.parent / "output").read_text().removeprefix("command=")
    assert _kinds(command) == set(kinds.split())


# --- What else some projects need -------------------------------------------------------------------------------------

EXTRAS = {
    "pandera": ("pandera", "pandas"),
    "postgres": ("psycopg",),
    "sigstore": ("sigstore",),
    "model-signing": ("model-signing", "pyopenssl"),
}
# What one of them brings another.
_BROUGHT = {"model-signing": {"sigstore"}}
_IMPORTED = {"model-signing": "model_signing", "pyopenssl": "OpenSSL"}


def _extras(command: str) -> set[str]:
    """What else the environment of a command has all the packages of."""
    listing = "import importlib.util as u, sys; print(*(name for name in sys.argv[1:] if u.find_spec(name)))"
    python = Path(command.strip()).with_name("python")
    modules = [_IMPORTED.get(module, module) for needed in EXTRAS.values() for module in needed]
    done = subprocess.run([python, "-I", "-c", listing, *modules], capture_output=True, check=True, timeout=DEADLINE)
    found = set(done.stdout.decode().split())
    return {name for name, needed in EXTRAS.items() if found.issuperset(_IMPORTED.get(one, one) for one in needed)}


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_else_is_asked_for_has_a_lock_whose_packages_work(
    empty: Project, checkout: Path, tools: Path, extra: str
) -> None:
    done = runners.set_up(checkout, tools, {**empty.env, "CI_ML_EXTRAS": f" {extra}\n"})
    assert done.code == 0, done.text
    assert f" with {extra} in " in done.err
    assert _extras(done.out) == {extra, *_BROUGHT.get(extra, ())}
    python = Path(done.out.strip()).with_name("python")
    # psycopg finds its libpq as it is imported, and model_signing what it does not declare.
    modules = {
        "pandera": "pandera.ibis",
        "postgres": "psycopg",
        "sigstore": "sigstore.sign",
        "model-signing": "model_signing.signing",
    }
    empty.run(str(python), "-I", "-c", f"import {modules[extra]}").expect(0)


def test_locks_of_what_else_is_asked_for_are_the_lock_and_what_that_needs_more() -> None:
    versions = {
        name: set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))
        for name in ("ci-ml", "dev", *EXTRAS)
    }
    for extra, modules in EXTRAS.items():
        assert versions["ci-ml"] < versions[extra] <= versions["dev"]
        assert {found.partition("==")[0] for found in versions[extra]} >= set(modules)
    assert f"readonly EXTRAS=({' '.join(EXTRAS)})\n" in (ROOT / "templates" / "setup.sh").read_text()


@pytest.mark.parametrize(
    ("config", "extras"),
    [
        ("monitor:\n  live:\n    production:\n      source:\n        url: $WAREHOUSE\n", "postgres"),
        ("monitor: {live: {production: {source: {url: $WAREHOUSE}}}}", "postgres"),
        ('monitor: {live: {production: {path: a.csv}, labels: {"source" : {url: $WAREHOUSE}}}}', "postgres"),
        ("data:\n  train:\n    schema: schemas/train.py:Train\n", "pandera"),
        ("data: {train: {path: a.csv,schema: schemas/train.py:Train}}\r\n", "pandera"),
        ("data: {train: {schema: a.py:A}}\nmonitor: {live: {production: {source: {}}}}", "pandera postgres"),
        ("audit:\n  sign: sigstore\n", "sigstore"),
        ("audit: {'sign':'sigstore', models: true}", "sigstore model-signing"),
        ("audit:\n  sign: key  # sigstore\n  models: false\npipelines: [{promote: {models: [true-north]}}]", ""),
        ("data: {sources: {path: a.csv}}\nname: source\ngates: [{metric: 'm.json:schema', direction: higher}]", ""),
        ("# yaml-language-server: $schema=https://example.org/ci-ml.schema.json\nresource: a\n", ""),
    ],
)
def test_what_else_is_needed_is_found_by_the_keys_of_the_configuration(
    empty: Project, checkout: Path, config: str, extras: str
) -> None:
    (empty.root / "a folder").mkdir()
    (empty.root / "a folder" / "ci-ml.yaml").write_bytes(config.encode())
    empty.commit()
    empty.write("new/ci-ml.yaml", "schema: a\nsource: b\n")  # nobody tracks it
    assert _asked(empty, checkout, "extras") == extras


def test_what_the_variable_says_of_what_else_is_needed_is_taken_as_it_is(empty: Project, checkout: Path) -> None:
    empty.write("ci-ml.yaml", "data: {train: {schema: a.py:A}}\n")
    empty.commit()
    for said in ("", "postgres", " postgres\tpandera "):
        expected = " ".join(sorted(said.split()))
        assert _asked(empty, checkout, "extras", CI_ML_EXTRAS=said) == expected


@pytest.mark.parametrize("named", ["mysql", "postgres,pandera", "s3", "*", "../build"])
def test_something_else_that_nobody_knows_is_named(bare: Project, checkout: Path, named: str) -> None:
    done = _set_up(bare, checkout, CI_ML_EXTRAS=named)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"error: CI_ML_EXTRAS names `{named}`, and there are {' '.join(EXTRAS)} (the action's input `extras`)\n"
    )


def test_the_action_hands_on_what_else_is_asked_for(checkout: Path) -> None:
    step = YAML(typ="safe", pure=True).load((checkout / "action.yml").read_text())["runs"]["steps"][0]
    assert step["env"]["ACTION_EXTRAS"] == "${{ inputs.extras }}"
    script = step["run"].partition("ci_ml=")[0] + 'echo "${CI_ML_EXTRAS-unset}"'
    for given, variable, expected in (
        ("", None, "unset"),
        ("", "pandera", "pandera"),
        ("postgres", "pandera", "postgres"),
    ):
        env = {"ACTION_REMOTES": "", "ACTION_EXTRAS": given, **({} if variable is None else {"CI_ML_EXTRAS": variable})}
        done = subprocess.run(["bash", "-euc", script], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where environments for remotes are kept."""
    return tmp_path_factory.mktemp("remotes")


# --- When there is nothing to set up with ---------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path, machine: dict[str, str]) -> Project:
    """A machine on which no Python works and no uv is, until a test puts one there; nothing can be downloaded."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in "bash cat chmod cp dirname env find getconf grep mkdir mktemp mv rm sed sh sha256sum sort touch tr uname xargs".split():
        if place := shutil.which(name):
            (tools / name).symlink_to(place)
    offline = {"UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never", "PIP_NO_INDEX": "1"}
    env = {**machine, **offline, "PATH": str(tools), "RUNNER_TOOL_CACHE": str(tmp_path / "tools")}
    return Project(root=tmp_path, env=env)


def _set_up(machine: Project, checkout: Path, **env: str) -> Result:
    return machine.run("bash", str(checkout / "templates" / "setup.sh"), env=env)


def test_without_python_and_uv_it_says_what_to_install(bare: Project, checkout: Path) -> None:
    done = _set_up(bare, checkout)
    assert (done.code, done.out) == (2, "")
    assert "neither uv nor a Python with pip is here" in done.err
    assert "error: " in done.err


def test_with_uv_but_no_python_and_no_download_it_says_which_are_good(bare: Project, checkout: Path) -> None:
    (bare.root / "bin" / "uv").symlink_to(_uv(bare))
    done = _set_up(bare, checkout, GITHUB_ACTIONS="true")
    assert (done.code, done.out) == (2, "")
    assert "::error title=ci-ml::there is no Python that ci-ml runs on (CPython 3.11 to 3.14)" in done.err


def _uv(bare: Project) -> str:
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return found or pytest.skip("uv is not installed (make test does it)")


@pytest.mark.parametrize("wanted", ["/usr/bin/env", "nothing/here"])
def test_a_path_that_is_no_python_is_named(bare: Project, checkout: Path, wanted: str) -> None:
    done = _set_up(bare, checkout, CI_ML_PYTHON=wanted)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: {wanted} is not a Python that ci-ml runs on, which are CPython 3.11 to 3.14\n"


def test_the_wanted_python_is_taken_as_a_path_or_a_version(
    checkout: Path, tool_cache: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    found = runners.set_up(checkout, tool_cache, ready).out
    subprocess.run([sys.executable, "-m", "venv", "--copies", "--without-pip", tmp_path / "copy"], check=True)
    version = ".".join(map(str, sys.version_info[:2]))
    for wanted in (version, sys.executable, str(tmp_path / "copy" / "bin" / "python")):
        assert runners.set_up(checkout, tool_cache, {**ready, "CI_ML_PYTHON": wanted}).out == found


def test_a_cache_that_cannot_be_written_to_is_named(bare: Project, checkout: Path) -> None:
    (bare.root / "tools").write_text("a file is in the way")
    done = _set_up(bare, checkout, CI_ML_PYTHON=sys.executable)
    assert (done.code, done.out) == (2, "")
    assert f"{bare.root}/tools/ci-ml cannot be written to; set RUNNER_TOOL_CACHE or XDG_CACHE_HOME" in done.err
