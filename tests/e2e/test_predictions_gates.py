"""Every kind of gate on tables of predictions, in one repository and mostly in one `ci-ml check`."""

import os
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.e2e.predictions import ABOUT, Table, animals, blind, customers, houses, missing, noisier, wobbling, write
from tests.e2e.project import Project

PEOPLE = customers(2400)
# In one country nobody churns, and another has one row.
PEOPLE["country"] = ["XX" if index == 0 else value for index, value in enumerate(PEOPLE["country"])]
PEOPLE["shop"] = ["quiet" if not label and index % 4 == 0 else "busy" for index, label in enumerate(PEOPLE["churned"])]
RELABELLED = {
    **PEOPLE,
    "churned": [1 - label if index in (3, 5) else label for index, label in enumerate(PEOPLE["churned"])],
}
ANIMALS, HOUSES = animals(), houses()
YES_NO = {**PEOPLE, "churned": ["yes" if label else "no" for label in PEOPLE["churned"]]}

# By name: what the table is about, and what it is in the base and in the change.
TABLES: dict[str, tuple[str, Table, Table]] = {
    "all": (ABOUT, PEOPLE, wobbling(PEOPLE, 0.03)),
    "free": (ABOUT, PEOPLE, missing(PEOPLE, 2, "plan", "free")),
    "clusters": (f"{ABOUT}, cluster: customer", PEOPLE, wobbling(PEOPLE, 0.03)),
    "labels": (f"{ABOUT}, labels: head", PEOPLE, {**RELABELLED, "p": wobbling(PEOPLE, 0.01)["p"]}),
    "yes": (f"{ABOUT}, positive: yes", YES_NO, missing(PEOPLE, 5) | {"churned": YES_NO["churned"]}),
    "typo": (f"{ABOUT}, positive: Yes", YES_NO, missing(PEOPLE, 5) | {"churned": YES_NO["churned"]}),
    "slow": (ABOUT, PEOPLE, {**PEOPLE, "seconds": [value * 1.3 for value in PEOPLE["seconds"]]}),
    "called": (
        "task: multiclass, id: picture, label: animal, prediction: said", ANIMALS, blind(ANIMALS, "fish/bird", 4),
    ),
    "scored": ("task: multiclass, id: picture, label: animal, score: p_*", ANIMALS, blind(ANIMALS, "cat", 4)),
    "houses": ("task: regression, id: house, label: price, prediction: said", HOUSES, noisier(HOUSES, 8)),
}  # fmt: skip

GATES = """
  - {metric: all.accuracy, margin: 0.02, floor: 0.7}
  - {metric: all.roc_auc, margin: 1%, ceiling: 0.99}
  - {metric: all.recall, margin: 0.05, floor: 0.99}
  - {metric: all.precision, margin: 0.05, floor: 0.8}
  - {metric: all.log_loss, margin: 5%, slices: {by: shop, margin: 20%}}
  - {metric: free.recall, margin: 0.5, slices: {by: [plan, country, shop], margin: 0.02, min_n: 80}}
  - {metric: free.accuracy, margin: 0.5, slices: {by: [[plan, shop]], margin: 0.02}}
  - {metric: free.equal_opportunity, gap: {by: plan, min_n: 200}, margin: 0.02}
  - {metric: free.demographic_parity, gap: {by: plan, min_n: 200}, ceiling: 0.01}
  - {metric: free.equalized_odds, gap: {by: country, min_n: 100}, margin: 0.3}
  - {metric: free.recall, gap: {by: plan, measure: ratio, min_n: 200}, floor: 0.9}
  - {metric: free.roc_auc, gap: {by: row}}
  - {metric: clusters.accuracy, margin: 0.02}
  - {metric: clusters.roc_auc, margin: 0.02}
  - {metric: labels.accuracy, margin: 0.02}
  - {metric: yes.recall, margin: 0.02}
  - {metric: typo.accuracy, margin: 0.02}
  - {metric: slow.mean(seconds), direction: lower, margin: 10%}
  - {metric: slow.custom(late), direction: lower, margin: 0.02}
  - {metric: "called.recall[fish/bird]", margin: 0.05}
  - {metric: "called.recall[cat]", margin: 0.05}
  - {metric: "called.recall[horse]", margin: 0.05}
  - {metric: "called.recall[fish bird]", margin: 0.05}
  - {metric: "called.recall[horse]", gap: {by: light}}
  - {metric: called.f1_macro, margin: 0.01}
  - {metric: called.accuracy, margin: 0.2, slices: {by: light}}
  - {metric: "scored.roc_auc[cat]", margin: 0.02}
  - {metric: "scored.roc_auc[dog]", margin: 0.05}
  - {metric: scored.log_loss, margin: 2%}
  - {metric: scored.accuracy, margin: 0.5}
  - {metric: houses.mae, margin: 5%}
  - {metric: houses.rmse, margin: 50%}
  - {metric: houses.r2, margin: 0.2}
  - {metric: houses.median_ae, margin: 50%, slices: {by: town}}
  - {metric: houses.pinball(0.9), margin: 5%}
  - {metric: houses.mae, gap: {by: town}, margin: 5}
  - {metric: seeds.accuracy, margin: 0.02}
  - {metric: alike.accuracy, margin: 0.05, slices: {by: country}}
  - {metric: alone.accuracy, margin: 0.02}
  - {metric: "runs/seed-*.json:acc", direction: higher, margin: 0.01, repeats: true}
"""
SEEDS = 3  # trainings on a side


