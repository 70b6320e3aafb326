"""Unloaded: every conversation of a script once, one after the other, by the client that makes the load. What it brings is what loaded
turns are compared with.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from loadtests.conversing import Conversing
from loadtests.lines import Endpoint
from loadtests.samples import Sample
from loadtests.schedule import Session
from loadtests.script import Conversation
from loadtests.stream import TURN_PATH, SandboxFailed


def play_unloaded(script: Iterable[Conversation], base_url: str, *, timeout_s: float) -> list[Sample]:
    """The samples of each conversation in turn. What goes wrong is in their outcomes."""
    samples: list[Sample] = []
    begin = time.monotonic()

    def clock() -> float:
        return time.monotonic() - begin

    endpoint = Endpoint(base_url=base_url, transport="sse", timeout_s=timeout_s, turn_path=TURN_PATH, clock=clock)
    try:
        for number, conversation in enumerate(script):
            session = Session(session=number, phase="steady", t_plan=clock(), conversation=conversation)
            _play(Conversing(session=session, clock=clock, record=lambda sample, _: samples.append(sample)), endpoint)
    finally:
        endpoint.close()
    return samples


def _play(talk: Conversing, endpoint: Endpoint) -> None:
    conversation = talk.session.conversation
    made = True
    if conversation.sandbox is not None:
        try:
            talk.sandbox = endpoint.client.make_sandbox(conversation.sandbox)
        except SandboxFailed:
            made = False
    talk.t_plan = endpoint.clock()
    line = endpoint.line()
    for turn in range(1, len(conversation.turns) + 1):
        if made:
            talk.play(turn, line)
        else:
            talk.refuse(turn)
    line.close()
