"""What is set, whether it works, and what to do."""

import re
from pathlib import Path

import pytest

from assistant import doctor
from assistant.doctor import Finding, diagnose
from assistant.encoder.weights import EncoderError
from assistant.pack import Pack, PackError, PackFault
from assistant.settings import Settings


@pytest.fixture
def findings(tmp_path, desk_folder, monkeypatch):
    monkeypatch.setattr(doctor, "shipped_packs", lambda: {"desk": desk_folder})
    monkeypatch.setattr(doctor, "locate", lambda path: type("Files", (), {"folder": path or tmp_path})())

    def look(**environ):
        given = {"HOME": str(tmp_path), **environ}
        return {finding.setting: finding for finding in diagnose(Settings.from_environ(given), given)}

    return look


def test_a_fresh_machine_is_well(findings):
    found = findings()
    assert {finding.state for finding in found.values()} == {"ok"}
    assert all(finding.remedy == "" for finding in found.values())
    assert found["ASSAY_MODEL"].value == "embedded"
    assert "pack desk" in found


def test_secrets_are_masked(findings):
    found = findings(ASSAY_OPENAI_API_KEY="sk-secret", ASSAY_DATABASE_URL="postgresql+psycopg://u:sk-secret@h/d")
    assert "sk-secret" not in repr(found)
    assert found["ASSAY_OPENAI_API_KEY"].value == "(set, hidden)"
    assert found["ASSAY_DATABASE_URL"].value == "postgresql+psycopg://u:***@h/d"


def test_a_missing_driver_is_named(findings, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    row = findings(ASSAY_DATABASE_URL="postgresql+psycopg://u@h/d")["ASSAY_DATABASE_URL"]
    assert (row.state, row.remedy) == ("missing", "install the driver psycopg")


def test_an_openai_model_needs_a_key_or_a_server_of_its_own(findings):
    row = findings(ASSAY_MODEL_LOANS="openai-chat:gpt-x")["ASSAY_OPENAI_API_KEY"]
    assert (row.state, row.value) == ("missing", "(not set)") and "ASSAY_OPENAI_BASE_URL" in row.remedy
    own = findings(ASSAY_MODEL="openai-chat:m", ASSAY_OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert own["ASSAY_OPENAI_API_KEY"].state == "ok"


def test_a_folder_that_cannot_be_made_is_told(findings, tmp_path):
    (tmp_path / "file").write_text("")
    row = findings(ASSAY_STATE_DIR=f"{tmp_path}/file/below")["ASSAY_STATE_DIR"]
    assert row == Finding(
        setting="ASSAY_STATE_DIR",
        value=f"{tmp_path}/file/below",
        state="missing",
        remedy="set ASSAY_STATE_DIR to a folder that can be written",
    )


def test_a_missing_encoder_is_told_with_its_remedy(findings, monkeypatch):
    def lost(path):
        raise EncoderError("the encoder is not installed; install it")

    monkeypatch.setattr(doctor, "locate", lost)
    row = findings()["ASSAY_ENCODER"]
    assert (row.state, row.remedy) == ("missing", "the encoder is not installed; install it")


def test_misspelt_names_are_found(findings):
    found = findings(ASSAY_MODLE="x", ASSAY_MODEL_NOBODY="embedded", ASSAY_MODEL_LOANS="embedded")
    assert found["ASSAY_MODLE"].remedy == "this name has no effect; check its spelling"
    assert "loans" in found["ASSAY_MODEL_NOBODY"].remedy
    assert found["ASSAY_MODEL_LOANS"].state == "ok"


def test_every_name_that_is_read_is_known(findings):
    """Names are written out where they are read; those between the load test's own processes are set by no one else."""
    root = Path(__file__).parents[2]
    sources = [path for part in ("assistant", "evals", "loadtests", "reports") for path in (root / part).rglob("*.py")]
    read = {name for path in sources for name in re.findall(r'"(ASSAY_[A-Z_]*[A-Z])"', path.read_text(encoding="utf-8"))}
    assert {"ASSAY_ROUTER_MODEL", "ASSAY_JUDGE"} <= read
    assert read - {"ASSAY_LOAD_CONFIG", "ASSAY_LOAD_WORKER"} <= doctor.KNOWN
    found = findings(ASSAY_ROUTER_MODEL="embedded", ASSAY_JUDGE="ollama:llama3.2")
    assert {finding.state for finding in found.values()} == {"ok"}


def test_a_router_that_is_no_model_folder_is_told(findings, tmp_path):
    row = findings(ASSAY_ROUTER=str(tmp_path))["ASSAY_ROUTER"]
    assert row.state == "missing" and "give a folder written by --model" in row.remedy


def test_a_broken_pack_is_told(findings, monkeypatch):
    def broken(name):
        raise PackError([PackFault(file="pack.yaml", field="version", fault="missing")])

    monkeypatch.setattr(Pack, "load", broken)
    row = findings()["pack desk"]
    assert (row.state, row.remedy) == ("missing", "pack.yaml: version: missing")
