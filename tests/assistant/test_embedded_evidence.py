"""What the embedded model tells from passages: the right one, whole or its best sentences, never more than it found."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from assistant.agents.knowledge import citations
from assistant.encoder import KnownTexts, SentenceEncoder
from assistant.knowledge import Library
from assistant.models.embedded.evidence import MAX_SENTENCES, Answer, Asked, Evidence, Source, passage_texts, read_sources
from assistant.models.embedded.similarity import Similarity

PACK = Path(__file__).parents[2] / "assistant" / "packs" / "qsr" / "knowledge"
QUESTIONS = Path(__file__).parent / "data" / "retrieval_questions.jsonl"


@pytest.fixture(scope="module")
def encoder(machine_cache):
    return SentenceEncoder.load(cache_dir=machine_cache)


@pytest.fixture(scope="module")
def evidence(encoder, library, machine_cache):
    texts = passage_texts([asdict(passage) for passage in library.passages])
    return Evidence(Similarity(KnownTexts(encoder, texts, machine_cache)))


def source(passage: str, heading: str, *sentences: str) -> Source:
    return Source(document="bikes", passage=passage, title="Bicycle care", heading=heading, sentences=sentences)


CHAIN = source("chain", "How often is a chain oiled?", "A chain is oiled every 200 km.", "Rain washes the oil off.")
HELMET = source("helmet", "When is a helmet replaced?", "A helmet is replaced after every fall.")
BRAKES = source(
    "brakes",
    "Brake pads",
    "Brake pads are made of rubber or metal.",
    "Metal pads wear the rim.",
    "Pads are replaced when less than 3 mm is left.",
    "Squealing pads are dirty.",
    "Wet pads need a longer way to stop.",
    "Pads come in pairs.",
    "Both pads of a wheel are replaced together.",
)
PATCH = source(
    "patch",
    "How to patch a tube",
    "A patch holds for years.",
    "1. Take the tube out.",
    "2. Roughen the rubber.",
    "3. Spread the glue thinly.",
    "4. Wait 3 minutes for the glue to dry.",
    "5. Press the patch on.",
    "6. Put the tube back.",
    "Throw the tube away when the hole is beside the valve.",
)


def told(evidence: Evidence, focus: str, *sources: Source, context: str = "") -> str:
    answer = evidence.answer(Asked(focus=focus, context=context), sources)
    return answer.text if isinstance(answer, Answer) else ""


def test_a_short_passage_is_told_whole_with_its_marker(evidence):
    assert told(evidence, "how often do I oil the chain", CHAIN, HELMET) == (
        "A chain is oiled every 200 km. Rain washes the oil off. [bikes#chain]"
    )


def test_of_a_long_passage_the_best_sentences_are_told_in_their_order(evidence):
    text = told(evidence, "how thin may brake pads get", BRAKES)
    chosen = [sentence for sentence in BRAKES.sentences if sentence in text]
    assert len(chosen) == MAX_SENTENCES
    assert text == f"{' '.join(chosen)} [bikes#brakes]"
    assert "3 mm" in text


def test_a_procedure_is_told_whole_and_in_order_to_who_asks_how(evidence):
    text = told(evidence, "how do I patch a tube", PATCH)
    assert [line[:2] for line in text.splitlines()] == ["A ", "1.", "2.", "3.", "4.", "5.", "6.", "Th"]
    assert text.endswith("6. Put the tube back.\nThrow the tube away when the hole is beside the valve. [bikes#patch]")


def test_who_asks_for_a_figure_of_a_long_procedure_gets_its_sentence_without_the_number(evidence):
    text = told(evidence, "how many minutes must the glue of a patch dry", PATCH)
    assert "Wait 3 minutes for the glue to dry." in text
    assert len([sentence for sentence in PATCH.sentences if sentence.split(". ", 1)[-1] in text]) == MAX_SENTENCES
    assert not re.search(r"\d\.\s", text)


def test_a_second_passage_is_told_only_when_it_fits_as_well(evidence):
    alike = source("chain-2", "How often is a chain oiled?", "A chain is oiled every month.")
    assert "[bikes#chain-2]" in told(evidence, "how often is a chain oiled", CHAIN, alike, HELMET)
    assert "[bikes#helmet]" not in told(evidence, "how often is a chain oiled", CHAIN, HELMET)


def test_a_procedure_and_prose_are_told_apart(evidence):
    twin = source("patch-2", "How to patch a tube", "Patch a tube with glue and a patch.")
    assert "[bikes#patch]\nPatch a tube" in told(evidence, "how do I patch a tube", PATCH, twin)


def test_the_first_passage_of_the_search_is_told_first(evidence):
    text = told(evidence, "how often is a chain oiled", HELMET, CHAIN)
    assert text.index("[bikes#helmet]") < text.index("[bikes#chain]")


def test_what_follows_on_is_read_with_what_it_follows_on(evidence):
    assert told(evidence, "and how much?", CHAIN) == ""
    assert "200 km" in told(evidence, "and how much?", CHAIN, context="do I have to oil the chain of my bicycle")
    assert "200 km" in told(evidence, "and the chain, how often?", CHAIN, context="bicycle care")


@pytest.mark.parametrize("question", ["what is the capital of Mongolia", "write a poem about the sea", "who won the election"])
def test_what_no_passage_tells_is_not_answered(evidence, question):
    assert told(evidence, question, CHAIN, HELMET, BRAKES, PATCH) == ""


def test_no_passages_and_empty_passages_answer_nothing(evidence):
    assert told(evidence, "how often is a chain oiled") == ""
    assert told(evidence, "how often is a chain oiled", source("chain", "How often is a chain oiled?")) == ""


def test_passages_are_read_from_a_list_or_a_mapping_that_holds_one():
    row = {"document": "d", "passage": "p", "title": "T", "heading": "H", "text": "# H\nH\nOne. Two.\n1. Three."}
    expected = [Source(document="d", passage="p", title="T", heading="H", sentences=("One.", "Two.", "1. Three."))]
    assert read_sources([row]) == read_sources({"passages": [row]}) == read_sources(row) == expected
    assert read_sources("text") == read_sources([{"text": "no names"}, 3]) == read_sources({"passages": []}) == []


@pytest.fixture(scope="module")
def library(encoder, machine_cache):
    library = Library.load(PACK, encoder, machine_cache)
    yield library
    library.close()


def test_answers_from_a_pack_cite_what_they_say_and_mostly_the_right_passage(evidence, library):
    right = asked = 0
    for line in QUESTIONS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found = library.search(row["question"], agent=row["agent"])
        answer = evidence.answer(Asked(focus=row["question"]), read_sources([vars(passage) for passage in found]))
        text = answer.text if answer else ""
        cited = list(citations(text, library))
        asked += 1
        right += (row["document"], row["passage"]) in {(one.document, one.passage) for one in cited}
        for claim, document, passage in re.findall(r"(.*?)\[([\w-]+)#([\w-]+)\]", text, flags=re.DOTALL):
            quote = next(one.quote for one in cited if (one.document, one.passage) == (document, passage))
            assert set(re.findall(r"\d+(?:[.,]\d+)*", claim)) <= set(re.findall(r"\d+(?:[.,]\d+)*", quote))
    assert right / asked >= 0.7
