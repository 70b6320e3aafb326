"""One labelled text and what a router made of it, whatever the router is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from assistant.encoder.batched import BatchedEncoder
from assistant.routing.head import NO_AGENT, Prediction
from assistant.routing.router import Router, readable
from evals.routing.formats import Row

NO_ANSWER = "(no answer)"
"""What a router chose when it failed or named no label."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`forced` is the best label in scope, `settled` the decision, which may be `none`; each with its probability.

    `scope` is high for a text that belongs to some label. Null: the router does not tell. Times are seconds.
    """

    forced: str
    settled: str
    confidence: float | None = None
    settled_confidence: float | None = None
    scope: float | None = None
    intent: str | None = None
    encode_s: float | None = None
    head_s: float | None = None
    total_s: float = 0.0
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """`expected` is the label of the level measured."""

    row: Row
    expected: str
    choice: Choice

    @property
    def outside(self) -> bool:
        return self.expected == NO_AGENT


class MeasuredRouter(Protocol):
    """Anything that chooses one of a closed set of labels for a text."""

    @property
    def name(self) -> str: ...
    def choose(self, texts: Sequence[str], progress: Progress) -> list[Choice]: ...


class HeadRouter:
    """A trained router, text after text on one thread, as `Router.decide` does without a conversation.

    A second reading of an unsure text counts into `head_s`.
    """

    def __init__(self, router: Router, name: str) -> None:
        self.name = name
        self._router = router
        head = router.head
        self._inside = {str(intent) for intent, agent in zip(head.intents, head.agents, strict=True) if agent != NO_AGENT}

    def choose(self, texts: Sequence[str], progress: Progress) -> list[Choice]:
        self._one("warm up")
        each_s = self._read_ahead(texts)
        found: list[Choice] = []
        for number, text in enumerate(texts, start=1):
            found.append(self._one(text, each_s))
            progress(number, len(texts))
        return found

    def _read_ahead(self, texts: Sequence[str]) -> float:
        """Seconds a text that an encoder spent which reads in batches; the served one reads text after text."""
        if not isinstance(self._router.encoder, BatchedEncoder) or not texts:
            return 0.0
        started = perf_counter()
        self._router.encoder.encode_many(readable(text) for text in texts)
        return (perf_counter() - started) / len(texts)

    def _one(self, text: str, ahead_s: float = 0.0) -> Choice:
        started = perf_counter()
        text = readable(text)
        # The encoder keeps the vectors, so that the router does not encode this text again.
        self._router.encoder.encode(text)
        encoded = perf_counter()
        prediction = self._router.predict(text)
        ranked = self._router.settle(text, prediction)
        ended = perf_counter()
        choice = _choice(prediction, ranked[0], self._inside)
        return replace(choice, encode_s=encoded - started + ahead_s, head_s=ended - encoded, total_s=ended - started + ahead_s)


def _choice(prediction: Prediction, settled: tuple[str, float], inside_intents: Set[str]) -> Choice:
    """The forced choice takes `none` out of the running; its probability is then one of those in scope."""
    inside = [(agent, share) for agent, share in prediction.agents if agent != NO_AGENT]
    total = sum(share for _, share in inside)
    forced, share = inside[0]
    best = next(share for intent, share in prediction.intents if intent in inside_intents)
    # The scope of the prediction is that of its best intent; the nearness to training in it is kept, the intent is one in scope.
    nearness = prediction.scope / prediction.intents[0][1] if prediction.intents[0][1] > 0 else 0.0
    return Choice(
        forced=forced,
        settled=settled[0],
        confidence=share / total if total > 0 else 0.0,
        settled_confidence=settled[1],
        scope=min(1.0, best * nearness),
        intent=prediction.intent,
    )


def judge_rows(rows: Sequence[Row], router: MeasuredRouter, level: str, progress: Progress) -> list[Judged]:
    """Every row with the router's choice, in order."""
    choices = router.choose([row.text for row in rows], progress)
    return [Judged(row=row, expected=label_of(row, level), choice=choice) for row, choice in zip(rows, choices, strict=True)]


def label_of(row: Row, level: str) -> str:
    return row.agent if level == "agent" else row.intent


def labels_of(rows: Sequence[Row], level: str) -> list[str]:
    """Labels in name order, `none` last where it occurs."""
    found = {label_of(row, level) for row in rows}
    return [*sorted(found - {NO_AGENT}), *([NO_AGENT] if NO_AGENT in found else [])]


def read_answer(answer: object) -> tuple[str, float | None, float | None]:
    """Label, confidence and scope out of what a router of someone else returned: a label, `(label, confidence)`, or a mapping with
    `agent`, `intent` or `label` and perhaps `confidence` and `scope`. Raises `TypeError`."""
    if isinstance(answer, str):
        return answer, None, None
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], str):
        return answer[0], _share(answer[1]), None
    if isinstance(answer, Mapping):
        label = next((answer[name] for name in ("agent", "intent", "label") if isinstance(answer.get(name), str)), None)
        if label is not None:
            return label, _share(answer.get("confidence")), _share(answer.get("scope"))
    raise TypeError(f"a router returns a label, (label, confidence) or a mapping with `agent`; this one returned {answer!r:.80}")


def _share(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and 0 <= float(value) <= 1:
        return float(value)
    raise TypeError(f"a confidence is a number from 0 to 1, not {value!r:.40}")
