"""A PipelineSpec as the files of its forge, from Jinja templates. Layer: render.

Delimiters are `{{{ }}}` and `{{% %}}`, because `{{ }}` is GitHub's own. Whatever a template prints goes out as a scalar
or a list of YAML, quoted where it has to be, so that no name in a repository can become more than a name.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FunctionLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)
from markupsafe import Markup

from ci_ml.core import documents, generated, includes, workflow
from ci_ml.core.includes import Entry
from ci_ml.core.workflow import Credentials, ForgeKind, Job, Layout, PipelineSpec
from ci_ml.errors import UsageError
from ci_ml.render import github, gitlab
from ci_ml.render.bounds import Bounded

# The actions that generated workflows use: repository, commit, and the version that it is.
PINS = {
    "checkout": ("actions/checkout", "3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "setup_python": ("actions/setup-python", "5fda3b95a4ea91299a34e894583c3862153e4b97", "v7.0.0"),
    "upload": ("actions/upload-artifact", "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", "v7.0.0"),
    "download": ("actions/download-artifact", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1"),
    "setup_uv": ("astral-sh/setup-uv", "20cfd1bf945f4377ade1205e4dbc17946fc9a30d", "v10.0.1"),
    "aws": ("aws-actions/configure-aws-credentials", "e6de054238d6b7531b4efff3b6587d9aade6a06c", "v6.2.3"),
    "google": ("google-github-actions/auth", "7c6bc770dae815cd3e89ee6cdf493a5fab2cc093", "v3.0.0"),
    "cache": ("actions/cache", "27d5ce7f107fe9357f9df03efb73ab90386fccae", "v5.0.5"),
    "azure": ("Azure/login", "f5d393ae46f8fde4be8b75f32e3fc50e654ad0ca", "v3.0.1"),
    "attest": ("actions/attest", "1e69f48acb82d1966a394da916b4c1698aa569d6", "v4.2.2"),
    "app": ("actions/create-github-app-token", "1b10c78c7865c340bc4f6099eb2f838309f1e8c3", "v3.1.1"),
}


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Where templates come from: `builtin` are ours by name, `own` those of the user, who may replace any of them."""

    builtin: Mapping[str, str]
    own: Mapping[str, str]


def files(spec: PipelineSpec, templates: Templates) -> dict[str, str]:
    """The text of every file, by its path from the root of the repository. Raises UsageError for a broken template."""
    return {path: _rendered(name, path, spec, templates) for path, name in _files(spec).items()}


def place(spec: PipelineSpec) -> str:
    """The path of the file with the jobs."""
    return next(iter(_files(spec)))


def child(spec: PipelineSpec, templates: Templates) -> str:
    """The pipeline that GitLab's dynamic one starts, with the jobs of the spec. Raises UsageError like `files`."""
    return _rendered(_CHILD, "", spec, templates)


def entry(paths: Iterable[str]) -> str:
    """A first .gitlab-ci.yml: GitLab reads no other file unless this one includes it."""
    return "include:\n" + "".join(f"  - local: {scalar(f'/{path}')}\n" for path in paths)


def advice(found: Entry) -> str:
    """What to do about files that GitLab does not read, or may not; nothing where it reads them."""
    listed = ", ".join(found.absent or found.doubtful)
    gone = ""
    if found.dangling:
        gone = (
            f"{ENTRY} includes {', '.join(found.dangling)}, which is not there: GitLab refuses every pipeline. "
            "Take that line out of it\n"
        )
    if found.absent:
        return f"{gone}{ENTRY} does not include {listed}: GitLab never reads it. Add to it:\n\n{entry(found.absent)}"
    if found.doubtful:
        return gone + (
            f"whether {ENTRY} includes {listed} is not known: {found.why}. If it does not, GitLab never reads it. "
            f"Then add to it:\n\n{entry(found.doubtful)}"
        )
    return gone


# Where GitLab begins to read.
ENTRY = includes.ENTRY
_CHILD = "gitlab/child.yml.j2"


def _rendered(name: str, path: str, spec: PipelineSpec, templates: Templates) -> str:
    context = _context(spec, name, path)
    try:
        text = _environment(spec, templates).get_template(name).render(context)
    except TemplateSyntaxError as error:
        raise UsageError(f"the template {error.name or name}:{error.lineno}: {error}", _HINT) from None
    except _FAULTS as error:
        raise UsageError(f"the template {name}: {error}", _HINT) from None
    return _finished(text, name, context["header"])


# What a template can do wrong while it is rendered: beside what Jinja says itself, whatever its expressions raise.
_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_HINT = "see docs/pipelines.md"


