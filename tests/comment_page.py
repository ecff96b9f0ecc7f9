"""A comment as a page: Markdown by GitHub's own parser, its style sheet, and Mermaid, which both forges draw."""

from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

MODULES = Path(__file__).parent / "pages/node_modules"
_PARTS = ("github-markdown-css/github-markdown.css", "mermaid/dist/mermaid.min.js")
# What a forge does with Mermaid once the page is there; `data-drawn` says that it is, or why it is not.
_DRAW = """
mermaid.initialize({startOnLoad: false, theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "default"});
for (const code of document.querySelectorAll('pre[lang="mermaid"] > code')) {
  const chart = document.createElement("div");
  chart.className = "mermaid";
  chart.textContent = code.textContent;
  code.parentElement.replaceWith(chart);
}
mermaid.run().then(
  () => { document.body.dataset.drawn = "yes"; },
  (error) => { document.body.dataset.drawn = String(error.message ?? error); },
);
"""
# The width of a comment on GitHub, the size of its text (a README's is larger), and what is around it.
_AROUND = """
body.markdown-body { font-size: 14px; }
body { box-sizing: border-box; max-width: 892px; margin: 0; padding: 16px; }
@media (prefers-color-scheme: dark) { html { background: #0d1117; } }
"""


def missing() -> list[str]:
    """What is not installed."""
    return [part for part in _PARTS if not (MODULES / part).is_file()]


def page(comment: str, *, opened: bool = False) -> str:
    """The page; with `opened` every collapsed part is open."""
    body = cmarkgfm.github_flavored_markdown_to_html(comment, Options.CMARK_OPT_UNSAFE)
    if opened:
        body = body.replace("<details>", "<details open>")
    style, mermaid = ((MODULES / part).read_text(encoding="utf-8") for part in _PARTS)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>A comment</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{style}{_AROUND}</style>"
        f'<body class="markdown-body">{body}<script>{mermaid}</script><script>{_DRAW}</script></body></html>'
    )
