"""Cues in the wording of a request: to do or to look up, in general or about particular things."""

from __future__ import annotations

import re

from assistant.models.embedded.language import core

_LOOK_UP = re.compile(
    r"^\W*(?:show|list|find|get(?! (?:rid|someone))|look|see|display|tell|which|what|when|where|who|how|is|are|do|does|did|has|have|was|were|any|status|"
    r"can i|can we|read|give me|repeat|check(?! off))\b|\?\s*$",
    re.IGNORECASE,
)
_DO = re.compile(
    r"^\W*(?:please )?(?:log|record|note|mark|write|add|file|update|close|create|open|book|tick|put|enter|report|move|set|make|start|order|place|"
    r"cancel|change|remove|delete|submit|register|schedule|assign|give|rate|evaluate|swap|save|complete|finish|sign|call|send|reorder|count|stop|forget|"
    r"check off|buy|sell|turn|restart|reset|enable|disable|transfer|reserve|approve|upload|publish|rename|clear)\b",
    re.IGNORECASE,
)
_PUT_DOWN = re.compile(
    r"\b(?:(?:write|note|log|record|mark|put|take|tick|jot) (?:it|this|that|them)\b|in the (?:log|records?)\b|on (?:the )?record\b)",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"\b(?:passed|finished|completed|done|renewed|received|cleaned|changed|i did|(?:was|were) (?:done|made|cleaned|checked)|we (?:got|have)|"
    r"is (?:done|complete|finished)|reached)\b",
    re.IGNORECASE,
)
_GENERAL = re.compile(
    r"\b(?:how (?:to|often)|how (?:much|long|many|hot|cold|high|low) (?:should|can|may|must|do|does)|should|must|may|allowed|why|what (?:is|are) (?:a|an|the)\b|"
    r"what (?:must|should|may|if|to|happens|does)|when (?:to|must|should|does|may|is)|who (?:may|must|should|needs)|which\b.*\b(?:should|must|may)|safe to|"
    r"difference|means?\b|signs? of|rules?|how do (?:i|we|you))\b",
    re.IGNORECASE,
)
_PRESENT = re.compile(
    r"\b(?:my|our|today|tonight|tomorrow|yesterday|now|currently|(?:is|are|have) left|left\?|this (?:week|month|morning)|last|next (?:week|month)|do we|have we|did we|any|status|"
    r"so far|latest|show|list)\b",
    re.IGNORECASE,
)
_PARTICULAR = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+|\d|['’]s\b")


def deed(text: str) -> float:
    """1: asks to do or to put down something. 0.7: tells of something done. -1: asks to look something up. 0: no cue."""
    asked = core(text)
    if _PUT_DOWN.search(text):
        return 1.0
    if _LOOK_UP.search(asked):
        return -1.0
    if _DO.search(asked):
        return 1.0
    return 0.7 if _DONE.search(text) else 0.0


def generality(text: str) -> float:
    """1 when the wording is of rules, reasons and procedures, else 0."""
    return 1.0 if _GENERAL.search(text) else 0.0


def speaks_of_present(text: str) -> float:
    """1 when the wording is of how things stand with us and now, else 0."""
    return 1.0 if _PRESENT.search(text) else 0.0


def names_particulars(text: str) -> float:
    """1 when someone or something is named, numbered or owned, else 0."""
    return 1.0 if _PARTICULAR.search(text) else 0.0
