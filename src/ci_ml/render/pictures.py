"""Charts as static pictures, for places that take images and no scripts. Layer: render."""

import json
from typing import Any, Literal

from ci_ml.errors import UsageError
from ci_ml.render import vega

Kind = Literal["svg", "png"]
WIDTH = 360


def picture(spec: dict[str, Any], kind: Kind, *, width: int = WIDTH) -> bytes:
    """A Vega-Lite specification as SVG or PNG (twice as many pixels as `width`), on white; nothing is fetched.

    Raises UsageError where vl-convert is not installed, or when it cannot draw this.
    """
    try:
        import vl_convert
    except ImportError:
        raise UsageError("pictures need vl-convert", "pip install 'ci-ml[images]'") from None
    sized = {**spec, "width": width} if spec.get("width") == "container" else spec
    config = {**vega.config(vega.PAPER), "background": "white"}
    try:
        if kind == "svg":
            return str(vl_convert.vegalite_to_svg(json.dumps(sized), config=config, allowed_base_urls=[])).encode()
        return bytes(vl_convert.vegalite_to_png(json.dumps(sized), scale=2, config=config, allowed_base_urls=[]))
    except ValueError as error:
        raise UsageError(f"the chart cannot be drawn: {str(error).splitlines()[0][:200]}") from None
