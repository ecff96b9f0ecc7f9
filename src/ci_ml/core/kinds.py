"""As what a column is compared. Layer: core."""

from enum import StrEnum


class Kind(StrEnum):
    """As what a column is compared."""

    NUMERIC = "numeric"
    TIME = "time"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    OTHER = "other"

    @property
    def counted(self) -> bool:
        """Whether values are numbers on a grid; times are, as seconds since 1970."""
        return self in {Kind.NUMERIC, Kind.TIME}
