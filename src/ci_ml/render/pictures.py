"""Charts as static pictures, for places that take images and no scripts. Layer: render."""

import json
import re
from typing import Any, Literal

from ci_ml.core.report import Report
from ci_ml.errors import UsageError
from ci_ml.render import figures, overview, vega

Kind = Literal["svg", "png"]
WIDTH = 360
_LONGEST = 60


def charts(content: Report, kind: Kind) -> dict[str, bytes]:
    """Every chart of a report as a file by its name, numbered in the order of the page, after one of the gates.

    Raises UsageError like `picture`.
    """
    drawn = {
        f"{number:02}-{_slug(name)}.{kind}": picture(figure.spec, kind)
        for number, (name, figure) in enumerate(figures.every(content), start=1)
    }
    return {f"00-gates.{kind}": _gates(content, kind), **drawn}


def _gates(content: Report, kind: Kind) -> bytes:
    """The picture of the gates, which alone needs nothing but a template as SVG."""
    drawn = overview.gates(content)
    return drawn.encode() if kind == "svg" else bytes(_renderer().svg_to_png(drawn, scale=2))


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:_LONGEST]


def picture(spec: dict[str, Any], kind: Kind, *, width: int = WIDTH) -> bytes:
    """A Vega-Lite specification as SVG or PNG (twice as many pixels as `width`), on white; nothing is fetched.

    Raises UsageError where vl-convert is not installed, or when it cannot draw this.
    """
    vl_convert = _renderer()
    sized = {**spec, "width": width} if spec.get("width") == "container" else spec
    config = {**vega.config(vega.PAPER), "background": "white"}
    try:
        if kind == "svg":
            return str(vl_convert.vegalite_to_svg(json.dumps(sized), config=config, allowed_base_urls=[])).encode()
        return bytes(vl_convert.vegalite_to_png(json.dumps(sized), scale=2, config=config, allowed_base_urls=[]))
    except ValueError as error:
        raise UsageError(f"the chart cannot be drawn: {str(error).splitlines()[0][:200]}") from None


def _renderer() -> Any:
    try:
        import vl_convert
    except ImportError:
        raise UsageError("pictures need vl-convert", "pip install 'ci-ml[images]'") from None
    return vl_convert
