"""Which integer products this processor computes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from assistant.encoder.atomic import write_atomically

PROBE = "products-v1.onnx"
INNER, WIDTH = 384, 64
ROWS = (1, 5, 16, 64)
"""Heights that the runtime gives different code."""


def signed_products_are_exact(cache_dir: Path) -> bool:
    """Whether unsigned times signed bytes add up without saturation, as with VNNI instructions; without them, sums of two products of
    x86-64 stop at 16 bits. The sums that are tried overflow there. Their graph is kept in `cache_dir`.
    """
    probe = cache_dir / PROBE
    if not probe.is_file():
        write_atomically(probe, _build())
    session = open_graph(probe)
    levels = _levels().astype(np.int64)
    return all(np.array_equal(_product(session, rows), np.full((rows, INNER), 255) @ levels) for rows in ROWS)


def open_graph(path: Path) -> ort.InferenceSession:
    """A graph to be run on one thread, which logs errors only."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _product(session: ort.InferenceSession, rows: int) -> NDArray[np.int32]:
    found = cast("list[NDArray[np.int32]]", session.run(None, {"value": np.full((rows, INNER), 255, dtype=np.uint8)}))
    return found[0]


def _levels() -> NDArray[np.int8]:
    """Both largest levels in columns by turns."""
    return np.where(np.arange(WIDTH) % 2, 127, -127).astype(np.int8) * np.ones((INNER, 1), dtype=np.int8)


def _build() -> bytes:
    from onnx import TensorProto, checker, helper, numpy_helper

    body = helper.make_graph(
        [helper.make_node("MatMulInteger", ["value", "levels"], ["product"])],
        "products",
        [helper.make_tensor_value_info("value", TensorProto.UINT8, ["rows", INNER])],
        [helper.make_tensor_value_info("product", TensorProto.INT32, ["rows", WIDTH])],
        initializer=[numpy_helper.from_array(_levels(), "levels")],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model)
    return model.SerializeToString()
