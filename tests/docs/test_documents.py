"""Code blocks of README and docs are executed or parsed; links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from evals.cards import Card
from evals.cli.main import assay
from evals.selfcheck import solution_faults

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (str(page.relative_to(ROOT)), body)
        for page in PAGES
        for kind, body in BLOCK.findall(page.read_text())
        if kind == language
    ]


@pytest.mark.parametrize(("page", "body"), blocks("bash"))
def test_every_command_shown_exists_with_its_options(page: str, body: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in body.splitlines():
        words = shlex.split(line, comments=True)
        while words and "=" in words[0]:
            words.pop(0)
        if not words:
            continue
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets
        else:
            assert words[0] in {".venv/bin/assay", "assay"}, line
            parse(words[1:])


def parse(words: list[str]) -> None:
    command: click.Command = assay
    context = click.Context(assay)
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    command.make_context(command.name, list(words), resilient_parsing=False)


@pytest.mark.parametrize(("page", "body"), blocks("python"))
def test_python_blocks_run(page: str, body: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(body, page, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("page", "body"), blocks("yaml"))
def test_card_examples_are_valid_and_their_sabotage_is_caught(page: str, body: str) -> None:
    data = yaml.safe_load(body)
    if isinstance(data, dict) and "turns" in data:
        assert solution_faults(Card.model_validate(data)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []
