"""Chooses the agent of a message: the trained head, corrected by what the conversation makes likely."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from assistant.encoder import SentenceEncoder, write_atomically
from assistant.routing.head import NO_AGENT, TRAINER_VERSION, Head, Prediction
from assistant.routing.language import LANGUAGE_VERSION, Language, Spelling, learn_spelling
from assistant.routing.slips import Vocabulary
from assistant.routing.stickiness import MOST_LEANING, Form, Readings, lean, read_form
from assistant.routing.utterances import FILE_NAME, read_utterances
from assistant.wire import RouteStage

SURE = 0.9
"""From this probability on no second reading is worth its time."""

UNDERSTOOD = 0.8
"""A text with this probability is understood, however strangely it is spelled."""

UNKNOWN_LANGUAGE = "unknown language"
"""The doubt about a text in a language that the utterances do not hold."""

JOINED_WORDS = 30
"""Words of the message before that are read together with a message: the encoder reads 64 tokens, and the message comes last."""

LONGEST = 4_000
"""Characters of a message that are looked at: the encoder reads 64 tokens, the lexical part 64 words."""


@dataclass(frozen=True, kw_only=True)
class RouteContext:
    """`pending`: the current agent asked a question that this message may answer."""

    current_agent: str | None = None
    pending: bool = False
    previous_text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """`confidence` is the calibrated probability of `agent`; `alternatives` are the other agents, most probable first.

    `doubt` says why the choice is not to be relied on, empty where it is.
    """

    agent: str
    intent: str
    confidence: float
    alternatives: list[tuple[str, float]]
    stage: RouteStage
    duration_s: float
    doubt: str = ""


class Router:
    """Routes messages of one pack. Safe to share between threads; needs NumPy and the encoder only."""

    def __init__(
        self,
        head: Head,
        encoder: SentenceEncoder,
        *,
        vocabulary: Vocabulary | None = None,
        language: Language | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.head = head
        self._labels = {str(agent) for agent in head.agents}
        self.encoder = encoder
        self.vocabulary = vocabulary
        self.language = language
        self._clock = clock
        self._second = ThreadPoolExecutor(max_workers=1, thread_name_prefix="router")

    @classmethod
    def load(cls, pack: Path, encoder: SentenceEncoder, cache_dir: Path) -> Router:
        """The router of a pack folder or of an utterances file; trains it when `cache_dir` has none for these utterances.

        Training needs SciPy and takes seconds; several processes may do it at once. Raises `RoutingDataError`.
        """
        file, content = _utterances_of(pack)
        key = hashlib.sha256(f"{encoder.fingerprint} {TRAINER_VERSION} ".encode() + content).hexdigest()[:24]
        cached = cache_dir / f"router-{key}.npz"
        head = Head.from_file(cached)
        if head is None:
            head = cls.train(file, encoder)
            write_atomically(cached, head.to_bytes())
        return cls(head, encoder, language=_language(file, content, encoder, cache_dir))

    @staticmethod
    def train(utterances: Path, encoder: SentenceEncoder) -> Head:
        from assistant.routing.training import train

        return train(read_utterances(utterances), encoder)

    def predict(self, text: str) -> Prediction:
        """What the head alone says of a message without a conversation.

        With a vocabulary, a message it is unsure of is read once more with its slips mended, and both readings count.
        """
        text = readable(text)
        prediction = self.head.predict(text, self.encoder.encode(text))
        if self.vocabulary is None or prediction.confidence >= SURE:
            return prediction
        mended = self.vocabulary.mend(text)
        if mended == text:
            return prediction
        return self.head.blend(prediction, self.head.predict(mended, self.encoder.encode(mended)))

    def predict_both(self, text: str, other: str) -> tuple[Prediction, Prediction]:
        """`predict` of each, on two threads: nearly all of it is the encoder, which lets other threads run."""
        second = self._second.submit(self.predict, other)
        return self.predict(text), second.result()

    def decide(self, text: str, context: RouteContext) -> Decision:
        """The agent of `text` in its conversation. `duration_s` includes encoding."""
        started = self._clock()
        if context.current_agent in self._labels:
            prediction, ranked, stage = self._in_context(text, context)
        else:
            prediction = self.predict(text)
            ranked, stage = settle(prediction, float(self.head.scope_floor[0]))
        # An open question may be answered with names, which are spelled as they please.
        unknown = not context.pending and self._is_unknown_language(text, ranked[0][1])
        if unknown:
            ranked, stage = nobody(prediction), "default"
        agent, confidence = ranked[0]
        intent = next((name for name, _ in prediction.intents if self.head.agent_of(name) == agent), NO_AGENT)
        return Decision(
            agent=agent,
            intent=intent,
            confidence=confidence,
            alternatives=ranked[1:],
            stage=stage,
            duration_s=self._clock() - started,
            doubt=UNKNOWN_LANGUAGE if unknown else "",
        )

    def settle(self, text: str, prediction: Prediction) -> list[tuple[str, float]]:
        """Agents and their probabilities for `text` by itself, the chosen one first."""
        if self._is_unknown_language(text, prediction.confidence):
            return nobody(prediction)
        return settle(prediction, float(self.head.scope_floor[0]))[0]

    def _is_unknown_language(self, text: str, confidence: float) -> bool:
        """Whether `text` is spelled as no training utterance is, and neither the head nor the conversation makes an agent sure."""
        return self.language is not None and confidence < UNDERSTOOD and self.language.is_strange(readable(text))

    def _in_context(self, text: str, context: RouteContext) -> tuple[Prediction, list[tuple[str, float]], RouteStage]:
        """The head's word on `text` alone, then the agents in the conversation and what decided."""
        form = read_form(text)
        prediction, joined = self.read(text, context.previous_text, form)
        ranked = lean(
            Readings(message=dict(prediction.agents), joined=dict(joined.agents)),
            form,
            current=context.current_agent or NO_AGENT,
            pending=context.pending,
            nobody=NO_AGENT,
        )
        if ranked[0][0] == prediction.agent:
            return prediction, ranked, "head"
        return prediction, ranked, "pending" if context.pending else "sticky"

    def read(self, text: str, previous: str | None, form: Form) -> tuple[Prediction, Prediction]:
        """The head's word on `text`, and on it after the message before where `text` may lean on that."""
        if not previous or form.content > MOST_LEANING:
            prediction = self.predict(text)
            return prediction, prediction
        return self.predict_both(text, f"{' '.join(previous.split()[-JOINED_WORDS:])} {text}")


