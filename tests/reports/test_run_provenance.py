"""Provenance tells what is known and says null for the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reports import provenance
from reports.provenance import Origin, collect_provenance, digest_path, machine_class


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_a_clean_tree_and_a_dirty_one_are_told_apart(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "first")
    clean = collect_provenance(tmp_path, Origin(model="embedded", seeds={"plan": 1}, load={"users": "2"}))
    assert clean.dirty is False and clean.commit and len(clean.commit) == 40
    assert (clean.model, clean.seeds, clean.load) == ("embedded", {"plan": 1}, {"users": "2"})
    (tmp_path / "a").write_text("2")
    assert collect_provenance(tmp_path, Origin(model="m")).dirty is True


def test_without_a_repository_or_without_git_the_commit_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = collect_provenance(tmp_path, Origin(model="m"))
    assert (outside.commit, outside.dirty) == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert collect_provenance(tmp_path, Origin(model="m")).commit is None


def test_digests_follow_content_and_names_but_not_caches(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "a.yaml").write_text("1")
    first = digest_path(folder)
    (folder / "__pycache__" / "x.pyc").write_text("noise")
    assert digest_path(folder) == first
    (folder / "a.yaml").rename(folder / "b.yaml")
    assert digest_path(folder) != first
    assert digest_path(folder / "b.yaml") == "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    origin = Origin(model="m", files={"cards": folder, "gone": tmp_path / "none"}, digests={"prompt": "sha256:1"})
    assert set(collect_provenance(tmp_path, origin).digests) == {"cards", "prompt"}


def test_versions_leave_out_what_is_not_installed(tmp_path: Path) -> None:
    found = collect_provenance(tmp_path, Origin(model="m"), packages=("numpy", "no-such-package"))
    assert set(found.versions) == {"python", "numpy"}


def test_the_machine_class_holds_what_makes_times_comparable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(machine_class()) == {"system", "architecture", "processor", "cores", "memory_gib"}
    monkeypatch.setattr(provenance.Path, "read_text", _refuse)
    assert machine_class()["processor"]


def _refuse(*_: object, **__: object) -> str:
    raise OSError("no such file")
