"""`ci-ml generate`: CI files out of ci-ml.yaml and dvc.yaml, with real git and DVC, for both forges."""

import re
from typing import Any

import pytest

from tests.e2e.project import CI_ML_YAML, Project

pytestmark = pytest.mark.thorough

PATHS = {"github": ".github/workflows/ci-ml.yml", "gitlab": ".gitlab/ci-ml.yml"}
# A line that people may add between the marks, as the file of the forge has it, and one of ours to change by hand.
ADDED = {"github": "      - run: make models # ours\n", "gitlab": "    - make models # ours\n"}
FORGES = pytest.mark.parametrize("forge", PATHS)


def declare(project: Project, forge: str, more: str = "layout: stages") -> None:
    """Say what there should be, and commit it."""
    project.write("ci-ml.yaml", f"{CI_ML_YAML}pipelines:\n  - {{forge: {forge}, {more}}}\n")
    project.commit("Pipelines")


def generated(project: Project, forge: str, more: str = "layout: stages") -> str:
    """The file of a forge, written and committed."""
    declare(project, forge, more)
    project.ci_ml("generate").expect(0)
    project.commit("Generate")
    return project.read(PATHS[forge])


def add(project: Project, forge: str, what: str | None = None, job: str = "prepare") -> str:
    """Write a line between the marks of a job, as people may; hands back the file."""
    text = project.read(PATHS[forge])
    found, count = re.subn(
        rf"( *# ci-ml: keep .* of the job {job}\n)", lambda match: match[1] + (what or ADDED[forge]), text
    )
    assert count == 1
    project.write(PATHS[forge], found)
    return found


@FORGES
def test_files_are_written_once(project: Project, forge: str) -> None:
    declare(project, forge)
    written = set(project.ci_ml("generate").expect(0).out.split())
    assert PATHS[forge] in written
    assert set(project.git("ls-files", "--others", "--exclude-standard").split()) == written - {"wrote"}
    assert project.ci_ml("generate").expect(0).out == "every file is as it should be\n"
    project.ci_ml("generate", "--check").expect(0)
    jobs = {"prepare", "train", "evaluate"}
    document = re.sub("!reference", "", project.read(PATHS[forge]))
    project.write("read.yaml", document)
    found: dict[str, Any] = project.yaml("read.yaml")
    assert jobs <= (found["jobs"] if forge == "github" else found).keys()


@FORGES
def test_check_shows_what_is_not_there(project: Project, forge: str) -> None:
    declare(project, forge)
    done = project.ci_ml("generate", "--check").expect(12)
    assert f"+++ b/{PATHS[forge]}\n" in done.out
    assert not re.search(r"^-(?!--)", done.out, re.MULTILINE)
    assert project.status() == ""


@FORGES
def test_check_shows_what_another_stage_changes(project: Project, forge: str) -> None:
    generated(project, forge)
    project.edit("dvc.yaml", "  train:\n", "  other:\n    cmd: echo\n    deps: [data/clean.csv]\n  train:\n")
    before = project.read(PATHS[forge])
    done = project.ci_ml("generate", "--check").expect(12)
    assert f"--- a/{PATHS[forge]}\n+++ b/{PATHS[forge]}\n" in done.out
    assert re.search(r"^\+.*\bother\b", done.out, re.MULTILINE)
    assert project.read(PATHS[forge]) == before
    assert project.ci_ml("generate").expect(0).out == f"wrote {PATHS[forge]}\n"
    project.ci_ml("generate", "--check").expect(0)


@FORGES
def test_check_shows_what_somebody_changed_by_hand(project: Project, forge: str) -> None:
    text = generated(project, forge)
    project.write(PATHS[forge], f"{text}# mine\n")
    done = project.ci_ml("generate", "--check").expect(12)
    assert "\n-# mine\n" in done.out


@FORGES
def test_lines_that_are_kept_survive(project: Project, forge: str) -> None:
    generated(project, forge)
    lines = ADDED[forge] + ADDED[forge].replace("ours", "a\x0cb\u2028c\x85d 🦊")
    text = add(project, forge, lines)
    project.ci_ml("generate", "--check").expect(0)
    assert project.ci_ml("generate").expect(0).out == "every file is as it should be\n"
    declare(project, forge, "layout: stages, timeouts: {default: 7}")
    project.ci_ml("generate").expect(0)
    found = project.read(PATHS[forge])
    assert found != text
    assert lines in found
    assert found.count("# ours") == 1
    project.ci_ml("generate", "--check").expect(0)


