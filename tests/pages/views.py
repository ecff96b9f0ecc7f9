"""How a page is looked at: on a desk and on a telephone, by day and by night."""

import pytest

from tests.browser import Theme

_VIEWS: list[tuple[int, Theme]] = [(1200, "light"), (1200, "dark"), (320, "light"), (320, "dark")]
views = pytest.mark.parametrize(("width", "theme"), _VIEWS, ids=lambda value: str(value))
