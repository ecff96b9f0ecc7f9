"""What R and published examples say; truth/README.md names the sources."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ci_ml.stats import mcnemar
from ci_ml.stats.counts import Counts
from ci_ml.stats.delong import auc_difference, auc_value, of_scores
from ci_ml.stats.means import Pairs, paired_t
from ci_ml.stats.tango import PairedTable, tango

TRUTH = Path(__file__).parent / "truth"
NAMES = ["breast_cancer", "breast_cancer_ties"]


def _columns(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = list(csv.DictReader((TRUTH / f"{name}.csv").read_text(encoding="utf-8").splitlines()))
    label, base, head = (np.array([float(row[column]) for row in rows]) for column in ("y", "base", "head"))
    return label, base, head


def _facts(name: str) -> dict[str, float]:
    facts: dict[str, float] = json.loads((TRUTH / f"{name}.json").read_text(encoding="utf-8"))
    return facts


@pytest.mark.parametrize("name", NAMES)
def test_roc_auc_is_what_proc_says(name: str) -> None:
    facts = _facts(name)
    positives, negatives = of_scores(*_columns(name))
    found = auc_difference(positives, negatives, 0.9)
    base = auc_value(positives, negatives, head=False)
    assert found.standard_error
    assert {
        "auc_base": found.base,
        "auc_head": found.head,
        "auc_delta": found.delta,
        "auc_delta_se": found.standard_error,
        "auc_delta_z": found.delta / found.standard_error,
        "auc_delta_p": found.p_value,
        "auc_delta_lo90": found.low,
        "auc_delta_hi90": found.high,
        "auc_base_lo95": base.low,
        "auc_base_hi95": base.high,
    } == pytest.approx({key: fact for key, fact in facts.items() if key.startswith("auc")}, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_brier_is_what_r_says(name: str) -> None:
    label, base, head = _columns(name)
    found = paired_t(Pairs.of((label - base) ** 2, (label - head) ** 2))
    assert found.standard_error
    assert {
        "brier_base": found.base,
        "brier_head": found.head,
        "brier_t": -found.delta / found.standard_error,
        "brier_p": found.p_value,
        "brier_base_minus_head_lo95": -found.high,
        "brier_base_minus_head_hi95": -found.low,
    } == pytest.approx({key: fact for key, fact in _facts(name).items() if key.startswith("brier")}, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_paired_table_is_what_r_says(name: str) -> None:
    label, base, head = _columns(name)
    facts = _facts(name)
    right, also = (base >= 0.5) == label, (head >= 0.5) == label
    assert [facts["both_right"], facts["only_base_right"], facts["only_head_right"], facts["both_wrong"]] == [
        (right & also).sum(),
        (right & ~also).sum(),
        (~right & also).sum(),
        (~right & ~also).sum(),
    ]
    lost, won = int(facts["only_base_right"]), int(facts["only_head_right"])
    assert mcnemar.chi_squared(lost, won)[0] == pytest.approx(facts["mcnemar_chi2"], rel=1e-9)
    assert mcnemar.exact(lost, won) == pytest.approx(facts["mcnemar_exact_p"], rel=1e-9)
    counts = Counts.of_rows(label, base >= 0.5, head >= 0.5, 2)
    assert counts.n == facts["n"]
    assert counts.changed == lost + won


# A published result has as many digits as it has.
PLACES = {
    "tango": 5e-5,
    "mid_p": 5e-5,
    "exact_p": 5e-5,
    "chi2_p": 5e-7,
    "corrected_p": 5e-5,
    "chi2": 5e-4,
    "corrected_chi2": 5e-4,
    "standard_error": 5e-6,
    "delta": 1e-12,
}


@pytest.mark.parametrize("name", json.loads((TRUTH / "paired_tables.json").read_text(encoding="utf-8")))
def test_paired_tables_are_what_was_published(name: str) -> None:
    facts: dict[str, Any] = json.loads((TRUTH / "paired_tables.json").read_text(encoding="utf-8"))[name]
    both_right, won, lost, both_wrong = facts.pop("table")
    # The published differences are of the first row's share and the first column's: head is the row here.
    found = tango(PairedTable(both_right=both_right, only_base=lost, only_head=won, both_wrong=both_wrong))
    chi2, chi2_p = mcnemar.chi_squared(lost, won)
    corrected_chi2, corrected_p = mcnemar.chi_squared(lost, won, corrected=True)
    answers = {
        "tango": [found.low, found.high],
        "mid_p": found.p_value,
        "exact_p": mcnemar.exact(lost, won),
        "chi2": chi2,
        "chi2_p": chi2_p,
        "corrected_chi2": corrected_chi2,
        "corrected_p": corrected_p,
        "delta": found.delta,
        "standard_error": found.standard_error,
    }
    assert facts
    for key, fact in facts.items():
        assert answers[key] == pytest.approx(fact, abs=PLACES[key]), key


def test_the_vectors_with_six_digits() -> None:
    assert mcnemar.mid_p(16, 6) == pytest.approx(0.034690, abs=5e-7)
    assert mcnemar.exact(16, 6) == pytest.approx(0.052479, abs=5e-7)
    assert mcnemar.chi_squared(59, 121, corrected=True)[1] == pytest.approx(5.450e-06, rel=1e-4)
