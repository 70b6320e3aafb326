"""A head trained on any labelled set, and an encoder tuned on it, kept in the cache folder under what they were made of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.encoder import SentenceEncoder, write_atomically
from assistant.encoder.batched import BatchedEncoder
from assistant.encoder.eager import Device, open_torch
from assistant.encoder.tuned import CARD_FILE, TUNED_VERSION, Tuning, load_tuned, write_tuned
from assistant.encoder.tuning import TuningPlan, tune
from assistant.encoder.weights import locate
from assistant.routing import Router
from assistant.routing.head import NO_AGENT, TRAINER_VERSION, Head
from assistant.routing.slips import Vocabulary
from assistant.routing.training import Recipe, calibrate, first_fold, names, train
from assistant.routing.utterances import Utterance
from evals.routing.labelled import LabelledSet
from evals.suites import Progress

RECIPE = Recipe(names=True, rejected_share=0.03)
"""For a file about which nothing is known: few examples are likely, and so are texts out of scope that it does not hold."""

PLENTY = 40
"""From this many texts an intent on, one text in ten is kept from the tuning, for calibration; with fewer, each would be missed, so
the encoder is tuned twice: without every fourth text, for calibration, and then with all."""

FEW_PLAN = TuningPlan()
PLENTY_PLAN = TuningPlan(epochs=5, batch=64)


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """The encoder to start with (null: the installed one), the cache folder, who is told, and the device of torch.

    Without a device texts are read with the served graph, and tuning takes CUDA where there is some.
    """

    encoder: Path | None
    cache_dir: Path
    progress: Progress
    device: Device | None = None

    def open(self) -> SentenceEncoder:
        """Raises `EncoderError`."""
        if self.device is not None:
            return BatchedEncoder(self.encoder, self.device)
        return SentenceEncoder.load(self.encoder, cache_dir=self.cache_dir)

    def tuning_device(self) -> Device:
        """Raises `EncoderError` where there is no torch."""
        return self.device or ("cuda" if open_torch().cuda.is_available() else "cpu")


@dataclass(frozen=True, kw_only=True)
class TunedRouter:
    """`folder` holds the encoder that the router reads with."""

    router: Router
    folder: Path


def train_router(data: LabelledSet, encoder: SentenceEncoder, cache_dir: Path | None) -> Router:
    """The router of `data`, its head from `cache_dir` when these rows were trained on before (null: not kept).

    Deterministic, and the same for any order of the rows: `data` has them in an order of its own.
    """
    known = f"{encoder.fingerprint} {TRAINER_VERSION} {RECIPE} {data.level} {data.digest}"
    cached = cache_dir / f"routing-{hashlib.sha256(known.encode()).hexdigest()[:24]}.npz" if cache_dir else None
    head = Head.from_file(cached) if cached else None
    if head is None:
        head = train(_utterances(data), encoder, RECIPE)
        if cached:
            write_atomically(cached, head.to_bytes())
    return _router(data, head, encoder)


def tune_router(data: LabelledSet, place: Workplace) -> TunedRouter:
    """The router of `data` on an encoder tuned on it. Minutes, unless these rows were tuned on before. Raises `EncoderError`."""
    utterances = _utterances(data)
    plenty = len(utterances) >= PLENTY * len({item.intent for item in utterances})
    plan = PLENTY_PLAN if plenty else FEW_PLAN
    first = first_fold(utterances, 10) if plenty else first_fold(utterances)
    seen = [item for item, held_back in zip(utterances, first, strict=True) if not held_back]
    trial = _tuned(data, seen, plan, place)
    encoder = load_tuned(trial, place.cache_dir)
    calibration = calibrate(utterances, encoder, RECIPE, first)
    folder = trial if plenty else _tuned(data, utterances, plan, place)
    encoder = load_tuned(folder, place.cache_dir)
    head = train(utterances, encoder, RECIPE, calibration)
    return TunedRouter(router=_router(data, head, encoder), folder=folder)


def _tuned(data: LabelledSet, utterances: Sequence[Utterance], plan: TuningPlan, place: Workplace) -> Path:
    """The folder in the cache with an encoder tuned on these utterances and on the names of their intents."""
    base, device = locate(place.encoder), place.tuning_device()
    examples = [*utterances, *names(utterances)]
    listed = "\0".join(f"{item.text}\0{item.intent}" for item in examples)
    known = f"{TUNED_VERSION} {base.sha256} {plan} {device} {data.digest} {listed}"
    folder = place.cache_dir / f"tuned-{hashlib.sha256(known.encode()).hexdigest()[:24]}"
    if (folder / CARD_FILE).is_file():
        return folder
    pairs = [(item.text, item.intent) for item in examples]
    tensors = tune(pairs, base, plan, device, lambda done, total: place.progress("tuning", done, total))
    tuning = Tuning(
        data=Path(data.source).name,
        data_digest=data.digest,
        texts=len(examples),
        base=base.sha256,
        plan=plan,
        device=device,
        torch=str(open_torch().__version__),
    )
    write_tuned(folder, base, tensors, tuning, [item.text for item in examples])
    return folder


def _router(data: LabelledSet, head: Head, encoder: SentenceEncoder) -> Router:
    return Router(head, encoder, vocabulary=Vocabulary.of((row.text for row in data.rows), encoder.knows))


def _utterances(data: LabelledSet) -> list[Utterance]:
    return [
        Utterance(
            text=row.text,
            intent=row.intent,
            agent=row.agent if data.level == "agent" or row.intent == NO_AGENT else row.intent,
            family=row.family or row.text,
            line=row.number + 1,
        )
        for row in data.rows
    ]
