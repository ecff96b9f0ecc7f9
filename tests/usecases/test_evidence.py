"""Numbers out of files, at a commit and in the work tree, from git and from DVC's cache."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci_ml.core.config import GateConfig
from ci_ml.core.gates import expand
from ci_ml.core.types import Direction, Evidence, Gap, Measurement, MetricKey, Reading, Revision
from ci_ml.errors import UsageError
from ci_ml.usecases import evidence
from ci_ml.usecases.evidence import Side
from ci_ml.wiring import workspace
from tests.repositories import Repository


@pytest.fixture(params=["commit", "work tree"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def side(repository: Repository, kind: str, folder: str = "") -> Side:
    """A side of the project in a folder: the last commit, or the work tree."""
    space = workspace.find(None, None, cwd=repository.root / folder, env=os.environ)
    return space.side(Revision(sha=repository.sha())) if kind == "commit" else space.head_side()


def gate(metric: str) -> GateConfig:
    return GateConfig(metric=metric, direction=Direction.HIGHER)


def gathered(found: Side, *metrics: str) -> Evidence:
    return evidence.gather(found, [gate(metric) for metric in metrics])


def reading(found: Side, metric: str) -> Reading:
    return gathered(found, metric).reading(gate(metric).pattern)


def covered(found: Side, *metrics: str) -> list[str]:
    """The metrics that gates come to cover."""
    read = gathered(found, *metrics)
    return [str(item.metric) for item in expand([gate(metric) for metric in metrics], [read])]


class TestOneMetric:
    @pytest.mark.parametrize(
        ("file", "content", "key", "value"),
        [
            ("m.json", '{"acc": 0.9}', "acc", 0.9),
            ("m.json", '{"test": {"acc": 1}}', "test.acc", 1.0),
            ("m.json", '{"test.acc": 0.9}', "test.acc", 0.9),
            ("m.yaml", "test:\n  acc: 1e-3\n", "test.acc", 0.001),
            ("m.toml", "[test]\nacc = 0.9\n", "test.acc", 0.9),
            ("é folder/m é.json", '{"ä": 1}', "ä", 1.0),
            ("score.txt", "0.75\n", "", 0.75),
            ("m.yaml", "1: 0.5\n", "1", 0.5),
        ],
    )
    def test_is_measured(
        self, repository: Repository, kind: str, file: str, content: str, key: str, value: float
    ) -> None:
        repository.commit({file: content})
        name = f"{file}:{key}" if key else file
        assert reading(side(repository, kind), name) == Measurement(value=value, source=name)

    @pytest.mark.parametrize(
        ("content", "gap"),
        [
            (None, Gap(reason="no file m.json", absent=True)),
            ("{}", Gap(reason="m.json has no key test.acc", absent=True)),
            ('{"test": {"f1": 1}}', Gap(reason="m.json has no key test.acc", absent=True)),
            (
                '{"test": {"acc": {"mean": 1}}}',
                Gap(reason="test.acc in m.json is a mapping of further keys, not a number"),
            ),
            ('{"test": {"acc": "0.9"}}', Gap(reason="m.json:test.acc is text, not a number")),
            ('{"test": {"acc": true}}', Gap(reason="m.json:test.acc is a boolean (true), not a number")),
            ('{"test": {"acc": null}}', Gap(reason="m.json:test.acc is null, not a number")),
            ('{"test": {"acc": [0.9]}}', Gap(reason="m.json:test.acc is a list, not a number")),
            ('{"test": {"acc": NaN}}', Gap(reason="m.json:test.acc is NaN")),
            ('{"test": {"acc": 1e999}}', Gap(reason="m.json:test.acc is infinite")),
            ("", Gap(reason="m.json is empty")),
            (" \n\t\n", Gap(reason="m.json is empty")),
            (
                '{"test":\n{"acc": 0.9',
                Gap(reason="m.json, line 2: not valid JSON: Expecting ',' delimiter (column 12)"),
            ),
            ('{"a":' * 70 + "1" + "}" * 70, Gap(reason="m.json: nested deeper than 64 levels")),
            ("x" * 20_000_000, Gap(reason="m.json is 20 MB large; files of up to 16 MiB are read")),
        ],
        ids=lambda value: value[:20] if isinstance(value, str) else None,
    )
    def test_that_is_no_number_is_a_gap_that_says_why(
        self, repository: Repository, kind: str, content: str | None, gap: Gap
    ) -> None:
        repository.commit({"other": ""} if content is None else {"m.json": content})
        assert reading(side(repository, kind), "m.json:test.acc") == gap

    def test_of_a_folder(self, repository: Repository, kind: str) -> None:
        repository.commit({"m.json/x": ""})
        assert reading(side(repository, kind), "m.json:acc") == Gap(reason="m.json is a folder")

    def test_outside_the_repository_is_an_error(self, repository: Repository, kind: str) -> None:
        repository.commit()
        with pytest.raises(UsageError, match=r"\.\./m\.json is outside the repository"):
            reading(side(repository, kind), "../m.json:acc")


class TestGlobs:
    def files(self, repository: Repository) -> None:
        repository.commit(
            {
                "m.json": '{"acc": 1, "name": "x"}',
                "eval/a.json": '{"test": {"acc": 1, "ok": true}, "f1": 2}',
                "eval/b.json": '{"test": {"acc": 1}}',
                "eval/deep/c.json": '{"test": {"acc": 1}}',
                "eval/d.txt": "no metrics",
            }
        )

    @pytest.mark.parametrize(
        ("metric", "expected"),
        [
            ("eval/*.json:test.acc", ["eval/a.json:test.acc", "eval/b.json:test.acc"]),
            ("eval/**/*.json:test.acc", ["eval/a.json:test.acc", "eval/b.json:test.acc", "eval/deep/c.json:test.acc"]),
            ("eval/a.json:**", ["eval/a.json:f1", "eval/a.json:test.acc"]),
            ("eval/a.json:*", ["eval/a.json:f1"]),
            ("*:*", ["m.json:acc"]),
            ("eval/?.json:f1", ["eval/a.json:f1"]),
            ("eval/*.yaml:acc", ["eval/*.yaml:acc"]),
            ("eval/*.json:recall", ["eval/*.json:recall"]),
        ],
    )
    def test_cover_numbers_and_nothing_else(
        self, repository: Repository, kind: str, metric: str, expected: list[str]
    ) -> None:
        self.files(repository)
        assert covered(side(repository, kind), metric) == expected

    def test_keep_a_broken_file(self, repository: Repository, kind: str) -> None:
        self.files(repository)
        repository.commit({"eval/broken.json": "{"})
        found = side(repository, kind)
        assert covered(found, "eval/*.json:f1") == ["eval/a.json:f1", "eval/broken.json:f1"]
        gap = gathered(found, "eval/*.json:f1").reading(MetricKey(path="eval/broken.json", key="f1"))
        assert isinstance(gap, Gap)
        assert not gap.absent

    def test_see_what_is_not_committed_yet(self, repository: Repository) -> None:
        self.files(repository)
        repository.write("eval/new.json", '{"f1": 1}')
        assert covered(side(repository, "work tree"), "eval/*.json:f1") == ["eval/a.json:f1", "eval/new.json:f1"]
        assert covered(side(repository, "commit"), "eval/*.json:f1") == ["eval/a.json:f1"]

    def test_know_a_value_that_is_no_number_on_this_side_from_one_that_is_absent(
        self, repository: Repository, kind: str
    ) -> None:
        """Else a base that wrote "0.9" would make the head's 0.5 a new metric, which passes with a warning."""
        repository.commit({"m.json": '{"acc": "0.9", "f1": 1}'})
        read = gathered(side(repository, kind), "m.json:*")
        assert read.reading(MetricKey(path="m.json", key="acc")) == Gap(reason="m.json:acc is text, not a number")
        assert read.reading(MetricKey(path="m.json", key="gone")) == Gap(reason="m.json has no key gone", absent=True)

    @pytest.mark.linux
    def test_a_name_that_is_not_utf_8_is_an_error_that_shows_it(self, repository: Repository, kind: str) -> None:
        repository.commit({os.fsdecode(b"latin-\xe9.json"): '{"acc": 1}'})
        with pytest.raises(UsageError) as caught:
            covered(side(repository, kind), "*.json:acc")
        assert caught.value.what == r"the name b'latin-\xe9.json' is not UTF-8: no report can hold it"


