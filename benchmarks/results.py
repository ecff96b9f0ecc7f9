"""What a benchmark found, beside what it promises."""

from dataclasses import dataclass

from benchmarks import timing


@dataclass(frozen=True, kw_only=True)
class Result:
    """One promise: what was measured, and the most it may be."""

    what: str
    ours: float
    theirs: float
    measured: float
    limit: float
    unit: str

    @property
    def kept(self) -> bool:
        """Whether the measurement is within the limit."""
        return self.measured <= self.limit

    def __str__(self) -> str:
        mark = "ok  " if self.kept else "SLOW"
        figures = f"{self.ours:6.2f} s against {self.theirs:6.2f} s"
        return f"{mark} {self.what:<58} {figures}   {self.measured:5.2f} {self.unit} (at most {self.limit:g})"


def ratio(what: str, ours: timing.Measured, theirs: timing.Measured, limit: float) -> Result:
    measured = ours.median / theirs.median
    return Result(what=what, ours=ours.median, theirs=theirs.median, measured=measured, limit=limit, unit="x")


def difference(what: str, ours: timing.Measured, theirs: timing.Measured, limit: float) -> Result:
    measured = ours.median - theirs.median
    return Result(what=what, ours=ours.median, theirs=theirs.median, measured=measured, limit=limit, unit="s")
