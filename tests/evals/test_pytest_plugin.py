"""Cards as pytest items, in a pytest of its own: what passes, fails, errs and is skipped, and that the plugin costs nothing unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CARDS = ROOT / "datasets/qsr/scenarios"


def run(*arguments: str, cwd: Path = ROOT) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ASSAY_"))}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env=environ, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Two sound cards, one that asks for what is not said, and one that needs a language model."""
    folder = tmp_path / "datasets/qsr/scenarios"
    for card, area in (("tree-nut-list", "safety"), ("still-on-order", "operations"), ("banner-after-the-answer", "safety")):
        (folder / area).mkdir(parents=True, exist_ok=True)
        (folder / area / f"{card}.yaml").write_text((CARDS / area / f"{card}.yaml").read_text())
    wrong = yaml.safe_load((CARDS / "safety/quat-mix-strength.yaml").read_text())
    wrong["turns"][0]["expect"]["say"] = ["a unicorn"]
    (folder / "safety/quat-mix-strength.yaml").write_text(yaml.safe_dump(wrong))
    return tmp_path / "datasets/qsr"


def test_cards_pass_fail_and_are_skipped_each_by_its_own_name(suite: Path) -> None:
    code, said = run("--cards", str(suite), "-rs", "-v", cwd=suite.parents[1])
    assert code == 1
    assert "1 failed, 2 passed, 1 skipped" in said
    assert "say: turn 1: does not say 'a unicorn'\nassay eval --card quat-mix-strength" in said
    assert "needs a language model" in said
    assert "Traceback" not in said


def test_a_card_that_cannot_be_judged_is_an_error(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def answer(message):\n    raise RuntimeError('gone')\n")
    code, said = run("--cards", str(suite), "--cards-target", "python:broken:answer", "-k", "operations", cwd=tmp_path)
    assert code == 1
    assert "1 failed" in said
    code, said = run("--cards", str(suite), "--cards-target", "http://127.0.0.1:9", "-k", "operations", cwd=suite.parents[1])
    assert code == 1
    assert "1 error" in said and "no assistant answers there" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--cards", "datasets/nowhere"], "no such folder"),
        (["--cards", "datasets/qsr", "--cards-target", "inproces"], "did you mean `inprocess`?"),
    ],
)
def test_a_mistake_is_a_usage_error(arguments: list[str], fault: str) -> None:
    code, said = run(*arguments)
    assert code == 4
    assert fault in said


def test_the_plugin_imports_nothing_while_it_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "test_light.py").write_text(
        "import sys\n\n\ndef test_light():\n    heavy = ('pydantic_ai', 'pydantic_evals', 'evals.cards', 'assistant', 'mlflow')\n"
        "    assert [name for name in heavy if name in sys.modules] == []\n    assert 'evals.pytest_plugin' in sys.modules\n"
    )
    code, said = run("-p", "no:asyncio", "-p", "no:logfire", str(tmp_path), cwd=tmp_path)
    assert code == 0, said
