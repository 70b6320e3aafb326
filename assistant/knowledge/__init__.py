"""Knowledge documents and the hybrid search over them."""

from assistant.knowledge.documents import Document, KnowledgeError, Section, read_documents
from assistant.knowledge.library import Library

__all__ = ["Document", "KnowledgeError", "Library", "Section", "read_documents"]
