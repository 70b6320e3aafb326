"""The library finds the passage that answers, whatever is typed, and refuses a folder with faults, naming all of them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assistant.deps import PassageSearch
from assistant.encoder import SentenceEncoder
from assistant.knowledge import KnowledgeError, Library, read_documents
from assistant.knowledge.documents import slug
from assistant.knowledge.lexical import MAX_TERMS, FullText, terms

PACK = Path(__file__).parents[2] / "assistant" / "packs" / "qsr" / "knowledge"

BICYCLES = """\
---
id: bicycles
title: Looking after a bicycle
version: 3
agents: [workshop, sales]
sources:
  - Own notes
---
## How is a flat tyre repaired?
1. Take the wheel out and lever the tyre off.
2. Patch the hole in the inner tube.
## How often is the chain oiled?
A chain is oiled every 200 km, or after rain.

### In winter
Twice as often.
"""
BOATS = """\
---
id: boats
title: Looking after a boat
version: 1
agents: [harbour]
sources: [Own notes]
---
## How is a leak in the hull found?
Look for damp wood under the floor boards.
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("knowledge-cache")


@pytest.fixture(scope="module")
def encoder(cache):
    return SentenceEncoder.load(cache_dir=cache)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bicycles.md").write_text(BICYCLES)
    (tmp_path / "docs" / "boats.md").write_text(BOATS)
    return tmp_path / "docs"


@pytest.fixture
def library(folder, encoder, cache):
    library = Library.load(folder, encoder, cache)
    yield library
    library.close()


def names(passages):
    return [(passage.document, passage.passage) for passage in passages]


def test_a_question_finds_the_passage_that_answers_it(library):
    search: PassageSearch = library
    assert names(search.search("my tyre has a hole", limit=1)) == [("bicycles", "how-is-a-flat-tyre-repaired")]
    assert names(search.search("water comes in through the hull", limit=1)) == [("boats", "how-is-a-leak-in-the-hull-found")]


def test_meaning_finds_what_shares_no_word(library):
    assert names(library.search("lubricate drivetrain", limit=1)) == [("bicycles", "how-often-is-the-chain-oiled")]


def test_a_follow_up_is_read_with_what_was_talked_about(library):
    assert names(library.search("there is a leak in the hull\nand how long?", limit=1)) == [
        ("boats", "how-is-a-leak-in-the-hull-found")
    ]
    assert names(library.search("there is a leak in the hull\noil the chain", limit=1)) == [
        ("bicycles", "how-often-is-the-chain-oiled")
    ]


def test_a_passage_carries_its_document(library):
    passage = library.search("oil the chain", limit=1)[0]
    assert (passage.title, passage.heading, passage.version) == ("Looking after a bicycle", "How often is the chain oiled?", 3)
    assert passage.text.startswith("A chain is oiled") and passage.text.endswith("Twice as often.")
    assert passage.score > 0


def test_results_are_limited_and_ordered(library):
    found = library.search("how is it repaired", limit=2)
    assert len(found) == 2
    assert found[0].score >= found[1].score


def test_an_agent_sees_only_its_own_documents(library):
    assert {document for document, _ in names(library.search("hull leak", agent="workshop"))} == {"bicycles"}
    assert {document for document, _ in names(library.search("hull leak", agent="harbour"))} == {"boats"}
    assert library.search("hull leak", agent="nobody") == []


def test_a_passage_is_found_by_its_names(library):
    passage = library.passage("boats", "how-is-a-leak-in-the-hull-found")
    assert passage is not None and passage.heading == "How is a leak in the hull found?"
    assert library.passage("boats", "absent") is None
    assert library.passage("absent", "how-is-a-leak-in-the-hull-found") is None


@pytest.mark.parametrize(
    "query", ['tyre" OR "x', "NEAR(tyre hull, 2)", "title:tyre", "tyre*", "(tyre", "-tyre AND NOT", "'; DROP TABLE passages"]
)
def test_search_syntax_in_a_question_is_only_text(library, query):
    assert len(library.search(query)) == 3


@pytest.mark.parametrize("query", ["", "  \n ", "???", "the of and", "🚲"])
def test_a_question_without_words_is_no_error(library, query):
    assert len(library.search(query)) <= 3


def test_terms_are_distinct_capped_and_without_stop_words():
    assert terms("How is the WHEEL of the wheel?") == ["wheel"]
    assert len(terms(" ".join(f"word{number}" for number in range(100)))) == MAX_TERMS


def test_full_text_ranks_a_heading_above_a_mention(library):
    scores = FullText(library.passages).scores("chain")
    assert max(scores, key=scores.__getitem__) == 1
    assert FullText(library.passages).scores("the of") == {}


