"""Heads of other data: names as examples, abstention without a `none` class, model folders, and messages nobody would write."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from assistant.encoder import SentenceEncoder
from assistant.routing import NO_AGENT, Head, RouteContext, Router
from assistant.routing.router import readable
from assistant.routing.slips import Vocabulary
from assistant.routing.stored import ModelError, TrainingData, head_digest, load_model, save_model
from assistant.routing.training import Recipe, train
from assistant.routing.utterances import Utterance

TEXTS = {
    "water_plants": [
        "how often do I water the tomatoes",
        "my roses look thirsty",
        "how much water for an apple tree",
        "is the soil dry",
    ],
    "repair_mower": [
        "the lawn mower will not start",
        "my mower leaves stripes",
        "which oil goes in the mower",
        "mower engine smokes",
    ],
}
DATA = TrainingData(name="garden.jsonl", digest="sha256:1", utterances=8)
STRANGE = [
    "",
    " ",
    "\n\t",
    "????",
    "🔥" * 500,
    "\x00",
    "\x00\x01\x1b[2J",
    "\ud800 mower",
    "a" * 100_000,
    "mower " * 20_000,
    "\u202eabc",
    "e\u0301" * 3000,
]


def no_word(word):
    return False


def utterances(texts=TEXTS):
    return [
        Utterance(text=text, intent=intent, agent=intent, family=f"{intent} {number}", line=number)
        for intent, listed in texts.items()
        for number, text in enumerate(listed)
    ]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return SentenceEncoder.load(cache_dir=tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def head(encoder):
    return train(utterances(), encoder, Recipe(names=True, rejected_share=0.03))


@pytest.fixture(scope="module")
def router(head, encoder):
    return Router(head, encoder, vocabulary=Vocabulary.of((item.text for item in utterances()), encoder.knows))


def test_the_name_of_an_intent_is_an_example_of_it(encoder):
    few = {"parcel tracking": ["qqq one", "qqq two"], "refund request": ["zzz one", "zzz two"], "---": ["xyz", "zyx"]}
    named = Router(train(utterances(few), encoder, Recipe(names=True)), encoder)
    plain = Router(train(utterances(few), encoder, Recipe()), encoder)
    assert named.predict("track my parcel").agent == "parcel tracking"
    assert len(named.head.points) == len(plain.head.points) + 2

    def share(router):
        return dict(router.predict("track my parcel").agents)["parcel tracking"]

    assert share(named) > share(plain)


def test_one_example_an_intent_is_enough_with_names(encoder):
    single = {"water plants": ["my roses look thirsty"], "repair mower": ["the mower will not start", "mower smokes"]}
    assert (
        Router(train(utterances(single), encoder, Recipe(names=True)), encoder).predict("the mower is broken").agent
        == "repair mower"
    )


def test_training_is_the_same_each_time(encoder, head):
    assert train(utterances(), encoder, Recipe(names=True, rejected_share=0.03)).to_bytes() == head.to_bytes()


def test_a_head_without_none_abstains_far_from_its_training(head, encoder):
    strict = Router(Head(**{**vars(head), "scope_floor": np.array([0.9], dtype=np.float32)}), encoder)
    decision = strict.decide("tell me a joke about lisbon", RouteContext())
    assert (decision.agent, decision.intent, decision.stage) == (NO_AGENT, NO_AGENT, "default")
    assert decision.confidence + sum(share for _, share in decision.alternatives) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("current", [None, "repair_mower", "nobody"])
def test_any_text_gets_a_decision_in_time(router, text, current):
    started = time.perf_counter()
    decision = router.decide(text, RouteContext(current_agent=current, previous_text="\x00" if current else None))
    assert time.perf_counter() - started < 1
    assert decision.agent in {"water_plants", "repair_mower", NO_AGENT}
    assert 0 <= decision.confidence <= 1


@pytest.mark.parametrize("text", ["", "????", "🔥😀", "\x00\x01", "…"])
def test_a_text_without_words_belongs_to_nobody(router, text):
    assert router.decide(text, RouteContext()).agent == NO_AGENT


def test_random_texts_never_raise(router):
    chance = np.random.default_rng(11)
    for _ in range(150):
        text = "".join(
            chr(int(code))
            for code in chance.choice([*range(32, 127), 0, 9, 0x301, 0x4E2D, 0x1F525, 0xD800, 0x202E], chance.integers(0, 60))
        )
        assert router.decide(text, RouteContext()).agent


def test_alone_or_among_others_a_text_is_decided_alike(router):
    texts = [text for listed in TEXTS.values() for text in listed]
    alone = [router.predict(text) for text in texts]
    assert alone == [router.predict(text) for text in reversed(texts)][::-1]


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ("my mwoer smokes", "my mower smokes"),
        ("mowerr", "mower"),
        ("Thirsy roses", "thirsty roses"),
        ("rosws!", "roses!"),
        ("mower xylophone", "mower xylophone"),
        ("tower later", "tower later"),
        ("si teh soi", "si teh soi"),
        ("m" * 3000, "m" * 3000),
        ("", ""),
    ],
)
def test_slips_are_mended_and_nothing_else(encoder, written, mended):
    assert Vocabulary.of((item.text for item in utterances()), encoder.knows).mend(written) == mended


def test_of_two_near_words_the_more_frequent_is_meant():
    assert Vocabulary({"rose": 2, "nose": 5}, no_word).mend("tose dose") == "nose nose"
    assert Vocabulary({}, no_word).mend("anything") == "anything"


def test_a_vocabulary_comes_back_whole():
    counts = {"ñandú": 2, "mower": 1}
    assert Vocabulary.from_bytes(Vocabulary(counts, no_word).to_bytes(), no_word).counts == counts
    with pytest.raises(ValueError, match="not an object"):
        Vocabulary.from_bytes(b"[]", no_word)


def test_an_unsure_message_is_read_twice_and_a_sure_one_once(head, encoder, router):
    class Counting(Vocabulary):
        mended = 0

        def mend(self, text):
            Counting.mended += 1
            return super().mend(text)

    mild = Head(**{**vars(head), "temperature": np.array([4.0], dtype=np.float32)})
    plain = Router(mild, encoder)
    second = Router(mild, encoder, vocabulary=Counting(router.vocabulary.counts, encoder.knows))
    slipped = "teh mwoer smoeks sitll"
    assert plain.predict(slipped).confidence < 0.9
    first, both = (dict(router.predict(slipped).agents)["repair_mower"] for router in (plain, second))
    assert both > first and Counting.mended == 1
    assert sum(share for _, share in second.predict(slipped).agents) == pytest.approx(1, abs=1e-5)
    sure = Router(
        Head(**{**vars(head), "temperature": np.array([0.01], dtype=np.float32)}), encoder, vocabulary=second.vocabulary
    )
    Counting.mended = 0
    assert sure.predict("the lawn mower will not start").confidence >= 0.9 and Counting.mended == 0


def test_what_is_read_of_a_text():
    assert readable("plain ünïcode 🔥") == "plain ünïcode 🔥"
    assert readable("\ud800x") == "?x"
    assert len(readable("a" * 100_000)) == 4_000


def test_a_model_folder_comes_back_whole(router, encoder, tmp_path):
    card = save_model(tmp_path / "model", router, DATA)
    again, read = load_model(tmp_path / "model", encoder)
    assert read == card and card.head == head_digest(router.head) and card.data == "garden.jsonl"
    assert again.predict("my mower smokes") == router.predict("my mower smokes")


def altered(folder, **changes):
    card = json.loads((folder / "model.json").read_text()) | changes
    (folder / "model.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: altered(folder, version=99), "model version 99, this build reads 1"),
        (lambda folder: altered(folder, encoder="other"), "trained on vectors of encoder other"),
        (lambda folder: altered(folder, head="sha256:0"), "is not the head that model.json names"),
        (lambda folder: altered(folder, colour="red"), "not the card of a model"),
        (lambda folder: (folder / "model.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "model.json").unlink(), "cannot be read"),
        (lambda folder: (folder / "head.npz").write_bytes(b"x" * 50), "absent, cut short"),
        (lambda folder: (folder / "head.npz").unlink(), "absent, cut short"),
        (lambda folder: (folder / "words.json").unlink(), "words.json: cannot be read"),
        (lambda folder: (folder / "words.json").write_text("{}"), "is not the vocabulary that model.json names"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(router, encoder, tmp_path, damage, said):
    save_model(tmp_path, router, DATA)
    damage(tmp_path)
    with pytest.raises(ModelError, match=said):
        load_model(tmp_path, encoder)


def test_a_folder_that_cannot_be_written_is_told(router, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        save_model(tmp_path / "file", router, replace(DATA, name="x"))
