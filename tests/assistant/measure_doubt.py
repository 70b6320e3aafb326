"""Measures on a pack's training utterances what a turn does with them beside routing: sharing out, refusing for the language, doubting.

Four folds by family: every utterance is judged by a head, a spelling and a vocabulary that have not seen its family. Takes some minutes.

    python tests/assistant/measure_doubt.py [PACK]
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from assistant.encoder import SentenceEncoder
from assistant.pack import Pack
from assistant.routing import NO_AGENT, RouteContext, Router, Utterance, read_utterances
from assistant.routing.language import Language, Spelling, learn_spelling
from assistant.routing.router import UNKNOWN_LANGUAGE
from assistant.routing.several import Splitter
from assistant.routing.slips import Vocabulary
from assistant.routing.training import train
from assistant.settings import Settings

FOLDS = 4
LOW, WIDTH, BINS = 0.2, 0.05, 8


@dataclass(frozen=True, kw_only=True)
class Judged:
    """`parts` into which the utterance was cut."""

    utterance: Utterance
    parts: int
    refused: bool
    agent: str
    confidence: float


def main(name: str) -> None:
    settings = Settings.from_environ(os.environ)
    encoder = SentenceEncoder.load(settings.encoder, cache_dir=settings.cache_dir)
    utterances = read_utterances(Pack.load(name).folder)
    threshold = learn_spelling(utterances).threshold
    judged = list(_judge(utterances, encoder, threshold))
    refused = [one for one in judged if one.refused]
    told = {
        "utterances": len(judged),
        "shared_out": sum(one.parts > 1 for one in judged),
        "refused_for_language": len(refused),
        "refused_for_language_of_a_specialist": sum(one.utterance.agent != NO_AGENT for one in refused),
        "right_by_probability": list(_bins(judged)),
    }
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


def _judge(utterances: Sequence[Utterance], encoder: SentenceEncoder, threshold: object) -> Iterator[Judged]:
    for fold in range(FOLDS):
        seen = [item for item in utterances if crc32(item.family.encode()) % FOLDS != fold]
        words = Vocabulary.of((item.text for item in seen), encoder.knows)
        counts = learn_spelling(seen)
        spelling = Spelling(seen=counts.seen, total=counts.total, kinds=counts.kinds, threshold=threshold)  # pyright: ignore[reportArgumentType]
        router = Router(train(seen, encoder), encoder, language=Language(spelling, lambda words=words: words))
        splitter = Splitter(router)
        for item in utterances:
            if crc32(item.family.encode()) % FOLDS == fold:
                alone = router.predict(item.text)
                yield Judged(
                    utterance=item,
                    parts=len(splitter.split(item.text)),
                    refused=router.decide(item.text, RouteContext()).doubt == UNKNOWN_LANGUAGE,
                    agent=alone.agent,
                    confidence=alone.confidence,
                )


def _bins(judged: Sequence[Judged]) -> Iterator[dict[str, float]]:
    for number in range(BINS):
        low = LOW + WIDTH * number
        inside = [one for one in judged if low <= one.confidence < low + WIDTH]
        yield {"from": round(low, 2), "n": len(inside), "right": sum(one.agent == one.utterance.agent for one in inside)}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "qsr")