@FORGES
def test_a_change_by_hand_is_not_overwritten_unless_it_must(project: Project, forge: str) -> None:
    generated(project, forge)
    text = f"{add(project, forge)}# mine\n"
    project.write(PATHS[forge], text)
    done = project.ci_ml("generate").expect(2)
    assert f"{PATHS[forge]} was edited outside of the lines that are kept" in done.err
    assert "--force" in done.err
    assert project.read(PATHS[forge]) == text
    assert project.ci_ml("generate", "--force").expect(0).out == f"wrote {PATHS[forge]}\n"
    assert project.read(PATHS[forge]) == text.removesuffix("# mine\n")


@FORGES
def test_a_file_of_somebody_else_is_not_overwritten_unless_it_must(project: Project, forge: str) -> None:
    project.write(PATHS[forge], "jobs: {}\n")
    declare(project, forge)
    done = project.ci_ml("generate").expect(2)
    assert f"{PATHS[forge]} is there, and ci-ml did not write it" in done.err
    assert project.read(PATHS[forge]) == "jobs: {}\n"
    assert project.status() == ""
    project.ci_ml("generate", "--force").expect(0)
    project.ci_ml("generate", "--check").expect(0)


@FORGES
def test_lines_without_a_place_are_not_lost_unless_they_must(project: Project, forge: str) -> None:
    generated(project, forge)
    text = add(project, forge, job="train")
    project.edit("dvc.yaml", "  train:\n", "  fit:\n")
    done = project.ci_ml("generate").expect(2)
    assert re.search("the lines kept for '.* of the job train' have no place in the new file", done.err)
    assert project.read(PATHS[forge]) == text
    project.ci_ml("generate", "--force").expect(0)
    assert "# ours" not in project.read(PATHS[forge])
    project.ci_ml("generate", "--check").expect(0)


@FORGES
def test_marks_that_do_not_pair(project: Project, forge: str) -> None:
    text = generated(project, forge)
    project.write(PATHS[forge], re.sub(r" *# ci-ml: end\n", "", text, count=1))
    done = project.ci_ml("generate").expect(2)
    assert re.search(r"line \d+: `ci-ml: keep .*` has no `ci-ml: end`", done.err)
    project.ci_ml("generate", "--force").expect(0)
    assert project.read(PATHS[forge]) == text


def test_the_first_file_of_gitlab_belongs_to_the_team(project: Project) -> None:
    generated(project, "gitlab")
    first = project.yaml(".gitlab-ci.yml")
    assert first == {"include": [{"local": "/.gitlab/ci-ml.yml"}]}
    project.write(".gitlab-ci.yml", "include: [local: /.gitlab/ci-ml.yml]\nstages: [test]\n")
    project.ci_ml("generate", "--check").expect(0)
    assert project.ci_ml("generate").expect(0).out == "every file is as it should be\n"


@pytest.mark.parametrize("folder", ["", "ml"])
def test_gitlab_reads_no_file_that_nothing_includes(plain: Project, folder: str) -> None:
    prefix, path = f"{folder}/".lstrip("/"), f".gitlab/ci-ml{folder and f'-{folder}'}.yml"
    plain.write(".gitlab-ci.yml", "test:\n  script: [!reference [.setup, script], make]\n")
    plain.write(f"{prefix}ci-ml.yaml", f"{plain.read('ci-ml.yaml')}pipelines: [{{forge: gitlab}}]\n")
    plain.commit("pipelines")
    config = ("--config", f"{prefix}ci-ml.yaml")
    done = plain.ci_ml("generate", *config).expect(0)
    assert done.out == f"wrote {path}\n"
    lines = f"include:\n  - local: /{path}\n"
    assert f".gitlab-ci.yml does not include {path}: GitLab never reads it. Add to it:\n\n{lines}" in done.err
    done = plain.ci_ml("generate", *config, "--check").expect(12)
    assert done.out == ""
    assert lines in done.err
    plain.write(".gitlab-ci.yml", f"{lines}{plain.read('.gitlab-ci.yml')}")
    assert plain.ci_ml("generate", *config, "--check").expect(0).err == ""
    plain.write(".gitlab-ci.yml", "include: {project: acme/ci, file: all.yml}\n")
    assert (
        "is not known: .gitlab-ci.yml includes a project" in plain.ci_ml("generate", *config, "--check").expect(0).err
    )


