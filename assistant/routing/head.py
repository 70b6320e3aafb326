"""The trained intent head: NumPy arrays in, calibrated probabilities out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.encoder import Encoding
from assistant.routing.archive import pack, unpack
from assistant.routing.lexical import grams, weigh

HEAD_VERSION = 2
"""The layout of a stored head."""

TRAINER_VERSION = 3
"""Changes whenever training or the vectors it stores would come out differently."""

NO_AGENT = "none"
"""The label of utterances that no agent should answer."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the head alone says. `agents` holds every agent, most probable first; probabilities sum to 1.

    `scope` in [0, 1] is the probability of the best intent times the cosine to the nearest training utterance: it is low far from
    anything trained.
    """

    agent: str
    intent: str
    confidence: float
    agents: list[tuple[str, float]]
    intents: list[tuple[str, float]]
    scope: float


@dataclass(frozen=True, kw_only=True)
class Head:
    """Kernel ridge regression over intents: sum of a Gaussian kernel on the encoder's vectors and a linear one on n-grams.

    `centre` (inputs,) and `projection` (inputs, space) take a dense input into the space of `points` (utterances, space), all of
    unit length; `dual` (utterances, intents) weighs the similarity to each. `lexical` (buckets, intents) acts on weighed n-grams.
    `temperature` (1,) divides the summed logits; below `scope_floor` (1,) a text is out of scope.
    """

    intents: NDArray[np.str_]
    agents: NDArray[np.str_]
    centre: Floats
    projection: Floats
    points: Floats
    dual: Floats
    lexical: Floats
    rarity: Floats
    temperature: Floats
    scope_floor: Floats

    def predict(self, text: str, encoding: Encoding) -> Prediction:
        cosines = self.points @ project(dense_input(encoding), self.centre, self.projection)
        buckets, counts = grams(text)
        logits = kernel(cosines) @ self.dual + weigh(buckets, counts, self.rarity) @ self.lexical[buckets]
        # A text without a single word is near some training text, as everything is, and yet says nothing.
        nearest = max(0.0, float(cosines.max())) if len(buckets) else 0.0
        return self.roll_up(softmax(logits / self.temperature[0]), nearest)

    def roll_up(self, probabilities: Floats, nearest: float) -> Prediction:
        """Intents (their probabilities in the order of `intents`) summed up to agents."""
        names, owners, shares = self.intents.tolist(), self.agents.tolist(), probabilities.tolist()
        order = np.argsort(-probabilities, kind="stable").tolist()
        intents = [(names[index], shares[index]) for index in order]
        sums: dict[str, float] = {}
        for agent, probability in zip(owners, shares, strict=True):
            sums[agent] = sums.get(agent, 0.0) + probability
        # Single-precision shares may sum to a little more than one.
        total = sum(sums.values())
        ranked = sorted(((agent, share / total) for agent, share in sums.items()), key=lambda item: (-item[1], item[0]))
        agent = ranked[0][0]
        intent = next(names[index] for index in order if owners[index] == agent)
        scope = min(1.0, intents[0][1] * nearest)
        return Prediction(agent=agent, intent=intent, confidence=ranked[0][1], agents=ranked, intents=intents, scope=scope)

    def blend(self, first: Prediction, second: Prediction) -> Prediction:
        """The mean of two predictions of this head: of every probability, and of the scopes."""
        shares, others = dict(first.intents), dict(second.intents)
        mean = np.array([0.5 * (shares[str(name)] + others[str(name)]) for name in self.intents], dtype=np.float32)
        return replace(self.roll_up(mean, 0.0), scope=0.5 * (first.scope + second.scope))

    def agent_of(self, intent: str) -> str:
        """The agent of a known intent."""
        return str(self.agents[int(np.flatnonzero(self.intents == intent)[0])])

    def to_bytes(self) -> bytes:
        """A versioned archive that carries its own digest."""
        return pack({item.name: getattr(self, item.name) for item in fields(self)}, HEAD_VERSION)

    @classmethod
    def from_file(cls, path: Path) -> Head | None:
        """The head in `path`, or None when it is absent, cut short, altered or of another version."""
        arrays = unpack(path, [item.name for item in fields(cls)], HEAD_VERSION)
        return None if arrays is None else cls(**arrays)


def dense_input(encoding: Encoding) -> Floats:
    """Features and embedding side by side."""
    return np.concatenate([encoding.features, encoding.embedding])


def project(dense: Floats, centre: Floats, projection: Floats) -> Floats:
    """Dense inputs, one per row or a single one, in the kernel's space, of unit length."""
    inside = (dense - centre) @ projection
    return inside / np.maximum(np.linalg.norm(inside, axis=-1, keepdims=True), np.float32(1e-6))


def kernel(cosines: Floats) -> Floats:
    """A Gaussian kernel between vectors of unit length: exp(cosine - 1)."""
    return np.exp(cosines - np.float32(1.0))


def softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
