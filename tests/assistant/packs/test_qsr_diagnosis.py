"""Guided diagnosis: one step at a time, safety first, its place kept in the thread's state."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from assistant.packs.qsr.tools.diagnosis_trees import Tree

from .conftest import Store


async def play(store: Store, problem: str, *answers: str) -> dict[str, Any]:
    """Starts a diagnosis and hands each answer to whatever the last result asked."""
    result = await store.call("start_diagnosis", problem=problem)
    for answer in answers:
        following = result["next"]
        result = await store.call(following["tool"], **{following["argument"]: answer})
    return result