def test_threads_and_the_event_loop_may_share_a_library(library):
    queries = ["flat tyre", "oil the chain", "leak in the hull"] * 12
    alone = [names(library.search(query)) for query in queries]
    with ThreadPoolExecutor(6) as pool:
        assert [names(found) for found in pool.map(library.search, queries)] == alone

    async def on_the_loop():
        return [names(library.search(query)) for query in queries]

    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(on_the_loop())))
    thread.start()
    thread.join()
    assert found == [alone]


def test_vectors_are_computed_once(folder, encoder, tmp_path, monkeypatch):
    first = Library.load(folder, encoder, tmp_path / "cache")
    monkeypatch.setattr(SentenceEncoder, "encode_many", lambda *_: pytest.fail("computed again"))
    again = Library.load(folder, encoder, tmp_path / "cache")
    assert again.search("flat tyre") == first.search("flat tyre")


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_damaged_vectors_are_computed_again(folder, encoder, tmp_path, damage):
    right = Library.load(folder, encoder, tmp_path / "cache").search("flat tyre")
    [stored] = (tmp_path / "cache").glob("vectors-*.npy")
    if damage == "other":
        np.save(stored, np.zeros((1, 2), dtype=np.float32))
    else:
        stored.write_bytes(stored.read_bytes()[:40] if damage == "cut" else b"")
    assert Library.load(folder, encoder, tmp_path / "cache").search("flat tyre") == right


def test_changed_text_gets_new_vectors(folder, encoder, tmp_path):
    Library.load(folder, encoder, tmp_path / "cache")
    (folder / "boats.md").write_text(BOATS.replace("damp wood", "rust"))
    Library.load(folder, encoder, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("vectors-*.npy"))) == 2


@pytest.mark.parametrize(
    ("heading", "expected"), [("How long?", "how-long"), ("  41 °F (5 °C) & below ", "41-f-5-c-below"), ("???", "")]
)
def test_a_heading_gives_its_slug(heading, expected):
    assert slug(heading) == expected


def test_every_fault_of_every_file_is_reported_at_once(folder):
    (folder / "bicycles.md").write_text(
        "---\nid: bikes\ntitle: ''\nversion: 0\nagents: []\ncolour: red\n---\nstray\n## Same\ntext\n## Same\n\n## ???\ntext\n"
    )
    (folder / "boats.md").write_text("no front matter")
    (folder / "carts.md").write_text("---\n: : :\n- x\n---\n## A\ntext\n")
    (folder / "drays.md").write_text("---\nid: wrong\ntitle: T\nversion: 1\nagents: [a]\nsources: [s]\n---\n")
    (folder / "eagles.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KnowledgeError) as caught:
        read_documents(folder)
    message = "\n".join(caught.value.faults)
    for fault in (
        "bicycles.md: front matter, title: ",
        "bicycles.md: front matter, version: ",
        "bicycles.md: front matter, agents: ",
        "bicycles.md: front matter, sources: Field required",
        "bicycles.md: front matter, colour: Extra inputs are not permitted",
        "bicycles.md: line 8: text before the first `## ` heading",
        "bicycles.md: line 11: a second section `Same`",
        "bicycles.md: line 11: the section `Same` is empty",
        "bicycles.md: line 13: the heading has no letters or digits",
        "boats.md: no front matter",
        "carts.md: the front matter is not YAML",
        "drays.md: no `## ` headings",
        "drays.md: id is 'wrong', expected 'drays'",
        "eagles.md: not readable",
    ):
        assert fault in message
    assert str(caught.value) == message


def test_front_matter_that_is_no_mapping_is_a_fault(folder):
    (folder / "boats.md").write_text("---\n- one\n---\n## A\ntext\n")
    with pytest.raises(KnowledgeError, match=r"boats\.md: front matter, whole: "):
        read_documents(folder)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(KnowledgeError, match=r"no \*\.md files"):
        read_documents(tmp_path)


def test_the_shipped_documents_are_sound():
    documents = read_documents(PACK)
    assert len(documents) >= 40
    assert all(section.text for document in documents for section in document.sections)


def test_scores_let_a_clear_winner_of_one_list_win_where_ranks_do_not(folder, encoder, cache, monkeypatch):
    monkeypatch.setattr(Library, "_meaning", lambda self, text: np.array([0.50, 0.49, 0.0, 0.0])[: len(self.passages)])
    monkeypatch.setattr(Library, "_words", lambda self, text: np.array([0.01, 0.40, 0.02, 0.02])[: len(self.passages)])
    first = {}
    for fusion in ("ranks", "scores"):
        library = Library.load(folder, encoder, cache, fusion=fusion)
        first[fusion] = library.passages.index(replace(library.search("tyre", limit=1)[0], score=0.0))
        library.close()
    assert first == {"ranks": 0, "scores": 1}
