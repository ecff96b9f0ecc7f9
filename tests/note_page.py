"""A comment as a page of GitLab: its parser with its options, what its sanitizer leaves, its fonts, Mermaid in a sandbox.

What GitLab does is read off its source: lib/banzai/filter/markdown_engines/glfm_markdown.rb and
base_sanitization_filter.rb, app/assets/javascripts/behaviors/markdown/render_sandboxed_mermaid.js.
"""

import base64
import json

import comrak
import nh3

from tests.comment_page import MODULES

MOST_OF_A_CHART = 2000  # characters; GitLab asks before it draws more
_MERMAID = "mermaid/dist/mermaid.min.js"
_FONTS = {
    "GitLab Sans": "@gitlab/fonts/gitlab-sans/GitLabSans.woff2",
    "GitLab Mono": "@gitlab/fonts/gitlab-mono/GitLabMono.woff2",
}
_EXTENSIONS = comrak.ExtensionOptions(
    alerts=True,
    autolink=True,
    cjk_friendly_emphasis=True,
    description_lists=True,
    footnotes=True,
    header_id_prefix="user-content-",
    math_code=True,
    math_dollars=True,
    multiline_block_quotes=True,
    strikethrough=True,
    table=True,
    tasklist=True,
    wikilinks_title_before_pipe=True,
)
_PARSING = comrak.ParseOptions(relaxed_autolinks=True, relaxed_tasklist_matching=True, tasklist_in_table=True)
_RENDERING = comrak.RenderOptions(full_info_string=True, github_pre_lang=True, tasklist_classes=True, unsafe_=True)
# https://github.com/gjtorikian/html-pipeline/blob/v2.14.3/lib/html/pipeline/sanitization_filter.rb, and what GitLab adds.
_TAGS = set(
    "h1 h2 h3 h4 h5 h6 h7 h8 br b i strong em a pre code img tt div ins del sup sub p ol ul table thead tbody tfoot blockquote "
    "dl dt dd kbd q samp var hr ruby rt rp li tr td th s strike summary details caption figure figcaption abbr bdo cite dfn "
    "mark small span time wbr".split()
)
_ATTRIBUTES = {
    "*": {"align", "alt", "colspan", "dir", "height", "id", "lang", "open", "rowspan", "start", "title", "width"},
    "a": {"href", "name"},
    "img": {"src"},
    "span": {"data-math-style"},
    "code": {"data-math-style"},
    "pre": {"data-math-style"},
}
# The narrowest that a note gets: a phone, and a desk of 1,200 pixels with both sidebars open. Sizes and colours are those
# of https://design.gitlab.com for compact Markdown and tables.
_STYLE = """
:root { --text: #3a383f; --ground: #fff; --line: #dcdcde; --code: #ececef; }
@media (prefers-color-scheme: dark) { :root { --text: #ececef; --ground: #18171d; --line: #4c4b51; --code: #3a383f; } }
html { background: var(--ground); }
body { box-sizing: border-box; max-width: 614px; margin: 0; padding: 16px; color: var(--text);
  font: 14px/1.5 "GitLab Sans", sans-serif; }
.md { border: 1px solid var(--line); border-radius: 4px; padding: 16px; overflow-wrap: break-word; }
.md > :first-child { margin-top: 0; }
.md p, .md ul { margin: 0 0 16px; }
.md ul { padding: 0; }
.md li { margin-left: 28px; }
.md h3 { font-size: 16px; font-weight: 600; margin: 24px 0 16px; }
.md code { font: 12.25px "GitLab Mono", monospace; background: var(--code); border-radius: 4px; padding: 2px 4px;
  white-space: pre-wrap; word-break: keep-all; }
.md table { display: block; width: auto; overflow-x: auto; border-collapse: collapse; margin: 16px 0; }
.md th, .md td { border: 1px solid var(--line); padding: 12px; vertical-align: top; text-align: left; }
.md blockquote { margin: 8px 0; padding: 8px 24px; border-left: 4px solid var(--line); }
.md details, .md summary { margin-bottom: 16px; }
.md pre { overflow-x: auto; }
.md iframe { border: 0; width: 100%; }
"""
# Charts are drawn when they can be seen, each in a frame without an origin, which says how high it is.
_DRAW = """
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const waiting = new Set();
const done = () => { document.body.dataset.drawn = waiting.size ? "" : "yes"; };
function draw(code) {
  const text = code.textContent;
  if (text.length > MOST) { document.body.dataset.refused = "a chart is too long"; return; }
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts allow-popups";
  frame.srcdoc = INNER.replace("DARK", dark);
  waiting.add(frame);
  done();
  addEventListener("message", ({source, data}) => {
    if (source !== frame.contentWindow) return;
    frame.height = data.height + 10;
    document.body.dataset.refused = data.refused ?? document.body.dataset.refused ?? "";
    waiting.delete(frame);
    done();
  });
  frame.addEventListener("load", () => frame.contentWindow.postMessage(text, "*"));
  code.parentElement.replaceWith(frame);
}
for (const code of document.querySelectorAll('pre[lang="mermaid"] > code')) {
  const details = code.closest("details");
  if (!details || details.open) draw(code);
  else details.addEventListener("toggle", () => { if (details.open && code.isConnected) draw(code); });
}
for (const details of document.querySelectorAll("details")) {
  details.addEventListener("toggle", () => { document.body.dataset.toggled = document.querySelectorAll("details[open]").length; });
}
done();
"""
_INNER = """<!doctype html><meta charset="utf-8"><body style="margin:0"><script>%s</script><script>
mermaid.initialize({startOnLoad: false, securityLevel: "strict", theme: DARK ? "dark" : "neutral"});
addEventListener("message", async ({data, source}) => {
  let refused;
  try { document.body.innerHTML = (await mermaid.render("chart", data)).svg; } catch (error) { refused = String(error); }
  source.postMessage({height: document.body.scrollHeight, refused}, "*");
});
</script>"""


def missing() -> list[str]:
    """What is not installed."""
    return [part for part in (_MERMAID, *_FONTS.values()) if not (MODULES / part).is_file()]


def body(comment: str) -> str:
    """The HTML that GitLab makes of Markdown, before it looks for references."""
    parsed = comrak.markdown_to_html(comment, _EXTENSIONS, _PARSING, _RENDERING)
    return nh3.clean(parsed, tags=_TAGS, attributes=_ATTRIBUTES, link_rel=None)


def page(comment: str) -> str:
    """The page."""
    inner = json.dumps(_INNER % (MODULES / _MERMAID).read_text(encoding="utf-8")).replace("</", "<\\/")
    script = f"const MOST = {MOST_OF_A_CHART}; const INNER = {inner}; {_DRAW}"
    fonts = "".join(map(_font, _FONTS))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>A note</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<style>{fonts}{_STYLE}</style><body><div class="md">{body(comment)}</div><script>{script}</script></body></html>'
    )


def _font(name: str) -> str:
    data = base64.b64encode((MODULES / _FONTS[name]).read_bytes()).decode()
    return f'@font-face {{ font-family: "{name}"; font-weight: 100 900; src: url(data:font/woff2;base64,{data}); }}'
