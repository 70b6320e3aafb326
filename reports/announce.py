"""A verdict in the words of other programs: GitHub's workflow commands and a short chat message."""

from __future__ import annotations

from reports.format import listing, plural
from reports.gates.verdict import Verdict, VerdictWord

MARKS: dict[VerdictWord, str] = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "invalid": "⚠️"}
MOST_CARDS = 10
"""GitHub shows ten annotations of a kind a step."""
LONGEST = 600
"""Characters of a chat message."""


def github_commands(verdict: Verdict) -> list[str]:
    """One annotation for each reason and, up to ten, for each failing card. A pass gives one notice.

    Syntax: docs.github.com, "Workflow commands for GitHub Actions"; `%`, line ends, and in properties `:` and `,`, are escaped.
    """
    if verdict.verdict == "pass":
        return [f"::notice title={_property('Assay: pass')}::{_message(verdict.sentence)}"]
    level = "error" if verdict.verdict in ("fail", "invalid") else "warning"
    title = _property(f"Assay: {verdict.verdict}")
    lines = [f"::{level} title={title}::{_message(reason)}" for reason in verdict.reasons or [verdict.sentence]]
    for card in verdict.failures[:MOST_CARDS]:
        check = next((check for check in card.checks if not check.advisory), None)
        why = f"{check.reason or check.evaluator}. " if check else ""
        lines.append(f"::{level} title={_property(f'card {card.card}')}::{_message(f'{why}Reproduce: {card.reproduce}')}")
    return lines


def chat_text(verdict: Verdict, *, pack: str, commit: str | None, link: str = "") -> str:
    """At most four short lines, plain text with Slack's emphasis: verdict, what stops it, failing cards, where the report is."""
    head = f"{MARKS[verdict.verdict]} *{verdict.verdict.upper()}* {pack} {verdict.tier} {(commit or 'unknown commit')[:7]}: {verdict.sentence}"
    lines = [_plain(head)]
    if len(verdict.reasons) > 1:
        lines.append(_plain(f"and {plural(len(verdict.reasons) - 1, 'reasons')} more"))
    if verdict.failures:
        blamed = f", mostly {verdict.blame}" if verdict.blame else ""
        cards = listing([card.card for card in verdict.failures])
        lines.append(_plain(f"{plural(len(verdict.failures), 'cards')} failing{blamed}: {cards}"))
    return "\n".join([*lines, *([link] if link else [])])


def _plain(text: str) -> str:
    """One line without Slack's control characters (api.slack.com, "Formatting text": `&`, `<` and `>` are escaped)."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 1]}…"
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
