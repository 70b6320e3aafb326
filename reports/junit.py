"""A run as JUnit XML: one test per planned card repeat, one per gate."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from reports.gates.verdict import JUDGED_STATES, GateResult, Verdict
from reports.records import FAILED_STATES, Slot

_NOT_XML = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

_NONE: list[Slot] = []
Case = tuple[str, str, dict[str, str]]
"""A test's name, the tag of its outcome (empty: it passed), and `message`, `type` and `text` of that tag."""


class CardRepeats:
    """What JUnit tells of the card slots that went by: each repeat of each card with its slots that did not pass."""

    def __init__(self) -> None:
        self._cards: dict[str, dict[int, list[Slot]]] = {}

    def watch(self, slots: Iterable[Slot]) -> Iterator[Slot]:
        """The same slots, noted as they are read."""
        for slot in slots:
            if slot.suite == "cards":
                found = self._cards.setdefault(slot.card, {}).setdefault(slot.repeat, _NONE)
                if slot.state != "pass" and not slot.advisory:
                    self._cards[slot.card][slot.repeat] = [*found, slot]
            yield slot

    def __iter__(self) -> Iterator[tuple[str, int, list[Slot]]]:
        for card, repeats in self._cards.items():
            for repeat, found in repeats.items():
                yield card, repeat, found


def read_repeats(slots: Iterable[Slot]) -> CardRepeats:
    """All card repeats of a stream of slots."""
    repeats = CardRepeats()
    for _ in repeats.watch(slots):
        pass
    return repeats


def write_junit(file: BinaryIO, repeats: CardRepeats, verdict: Verdict) -> None:
    """JUnit XML, UTF-8, written as it is made. A repeat fails when a non-advisory slot fails, and errors when one could not be
    judged. A gate that is not judged is skipped. Characters XML cannot hold become U+FFFD."""
    gates = [_gate(gate) for gate in verdict.gates]
    totals = {"cards": _totals(tag for *_, tag in _outcomes(repeats)), "gates": _totals(tag for _, tag, _ in gates)}
    whole = {name: str(sum(int(total[name]) for total in totals.values())) for name in ("tests", "failures", "errors")}
    xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
    xml.startDocument()
    xml.startElement("testsuites", AttributesImpl({"name": f"assay {clean(verdict.policy)}", **whole}))
    xml.ignorableWhitespace("\n")
    for suite in ("cards", "gates"):
        xml.startElement("testsuite", AttributesImpl({"name": suite, **totals[suite]}))
        xml.ignorableWhitespace("\n")
        for case in _card_cases(repeats) if suite == "cards" else gates:
            _write_case(xml, suite, case)
        xml.endElement("testsuite")
        xml.ignorableWhitespace("\n")
    xml.endElement("testsuites")
    xml.ignorableWhitespace("\n")
    xml.endDocument()


def clean(text: str) -> str:
    """Text with every character XML 1.0 forbids replaced."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _outcomes(repeats: CardRepeats) -> Iterator[tuple[str, int, list[Slot], str]]:
    for card, repeat, found in repeats:
        failed = [slot for slot in found if slot.state in FAILED_STATES]
        yield card, repeat, failed or found, "failure" if failed else "error" if found else ""


def _card_cases(repeats: CardRepeats) -> Iterator[Case]:
    for card, repeat, found, tag in _outcomes(repeats):
        details = {}
        if found:
            first = found[0]
            text = "\n".join(_told(slot) for slot in found)
            details = {"message": f"{first.evaluator}: {first.reason or first.state}", "type": first.state, "text": text}
        yield f"{card} repeat {repeat}", tag, details


def _told(slot: Slot) -> str:
    blamed = f" (blamed: {slot.stage})" if slot.stage else ""
    return f"{slot.evaluator}: {slot.state}{blamed} {slot.reason}".rstrip()


def _gate(gate: GateResult) -> Case:
    if gate.state == "pass":
        return gate.id, "", {}
    if gate.state not in JUDGED_STATES:
        return gate.id, "skipped", {"message": gate.sentence, "text": ""}
    details = {"message": f"{gate.title}: {gate.sentence}", "type": gate.state, "text": "\n".join(gate.cards)}
    return gate.id, "failure" if gate.state == "fail" else "error", details


def _totals(tags: Iterable[str]) -> dict[str, str]:
    counted = Counter(tags)
    numbers = {
        "tests": counted.total(),
        "failures": counted["failure"],
        "errors": counted["error"],
        "skipped": counted["skipped"],
    }
    return {name: str(number) for name, number in numbers.items()}


def _write_case(xml: XMLGenerator, suite: str, case: Case) -> None:
    name, tag, details = case
    xml.startElement("testcase", AttributesImpl({"classname": suite, "name": clean(name)}))
    if tag:
        shown = {key: clean(text) for key, text in details.items() if key != "text"}
        xml.startElement(tag, AttributesImpl(shown))
        xml.characters(clean(details["text"]))
        xml.endElement(tag)
    xml.endElement("testcase")
    xml.ignorableWhitespace("\n")