def config() -> str:
    tables = [f"  {name}: {{path: {name}.csv, {about}}}" for name, (about, *_) in TABLES.items()]
    tables += [f"  {name}: {{repeats: '{name}/*/p.csv', {ABOUT}}}" for name in ("seeds", "alike", "alone")]
    return "\n".join(["version: 1", "predictions:", *tables, f"gates:{GATES}"])


def trainings(project: Project, head: bool) -> None:
    """Tables and numbers of several seeds: worse ones, ones that are as good, and one alone."""
    for seed in range(SEEDS):
        model = wobbling(PEOPLE, 0.1, seed + 10 * head)
        write(project, f"seeds/{seed}/p.csv", missing(model, 5) if head else model)
        write(project, f"alike/{seed}/p.csv", model)
        project.write(f"runs/seed-{seed}.json", {"acc": 0.9 - 0.05 * head + seed / 1000})
    write(project, "alone/0/p.csv", wobbling(PEOPLE, 0.1, 10 * head))


METRICS = '''
def late(table):
    """The share of predictions that took longer than two seconds."""
    return (table.seconds.cast("float64") > 2).cast("int64")

number = 7
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An installed package with metrics of a team's own: the environment that finds it."""
    folder = tmp_path_factory.mktemp("site-packages")
    (folder / "our_metrics.py").write_text(METRICS)
    info = folder / "our_metrics-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-metrics\nVersion: 1.0\n")
    points = ["late = our_metrics:late", "gone = our_metrics:gone", "seven = our_metrics:number"]
    (info / "entry_points.txt").write_text("\n".join(["[ci_ml.metrics]", *points, ""]))
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Project:
    """A repository with every table and gate on main, and a change on a branch."""
    made = Project(root=tmp_path_factory.mktemp("gates"), env=environment)
    made.git("init", "--quiet", "--initial-branch=main")
    made.write("ci-ml.yaml", config())
    made.write(".gitignore", ".ci-ml\n")
    for side in (0, 1):
        for name, (_, *tables) in TABLES.items():
            write(made, f"{name}.csv", tables[side])
        trainings(made, bool(side))
        made.commit()
        made.branch(("change", "more")[side])
    return made


@pytest.fixture(scope="module")
def report(project: Project, package: dict[str, str]) -> Any:
    return project.ci_ml("check", "--base", "main", "--format", "json", env=package).expect(10).json()


def status(report: Any) -> dict[str, str]:
    """The status of every comparison by its name."""
    slices = (item["slice"] or {} for item in report["comparisons"])
    names = (", ".join(f"{column}={value}" for column, value in one.items()) for one in slices)
    return {
        f"{item['metric']} {name}".strip(): item["status"]
        for item, name in zip(report["comparisons"], names, strict=True)
    }


def of(report: Any, metric: str, **where: str | None) -> Any:
    (found,) = (item for item in report["comparisons"] if (item["metric"], item["slice"] or {}) == (metric, where))
    return found


def share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


# --- One gate after the other ------------------------------------------------------------------------------------------


def test_every_gate_has_its_comparisons_and_no_other(report: Any) -> None:
    found = status(report)
    assert len(found) == len(report["comparisons"]) == 67
    assert {item["confidence"] for item in report["comparisons"] if item["head"] is not None} == {0.95}
    assert all(item["base"] is None or item["interval"] for item in report["comparisons"])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("all.accuracy", "held"),  # its floor is cleared
        ("all.roc_auc", "held"),  # so is its ceiling
        ("all.recall", "regressed"),  # wholly below its floor
        ("all.precision", "regressed"),
        ("clusters.accuracy", "held"),
        ("labels.accuracy", "held"),
        ("yes.recall", "regressed"),
        ("slow.mean(seconds)", "regressed"),
        ("slow.custom(late)", "regressed"),
        ("called.recall[fish/bird]", "regressed"),
        ("called.recall[cat]", "held"),
        ("called.f1_macro", "regressed"),
        ("scored.roc_auc[cat]", "regressed"),
        ("scored.log_loss", "regressed"),
        ("scored.accuracy", "held"),
        ("houses.mae", "regressed"),
        ("houses.pinball(0.9)", "regressed"),
        ("houses.rmse", "held"),
        ("houses.r2", "held"),
        ("houses.median_ae", "held"),
    ],
)
def test_the_status_of_a_gate(report: Any, metric: str, expected: str) -> None:
    assert of(report, metric)["status"] == expected


def test_the_numbers_are_those_of_the_tables(report: Any) -> None:
    churned = [index for index, label in enumerate(PEOPLE["churned"]) if label]
    for name, metric in (("free", "recall"), ("all", "recall")):
        for side, table in zip(("base", "head"), TABLES[name][1:], strict=True):
            expected = share([table["p"][index] >= 0.5 for index in churned])
            assert of(report, f"{name}.{metric}")[side] == pytest.approx(expected)
    for side, table in zip(("base", "head"), TABLES["called"][1:], strict=True):
        birds = [
            said == "fish/bird"
            for said, kind in zip(table["said"], table["animal"], strict=True)
            if kind == "fish/bird"
        ]
        assert of(report, "called.recall[fish/bird]")[side] == pytest.approx(share(birds))
    for side, table in zip(("base", "head"), TABLES["houses"][1:], strict=True):
        errors = [abs(said - price) for said, price in zip(table["said"], table["price"], strict=True)]
        assert of(report, "houses.mae")[side] == pytest.approx(sum(errors) / len(errors))
    late = [share([value > 2 for value in table["seconds"]]) for table in TABLES["slow"][1:]]
    item = of(report, "slow.custom(late)")
    assert (item["base"], item["head"]) == (pytest.approx(late[0]), pytest.approx(late[1]))


def test_bounds_are_on_the_interval_of_the_head(report: Any) -> None:
    item = of(report, "all.recall")
    low, high = item["head_interval"]
    assert low < item["head"] < high < item["floor"]
    assert "wholly below its floor of 0.99" in item["reason"]
    low, high = of(report, "all.accuracy")["head_interval"]
    assert 0.7 < low < high


def test_a_relative_margin_is_a_share_of_the_base(report: Any) -> None:
    item = of(report, "all.roc_auc")
    assert (item["margin"], item["margin_absolute"]) == ("1%", pytest.approx(item["base"] * 0.01))
    assert item["allows"].startswith("a loss of 1% (0.009")


def test_clusters_are_the_unit(report: Any) -> None:
    alone, together = of(report, "all.accuracy"), of(report, "clusters.accuracy")
    assert (alone["base"], alone["head"], alone["n_clusters"]) == (together["base"], together["head"], None)
    assert (together["n"], together["n_clusters"]) == (2400, 800)
    assert together["method"] != alone["method"]
    assert "2,400 examples in 800 clusters" in together["reason"]


def test_corrected_labels_judge_both_sides_and_are_counted(report: Any) -> None:
    item = of(report, "labels.accuracy")
    right = [(p >= 0.5) == bool(label) for p, label in zip(PEOPLE["p"], RELABELLED["churned"], strict=True)]
    assert item["base"] == pytest.approx(share(right))
    assert any(notice.startswith("2 labels of labels.csv of the work tree changed") for notice in report["notices"])


def test_a_class_that_nobody_knows_is_missing(report: Any) -> None:
    for name in ("called.recall[horse]", "called.recall[horse] gap by light"):
        item = of(report, name)
        assert (item["status"], item["impact"]) == ("missing", "undecided")
        assert item["reason"].endswith("there is no class horse; there are: cat; dog; fish/bird.")
    assert of(report, "called.recall[fish bird]")["reason"].endswith(
        "there is no class fish bird; perhaps fish/bird is meant."
    )


def test_a_class_that_no_label_has_does_not_make_a_worse_model_pass(report: Any) -> None:
    """Else every label would be the other class, and who finds nothing would be right."""
    item = of(report, "typo.accuracy")
    assert (item["status"], item["impact"]) == ("missing", "undecided")
    assert "typo.csv" in item["reason"]
    assert "Yes" in item["reason"]


# --- Slices ------------------------------------------------------------------------------------------------------------


def test_a_loss_on_one_slice_is_found_where_the_whole_holds(report: Any) -> None:
    assert of(report, "free.recall")["status"] == "held"
    item = of(report, "free.recall", plan="free")
    assert (item["status"], item["impact"], item["margin"], item["min_n"]) == ("regressed", "fail", 0.02, 80)
    assert of(report, "free.recall", plan="pro")["status"] == "unchanged"


def test_all_slices_of_a_gate_are_one_family(report: Any) -> None:
    slices = [item for item in report["comparisons"] if item["metric"] == "free.recall" and item["slice"]]
    judged = sorted((item for item in slices if item["n"] >= 80), key=lambda item: item["p_value"])
    assert {item["family"] for item in slices} == {len(judged)} == {6}
    for rank, item in enumerate(judged):
        assert item["corrected"] == pytest.approx(
            max(min(1, (len(judged) - k) * judged[k]["p_value"]) for k in range(rank + 1))
        )


@pytest.mark.parametrize(("where", "n"), [({"country": "MT"}, 12), ({"country": "XX"}, 1), ({"shop": "quiet"}, 0)])
def test_a_slice_that_is_too_small_is_shown_and_blocks_nothing(report: Any, where: dict[str, str], n: int) -> None:
    """What counts are the examples that recall is about: in the quiet shop are 347, none of whom churned."""
    item = of(report, "free.recall", **where)
    assert (item["n"], item["status"], item["impact"], item["corrected"]) == (n, "inconclusive", "pass", None)
    assert "fewer than the 80 that its gate asks for: shown, not judged." in item["reason"]


def test_a_missing_value_is_a_slice_of_its_own(report: Any) -> None:
    item = of(report, "free.recall", plan=None)
    assert item["n"] == sum(
        plan is None and label == 1 for plan, label in zip(PEOPLE["plan"], PEOPLE["churned"], strict=True)
    )
    assert item["reason"].startswith("free.recall on plan is missing has ")


def test_crossed_columns_make_a_slice_of_every_pair(report: Any) -> None:
    crossed = [item for item in report["comparisons"] if item["metric"] == "free.accuracy" and item["slice"]]
    assert [list(item["slice"]) for item in crossed] == [["plan", "shop"]] * 6
    assert sum(item["n"] for item in crossed) == 2400
    assert of(report, "free.accuracy", plan="free", shop="busy")["status"] == "regressed"


# --- Fairness ----------------------------------------------------------------------------------------------------------


def test_a_gap_that_widened_is_told_with_its_groups(report: Any) -> None:
    item = of(report, "free.equal_opportunity gap by plan")
    assert (item["status"], item["direction"], item["rate"]) == ("regressed", "lower", True)
    assert item["between"] == ["plan = pro", "plan = free"]
    recall = {plan: of(report, "free.recall", plan=plan)["head"] for plan in ("free", "pro")}
    assert item["head"] == pytest.approx(recall["pro"] - recall["free"])
    ratio = of(report, "free.recall gap by plan")
    assert (ratio["status"], ratio["direction"]) == ("regressed", "higher")
    assert ratio["head"] == pytest.approx(recall["free"] / recall["pro"])
    assert "wholly below its floor of 0.9" in ratio["reason"]


def test_a_gap_has_a_ceiling(report: Any) -> None:
    item = of(report, "free.demographic_parity gap by plan")
    assert item["status"] == "regressed"
    assert item["head_interval"][0] > item["ceiling"] == 0.01


def test_gaps_that_hold(report: Any) -> None:
    for name in ("free.equalized_odds gap by country", "houses.mae gap by town"):
        assert of(report, name)["status"] == "held"


def test_groups_that_are_too_small_are_left_out_and_named(report: Any) -> None:
    notices = [notice for notice in report["notices"] if "leaves out groups" in notice]
    assert (
        "free.equal_opportunity gap by plan leaves out groups of fewer than 200 examples: plan is missing (41)"
        in notices
    )
    assert (
        "free.equalized_odds gap by country leaves out groups of fewer than 100 examples: country = MT (12); country = XX (0)"
        in notices
    )
    item = of(report, "free.roc_auc gap by row")
    assert (item["status"], item["impact"]) == ("missing", "undecided")
    assert item["reason"].endswith("0 groups of 100 examples or more: a gap needs 2.")
    assert any(notice.endswith("; and 2,395 more") for notice in notices)


# --- Repeats -----------------------------------------------------------------------------------------------------------


def test_repeats_cover_seeds_and_examples(report: Any) -> None:
    item = of(report, "seeds.accuracy")
    assert (item["status"], item["method"], item["n"]) == ("regressed", "repeats (seeds and examples)", 2400)
    assert of(report, "alike.accuracy")["status"] == "held"
    assert of(report, "alike.accuracy", country="DE")["status"] == "held"


def test_repeats_of_numbers_cover_seeds(report: Any) -> None:
    item = of(report, "runs/seed-*.json:acc")
    assert (item["status"], item["method"], item["n"]) == ("regressed", "repeats (seeds)", 6)
    assert (item["base"], item["head"]) == (pytest.approx(0.901), pytest.approx(0.851))
    assert "6 trainings" in item["reason"]


def test_one_training_is_no_repeat(report: Any) -> None:
    item = of(report, "alone.accuracy")
    assert item["status"] == "missing"
    assert "alone/*/p.csv is one table on a side" in item["reason"]


# --- A metric of the team's own ----------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "unheard",
            ["there is no metric custom(unheard): no installed package has the entry point", "gone, late, seven"],
        ),
        ("gone", ["custom(gone) cannot be loaded from our_metrics:gone: AttributeError: ", "mend its package"]),
        ("seven", ["custom(seven) is our_metrics:number, which is no function"]),
    ],
)
def test_a_metric_that_cannot_be_had_is_an_error(
    project: Project, package: dict[str, str], tmp_path: Path, name: str, words: list[str]
) -> None:
    project.write(
        f"{name}.yaml",
        f"version: 1\npredictions:\n  slow: {{path: slow.csv, {ABOUT}}}\n"
        f"gates:\n  - {{metric: slow.custom({name}), direction: lower}}\n",
    )
    arguments = ("check", "--base", "main", "--config", f"{name}.yaml", "--output", str(tmp_path))
    result = project.ci_ml(*arguments, env=package).expect(2)
    assert result.out == ""
    assert all(word in result.err for word in words), result.text


# --- More than a report can hold ---------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_million_slices_are_refused_in_seconds(environment: dict[str, str], tmp_path: Path) -> None:
    project = Project(root=tmp_path, env=environment)
    project.git("init", "--quiet", "--initial-branch=main")
    select = "SELECT i AS row, i % 2 AS churned, 0.25 + 0.5 * (i % 2) AS p FROM range(1000000) t(i)"
    duckdb.sql(f"COPY ({select}) TO '{tmp_path / 'p.parquet'}' (FORMAT parquet)")
    gate = "{metric: test.accuracy, margin: 0.01, slices: {by: row}}"
    project.write("ci-ml.yaml", f"version: 1\npredictions:\n  test: {{path: p.parquet, {ABOUT}}}\ngates:\n  - {gate}\n")
    project.commit()
    project.branch()
    project.commit()
    started = time.monotonic()
    found = project.ci_ml("check", "--format", "json").expect(11).json()
    assert time.monotonic() - started < 60
    assert [item["status"] for item in found["comparisons"]] == ["missing", "unchanged"]
    assert found["verdict"]["sentence"].endswith(
        "(1,000,000 values) cannot be judged: at most 10,000 slices are judged, so name a coarser column."
    )


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        ("all", {"roc", "precision_recall", "calibration", "scores"}),
        ("clusters", {"roc", "precision_recall", "calibration", "scores"}),
        ("called", set()),
        ("scored", {"roc", "precision_recall", "calibration", "scores"}),
        ("houses", {"residuals"}),
        ("seeds", {"roc", "precision_recall", "calibration", "scores"}),
        ("alone", set()),  # was not judged
    ],
)
def test_what_was_judged_is_drawn(report: Any, table: str, kinds: set[str]) -> None:
    mine = [curve for curve in report["curves"] if curve["table"] == table]
    assert {curve["kind"] for curve in mine} == kinds
    assert all(curve["base"] and curve["head"] for curve in mine)
    matrices = [matrix for matrix in report["confusions"] if matrix["table"] == table]
    assert len(matrices) == (table not in ("houses", "alone"))
    examples = len(next(iter(TABLES.get(table, TABLES["all"])[1].values())))
    assert all(sum(map(sum, matrix[side])) == examples for matrix in matrices for side in ("base", "head"))


def test_the_area_is_what_the_gate_says(report: Any) -> None:
    (gate,) = (item for item in report["comparisons"] if item["metric"] == "all.roc_auc")
    (curve,) = (item for item in report["curves"] if (item["table"], item["kind"]) == ("all", "roc"))
    assert (curve["base"]["area"], curve["head"]["area"]) == (gate["base"], gate["head"])


def test_of_several_seeds_the_first_is_drawn(report: Any) -> None:
    assert f"seeds: curves are of the first of {SEEDS} pairs of tables" in report["notices"]
