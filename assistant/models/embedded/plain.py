"""A typed or spoken message as plain written English: contractions spelled out, planted orders and fillers left out."""

from __future__ import annotations

import re
from functools import lru_cache

_SPELLED: dict[str, str] = {
    "whats": "what is",
    "whos": "who is",
    "hows": "how is",
    "whens": "when is",
    "wheres": "where is",
    "thats": "that is",
    "theres": "there is",
    "its": "it is",
    "hes": "he is",
    "shes": "she is",
    "theyre": "they are",
    "youre": "you are",
    "im": "I am",
    "ive": "I have",
    "dont": "don't",
    "cant": "can't",
    "wont": "won't",
    "isnt": "isn't",
    "arent": "aren't",
    "doesnt": "doesn't",
    "didnt": "didn't",
    "wasnt": "wasn't",
    "werent": "weren't",
    "havent": "haven't",
    "hasnt": "hasn't",
    "couldnt": "couldn't",
    "shouldnt": "shouldn't",
    "gotta": "have to",
    "gonna": "going to",
    "wanna": "want to",
    "u": "you",
    "ur": "your",
    "pls": "please",
    "plz": "please",
    "tmrw": "tomorrow",
    "tmr": "tomorrow",
    "n": "and",
    "w": "with",
    "em": "them",
    "dunno": "don't know",
    "tho": "though",
    "cuz": "because",
    "thru": "through",
}
_SHORT = re.compile(rf"(?<![\w'’])(?:{'|'.join(_SPELLED)})(?![\w'’])", re.IGNORECASE)
_GOT_TO = re.compile(r"\b(?:(?:have|has|'ve|'s) )?got to\b(?= \w)", re.IGNORECASE)
_FILLERS = re.compile(
    r"^(?:(?:ok|okay|k|so|and|but|then|now|great|perfect|cool|nice|thanks|thank you|please|hey|hi|hello|um+|uh+|er|like|well|actually|wait|hang on|"
    r"hold on|ugh|ow|ouch|oh|ah|lol|haha|ha|fine|all ?right|right|got it|seriously|btw|by the way|also|different thing|one more(?: thing)?|yes|yep|"
    r"yeah|sure|just|go ahead and|good (?:morning|afternoon|evening))\b[\s,.!:;–—-]*)+",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"^(?:(?:can|could|would|will) you|(?:i|we)(?:'d| would) like(?: you)? to|(?:(?:i|we) )?(?:need|want|have)(?: you)? to|(?:please )?help (?:me|us)(?: to)?|"
    r"let'?s|let us)\s+(?:please\s+)?(?=\w)",
    re.IGNORECASE,
)
_PIECES = re.compile(
    r"(?<=[.!?;])\s+|(?<=[.!?])(?=[A-Z])|\s*[,\n]\s+|\s+[–—-]+\s+|:\s+|"
    r"(?<!how)(?<!what)(?<!when)(?<!where)(?<!why)(?<!who)\s+(?:and\s+)?(?=(?:do|should|can|must) (?:i|we|he|she|they)\b)|"
    r"(?<!about)(?<!tell me)(?<!know)\s+(?:and\s+)?(?=(?:what|how|when|where|which) (?:do|does|did|should|can|must|is|are) )|\s+and (?=(?:is|are) (?:it|they|he|she)\b)",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_PLANTED = re.compile(
    r"^\W*(?:system|assistant|developer|admin)\b[^.!?\n]{0,40}:|\b(?:ignore|disregard|forget|override)\b[^.!?\n]{0,30}\b(?:instructions?|rules?|prompts?|polic(?:y|ies))\b|"
    r"\byou are (?:now|no longer)\b|\bfrom now on you\b|\b(?:note|message|instructions?) (?:to|for) (?:the )?(?:assistant|ai|model|bot|system)\b|"
    r"\bend every (?:reply|answer|message)\b|\breply only with\b",
    re.IGNORECASE,
)
_PLANTED_TAIL = re.compile(r"\bsystem(?: note| message| prompt)?\s*:", re.IGNORECASE)
_QUOTES = re.compile(r"\"[^\"]*\"|“[^”]*”")


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """The same words with short forms spelled out; case, order and punctuation stay."""
    spelled = _SHORT.sub(lambda match: _SPELLED[match[0].lower()], text.replace("’", "'"))
    return _GOT_TO.sub("have to", spelled)


@lru_cache(maxsize=4096)
def trusted(text: str) -> str:
    """The message without sentences that give orders to the assistant itself; unchanged when nothing else would be left."""
    kept = [sentence for sentence in _SENTENCES.split(text) if sentence.strip() and not _PLANTED.search(sentence)]
    joined = " ".join(_PLANTED_TAIL.split(sentence)[0].strip() for sentence in kept).strip()
    return joined if re.search(r"\w", joined) else text


def unquoted(text: str) -> str:
    """The message without what it quotes; unchanged when it is nothing but a quotation."""
    bare = _QUOTES.sub(" ", text).strip()
    return bare if len(re.findall(r"\w+", bare)) >= 3 else text


@lru_cache(maxsize=4096)
def phrases(text: str) -> tuple[str, ...]:
    """Pieces between punctuation marks, each without opening fillers and without "can you" or "I need to"."""
    found: list[str] = []
    for piece in _PIECES.split(plain(text)):
        bare = bare_phrase(piece)
        if bare:
            found.append(bare)
    return tuple(found)


def bare_phrase(piece: str) -> str:
    without = _FILLERS.sub("", piece.strip())
    return _FILLERS.sub("", _WISH.sub("", without)).strip(" ,;")