# --- Several projects in a repository --------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_file_of_another_project_is_never_overwritten(plain: Project, force: list[str]) -> None:
    plain.write("ci-ml.yaml", f"{plain.read('ci-ml.yaml')}pipelines: [{{forge: github}}]\n")
    plain.ci_ml("generate").expect(0)
    plain.edit(PATHS["github"], "from ci-ml.yaml. ", "from a/ci-ml.yaml. ")
    plain.commit("as if another project had the same names")
    text = plain.read(PATHS["github"])
    plain.edit("ci-ml.yaml", "{forge: github}", "{forge: github, timeouts: {default: 7}}")
    done = plain.ci_ml("generate", *force).expect(2)
    assert f"{PATHS['github']} is made from a/ci-ml.yaml, and would be from ci-ml.yaml" in done.err
    assert plain.read(PATHS["github"]) == text
    plain.ci_ml("generate", "--check").expect(2)


def test_projects_whose_folders_look_alike_have_files_of_their_own(plain: Project) -> None:
    text = f"{plain.read('ci-ml.yaml')}pipelines: [{{forge: github}}, {{forge: gitlab}}]\n"
    folders = ("", "a/b", "a-b", "日本", "中国", "publish")
    for folder in folders:
        plain.write(f"{folder}/ci-ml.yaml".lstrip("/"), text)
        plain.ci_ml("generate", "--config", f"{folder}/ci-ml.yaml".lstrip("/")).expect(0)
        plain.commit(folder or "the root")
    for folder in folders:
        assert plain.ci_ml("generate", "--check", "--config", f"{folder}/ci-ml.yaml".lstrip("/")).out == ""
    assert len(plain.git("ls-files", ".github", ".gitlab").split()) == 3 * len(folders)


@FORGES
def test_another_configuration_has_files_of_its_own_and_is_what_they_use(plain: Project, forge: str) -> None:
    text = f"{plain.read('ci-ml.yaml')}pipelines: [{{forge: {forge}, record: false}}]\n"
    plain.write("ci-ml.yaml", text)
    plain.write("other.yaml", text)
    plain.ci_ml("generate").expect(0)
    done = plain.ci_ml("generate", "--config", "other.yaml").expect(0)
    (path,) = re.findall(r"^wrote (\S*/ci-ml-other-[0-9a-f]{6}\.yml)$", done.out, re.MULTILINE)
    plain.commit("both")
    assert ("config: other.yaml" if forge == "github" else "ci --config other.yaml") in plain.read(path)
    assert "other.yaml" not in plain.read(PATHS[forge])
    assert plain.ci_ml("generate").expect(0).out == "every file is as it should be\n"
    if forge == "github":
        assert plain.yaml(path)["jobs"]["gate"]["name"] == "gate other.yaml"


# --- CI files of people beside ours ----------------------------------------------------------------------------------

INCLUDED = "include: [{local: /.gitlab/ci-ml.yml}]\n"


