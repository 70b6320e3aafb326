"""Builds the ONNX graph of a BERT sentence encoder from its weights, in fp32 or with int8 weights.

The graph takes `input_ids`, int64 (1, n), one unpadded text, and gives `embedding`, float32 (1, hidden), mean-pooled and of
unit length, and `features`, float32 (1, 3 * hidden), the mean-pooled outputs of the last three layers in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from assistant.encoder.weights import BertShape, Precision

Weights = Mapping[str, NDArray[np.float32]]
Array = NDArray[np.float32] | NDArray[np.int8] | NDArray[np.uint8] | NDArray[np.int64]

OPSET = 20
FEATURE_LAYERS = 3


@dataclass(kw_only=True)
class _Graph:
    """Nodes and constants in the making; every method appends one step and returns the name of its output."""

    weights: Weights
    shape: BertShape
    precision: Precision
    signed: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict[str, onnx.TensorProto])

    def constant(self, name: str, value: Array) -> str:
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def step(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def norm(self, value: str, name: str) -> str:
        scale = self.constant(f"{name}.weight", self.weights[f"{name}.weight"])
        bias = self.constant(f"{name}.bias", self.weights[f"{name}.bias"])
        return self.step("LayerNormalization", value, scale, bias, axis=-1, epsilon=self.shape.epsilon)

    def linear(self, value: str, name: str) -> str:
        return self.project(value, name, np.ascontiguousarray(self.weights[f"{name}.weight"].T), self.weights[f"{name}.bias"])

    def project(self, value: str, name: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """`value @ kernel + bias`; in int8 the kernel has one scale per output channel, the input one scale per call.

        Unless `signed`, the kernel's levels are shifted by 128 to unsigned: a product of unsigned by signed bytes saturates in 16 bits
        on x86-64 processors without VNNI. With exact products both give the same numbers, signed ones in less than half the time.
        """
        bias_name = self.constant(f"{name}.bias", bias)
        if self.precision == "fp32":
            return self.step("Add", self.step("MatMul", value, self.constant(f"{name}.kernel", kernel)), bias_name)
        levels, scales = quantise(kernel, axis=0)
        quantised, scale, zero = self.quantise_input(value)
        product = self.step("MatMulInteger", quantised, *self.kernel(name, levels, zero))
        factor = self.step("Mul", scale, self.constant(f"{name}.scale", scales[0]))
        return self.step("Add", self.step("Mul", self.step("Cast", product, to=TensorProto.FLOAT), factor), bias_name)

    def kernel(self, name: str, levels: NDArray[np.int8], zero: str) -> list[str]:
        """The second operand of an integer product, and the zero points of both."""
        if self.signed:
            return [self.constant(f"{name}.kernel", levels), zero]
        shifted = self.constant(f"{name}.kernel", (levels.astype(np.int16) + 128).astype(np.uint8))
        return [shifted, zero, self.constant("middle", np.array(128, dtype=np.uint8))]

    def quantise_input(self, value: str) -> tuple[str, str, str]:
        stem = f"quantised_{len(self.nodes)}"
        outputs = (stem, f"{stem}_scale", f"{stem}_zero")
        self.nodes.append(helper.make_node("DynamicQuantizeLinear", [value], list(outputs)))
        return outputs

    def embed(self, ids: str) -> str:
        """Word, position and type embeddings, normalised. In int8 the word table has one scale per token."""
        words = self.weights["embeddings.word_embeddings.weight"]
        if self.precision == "fp32":
            word = self.step("Gather", self.constant("words", words), ids)
        else:
            levels, scales = quantise(words, axis=1)
            level = self.step("Cast", self.step("Gather", self.constant("words", levels), ids), to=TensorProto.FLOAT)
            word = self.step("Mul", level, self.step("Gather", self.constant("words.scale", scales), ids))
        # One text has one segment, so its type embedding is a constant that the positions can carry.
        places = (
            self.weights["embeddings.position_embeddings.weight"] + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = self.step("Slice", self.step("Shape", ids), *self.indices("length", 1, 2))
        first = self.indices("places", 0)[0]
        place = self.step("Slice", self.constant("positions", places.astype(np.float32)), first, length)
        return self.norm(self.step("Add", word, place), "embeddings.LayerNorm")

    def indices(self, name: str, *values: int) -> list[str]:
        return [self.constant(f"{name}.{value}", np.array([value], dtype=np.int64)) for value in values]

    def attention(self, value: str, name: str) -> str:
        shape = self.shape
        size = shape.hidden // shape.heads
        parts = [f"{name}.self.{part}" for part in ("query", "key", "value")]
        kernel = np.concatenate([self.weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([self.weights[f"{part}.bias"] for part in parts])
        kernel[:, : shape.hidden] /= np.sqrt(size)
        bias[: shape.hidden] /= np.sqrt(size)
        joined = self.project(value, f"{name}.qkv", np.ascontiguousarray(kernel), bias)
        heads = self.constant("heads", np.array([-1, 3, shape.heads, size], dtype=np.int64))
        merged = self.constant("merged", np.array([1, -1, shape.hidden], dtype=np.int64))
        split = self.step("Transpose", self.step("Reshape", joined, heads), perm=[1, 2, 0, 3])
        query, key, content = (self.step("Gather", split, self.scalar(part), axis=0) for part in range(3))
        weight = self.step("Softmax", self.step("MatMul", query, self.step("Transpose", key, perm=[0, 2, 1])), axis=-1)
        mixed = self.step("Transpose", self.step("MatMul", weight, content), perm=[1, 0, 2])
        return self.step("Reshape", mixed, merged)

    def scalar(self, value: int) -> str:
        return self.constant(f"part.{value}", np.array(value, dtype=np.int64))

    def layer(self, value: str, number: int) -> str:
        name = f"encoder.layer.{number}"
        attended = self.linear(self.attention(value, f"{name}.attention"), f"{name}.attention.output.dense")
        value = self.norm(self.step("Add", value, attended), f"{name}.attention.output.LayerNorm")
        wide = self.step("Gelu", self.linear(value, f"{name}.intermediate.dense"))
        return self.norm(self.step("Add", value, self.linear(wide, f"{name}.output.dense")), f"{name}.output.LayerNorm")


def quantise(kernel: NDArray[np.float32], *, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 levels with one scale for all values along `axis`; the scale keeps that axis with size 1."""
    scales = np.maximum(np.abs(kernel).max(axis=axis, keepdims=True) / 127.0, np.float32(1e-12)).astype(np.float32)
    return np.clip(np.rint(kernel / scales), -127, 127).astype(np.int8), scales


def build_graph(weights: Weights, shape: BertShape, precision: Precision, *, signed: bool = False) -> onnx.ModelProto:
    """The encoder as a checked ONNX model. `weights` are named as in a Hugging Face `BertModel`; `signed` int8 kernels need a processor
    whose products of unsigned by signed bytes are exact.
    """
    graph = _Graph(weights=weights, shape=shape, precision=precision, signed=signed)
    value = graph.embed("input_ids")
    pooled: list[str] = []
    axis = graph.constant("tokens", np.array([1], dtype=np.int64))
    for number in range(shape.layers):
        value = graph.layer(value, number)
        pooled.append(graph.step("ReduceMean", value, axis, keepdims=0))
    graph.nodes.append(helper.make_node("Concat", pooled[-FEATURE_LAYERS:], ["features"], axis=1))
    graph.nodes.append(helper.make_node("LpNormalization", [pooled[-1]], ["embedding"], axis=1, p=2))
    hidden = shape.hidden
    width = hidden * min(FEATURE_LAYERS, shape.layers)
    body = helper.make_graph(
        graph.nodes,
        "sentence-encoder",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, hidden]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, width]),
        ],
        initializer=list(graph.constants.values()),
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return model
