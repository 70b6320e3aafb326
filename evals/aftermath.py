"""Aftermath of chaos: what failed while a fault went on, how long recovery took, and which accepted turns are lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx2

from evals.errors import TargetError
from loadtests.samples import Sample
from loadtests.script import Conversation


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What faults did. `accepted`: turns of which the client had seen the first event, `answered` those of which it had seen the end.
    `lost`: accepted ones whose message, or answered ones whose answer, is not in the thread. `faults`: `kind at_s for_s recovery_s errors without_model`
    each. `recovery_s`: from when it struck to the end of the first turn that was sent after that and answered (by the model, where the
    fault was the model's); null when there was none. `errors`: failed turns by class of which some part lay between the strike and its end or the recovery, whichever was later;
    `without_model`: those answered with what the tools had found, for the model failed.
    """

    faults: list[dict[str, Any]]
    failed: int
    accepted: int
    answered: int
    lost: list[str]

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Struck:
    """A fault that happened, `at_s` seconds into the run."""

    kind: str
    at_s: float
    for_s: float


def aftermath(samples: Sequence[Sample], script: Iterable[Conversation], url: str, struck: Sequence[Struck]) -> Aftermath:
    """Ask the server for every thread that the samples saw. Raises `TargetError` when it does not answer."""
    users = {conversation.id: conversation.user_id for conversation in script}
    accepted = [sample for sample in samples if sample.events and sample.events[0]["type"] == "meta"]
    threads: dict[str, set[tuple[str, str]]] = {}
    lost: list[str] = []
    try:
        with httpx2.Client(base_url=url, timeout=10.0) as http:
            for sample in accepted:
                meta = sample.events[0]
                thread = meta["thread_id"]
                if thread not in threads:
                    threads[thread] = _said(http, thread, users[sample.conversation])
                wanted = {(meta["turn_id"], "user")} | ({(meta["turn_id"], "assistant")} if sample.ok else set())
                if not wanted <= threads[thread]:
                    lost.append(sample.sample)
    except httpx2.HTTPError as error:
        raise TargetError(f"{url}: did not answer after its faults were over ({type(error).__name__}); see its log") from error
    return Aftermath(
        faults=[_row(samples, fault) for fault in struck],
        failed=sum(not sample.ok for sample in samples),
        accepted=len(accepted),
        answered=sum(sample.ok for sample in accepted),
        lost=lost,
    )


def _row(samples: Sequence[Sample], fault: Struck) -> dict[str, Any]:
    needed = [sample for sample in samples if _by_model(sample)] if fault.kind.startswith("model ") else samples
    recovery_s = _recovery_s(needed, fault.at_s)
    until = fault.at_s + max(fault.for_s, float("inf") if recovery_s is None else recovery_s)
    during = [sample for sample in samples if sample.t_plan < until and (sample.t_done is None or sample.t_done > fault.at_s)]
    errors = Counter(sample.outcome for sample in during if not sample.ok)
    return {
        **asdict(fault),
        "recovery_s": recovery_s,
        "errors": dict(errors.most_common()),
        "without_model": sum(sample.ok and _model_failed(sample) for sample in during),
    }


def _by_model(sample: Sample) -> bool:
    """Whether a model was asked and all that it was asked for came."""
    calls = sum(event["model_calls"] for event in sample.events if event["type"] == "usage")
    return calls > 0 and not _model_failed(sample)


def _model_failed(sample: Sample) -> bool:
    return any(event["type"] == "error" and event["code"] == "model_failed" for event in sample.events)


def _recovery_s(samples: Sequence[Sample], at_s: float) -> float | None:
    sent = [sample for sample in samples if sample.ok and sample.t_send is not None and sample.t_send > at_s]
    return min((sample.t_done - at_s for sample in sent if sample.t_done is not None), default=None)


def _said(http: httpx2.Client, thread: str, user: str) -> set[tuple[str, str]]:
    """(turn, role) of every message in a thread; none when the thread is gone."""
    answer = http.get(f"/v1/threads/{thread}", params={"user_id": user})
    if answer.status_code == 404:
        return set()
    answer.raise_for_status()
    return {(message["turn_id"], message["role"]) for message in answer.json()["messages"]}
