"""A pack's shipped router measured on its test set, and its conversations through the whole assistant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.encoder import SentenceEncoder
from assistant.routing import RouteContext
from assistant.routing.serving import serving_router
from evals.routing.data import read_conversations, read_utterances
from evals.routing.measure import (
    confusion,
    conversation_metrics,
    conversation_slots,
    reliability,
    route_all,
    routing_metrics,
    routing_slots,
)
from evals.routing.switching import switch_metrics
from evals.suites import Progress, SuiteResult
from evals.targets.inprocess import InProcessTarget, pack_facts
from evals.targets.opening import CARD_CLOCK, private_environ
from evals.transcript import Transcript
from reports.records import Slot

_EVERY = 50


@dataclass(frozen=True, kw_only=True)
class RoutingRun:
    pack: str
    tests: Path | None
    conversations: Path | None
    store: Path
    environ: Mapping[str, str]
    switching: bool = False


async def run_routing(run: RoutingRun, progress: Progress) -> SuiteResult:
    """Decide every utterance alone, then play the conversations turn by turn. Without utterances only the latter.

    Raises `UsageError` for faulty data.
    """
    environ = private_environ(run.environ, run.store)
    facts = pack_facts(run.pack, environ)
    labels = [*facts.agents, "none"]
    utterances = read_utterances(run.tests, agents=labels) if run.tests else []
    encoder = SentenceEncoder.load(facts.encoder, cache_dir=facts.cache_dir)
    router = serving_router(facts.folder, facts.agents, encoder, facts.cache_dir, facts.router)
    router.decide("warm up", RouteContext())
    outcomes = []
    for start in range(0, len(utterances), _EVERY):
        outcomes += route_all(utterances[start : start + _EVERY], lambda text: router.decide(text, RouteContext()))
        progress("routing", len(outcomes), len(utterances))
    async with InProcessTarget(environ, pack=run.pack, now=CARD_CLOCK) as target:
        turns, transcripts = await _play_conversations(run, target, labels, progress)
        switching = await switch_metrics(outcomes, target) if run.switching else {}
    return SuiteResult(
        slots=[*routing_slots(outcomes), *turns],
        metrics={**routing_metrics(outcomes, agents=labels, planned=len(utterances)), **conversation_metrics(turns), **switching},
        tables={"confusion": confusion(outcomes, labels), "reliability": reliability(outcomes)},
        transcripts=transcripts,
    )


async def _play_conversations(
    run: RoutingRun, target: InProcessTarget, labels: list[str], progress: Progress
) -> tuple[list[Slot], list[Transcript]]:
    if run.conversations is None:
        return [], []
    conversations = read_conversations(run.conversations, agents=labels)
    slots: list[Slot] = []
    transcripts: list[Transcript] = []
    for number, conversation in enumerate(conversations, start=1):
        sandbox = await target.sandbox()
        turns, thread = await target.converse([turn.text for turn in conversation.turns], user="crew", sandbox=sandbox)
        slots += conversation_slots(conversation, turns)
        transcripts.append(Transcript(card=conversation.id, repeat=0, turns=turns, visible=target.visible, thread_id=thread))
        progress("conversations", number, len(conversations))
    return slots, transcripts
