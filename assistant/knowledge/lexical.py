"""Full-text search over passages with SQLite FTS5, in memory."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from threading import Lock
from weakref import finalize

from assistant.deps import Passage
from assistant.spelling import fold, folded

MAX_TERMS = 24
WEIGHTS = (2.0, 3.0, 1.0)
"""bm25 weights of title, heading and text."""

STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be because been before being but by can could did do does doing done for from get"
    " got had has have he her here him his how i if in into is it its just like me my need no not now of off ok on or our out over"
    " please she should so some someone something than thanks that the their them then there these they thing this those to too up"
    " us was we were what when where which who why will with would you your im ive dont its whats hes shes thats theres cant wont isnt"
    " didnt doesnt gotta gonna wanna dunno um uh er hmm hey hi hello okay yeah yep nope lol maybe kinda sorta really actually basically u n".split()
)
_TERM = re.compile(r"\w+", re.UNICODE)


class FullText:
    """Rows are numbered as given. One connection, guarded by a lock, serves all threads."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._closing = finalize(self, self._connection.close)
        self._connection.execute("CREATE VIRTUAL TABLE passages USING fts5(title, heading, text, tokenize='porter unicode61')")
        rows = [(number, fold(item.title), fold(item.heading), fold(item.text)) for number, item in enumerate(passages)]
        self._connection.executemany("INSERT INTO passages(rowid, title, heading, text) VALUES (?, ?, ?, ?)", rows)

    def scores(self, query: str) -> dict[int, float]:
        """BM25 of the rows with any term of `query`, higher is better."""
        found = terms(query)
        if not found:
            return {}
        match = " OR ".join(f'"{term}"' for term in found)
        weights = ", ".join(str(weight) for weight in WEIGHTS)
        with self._lock:
            rows = self._connection.execute(
                f"SELECT rowid, -bm25(passages, {weights}) FROM passages WHERE passages MATCH ?", (match,)
            ).fetchall()
        return {int(row): float(score) for row, score in rows}

    def close(self) -> None:
        """Closed by itself when nobody holds it any more."""
        with self._lock:
            self._closing()


def terms(query: str) -> list[str]:
    """Distinct words of `query` in order and in one spelling, without stop words, at most 24. No character of FTS5's syntax survives."""
    listed = (folded(word) for word in _TERM.findall(query) if word.casefold() not in STOP_WORDS)
    return list(dict.fromkeys(listed))[:MAX_TERMS]
