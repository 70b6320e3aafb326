"""What to ask the knowledge search: the message, and above it what was talked about before."""

from __future__ import annotations

import re

from assistant.models.embedded.conversation import Conversation, Turn
from assistant.models.embedded.evidence import Asked, read_sources

_MARKER = re.compile(r"\[[\w.-]+#[\w.-]+\]")


def search_query(conversation: Conversation, text: str, context: str) -> str:
    """`text` on the last line. Above it the name of the passage that the last answer stood in, else the earlier messages in `context`.

    `context` is `text` with the messages it leans on before it, or `text` alone.
    """
    asked = " ".join(text.split())
    earlier = " ".join(context.split()).removesuffix(asked).strip()
    subject = _subject(conversation.past[-1]) if conversation.past else ""
    return "\n".join(line for line in (subject or earlier, asked) if line)


def asked_of(query: str, message: str) -> Asked:
    """A query taken apart again. One without lines is split before `message`, when it ends in it."""
    *context, focus = [line for line in query.splitlines() if line.strip()] or [""]
    if not context and message and focus.endswith(message):
        context, focus = [focus.removesuffix(message)], message
    return Asked(focus=focus.strip(), context=" ".join(context).strip())


def _subject(turn: Turn) -> str:
    """Title and heading of the first passage that the turn's reply cites."""
    cited = _MARKER.search(turn.reply)
    if cited is None:
        return ""
    for result in turn.results:
        for source in read_sources(result.content):
            if source.marker == cited[0]:
                return f"{source.title}: {source.heading}"
    return ""
