"""OpenAI evals: JSON lines of `{"input": messages or text, "ideal": text or texts}`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evals.importing.drafts import Draft, Imported, Refused, brief, draft, read_rows, turn

_READ = {"input", "ideal"}


def read(path: Path, answers: Path | None) -> Imported:
    """One draft per row; each user message is a turn, and the ideal answer is expected of the last."""
    del answers
    drafts: list[Draft] = []
    refused: list[Refused] = []
    for number, row in enumerate(read_rows(path), start=1):
        item = str(row.get("id") or f"{path.stem}-{number}")
        users, lost = messages(row.get("input"))
        if not users:
            refused.append(Refused(item=item, reason="has no user message"))
            continue
        say, unsaid = _ideal(row)
        lost += [*unsaid, *(f"{key}: {brief(value)}" for key, value in row.items() if key not in _READ | {"id"})]
        turns = [turn(text) for text in users[:-1]] + [turn(users[-1], say=say)]
        drafts.append(draft(item, users[-1], turns, lost))
    return Imported(drafts=drafts, refused=refused)


def messages(conversation: Any) -> tuple[list[str], list[str]]:
    """The user's messages of a chat in the OpenAI shape, and what of it a card cannot carry."""
    if isinstance(conversation, str):
        return ([conversation] if conversation.strip() else []), []
    users: list[str] = []
    lost: list[str] = []
    for message in conversation if isinstance(conversation, list) else []:
        role, text = _role(message), _content(message)
        if role == "user" and text.strip():
            users.append(text)
        else:
            why = "the assistant under test brings its own" if role == "system" else "a card holds what the user says"
            lost.append(f"{role} message ({why}): {brief(text)}")
    return users, lost


def _role(message: Any) -> str:
    return str(message.get("role", "unknown")) if isinstance(message, dict) else "unknown"


def _content(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else json.dumps(content)


def _ideal(row: dict[str, Any]) -> tuple[list[Any], list[str]]:
    ideal = row.get("ideal")
    accepted = [str(one) for one in ideal] if isinstance(ideal, list) else [] if ideal is None else [str(ideal)]
    accepted = [one for one in accepted if one.strip()]
    if not accepted:
        return [], ["no ideal answer: only that it is answered is checked"]
    note = "ideal: an answer that contains it passes; the grader of the eval (match, includes, model-graded) is not in this file"
    return [accepted[0] if len(accepted) == 1 else accepted], [note]
