"""JUnit XML for the test views of GitLab, GitHub and others: a test case for each gate and slice. Layer: render.

GitLab shows the text inside of failure, error and skipped, and not their attributes:
https://docs.gitlab.com/ci/testing/unit_test_reports/#junit-xml-format-specification
"""

from xml.etree import ElementTree as ET

from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Outcome, Require
from ci_ml.render import safe, words
from ci_ml.render.findings import distinct, label, line, said, unexplained

_KIND = {Outcome.FAIL: "failure", Outcome.UNDECIDED: "error"}


def report(content: Report) -> str:
    """One test suite. What blocks is a failure, what cannot be decided an error, what is not judged skipped."""
    names = distinct(label(item.name) for item in content.comparisons)
    cases = [_case(content.name, name, item) for name, item in zip(names, content.comparisons, strict=True)]
    if unexplained(content):
        cases.insert(0, _verdict(content))
    seconds = f"{content.training.seconds if content.training else 0:.3f}"
    counts = {"failures": _count(cases, "failure"), "errors": _count(cases, "error")}
    counts |= {"tests": len(cases), "skipped": _count(cases, "skipped")}
    suite = ET.Element(
        "testsuite", {"name": content.name, **{key: str(n) for key, n in counts.items()}, "time": seconds}
    )
    suite.append(_properties(content))
    suite.extend(cases)
    root = ET.Element("testsuites", name="ci-ml", time=seconds)
    root.append(suite)
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{safe.inert_markup(ET.tostring(root, "unicode"))}\n'


def _count(cases: list[ET.Element], tag: str) -> int:
    return sum(case.find(tag) is not None for case in cases)


def _properties(content: Report) -> ET.Element:
    """What was judged, for those who find the file later."""
    found = ET.Element("properties")
    run = content.change.run_url if content.change else None
    told = {
        "outcome": content.verdict.outcome.value,
        "sentence": safe.shortened(content.verdict.sentence, 1000),
        "base": content.base.label,
        "head": words.head(content),
        "policy": content.policy.digest,
        **({"run": run} if run else {}),
        **{f"waiver.{number}": text for number, text in enumerate(words.waivers(content), 1)},
    }
    for name, value in told.items():
        ET.SubElement(found, "property", name=name, value=line(value))
    return found


def _case(suite: str, name: str, item: ComparisonPart) -> ET.Element:
    case = ET.Element("testcase", classname=suite, name=name, time="0")
    if item.declared is not None:
        case.set("file", safe.printable(item.declared.path))
        if item.declared.line:
            case.set("line", str(item.declared.line))
    why = _skipped(item)
    if why is not None:
        _told(case, "skipped", item.status.value, why)
    elif item.impact in _KIND:
        _told(case, _KIND[item.impact], item.status.value, said(item))
    elif item.impact is Outcome.WARN:
        ET.SubElement(case, "system-out").text = f"warning: {said(item)}"
    return case


def _verdict(content: Report) -> ET.Element:
    """What no gate says: without it, a verdict that blocks would look like tests that pass."""
    case = ET.Element("testcase", classname=content.name, name="verdict", time="0")
    sentence = line(safe.shortened(content.verdict.sentence, 1000))
    kind = _KIND.get(content.verdict.outcome)
    if kind:
        _told(case, kind, content.verdict.outcome.value, sentence)
    else:
        ET.SubElement(case, "system-out").text = f"warning: {sentence}"
    return case


def _told(case: ET.Element, tag: str, kind: str, text: str) -> None:
    ET.SubElement(case, tag, type=kind, message=text).text = text


def _skipped(item: ComparisonPart) -> str | None:
    """Why a comparison is no test; None when it is one."""
    if item.too_small:
        return said(item)
    return f"only reported: {said(item)}" if item.require is Require.REPORT else None
