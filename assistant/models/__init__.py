"""Models behind one string: the embedded one, paced ones, and servers that speak the OpenAI or Ollama dialect."""

from assistant.models.embedded.evidence import passage_texts
from assistant.models.names import FORMS, ModelNameError, resolve_model
from assistant.models.servers import ModelSettingsSource, describe_model

__all__ = ["FORMS", "ModelNameError", "ModelSettingsSource", "describe_model", "passage_texts", "resolve_model"]
