"""Times of what every turn does in this process: `make bench` measures them, the suite runs each once."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from assistant.encoder import SentenceEncoder
from assistant.knowledge import Library
from assistant.routing import RouteContext, Router
from assistant.wire import EventAdapter

PACK = Path(__file__).parents[2] / "assistant/packs/qsr"
QUESTION = "how hot must chicken be held in the warming cabinet during lunch on day {}"


@pytest.fixture
def question():
    """Another question at every call: the encoder remembers the last texts."""
    days = count()
    return lambda: QUESTION.format(next(days))


@pytest.fixture(scope="module")
def encoder(machine_cache):
    return SentenceEncoder.load(cache_dir=machine_cache)


@pytest.fixture(scope="module")
def router(encoder, machine_cache):
    return Router.load(PACK, encoder, machine_cache)


def test_a_message_is_encoded(benchmark, encoder, question):
    assert benchmark(lambda: encoder.encode(question())).embedding.shape == (384,)


def test_an_agent_is_chosen(benchmark, router, question):
    assert benchmark(lambda: router.decide(question(), RouteContext())).agent == "safety"


def test_an_agent_is_chosen_for_a_follow_up(benchmark, router, question):
    def decide():
        return router.decide("and the soup?", RouteContext(current_agent="safety", previous_text=question()))

    assert benchmark(decide).agent == "safety"


def test_passages_are_found(benchmark, encoder, machine_cache, question):
    library = Library.load(PACK / "knowledge", encoder, machine_cache)
    assert benchmark(lambda: library.search(question(), limit=3))[0].document == "cooking-temperatures"
    library.close()


def test_an_event_is_read(benchmark):
    line = '{"type": "token", "id": 7, "t_s": 0.3, "text": "Hold it at 135 F"}'
    assert benchmark(EventAdapter.validate_json, line).text == "Hold it at 135 F"
