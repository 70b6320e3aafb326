"""Measures a pack's shipped router: labelled texts one by one, conversations through the whole assistant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from assistant.encoder import SentenceEncoder
from assistant.routing import Router
from assistant.routing.serving import serving_router
from assistant.routing.stored import head_digest
from evals.routing import several
from evals.routing.data import LabelledConversation, read_conversations, read_several, read_utterances
from evals.routing.formats import Row, read_rows, read_text
from evals.routing.judged import NO_ANSWER, Choice, HeadRouter, Judged, judge_rows
from evals.routing.measuring import measure_robustness
from evals.routing.result import describe
from evals.routing.suite import RoutingRun, run_routing
from evals.suites import Progress
from evals.targets.inprocess import InProcessTarget, PackFacts, pack_facts
from evals.targets.opening import CARD_CLOCK, private_environ
from evals.transcript import Transcript

_FIELDS = ("id", "text", "agent", "intent", "family")


@dataclass(frozen=True, kw_only=True)
class PackRequest:
    """`test` null: the pack's own test set and conversations."""

    pack: str
    test: str | None
    conversations: Path | None
    store: Path
    environ: Mapping[str, str]
    robustness: bool = False
    seed: int = 7


@dataclass(frozen=True, kw_only=True)
class _Pack:
    labels: list[str]
    encoder: SentenceEncoder
    router: Router


def measure_pack(request: PackRequest, progress: Progress) -> dict[str, Any]:
    """The fields of `assay routing --json`, and `metrics` as a release records them. Raises `UsageError` and what a pack raises.

    With multi-turn items only, all fields are about their turns, clustered by item.
    """
    facts = pack_facts(request.pack, private_environ(request.environ, request.store))
    pack = _open(facts)
    folder = Path("datasets") / request.pack / "routing"
    singles, items = _split(request, folder, pack)
    run = RoutingRun(
        pack=request.pack,
        tests=singles,
        conversations=items,
        store=request.store,
        environ=request.environ,
    )
    result = asyncio.run(run_routing(run, progress))
    metrics = {name: asdict(value) if value else None for name, value in result.metrics.items()}
    found: dict[str, Any] = {
        "router": {"name": f"pack {request.pack}", "hash": head_digest(pack.router.head), "encoder": pack.encoder.fingerprint},
        "level": "agent",
        "test": {"source": request.test or str(folder), "n": len(result.slots)},
        "warnings": [],
        "metrics": metrics,
    }
    turns = _turns(items, pack.labels, result.transcripts)
    if singles is None:
        found |= describe(turns, [], pack.labels)
    else:
        found |= _alone(request, singles, pack, progress)
    found |= {"conversations": _conversations(turns, metrics)} if turns else {}
    return found | _several(request, folder, pack, singles, progress)


def _several(request: PackRequest, folder: Path, pack: _Pack, singles: Path | None, progress: Progress) -> dict[str, Any]:
    """The pack's own messages with several requests, where it has such and no other test was named."""
    path = folder / several.FILE_NAME
    if request.test is not None or singles is None or not path.is_file():
        return {}
    texts = [str(row.text) for row in read_utterances(singles, agents=pack.labels)]
    items = read_several(path, agents=pack.labels)
    target = InProcessTarget(private_environ(request.environ, request.store), pack=request.pack, now=CARD_CLOCK)
    playing = several.play_several(items, target, progress)
    return {"several": several.describe_several(asyncio.run(playing), pack.router, texts)}


def _open(facts: PackFacts) -> _Pack:
    encoder = SentenceEncoder.load(facts.encoder, cache_dir=facts.cache_dir)
    router = serving_router(facts.folder, facts.agents, encoder, facts.cache_dir, facts.router)
    return _Pack(labels=[*facts.agents, "none"], encoder=router.encoder, router=router)


