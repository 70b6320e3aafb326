"""What an assistant remembers: threads and their messages, and the state its tools work on."""

from assistant.memory.database import Database, open_database
from assistant.memory.sandboxes import Sandboxes
from assistant.memory.state import StoredState
from assistant.memory.threads import FinishedTurn, Message, Opened, Said, StoredEvent, Thread, ThreadStore

__all__ = [
    "Database",
    "FinishedTurn",
    "Message",
    "Opened",
    "Said",
    "Sandboxes",
    "StoredEvent",
    "StoredState",
    "Thread",
    "ThreadStore",
    "open_database",
]
