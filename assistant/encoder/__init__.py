"""Sentence vectors from a small BERT encoder, served by onnxruntime."""

from assistant.encoder.atomic import write_atomically
from assistant.encoder.sentence import Encoding, SentenceEncoder
from assistant.encoder.stored import KnownTexts, stored_embeddings
from assistant.encoder.weights import EncoderError

__all__ = ["EncoderError", "Encoding", "KnownTexts", "SentenceEncoder", "stored_embeddings", "write_atomically"]
