"""How much a message leans on the conversation so far, judged by its form alone: no subject words of any pack.

The pull towards the current agent is in log odds: the head's odds for that agent are multiplied by its exponential, so a head
that is sure of another agent still wins against any pull but that of a bare acknowledgement.
The sizes were chosen on cross-validated predictions for the training file and on follow-ups written for the purpose
(docs/measurements/routing.md).
"""

from __future__ import annotations

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

ALWAYS = 12.0
BASE = 1.2
SHORT = 0.6
POINTING = 0.6
OPENING = 0.5
BARE = 1.0
ANSWERING = 2.6
ASKED = 0.8
ON_TOPIC = 2.0
"""Inside a conversation a message that belongs to nobody is rarer than on its own: added where the head says that nobody takes it."""
LEANS = 1.5
"""A message with this pull of its own leans on the one before it and is also read together with it."""

MOST_WORDS = 9
MOST_ANSWER_WORDS = 14


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
        asks="?" in text or head in QUESTION_WORDS,
    )


def pull(form: Form, *, pending: bool) -> float:
    """Log odds in favour of the current agent. `pending`: it asked something that this message may answer."""
    if form.acknowledges:
        return ALWAYS
    total = BASE
    if form.words <= MOST_WORDS and form.content <= 4:
        total += SHORT * (form.content <= 2) + POINTING * form.points + OPENING * form.opens + BARE * (form.content <= 1)
    if pending:
        total += ASKED
        if form.words <= MOST_ANSWER_WORDS and not form.asks:
            total += ANSWERING
    return total


def _is_empty(word: str) -> bool:
    return word in ACKNOWLEDGEMENTS or word in FUNCTION_WORDS or word in MEASURES or not any(sign.isalpha() for sign in word)
