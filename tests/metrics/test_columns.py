"""What becomes of the columns of one table."""

import pytest

from ci_ml.adapters.tables.duckdb import DuckDB
from ci_ml.core.config import PredictionsConfig
from ci_ml.metrics import columns
from ci_ml.metrics.columns import Source, Unusable, Wanted

ABOUT = {"path": "p.parquet", "task": "binary", "id": "row", "label": "label", "score": "score"}


def side(engine: DuckDB, rows: dict[str, list[object]], types: dict[str, str], **about: object) -> list[object]:
    """The class that is read from every row."""
    kinds = {
        name: types.get(name, "float64" if isinstance(values[-1], float) else "int64") for name, values in rows.items()
    }
    source = Source(table=engine.put(rows, kinds), name="p.parquet", typed=True)
    found = columns.side(engine, source, PredictionsConfig.model_validate({**ABOUT, **about}), Wanted())
    return [row["class"] for row in engine.rows(found.table.order_by("id"))]


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
def test_a_score_of_the_threshold_reaches_it_in_any_precision(engine: DuckDB, kind: str, threshold: float) -> None:
    scores = [threshold - 0.01, threshold, threshold + 0.01]
    rows = {"row": [1, 2, 3], "label": [0, 1, 1], "score": scores}
    assert side(engine, rows, {"score": kind}, threshold=threshold) == [0, 1, 1]


@pytest.mark.parametrize(("wrong", "words"), [(1, "1 score in score is"), (2, "2 scores in score are")])
def test_what_is_wrong_is_counted_as_people_count(engine: DuckDB, wrong: int, words: str) -> None:
    rows = {"row": [1, 2, 3], "label": [0, 1, 1], "score": [*[1.5] * wrong, *[0.5] * (3 - wrong)]}
    with pytest.raises(Unusable, match=rf"^p.parquet: {words} outside 0\.\.1 \(row 1: 1\.5"):
        side(engine, rows, {})


def test_a_column_may_have_any_name(engine: DuckDB) -> None:
    rows = {"row": [1, 2], "label": [0, 1], "{p}": [0.5, 7.0]}
    with pytest.raises(Unusable, match=r"1 score in \{p\} is outside"):
        side(engine, rows, {}, score="{p}")


@pytest.mark.parametrize("shares", [False, True])
def test_scores_of_several_classes_add_up_where_they_are_probabilities(engine: DuckDB, shares: bool) -> None:
    rows = {"row": [1, 2], "label": ["a", "b"], "p_a": [0.63, 0.8], "p_b": [0.36, 0.7]}
    kinds = {"row": "int64", "label": "string", "p_a": "float64", "p_b": "float64"}
    source = Source(table=engine.put(rows, kinds), name="p.parquet", typed=True)
    about = PredictionsConfig.model_validate({**ABOUT, "task": "multiclass", "score": "p_*"})
    if not shares:
        assert columns.side(engine, source, about, Wanted()).n == 2
        return
    with pytest.raises(Unusable, match=r"the scores of 1 row do not add up to 1 .* \(row 2: 1\.5"):
        columns.side(engine, source, about, Wanted(shares=True))
