"""Agent selection: a calibrated intent head over a sentence encoder, and stickiness within a conversation."""

from assistant.routing.head import NO_AGENT, Head, Prediction
from assistant.routing.router import Decision, RouteContext, Router
from assistant.routing.utterances import RoutingDataError, Utterance, read_utterances

__all__ = [
    "NO_AGENT",
    "Decision",
    "Head",
    "Prediction",
    "RouteContext",
    "Router",
    "RoutingDataError",
    "Utterance",
    "read_utterances",
]
