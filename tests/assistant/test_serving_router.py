"""A router that was trained for a pack and kept in a model folder serves it instead of the pack's own."""

from __future__ import annotations

import json

import pytest

from assistant.build import open_assistant
from assistant.encoder import SentenceEncoder
from assistant.pack import Pack
from assistant.routing import RouteContext, Router, read_utterances
from assistant.routing.router import UNKNOWN_LANGUAGE
from assistant.routing.serving import serving_router
from assistant.routing.stored import ModelError, TrainingData, save_model
from assistant.routing.training import train
from assistant.settings import Settings
from assistant.wire import TurnRequest

GARDEN = {
    "water": ["how often do I water the tomatoes", "my roses look thirsty", "water for an apple tree", "is the soil dry"],
    "mower": ["the lawn mower will not start", "my mower leaves stripes", "which oil for the mower", "mower engine smokes"],
}


def write_lines(path, owners):
    rows = [
        {"text": text, "intent": intent, "agent": owners[intent], "family": f"{intent}-{number}"}
        for intent, texts in GARDEN.items()
        for number, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="module")
def encoder(cache):
    return SentenceEncoder.load(cache_dir=cache)


@pytest.fixture(scope="module")
def garden(cache):
    return write_lines(cache / "garden.jsonl", {"water": "plants", "mower": "tools"})


def keep(folder, encoder, owners):
    """A model folder whose head knows who owns what as told."""
    lines = write_lines(folder.with_suffix(".jsonl"), owners)
    data = TrainingData(name=lines.name, digest="sha256:1", utterances=8)
    save_model(folder, Router(train(read_utterances(lines), encoder), encoder), data)
    return folder


def test_a_model_folder_serves_instead_of_the_packs_router(garden, encoder, cache, tmp_path):
    model = keep(tmp_path / "model", encoder, {"water": "tools", "mower": "plants"})
    asked = "the mower smokes"
    own = serving_router(garden, ["plants", "tools"], encoder, cache, None)
    trained = serving_router(garden, ["plants", "tools"], encoder, cache, model)
    assert own.decide(asked, RouteContext()).agent == "tools"
    assert trained.decide(asked, RouteContext()).agent == "plants"


def test_it_judges_languages_by_the_packs_utterances(machine_cache, tmp_path):
    encoder, pack = SentenceEncoder.load(cache_dir=machine_cache), Pack.load("qsr")
    model = keep(tmp_path / "model", encoder, {"water": "equipment", "mower": "training"})
    trained = serving_router(pack.folder, list(pack.agents), encoder, machine_cache, model)
    assert trained.decide("Miten usein tomaatit pitää oikeastaan kastella", RouteContext()).doubt == UNKNOWN_LANGUAGE
    assert trained.decide("how often do the tomatoes really need water", RouteContext()).doubt == ""


def test_agents_that_the_pack_does_not_have_are_refused(garden, encoder, cache, tmp_path):
    model = keep(tmp_path / "model", encoder, {"water": "plants", "mower": "sheds"})
    with pytest.raises(ModelError, match="chooses sheds, and the pack's agents are plants, tools; train it"):
        serving_router(garden, ["tools", "plants"], encoder, cache, model)


async def test_an_assistant_serves_it(machine_cache, tmp_path):
    """Equipment and training swapped: whoever answers tells which router was asked."""
    encoder = SentenceEncoder.load(cache_dir=machine_cache)
    model = keep(tmp_path / "model", encoder, {"water": "equipment", "mower": "training"})
    environ = {"HOME": str(tmp_path), "ASSAY_CACHE_DIR": str(machine_cache), "ASSAY_ROUTER": str(model)}
    settings = Settings.from_environ(environ)
    async with open_assistant(settings, pack="qsr") as assistant:
        result = await assistant.reply(TurnRequest(message="my lawn mower leaves stripes", user_id="ann"))
    assert result.agent == "training"
