"""Routers of other people are measured like ours; what they raise or answer wrongly counts against them."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evals.errors import TargetError, UsageError
from evals.routing.judged import NO_ANSWER
from evals.routing.routers import FunctionRouter, open_router, read_label

LABELS = ["pay", "pay_later", "card", "none"]


def silent(done: int, total: int) -> None:
    assert done <= total


def test_a_function_is_a_router_and_its_errors_are_wrong_choices():
    def route(text: str) -> object:
        if text == "boom":
            raise RuntimeError("no")
        return {"bad": 7, "sure": ("pay", 0.9), "none": "none"}.get(text, "card")

    choices = FunctionRouter(route, "python:x:y").choose(["boom", "bad", "sure", "none", "else"], silent)
    assert [choice.settled for choice in choices] == [NO_ANSWER, NO_ANSWER, "pay", "none", "card"]
    assert "RuntimeError: no" in choices[0].fault and "returned 7" in choices[1].fault
    assert choices[2].confidence == 0.9


def test_a_router_is_named_by_its_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_router_module.py").write_text("def route(text):\n    return 'pay'\n")
    router = open_router("python:their_router_module:route", LABELS)
    assert router.name == "python:their_router_module:route"
    assert router.choose(["x"], silent)[0].forced == "pay"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("magic:x", "write python:module:function or openai"),
        ("python:nothing_here:x", "cannot be imported"),
        ("openai:http://127.0.0.1:1/v1", "write openai:URL#MODEL"),
        ("openai:ftp://x#m", "write openai:URL#MODEL"),
        ("openai:http://127.0.0.1:99999/v1#m", "write openai:URL#MODEL"),
        ("openai:http://me:secret@127.0.0.1:1/v1#m", "must hold no secrets"),
    ],
)
def test_a_bad_name_is_refused(spec, said):
    with pytest.raises(UsageError, match=said):
        open_router(spec, LABELS)


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("pay", "pay"),
        (" `Card`.\n", "card"),
        ("The label is pay_later", "pay_later"),
        ("**none**", "none"),
        ("pay or card", None),
        ("", None),
        ("transfer", None),
    ],
)
def test_a_label_is_read_out_of_an_answer(said, label):
    assert read_label(said, LABELS) == label


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        system, text = (message["content"] for message in asked["messages"])
        assert "pay_later" in system and asked["temperature"] == 0
        if text == "slow":
            time.sleep(0.3)
        status = {"refused": 401, "broken": 500, "bad": 400}.get(text, 200)
        answers = {
            "odd": "{}",
            "not json": "<html>",
            "silent": json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}),
        }
        body = answers.get(text) or json.dumps(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": asked["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"{text}."}}],
            }
        )
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_a_language_model_is_asked_to_choose(server):
    router = open_router(f"openai:{server}#m", LABELS, {"OPENAI_API_KEY": "k"})
    choices = router.choose(["pay", "none", "something else", "odd", "silent", "bad"], silent)
    assert [choice.settled for choice in choices] == ["pay", "none", *[NO_ANSWER] * 4]
    assert "HTTP 400" in choices[5].fault and "named no label" in choices[2].fault
    router._client.close()


def test_a_model_that_refuses_or_is_absent_is_told(server):
    router = open_router(f"openai:{server}/v1#m", LABELS, {})
    with pytest.raises(TargetError, match="HTTP 401; check the address"):
        router.choose(["refused"], silent)
    router._client.close()
    absent = open_router("openai:http://127.0.0.1:9/v1#m", LABELS, {})
    absent._client = absent._client.with_options(max_retries=0)
    with pytest.raises(TargetError, match="no model server answers"):
        absent.choose(["x"], silent)
    absent._client.close()


def test_a_model_that_is_slow_or_speaks_otherwise_gives_no_answer(server):
    router = open_router(f"openai:{server}/v1#m", LABELS, {})
    router._client = router._client.with_options(max_retries=0)
    assert router.choose(["not json"], silent)[0].settled == NO_ANSWER
    assert "HTTP 500" in router.choose(["broken"], silent)[0].fault
    router._client.close()
    slow = open_router(f"openai:{server}/v1#m", LABELS, {})
    slow._client = slow._client.with_options(max_retries=0, timeout=0.1)
    assert "no answer within" in slow.choose(["slow"], silent)[0].fault
    slow._client.close()
