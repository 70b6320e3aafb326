"""The HTTP target against the real server, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evals.cards import Card
from evals.catalog import load_cards
from evals.errors import TargetError
from evals.evaluators.table import checks_for, measurable
from evals.experiment import judge
from evals.plan import PlannedPlay
from evals.serving import served_assistant
from evals.targets.http import HttpTarget
from evals.targets.opening import open_target, parse_target, private_environ
from evals.transcript import Transcript

ROOT = Path(__file__).resolve().parents[2]
CARDS = {card.id: card for card in load_cards(ROOT / "datasets/qsr/scenarios")}
Reply = Callable[[BaseHTTPRequestHandler], None]


async def test_the_served_assistant_shows_what_the_one_in_process_shows(tmp_path: Path) -> None:
    card = CARDS["temperature-round-fahrenheit"]
    environ = private_environ(os.environ, tmp_path / "store")
    with served_assistant(["--sandboxes"], environ=environ, log=tmp_path / "log") as served:
        async with open_target(parse_target(served.url), pack="qsr", environ=os.environ, store=tmp_path / "x") as target:
            remote = await target.play(card, 0)
            assert target.visible.state
    async with open_target(parse_target("inprocess"), pack="qsr", environ=os.environ, store=tmp_path / "y") as target:
        local = await target.play(card, 0)
    assert [(t.text, t.agent, t.outcome, [c.tool for c in t.tool_calls]) for t in remote.turns] == [
        (t.text, t.agent, t.outcome, [c.tool for c in t.tool_calls]) for t in local.turns
    ]
    assert remote.state == local.state


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json") -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def server(turn: Reply, sandbox: Reply | None = None) -> Generator[str]:
    """A server that is healthy and answers turns and sandboxes as told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, 200 if self.path == "/healthz" else 500, b"{}")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/turns":
                turn(self)
            elif sandbox:
                sandbox(self)
            else:
                answer(self, 404, b"{}")

        def log_message(self, format: str, *args: object) -> None:
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


async def play(url: str, card: Card, timeout_s: float = 5.0) -> Transcript:
    async with HttpTarget(url, pack="qsr", timeout_s=timeout_s) as target:
        return await target.play(card, 0)


CARD = CARDS["quat-bucket-strength"]


async def test_an_error_status_is_the_assistants_failure() -> None:
    with server(lambda handler: answer(handler, 500, b"broken")) as url:
        transcript = await play(url, CARD)
    assert (transcript.fault, transcript.fault_reason) == ("agent_error", "HTTP 500: broken")


async def test_an_event_outside_the_contract_is_the_assistants_failure() -> None:
    event = b'data: {"type": "surprise"}\n\n'
    with server(lambda handler: answer(handler, 200, event, "text/event-stream")) as url:
        transcript = await play(url, CARD)
    assert transcript.fault == "agent_error" and "wire contract" in transcript.fault_reason


async def test_a_stream_that_ends_early_has_no_answer() -> None:
    meta = {"type": "meta", "id": 1, "t_s": 0, "pack": "qsr", "thread_id": "t", "turn_id": "u", "model": "m"}
    body = f"event: meta\ndata: {json.dumps(meta)}\n\n".encode()
    with server(lambda handler: answer(handler, 200, body, "text/event-stream")) as url:
        transcript = await play(url, CARD)
    assert transcript.thread_id == "t" and "without a `done`" in (transcript.turns[0].error or "")
    checks = [check for check in checks_for(CARD) if measurable(check, transcript.visible)]
    assert {slot.state for slot in judge(PlannedPlay(card=CARD, repeat=0, checks=checks), transcript)} == {"agent_error"}


async def test_silence_is_a_timeout() -> None:
    gate = threading.Event()
    with server(lambda handler: (gate.wait(5), None)[1]) as url:
        transcript = await play(url, CARD, timeout_s=0.3)
        gate.set()
    assert transcript.fault == "timeout"


async def test_a_sandbox_that_cannot_be_made_is_our_failure() -> None:
    made: list[int] = []

    def first_only(handler: BaseHTTPRequestHandler) -> None:
        made.append(1)
        answer(handler, 200 if len(made) == 1 else 500, b'{"sandbox": "s"}')

    with server(lambda handler: answer(handler, 200, b""), first_only) as url:
        transcript = await play(url, CARD)
    assert transcript.fault == "infra_error"


async def test_an_end_state_that_cannot_be_read_is_our_failure() -> None:
    with server(
        lambda handler: answer(handler, 200, b"", "text/event-stream"), lambda handler: answer(handler, 200, b'{"sandbox": "s"}')
    ) as url:
        transcript = await play(url, CARD)
    assert transcript.fault == "infra_error" and "end state" in transcript.fault_reason


async def test_nobody_there_is_said_with_a_remedy() -> None:
    with pytest.raises(TargetError, match="assay serve"):
        await play("http://127.0.0.1:9", CARD)
    await asyncio.sleep(0)
