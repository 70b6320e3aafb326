"""promptfoo configurations: YAML of `prompts`, `tests` with `vars` and `assert`, and `defaultTest`."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evals.errors import UsageError
from evals.importing.assertions import Expected, read_assertion
from evals.importing.drafts import Draft, Imported, Refused, brief, draft, read_yaml, turn
from evals.importing.openai_evals import messages

_PLACE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_COMBINATIONS = 100
_TEST = {"description", "vars", "assert"}
_CONFIG = {"prompts", "tests", "defaultTest", "description", "providers", "targets", "outputPath", "sharing"}


def read(path: Path, answers: Path | None) -> Imported:
    """One draft per prompt, test and combination of listed variables."""
    del answers
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise UsageError(f"{path}: a promptfoo configuration is a mapping with `prompts` and `tests`")
    prompts, refused = _prompts(data.get("prompts"))
    tests, others = _tests(data.get("tests"))
    refused += others
    refused += [
        Refused(item=key, reason="is not read; only prompts, tests and defaultTest are") for key in data if key not in _CONFIG
    ]
    shared = data.get("defaultTest")
    drafts: list[Draft] = []
    for number, test in enumerate(tests, start=1):
        merged = _merged(shared if isinstance(shared, dict) else {}, test)
        for at, (prompt, given) in enumerate(_combinations(prompts, merged.get("vars") or {}), start=1):
            item = str(test.get("description") or f"{path.stem}-{number}") + (f" {at}" if at > 1 else "")
            made = _draft(item, prompt, given, merged)
            if isinstance(made, Draft):
                drafts.append(made)
            else:
                refused.append(made)
    return Imported(drafts=drafts, refused=refused)


def _draft(item: str, prompt: str, given: Mapping[str, Any], test: Mapping[str, Any]) -> Draft | Refused:
    rendered, unread = render(prompt, given)
    users, lost = _spoken(rendered)
    if not users:
        return Refused(item=item, reason="the prompt has no user message")
    lost += [f"template of the prompt: {place}" for place in unread]
    used = set(_PLACE.findall(prompt))
    expected = Expected(lost=lost)
    for assertion in test.get("assert") or []:
        read_assertion(_filled(assertion, given, expected.lost), expected)
    used |= set(_PLACE.findall(json.dumps(test.get("assert") or [], default=str)))
    expected.lost.extend(f"vars.{name}: {brief(value)}" for name, value in given.items() if name not in used)
    expected.lost.extend(f"{key}: {brief(value)}" for key, value in test.items() if key not in _TEST)
    turns = [turn(text) for text in users[:-1]] + [turn(users[-1], **expected.turn)]
    return draft(item, str(test.get("description") or users[-1]), turns, expected.lost, budgets=expected.budgets)


def render(template: str, given: Mapping[str, Any]) -> tuple[str, list[str]]:
    """`template` with its variables filled in, and the template expressions that stay as they are."""
    text = _PLACE.sub(lambda found: str(given[found[1]]) if found[1] in given else found[0], template)
    return text, sorted(set(re.findall(r"\{\{.*?\}\}|\{%.*?%\}", text)))


def _prompts(prompts: Any) -> tuple[list[str], list[Refused]]:
    """Texts of prompts; those in files or code are refused. Without any, the variable `prompt` is what is said."""
    found: list[str] = []
    refused: list[Refused] = []
    for prompt in prompts if isinstance(prompts, list) else [prompts] if prompts else ["{{prompt}}"]:
        text = (prompt.get("raw") or prompt.get("id")) if isinstance(prompt, dict) else prompt
        if (
            not isinstance(text, str)
            or text.startswith(("file://", "exec:"))
            or re.fullmatch(r"\S+\.(txt|json|ya?ml|py|js|ts|md|j2)", text)
        ):
            refused.append(Refused(item="prompts", reason=f"{brief(prompt)}: is in another file; paste its text"))
        else:
            found.append(text)
    return found, refused


def _tests(tests: Any) -> tuple[list[Mapping[str, Any]], list[Refused]]:
    found: list[Mapping[str, Any]] = []
    refused: list[Refused] = []
    for test in tests if isinstance(tests, list) else [tests] if tests else []:
        if isinstance(test, dict):
            found.append(test)
        else:
            refused.append(Refused(item="tests", reason=f"{brief(test)}: is in another file; paste its tests"))
    return found, refused


def _merged(shared: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Any]:
    """`defaultTest` below the test: variables and fields of the test win, assertions add up."""
    asserts = [*(shared.get("assert") or []), *(test.get("assert") or [])]
    given = {**(shared.get("vars") or {}), **(test.get("vars") or {})}
    return {**shared, **test, "vars": given, "assert": asserts}


def _combinations(prompts: Sequence[str], given: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every prompt with every choice of variables that are lists, at most a hundred."""
    choices = [value if isinstance(value, list) else [value] for value in given.values()]
    every = ((prompt, dict(zip(given, chosen, strict=True))) for prompt in prompts for chosen in itertools.product(*choices))
    return list(itertools.islice(every, _COMBINATIONS))


def _spoken(rendered: str) -> tuple[list[str], list[str]]:
    """A prompt that is a chat in JSON or YAML gives its user messages, any other text is what the user says."""
    if rendered.lstrip().startswith(("[", "- role:")):
        try:
            chat = yaml.safe_load(rendered)
        except yaml.YAMLError:
            chat = None
        if isinstance(chat, list) and all(isinstance(message, dict) and "role" in message for message in chat):
            return messages(chat)
    return messages(rendered.strip())


def _filled(assertion: Any, given: Mapping[str, Any], lost: list[str]) -> Any:
    """The assertion with variables filled in wherever it holds text."""
    if isinstance(assertion, str):
        text, unread = render(assertion, given)
        lost.extend(f"template of an assertion: {place}" for place in unread)
        return text
    if isinstance(assertion, list):
        return [_filled(value, given, lost) for value in assertion]
    if isinstance(assertion, dict):
        return {key: _filled(value, given, lost) for key, value in assertion.items()}
    return assertion
