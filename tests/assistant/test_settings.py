"""Settings come from one environment, all faults at once, secrets unseen."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from assistant.errors import SettingsError
from assistant.settings import Settings

HOME = {"HOME": "/home/ann"}


def test_an_almost_empty_environment_is_enough():
    settings = Settings.from_environ(HOME)
    assert settings == Settings(
        model="embedded",
        agent_models={},
        data_dir=Path("/home/ann/.local/share/assay"),
        cache_dir=Path("/home/ann/.cache/assay"),
        database_url="sqlite:////home/ann/.local/share/assay/assay.db",
        encoder=None,
        ollama_base_url="http://127.0.0.1:11434",
        openai_base_url=None,
        openai_api_key=None,
        max_output_tokens=1024,
        request_timeout_s=60.0,
        fixed_now=None,
    )


def test_every_setting_can_be_set(tmp_path):
    settings = Settings.from_environ(
        {
            "ASSAY_MODEL": " paced:ttft_ms=1 ",
            "ASSAY_MODEL_SAFETY": "openai-chat:m",
            "ASSAY_MODEL_EMPTY": " ",
            "ASSAY_STATE_DIR": str(tmp_path),
            "ASSAY_CACHE_DIR": "/c",
            "ASSAY_DATABASE_URL": "postgresql+psycopg://u:pw@h/d",
            "ASSAY_ENCODER": str(tmp_path),
            "ASSAY_OLLAMA_BASE_URL": "http://gpu:11434/",
            "ASSAY_OPENAI_BASE_URL": "https://x/v1/",
            "OPENAI_API_KEY": "sk-secret",
            "ASSAY_MAX_OUTPUT_TOKENS": "99",
            "ASSAY_REQUEST_TIMEOUT_S": "1.5",
            "ASSAY_ROUTER": str(tmp_path),
            "ASSAY_NOW": "2026-03-02T09:30:00+00:00",
        }
    )
    assert settings == Settings(
        model="paced:ttft_ms=1",
        agent_models={"safety": "openai-chat:m"},
        data_dir=tmp_path,
        cache_dir=Path("/c"),
        database_url="postgresql+psycopg://u:pw@h/d",
        encoder=tmp_path,
        ollama_base_url="http://gpu:11434",
        openai_base_url="https://x/v1",
        openai_api_key="sk-secret",
        max_output_tokens=99,
        request_timeout_s=1.5,
        router=tmp_path,
        fixed_now=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    )


def test_xdg_folders_win_over_home_when_they_are_absolute():
    chosen = Settings.from_environ({**HOME, "XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "relative"})
    assert (chosen.data_dir, chosen.cache_dir) == (Path("/d/assay"), Path("/home/ann/.cache/assay"))


def test_secrets_are_in_no_repr():
    settings = Settings.from_environ(
        {**HOME, "ASSAY_OPENAI_API_KEY": "sk-secret", "ASSAY_DATABASE_URL": "postgresql+psycopg://u:sk-secret@h/d"}
    )
    assert "sk-secret" not in repr(settings)


def test_an_agents_model_is_its_own_then_the_packs_then_the_general_one():
    settings = Settings.from_environ({**HOME, "ASSAY_MODEL": "general", "ASSAY_MODEL_NIGHT_DESK": "own"})
    assert settings.model_for("night-desk", "packs") == "own"
    assert settings.model_for("other", "packs") == "packs"
    assert settings.model_for("other") == "general"


def test_all_faults_are_told_at_once_with_their_remedies(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(
            {
                "ASSAY_STATE_DIR": "relative",
                "ASSAY_CACHE_DIR": str(tmp_path / "file"),
                "ASSAY_DATABASE_URL": "mysql://u:sk-secret@h",
                "ASSAY_ENCODER": "/nowhere/at/all",
                "ASSAY_OLLAMA_BASE_URL": "gpu:11434",
                "ASSAY_OPENAI_BASE_URL": "https://",
                "ASSAY_MAX_OUTPUT_TOKENS": "many",
                "ASSAY_REQUEST_TIMEOUT_S": "nan",
                "ASSAY_ROUTER": str(tmp_path / "file"),
                "ASSAY_NOW": "2026-03-02T09:30:00",
            }
        )
    assert caught.value.faults == (
        "ASSAY_STATE_DIR: 'relative' is not an absolute path; give the folder from the root",
        f"ASSAY_CACHE_DIR: '{tmp_path}/file' is not a folder; give a folder",
        "ASSAY_DATABASE_URL: the scheme 'mysql' is not supported; use one of sqlite, sqlite+aiosqlite, postgresql+psycopg",
        "ASSAY_ENCODER: '/nowhere/at/all' does not exist; give the folder of a sentence encoder, or unset it for the default one",
        "ASSAY_OLLAMA_BASE_URL: not an http(s) URL; give one such as http://127.0.0.1:8000/v1",
        "ASSAY_OPENAI_BASE_URL: not an http(s) URL; give one such as http://127.0.0.1:8000/v1",
        "ASSAY_MAX_OUTPUT_TOKENS: 'many' is not a whole number from 1 to 1000000",
        "ASSAY_REQUEST_TIMEOUT_S: 'nan' is not a number of seconds above 0 and at most 86400",
        f"ASSAY_ROUTER: '{tmp_path}/file' is not a folder; give one written by `assay routing train`, or unset it for the pack's own router",
        "ASSAY_NOW: '2026-03-02T09:30:00' has no time zone; add one, such as +00:00",
    )


@pytest.mark.parametrize(
    ("name", "value"), [("ASSAY_MAX_OUTPUT_TOKENS", "0"), ("ASSAY_REQUEST_TIMEOUT_S", "soon"), ("ASSAY_NOW", "today")]
)
def test_other_unusable_values_are_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name}: '{value}' is not"):
        Settings.from_environ({**HOME, name: value})


def test_without_a_home_the_folders_must_be_named():
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({})
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["ASSAY_STATE_DIR", "ASSAY_CACHE_DIR"]
