import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.render import safe

# Whatever a stranger may call a metric: any text, and pieces that mean something to Markdown, GitHub or GitLab.
hostile = st.lists(
    st.text(max_size=4)
    | st.sampled_from(
        "@team #123 !7 $5 %3 &9 ~bug GH-12 www.x.org https://x.org <img> </details> <!-- | ` `` ``` ** __ [a](b) "
        "![a](b) \\ \\| \n \r \t - + * > 1. # = --- &amp; &#64; \u202e \x1b[2J {{ {% :: :smile: ~~".split(" ")
    ),
    max_size=8,
).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 日本 😀", "plain é 日本 😀"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\x1b[31m\x07\x00", r"\x1b[31m\x07\x00"),
        ("\u202eabc\u200b", r"\u202eabc\u200b"),
        ("+44\N{NO-BREAK SPACE}%", "+44\N{NO-BREAK SPACE}%"),
        ("−0.5 → ≥", "−0.5 → ≥"),
    ],
)
def test_what_can_be_seen_is_shown_and_the_rest_is_escaped(text: str, expected: str) -> None:
    assert safe.printable(text) == expected


@given(text=hostile)
def test_printable_text_is_one_line_without_anything_hidden(text: str) -> None:
    shown = safe.printable(text)
    assert shown.splitlines() in ([shown], [])
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert safe.printable(shown) == shown


@given(text=hostile)
def test_a_name_is_one_code_span_that_no_table_takes_apart(text: str) -> None:
    shown = safe.code(text)
    fence = re.match("`+", shown)
    assert fence
    assert shown.endswith(fence[0])
    inner = shown[len(fence[0]) : -len(fence[0])]
    assert len(fence[0]) not in {len(run) for run in re.findall("`+", inner)}
    assert not re.search(r"(?<!\\)\|", shown)
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("test.recall", "`test.recall`"),
        ("m.json:a_b_c", "`m.json:a_b_c`"),
        ("eval/metrics.json:train.seconds", "<code>eval/<wbr>metrics.json:<wbr>train.seconds</code>"),
        ("test.recall[two classes]", r"<code>test.<wbr>recall\[two <wbr>classes\]</code>"),
        ("a/__init__/and_more.json", r"<code>a/\_\_init\_\_/<wbr>and\_more.json</code>"),
        ("plan is missing", "`plan_is missing`"),
        ("country = DE, a/b", "`country_=_DE, a/b`"),
        ("www.example.org/metrics", "`www.example.org/metrics`"),
        ("https://example.org/metrics", "`https://example.org/metrics`"),
        ("a/b/c/d/e/f/g/<img src=x>", "`a/b/c/d/e/f/g/<img_src=x>`"),
        ("", "`  `"),
    ],
)
def test_a_name_in_a_table_breaks_between_its_parts_and_where_html_is_safe_after_any_of_them(
    name: str, shown: str
) -> None:
    assert safe.folded(name).replace("\N{NO-BREAK SPACE}", "_") == shown


@given(text=st.text(st.sampled_from("ab_./: -=[]*`<|"), max_size=40))
def test_a_name_that_breaks_is_the_same_name(text: str) -> None:
    shown = re.sub(r"</?code>|<wbr>|\\(?=[\[\]_*|])|`", "", safe.folded(text)).replace("\N{NO-BREAK SPACE}", " ")
    assert shown.strip() == text.replace("`", "").strip()


@given(text=hostile)
def test_prose_has_no_html_no_mention_and_no_reference(text: str) -> None:
    shown = safe.prose(text)
    assert not re.search("[<>]", shown)
    assert not re.search(r"[@#!&%~^](?=\w)", re.sub("&(amp|lt|gt);", " ", shown))
    assert "://" not in shown
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[`*_|\[\]]", shown.replace("\\\\", ""))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/close", r"\/close"),
        ("> quoted", "&gt; quoted"),
        ("1. one", r"1\. one"),
        ("see www.example.org", "see www_.example.org"),
        (":tada: a::b 1:2", ":_tada: a::b 1:2"),
        ("[[a]] [TOC] [issue:1] [1]", r"\[_\[a\]\] \[_TOC\] \[_issue:1\] \[1\]"),
        ("{+ a +} [- b -]", r"\{_+ a +\} \[_- b -\]"),
        ('~"a bug" %"next" 95 % "x"', '\\~_"a bug" %_"next" 95 % "x"'),
        ("*iteration:1 $1", r"\*_iteration:1 \$_1"),
    ],
)
def test_prose_is_nothing_that_a_forge_would_replace(text: str, shown: str) -> None:
    assert safe.prose(text).replace("\N{ZERO WIDTH SPACE}", "_") == shown


@given(text=hostile, longest=st.integers(3, 40))
def test_a_shortened_text_keeps_its_ends(text: str, longest: int) -> None:
    shown = safe.shortened(text, longest)
    assert len(shown) <= longest
    if len(text) > longest:
        assert (text[0], "…", text[-1]) == (shown[0], shown[(longest - 1) // 2], shown[-1])


def test_the_name_in_a_sentence_is_a_code_span_and_the_rest_is_prose() -> None:
    names = ["m.json:a_b"]
    assert safe.sentence("m.json:a_b fell by 2 * 3.", names) == r"`m.json:a_b` fell by 2 \* 3."
    assert safe.sentence("nothing of a_b", names) == r"nothing of a\_b"


def test_the_longest_name_in_a_sentence_is_the_one_that_is_meant() -> None:
    names = ["a on b = c", "a", "a on b = c and more"]
    assert safe.named("a on b = c and more fell.", names) == "a on b = c and more"
    assert safe.named("nothing", ["", "b"]) is None
    assert safe.sentence("a fell.", names, show=str.upper) == "A fell."


def test_a_brief_sentence_keeps_what_is_said_of_a_long_name() -> None:
    name = "a" * 10_000
    shown = safe.brief(f"{name} fell by 3.", [name])
    assert len(shown) < 300
    assert shown.startswith("aaaa")
    assert shown.endswith("a fell by 3.")
    assert safe.brief("m fell by 3.", [name]) == "m fell by 3."
    assert len(safe.brief("b" * 5000, [name])) == 999


def test_a_pipe_is_escaped_in_a_table_only_for_elsewhere_the_backslash_would_be_shown() -> None:
    assert safe.code("a|b") == r"`a\|b`"
    assert safe.span("a|b") == "`a|b`"
    assert safe.sentence("a|b fell | far", ["a|b"]) == r"`a|b` fell \| far"
