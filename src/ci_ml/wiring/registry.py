"""Registered models: which is meant, what may be promoted, where it is written down. Layer: wiring."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TextIO

from ci_ml.adapters import files, fingerprints
from ci_ml.adapters.dvc import commands, definitions, digests
from ci_ml.core import judgements, promotions, statements
from ci_ml.core.approvals import Approval, Merged, brought, counted
from ci_ml.core.bundle import Bundle
from ci_ml.core.chain import Entry
from ci_ml.core.config import Config, LoadedConfig
from ci_ml.core.listing import some
from ci_ml.core.pipeline import Digest, covering
from ci_ml.core.promotions import Action, ApprovalPart, OriginPart, Promotion, Step
from ci_ml.core.registry import ADDRESS, RegisteredConfig
from ci_ml.core.report import MAX_BYTES, Report, WaiverPart, load, unwaived
from ci_ml.core.statements import Kind, Statement, Subject
from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Outcome
from ci_ml.errors import ConfigError, DependencyError, Overtaken, UsageError, Withheld
from ci_ml.ports import Forge, Registry
from ci_ml.usecases import candidate, lineage, policy, promote
from ci_ml.usecases.candidate import Evidence
from ci_ml.usecases.promote import Around, Candidate, Moved
from ci_ml.wiring import chronicle, publishing, training
from ci_ml.wiring.workspace import Workspace, require_dvc

REPORT = "report.json"
_NEEDED = "it is counted in a CI job on GitHub or GitLab, with a token that may read pull or merge requests"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A model under `registry`, and the configuration of the commit that says so."""

    name: str
    about: RegisteredConfig
    config: Config
    digest: str
    commit: str


def find(space: Workspace, name: str) -> Registered:
    """A model by its name, as the commit says, for what is not committed asks for nothing. Raises UsageError."""
    commit = space.head.sha
    assert commit is not None
    path = space.project.config
    loaded = policy.load(space.history.tree(commit), path, f"{path} at {space.head.short}")
    if loaded is None:
        raise UsageError(f"{space.head.short} has no {path}", "commit it: what is promoted is what is committed")
    about = loaded.config.registry.get(name)
    if about is None:
        known = ", ".join(loaded.config.registry)
        hint = f"there are: {known}" if known else "say what is registered under `registry`: docs/registry.md"
        raise UsageError(f"there is no model {name} under registry in {path} at {space.head.short}", hint)
    return Registered(name=name, about=about, config=loaded.config, digest=loaded.digest, commit=commit)


def models(space: Workspace) -> Registry:
    """Where models are registered."""
    from ci_ml.adapters.mlflow import registries

    return registries.opened(training.tracker(space), space.env.get("MLFLOW_REGISTRY_URI"))


def unshared(space: Workspace) -> str | None:
    """Why the store in `.ci-ml` cannot be the registry, where none is named; None where it can, or one is.

    What is on the machine of a job goes with it, and where the ledger is on a server, others build on what it says of
    the registry. A secret that is missing arrives as an empty variable. A store that is named is taken, wherever it is.
    """
    if space.env.get(ADDRESS):
        return None
    if _is_job(space):
        return f"{ADDRESS} is not set, or empty: a registry on the machine of this job would be gone with it"
    if remote := space.history.remote():
        return f"{ADDRESS} is not set: who shares the ledger on {remote} could not reach a registry on this machine"
    return None


def require_lasting(space: Workspace) -> None:
    """Raises UsageError where the registry would be one that nobody else can reach."""
    if (reason := unshared(space)) is None:
        return
    if _is_job(space):
        raise UsageError(
            reason,
            "set it in the job, by the generated file with `promote: {secrets: {MLFLOW_TRACKING_URI: NAME}}` under "
            "`pipelines`; a secret that does not exist is empty",
        )
    raise UsageError(
        reason,
        "set it to the address of the registry; a file or a SQLite store is taken, too, if you name it: "
        "sqlite:///FOLDER/mlflow.db",
    )


def _is_job(space: Workspace) -> bool:
    return space.change.forge is not None or space.env.get("CI", "").lower() in ("true", "1")


