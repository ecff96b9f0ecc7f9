"""GitHub's published OpenAPI description, against which the fake checks what it says and what it accepts.

It comes with the npm package @octokit/openapi: `npm ci` in this folder puts it where it is looked for, or the variable
CI_ML_GITHUB_OPENAPI names the file. Without it the fake works all the same, unchecked.
"""

import functools
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

if TYPE_CHECKING:
    from tests.fakes.server import Answer, Request

_HERE = Path(__file__).parent
_INSTALLED = _HERE / "node_modules/@octokit/openapi/generated/api.github.com.json"
# Read when this is imported: tests run in an environment without it.
_NAMED = os.environ.get("CI_ML_GITHUB_OPENAPI")

# What GitHub does although its description does not say so, and so the fake does too.
_DEVIATIONS = (
    # null when the fork was deleted: https://docs.github.com/en/graphql/reference/objects#pullrequest (headRepository)
    ("/pulls", re.compile(r"\$(\[\d+\])?\.head\.repo: None (for not nullable|is not of type 'object')")),
    # null while an issue is open: the description says nullable, and forgets it among the values
    ("/issues", re.compile(r"\$(\[\d+\])?\.state_reason: None is not one of \[.*\]")),
    # null for a label that was made by its name: https://docs.github.com/rest/issues/labels (its own schema allows it)
    (
        "/pulls",
        re.compile(r"\$(\[\d+\])?\.labels\[\d+\]\.description: None (for not nullable|is not of type 'string')"),
    ),
)
# Not part of the REST API's description.
_UNDESCRIBED = re.compile(r"(/api)?/graphql|/repositories/.*")


def file(named: str | None = _NAMED) -> Path | None:
    """Where the description is, if anywhere."""
    path = Path(named or _INSTALLED)
    return path if path.is_file() else None


class Description:
    """The description, with what was looked up in it kept."""

    def __init__(self, document: dict[str, Any]) -> None:
        from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
        from referencing import Registry, Resource
        from referencing.jsonschema import DRAFT4

        self._document = document
        resource = Resource(contents=document, specification=DRAFT4)
        self._registry: Any = Registry().with_resource("urn:github", resource)
        self._validators = {"read": OAS30ReadValidator, "write": OAS30WriteValidator}
        # Templates with fewer parameters first: /issues/comments/{id} before /issues/{n}/comments.
        ordered = sorted(document["paths"], key=lambda path: path.count("{"))
        self._paths = [(re.compile(_pattern(path)), path) for path in ordered]

    @classmethod
    def installed(cls) -> Self | None:
        path = file()
        return None if path is None else cls.load(path)

    @classmethod
    @functools.cache
    def load(cls, path: Path) -> Self:
        return cls(json.loads(path.read_bytes()))

    def problems(self, request: "Request", answer: "Answer") -> list[str]:
        """Everything in which an exchange differs from the description; for a request only if it was accepted."""
        if _UNDESCRIBED.fullmatch(request.path) or answer.text is not None:
            return []
        found = self._operation(request)
        if found is None:
            known = answer.status == 404  # nothing there is the right answer to an address that does not exist
            return [] if known else [f"{request.method} {request.path}: no such operation, but {answer.status}"]
        template, operation, arguments = found
        label = f"{request.method} {template} -> {answer.status}"
        problems = self._answered(template, operation, answer)
        if answer.status < 300:
            problems += self._asked(template, operation, request, arguments)
        return [f"{label}: {problem}" for problem in problems]

    def _operation(self, request: "Request") -> tuple[str, dict[str, Any], dict[str, str]] | None:
        for pattern, template in self._paths:
            matched = pattern.fullmatch(request.path)
            operation = self._document["paths"][template].get(request.method.lower()) if matched else None
            if matched and operation:
                names = re.findall(r"\{([^}]+)\}", template)
                values = (unquote(value) for value in matched.groups())
                return template, operation, dict(zip(names, values, strict=True))
        return None

    def _answered(self, template: str, operation: dict[str, Any], answer: "Answer") -> list[str]:
        """Errors need not be declared for an operation, but each has the one shape that all have.

        https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
        """
        response = self._resolved(operation["responses"].get(str(answer.status), {}))
        if not response and answer.status < 400 and answer.status not in {301, 307}:
            return [f"the status is not declared, only {', '.join(operation['responses'])}"]
        if answer.status == 204:
            return []
        declared = response.get("content", {}).get("application/json", {}).get("schema")
        fallback = "validation-error" if "errors" in (answer.document or {}) else "basic-error"
        schema = declared or {"$ref": f"#/components/schemas/{fallback}"}
        problems = self._errors("read", schema, answer.document)
        return [problem for problem in problems if not self._known(template, problem)]

    def _asked(
        self, template: str, operation: dict[str, Any], request: "Request", arguments: dict[str, str]
    ) -> list[str]:
        problems = []
        parameters = [self._resolved(parameter) for parameter in operation.get("parameters", [])]
        declared = {parameter["name"]: parameter for parameter in parameters if parameter["in"] != "header"}
        for name, text in (request.query | arguments).items():
            if name not in declared:
                problems.append(f"there is no parameter {name}")
                continue
            schema = self._resolved(declared[name].get("schema", {}))
            problems += self._errors("write", schema, _typed(text, schema), name)
        required = {name for name, parameter in declared.items() if parameter.get("required")}
        problems += [f"{name} is missing" for name in sorted(required - request.query.keys() - arguments.keys())]
        body = self._resolved(operation.get("requestBody", {}))
        if body.get("required") and not request.body:
            problems.append("a body is required")
        if request.body and not isinstance(request.document, list):  # a bare list is what adding labels also takes
            schema = body.get("content", {}).get("application/json", {}).get("schema", {})
            problems += self._errors("write", schema, request.document)
        return problems

    def _resolved(self, thing: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in thing:
            part: Any = self._document
            for key in thing["$ref"].removeprefix("#/").split("/"):
                part = part[key]
            thing = part
        return thing

    def _errors(self, mode: str, schema: dict[str, Any], instance: Any, name: str = "$") -> list[str]:
        kind = self._validators[mode]
        located = json.loads(json.dumps(schema).replace('"#/', '"urn:github#/'))
        validator = kind(located, registry=self._registry, format_checker=kind.FORMAT_CHECKER)
        return [
            f"{error.json_path.replace('$', name, 1)}: {error.message[:300]}"
            for error in validator.iter_errors(instance)
        ]

    @staticmethod
    def _known(template: str, problem: str) -> bool:
        return any(place in template and words.fullmatch(problem) for place, words in _DEVIATIONS)


def _pattern(template: str) -> str:
    """Names of references hold slashes (`x-multi-segment`); at the end of an address that is told apart."""
    many = re.sub(r"(?<=/git/ref/)\{ref\}$|(?<=/git/refs/)\{ref\}$", "(.+)", template)
    return re.sub(r"\{[^}]+\}", "([^/]+)", many)


def _typed(text: str, schema: dict[str, Any]) -> Any:
    """A parameter's text as what it is declared to be; left as text, and so refused, where it is not."""
    if schema.get("type") == "integer" and text.lstrip("-").isdecimal():
        return int(text)
    if schema.get("type") == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text
