"""Pieces of a message: what is quoted, who is named, what a keyword introduces."""

from __future__ import annotations

import re

from assistant.models.embedded.language import STOP_WORDS, core, word_list

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)'([^']+)'(?!\w)|`([^`]+)`")
_NAME = r"[A-Z][\w'’.&-]*(?:\s+(?:(?:of|the|de|la|van|von)\s+)?[A-Z][\w'’.&-]*)*"
_PROPER = re.compile(rf"(?<![\w.])({_NAME})")
_INTRODUCED = re.compile(rf"\b(?i:for|with|about|named|called|by|to|from|of|is|employee|mr\.?|ms\.?|mrs\.?)\s+({_NAME})")
_NOT_NAMES = {word.capitalize() for word in STOP_WORDS} | set(
    word_list(
        "I OK Yes No Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September "
        "October November December Today Tomorrow Log Record Show Tell Give Find Get Check Add Schedule Create Book Calculate Order Send Set "
        "Start Stop Update Who What When Where Why How Which Is Are Did Does Do Can Could Would Should Please Thanks Hi Hello Hey F C AM PM"
    )
)


def quoted(text: str) -> list[str]:
    return [next(group for group in match.groups() if group).strip() for match in _QUOTED.finditer(text)]


def proper_names(text: str) -> list[str]:
    """Capitalised runs. One that opens a sentence counts only when introduced, possessive, of two words, or also written elsewhere."""
    found: list[str] = []
    for match in _PROPER.finditer(text):
        name = _trim(match[1])
        if name and (not _opens_sentence(text, match.start()) or _clearly_name(text, name)):
            found.append(name)
    return list(dict.fromkeys(found))


def _trim(name: str) -> str:
    pieces = re.sub(r"['’]s\b|[.,]+$", "", name).split()
    while pieces and (pieces[0] in _NOT_NAMES or (pieces[0].isupper() and len(pieces[0]) == 1)):
        pieces = pieces[1:]
    return " ".join(pieces)


def _opens_sentence(text: str, start: int) -> bool:
    return re.search(r"(?:^|[.!?:]\s+|\n\s*)$", text[:start]) is not None


def _clearly_name(text: str, name: str) -> bool:
    return (
        len(name.split()) > 1 or re.search(rf"\b{re.escape(name)}['’]s\b", text) is not None or _followed_by_predicate(text, name)
    )


def _followed_by_predicate(text: str, name: str) -> bool:
    return (
        re.search(rf"\b{re.escape(name)}\s+(?:is|was|has|just|will|finished|completed|passed|called|needs|did|got|and)\b", text)
        is not None
    )


def person(text: str) -> str | None:
    """A person's name: one introduced by for/with/about/named first, else any capitalised name."""
    for match in _INTRODUCED.finditer(text):
        name = _trim(match[1])
        if name:
            return name
    names = proper_names(text)
    return names[0] if names else None


def after_keyword(text: str, keywords: list[str]) -> str | None:
    """What follows one of the keywords ("named X", "city of X", "X: value"): a quoted text, a name, or the next one to three words."""
    for keyword in keywords:
        match = re.search(
            rf"\b{re.escape(keyword)}\b\s*(?:(?:is|was|are|of|named|called|to|as|equals|being|for|at|in|on)\s+|[:=]\s*)?(?:the\s+|a\s+|an\s+)?(?P<rest>\S.*)",
            text,
            re.IGNORECASE,
        )
        if match is None:
            continue
        value = _first_value(match["rest"])
        if value:
            return value
    return None


def _first_value(rest: str) -> str | None:
    opening = quoted(rest)
    if opening and rest.lstrip()[:1] in "\"'“`":
        return opening[0]
    name = re.match(_NAME, rest)
    if name:
        return _trim(name[0]) or None
    piece = re.match(r"[\w.+#/@-]+(?:\s+[\w.+#/@-]+){0,2}", rest)
    if piece is None:
        return None
    kept: list[str] = []
    for word in piece[0].split():
        if word.lower() in STOP_WORDS:
            break
        kept.append(word)
    return " ".join(kept).rstrip(".") or None


def by_pattern(pattern: str, text: str) -> str | None:
    """The first piece of the text that a schema's pattern accepts, in the text's case or in capitals."""
    loose = pattern.removeprefix("^").removesuffix("$")
    try:
        found = re.search(rf"(?<![\w-])(?:{loose})(?![\w-])", text) or re.search(rf"(?<![\w-])(?:{loose})(?![\w-])", text.upper())
    except re.error:
        return None
    return found[0] if found else None


def informative(text: str, leading: str = "") -> str:
    """The message without greeting, request words and a leading command already told by the tool ("log an incident: ...")."""
    stripped = core(text)
    if leading:
        match = re.match(rf"{re.escape(leading)}\b[^:–—]{{0,30}}[:–—]\s+(?P<rest>.+)", stripped, re.IGNORECASE | re.DOTALL)
        if match:
            return match["rest"].strip()
    match = re.match(r"[A-Za-z' ]{3,40}:\s+(?P<rest>.{8,})", stripped, re.DOTALL)
    return match["rest"].strip() if match else stripped.strip()