@pytest.mark.parametrize(
    ("forge", "path", "theirs", "said", "way_out"),
    [
        (
            "gitlab",
            ".gitlab-ci.yml",
            "gate: {script: [echo], allow_failure: true}\n",
            ".gitlab-ci.yml has a job gate, too",
            "prefix: ml",
        ),
        (
            "gitlab",
            ".gitlab-ci.yml",
            "stages: [build]\n",
            ".gitlab-ci.yml has the stages build and no test",
            "stage: build",
        ),
        (
            "github",
            ".github/workflows/own.yml",
            "on: pull_request\njobs: {gate: {runs-on: ubuntu-24.04, steps: [{run: make}]}}\n",
            ".github/workflows/own.yml has a check gate, too",
            "prefix: ml",
        ),
    ],
)
def test_what_is_there_already_does_not_get_in_the_way_unnoticed(
    plain: Project, forge: str, path: str, theirs: str, said: str, way_out: str
) -> None:
    config = plain.read("ci-ml.yaml")
    plain.write(path, theirs + (INCLUDED if forge == "gitlab" else ""))
    plain.write("ci-ml.yaml", f"{config}pipelines: [{{forge: {forge}}}]\n")
    plain.commit("pipelines")
    for options in ([], ["--check"], ["--force"]):
        done = plain.ci_ml("generate", *options).expect(2)
        assert said in done.err
        assert way_out in done.err
        assert plain.status() == ""
    found = plain.ci_ml("doctor", "--format", "json").expect(2).json()["checks"]
    (workflow,) = [one for one in found if one["check"] == "workflow"]
    assert said in workflow["sentence"]
    plain.write("ci-ml.yaml", f"{config}pipelines: [{{forge: {forge}, {way_out}}}]\n")
    plain.ci_ml("generate").expect(0)
    plain.ci_ml("generate", "--check").expect(0)
    text = plain.read(PATHS[forge])
    named = {"prefix: ml": "name: ml:gate" if forge == "github" else "\nml:gate:\n", "stage: build": "  stage: build\n"}
    assert named[way_out] in text


def test_a_job_that_watches_cannot_train(project: Project) -> None:
    watched = "data: {train: {path: data/train.csv}}\nmonitor:\n  live: {production: {path: p.csv}, reference: train, retrain: fail}\n"
    declare(project, "github", "layout: single, monitor: '0 5 * * *'")
    project.write("ci-ml.yaml", (project.root / "ci-ml.yaml").read_text() + watched)
    said = project.ci_ml("generate").expect(2).err
    assert "monitor.live.retrain" in said
    assert "on_drift: true" in said


def test_the_stage_is_used_everywhere(project: Project) -> None:
    project.write(".gitlab-ci.yml", f"{INCLUDED}stages: [verify]\n")
    text = generated(project, "gitlab", "layout: stages, graph: dynamic, stage: verify")
    assert re.findall(r"^  stage: (.*)$", text, re.MULTILINE) == ["verify", "verify"]
    declare(project, "github", "stage: verify")
    assert "`stage` belongs to gitlab" in project.ci_ml("generate").expect(2).err


# --- Files that are needed no more -----------------------------------------------------------------------------------

PUBLISH = ".github/workflows/ci-ml-publish.yml"
BOTH = "pipelines: [{forge: github}, {forge: gitlab}]\n"


def both(plain: Project) -> str:
    """Files for both forges; hands back ci-ml.yaml without pipelines."""
    config = plain.read("ci-ml.yaml")
    plain.write("ci-ml.yaml", f"{config}{BOTH}")
    plain.ci_ml("generate").expect(0)
    plain.commit("Generate")
    return config


@pytest.mark.parametrize(
    ("left", "gone"),
    [
        ("pipelines: [{forge: github, forks: false}, {forge: gitlab}]\n", [PUBLISH]),
        ("pipelines: [{forge: github}]\n", [PATHS["gitlab"], ".gitlab-ci.yml"]),
        ("pipelines: [{forge: gitlab}]\n", [PUBLISH, PATHS["github"]]),
        ("", [PUBLISH, PATHS["github"], PATHS["gitlab"], ".gitlab-ci.yml"]),
    ],
)
def test_a_file_that_is_needed_no_more_is_taken_away(plain: Project, left: str, gone: list[str]) -> None:
    config = both(plain)
    plain.write("ci-ml.yaml", f"{config}{left}")
    done = plain.ci_ml("generate", "--check").expect(12)
    assert re.findall(r"^--- a/(.*)\n\+\+\+ /dev/null$", done.out, re.MULTILINE) == gone
    assert plain.ci_ml("generate").expect(0).out == "".join(f"took away {path}\n" for path in gone)
    assert plain.git("ls-files", "--deleted").split() == sorted(gone)
    plain.ci_ml("generate", "--check").expect(0 if left else 2)


def test_the_first_file_of_gitlab_goes_with_what_it_includes(plain: Project) -> None:
    config = both(plain)
    plain.write("ci-ml.yaml", f"{config}pipelines: [{{forge: github}}]\n")
    done = plain.ci_ml("generate").expect(0)
    assert done.out == "took away .gitlab/ci-ml.yml\ntook away .gitlab-ci.yml\n"
    plain.ci_ml("generate", "--check").expect(0)