def _files(spec: PipelineSpec) -> dict[str, str]:
    suffix = f"-{spec.naming.slug}" if spec.naming.slug else ""
    if spec.forge is ForgeKind.GITHUB:
        found = {github.place(spec): f"github/{spec.layout}.yml.j2"}
        asked = {"publish": spec.forks, "monitor": spec.monitor, "retrain": spec.retrain, "rollback": spec.promote}
        return found | {github.place(spec, kind): f"github/{kind}.yml.j2" for kind, there in asked.items() if there}
    name = "dynamic" if spec.dynamic and spec.layout is Layout.STAGES else spec.layout
    return {f".gitlab/ci-ml{suffix}.yml": f"gitlab/{name}.yml.j2"}


# --- Rendering --------------------------------------------------------------------------------------------------------

_HEADER = """\
# Written by ci-ml {version} from {config}{graph}. To change it, change those and run `ci-ml generate`, which keeps
# what stands between the lines `ci-ml: keep` and `ci-ml: end`; templates can be replaced (docs/pipelines.md).
{unsigned}"""


def shown(config: str) -> str:
    """The path of a configuration as the first line of a file has it: no two look alike."""
    return config.encode("unicode_escape").decode()


def _context(spec: PipelineSpec, name: str, path: str) -> dict[str, Any]:
    title = spec.naming.title
    graph = " and dvc.yaml" if spec.jobs and not spec.dynamic else ""
    config = shown(spec.config)
    return {
        "spec": spec,
        "python": spec.python,
        "credentials": spec.credentials,
        "nobody": Credentials(kind="none"),
        "pins": {name: _pinned(*pin) for name, pin in PINS.items()},
        "action": _action(spec),
        "workflow": f"ci-ml {title}" if title else "ci-ml",
        # Required checks go by this name, and two projects of a repository must not answer for each other.
        "required": spec.naming.required,
        "option": spec.naming.option,
        "header": Markup(_HEADER.format(version=spec.version, config=config, graph=graph, unsigned=generated.UNSIGNED)),
        "keep": lambda name, indent: Markup(generated.keep(name, indent)),
        "expression": Markup,
        "path": path,
        "child": name == _CHILD,
        **(gitlab.context(spec) if spec.forge is ForgeKind.GITLAB else github.context(spec)),
    }


def _pinned(name: str, commit: str, version: str) -> Markup:
    return Markup(f"{name}@{commit} # {version}")


def _action(spec: PipelineSpec) -> Markup:
    """ci-ml itself: a commit carries the version that it is as a comment."""
    ref = spec.action.rpartition("@")[2]
    pinned = re.fullmatch(r"[0-9a-f]{40}", ref) is not None
    return Markup(f"{scalar(spec.action)} # v{spec.version}") if pinned else Markup(scalar(spec.action))


def _environment(spec: PipelineSpec, templates: Templates) -> Bounded:
    loaders: list[BaseLoader] = [
        FunctionLoader(templates.own.get),
        FunctionLoader(templates.builtin.get),
        # Ours by a name that nobody replaces, for a template of the same name to extend.
        PrefixLoader({"ci-ml": FunctionLoader(templates.builtin.get)}),
    ]
    environment = Bounded(
        loader=ChoiceLoader(loaders),
        undefined=StrictUndefined,
        autoescape=True,  # so that what is markup already is told from what is not
        finalize=lambda value: value if isinstance(value, Markup) else Markup(scalar(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **_DELIMITERS,  # type: ignore[arg-type]  # none of them is a number
    )
    filters: dict[str, Callable[..., Any]] = {
        "secret": _secret,
        "shell": _line,
        "hashed": lambda path: Markup(_hashed(path)),
        "ours": lambda name: Markup(scalar(_inside(spec.folder, f".ci-ml/{name}"))),
        "artifacts": lambda job: Markup(scalar(_artifacts(job, spec))),
        "pattern": _pattern,
        "title": lambda job: Markup(scalar(_title(job, spec))),
        "named": lambda job: Markup(scalar(gitlab.named(spec, job))),
        "queue": lambda job: Markup(scalar(gitlab.queue(spec, job))),
        "started": lambda job: Markup(gitlab.started(spec, job)),
        "command": gitlab.command,
        "words": lambda job: Markup(shlex.quote(gitlab.named(spec, job))),
    }
    environment.filters |= filters
    return environment


_DELIMITERS = {
    "block_start_string": "{{%",
    "block_end_string": "%}}",
    "variable_start_string": "{{{",
    "variable_end_string": "}}}",
    "comment_start_string": "{{#",
    "comment_end_string": "#}}",
}


def scalar(value: Any) -> str:
    """A value as YAML on one line: plain where that cannot be anything else, quoted as JSON otherwise.

    Raises UsageError for text that GitHub would take for an expression.
    """
    if isinstance(value, bool | int | float) or value is None:
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(scalar, value))}]"
    text = str(value)
    if isinstance(value, Markup):
        return text
    if "${{" in text:
        raise UsageError(f"{text!r} would be an expression of GitHub", "give it a name without ${{")
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else _quoted(text)