@dataclass(frozen=True)
class Chronicled:
    """The ledger of a repository, as far as it is about models; `evidence` comes into it with the first entry."""

    space: Workspace
    evidence: tuple[Statement, ...] = ()

    def read(self, model: str) -> tuple[Step, ...]:
        """What the ledger says of a model. Raises DependencyError for an entry that is none of ours."""
        found = chronicle.find(self.space, Kind.PROMOTION, model)
        return tuple(_step(entry, record.predicate) for entry, record in found)

    def models(self) -> tuple[str, ...]:
        """The models that the ledger has an entry of, by name. Raises DependencyError when it cannot be read."""
        _, book = chronicle.read(self.space)
        return tuple(sorted({one.subject for one in chronicle.ordered(book) if one.kind is Kind.PROMOTION}))

    def enter(self, what: Promotion, digest: Mapping[str, str], last: str | None) -> Step:
        """Keep a record and enter it, unless the model has a newer one than `last`."""
        subject = Subject(name=what.model, digest=dict(digest))
        hidden = secrets(self.space.env)
        clean = statements.cleaned(what.data(), lambda text: redact(text, hidden))
        record = statements.statement(Kind.PROMOTION, [subject], clean)
        chronicle.keep(self.space, record)

        def guard(entries: Sequence[Entry]) -> None:
            mine = (entry for entry in reversed(entries) if (entry.kind, entry.subject) == (Kind.PROMOTION, what.model))
            newest = next(mine, None)
            if any(entry.record == record.digest for entry in entries):
                return  # somebody has entered just this
            if newest is not None and newest.record != last:
                who = f" by {newest.by}" if newest.by else ""
                where = f" in {newest.run_url}" if newest.run_url else ""
                raise Overtaken(
                    f"another run was faster: it has entered {newest.record[:19]} for {what.model} at "
                    f"{newest.at:%H:%M:%S} UTC{who}{where}",
                    f"`ci-ml history {what.model}` tells what it did; run this again if it is still wanted",
                )

        evidence = self.evidence if what.action is Action.BEGIN else ()
        made = chronicle.enter(self.space, [*evidence, record], guard=guard)
        entry = next(one for one in made if one.record == record.digest)
        return _step(entry, record.predicate)


