"""Telling the forge: which one this job runs on, with which token, and what it is told. Layer: wiring."""

import base64
import contextlib
import os
import re
import secrets as random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ci_ml.adapters import context, files, github, gitlab, http
from ci_ml.core.listing import some
from ci_ml.core.publication import Marker, Status
from ci_ml.core.report import Report, contradictions, unwaived
from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Change, Outcome
from ci_ml.errors import CiMlError, ConfigError, ForgeError, UsageError
from ci_ml.ports import Forge
from ci_ml.usecases import publish
from ci_ml.usecases.publish import Letter, Published, Request

if TYPE_CHECKING:  # Jinja costs a while, and only what is published is rendered
    from ci_ml.render.markdown import Place as Frame

TOKEN = "CI_ML_TOKEN"
PAGE = "report.html"  # beside report.json
OWNER = "CI_ML_TOKEN_OWNER"  # who the token writes as, where that is known: it saves asking
PATIENCE = "CI_ML_PATIENCE"
_PATIENCE = 120.0
# https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#job-summaries
_SUMMARY = 1024 * 1024
_FALLBACKS = {"github": ("GITHUB_TOKEN", "GH_TOKEN"), "gitlab": ("GITLAB_TOKEN",)}
_NEEDED = {
    "github": f"give the step the token: `env: {{{TOKEN}: ${{{{ github.token }}}}}}`",
    "gitlab": "put a project access token with the scope `api` and the role Developer into the masked variable "
    f"{TOKEN}",
}


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a team wants its comments: templates of its own, and whether a picture of the gates goes with them."""

    templates: Mapping[str, str] = field(default_factory=dict)
    images: bool = False


@dataclass(frozen=True, kw_only=True)
class Outlet:
    """Where a run speaks: the forge (None without one, or without a token for it) and the files of the CI system."""

    change: Change
    forge: Forge | None
    env: Mapping[str, str] = field(repr=False)
    trouble: str | None = None
    style: Style = field(default_factory=Style, repr=False)

    @cached_property
    def request(self) -> Request:
        """The pull or merge request, read once."""
        return publish.find(self.forge, self.change) if self.forge else Request()

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """What no text may hold."""
        return secrets(self.env)

    def waived(self, report: Report) -> tuple[Report, str | None]:
        """The report, with its waiver if there is a valid one; else why the one there is does not count."""
        if self.forge is None or report.verdict.outcome not in (Outcome.FAIL, Outcome.UNDECIDED):
            return report, None
        return publish.waive(report, self.forge, self.change, self.request)

    def tell(self, report: Report, stream: TextIO, place: Path, also: str | None = None) -> Published:
        """Publish a verdict: comment, status, job summary, outputs. Never raises for what the forge does."""
        from ci_ml.render import markdown

        verdict = report.verdict
        status = Status(
            name=f"ci-ml/{report.name}", outcome=verdict.outcome, sentence=verdict.sentence, url=self.change.run_url
        )
        refused = markdown.fault(report, self.style.templates) if self.style.templates else None
        picture, problem = self._picture(report) if self.style.images else (None, None)
        templates = {} if refused else self.style.templates
        frame = markdown.Place(run_url=self.change.run_url, templates=templates, picture=picture)
        more = (also, f"{refused}, so the comment is as ci-ml writes it" if refused else None, problem)
        told = self._write(report.name, status, partial(markdown.report, report), stream, frame, more)
        page = place.with_name(PAGE)
        shown = str(page) if page.is_file() else ""
        self._outputs(outcome=verdict.outcome.value, report=str(place), page=shown, comment_url=told.comment_url)
        return told

    def tell_failure(self, name: str, error: CiMlError, stream: TextIO) -> None:
        """Publish that nothing could be judged, and why."""
        from ci_ml.render import markdown

        problems = error.problems if isinstance(error, ConfigError) else ()
        what = ": ".join((error.what, some(problems, between="; "))) if problems else error.what
        sentence = redact(f"Nothing was judged: {what}", self.hidden)
        frame = markdown.Place(run_url=self.change.run_url)
        status = Status(name=f"ci-ml/{name}", outcome=None, sentence=sentence, url=self.change.run_url)
        told = self._write(name, status, partial(markdown.failure, name, sentence, error.hint), stream, frame)
        self._outputs(outcome="error", report="", page="", comment_url=told.comment_url)

    def _write(
        self,
        name: str,
        status: Status,
        render: "partial[str]",
        stream: TextIO,
        frame: "Frame",
        also: Sequence[str | None] = (),
    ) -> Published:
        from ci_ml.render import safe
        from ci_ml.render.markdown import utf8, utf16

        marker = Marker(name=name, head=self.change.head or "", run=self.change.run)
        place = replace(frame, measure=utf16, marker=str(marker))

        def body(longest: int) -> str:
            return render(replace(place, longest=longest))

        told = Published()
        if self.forge is not None:
            said = safe.printable(" ".join(status.sentence.split()))
            letter = Letter(marker=marker, status=replace(status, sentence=said), body=body)
            with harmless(stream):
                told = publish.publish(letter, self.forge, self.change, self.request, time.sleep)
        troubles = tuple(redact(text, self.hidden) for text in (self.trouble, *also, *told.troubles) if text)
        for text in troubles:
            print(f"note: {safe.inert(safe.printable(text))}", file=stream)
        there = replace(place, measure=utf8, marker="", troubles=troubles)
        summarize(self.env, lambda room: render(replace(there, longest=room)), stream)
        return replace(told, troubles=troubles)

    def _picture(self, report: Report) -> tuple[str | None, str | None]:
        """The address of a picture of the gates, and why there is none where there should be one."""
        from ci_ml.render import overview

        proposal = self.request.proposal
        if self.forge is None or proposal is None:
            return None, None
        run = self.change.run
        path = f"{proposal.number}/{report.name}-{run.number}.{run.attempt}.svg"
        try:
            return self.forge.picture(path, overview.gates(report).encode()), None
        except ForgeError as error:
            return None, f"No picture: {publish.sentence(error, self.change)}"

    def _outputs(self, *, outcome: str, report: str, page: str, comment_url: str | None) -> None:
        outputs(self.env, {"outcome": outcome, "report": report, "page": page, "comment-url": comment_url or ""})


def outputs(env: Mapping[str, str], values: Mapping[str, str]) -> None:
    """https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter"""
    if not (place := env.get("GITHUB_OUTPUT")):
        return
    mark = f"ci-ml-{random.token_hex(16)}"
    _append(Path(place), "".join(f"{key}<<{mark}\n{value}\n{mark}\n" for key, value in values.items()), sys.stderr)


def summarize(env: Mapping[str, str], text: Callable[[int], str], stream: TextIO) -> None:
    """Add to the job's summary; `text` is made for the bytes that are left there."""
    if not (place := env.get("GITHUB_STEP_SUMMARY")):
        return
    from ci_ml.render.markdown import utf8

    room = _SUMMARY - files.size(Path(place))
    if utf8(said := text(room)) <= room:
        _append(Path(place), said, stream)


