"""Both sides of a histogram in characters, for comments. Layer: render."""

from collections.abc import Sequence

from ci_ml.core.distributions import BarsPart

_BLOCKS = "▁▂▃▄▅▆▇█"
_EMPTY = "\N{FIGURE SPACE}"
_MOST = 15  # characters: two of them fit beside each other


def numbers(bars: BarsPart) -> tuple[str, str]:
    """Both sides of a column of numbers in one scale; nothing for categories, and for more bars than anybody sees."""
    if bars.edges is None or len(bars.reference) > 4 * _MOST:
        return "", ""
    sides = [_merged(counts) for counts in (bars.reference, bars.current)]
    shares = [[count / max(sum(side), 1) for count in side] for side in sides]
    highest = max((max(side, default=0.0) for side in shares), default=0.0)
    before, now = ("".join(_block(share, highest) for share in side) for side in shares)
    return before, now


def _merged(counts: Sequence[int]) -> list[int]:
    """As many bars as there are characters."""
    step = -(-len(counts) // _MOST) or 1
    return [sum(counts[at : at + step]) for at in range(0, len(counts), step)]


def _block(share: float, highest: float) -> str:
    if not share:
        return _EMPTY
    return _BLOCKS[min(int(share / highest * len(_BLOCKS)), len(_BLOCKS) - 1)]