class TestAProjectInASubfolder:
    def project(self, repository: Repository) -> None:
        files = {f"{folder}/m.json": '{"acc": 1}' for folder in ("ml/churn", "ml/churn/eval", "ml/fraud", "shared")}
        repository.commit({"ml/churn/ci-ml.yaml": "version: 1", **files})

    @pytest.mark.parametrize(
        ("metric", "expected"),
        [
            ("m.json:acc", ["m.json:acc"]),
            ("**/m.json:acc", ["eval/m.json:acc", "m.json:acc"]),
            ("../../shared/m.json:acc", ["../../shared/m.json:acc"]),
            ("../*/m.json:acc", ["../fraud/m.json:acc"]),
        ],
    )
    @pytest.mark.parametrize("where", ["ml/churn", "ml/churn/eval"])
    def test_reads_paths_relative_to_its_ci_ml_yaml(
        self, repository: Repository, kind: str, where: str, metric: str, expected: list[str]
    ) -> None:
        self.project(repository)
        found = side(repository, kind, where)
        assert found.project.config == "ml/churn/ci-ml.yaml"
        assert covered(found, metric) == expected
        assert isinstance(gathered(found, metric).reading(gate(expected[0]).pattern), Measurement)


STAGE = """
stages:
  train:
    cmd: mkdir -p eval && cp values/m.json m.json && cp values/*.json eval/
    deps: [values]
    metrics: [m.json]
    outs: [eval]
"""