def _append(place: Path, text: str, stream: TextIO) -> None:
    try:
        files.append(place, text)
    except CiMlError as error:
        print(f"note: {error.what}", file=stream)


SILENT = Outlet(change=Change(), forge=None, env={})


@contextlib.contextmanager
def harmless(stream: TextIO) -> Iterator[None]:
    """What goes wrong in here is a bug of ours that costs what was to be published, and never the verdict."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever it is, the verdict stands
        print("note: publishing has failed; that is a bug of ci-ml, and does not change the verdict", file=stream)
        traceback.print_tb(error.__traceback__, file=stream)  # without the message, which may hold anything
        print(f"note: it was {type(error).__name__}", file=stream)


def outlet(change: Change, env: Mapping[str, str]) -> Outlet:
    """Where this run speaks. Without a forge or a token it is only the job summary."""
    if change.forge is None or not change.repository:
        return Outlet(change=change, forge=None, env=env)
    token = _able(change, env)
    if token is None:
        what = "CI_JOB_TOKEN may not write" if change.forge == "gitlab" else "there is no token"
        return Outlet(
            change=change, forge=None, env=env, trouble=f"No comment, no status: {what}; {_NEEDED[change.forge]}."
        )
    return Outlet(change=change, forge=_forge(change, token, env), env=env)


def connect(change: Change, env: Mapping[str, str]) -> Forge:
    """The forge of this job, for what must not be left out: issues and requests of our own.

    Raises UsageError where there is none, or no token that may open them, with what to do.
    """
    if change.forge is None or not change.repository:
        raise UsageError("this is no CI job on GitHub or GitLab: there is nowhere to open an issue or a request")
    token = _able(change, env)
    if token is None:
        what = "CI_JOB_TOKEN opens neither issues nor merge requests"
        raise UsageError(what if change.forge == "gitlab" else "there is no token", _NEEDED[change.forge])
    return _forge(change, token, env)


def _able(change: Change, env: Mapping[str, str]) -> str | None:
    """The token, unless it is a job's own on GitLab: https://docs.gitlab.com/ci/jobs/ci_job_token/."""
    token = token_for(change, env)
    return None if change.forge == "gitlab" and token == env.get("CI_JOB_TOKEN") else token


def _forge(change: Change, token: str, env: Mapping[str, str]) -> Forge:
    return _github(change, token, env) if change.forge == "github" else _gitlab(change, token, env)


def token_for(change: Change, env: Mapping[str, str]) -> str | None:
    """The token that publishes, or None."""
    given = (env.get(name, "").strip() for name in (TOKEN, *_FALLBACKS.get(change.forge or "", ())))
    return next(filter(None, given), None)  # without the line end that it was pasted with


def repository(change: Change, env: Mapping[str, str]) -> str | None:
    """The address of the repository that this job is about; None outside of CI."""
    if change.forge == "github":
        return f"{env.get('GITHUB_SERVER_URL', 'https://github.com')}/{env.get('GITHUB_REPOSITORY', '')}.git"
    return f"{env.get('CI_PROJECT_URL', '')}.git" if change.forge == "gitlab" else None


