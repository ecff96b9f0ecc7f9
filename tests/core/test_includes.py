"""Which files GitLab reads, as far as this repository says."""

import pytest

from ci_ml.core import includes
from ci_ml.core.includes import Entry

OURS = ".gitlab/ci-ml.yml"
FILES = {OURS: "gate: {script: [x]}\n", "ci/all.yml": f"include: /{OURS}\n", "ci/self.yml": "include: ci/self.yml\n"}


def found(text: str, *, ours: str = OURS, more: dict[str, str] | None = None) -> Entry:
    files = {**FILES, **(more or {}), includes.ENTRY: text}
    return includes.entry(lambda path: files.get(path, "").encode(), files, [ours])


@pytest.mark.parametrize(
    "text",
    [
        f"include: {OURS}",
        f"include: /{OURS}",
        f"include: [ci/self.yml, /{OURS}]",
        f"include: {{local: /{OURS}}}",
        f"include: {{local: {OURS}, rules: [{{if: $CI}}]}}",
        f"include:\n  - template: Jobs/SAST.gitlab-ci.yml\n  - local: {OURS}",
        "include: {local: '/.gitlab/*.yml'}",
        "include: ['.gitlab/ci-*.yml']",
        "include: '**.yml'",
        "include: {local: ci/all.yml}",
        f"test:\n  script:\n    - !reference [.setup, script]\n  image: !reference [a, b]\ninclude: {OURS}",
        f"a: !reference x\ninclude: {OURS}",
    ],
)
def test_what_is_included_is_read(text: str) -> None:
    assert found(text) == Entry()


def test_a_file_is_read_before_it_is_written() -> None:
    """The first `ci-ml generate` in a repository whose first file has a glob."""
    assert found("include: .gitlab/*.yml", ours=".gitlab/ci-ml-new.yml") == Entry()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "test: {script: [make]}",
        "include: []",
        "include: .gitlab/other.yml",
        "include: '.git*/ci.yml'",
        "include: '*.yml'",
        "include: '*/*/*.yml'",
        "include: ci/self.yml",
        f"# include: {OURS}",
        f"test: {{include: {OURS}}}",
    ],
)
def test_what_is_not_included_is_not_read(text: str) -> None:
    assert found(text) == Entry(absent=(OURS,))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("include: {template: Jobs/SAST.gitlab-ci.yml}", ".gitlab-ci.yml includes a template"),
        ("include: [{project: acme/ci, file: all.yml}]", "includes a project"),
        ("include: {component: gitlab.com/acme/ci/all@1}", "includes a component"),
        ("include: {remote: 'https://example.org/all.yml'}", "includes a remote"),
        ("include: https://example.org/all.yml", "includes a file of another server"),
        ("include: .gitlab/$KIND.yml", "includes .gitlab/$KIND.yml, where a variable decides"),
        ("include: !reference [a, b]", "has an include of a kind that ci-ml does not know"),
        (f"ci-ml: {{trigger: {{include: {OURS}}}}}", "starts a child pipeline from a file (ci-ml)"),
        ("include: [", ".gitlab-ci.yml cannot be read: line 2: not valid YAML"),
        ("include: [!reference [a, b]]", "of a kind that ci-ml does not know"),
        ("a: 1\n---\nb: 2\n", "more than one YAML document"),
        ("a: !!python/object:os.system x", "cannot be read: line 1: the tag"),
    ],
)
def test_what_nobody_can_know_is_said(text: str, why: str) -> None:
    entry = found(text)
    assert entry.doubtful == (OURS,)
    assert entry.absent == ()
    assert why in entry.why


def test_a_crowd_of_files_ends() -> None:
    crowd = {f"many/{number}.yml": "x: 1\n" for number in range(200)}
    assert "more than 150 files" in found("include: many/*.yml", more=crowd).why