@pytest.fixture
def tracked(repository: Repository) -> Iterator[Repository]:
    """A pipeline that ran: m.json and the folder eval are in DVC's cache, and at 0.9 in the last commit."""
    from dvc.repo import Repo

    before = Path.cwd()
    os.chdir(repository.root)
    try:
        with Repo.init() as repo:
            repository.write("dvc.yaml", STAGE)
            for name, value in (("m", 0.9), ("b", 0.8)):
                repository.write(f"values/{name}.json", f'{{"acc": {value}}}')
            repo.reproduce()
        repository.commit()
        yield repository
    finally:
        os.chdir(before)


def without_the_files(repository: Repository) -> None:
    (repository.root / "m.json").unlink()
    for path in (repository.root / "eval").iterdir():
        path.unlink()
    (repository.root / "eval").rmdir()


def without_the_cache(repository: Repository) -> None:
    without_the_files(repository)
    (repository.root / ".dvc/cache").rename(repository.root / ".dvc/tmp/away")


class TestWhatDvcKeeps:
    @pytest.mark.parametrize("away", [None, without_the_files])
    def test_comes_out_of_its_cache(
        self, tracked: Repository, kind: str, away: Callable[[Repository], None] | None
    ) -> None:
        if away:
            away(tracked)
        found = side(tracked, kind)
        assert reading(found, "m.json:acc") == Measurement(value=0.9, source="m.json:acc")
        assert reading(found, "eval/b.json:acc") == Measurement(value=0.8, source="eval/b.json:acc")
        assert covered(found, "eval/*.json:acc") == ["eval/b.json:acc", "eval/m.json:acc"]
        assert covered(found, "**/*.json:acc") == [
            "eval/b.json:acc",
            "eval/m.json:acc",
            "m.json:acc",
            "values/b.json:acc",
            "values/m.json:acc",
        ]

    def test_that_is_nowhere_is_missing_and_not_absent(self, tracked: Repository, kind: str) -> None:
        without_the_cache(tracked)
        gap = reading(side(tracked, kind), "m.json:acc")
        assert isinstance(gap, Gap)
        assert not gap.absent
        assert gap.reason.startswith("m.json is tracked by DVC, and neither in its cache nor to be had from a remote (")

    def test_in_a_version_that_dvc_lock_does_not_record_is_not_believed(self, tracked: Repository) -> None:
        (tracked.root / "m.json").unlink()
        tracked.write("m.json", '{"acc": 0.1}')
        gap = reading(side(tracked, "work tree"), "m.json:acc")
        assert gap == Gap(reason="m.json is not the version that dvc.lock records (`dvc checkout` restores it)")
        assert reading(side(tracked, "commit"), "m.json:acc") == Measurement(value=0.9, source="m.json:acc")


