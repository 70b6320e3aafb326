"""The embedded model: a pydantic-ai `Model` that needs no key, no GPU and no download, and is honest about what it is."""

from assistant.models.embedded.model import EmbeddedModel, TextEncoder

__all__ = ["EmbeddedModel", "TextEncoder"]