@pytest.mark.parametrize("left", ["pipelines: [{forge: github}]\n", ""])
def test_what_people_wrote_in_it_stays_and_has_to_be_mended(plain: Project, left: str) -> None:
    config = both(plain)
    plain.write(".gitlab-ci.yml", f"{plain.read('.gitlab-ci.yml')}test: {{script: make}}\n")
    plain.write("ci-ml.yaml", f"{config}{left}")
    said = ".gitlab-ci.yml includes .gitlab/ci-ml.yml, which is not there: GitLab refuses every pipeline"
    done = plain.ci_ml("generate").expect(0)
    assert said in done.err
    assert "test" in plain.read(".gitlab-ci.yml")
    assert said in plain.ci_ml("generate", "--check").expect(12).err
    found = plain.ci_ml("doctor", "--format", "json").json()["checks"]
    assert said in [one["sentence"] for one in found]
    plain.write(".gitlab-ci.yml", "test: {script: make}\n")
    plain.ci_ml("generate", "--check").expect(0 if left else 2)


def test_it_loses_one_project_of_two(plain: Project) -> None:
    config = both(plain)
    plain.write("ml/ci-ml.yaml", f"{config}pipelines: [{{forge: gitlab}}]\n")
    plain.ci_ml("generate", "--config", "ml/ci-ml.yaml").expect(0)
    plain.write(".gitlab-ci.yml", "include:\n  - local: /.gitlab/ci-ml.yml\n  - local: /.gitlab/ci-ml-ml.yml\n")
    plain.write("ml/ci-ml.yaml", config)
    done = plain.ci_ml("generate", "--config", "ml/ci-ml.yaml").expect(0)
    assert done.out == "wrote .gitlab-ci.yml\ntook away .gitlab/ci-ml-ml.yml\n"
    assert plain.read(".gitlab-ci.yml") == "include:\n  - local: /.gitlab/ci-ml.yml\n"
    plain.ci_ml("generate", "--check").expect(0)


@pytest.mark.parametrize("edit", ["# mine\n", "kept"])
def test_what_people_wrote_in_it_is_not_taken_away_unless_it_must(plain: Project, edit: str) -> None:
    config = both(plain)
    text = plain.read(PATHS["gitlab"])
    kept = re.sub(r"( *# ci-ml: keep .*\n)", r"\1    - make # ours\n", text, count=1)
    plain.write(PATHS["gitlab"], kept if edit == "kept" else f"{text}{edit}")
    plain.write("ci-ml.yaml", f"{config}pipelines: [{{forge: github}}]\n")
    done = plain.ci_ml("generate").expect(2)
    assert f"{PATHS['gitlab']} is needed no more, and holds lines that people wrote" in done.err
    assert (plain.root / PATHS["gitlab"]).is_file()
    plain.ci_ml("generate", "--force").expect(0)
    assert not (plain.root / PATHS["gitlab"]).exists()


def test_files_of_others_are_left_alone(plain: Project) -> None:
    config = both(plain)
    plain.write("ml/ci-ml.yaml", f"{config}{BOTH}")
    plain.write(".github/workflows/ci-ml-own.yml", "on: push\njobs: {}\n")
    plain.ci_ml("generate", "--config", "ml/ci-ml.yaml").expect(0)
    plain.commit("another project")
    for path in ("ci-ml.yaml", "ml/ci-ml.yaml"):
        plain.write(path, f"{config}pipelines: [{{forge: gitlab}}]\n")
    suffixes = ("-ml-publish", "-ml")
    gone = [f"took away .github/workflows/ci-ml{suffix}.yml\n" for suffix in suffixes]
    assert plain.ci_ml("generate", "--config", "ml/ci-ml.yaml").expect(0).out == "".join(gone)
    assert len(plain.git("ls-files", "--deleted").split()) == len(gone)


def test_one_thing_at_a_time(project: Project) -> None:
    declare(project, "github")
    done = project.ci_ml("generate", "--check", "--graph").expect(2)
    assert "--check and --graph ask for different things" in done.err
    assert "flowchart LR" in project.ci_ml("generate", "--graph").expect(0).out


def test_nothing_to_generate(project: Project) -> None:
    assert "declares no pipelines" in project.ci_ml("generate").expect(2).err


