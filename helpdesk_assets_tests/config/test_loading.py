"""Settings are made once for the same environment and `.env`, and anew for any other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpdesk_assets.config.standalone import load_alert_settings
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / ".env"


def test_nothing_changed_gives_the_same_settings(env_file: Path) -> None:
    env_file.write_text("SYNC_NAME=one\n")

    assert load_settings() is load_settings()


def test_each_kind_of_settings_is_kept_apart() -> None:
    assert type(load_alert_settings()) is not type(load_settings())


def test_changed_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        monkeypatch.setenv("SYNC_NAME", name)
        assert load_settings().sync_name == name
    monkeypatch.delenv("SYNC_NAME")
    assert load_settings().sync_name == "tickets"


def test_changed_file_is_read_whatever_its_time(env_file: Path) -> None:
    for name in ("one", "two"):
        env_file.write_text(f"SYNC_NAME={name}\n")
        os.utime(env_file, (0, 0))
        assert load_settings().sync_name == name
    env_file.unlink()
    assert load_settings().sync_name == "tickets"


def test_file_of_another_folder_is_read(monkeypatch: pytest.MonkeyPatch, env_file: Path) -> None:
    env_file.write_text("SYNC_NAME=here\n")
    elsewhere = env_file.parent / "elsewhere"
    elsewhere.mkdir()
    assert load_settings().sync_name == "here"

    monkeypatch.chdir(elsewhere)

    assert load_settings().sync_name == "tickets"


def test_variable_named_in_the_file_is_followed(
    monkeypatch: pytest.MonkeyPatch, env_file: Path
) -> None:
    env_file.write_text("SYNC_NAME=${COMPANY}\n")
    for name in ("acme", "initech"):
        monkeypatch.setenv("COMPANY", name)
        assert load_settings().sync_name == name


def test_invalid_value_is_refused_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    load_settings()
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", "many")
    for _ in range(2):
        with pytest.raises(SettingsError, match="HELPDESK_PAGE_SIZE"):
            load_settings()