# Never a number: one that begins with a point is out as well, and so are the words of YAML 1.1.
_PLAIN = re.compile(r"(?:[A-Za-z_/]|\.(?![0-9_]))[A-Za-z0-9_./@=+-]*(?:[ :][A-Za-z0-9_./@=+-]+)*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"}


def _quoted(text: str) -> str:
    """A text in double quotes, with what cannot be seen escaped. Not as JSON, whose pairs of escapes YAML takes apart.

    Raises UsageError for half a character, which is how Python holds bytes that are not UTF-8.
    """
    if re.search("[\ud800-\udfff]", text):
        raise UsageError(f"{text!r} is not UTF-8, and no CI file can hold it", "give it another name")
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _pattern(name: str) -> str:
    """The pattern of GitHub that fits this branch and no other."""
    return re.sub(r"([*+?!\[\]\\])", r"\\\1", name)


def _secret(name: str) -> Markup:
    """The expression for a secret of GitHub."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(f"{name!r} is not the name of a secret", "letters, digits and _")
    return Markup(f"${{{{ secrets.{name} }}}}")


def _hashed(path: str) -> str:
    """The key of a cache that hangs on a file: one scalar, whatever the file is called."""
    if "${{" in path or "}}" in path:
        raise UsageError(f"{path!r} would end an expression of GitHub", "give it a name without }}")
    literal = path.replace("'", "''")
    system = "${{ runner.os }}-${{ runner.arch }}"
    return _quoted(f"conda-{system}-${{{{ hashFiles('{literal}') }}}}")


def _line(command: str) -> Markup:
    """A line of a script, as it is. Raises UsageError for more than a line, and for an expression of GitHub."""
    if len(command.splitlines()) > 1:
        raise UsageError(f"{command!r} is more than a line", "give each command a line of its own")
    scalar(command)
    return Markup(command.strip())  # blanks at its start would move the lines after it out of the script


def _title(job: Job, spec: PipelineSpec) -> str:
    """What GitHub shows for a stage's job: the stage, unless that is the name of one of ours, which may be required.

    The gate of a project in a folder is called `gate FOLDER`; no id has a blank or a colon in it, so none is ever that.
    """
    own = job.stage.strip().lower()
    ours = job.stage in workflow.RESERVED or own.startswith("gate") or own == spec.naming.required.lower()
    return job.id if ours else job.stage


def _inside(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def _artifacts(job: Job, spec: PipelineSpec) -> str:
    """A glob of the artifacts that a job needs."""
    matrices = {other.id for other in spec.jobs if other.matrix}
    names = [f"ci-ml-stage-{need}{'--*' if need in matrices else ''}" for need in job.needs]
    return names[0] if len(names) == 1 else f"{{{','.join(names)}}}"


def _finished(text: str, name: str, header: str) -> str:
    """A rendered text: no blanks at the ends of lines, never two empty lines, and signed.

    Raises UsageError for one that does not begin with the header, or is not YAML.
    """
    if not text.lstrip("\n").startswith(header) or text.count(generated.UNSIGNED) != 1:
        raise UsageError(
            f"the template {name} does not begin with {{{{{{ header }}}}}}, once and before all else",
            "ci-ml knows its files by it",
        )
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    finished = re.sub(r"\n{3,}", "\n\n", lines).strip("\n") + "\n"
    _valid(finished, name)
    try:
        return generated.signed(finished)
    except ValueError as error:  # marks of kept lines that a template, or a command in ci-ml.yaml, has too many of
        raise UsageError(f"what the template {name} makes: {error}", _HINT) from None


def _valid(text: str, name: str) -> None:
    """Raises UsageError for a text that no CI system can read, with the line that is wrong."""
    try:
        value = documents.parse_yaml(text, includes.TAGS).value
    except documents.DocumentError as error:
        lines = text.split("\n")
        shown = f": {lines[error.line - 1].strip()!r}" if error.line and error.line <= len(lines) else ""
        raise UsageError(f"what the template {name} makes, {error}{shown}", _HINT) from None
    if not isinstance(value, dict):
        raise UsageError(f"what the template {name} makes holds no jobs", _HINT)
