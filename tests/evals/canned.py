"""Assistants that look alive and answer nothing: each must fail."""

from __future__ import annotations


def abstains(message: str, history: list[tuple[str, str]]) -> str:
    return "I am sorry, I cannot help with that."


def echoes(message: str, history: list[tuple[str, str]]) -> str:
    return message


def one_answer(message: str, history: list[tuple[str, str]]) -> str:
    return "Keep hot food at 135 F (57 C) or above, cold food at 41 F (5 C) or below, and call your manager or 911."


def silent(message: str, history: list[tuple[str, str]]) -> str:
    return ""
