"""How much a message leans on the conversation so far, judged by its form alone: no subject words of any pack.

What the head says of a message, and of it together with the message before, is weighed with the pull towards the current agent, in
log odds. The weights are a conditional logistic regression on conversations written for the purpose, with a head that
had not seen them (`tests/assistant/fit_stickiness.py`, docs/measurements/routing.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from assistant.routing.lexical import words

ACKNOWLEDGEMENTS = frozenset(
    "yes yeah yep yup ya yea no nope nah ok okay k kk sure right correct exactly thanks thank thx ty cool great perfect good fine nice"
    " awesome alright please done did understood understand gotcha got hmm hm oh ah uh um well maybe probably definitely absolutely"
    " si sí gracias vale bueno claro listo bien hecho por favor entiendo wow appreciated appreciate sorry guess think believe suppose"
    " tried already still yet nothing neither both either none all every any some same again once more less much many".split()
)
"""Words that answer or close a turn and bring no subject of their own."""

FUNCTION_WORDS = frozenset(
    "a an the and but or so then also too just only even i me my mine we us our you your he him his she her they them their it its this"
    " that these those there here one ones other others another is are was were be been am do does did doing done have has had having"
    " can could should would will shall may might must to of in on at by for from with without about into after before up down out off"
    " over if as than not don't dont didn't didnt doesn't doesnt can't cant won't wont isn't isnt it's its that's thats i'm im i've ive"
    " i'll ill let's lets what which who when where why how whats what's how's hows ok okay y o pero que el la los las un una de en"
    " lo mi su es no eso esto cual cuando donde como cuanto".split()
)
MEASURES = frozenset(
    "second seconds sec secs minute minutes min mins hour hours hr hrs day days week weeks month months year years am pm today yesterday"
    " tomorrow tonight morning afternoon evening night noon ago now later last next first second third degree degrees c f fahrenheit"
    " celsius percent ppm pound pounds lb lbs oz ounce ounces gallon gallons inch inches dozen half quarter couple few around roughly"
    " monday tuesday wednesday thursday friday saturday sunday zero two three four five six seven eight nine ten twelve fifteen"
    " twenty thirty forty fifty hundred hora horas minuto minutos ayer hoy manana mañana dias semana".split()
)
OPENERS = frozenset("and but so or then also ok okay what how y pero entonces plus well wait actually".split())
POINTERS = frozenset(
    "it its it's that that's thats this they them their those these one ones other others another there same he she him her"
    " eso esto ese esa lo".split()
)
QUESTION_WORDS = frozenset(
    "what which who when where why how is are was do does did can could should would will que cual cuando donde como".split()
)

MOST_WORDS = 9
MOST_ANSWER_WORDS = 14
LEAST_SHARE = 1e-6
MOST_LEANING = 4
"""Subject words of a message that is also read after the one before it; with more it says enough by itself."""

READINGS = {"message": 0.57, "joined": 0.27}
"""Weights of the log probabilities of each reading."""

NOBODY = {"always": -0.25, "acknowledges": -1.79}
"""Log odds of nobody, against the head's."""

PULLS = {
    "always": 2.38,
    "acknowledges": 1.89,
    "one subject word": 0.93,
    "two subject words": 0.75,
    "four subject words": 0.35,
    "three words": 1.45,
    "nine words": 0.44,
    "points": 0.21,
    "opens": -0.19,
    "asks": -1.12,
    "ten words more": -1.14,
}
"""Log odds of the current agent for each cue."""

ASKED = 0.7
ANSWERING = 2.2
"""Log odds of the current agent while a question of it is open: always, and for a message that could be the answer. Set by hand: the
conversations that the other weights were fitted on were written without sight of the assistant's questions.
"""

_CLAUSE_END = re.compile(r"[,.;:!]\s")


@dataclass(frozen=True, kw_only=True)
class Form:
    """`words` in the message, `content` of them that could name a subject, and the cues that it continues a conversation."""

    words: int
    content: int
    acknowledges: bool
    opens: bool
    points: bool
    asks: bool


def read_form(text: str) -> Form:
    listed = words(text)
    content = [word for word in listed if not _is_empty(word)]
    head = listed[0] if listed else ""
    return Form(
        words=len(listed),
        content=len(content),
        acknowledges=not content,
        opens=head in OPENERS and len(listed) <= MOST_WORDS,
        points=any(word in POINTERS for word in listed),
        asks="?" in text
        or any(clause.split(None, 1)[0] in QUESTION_WORDS for clause in _CLAUSE_END.split(text.casefold()) if clause.strip()),
    )


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Probabilities of the agents, `none` among them, by two readings: the message, and it after the one before."""

    message: Mapping[str, float]
    joined: Mapping[str, float]


def cues(form: Form) -> dict[str, float]:
    """The size of each cue of `PULLS`."""
    return {
        "always": 1.0,
        "acknowledges": float(form.content == 0),
        "one subject word": float(form.content <= 1),
        "two subject words": float(form.content <= 2),
        "four subject words": float(form.content <= 4),
        "three words": float(form.words <= 3),
        "nine words": float(form.words <= MOST_WORDS),
        "points": float(form.points),
        "opens": float(form.opens),
        "asks": float(form.asks),
        "ten words more": min(form.words, 30) / 10,
    }


def pull(form: Form, *, pending: bool) -> float:
    """Log odds in favour of the current agent. `pending`: it asked something that this message may answer."""
    sizes = cues(form)
    answers = pending and not form.asks
    if answers:
        # What was asked for may take many words to tell.
        sizes["ten words more"] = 0.0
    fitted = sum(PULLS[name] * size for name, size in sizes.items())
    return fitted + ASKED * pending + ANSWERING * (answers and form.words <= MOST_ANSWER_WORDS)


def lean(readings: Readings, form: Form, *, current: str, pending: bool, nobody: str) -> list[tuple[str, float]]:
    """Agents and their probabilities in the conversation, most probable first."""
    scores = {agent: _read(readings, agent) for agent in readings.message}
    scores[current] += pull(form, pending=pending)
    if nobody in scores:
        scores[nobody] += NOBODY["always"] + NOBODY["acknowledges"] * form.acknowledges
    best = max(scores.values())
    shares = {agent: math.exp(score - best) for agent, score in scores.items()}
    total = sum(shares.values())
    return sorted(((agent, share / total) for agent, share in shares.items()), key=lambda item: (-item[1], item[0]))


def _read(readings: Readings, agent: str) -> float:
    return sum(weight * math.log(max(getattr(readings, name)[agent], LEAST_SHARE)) for name, weight in READINGS.items())


def _is_empty(word: str) -> bool:
    return word in ACKNOWLEDGEMENTS or word in FUNCTION_WORDS or word in MEASURES or not any(sign.isalpha() for sign in word)
