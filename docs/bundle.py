"""Writes src/ci_ml/render/assets/vega.js, what draws charts in the HTML report: `python docs/bundle.py`.

`--check` says whether it is what the installed vl-convert-python gives. Others wrote it: vega.LICENSE.txt.
"""

import sys
from pathlib import Path

import vl_convert

PLACE = Path(__file__).parent.parent / "src/ci_ml/render/assets/vega.js"
_HEADER = """\
/* Vega {vega}, Vega-Lite {lite} and Vega-Embed {embed} (https://github.com/vega, BSD-3-Clause) with what they need,
 * as vl-convert-python {version} bundles them: not a part of ci-ml's own code.
 * Licences: vega.LICENSE.txt beside this file. Made by `make vega`. */
"""


def bundle() -> str:
    """The file: one script that leaves `vegaEmbed` on the window."""
    header = _HEADER.format(
        vega=vl_convert.get_vega_version(),
        lite=vl_convert.get_vegalite_versions()[-1],
        embed=vl_convert.get_vega_embed_version(),
        version=vl_convert.__version__,
    )
    script = vl_convert.javascript_bundle()
    for ending in ("</script", "<!--", "\r"):  # what would end the element that it stands in, or change on its way
        assert ending not in script.lower(), f"the bundle holds {ending!r}"
    return f"{header}(() => {{\n{script}\n}})();\n"


def main() -> int:
    """Write the bundle, or check it; 1 when it is out of date."""
    text = bundle()
    if "--check" in sys.argv:
        if PLACE.is_file() and PLACE.read_text(encoding="utf-8") == text:
            return 0
        sys.stdout.write(f"{PLACE.name} is not what vl-convert gives: run `make vega`\n")
        return 1
    PLACE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {PLACE.name}, {len(text.encode()) / 1000:,.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
