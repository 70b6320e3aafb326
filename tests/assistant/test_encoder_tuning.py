"""A fine-tuned encoder learns its classes, is served as it was tuned, and is refused when its folder does not fit.

What needs torch is skipped without it; everything about folders is tested without.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from assistant.encoder import EncoderError, SentenceEncoder, tuned
from assistant.encoder.batched import BatchedEncoder
from assistant.encoder.eager import batches, encode_batches, open_torch, pad
from assistant.encoder.tuned import CARD_FILE, Tuning, load_tuned, measure_parity, write_tuned
from assistant.encoder.tuning import TuningPlan, _pace, tune
from assistant.encoder.weights import locate, read_tensors

TEXTS = ["the fryer is hot", "hot", "is the fryer cold", "cold cold the"]
EXAMPLES = [("the fryer is hot", "hot"), ("hot", "hot"), ("is hot", "hot"), ("the fryer is cold", "cold"), ("cold the", "cold")]
PLAN = TuningPlan(epochs=6, batch=2, learning_rate=1e-2, dropout=0.0)
ABOUT = Tuning(data="fryers.jsonl", data_digest="sha256:1", texts=5, base="sha256:2", plan=PLAN, device="cpu", torch="0")


def quiet(done, total):
    pass


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture
def torch_by_graph(monkeypatch, tiny, tmp_path):
    """What torch would say, said by the fp32 graph of the untouched weights, so that folders are tested without torch."""
    exact = SentenceEncoder.load(tiny, cache_dir=tmp_path / "exact", precision="fp32")
    words = {1: "the", 2: "fryer", 3: "is", 4: "hot", 5: "cold"}

    def encode(torch, tensors, shape, ids, device):
        return [exact.encode(" ".join(words[number] for number in row)) for row in ids]

    monkeypatch.setattr(tuned, "open_torch", lambda: SimpleNamespace(from_numpy=lambda value: value))
    monkeypatch.setattr(tuned, "encode_batches", encode)
    # Sixteen random axes quantise worse than a trained encoder does.
    monkeypatch.setattr(tuned, "LEAST_MEAN", 0.9)
    monkeypatch.setattr(tuned, "LEAST", 0.9)


@pytest.fixture
def folder(tiny, tmp_path, torch_by_graph):
    place = tmp_path / "tuned"
    write_tuned(place, locate(tiny), read_tensors(locate(tiny)), ABOUT, TEXTS)
    return place


def test_without_torch_one_sentence_says_what_to_install(no_torch, tiny):
    with pytest.raises(EncoderError, match=r"torch is not installed; install it with: pip install 'assay\[train\]'"):
        tune(EXAMPLES, locate(tiny), PLAN, "cpu", quiet)
    with pytest.raises(EncoderError, match="torch is not installed"):
        BatchedEncoder(tiny, "cpu")


def test_without_a_cuda_device_one_sentence_says_so(monkeypatch):
    blind = SimpleNamespace(__version__="9", cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", blind)
    with pytest.raises(EncoderError, match="torch 9 sees no CUDA device on this machine; use --device cpu"):
        open_torch("cuda")


def test_a_folder_says_what_it_is_and_is_read_again(folder, tiny, tmp_path):
    card = json.loads((folder / CARD_FILE).read_text())
    assert (card["version"], card["data"], card["plan"]["epochs"]) == (1, "fryers.jsonl", 6)
    assert card["parity"]["texts"] == 4 and 0.9 < card["parity"]["least"] <= card["parity"]["mean"] < 1
    kept = load_tuned(folder, tmp_path / "cache")
    first = SentenceEncoder.load(tiny, cache_dir=tmp_path / "cache")
    assert np.array_equal(kept.encode("the fryer").embedding, first.encode("the fryer").embedding)


def test_vectors_that_are_not_those_that_were_tuned_are_refused(tiny, tmp_path, torch_by_graph):
    tensors = read_tensors(locate(tiny))
    tensors["encoder.layer.1.output.dense.weight"] *= -1
    with pytest.raises(EncoderError, match=r"the int8 vectors are not those that were tuned: over 4 texts the mean cosine is"):
        write_tuned(tmp_path / "tuned", locate(tiny), tensors, ABOUT, TEXTS)
    assert not (tmp_path / "tuned" / CARD_FILE).exists()


def spoil_weights(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"embeddings.LayerNorm.bias": tensors["embeddings.LayerNorm.bias"] + 1}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / CARD_FILE).unlink(), "cannot be read"),
        (lambda folder: (folder / CARD_FILE).write_text("{"), "not JSON"),
        (lambda folder: (folder / CARD_FILE).write_text("[]"), "not the card of an encoder"),
        (lambda folder: (folder / CARD_FILE).write_text('{"version": 9}'), "encoder version 9, this build reads 1"),
        (lambda folder: (folder / CARD_FILE).write_text('{"version": 1, "files": 3}'), "not the card of an encoder"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json: is absent or not the file"),
        (lambda folder: (folder / "config.json").unlink(), "config.json: is absent or not the file"),
        (spoil_weights, "model.safetensors: is absent or not the file"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(folder, tmp_path, damage, said):
    damage(folder)
    with pytest.raises(EncoderError, match=said):
        load_tuned(folder, tmp_path / "cache")


def test_a_folder_that_cannot_be_written_is_told(tiny, tmp_path, torch_by_graph):
    (tmp_path / "file").write_text("")
    with pytest.raises(EncoderError, match="cannot be written"):
        write_tuned(tmp_path / "file", locate(tiny), read_tensors(locate(tiny)), ABOUT, TEXTS)


def test_the_rate_climbs_and_falls():
    paces = [_pace(step, 20, 0.1) for step in range(20)]
    assert paces[:2] == [0.5, 1.0] and max(paces) == 1.0
    assert paces[2:] == sorted(paces[2:], reverse=True) and 0 < paces[-1] < 0.1
    assert _pace(0, 1, 0.1) == 1.0


def _alike(encoder, examples):
    """The mean cosine of two texts of different classes."""
    pairs = [(one, other) for one, name in examples for other, another in examples if name < another]
    return float(np.mean([encoder.encode(one).embedding @ encoder.encode(other).embedding for one, other in pairs]))


class TestWithTorch:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    def test_torch_says_what_the_graph_says_alone_and_in_a_batch(self, torch, tiny, tmp_path):
        served = SentenceEncoder.load(tiny, cache_dir=tmp_path, precision="fp32")
        eager = BatchedEncoder(tiny, "cpu")
        for text, together in zip(TEXTS, eager.encode_many(TEXTS), strict=True):
            alone = BatchedEncoder(tiny, "cpu").encode(text)
            for other in (alone, served.encode(text)):
                assert together.embedding == pytest.approx(other.embedding, abs=1e-5)
                assert together.features == pytest.approx(other.features, abs=1e-4)
        assert eager.knows("hot") and not eager.knows("warm") and eager.fingerprint != served.fingerprint

    def test_a_padded_token_without_a_mask_would_be_noticed(self, torch, tiny):
        files = locate(tiny)
        tensors = {name: torch.from_numpy(value) for name, value in read_tensors(files).items()}
        (right,) = encode_batches(torch, tensors, files.shape, [[4]], "cpu")
        (wrong,) = encode_batches(torch, tensors, files.shape, [[4, 0]], "cpu")
        assert right.embedding != pytest.approx(wrong.embedding, abs=1e-3)

    def test_batches_hold_every_text_once_and_stay_small(self, torch, monkeypatch):
        monkeypatch.setattr("assistant.encoder.eager.BATCH_TOKENS", 6)
        found = list(batches(torch, [[1] * size for size in (5, 1, 2, 3, 9)], "cpu"))
        assert sorted(place for batch in found for place in batch.places) == [0, 1, 2, 3, 4]
        assert all(batch.ids.numel() <= 6 or len(batch.places) == 1 for batch in found)
        assert pad(torch, [[1], [2, 3]], [0, 1], "cpu").mask.tolist() == [[True, False], [True, True]]

    def test_weights_of_another_model_are_refused(self, torch, tiny):
        tensors = load_file(tiny / "model.safetensors")
        del tensors["embeddings.LayerNorm.bias"]
        save_file(tensors, tiny / "model.safetensors")
        with pytest.raises(EncoderError, match=r"no tensor 'embeddings\.LayerNorm\.bias'"):
            BatchedEncoder(tiny, "cpu").encode("hot")

    def test_tuning_parts_the_classes_and_is_the_same_each_time(self, torch, tiny, tmp_path):
        files, told = locate(tiny), []
        tensors = tune(EXAMPLES, files, PLAN, "cpu", lambda done, total: told.append((done, total)))
        assert told[-1] == (18, 18) and set(tensors) == set(read_tensors(files))
        again = tune(EXAMPLES, files, PLAN, "cpu", quiet)
        assert all(np.array_equal(tensors[name], again[name]) for name in tensors)
        apart = BatchedEncoder(tiny, "cpu")
        save_file(tensors, tiny / "model.safetensors")
        before, after = (_alike(encoder, EXAMPLES) for encoder in (apart, BatchedEncoder(tiny, "cpu")))
        assert after < before - 0.2

    def test_a_tuned_encoder_is_served_as_it_was_tuned(self, torch, tiny, tmp_path, monkeypatch):
        monkeypatch.setattr(tuned, "LEAST_MEAN", 0.9)
        monkeypatch.setattr(tuned, "LEAST", 0.9)
        tensors = tune(EXAMPLES, locate(tiny), PLAN, "cpu", quiet)
        parity = write_tuned(tmp_path / "tuned", locate(tiny), tensors, ABOUT, TEXTS)
        assert parity.texts == 4 and measure_parity(tmp_path / "tuned", TEXTS) == parity
        monkeypatch.setattr(tuned, "LEAST", 1.1)
        with pytest.raises(EncoderError, match="tune again at a lower rate"):
            measure_parity(tmp_path / "tuned", TEXTS)
