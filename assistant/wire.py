"""The HTTP contract of an assistant: requests, and one versioned union of events per turn.

Every event of a turn carries `id` (1, 2, 3, ... without gaps inside the turn) and `t_s`, seconds since the server accepted
the turn, on the server's monotonic clock. A turn ends with exactly one `done`; an `error` may precede it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

WIRE_VERSION = 1

Outcome = Literal["answered", "refused", "abstained", "degraded", "error"]
"""`refused`: out of scope or not allowed. `abstained`: in scope, nothing found to answer from. `degraded`: answered in
part after a tool or model failed, and the user was told so. `error`: no answer."""

RouteStage = Literal["head", "sticky", "pending", "llm", "default"]
"""What decided: the trained head, stickiness to the current agent, an open question of the current agent, an LLM, or the
pack's safest agent in doubt."""


class WireModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgentScore(WireModel):
    agent: str
    probability: Annotated[float, Field(ge=0, le=1)]


class EventFields(WireModel):
    id: Annotated[int, Field(ge=1)]
    t_s: Annotated[float, Field(ge=0)]


class MetaEvent(EventFields):
    """First event of every turn."""

    type: Literal["meta"] = "meta"
    wire_version: int = WIRE_VERSION
    pack: str
    thread_id: str
    turn_id: str
    model: str


class RouteEvent(EventFields):
    """One for each agent that answers, ahead of its answer. `doubt` says why the choice is not to be relied on."""

    type: Literal["route"] = "route"
    agent: str
    previous_agent: str | None
    stage: RouteStage
    confidence: Annotated[float, Field(ge=0, le=1)]
    intent: str | None
    alternatives: list[AgentScore]
    duration_s: float
    doubt: str | None = None


class NodeEvent(EventFields):
    """A stage of the turn ended: `load`, `route`, `agent`, `model`, `retrieve`, `store`."""

    type: Literal["node"] = "node"
    name: str
    duration_s: float


class ToolCallEvent(EventFields):
    type: Literal["tool_call"] = "tool_call"
    call_id: str
    tool: str
    arguments: dict[str, JsonValue]


class ToolResultEvent(EventFields):
    type: Literal["tool_result"] = "tool_result"
    call_id: str
    tool: str
    ok: bool
    result: JsonValue
    duration_s: float


class TokenEvent(EventFields):
    type: Literal["token"] = "token"
    text: str


class CitationEvent(EventFields):
    """`exists` is false when the answer cites a passage that is not in the knowledge base."""

    type: Literal["citation"] = "citation"
    document: str
    passage: str
    title: str
    quote: str
    exists: bool


class SidecarEvent(EventFields):
    """Data beside the answer, for a client that can show it (a checklist, a table)."""

    type: Literal["sidecar"] = "sidecar"
    name: str
    data: JsonValue


class HandoffEvent(EventFields):
    type: Literal["handoff"] = "handoff"
    from_agent: str
    to_agent: str
    duration_s: float


class UsageEvent(EventFields):
    """`cost_usd` is null when the model has no known price."""

    type: Literal["usage"] = "usage"
    model: str
    input_tokens: int
    output_tokens: int
    model_calls: int
    cost_usd: float | None


class RestartEvent(EventFields):
    """Tokens sent so far are void; the answer starts again (fallback after the first token)."""

    type: Literal["restart"] = "restart"
    reason: str


class ErrorEvent(EventFields):
    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool


class DoneEvent(EventFields):
    """`agent`: who answered, the first where several did. `timings`: seconds by stage (`route_s load_s agent_s model_s tools_s store_s overhead_s total_s`);
    `overhead_s` is the turn's wall time minus the union of its model and tool spans. `wire_s`, where a model was asked over HTTP: from having the
    request to send to the last piece of the answer, without its client's own work."""

    type: Literal["done"] = "done"
    outcome: Outcome
    agent: str
    text: str
    timings: dict[str, float]


Event = Annotated[
    MetaEvent
    | RouteEvent
    | NodeEvent
    | ToolCallEvent
    | ToolResultEvent
    | TokenEvent
    | CitationEvent
    | SidecarEvent
    | HandoffEvent
    | UsageEvent
    | RestartEvent
    | ErrorEvent
    | DoneEvent,
    Field(discriminator="type"),
]
EventAdapter: TypeAdapter[Event] = TypeAdapter(Event)


class TurnRequest(WireModel):
    """`thread_id` absent starts a thread. `sandbox` names a sandbox made by `POST /v1/sandboxes`."""

    message: Annotated[str, Field(min_length=1, max_length=20_000)]
    user_id: Annotated[str, Field(min_length=1, max_length=200)] = "anonymous"
    thread_id: str | None = None
    sandbox: str | None = None


class TurnResponse(WireModel):
    thread_id: str
    turn_id: str
    agent: str
    outcome: Outcome
    text: str
    events: list[Event]


FaultKind = Literal[
    "tool_error",
    "tool_timeout",
    "tool_garbage",
    "model_error",
    "model_rate_limited",
    "model_garbage",
    "model_cut",
    "model_slow",
    "store_read_only",
]


class Fault(WireModel):
    """A fault a sandbox injects. `tool` narrows tool faults to one tool; `times` bounds how often (null: always)."""

    kind: FaultKind
    tool: str | None = None
    times: Annotated[int, Field(ge=1)] | None = None
    delay_s: Annotated[float, Field(ge=0, le=60)] = 0.0


Collections = dict[str, dict[str, JsonValue]]
"""Pack state: collection -> key -> JSON value."""


class FeedbackRequest(WireModel):
    """What a person thinks of an answered turn; a later word on the same turn counts instead. `reason` is a code such as `wrong_answer`."""

    turn_id: Annotated[str, Field(min_length=1, max_length=64)]
    user_id: Annotated[str, Field(min_length=1, max_length=200)] = "anonymous"
    thumbs_up: bool
    reason: Annotated[str, Field(max_length=40, pattern=r"^[a-z_]+$")] | None = None
    comment: Annotated[str, Field(max_length=2_000)] = ""


class SandboxRequest(WireModel):
    """A sandbox starts from the pack's seed state; `fixtures` overlay it key by key (a null value removes the key)."""

    pack: str
    fixtures: Collections = {}
    faults: list[Fault] = []


class SandboxCreated(WireModel):
    sandbox: str


class SandboxState(WireModel):
    sandbox: str
    state: Collections


class Health(WireModel):
    status: Literal["ok"]
    pack: str
    model: str
    wire_version: int = WIRE_VERSION
    memory_bytes: int
