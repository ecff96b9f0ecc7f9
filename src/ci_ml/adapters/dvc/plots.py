"""The plots that dvc.yaml defines, of a commit against the work tree, as DVC draws them. Layer: adapters."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci_ml.adapters.dvc import commands
from ci_ml.core import vega
from ci_ml.core.exhibits import PlotPart
from ci_ml.core.listing import some
from ci_ml.errors import CiMlError

# What one plot, and all of them, may be in bytes of JSON: a report is read by people, and by forges with limits.
MOST_TOGETHER = 5_000_000
_PATIENCE = 300.0
_LONGEST = 200
_WORK_TREE = "workspace"  # DVC's name


@dataclass(frozen=True, kw_only=True)
class Plots:
    """What can be shown, and what could not be."""

    plots: tuple[PlotPart, ...] = ()
    notices: tuple[str, ...] = ()


def diff(sha: str, *, cwd: Path, env: Mapping[str, str]) -> Plots:
    """Every plot of the work tree and of a commit. Never raises: what cannot be had is a notice."""
    try:
        with tempfile.TemporaryDirectory(prefix="ci-ml-plots-") as folder:  # where DVC writes images
            command = ["plots", "diff", sha, "--json", "--out", folder]
            data = commands.output(command, cwd=cwd, env=env, timeout=_PATIENCE)
        answer = json.loads(data)
        return read(answer, {sha: "base", _WORK_TREE: "head"})
    except CiMlError as error:
        return Plots(notices=(f"There are no plots of DVC: {error}",))
    except (OSError, ValueError, RecursionError):
        return Plots(notices=("There are no plots of DVC: what it says of them is not JSON",))


def read(answer: Any, names: Mapping[str, str]) -> Plots:
    """What `dvc plots diff --json` wrote. `names` are those of the two sides."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        return Plots()
    plots: list[PlotPart] = []
    left_out: dict[str, list[str]] = {}
    room = MOST_TOGETHER
    for name, drawn in data.items():
        if name.startswith("../"):  # of another project in the same repository
            continue
        try:
            for spec in _specs(drawn):
                plot = PlotPart(name=name[:_LONGEST], spec=vega.named(vega.clean(spec), names))
                room -= _size(plot, room)
                plots.append(plot)
        except vega.Unfit as error:
            left_out.setdefault(str(error), []).append(name[:_LONGEST])
    notices = [f"Of DVC's plots {some(names)} {_is(names)} left out: {why}" for why, names in left_out.items()]
    if halves := _without_data(answer.get("errors"), [plot.name for plot in plots]):
        notices.append(f"Of DVC's plots {some(halves)} {_is(halves)} of one side: the other's data is nowhere")
    return Plots(plots=tuple(plots), notices=tuple(notices))


def _without_data(errors: Any, drawn: list[str]) -> list[str]:
    """Plots of one side whose other side is there, but for its data: what is new has no other side."""
    found = [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
    lost = {str(item.get("name")) for item in found if "No storage files available" in str(item.get("msg"))}
    return [name for name in drawn if name in lost]


def _specs(drawn: Any) -> Iterator[Any]:
    """The specifications of one plot. Raises Unfit where there is none."""
    if not isinstance(drawn, list) or not drawn:
        raise vega.Unfit("DVC has no data to draw")
    for item in drawn:
        if not isinstance(item, dict) or item.get("type") != "vega":
            raise vega.Unfit("a report has no images of DVC")
        yield item.get("content")


def _size(plot: PlotPart, room: int) -> int:
    """How large a plot is. Raises Unfit where it is too large."""
    size = vega.size(plot.spec)
    if size > room:
        raise vega.Unfit(f"together they are larger than {MOST_TOGETHER / 1e6:g} MB")
    return size


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
