"""Numbers from several trainings: one per seed, none left out, and an interval that covers the choice of seeds."""

from collections.abc import Callable

import pytest
from scipy import stats

from ci_ml.core.compare import Comparison
from ci_ml.core.config import GateConfig
from ci_ml.core.types import Direction, Margin, Revision, Status
from ci_ml.usecases import evidence, repeated
from ci_ml.usecases.evidence import Side
from ci_ml.wiring import workspace
from tests.repositories import Repository

Judge = Callable[..., Comparison]

SPREAD = (0.90, 0.902, 0.904)


def gate(floor: float | None = None, metric: str = "runs/seed-*.json:acc") -> GateConfig:
    margin = Margin(value=0.01)
    return GateConfig(metric=metric, direction=Direction.HIGHER, margin=margin, repeats=True, floor=floor)


def files(values: tuple[object, ...], key: str = "acc") -> dict[str, str | bytes]:
    return {f"runs/seed-{seed}.json": f'{{"{key}": {value}}}' for seed, value in enumerate(values)}


@pytest.fixture
def judged(repository: Repository) -> Judge:
    """What becomes of a gate when these files are committed, and then those are in the work tree."""

    def judge(
        base: dict[str, str | bytes], head: dict[str, str | bytes], asked: GateConfig | None = None
    ) -> Comparison:
        sha = repository.commit({"other": "x", **base})
        for path in base:
            (repository.root / path).unlink()
        for path, content in head.items():
            repository.write(path, content)
        space = workspace.find(None, None, cwd=repository.root, env={})
        sides: list[Side] = [space.side(Revision(sha=sha)), space.head_side()]
        gates = [asked or gate()]
        (found,) = repeated.judge(gates, *(evidence.gather(side, gates) for side in sides), confidence=0.95)
        return found

    return judge


class TestSeeds:
    def test_are_judged_by_their_means_with_welchs_interval(self, judged: Judge) -> None:
        head = (0.86, 0.862, 0.866, 0.868)
        found = judged(files(SPREAD), files(head)).contrast
        assert found is not None
        truth = stats.ttest_ind(head, SPREAD, equal_var=False)
        interval = truth.confidence_interval(0.95)
        assert found.interval == pytest.approx((interval.low, interval.high))
        assert found.p_value == pytest.approx(truth.pvalue)
        assert (found.base, found.head) == (pytest.approx(0.902), pytest.approx(0.864))

    @pytest.mark.parametrize(
        ("head", "status"),
        [
            ((0.86, 0.862, 0.864), Status.REGRESSED),
            ((0.9, 0.902, 0.904), Status.HELD),
            ((0.85, 0.90, 0.95), Status.INCONCLUSIVE),
            ((0.96, 0.962, 0.964), Status.IMPROVED),
        ],
    )
    def test_come_to_a_status(self, judged: Judge, head: tuple[float, ...], status: Status) -> None:
        assert judged(files(SPREAD), files(head)).status is status

    def test_that_are_all_alike_are_unchanged(self, judged: Judge) -> None:
        found = judged(files((0.9, 0.9)), files((0.9, 0.9, 0.9)))
        assert found.status is Status.UNCHANGED
        assert found.reason == "runs/seed-*.json:acc is unchanged at 0.9: all 5 trainings count alike."

    def test_that_never_vary_and_differ_have_no_interval(self, judged: Judge) -> None:
        found = judged(files((0.9, 0.9)), files((0.8, 0.8)))
        assert found.status is Status.MISSING
        assert "there is no interval" in found.reason

    @pytest.mark.parametrize(
        ("floor", "status"), [(0.8, Status.HELD), (0.902, Status.INCONCLUSIVE), (0.95, Status.REGRESSED)]
    )
    def test_have_a_floor_on_the_interval_of_their_mean(self, judged: Judge, floor: float, status: Status) -> None:
        assert judged(files(SPREAD), files(SPREAD), gate(floor)).status is status


class TestASeedWithoutANumber:
    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ('"0.9"', "runs/seed-1.json:acc is text, not a number"),
            ("NaN", "runs/seed-1.json:acc is NaN"),
            ("true", "runs/seed-1.json:acc is a boolean (true), not a number"),
            ('{"mean": 1}', "acc in runs/seed-1.json is a mapping of further keys, not a number"),
        ],
    )
    @pytest.mark.parametrize("side", ["base", "head"])
    def test_is_not_left_out(self, judged: Judge, value: str, reason: str, side: str) -> None:
        whole, broken = files(SPREAD), files((0.9, value, 0.904))
        found = judged(*((broken, whole) if side == "base" else (whole, broken)))
        assert (found.status, found.reason) == (Status.MISSING, f"runs/seed-*.json:acc cannot be judged: {reason}.")

    @pytest.mark.parametrize("content", ['{"f1": 0.9}', "{}"])
    def test_because_its_key_is_missing_is_not_left_out(self, judged: Judge, content: str) -> None:
        found = judged(files(SPREAD), {**files(SPREAD), "runs/seed-1.json": content})
        assert found.status is Status.MISSING
        assert found.reason == "runs/seed-*.json:acc cannot be judged: runs/seed-1.json has no key acc."

    def test_because_its_file_is_broken_is_not_left_out(self, judged: Judge) -> None:
        found = judged(files(SPREAD), {**files(SPREAD), "runs/seed-1.json": "{"})
        assert found.status is Status.MISSING
        assert "runs/seed-1.json, line 1: not valid JSON" in found.reason

    def test_one_seed_is_not_enough(self, judged: Judge) -> None:
        found = judged(files(SPREAD), files((0.9,)))
        assert found.status is Status.MISSING
        assert "1 repeats of the " in found.reason


class TestABaseWithoutIt:
    @pytest.mark.parametrize("base", [{}, files(SPREAD, "f1")], ids=["no files", "no such key"])
    def test_is_new(self, judged: Judge, base: dict[str, str | bytes]) -> None:
        found = judged(base, files(SPREAD))
        assert found.status is Status.NEW
        assert found.reason.startswith("runs/seed-*.json:acc is new: 0.902")

    def test_is_no_excuse_for_a_head_without_it(self, judged: Judge) -> None:
        found = judged({}, {})
        assert found.status is Status.MISSING
        assert found.reason == "runs/seed-*.json:acc cannot be judged: no file has runs/seed-*.json:acc."