def access(change: Change, env: Mapping[str, str]) -> dict[str, str]:
    """What lets git into the job's own server: a header, so that no command line and no file holds the token.

    https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT
    """
    place, token, user = repository(change, env), token_for(change, env), "x-access-token"
    if change.forge == "gitlab":
        user = "oauth2" if token else "gitlab-ci-token"
        token = token or env.get("CI_JOB_TOKEN")
    if not place or not token or "://" not in place:
        return {}
    scheme, _, rest = place.partition("://")
    basic = base64.b64encode(f"{user}:{token}".encode()).decode()
    key = f"http.{scheme}://{rest.partition('/')[0]}/.extraHeader"
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": key,  # nothing first, for the checkout may have left one, and two would be refused
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": key,
        "GIT_CONFIG_VALUE_1": f"Authorization: Basic {basic}",
    }


def without_token(change: Change, env: Mapping[str, str]) -> dict[str, str]:
    """The environment for the code of the change, which is not given the token that publishes, under any name."""
    token = token_for(change, env)
    return {name: value for name, value in env.items() if name != TOKEN and (token is None or token not in value)}


def _github(change: Change, token: str, env: Mapping[str, str]) -> Forge:
    own = client("github", token, env, patience(env))
    graphql = env.get("GITHUB_GRAPHQL_URL") or f"{own.base.rstrip('/').removesuffix('/v3')}/graphql"
    author = env.get(OWNER) or None
    web = env.get("GITHUB_SERVER_URL") or "https://github.com"
    return github.GitHub(client=own, repository=change.repository or "", graphql=graphql, author=author, web=web)


def _gitlab(change: Change, token: str, env: Mapping[str, str]) -> Forge:
    own = client("gitlab", token, env, patience(env))
    web = env.get("CI_MERGE_REQUEST_PROJECT_URL") or env.get("CI_PROJECT_URL")
    return gitlab.GitLab(client=own, project=change.repository or "", web=web)


def client(kind: str, token: str, env: Mapping[str, str], patience: float) -> http.Client:
    """A client for the forge of this job, or of this machine's environment."""
    if kind == "github":
        base = env.get("GITHUB_API_URL") or github.API
        return http.Client(name="GitHub", base=base, headers=github.headers(token), patience=patience)
    base = env.get("CI_API_V4_URL") or f"{(env.get('CI_SERVER_URL') or 'https://gitlab.com').rstrip('/')}/api/v4"
    return http.Client(name="GitLab", base=base, headers=gitlab.headers(token), patience=patience)


def patience(env: Mapping[str, str], usual: float = _PATIENCE) -> float:
    """Seconds that a job may spend waiting for a forge that is down or busy; what is no number changes nothing."""
    given = env.get(PATIENCE, "")
    return min(3600.0, float(given)) if re.fullmatch(r"\d{1,9}(\.\d+)?", given, re.ASCII) else usual


def run(report: Report, place: Path, stream: TextIO, *, dry: bool = False) -> Published | str:
    """Publish a report that another run made: it is checked against what this run's own event says, and rendered again.

    Raises UsageError when it is about something else, ConfigError when it contradicts itself, ForgeError when it could
    not be published.
    """
    env = dict(os.environ)
    change = context.read(env)
    out = outlet(change, env)
    if change.forge is None:
        raise UsageError("this is no CI job on GitHub or GitLab: there is nothing to publish to")
    _must_be_about(report, out)
    if problems := contradictions(report := unwaived(report)):
        raise ConfigError(f"{place} contradicts itself", problems[:20], "publish only what ci-ml has written")
    judged, trouble = out.waived(report)
    if change.outsider:
        claim = f"Computed by a run for {change.outsider}, whose change may decide what such a run reports."
        judged = judged.model_copy(update={"notices": (claim, *judged.notices)})
    if dry:
        from ci_ml.render import markdown

        return markdown.report(judged, markdown.Place(run_url=change.run_url))
    told = out.tell(judged, stream, place, trouble)
    if out.trouble or told.failed:
        raise ForgeError("the report was not, or not wholly, published", "see the notes above")
    return told


def _must_be_about(report: Report, out: Outlet) -> None:
    """Raises UsageError when a report is not about the commit, the repository and the number that this run is about."""
    claimed, change = report.change, out.change
    known = [sha for sha in (change.head, change.checked_out) if sha]
    about = claimed.head if claimed and claimed.head else report.head.sha
    if about is None or about not in known:
        one, other = (about or "no commit")[:7], (known[0][:7] if known else "no commit")
        raise UsageError(
            f"the report is about {one}, and this run about {other}", "give the report of the run that started this one"
        )
    if claimed is None:
        return
    number = change.number or (out.request.proposal.number if out.request.proposal else None)
    for what, theirs, ours in (
        ("forge", claimed.forge, change.forge),
        ("repository", claimed.repository, change.repository),
        ("number", claimed.number, number),
    ):
        if theirs is not None and ours is not None and theirs != ours:
            raise UsageError(f"the report is about another {what} ({theirs}) than this run ({ours})")
