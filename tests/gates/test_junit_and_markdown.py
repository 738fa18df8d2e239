"""What CI systems read of gates, with names that are markup."""

from xml.etree import ElementTree

from tests.gates.reports import layer, report
from ttfs_convert.gates.gate_list import Gate
from ttfs_convert.gates.judge import judged
from ttfs_convert.gates.junit import junit
from ttfs_convert.gates.markdown import markdown

NAME = 'a<b>&"|`c`\x01\n*d*'
GATES = [Gate("max-drop", 2), Gate("max-latency", 3), Gate("max-layer-error", 0.01), Gate("max-drop", 1, "<psnr>")]
REPORT = report(layers=(layer(NAME),), notes=(f"layer {NAME}",))
JUDGED = judged(REPORT.model_copy(update={"model": REPORT.model.model_copy(update={"name": NAME})}), GATES)


def test_junit_has_one_case_a_gate():
    (suite,) = ElementTree.fromstring(junit(JUDGED))
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == dict(tests="4", failures="2", errors="1", skipped="0")
    assert [case.get("name") for case in suite] == ["max-drop 2 pp", "max-latency 3 steps", "max-layer-error 0.01", "max-drop 1 of <psnr>"]
    assert [[child.tag for child in case] for case in suite] == [["system-out"], ["failure"], ["error"], ["failure"]]
    assert suite[0].get("classname").startswith('ttfs.a<b>&"|`c`\\x01') and suite[1][0].get("message") == "350 steps"


def test_markdown_shows_the_verdict_first_and_no_markup_of_names():
    text = markdown(JUDGED)
    head, *_ = text.splitlines()
    assert head == '### TTFS conversion of a\\<b\\>\\&"\\|\\`c\\`\\\\x01 \\*d\\*: ❌ failed'
    rows = [line for line in text.splitlines() if line.startswith("| max-")]
    assert [row.split(" | ")[1] for row in rows] == ["✅ passed", "❌ failed", "❔ inconclusive", "❌ failed"]
    assert "| accuracy | 93 % | 92 % | -1 pp | -1.5 .. -0.5 |" in text and "<b>" not in text.replace("\\<b\\>", "")
    assert "mode strict, slope fan_in, 50 steps per window, rounding nearest" in text


def test_markdown_without_gates_is_a_summary():
    text = markdown(report(measures=(), steps=None, p_proxy=None, p_proxy_ends=None))
    assert text.startswith("### TTFS conversion of net: no gates\n") and "| latency | | - | | |" in text and "| gate |" not in text


def test_markdown_says_what_inconclusive_means():
    assert "too small to decide" in markdown(judged(REPORT, [Gate("max-drop", 1)]))
