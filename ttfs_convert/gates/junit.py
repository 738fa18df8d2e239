"""Gates as JUnit XML, one test case each, which every CI system reads."""

from __future__ import annotations

from xml.etree import ElementTree

from ..measurement.accuracy_drift import Verdict
from ..report.schema import Report
from ..shown import shown_text
from .gate_text import title

ELEMENTS = {Verdict.FAILED.value: "failure", Verdict.INCONCLUSIVE.value: "error"}


def junit(report: Report) -> str:
    """The document: a gate that failed is a failure, one that is inconclusive an error."""
    counts = {f"{element}s": str(sum(gate.outcome == outcome for gate in report.gates)) for outcome, element in ELEMENTS.items()}
    suite = ElementTree.Element("testsuite", {"name": "ttfs-convert", "tests": str(len(report.gates)), **counts, "skipped": "0"})
    for gate in report.gates:
        case = ElementTree.SubElement(suite, "testcase", classname=shown_text(f"ttfs.{report.model.name}"), name=shown_text(title(gate)), time="0")
        if gate.outcome in ELEMENTS:
            ElementTree.SubElement(case, ELEMENTS[gate.outcome], type=gate.outcome, message=shown_text(gate.detail)).text = shown_text(gate.detail)
        else:
            ElementTree.SubElement(case, "system-out").text = shown_text(gate.detail)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"
