"""For tests of several packages: an empty PostgreSQL database, and a sentence encoder that is a random BERT of six words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import numpy as np
import pytest
from safetensors.numpy import save_file
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of an empty database on the local PostgreSQL server, dropped at the end; the test is skipped where no server answers."""
    server = create_engine("postgresql+psycopg://postgres@127.0.0.1:5432/postgres", isolation_level="AUTOCOMMIT")
    name = f"assay_test_{uuid4().hex}"
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except OperationalError:
        server.dispose()
        pytest.skip("no PostgreSQL server answers on 127.0.0.1:5432")
    try:
        yield f"postgresql+psycopg://postgres@127.0.0.1:5432/{name}"
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        server.dispose()


@pytest.fixture
def tiny(tmp_path):
    """A random BERT of two layers, in a folder, with the words `the fryer is hot`."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    hidden, wide, random = 16, 32, np.random.default_rng(7)
    shapes = {
        "embeddings.word_embeddings.weight": (6, hidden),
        "embeddings.position_embeddings.weight": (80, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
    }
    for layer in range(2):
        name = f"encoder.layer.{layer}"
        shapes |= {f"{name}.attention.self.{part}.weight": (hidden, hidden) for part in ("query", "key", "value")}
        shapes |= {f"{name}.attention.output.dense.weight": (hidden, hidden)}
        shapes |= {f"{name}.intermediate.dense.weight": (wide, hidden), f"{name}.output.dense.weight": (hidden, wide)}
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if name.startswith("encoder"):
            tensors[name.replace(".weight", ".bias")] = random.normal(size=shape[0]).astype(np.float32)
    norms = ["embeddings", *(f"encoder.layer.{n}.{part}" for n in range(2) for part in ("attention.output", "output"))]
    tensors |= {
        f"{name}.LayerNorm.{part}": random.normal(size=hidden).astype(np.float32) for name in norms for part in ("weight", "bias")
    }
    save_file(tensors, folder / "model.safetensors")
    sizes = {"num_hidden_layers": 2, "hidden_size": hidden, "num_attention_heads": 4}
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_act": "gelu", **sizes}))
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "the": 1, "fryer": 2, "is": 3, "hot": 4, "cold": 5}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
