"""What may stand in an expression of ci-ml.yaml, and what is refused when it is read."""

import pytest

from ci_ml.core import expressions


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("end >= start", ("end", "start")),
        ('"my column" > 1 and order <> 2', ("my column", "order")),
        ("a is null or b in ('x', 'y')", ("a", "b")),
        ("case when a > 1 then b else c end", ("a", "b", "c")),
        ("paid", ("paid",)),
    ],
)
def test_the_columns_of_an_expression_are_known_without_a_table(text: str, columns: tuple[str, ...]) -> None:
    assert expressions.columns(expressions.parse(text)) == columns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("read_csv('/etc/passwd') is not null", "is not known"),
        ("read_text(a) = 'x'", "is not known"),
        ("getenv('TOKEN') = a", "getenv is not known"),
        ("a = (select 1)", "is not known"),
        ("exists (select 1)", "is not known"),
        ("a in (select b from c)", "is not known|asked of a list"),
        ("a; drop table b", "is not known"),
        ("select a from b", "is not known"),
        ("b.a > 1", "is no column of this table"),
        ("a = $1", "is not known"),
        ("a > ?", "is not known"),
        ("sum(a) > 1", "is not known"),
        ("row_number() over () > 1", "is not known"),
        ("a[1] > 1", "is not known"),
        ("* > 1", "is not known"),
        ("a >", "is no expression"),
        ("", "is no expression"),
        ("a = 'x", "is no expression"),
        (f"{'(' * 60}a{')' * 60}", "is nested deeper"),
        (f"{'(' * 400}a{')' * 400}", "is nested deeper"),
        (f"{'not ' * 240}a", "is nested deeper"),
        (f"a > {'1' * 1000}", "is 1,004 characters long"),
    ],
)
def test_everything_else_is_refused_with_what_it_is(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as found:
        expressions.parse(text)
    assert "\x1b" not in str(found.value)
