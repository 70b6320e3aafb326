"""Measures the knowledge search: nDCG@10 on SciFact (never a basis for tuning it), and on a pack its headings and questions put to it.

    python tests/assistant/measure_retrieval.py [--scifact FOLDER]

FOLDER holds the SciFact files; by default `$ASSAY_DATA_DIR/scifact`, else `../shared/data/scifact`. Without them only the pack is measured.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from assistant.deps import Fusion
from assistant.encoder import SentenceEncoder
from assistant.knowledge import Document, Library, Section
from assistant.knowledge.documents import FrontMatter
from assistant.settings import Settings

ROOT = Path(__file__).parents[2]
QUESTIONS = Path(__file__).parent / "data" / "retrieval_questions.jsonl"
Key = tuple[str, str]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    yield from (json.loads(line) for line in text.splitlines() if line.strip())


def ndcg(found: Sequence[str], relevant: frozenset[str], depth: int = 10) -> float:
    """Normalised discounted cumulative gain with binary grades."""
    gain = sum(1.0 / math.log2(rank + 1) for rank, one in enumerate(found[:depth], start=1) if one in relevant)
    return gain / sum(1.0 / math.log2(rank + 1) for rank in range(1, min(depth, len(relevant)) + 1))


def abstracts(folder: Path) -> Iterator[Document]:
    for row in rows(folder / "corpus.jsonl.gz"):
        front = FrontMatter(id=str(row["_id"]), title=row["title"], version=1, agents=["all"], sources=["SciFact"])
        yield Document(front=front, sections=(Section(slug="abstract", heading=row["title"], text="\n".join(row["sentences"])),))


def judgements(folder: Path) -> dict[str, frozenset[str]]:
    """Relevant documents by claim, from the judgements that are there: the test set of BEIR, else the training claims."""
    path = next((folder / name for name in ("qrels_dev_as_beir_test.tsv", "qrels_train.tsv") if (folder / name).exists()), None)
    relevant: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:] if path else []:
        claim, document, score = line.split("\t")[:3]
        if int(score) > 0:
            relevant.setdefault(claim, set()).add(document)
    return {claim: frozenset(documents) for claim, documents in relevant.items()}


def scifact(folder: Path, encoder: SentenceEncoder, cache: Path) -> None:
    relevant = judgements(folder)
    claims = {str(row["id"]): str(row["claim"]) for path in sorted(folder.glob("claims_*.jsonl")) for row in rows(path)}
    texts = list(abstracts(folder))
    for fusion in get_args(Fusion):
        library = Library(texts, encoder, cache, fusion=fusion)
        total, times = 0.0, []
        for claim, documents in relevant.items():
            start = time.perf_counter()
            found = library.search(claims[claim], limit=10)
            times.append(time.perf_counter() - start)
            total += ndcg([passage.document for passage in found], documents)
        sys.stdout.write(
            f"SciFact, fused by {fusion}: {len(texts)} documents, {len(relevant)} claims, nDCG@10 {total / len(relevant):.3f}; {quantiles(times)}\n"
        )
    bm25 = sum(ndcg(by_words(library, claims[claim]), documents) for claim, documents in relevant.items())
    sys.stdout.write(f"SciFact, words alone: nDCG@10 {bm25 / len(relevant):.3f}\n")


def by_words(library: Library, claim: str) -> list[str]:
    scores: Mapping[int, float] = library.word_scores(claim)
    return [library.passages[row].document for row in sorted(scores, key=lambda row: (-scores[row], row))[:10]]


def pack(folder: Path, encoder: SentenceEncoder, cache: Path) -> None:
    library = Library.load(folder, encoder, cache)
    headings = [(item.heading, None, (item.document, item.passage)) for item in library.passages]
    questions = [(row["question"], row["agent"], (row["document"], row["passage"])) for row in rows(QUESTIONS)]
    for name, asked in (("headings", headings), ("questions", questions)):
        ranks: list[int] = []
        times: list[float] = []
        for text, agent, wanted in asked:
            start = time.perf_counter()
            found = library.search(text, limit=10, agent=agent)
            times.append(time.perf_counter() - start)
            ranks.append(rank_of(wanted, [(item.document, item.passage) for item in found]))
        within = ", ".join(f"first {depth}: {sum(rank <= depth for rank in ranks)}" for depth in (1, 3, 5))
        sys.stdout.write(f"{name}: {within} of {len(ranks)}; {quantiles(times)}\n")


def rank_of(wanted: Key, found: Sequence[Key]) -> int:
    return found.index(wanted) + 1 if wanted in found else len(found) + 1


def quantiles(times: Sequence[float]) -> str:
    ordered = sorted(times)
    return f"p50 {1000 * ordered[len(ordered) // 2]:.1f} ms, p95 {1000 * ordered[int(0.95 * len(ordered))]:.1f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the knowledge search.")
    data = os.environ.get("ASSAY_DATA_DIR")
    parser.add_argument("--scifact", type=Path, default=(Path(data) if data else ROOT.parent / "shared" / "data") / "scifact")
    folder: Path = parser.parse_args().scifact
    encoder = SentenceEncoder.load(cache_dir=Settings.from_environ(os.environ).cache_dir)
    with tempfile.TemporaryDirectory() as cache:
        pack(ROOT / "assistant" / "packs" / "qsr" / "knowledge", encoder, Path(cache))
        if (folder / "corpus.jsonl.gz").exists():
            scifact(folder, encoder, Path(cache))
        else:
            sys.stdout.write(f"{folder} holds no SciFact; it was not measured.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
