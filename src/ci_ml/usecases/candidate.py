"""Whether a report allows a model to be promoted: it is about this commit, about these bytes, and says yes.

Layer: usecases. Nothing here asks a registry or a forge. What is missing is a reason to refuse, never one to let pass.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ci_ml.core import upheld
from ci_ml.core.bundle import Bundle
from ci_ml.core.config import LoadedConfig
from ci_ml.core.listing import some
from ci_ml.core.pipeline import Pipeline, covering
from ci_ml.core.report import Report, contradictions, unwaived
from ci_ml.core.types import Outcome
from ci_ml.errors import Withheld
from ci_ml.ports import History

_STALE = "let `ci-ml ci` judge this commit, and promote with the report that it leaves"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A report, where it is, and what it is held against.

    `policies` are the ci-ml.yaml that may have judged, by the commit that they are of. `committed` is DVC's digest of
    the model in the commit's own dvc.lock, None when that has none.
    """

    report: Report
    place: str
    head: str
    policies: dict[str, LoadedConfig]
    committed: str | None


def judged(found: Evidence) -> Outcome:
    """What the report says, waivers aside, once it is sure that nobody has edited it. Raises Withheld."""
    report = found.report
    if report.subject != "change":
        raise Withheld(f"{found.place} is about production, not about a change", _STALE)
    plain = unwaived(report)
    if problems := contradictions(plain):
        raise Withheld(f"{found.place} contradicts itself: {some(problems, 3, between='; ')}", _STALE)
    return plain.verdict.outcome


def about(found: Evidence, history: History, pipeline: Pipeline, differing: Callable[[str, str], Sequence[str]]) -> str:
    """The commit that was judged, which is HEAD, one of the same files, or the one that HEAD records a training of.

    `differing` are the files in which two commits differ. Raises Withheld for a report of another commit.
    """
    report, head = found.report, found.head
    sha = report.head.sha
    if sha is None:
        raise Withheld(f"{found.place} names no commit", _STALE)
    if report.head.dirty and report.change is None and not _is_committed(found):
        what = f"{found.place} is about a work tree that was never committed (on top of {sha[:7]})"
        raise Withheld(what, "commit, judge the commit, and promote with that report")
    if sha == head:
        return sha
    if history.commit(sha) is None and (remote := history.remote()):
        history.fetch("--depth=1", remote, sha)
    if history.commit(sha) is None:
        raise Withheld(f"{found.place} is about {sha[:7]}, and HEAD is {head[:7]}", _STALE)
    changed = [path for path in differing(sha, head) if not _is_recorded(path, pipeline)]
    if not changed:
        return sha
    raise Withheld(f"{found.place} is about {sha[:7]}, and HEAD {head[:7]} has other files: {some(changed, 3)}", _STALE)


def _is_recorded(path: str, pipeline: Pipeline) -> bool:
    """Whether a file is what training leaves in git: dvc.lock, numbers, and what keeps data out of it."""
    name = path.rpartition("/")[2]
    return name in ("dvc.lock", ".gitignore") or covering(path, pipeline.outputs()) is not None


def _is_committed(found: Evidence) -> bool:
    """Whether every output that was judged is the one of the commit's dvc.lock, as far as the model goes."""
    return found.committed is not None and any(out.digest == found.committed for out in found.report.outputs)


def policy(found: Evidence) -> None:
    """Raises Withheld when other gates have judged than those of this commit, or of the base that was compared with.

    That the digest is right says nothing of the comparisons: each has to ask for what its gate asks for.
    """
    digest = found.report.policy.digest
    judge = next((one for one in found.policies.values() if one.digest == digest), None)
    if judge is None:
        known = some(sorted(found.policies), 3)
        raise Withheld(f"{found.place} is stale: another ci-ml.yaml has judged than that of {known}", _STALE)
    if problems := upheld.weakened(found.report, judge.config):
        what = f"{found.place} was not judged by the ci-ml.yaml that it names: {some(problems, 3, between='; ')}"
        raise Withheld(what, _STALE)


def recorded(found: Evidence, digests: Collection[str], here: Collection[str], ledger: Collection[str]) -> None:
    """Raises Withheld when no record of a verdict on this commit is this report's.

    `digests` are what the report may be recorded by: with its waivers and without, and as the same verdict come to
    twice; `here` and `ledger` are the reports that records are about. The ledger's word counts before that of files,
    which whoever edits a report can make anew.
    """
    if ledger and not set(digests) & set(ledger):
        what = f"{found.place} is none of the reports on this commit that the ledger has: it was edited, or made since"
        raise Withheld(
            what, "where it was judged again and came out otherwise, `ci-ml audit record` enters that verdict"
        )
    if not ledger and here and not set(digests) & set(here):
        what = f"{found.place} is none of the reports that were recorded for this commit: it was edited since"
        raise Withheld(what, _STALE)
    if not ledger and not here:
        what = f"no record says that {found.place} is a verdict on this commit: neither the ledger nor a file has one"
        raise Withheld(what, "bring the folder `records` that the job that judged has left beside it, or judge again")


def bytes_(found: Evidence, bundle: Bundle, output: str) -> None:
    """Raises Withheld when the report names no digest of the model, or not that of the bytes that are here.

    `output` is the output of the pipeline that holds the model, which may be a folder around it.
    """
    named: Sequence[str] = [out.digest for out in found.report.outputs if out.path == output]
    if not named:
        known = some([out.path for out in found.report.outputs], 5) or "none"
        what = f"{found.place} says no digest of {output}; it names: {known}"
        raise Withheld(what, "the model has to be an output of a stage in dvc.yaml, so that dvc.lock knows it")
    if bundle.dvc not in named:
        what = f"{bundle.path} is not the model that was judged: it is {bundle.dvc}, and {found.place} says {named[0]}"
        raise Withheld(what, "`dvc checkout` brings back what dvc.lock says; or judge what is here")