def _step(entry: Entry, predicate: Mapping[str, object]) -> Step:
    try:
        return promotions.step(entry, predicate)
    except ValueError as error:
        raise DependencyError(
            f"entry {entry.number} of the ledger is {error}", "`ci-ml audit verify` tells whether somebody edited it"
        ) from None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asked to promote: the aliases, the report to go by, and the number of the change, if named."""

    model: Registered
    aliases: tuple[str, ...]
    place: Path
    number: int | None


@dataclass(kw_only=True)
class _Case:
    """Everything that is looked at before a model is promoted."""

    space: Workspace
    asked: Asked
    stream: TextIO

    @cached_property
    def data(self) -> bytes:
        place = self.asked.place
        try:
            with place.open("rb") as stream:
                return stream.read(MAX_BYTES + 1)
        except OSError as error:
            hint = "`ci-ml ci` writes one, or name it: --report FILE"
            raise UsageError(f"there is no report {place}: {error.strerror}", hint) from None

    @cached_property
    def report(self) -> Report:
        return load(self.data, str(self.asked.place))

    @cached_property
    def output(self) -> str:
        """The output of the pipeline that is the model, or a folder around it."""
        path = self.space.project.inside(self.asked.model.about.model)
        found = covering(path, self.space.head_pipeline.outputs())
        if found is None:
            made = some(list(self.space.head_pipeline.outputs()), 5)
            raise UsageError(
                f"registry.{self.asked.model.name}.model: no stage makes {path}",
                f"name an output of the pipeline; there are: {made}",
            )
        return found

    @cached_property
    def recorded(self) -> Digest | None:
        """DVC's digest of that output, as the work tree's dvc.lock has it."""
        return self.space.head_pipeline.outputs()[self.output][0].recorded

    @cached_property
    def evidence(self) -> Evidence:
        space, commit = self.space, self.asked.model.commit
        known = space.pipeline(space.history.tree(commit)).outputs().get(self.output)
        committed = str(known[0].recorded) if known and known[0].recorded else None
        return Evidence(
            report=self.report,
            place=str(self.asked.place),
            head=commit,
            policies=self._policies(),
            committed=committed,
        )

    def _policies(self) -> dict[str, LoadedConfig]:
        """What may have judged: the ci-ml.yaml of this commit, of the one that was judged, or of its base."""
        space, path = self.space, self.space.project.config
        model = self.asked.model
        found = {f"this commit {model.commit[:7]}": LoadedConfig(config=model.config, digest=model.digest)}
        base = self.report.base.sha if self.report.policy.source == "base" else None
        if base and self.report.policy.digest != model.digest and self._precedes(base, model.commit):
            with contextlib.suppress(ConfigError):  # a file that cannot be read has judged nothing
                loaded = policy.load(space.history.tree(base), path, f"{path} at {base[:7]}")
                if loaded is not None:
                    found[f"its base {base[:7]}"] = loaded
        return found

    def require_recorded(self) -> None:
        """Raises Withheld for a report that no record for its commit is about."""
        whole = (self.report, unwaived(self.report))
        digests = {statements.digest(one.to_json().encode("utf-8", "backslashreplace")) for one in whole}
        digests.add(statements.digest(self.data))
        here = {name for record in self._kept() if (name := self._judged(record))}
        found = chronicle.find(self.space, Kind.VERDICT, self.report.head.sha)
        ledger = {entry: name for entry, record in found if (name := self._judged(record))}
        own = judgements.verdict(self.report, name=self.space.project.config, digest="")
        again = {name for entry, record in found if (name := ledger.get(entry)) and judgements.alike(record, own)}
        audit, digests = self.asked.model.config.audit, digests | again
        candidate.recorded(self.evidence, digests, here, ledger.values())
        mine = [entry for entry, name in ledger.items() if name in digests]
        if mine and audit.sign is not None and (audit.public_keys or audit.identities):
            self._require_signed(mine)

    def _kept(self) -> tuple[Statement, ...]:
        """Records as files: where ours are, and beside the report that somebody names."""
        space, beside = self.space, self.asked.place.parent
        found = chronicle.kept(space)
        if beside.resolve() != space.output.resolve():
            with contextlib.suppress(UsageError):  # a folder that is not ours may have anything in it
                found += chronicle.kept(replace(space, output=beside))
        return found

    def _require_signed(self, entries: Sequence[Entry]) -> None:
        """Raises Withheld where nobody who is believed has signed the record of the verdict."""
        from ci_ml.wiring import signing

        if any(entry.number < signing.configured(self.space).signed_from for entry in entries):
            return
        _, book = chronicle.read(self.space)
        found = signing.findings(self.space, book, entries)
        if all(one.by is None for one in found.values()):
            number, one = next(iter(found.items()))
            what = f"entry {number} of the ledger, the verdict of {self.asked.place}, does not count: {one.why}"
            raise Withheld(what, "look who entered it; `ci-ml audit sign` signs what is right")

    def _judged(self, record: Statement) -> str | None:
        """The digest of the report that a record is about, if that is a verdict on this commit by this file."""
        said = record.predicate
        about = (statements.at(said, "ciMl", "head", "sha"), statements.at(said, "ciMl", "about"))
        names = [statements.at(one, "name") for one in said.get("configuration") or ()]
        mine = about == (self.report.head.sha, "change") and names == [self.space.project.config]
        return str(statements.at(said, "ciMl", "report")) if record.kind is Kind.VERDICT and mine else None

    def _precedes(self, one: str, other: str) -> bool:
        return lineage.precedes(self.space.history, one, other, lambda text: print(f"note: {text}", file=self.stream))

    @cached_property
    def forge(self) -> Forge | None:
        return publishing.outlet(self.space.change, self.space.env).forge

    def origin(self, judged: str) -> Merged:
        """The request that brought the commit. Raises Withheld where there is none that can be told from others."""
        if self.forge is None:
            raise Withheld("who has approved this commit cannot be known here", _NEEDED)
        commits = dict.fromkeys((judged, self.asked.model.commit))
        if self.asked.number is not None:
            one = self.forge.origin(self.asked.number)
            found = tuple(one for sha in commits if brought(sha, (one,)))[:1]
        else:
            found = next((got for sha in commits if (got := brought(sha, self.forge.origins(sha)))), ())
        if not found:
            what = f"#{self.asked.number} has not brought" if self.asked.number else "no merged request has brought"
            hint = "merge it with a pull or merge request, or name the one it came with: --change NUMBER"
            raise Withheld(f"{what} {judged[:7]}, so nobody has approved it", hint)
        if len(found) > 1:
            numbers = some([f"#{one.number}" for one in found], 5)
            raise Withheld(f"{judged[:7]} came with several requests: {numbers}", "name one: --change NUMBER")
        return found[0]

    def approvals(self, origin: Merged) -> tuple[Approval, ...]:
        """Those that count for every alias. Raises Withheld when one lacks some."""
        assert self.forge is not None
        counting: dict[str, Approval] = {}
        for alias in self.asked.aliases:
            needed = self.asked.model.about.aliases[alias]
            if not needed.approvals:
                continue
            given = self.forge.approvals(origin, needed.from_)
            fine = counted(given)
            if len(fine) < needed.approvals:
                doubts = [one.doubt for one in given if one.doubt]
                more = f"; not counted: {some(doubts, 5, between='; ')}" if doubts else ""
                among = f" by {', '.join(needed.from_)}" if needed.from_ else ""
                raise Withheld(
                    f"{alias} of {self.asked.model.name} needs {needed.approvals} approvals{among} of "
                    f"#{origin.number}, and has {len(fine)}{more}",
                    f"let somebody approve its last commit: {origin.url}" if origin.url else None,
                )
            counting |= {one.by: one for one in fine}
        return tuple(counting.values())

    def waivers(self, judged: str) -> tuple[WaiverPart, ...]:
        """Who accepted a verdict that says no, if the forge says so, too. Raises Withheld."""
        report = self.report
        if not report.verdict.waivers:
            raise Withheld(
                f"the report says {report.verdict.outcome.value}: {report.verdict.sentence}",
                "only what passes is promoted",
            )
        origin = self.origin(judged)
        assert self.forge is not None
        for waiver in report.verdict.waivers:
            found = self.forge.labelling(origin.number, waiver.label)
            if found is None or found.doubt or found.by != waiver.by:
                why = found.doubt if found and found.doubt else f"#{origin.number} has no such label by {waiver.by}"
                raise Withheld(f"the waiver of {waiver.by} does not count: {why}", "only what passes is promoted")
        return report.verdict.waivers

    def bundle(self) -> Bundle:
        """The model's bytes, brought from DVC's remote where they are not here."""
        space, about = self.space, self.asked.model.about
        path, root = space.project.inside(about.model), space.project.root
        if not (root / path).exists():
            print(f"note: {path} is not here: DVC gets it", file=self.stream)
            env = publishing.without_token(space.change, space.env)
            target = f"./{self.output.removeprefix(f'{space.project.dvc}/') if space.project.dvc else self.output}"
            try:
                commands.run([["pull", "--", target]], cwd=root / (space.project.dvc or ""), env=env)
            except DependencyError as error:
                raise self._nowhere(path, error) from None
        ignore = digests.ignore_rules(space.head_tree, space.project.dvc or "")
        facts = digests.Digests(root=root, outputs={}, stamp=-1.0, ignore=ignore)
        like = self.recorded or Digest(algorithm="md5", value="")
        return fingerprints.bundle(path, root / path, ignore, lambda: str(facts(self.output, like)))

    def _nowhere(self, path: str, error: DependencyError) -> DependencyError:
        """What is said of a model that is not here, and that DVC does not get."""
        space = self.space
        remote = definitions.default_remote(space.head_tree, space.project.dvc or "")
        where = f"its remote {redact(remote, secrets(space.env))}" if remote else "a remote, for it has none by default"
        return DependencyError(
            f"{path} ({self.recorded or 'which dvc.lock has no digest of'}) is neither here nor in DVC's cache, and "
            f"DVC cannot get it from {where}: {error.what.rstrip(':')}",
            error.hint
            or f"`dvc push {path}` from where it is, or look at the remote (`dvc remote list`); where it is gone, "
            "train and judge again",
        )


def promoted(
    space: Workspace,
    name: str,
    aliases: Sequence[str],
    stream: TextIO,
    *,
    report: str | None = None,
    number: int | None = None,
    forced: bool = False,
) -> Moved:
    """Promote the model of this commit to some aliases, the first one under `registry` where none is named.

    Raises Withheld when it may not be, UsageError when the question makes no sense, DependencyError.
    """
    require_dvc(space)
    require_lasting(space)
    asked = _asked(space, find(space, name), aliases, report, number)
    case = _Case(space=space, asked=asked, stream=stream)
    chosen, verdict = _candidate(case)
    evidence = _evidence(space, chosen, verdict)
    around = _around(space, Chronicled(space, evidence), stream)
    return _told(space, promote.promote(name, asked.aliases, chosen, around, forced=forced), around.registry, stream)


def _asked(
    space: Workspace, model: Registered, aliases: Sequence[str], report: str | None, number: int | None
) -> Asked:
    chosen = tuple(dict.fromkeys(aliases)) or (next(iter(model.about.aliases)),)
    if stranger := next((alias for alias in chosen if alias not in model.about.aliases), None):
        hint = f"there are: {', '.join(model.about.aliases)}"
        raise UsageError(f"there is no alias {stranger} under registry.{model.name}.aliases", hint)
    place = space.here / report if report else space.output / REPORT
    return Asked(model=model, aliases=chosen, place=place, number=number)


def _candidate(case: _Case) -> tuple[Candidate, Statement]:
    """The model, once its report, its bytes and its approvals allow it. What costs nothing is asked first."""
    space, asked, evidence = case.space, case.asked, case.evidence
    outcome = candidate.judged(evidence)
    judged = candidate.about(evidence, space.history, space.head_pipeline, space.history.differing)
    candidate.policy(evidence)
    waivers = case.waivers(judged) if outcome in (Outcome.FAIL, Outcome.UNDECIDED) else ()
    bundle = case.bundle()
    candidate.bytes_(evidence, bundle, case.output)
    case.require_recorded()
    if asked.model.about.serve is not None and not bundle.can_load:
        raise Withheld(
            f"{bundle.path} is no folder with a file MLmodel, and registry.{asked.model.name}.serve wants it loaded",
            "let the stage save it with mlflow's save_model",
        )
    origin = None
    approvals: tuple[Approval, ...] = ()
    if any(asked.model.about.aliases[alias].approvals for alias in asked.aliases):
        origin = case.origin(judged)
        approvals = case.approvals(origin)
    verdict = chronicle.keep_verdict(space, case.report)
    change = None
    if origin is not None:
        change = OriginPart(forge=space.change.forge or "", number=origin.number, url=origin.url)
    return Candidate(
        bundle=bundle,
        commit=asked.model.commit,
        report=statements.digest(case.data),
        policy=case.report.policy.digest,
        outcome=outcome.value,
        verdict=verdict.digest,
        training=statements.at(verdict.predicate, "ciMl", "training"),
        run=case.report.training.mlflow_run if case.report.training else None,
        lock=space.lock,
        change=change,
        approvals=tuple(ApprovalPart(by=one.by, at=one.at, what=one.what) for one in approvals),
        waivers=waivers,
    ), verdict


def _evidence(space: Workspace, chosen: Candidate, verdict: Statement) -> tuple[Statement, ...]:
    """What the promotion rests on comes into the ledger with it: the verdict, and the training where it is at hand."""
    if chosen.training is None:
        return (verdict,)
    place = space.output / chronicle.FOLDER / f"{chosen.training.removeprefix('sha256:')}.json"
    with contextlib.suppress(ValueError, OSError):
        found = statements.read(files.read_plain(place, statements.MAX_BYTES + 1))
        if found.digest == chosen.training:
            return (found, verdict)
    return (verdict,)


def rolled_back(
    space: Workspace, name: str, alias: str | None, to: str | None, why: str, stream: TextIO, *, forced: bool = False
) -> Moved:
    """Let an alias be an earlier version again. Raises UsageError, DependencyError."""
    require_lasting(space)
    model = find(space, name)
    chosen = alias or next(iter(model.about.aliases))
    if chosen not in model.about.aliases:
        hint = f"there are: {', '.join(model.about.aliases)}"
        raise UsageError(f"there is no alias {chosen} under registry.{name}.aliases", hint)
    if not why.strip():
        raise UsageError("a rollback has a reason", "say it: --why TEXT")
    around = _around(space, Chronicled(space), stream)
    guarded = model.about.aliases[chosen].approvals > 0
    reason = redact(why.strip(), secrets(space.env))[:2000]  # as the ledger has it, by which it is known again
    done = promote.rollback(name, chosen, to, reason, around, forced=forced, guarded=guarded)
    return _told(space, done, around.registry, stream)


def _around(space: Workspace, ledger: Chronicled, stream: TextIO) -> Around:
    def say(text: str) -> None:
        print(f"note: {text}", file=stream)

    return Around(
        registry=models(space),
        ledger=ledger,
        now=lambda: chronicle.now(space),
        say=say,
        is_newer=lambda one, other: one != other and lineage.precedes(space.history, one, other, say),
    )


def _told(space: Workspace, done: Moved, registry: Registry, stream: TextIO) -> Moved:
    for limit in registry.limits:
        print(f"note: {limit}", file=stream)
    values = {"version": done.version or "", "promoted": str(done.changed).lower(), "record": done.record or ""}
    publishing.outputs(space.env, values)
    return done


def anchors(space: Workspace) -> dict[str, str]:
    """The entries of the ledger that versions of registered models remember, by NAME/VERSION; none without any.

    Raises UsageError where no registry is named that others could have promoted to, DependencyError when it is down.
    """
    loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    found: dict[str, str] = {}
    if loaded is None or not loaded.config.registry:
        return found
    if reason := unshared(space):
        raise UsageError(
            f"what versions of models remember of the ledger cannot be asked: {reason}",
            "set it, or verify without: --no-registry",
        )
    registry = models(space)
    for name in loaded.config.registry:
        for version, tags in registry.versions(name).items():
            if entry := tags.get(promote.ENTRY):
                found[f"{name}/{version}"] = entry
    return found
