"""CI files of any names: what is parsed is what was named, or ci-ml says why not. And templates of users."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from ci_ml.adapters import templates
from ci_ml.core import resolve, workflow
from ci_ml.core.naming import naming
from ci_ml.core.pipeline import Output, Pipeline, Stage
from ci_ml.core.pipelines import PipelineConfig
from ci_ml.errors import UsageError
from ci_ml.render import pipelines
from ci_ml.render.pipelines import Templates
from tests.surroundings import around

BUILTIN = templates.builtin()
# Each has a meaning in YAML, in a shell, in an expression of GitHub, or in a file of ours.
NAMES = [
    *("plain", "a b", "it's", 'a "quoted" one', "a\\b", "a: b", "a #b", "- a", "--help", "*a", "&a", "!a", "%a", "@a"),
    *("{a: b}", "[a]", "a, b", "|", "? a", "~", "No", "y", "null", "1e3", "12:30:45", ".inf", ".5", "---", "a\tb"),
    *("a\n    injected: true", "a\r\n- b", "a\x85- b", "a\u2028- b", "\ufeffa", "é", "🦊", "gate", "$(id)", "; id"),
    *("{{{ spec }}}", "{{% include 'x' %}}", "<b>&amp;", "a${{ github.token }}", "a\udcffb"),
    *("# ci-ml: keep a", "# ci-ml: end"),
]
MORE = [
    *("a:", "# a", "-a", "!!python/object:os.system", "`a`", "> a", "<<", "=", "yes", "ON", "True", "0x1f", "1_000"),
    *("2026-01-01", ".NaN", "._", "...", " a ", "a\x7fb", "a\u202eb", "日本語", "$HOME", "image", "\x00", "é" * 200),
]


class Loader(yaml.SafeLoader):
    """YAML 1.1, which takes more words for something else than 1.2 does; a key that is there twice is a mistake."""


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"there twice: {keys}"
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)}


Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))


# --- One value -------------------------------------------------------------------------------------------------------


def expressible(text: str) -> bool:
    return "${{" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def round_trips(text: str) -> None:
    if not expressible(text):
        with pytest.raises(UsageError):
            pipelines.scalar(text)
        return
    one = pipelines.scalar(text)
    assert "\n" not in one
    document = f"a:\n  - {one}\n  - {pipelines.scalar([text, text])}\n{one}: {one}\n"
    for parsed in (yaml.load(document, Loader), YAML(typ="safe", pure=True).load(document)):
        assert parsed == {"a": [text, [text, text]], text: text}


@pytest.mark.parametrize("text", NAMES + MORE)
def test_a_value_is_what_it_was(text: str) -> None:
    round_trips(text)


@given(st.text(st.characters(codec=None), max_size=20) | st.text("a1.:-_#'\"\\ {}[]*&!%@`|>?,=~eExX0$\n\t", max_size=8))
def test_any_value_is_what_it_was(text: str) -> None:
    if text != "a":  # the key that the test has itself
        round_trips(text)


# --- Whole files -----------------------------------------------------------------------------------------------------

# What a harmless name is in every place, so that the file of a hostile one can be told to differ in nothing else.
PLAIN = "x@1"


def made(place: str, value: str, forge: str, own: Mapping[str, str] | None = None, **more: Any) -> dict[str, str]:
    """The files where `value` is the name of a stage, a folder, a configuration, a branch, and so on."""
    chosen: dict[str, Any] = {"forge": forge, "layout": "stages", "forks": forge == "github", "record": True, **more}
    if place == "config":  # all that ci-ml.yaml says
        chosen |= {"runners": {"default": ["one", value]}, "images": {"default": value}}
        chosen["python"] = {"install": [value, "second"]}
        chosen["credentials"] = {"identity": {"role": value, "region": "eu"}}
    elif place == "branch":
        chosen[place] = value
    stages = (value if place == "stage" else "train", "last")
    folder = value if place == "folder" else ""
    named = {"name": value, "config": f"{folder}/ci-ml.yaml".lstrip("/")}
    if place == "option":
        named["config"] = value
    surrounded = around(lock=f"{folder}/uv.lock".lstrip("/"), folder=folder, **named)
    outs = (Output(path="a"),)
    pipeline = Pipeline(
        stages=(
            Stage(name=stages[0], file="dvc.yaml", command=("x",), wdir="", outs=outs),
            Stage(name=stages[1], file="dvc.yaml", command=("x",), wdir="", deps=("a",)),
        )
    )
    spec = resolve.resolve(PipelineConfig.model_validate(chosen), pipeline, surrounded)
    return pipelines.files(spec, Templates(builtin=BUILTIN, own=own or {}))


def schedules(place: str, value: str, forge: str) -> dict[str, Any]:
    """What starts monitoring and retraining, with `value` for whatever ci-ml.yaml says freely of them.

    They know nothing of stages and branches.
    """
    if place in ("stage", "branch"):
        return {}
    own: dict[str, Any] = {"runner": ["one", value], "image": value} if place == "config" else {}
    app = {"client_id": value if place == "config" else "a", "private_key": "KEY"}
    who = {"app": app} if forge == "github" else {"token": "OWN"}
    return {
        "monitor": {"schedule": "0 6 * * *", "secrets": {"A": "B"}, **own},
        "retrain": {"schedule": "23 4 * * 1", "on_drift": True, **who, **own},
    }


def documents(files: Mapping[str, str]) -> list[Any]:
    return [yaml.load(text, Loader) for text in files.values()]


def replaced(document: Any, place: str, value: str) -> Any:
    """What was parsed of the file for PLAIN, with `value` instead."""
    if isinstance(document, dict):
        return {replaced(key, place, value): replaced(part, place, value) for key, part in document.items()}
    if isinstance(document, list):
        return [replaced(part, place, value) for part in document]
    if not isinstance(document, str):
        return document
    shell = "$ci_ml" in document or document.startswith("cd ")
    name = shlex.quote(value) if shell else re.sub(r"([*+?!\[\]\\])", r"\\\1", value) if place == "branch" else value
    taken = {PLAIN: name, slugged(place, PLAIN): slugged(place, value)}
    for old, new in taken.items():
        document = document.replace(old, new)
    return document


def slugged(place: str, value: str) -> str:
    if place == "stage":
        return workflow.ids([value, "last"])[value]
    config = value if place == "option" else f"{value}/ci-ml.yaml"
    return naming("" if place == "option" else value, config).slug


@pytest.mark.thorough
@pytest.mark.parametrize("forge", ["github", "gitlab"])
@pytest.mark.parametrize("place", ["stage", "folder", "option", "config", "branch"])
def test_a_name_is_only_a_name(place: str, forge: str) -> None:
    harmless = documents(made(place, PLAIN, forge, **schedules(place, PLAIN, forge)))
    refused = set()
    for value in NAMES:
        try:
            found = documents(made(place, value, forge, **schedules(place, value, forge)))
        except (UsageError, ValidationError):
            refused.add(value)
            continue
        titled = value in workflow.RESERVED and forge == "github" and place == "stage"
        assert titled or found == [replaced(one, place, value) for one in harmless], value
    control = {value for value in NAMES if re.search(r"[\x00-\x1f\x7f-\x9f\u2028]", value)}
    inexpressible = {value for value in NAMES if not expressible(value)}
    marks = {value for value in NAMES if value.startswith("# ci-ml")}
    assert refused - marks <= (inexpressible | control if place in ("config", "branch") else inexpressible)


def test_blanks_before_a_command_do_not_end_its_script() -> None:
    (document,) = documents(made("config", "   a", "github", forks=False))
    script = document["jobs"]["train"]["steps"][2]["run"]
    assert script.splitlines() == ["a", "second", 'echo "$PWD/.venv/bin" >> "$GITHUB_PATH"']


def test_a_machine_of_github_has_a_label() -> None:
    with pytest.raises(ValidationError, match=r"runners\.default: GitHub finds no machine without a label"):
        made("name", "a", "github", runners={"default": []})
    (document,) = documents(made("name", "a", "gitlab", runners={"default": []}))
    assert "tags" not in document["train"]


# --- Templates of users ----------------------------------------------------------------------------------------------

BLOCK = """\
{{% extends "ci-ml/github/single.yml.j2" %}}
{{% block setup %}}
      - run: make setup
{{% endblock %}}
"""


def single(own: Mapping[str, str]) -> dict[str, Any]:
    (document,) = documents(made("name", "a", "github", own, layout="single", forks=False, record=False))
    return document


def test_a_template_replaces_a_block_of_ours() -> None:
    ours, theirs = single({}), single({"github/single.yml.j2": BLOCK})
    (gate,) = theirs["jobs"].values()
    assert {"run": "make setup"} in gate["steps"]
    assert len(gate["steps"]) < len(ours["jobs"]["gate"]["steps"])
    assert theirs["permissions"] == ours["permissions"]


def test_a_template_replaces_one_that_others_include() -> None:
    ours, theirs = single({}), single({"github/checkout.yml.j2": "      - run: git clone .\n"})
    assert theirs["jobs"]["gate"]["steps"] == [{"run": "git clone ."}, *ours["jobs"]["gate"]["steps"][1:]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jobs: {}\n", "does not begin with {{{ header }}}"),
        ("{{{ header }}}\n{{{ header }}}\n", "does not begin with {{{ header }}}"),
        ("{{% extends 'github/nothing.yml.j2' %}}", "github/nothing.yml.j2"),
        ("{{{ header }}}\n{{% if %}}", "github/single.yml.j2:2: "),
        ("{{{ header }}}\n{{{ spec.nothing }}}", "nothing"),
        ("{{{ header }}}\n{{{ 1 / 0 }}}", "division by zero"),
        ("{{{ header }}}\n{{{ spec.runner[7] + 1 }}}", "github/single.yml.j2"),
        ("{{{ header }}}\n{{{ 'a' + 1 }}}", "str"),
        ("{{{ header }}}\n{{{ ''.__class__ }}}", "__class__"),
        ("{{{ header }}}\n{{{ ''.__class__.__mro__[1].__subclasses__() }}}", "__class__"),
        ("{{{ header }}}\n{{{ keep.__globals__ }}}", "__globals__"),
        ("{{{ header }}}\n{{{ '{0.__class__}'.format(1) }}}", "__class__"),
        ("{{{ header }}}\n{{% for a in range(1000000000) %}}{{% endfor %}}", "100,000 steps"),
        (
            "{{{ header }}}\n{{% for a in range(99999) %}}{{% for b in range(99999) %}}{{% endfor %}}{{% endfor %}}",
            "100,000 steps",
        ),
        ("{{{ header }}}\n{{% include 'github/single.yml.j2' %}}", "recursion"),
        ("{{{ header }}}\n{{% macro a() %}}{{{ a() }}}{{% endmacro %}}{{{ a() }}}", "recursion"),
        ("{{{ header }}}\n{{% set a = spec.jobs.append(1) %}}", "append"),
        ("{{{ header }}}\na: 1\n# ci-ml: keep a\n", "`ci-ml: keep a` has no `ci-ml: end`"),
        ("# mine\n" * 25 + "{{{ header }}}\na: 1\n", "does not begin with {{{ header }}}"),
        ("{{{ header }}}\n\non: push\nnot: [valid\n", "line 7: not valid YAML"),
        ("{{{ header }}}\na: {{{ 1 }}}\na: 2\n", "line 5: the key 'a' is there twice: 'a: 2'"),
        ("{{{ header }}}\n- a\n", "holds no jobs"),
        ("{{{ header }}}\n", "holds no jobs"),
        ("{{{ header }}}\n{{{ 'a' * 10 ** 10 }}}", "2,000,000 letters"),
        ("{{{ header }}}\n{{{ [1] * 10 ** 10 }}}", "2,000,000 letters"),
        ("{{{ header }}}\n{{{ 10 ** 10000 }}}", "a number that is too large"),
        ("{{{ header }}}\n{{{ '%9999999999d' % 1 }}}", "% with a text"),
        ("{{{ header }}}\n{{{ 'a'.ljust(10 ** 10) }}}", "more than 10,000 for ljust"),
        ("{{{ header }}}\n{{{ 'a' | center(10 ** 10) }}}", "more than 10,000 for center"),
        ("{{{ header }}}\n{{{ ('a' * 10000).replace('a', 'b' * 10000) }}}", "2,000,000 letters"),
        (
            "{{{ header }}}\n{{% set n = namespace(a='aa') %}}{{% for i in range(40) %}}{{% set n.a = n.a ~ n.a %}}{{% endfor %}}",
            "2,000,000 letters",
        ),
        (
            "{{{ header }}}\n{{% set n = namespace(a='aa') %}}{{% for i in range(40) %}}{{% set n.a = n.a + n.a %}}{{% endfor %}}",
            "2,000,000 letters",
        ),
        ("{{{ header }}}\n{{% for a in range(99) %}}{{{ 'a' * 99999 }}}{{% endfor %}}", "2,000,000 letters"),
        (
            "{{{ header }}}\n{{% set s = 'a' * 1000 %}}{{% for a in s %}}{{% for b in s %}}{{% for c in s %}}"
            "{{% endfor %}}{{% endfor %}}{{% endfor %}}",
            "100,000 steps",
        ),
    ],
)
def test_a_template_that_cannot_be_used_says_why(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        single({"github/single.yml.j2": text})
    assert words in str(raised.value)
    assert "github/single.yml.j2" in str(raised.value)


@pytest.mark.parametrize("stage", ["gate x", "Gate x", "gates"])
def test_no_stage_is_called_like_the_gate_of_a_project(stage: str) -> None:
    """The gate of the project in the folder `x` is called `gate x`, and may be required by that name."""
    (document,) = documents(made("stage", stage, "github", forks=False))
    (key,) = document["jobs"].keys() - {"plan", "last", "gate", "record"}
    assert document["jobs"][key].get("name", key) == key == workflow.slug(stage)
    (document,) = documents(made("folder", "x", "github", forks=False))
    assert document["jobs"]["gate"]["name"] == "gate x"
