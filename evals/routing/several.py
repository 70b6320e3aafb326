"""Messages with requests for several agents, played through the whole assistant, and how often one with a single request is shared out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assistant.routing import Router
from assistant.routing.several import Splitter
from evals.routing.data import SeveralRequests
from evals.suites import Progress
from evals.targets.inprocess import InProcessTarget
from evals.transcript import Turn
from reports.records import Estimate
from reports.statistics.proportions import clustered_rate, wilson

FILE_NAME = "several.jsonl"
SHOWN_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A message and the agents that answered it, in order; empty where nobody answered."""

    item: SeveralRequests
    agents: Sequence[str]

    @property
    def right(self) -> bool:
        return list(self.agents) == list(self.item.agents)


async def play_several(items: Sequence[SeveralRequests], target: InProcessTarget, progress: Progress) -> list[Shared]:
    """Say each message in a thread of its own."""
    found: list[Shared] = []
    async with target:
        for number, item in enumerate(items, start=1):
            turns, _ = await target.converse([item.text], user="crew", sandbox=await target.sandbox())
            found.append(Shared(item=item, agents=agents_of(turns[0])))
            progress("several requests", number, len(items))
    return found


def agents_of(turn: Turn) -> list[str]:
    """The agents that answered a turn, in the order of their answers."""
    route = turn.route or {}
    return [str(one["agent"]) for one in (route, *route.get("also", ())) if "agent" in one]


def describe_several(found: Sequence[Shared], router: Router, singles: Sequence[str]) -> dict[str, Any]:
    """The field `several` of `assay routing --json`. `singles` are texts with one request, of which none should be cut."""
    many = [shared for shared in found if len(shared.item.agents) > 1]
    one = [shared for shared in found if len(shared.item.agents) == 1]
    cut = Splitter(router).split
    return {
        "n": len(found),
        "right": _rate(many, [shared.right for shared in many]),
        "all_agents": _rate(many, [set(shared.agents) == set(shared.item.agents) for shared in many]),
        "first_agent": _rate(many, [list(shared.agents[:1]) == shared.item.agents[:1] for shared in many]),
        "single_kept_whole": _rate(one, [len(shared.agents) == 1 for shared in one]),
        "split_wrongly": asdict(wilson(sum(len(cut(text)) > 1 for text in singles), len(singles))) if singles else None,
        "wrong": [
            {
                "id": shared.item.id,
                "text": shared.item.text[:SHOWN_CHARACTERS],
                "expected": shared.item.agents,
                "got": [*shared.agents],
            }
            for shared in found
            if not shared.right
        ],
    }


def _rate(found: Sequence[Shared], hits: Sequence[bool]) -> dict[str, Any] | None:
    """Clustered by family; null without a message."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for shared, hit in zip(found, hits, strict=True):
        groups[shared.item.family or shared.item.id].append(hit)
    estimate: Estimate | None = clustered_rate([(sum(members), len(members)) for members in groups.values()]) if groups else None
    return asdict(estimate) if estimate else None