def _split(request: PackRequest, folder: Path, pack: _Pack) -> tuple[Path | None, Path | None]:
    """The files of single texts and of conversations; a given test file is split by what its lines are."""
    if request.test is None:
        return folder / "test.jsonl", request.conversations or folder / "conversations.jsonl"
    path = Path(request.test)
    if path.suffix in {".csv", ".json"} or "#" in path.name:
        return _converted(read_rows(request.test, "test"), request, pack), request.conversations
    lines = [line for line in read_text(path).split("\n") if line.strip()]
    talks = ["turns" in row if isinstance(row := _parsed(line), dict) else False for line in lines]
    if not any(talks):
        return _named(lines, path, request, pack), request.conversations
    if all(talks):
        return None, path
    turns, texts = request.store / "turns.jsonl", [line for line, talk in zip(lines, talks, strict=True) if not talk]
    turns.write_text("\n".join(line for line, talk in zip(lines, talks, strict=True) if talk), encoding="utf-8")
    return _named(texts, path, request, pack), turns


def _named(lines: Sequence[str], path: Path, request: PackRequest, pack: _Pack) -> Path:
    """The file itself, or a copy where an agent has to be found by the intent."""
    rows = [_parsed(line) for line in lines]
    if len(lines) and all(isinstance(row, dict) and "agent" not in row and "intent" in row for row in rows):
        return _converted(read_rows(str(path), "test"), request, pack)
    if request.conversations is None and len(lines) < len([line for line in read_text(path).split("\n") if line.strip()]):
        copy = request.store / "texts.jsonl"
        copy.write_text("\n".join(lines), encoding="utf-8")
        return copy
    return path


def _converted(rows: Sequence[Row], request: PackRequest, pack: _Pack) -> Path:
    """Rows as JSON lines with the agent of each intent; an intent that the pack has not stands for an agent of that name."""
    head = pack.router.head
    owner = dict(zip(map(str, head.intents), map(str, head.agents), strict=True))
    copy = request.store / "converted.jsonl"
    lines = [
        {
            "id": f"row-{row.number}",
            "text": row.text,
            "agent": row.agent or owner.get(row.intent, row.intent),
            "family": row.family,
        }
        for row in rows
    ]
    copy.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return copy


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _alone(request: PackRequest, singles: Path, pack: _Pack, progress: Progress) -> dict[str, Any]:
    rows = [
        Row(
            text=str(data["text"]),
            place=f"{singles}: {data.get('id', number)}",
            number=number,
            intent=str(data.get("intent") or data["agent"]),
            agent=str(data["agent"]),
            family=str(data.get("family") or ""),
        )
        for number, line in enumerate(read_text(singles).split("\n"))
        if line.strip()
        for data in [cast("dict[str, Any]", json.loads(line))]
    ]
    router = HeadRouter(pack.router, request.pack)
    judged = judge_rows(rows, router, "agent", lambda done, total: progress("judged", done, total))
    found = describe(judged, [], pack.labels)
    if request.robustness:
        found["robustness"] = measure_robustness(judged, router, "agent", request.seed, progress)
    return found


def _turns(items: Path | None, labels: list[str], transcripts: Sequence[Transcript]) -> list[Judged]:
    """Every labelled turn with the agent that answered it; a turn without an answer is wrong."""
    if items is None:
        return []
    talks: list[LabelledConversation] = read_conversations(items, agents=labels)
    found: list[Judged] = []
    for talk, transcript in zip(talks, transcripts, strict=True):
        for number, labelled in enumerate(talk.turns):
            turn = transcript.turns[number] if number < len(transcript.turns) else None
            agent = (turn.agent if turn else None) or NO_ANSWER
            share = turn.route.get("confidence") if turn and turn.route else None
            row = Row(
                text=labelled.text,
                place=f"{talk.id}: turn {number + 1}",
                number=len(found),
                intent=labelled.agent,
                agent=labelled.agent,
                family=talk.id,
            )
            found.append(
                Judged(
                    row=row,
                    expected=labelled.agent,
                    choice=Choice(forced=agent, settled=agent, confidence=share, settled_confidence=share),
                )
            )
    return found


def _conversations(turns: Sequence[Judged], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Per turn and per item, and which turns went wrong."""
    return {
        "turns": metrics["routing.conversations.accuracy"],
        "items": metrics["routing.conversations.whole"],
        "wrong": [
            {"place": item.row.place, "text": item.row.text[:200], "expected": item.expected, "got": item.choice.settled}
            for item in turns
            if item.expected != item.choice.settled
        ],
    }
