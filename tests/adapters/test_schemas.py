"""Models of pandera: what they say as rules, what is refused, and whom they are not told."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci_ml.adapters import schemas
from ci_ml.core.expectations import ColumnType, Expected, Kind

pytest.importorskip("pandera.ibis")

COLUMNS = {"age": "int64", "country": "string", "email": "string", "start": "date", "end": "date", "row": "int64"}
HEAD = """\
import pandera.ibis as pa
from pandera.ibis import DataFrameModel, Field
from ibis import _
"""


def read(
    text: str,
    tmp_path: Path,
    *,
    name: str = "Train",
    typed: bool = True,
    env: Mapping[str, str] | None = None,
    **files: str,
) -> Expected:
    found = {"schemas/train.py": HEAD + text, **{path.replace("__", "/") + ".py": body for path, body in files.items()}}
    encoded = {path: body.encode() for path, body in found.items()}
    given = {"PATH": os.environ["PATH"], **(env or {})}
    return schemas.read(encoded, f"schemas/train.py:{name}", COLUMNS, typed=typed, root=tmp_path / "work", env=given)


def said(found: Expected) -> list[str]:
    return [str(rule.key("t")) for rule in found.rules]


def test_what_a_model_says_is_what_yaml_would_say(tmp_path: Path) -> None:
    found = read(
        """
class Train(DataFrameModel):
    age: int = Field(ge=0, lt=120, unique=True)
    country: str = Field(isin=["DE", "FR"], nullable=True, raise_warning=True)
    email: str = Field(str_matches="[a-z]+@", str_length={"min_value": 3}, nullable=True)
    class Config:
        strict = True
        unique = ["country", "email"]
""",
        tmp_path,
    )
    assert sorted(said(found)) == sorted(
        [
            "t.age: int64",
            "t.age: no missing values",
            "t.age: unique",
            "t.age: at least 0",
            "t.age: below 120",
            "t.country: string",
            "t.country: one of DE, FR",
            "t.email: string",
            "t.email: begins as [a-z]+@",
            "t.email: at least 3 characters",
            "t: country, email unique",
        ]
    )
    assert found.closed == {"age", "country", "email"}
    assert {rule.columns[0] for rule in found.rules if rule.warns} == {"country"}
    assert {rule.type for rule in found.rules if rule.columns == ("age",)} == {ColumnType.INTEGER}


def test_a_check_of_the_users_is_an_expression_over_a_row(tmp_path: Path) -> None:
    found = read(
        """
schema = pa.DataFrameSchema(
    {"age": pa.Column(int, [pa.Check(lambda data: data.table[data.key] % 2 == 0, name="even")], nullable=True)},
    checks=[pa.Check(lambda data: data.table["end"] >= data.table.start, name="order")],
)
""",
        tmp_path,
        name="schema",
    )
    holds = {rule.what: rule.value for rule in found.rules if rule.kind is Kind.HOLDS}
    assert holds["even"].startswith('"age" IS NULL OR (')
    assert holds["order"] == '("end" >= "start")'


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("lambda data: data.table[data.key].mean() > 3", "for the table as a whole"),
        ("lambda data: True", "for the table as a whole"),
        ("lambda data: data.table.filter(_.age > 3).select(x=_.age > 4)", "more than an expression over one row"),
        ("lambda data: data.table.nothing > 3", "it failed: AttributeError"),
        ("lambda x: x > 3, element_wise=True", "it runs Python on every value"),
        ("lambda data: data.table[data.key] + 1", "for the table as a whole"),
    ],
)
def test_what_cannot_be_counted_stays_a_rule_that_says_so(tmp_path: Path, body: str, why: str) -> None:
    text = f"schema = pa.DataFrameSchema({{'age': pa.Column(int, [pa.Check({body}, name='mine')], nullable=True)}})\n"
    (rule,) = [rule for rule in read(text, tmp_path, name="schema").rules if rule.what == "mine"]
    assert rule.kind is Kind.REFUSED
    assert why in rule.value


def test_a_check_that_takes_the_name_of_one_of_panderas_is_still_the_users(tmp_path: Path) -> None:
    text = """
lies = pa.Check(lambda data: data.table[data.key].notnull(), name="greater_than_or_equal_to", statistics={"min_value": 0})
schema = pa.DataFrameSchema({"age": pa.Column(int, [lies])})
"""
    (rule,) = [rule for rule in read(text, tmp_path, name="schema").rules if "greater" in rule.what]
    assert rule.kind is Kind.HOLDS


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 +", "schemas/train.py failed: SyntaxError"),
        ("raise SystemExit(0)", "could not be read|failed|answer was none"),
        ("import nothing_like_it", "failed: ModuleNotFoundError"),
        ("Other = 1", "there is no Train in schemas/train.py"),
        ("Train = 1", "it is int, and no model of a table"),
        (
            "class Train(DataFrameModel):\n    age: int\n    class Config:\n        ordered = True",
            "`ordered` is not supported",
        ),
        ("import os; os.write(1, b'{}'); os._exit(0)", "answer was none of a model"),
        ("import os; os._exit(3)", "exit code 3"),
    ],
)
def test_a_model_that_cannot_be_read_says_why(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(schemas.Unreadable, match=why):
        read(text, tmp_path)


def test_an_answer_that_says_all_is_fine_before_the_model_was_read_is_none(tmp_path: Path) -> None:
    forged = "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'{}')\n    except OSError: pass\nos._exit(0)\n"
    with pytest.raises(schemas.Unreadable, match="answer was none"):
        read(forged, tmp_path)


def test_a_model_sees_no_secret_and_may_print(tmp_path: Path) -> None:
    text = """
import os
print("hello", dict(os.environ))
assert not [name for name in os.environ if "TOKEN" in name or name.startswith(("CI", "PYTHON"))], "a secret"
class Train(DataFrameModel):
    age: int
"""
    env = {"GITHUB_TOKEN": "hush-hush", "CI_ML_TOKEN": "hush-hush", "PYTHONPATH": str(tmp_path)}
    assert "t.age: int64" in said(read(text, tmp_path, env=env))


@pytest.mark.thorough
def test_a_model_imports_the_files_beside_it_and_none_of_the_work_tree(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "schemas").mkdir(parents=True)
    (work / "schemas" / "limits.py").write_text("MOST = 10**9\n")
    (work / "stolen.py").write_text("MOST = 10**9\n")
    text = "from schemas.limits import MOST\nclass Train(DataFrameModel):\n    age: int = Field(le=MOST)\n"
    assert "t.age: at most 100" in said(read(text, tmp_path, schemas__limits="MOST = 100\n"))
    reach = f"import sys\nsys.path.insert(0, {str(work)!r})\nfrom stolen import MOST\n"
    with pytest.raises(schemas.Unreadable, match=r"stolen\.py is a file of the change"):
        read(reach, tmp_path)
    with pytest.raises(schemas.Unreadable, match="is a file of the change"):
        read(f"open({str(work / 'stolen.py')!r})\n", tmp_path)


def test_the_text_of_a_file_is_of_the_types_that_the_model_says(tmp_path: Path) -> None:
    text = """
class Train(DataFrameModel):
    age: int
    @pa.check("age")
    def even(cls, data):
        return data.table[data.key] % 2 == 0
"""
    holds = [rule for rule in read(text, tmp_path, typed=False).rules if rule.kind is Kind.HOLDS]
    assert len(holds) == 1