def readable(text: str) -> str:
    """What of `text` is routed: the start of a very long one, without characters that no encoding holds (lone surrogates)."""
    return text[:LONGEST].encode("utf-8", "replace").decode()


def settle(prediction: Prediction, scope_floor: float) -> tuple[list[tuple[str, float]], RouteStage]:
    """Agents and their probabilities without a conversation, the chosen one first.

    A text far from everything trained belongs to no agent. A head that was trained without such texts knows no probability of
    that; then `none` gets what the scope leaves over.
    """
    if prediction.agent == NO_AGENT or prediction.scope >= scope_floor > 0:
        return prediction.agents, "head"
    return nobody(prediction), "default"


def nobody(prediction: Prediction) -> list[tuple[str, float]]:
    """Agents and their probabilities with `none` first."""
    shares = dict(prediction.agents)
    if NO_AGENT not in shares:
        return [(NO_AGENT, 1 - prediction.scope), *((agent, share * prediction.scope) for agent, share in shares.items())]
    return [(NO_AGENT, shares[NO_AGENT]), *(item for item in prediction.agents if item[0] != NO_AGENT)]


def read_language(pack: Path, encoder: SentenceEncoder, cache_dir: Path) -> Language:
    """The spelling of a pack's utterances or of an utterances file, learned when `cache_dir` has none for it. The encoder has no part in it."""
    return _language(*_utterances_of(pack), encoder, cache_dir)


def _language(file: Path, content: bytes, encoder: SentenceEncoder, cache_dir: Path) -> Language:
    cached = cache_dir / f"spelling-{hashlib.sha256(f'{LANGUAGE_VERSION} '.encode() + content).hexdigest()[:24]}.npz"
    spelling = Spelling.from_file(cached)
    if spelling is None:
        spelling = learn_spelling(read_utterances(file))
        write_atomically(cached, spelling.to_bytes())
    return Language(spelling, lambda: Vocabulary.of((item.text for item in read_utterances(file)), encoder.knows))


def _utterances_of(pack: Path) -> tuple[Path, bytes]:
    """The utterances file of a pack folder, or the file itself, and its content, empty where there is none."""
    file = pack / FILE_NAME if pack.is_dir() else pack
    return file, file.read_bytes() if file.is_file() else b""