class TestATable:
    """Where the file of a table is on disk."""

    def test_that_git_tracks(self, repository: Repository, kind: str, tmp_path: Path) -> None:
        repository.commit({"p.csv": "old"})
        repository.write("p.csv", "new")
        place = side(repository, kind).place("p.csv", tmp_path)
        assert isinstance(place, Path)
        assert place.read_text() == ("old" if kind == "commit" else "new")

    @pytest.mark.parametrize("away", [None, without_the_files])
    @pytest.mark.parametrize(("path", "value"), [("m.json", 0.9), ("eval/b.json", 0.8)])
    def test_that_dvc_keeps(
        self,
        tracked: Repository,
        kind: str,
        tmp_path: Path,
        away: Callable[[Repository], None] | None,
        path: str,
        value: float,
    ) -> None:
        if away:
            away(tracked)
        (folder := tmp_path / "copies").mkdir()
        place = side(tracked, kind).place(path, folder)
        assert isinstance(place, Path)
        assert place.read_text() == f'{{"acc": {value}}}'
        assert not list(folder.iterdir())

    def test_that_dvc_keeps_nowhere_is_missing_and_not_absent(
        self, tracked: Repository, kind: str, tmp_path: Path
    ) -> None:
        without_the_cache(tracked)
        gap = side(tracked, kind).place("m.json", tmp_path)
        assert isinstance(gap, Gap)
        assert not gap.absent

    def test_that_dvc_lock_does_not_record_is_not_believed(self, tracked: Repository, tmp_path: Path) -> None:
        (tracked.root / "m.json").unlink()
        tracked.write("m.json", '{"acc": 0.1}')
        reason = "m.json is not the version that dvc.lock records (`dvc checkout` restores it)"
        assert side(tracked, "work tree").place("m.json", tmp_path) == Gap(reason=reason)

    def test_that_is_a_pointer_of_git_lfs_is_not_the_file(
        self, repository: Repository, kind: str, tmp_path: Path
    ) -> None:
        repository.commit({"p.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"})
        reason = "p.csv is a pointer of Git LFS, not the file (`git lfs pull` fetches it)"
        assert side(repository, kind).place("p.csv", tmp_path) == Gap(reason=reason)

    def test_that_was_never_there_is_absent(self, repository: Repository, kind: str, tmp_path: Path) -> None:
        repository.commit({"other": "x"})
        assert side(repository, kind).place("p.csv", tmp_path) == Gap(reason="no file p.csv", absent=True)

    def test_where_dvcs_files_cannot_be_read_may_be_anything(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit({".dvc/config": "", "dvc.yaml": "stages: [\n"})
        gap = side(repository, "commit").place("p.csv", tmp_path)
        assert isinstance(gap, Gap)
        assert not gap.absent
        assert gap.reason.startswith("no file p.csv in git, and dvc.yaml")

    def test_of_a_project_in_a_subfolder(self, repository: Repository, kind: str, tmp_path: Path) -> None:
        repository.commit({"sub/p.csv": "x", "q.csv": "y", "sub/ci-ml.yaml": "version: 1\n"})
        for path, content in (("p.csv", "x"), ("../q.csv", "y")):
            place = side(repository, kind, "sub").place(path, tmp_path)
            assert isinstance(place, Path)
            assert place.read_text() == content
