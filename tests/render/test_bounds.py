"""What a template may take up: what is natural goes, what would never end or fill the memory does not."""

import pytest
from jinja2.exceptions import SecurityError

from ci_ml.render.bounds import MOST_LETTERS, Bounded

LONG = "'a' * 100000"


def rendered(template: str, **limits: int) -> str:
    return Bounded(finalize=lambda value: value, **limits).from_string(template).render(n=1_234_567)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ '{:,}'.format(n) }}", "1,234,567"),
        ("{{ '%d rows' | format(n) }}", "1234567 rows"),
        ("{{ '{n:>9}'.format(n=n) }}", "  1234567"),
        ("{{ '%(n)09d' | format(n=n) }}", "001234567"),
        ("{{ none | default(n, true) }}", "1234567"),
        ("{{ 12345.678 | round(1) }} {{ n | filesizeformat }}", "12345.7 1.2 MB"),
        ("{{ dict(n=n).n }} {{ namespace(n=n).n }} {{ [n] | sum(start=n) }}", "1234567 1234567 2469134"),
        ("{% macro many(n) %}{{ n }} rows{% endmacro %}{{ many(n) }}", "1234567 rows"),
        ("{{ ['a', 'b'] | join(', ') }} {{ ', '.join(['a', 'b']) }}", "a, b a, b"),
        ("{{ [{'a': 'x'}, {'a': 'y'}] | join('-', attribute='a') }}", "x-y"),
        ("{{ 'a-b' | replace('-', '+') }} {{ 'a\nb' | indent(2) }} {{ 'ab' | center(6) }}|", "a+b a\n  b   ab  |"),
        ("{{ {'a': [1]} | tojson(indent=1) }} {{ [1, 2, 3] | batch(2, '-') | list }}", '{\n "a": [\n  1\n ]\n} [[1, 2], [3, \'-\']]'),
        ("{{ 2 ** 10 + 3 * n }} {{ 'ab' * 2 }} {{ [1] * 2 }} {{ 7 % 4 }}", "3704725 abab [1, 1] 3"),
    ],
)  # fmt: skip
def test_what_a_report_wants_is_free(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ '{:10000}'.format(1) }}",
        "{{ '{:{}}'.format(1, 5) }}",
        "{{ ('{:10000}' | string).format(1) }}",
        "{{ '{a:>99999}'.format_map({'a': 1}) }}",
        "{{ '%99999d' | format(1) }}",
        "{{ '%*d' | format(5, 1) }}",
        "{{ '%.99999f' | format(1.0) }}",
        "{{ 'x'.ljust(10 ** 10) }}",
        "{{ 'x'.expandtabs(99999) }}",
        "{{ 'x'.encode().center(99999) }}",
        "{{ n.to_bytes(length=99999) }}",
        "{{ 'x' | center(width=99999) }}",
        "{{ {'a': 1} | tojson(indent=99999) }}",
        "{{ [1] | batch(99999, 'a') | list }}",
        "{{ [1] | slice(99999) | list }}",
        "{{ lipsum(9999) }}",
    ],
)
def test_a_width_has_a_limit(template: str) -> None:
    with pytest.raises(Exception, match=r"a width of 10,000|more than 10,000 for \w|'lipsum' is undefined"):
        rendered(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ (LONG) * 100000 }}",
        "{{ [1] * 10 ** 10 }}",
        "{{ 'a' * n + 'a' * n }}",
        "{% set a = 'a' * n %}{{ (a ~ a) | length }}",
        "{{ (LONG).replace('a', 'b' * 100000) }}",
        "{{ (LONG).translate({97: 'b' * 100000}) }}",
        "{{ (LONG).join(['a'] * 100000) }}",
        "{{ ''.join([LONG] * 100000) }}",
        "{{ (LONG) | replace('a', new='b' * 100000) }}",
        "{{ (['a'] * 100000) | join(LONG) }}",
        "{{ ([LONG] * 100000) | join }}",
        "{{ (LONG) | list | map('replace', 'a', LONG) | join }}",
        "{{ ('a\n' * 10000) | indent('b' * 10000) }}",
        "{{ ('a ' * 10000) | wordwrap(1, true, 'b' * 10000) }}",
        "{{ [1] | batch(9999, LONG) | first | join }}",
        "{% for a in range(99) %}{{ LONG }}{% endfor %}",
    ],
)
def test_a_text_has_a_limit(template: str) -> None:
    with pytest.raises(SecurityError, match=f"more than {MOST_LETTERS:,} letters"):
        rendered(template.replace("LONG", LONG))


def test_limits_are_those_of_the_environment() -> None:
    assert len(rendered("{{ 'a' * 3000000 }}", most_letters=3_000_000)) == 3_000_000
    with pytest.raises(SecurityError, match="more than 2,999,999 letters"):
        rendered("{{ 'a' * 3000000 }}", most_letters=2_999_999)
    with pytest.raises(SecurityError, match="more than 5 steps"):
        rendered("{% for a in range(3) %}{% for b in range(2) %}{% endfor %}{% endfor %}", most_steps=5)
    assert rendered("{% for a in range(2) %}{% for b in 'ab' %}.{% endfor %}{% endfor %}", most_steps=9) == "...."


@pytest.mark.parametrize("number", ["10 ** 10000", "(2 ** 4095) ** 2", "7 ** 999 * 7 ** 999"])
def test_a_number_has_a_limit(number: str) -> None:
    with pytest.raises(SecurityError, match="too large"):
        rendered(f"{{{{ {number} }}}}")
