"""Cues in the wording of a request: to do or to look up, in general or about particular things."""

from __future__ import annotations

import re
from functools import lru_cache

from assistant.models.embedded.language import content_stems, stem, word_list
from assistant.models.embedded.plain import phrases, plain, unquoted

_LOOK_UP = re.compile(
    r"^\W*(?:show|list|find|get(?! (?:rid|some(?:one|body)|a |an ))|look|see|display|tell|which|what|when|where|who|whose|why|how|is|are|am|do|does|did|has|have|had|"
    r"was|were|any|status|can (?:i|we|he|she|they|it|this|that|some\w*|any\w*|an?|the)|could (?:i|we|he|she|they|it)|should|may|must|will|would|isn't|aren't|doesn't|"
    r"don't (?:i|we|they)|read|give me|repeat|check(?! off))\b|\?\s*$",
    re.IGNORECASE,
)
_DO = re.compile(
    r"^\W*(?:log|record|note|mark|write|add|file|update|close|create|open|book|tick|put|enter|report|move|set|make|start|order|place|cancel|change|"
    r"remove|delete|submit|register|schedule|assign|give(?! me)|rate|evaluate|swap|trade|save|complete|finish|sign|call|send|reorder|count|stop|forget|"
    r"check off|buy|sell|turn|restart|reset|enable|disable|transfer|reserve|approve|upload|publish|rename|clear|quiz|test|"
    r"get (?:some(?:one|body)|an?\b))\b(?!(?:'s)? (?:is|are|was|were|has|won't|doesn't|keeps?)\b)",
    re.IGNORECASE,
)
_PUT_DOWN = re.compile(
    r"\b(?:(?:write|note|log|record|mark|put|tick|check|jot|report|save|enter|file) (?:it|this|that|them|him|her)\b|tick (?:\w+ ){1,3}off\b|in the (?:log|records?)\b|"
    r"on (?:the )?record\b)",
    re.IGNORECASE,
)
_PUTTING = frozenset(
    stem(word)
    for word in word_list("write note log record mark put tick check jot report save enter file down yes yeah yep sure go ahead")
)
_NO_ORDER = re.compile(
    r"\b(?:how|what|when|where|why|who|should|must|do|does|did|can|could|may|might|to) (?:do |should |can |must )?(?:i|we|you|he|she|they)?\b[^,.;]{0,25}$"
)
_DONE = re.compile(
    r"\b(?:passed|finished|completed|done|renewed|received|cleaned|changed|counted|scored|(?:i|we|he|she|they)(?:'ve| have)? (?:just )?did|we (?:got|have)|reached|"
    r"(?:is|are|was|were|been|got|am) (?:all |just |now )?(?:done|made|complete|finished|out|\w{3,}(?:ed|pt|wn|nt)))\b",
    re.IGNORECASE,
)
_GENERAL = re.compile(
    r"\b(?:how (?:to|often|fast|soon|early)|how (?:much|long|many|hot|cold|high|low|strong) (?:should|can|may|must|do|does|is an?|are|till|until|before)|how long|"
    r"should|must|may|allowed|why|what (?:is|are) (?:a|an|the)\b|what (?:must|should|may|if|to|happens|does (?:an?|it|the|this))|when (?:to|must|should|may)|"
    r"when (?:do|can) (?:i|we|you|he|she|they|some\w+)|who (?:may|must|should|needs)|which\b.*\b(?:should|must|may)|safe to|difference|means?\b|signs? of|rules?|"
    r"how do (?:i|we|you)|(?:have|has|needs?|supposed) to|normally|usually|generally|at least|at most|minimum|maximum|can (?:i|we|he|she|they|you|some\w+|any\w+|an?)|"
    r"does an?|before or after|(?:it|them) or \w+|what (?:do|can) (?:i|we|you) (?:do|say|tell|offer|give|use)|okay to|ok to|ok\?)",
    re.IGNORECASE,
)
_SUPPOSES = re.compile(r"^(?:if|say|suppose|supposing|imagine|assume|assuming|what if|let's say)\b", re.IGNORECASE)
_GENERAL_TOLD = re.compile(
    r"\b(?:how to|what to do|difference|means?|signs? of|rules?|why|steps|procedure|process|policy|minimum|maximum)\b|^if\b|^what if\b",
    re.IGNORECASE,
)
_PRESENT = re.compile(
    r"\b(?:my|our|today|tonight|tomorrow|yesterday|now|currently|(?:is|are|have) left|left\?|this (?:week|month|morning)|last|next (?:week|month)|do we (?:have|still|need)|have we|did we|are we(?! supposed| allowed)|any|status|"
    r"so far|latest|show|list|yet|already|overdue)\b",
    re.IGNORECASE,
)
_PARTICULAR = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+|\d|['’]s\b")


@lru_cache(maxsize=4096)
def deed(text: str) -> float:
    """1: asks to do or to put down something. 0.7: tells of something done. -1: asks to look something up. 0: no cue.

    What is quoted asks for nothing. Of an order and a question in one message the later one counts.
    """
    bare = unquoted(text)
    spoken = plain(bare)
    if puts_down(spoken):
        return 1.0
    cue = 0.0
    for phrase in phrases(bare):
        if _LOOK_UP.search(phrase):
            cue = -1.0
        elif _DO.search(phrase):
            cue = 1.0
    if cue == 0.0:
        cue = -1.0 if bare.rstrip().endswith("?") else 0.7 if _DONE.search(spoken) else 0.0
    return cue


def puts_down(text: str) -> bool:
    """Whether something is to be written down ("log it", "put that in"), and not asked whether or how to."""
    found = _PUT_DOWN.search(text)
    return found is not None and _NO_ORDER.search(text[: found.start()].lower()) is None


def points_back(text: str) -> bool:
    """Whether a message has something put down that was said before ("yes, log that") and says little itself."""
    return puts_down(plain(text)) and len(content_stems(text) - _PUTTING) <= 3


def told_matter(text: str) -> str:
    """The message without a bare "log it": what it tells stays of interest, that order was carried out."""
    kept = [
        piece
        for piece in re.split(r"(?<=[,.;!])\s+", text)
        if not (puts_down(plain(piece)) and len(content_stems(piece) - _PUTTING) == 0)
    ]
    return " ".join(kept).rstrip(" ,;") or text


def orders(text: str) -> tuple[str, ...]:
    """The pieces of a message that say what to do or to look up, without what is told around them."""
    return tuple(phrase for phrase in phrases(unquoted(text)) if _DO.search(phrase) or _LOOK_UP.search(phrase))


def ordered_deeds(text: str) -> tuple[str, ...]:
    """The pieces of a message that order something to be done, each beginning with its verb."""
    return tuple(phrase for phrase in phrases(unquoted(text)) if _DO.search(phrase) and not _LOOK_UP.search(phrase))


def asks_for_help(text: str) -> bool:
    """Whether a message asks what to do and nothing more general."""
    pieces = _asking(text)
    return any(_HELP.search(piece) for piece in pieces) and not any(_GENERAL.search(_HELP.sub("", piece)) for piece in pieces)


_HELP = re.compile(r"\bwhat (?:do|should|can) (?:i|we|you) do\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def asks(text: str) -> bool:
    """Whether a message asks something and orders nothing."""
    return deed(text) == -1.0 and any(_QUESTION.search(phrase) for phrase in phrases(unquoted(text)))


_QUESTION = re.compile(
    r"^\W*(?:(?:by|for|since|until|till|from|at|in|to|on|with) (?=what|when|which|how|who))?(?:which|what|when|where|who|whose|why|how|is|are|am|do|does|did|has|have|had|was|were|any|can|could|should|may|must|will|would|isn't|aren't|doesn't|"
    r"don't (?:i|we|they))\b|\?\s*$|\b(?:same|or not|or what)\W*$|\bwhat do\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def generality(text: str) -> float:
    """1 when the wording is of rules, reasons and procedures, 1.5 when it supposes a case, else 0."""
    pieces = phrases(unquoted(text))
    asking = _asking(text)
    if asking and any(_SUPPOSES.search(piece) for piece in pieces):
        return 1.5
    found = any(_GENERAL.search(piece) for piece in asking) or any(_GENERAL_TOLD.search(piece) for piece in pieces if not asking)
    return 1.0 if found else 0.0


def _asking(text: str) -> list[str]:
    """The pieces that ask: what is told around a question says nothing of what kind it is."""
    return [piece for piece in phrases(unquoted(text)) if _QUESTION.search(piece)]


def speaks_of_present(text: str) -> float:
    """1 when the wording is of how things stand with us and now, else 0."""
    return 1.0 if any(_PRESENT.search(piece) for piece in _asking(text) or [plain(text)]) else 0.0


def names_particulars(text: str) -> float:
    """1 when someone or something is named, numbered or owned, else 0."""
    return 1.0 if any(_PARTICULAR.search(piece) for piece in _asking(text) or [text]) else 0.0
