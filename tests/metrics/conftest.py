"""What tests of metrics get: a database of their own."""

from collections.abc import Iterator

import pytest

from ci_ml.adapters.tables import duckdb


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDB]:
    with duckdb.engine([]) as found:
        yield found
