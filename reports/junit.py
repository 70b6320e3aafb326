"""A run as JUnit XML: one test per planned card repeat, one per gate."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as Tree

from reports.gates.verdict import JUDGED_STATES, GateResult, Verdict
from reports.records import FAILED_STATES, UNJUDGED_STATES, Slot

_NOT_XML = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def junit_xml(slots: Iterable[Slot], verdict: Verdict) -> bytes:
    """JUnit XML, UTF-8. Card slots are read once; a repeat fails when a non-advisory slot fails, and errors when one could not be
    judged. A gate that is not judged is skipped. Characters XML cannot hold become U+FFFD."""
    repeats: dict[tuple[str, int], list[Slot]] = {}
    for slot in slots:
        if slot.suite == "cards":
            repeats.setdefault((slot.card, slot.repeat), []).append(slot)
    cards = Tree.Element("testsuite", name="cards")
    for (card, repeat), group in repeats.items():
        _card(cards, card, repeat, group)
    gates = Tree.Element("testsuite", name="gates")
    for gate in verdict.gates:
        _gate(gates, gate)
    root = Tree.Element("testsuites", name=f"assay {clean(verdict.policy)}")
    for suite in (cards, gates):
        _totals(suite, [suite])
        root.append(suite)
    _totals(root, [cards, gates])
    Tree.indent(root)
    return Tree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def clean(text: str) -> str:
    """Text with every character XML 1.0 forbids replaced."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _card(suite: Tree.Element, card: str, repeat: int, slots: list[Slot]) -> None:
    case = Tree.SubElement(suite, "testcase", classname="cards", name=clean(f"{card} repeat {repeat}"))
    counted = [slot for slot in slots if not slot.advisory]
    failed = [slot for slot in counted if slot.state in FAILED_STATES]
    unjudged = [slot for slot in counted if slot.state in UNJUDGED_STATES]
    for tag, found in (("failure", failed), ("error", unjudged)):
        if found:
            first = found[0]
            message = f"{first.evaluator}: {first.reason or first.state}"
            node = Tree.SubElement(case, tag, message=clean(message), type=first.state)
            node.text = clean("\n".join(_told(slot) for slot in found))
            return


def _told(slot: Slot) -> str:
    blamed = f" (blamed: {slot.stage})" if slot.stage else ""
    return f"{slot.evaluator}: {slot.state}{blamed} {slot.reason}".rstrip()


def _gate(suite: Tree.Element, gate: GateResult) -> None:
    case = Tree.SubElement(suite, "testcase", classname="gates", name=clean(gate.id))
    if gate.state == "pass":
        return
    if gate.state not in JUDGED_STATES:
        Tree.SubElement(case, "skipped", message=clean(gate.sentence))
        return
    tag = "failure" if gate.state == "fail" else "error"
    node = Tree.SubElement(case, tag, message=clean(f"{gate.title}: {gate.sentence}"), type=gate.state)
    node.text = clean("\n".join(gate.cards))


def _totals(node: Tree.Element, suites: list[Tree.Element]) -> None:
    cases = [case for suite in suites for case in suite.findall("testcase")]
    node.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        if attribute != "skipped" or node.tag == "testsuite":
            node.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
