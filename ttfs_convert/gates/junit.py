"""Gates as JUnit XML, one test case each, which every CI system reads."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ..measurement.accuracy_drift import Verdict
from ..report.schema import Report
from .gate_text import title

NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML 1.0 cannot say, escaped or not
ELEMENTS = {Verdict.FAILED.value: "failure", Verdict.INCONCLUSIVE.value: "error"}


def junit(report: Report) -> str:
    """The document: a gate that failed is a failure, one that is inconclusive an error."""
    counts = {f"{element}s": str(sum(gate.outcome == outcome for gate in report.gates)) for outcome, element in ELEMENTS.items()}
    suite = ElementTree.Element("testsuite", {"name": "ttfs-convert", "tests": str(len(report.gates)), **counts, "skipped": "0"})
    for gate in report.gates:
        case = ElementTree.SubElement(suite, "testcase", classname=_clean(f"ttfs.{report.model.name}"), name=_clean(title(gate)), time="0")
        if gate.outcome in ELEMENTS:
            ElementTree.SubElement(case, ELEMENTS[gate.outcome], type=gate.outcome, message=_clean(gate.detail)).text = _clean(gate.detail)
        else:
            ElementTree.SubElement(case, "system-out").text = _clean(gate.detail)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return NO_XML.sub("\ufffd", text)