def test_a_matrix_that_github_would_refuse_is_refused_at_once(project: Project) -> None:
    items = "".join(f", {number}" for number in range(300))
    project.edit("dvc.yaml", "stages:\n", f"stages:\n  fold:\n    foreach: [a{items}]\n    do: {{cmd: echo}}\n")
    declare(project, "github", "layout: stages, graph: dynamic")
    done = project.ci_ml("generate").expect(2)
    assert "fold has 301 instances, and a matrix of GitHub 256 jobs at most" in done.err
    assert project.status() == ""


# --- Templates of users ----------------------------------------------------------------------------------------------

WITH_OWN = "layout: single, forks: false, templates: ci"


def test_templates_of_users_replace_ours(project: Project) -> None:
    project.write("ci/github/checkout.yml.j2", "      - run: git clone . # {{{ spec.branch }}}\n")
    project.write(
        "ci/github/single.yml.j2",
        '{{% extends "ci-ml/github/single.yml.j2" %}}\n{{% block setup %}}\n      - run: make setup\n{{% endblock %}}\n',
    )
    generated(project, "github", WITH_OWN)
    steps = project.yaml(PATHS["github"])["jobs"]["gate"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["git clone .", "make setup"]
    project.edit("ci/github/single.yml.j2", "make setup", "make all")
    assert "\n+      - run: make all\n" in project.ci_ml("generate", "--check").expect(12).out


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("github/single.yml.j2", "jobs: {}\n", "the template github/single.yml.j2 does not begin with {{{ header }}}"),
        ("github/singel.yml.j2", "", "ci/github/singel.yml.j2 replaces no template of ci-ml"),
        ("README.md", "", "there is no .yml.j2 file in ci"),
        ("github/single.yml.j2", "{{{ header }}}\n{{{ ''.__class__ }}}\n", "__class__"),
        ("github/single.yml.j2", "{{{ header }}}\n{{% for a in range(10 ** 9) %}}{{% endfor %}}\n", "100,000 steps"),
        ("github/single.yml.j2", b"\xff", "ci/github/single.yml.j2 is not UTF-8 text"),
    ],
)
def test_templates_that_cannot_be_used(project: Project, name: str, text: Any, words: str) -> None:
    project.write(f"ci/{name}", text)
    declare(project, "github", WITH_OWN)
    assert words in project.ci_ml("generate").expect(2).err
    assert project.status() == ""


# --- Schedules -------------------------------------------------------------------------------------------------------

SCHEDULES = 'monitor: "0 6 * * *", retrain: {schedule: "23 4 * * 1", on_drift: true}'


@FORGES
def test_schedules_have_files_that_are_kept_true(project: Project, forge: str) -> None:
    generated(project, forge, SCHEDULES)
    project.ci_ml("generate", "--check").expect(0)
    place = PATHS[forge].replace(".yml", "-retrain.yml") if forge == "github" else PATHS[forge]
    text = project.read(place)
    kept = re.sub(r"( *)(# ci-ml: keep (?:steps|script of the job retrain)\n)", r"\1\2\1- make data # ours\n", text)
    assert kept != text
    project.write(place, kept)
    project.ci_ml("generate", "--check").expect(0)
    project.write("ci-ml.yaml", project.read("ci-ml.yaml").replace('"23 4 * * 1"', '"24 4 * * 1"'))
    assert "24 4 * * 1" in project.ci_ml("generate", "--check").expect(12).out
    project.ci_ml("generate").expect(0)
    assert "make data # ours" in project.read(place)
    project.write(place, project.read(place).replace("retrain", "retain"))
    project.ci_ml("generate").expect(2)


def test_workflows_of_schedules_go_when_nobody_wants_them(project: Project) -> None:
    generated(project, "github", SCHEDULES)
    declare(project, "github", 'monitor: "0 6 * * *"')
    done = project.ci_ml("generate").expect(0)
    assert "took away .github/workflows/ci-ml-retrain.yml\n" in done.out
    assert "uses: ./" not in project.read(".github/workflows/ci-ml-monitor.yml")
    declare(project, "github", "layout: single")
    assert project.ci_ml("generate").expect(0).out == "took away .github/workflows/ci-ml-monitor.yml\n"
