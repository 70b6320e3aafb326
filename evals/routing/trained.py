"""A head trained on any labelled set, kept in the cache folder under what it was made of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from assistant.encoder import SentenceEncoder, write_atomically
from assistant.routing import Router
from assistant.routing.head import NO_AGENT, TRAINER_VERSION, Head
from assistant.routing.slips import Vocabulary
from assistant.routing.training import Recipe, train
from assistant.routing.utterances import Utterance
from evals.routing.formats import Row
from evals.routing.labelled import LabelledSet

RECIPE = Recipe(names=True, rejected_share=0.03)
"""For a file about which nothing is known: few examples are likely, and so are texts out of scope that it does not hold."""


def train_router(data: LabelledSet, encoder: SentenceEncoder, cache_dir: Path | None) -> Router:
    """The router of `data`, its head from `cache_dir` when these rows were trained on before (null: not kept).

    Deterministic, and the same for any order of the rows: `data` has them in an order of its own.
    """
    known = f"{encoder.fingerprint} {TRAINER_VERSION} {RECIPE} {data.level} {data.digest}"
    cached = cache_dir / f"routing-{hashlib.sha256(known.encode()).hexdigest()[:24]}.npz" if cache_dir else None
    head = Head.from_file(cached) if cached else None
    if head is None:
        head = train([_utterance(row, data.level) for row in data.rows], encoder, RECIPE)
        if cached:
            write_atomically(cached, head.to_bytes())
    return Router(head, encoder, vocabulary=Vocabulary.of((row.text for row in data.rows), encoder.knows))


def _utterance(row: Row, level: str) -> Utterance:
    agent = row.agent if level == "agent" or row.intent == NO_AGENT else row.intent
    return Utterance(text=row.text, intent=row.intent, agent=agent, family=row.family or row.text, line=row.number + 1)
