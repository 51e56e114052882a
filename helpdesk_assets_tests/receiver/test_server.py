"""The start of the receiver and its refusals to start, as users see them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from helpdesk_assets.cli.commands import root
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.webhooks.verification import MIN_SECRET_CHARS
from helpdesk_assets.receiver.app import create_app
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.receiver_process import ReceiverProcess, environment_of
from helpdesk_assets_tests.receiver.webhook_posts import Sender, rest_event, whole_ticket


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("empty_environment")
def test_does_not_start_without_a_secret() -> None:
    done = CliRunner().invoke(root, ["webhooks", "--port", "0"])

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: WEBHOOK_SECRETS is empty, so anybody could write tickets. Set it to the secret "
        "that rest signs with or sends; to accept unsigned posts from this machine only, use "
        "--insecure.\n"
    )


@pytest.mark.usefixtures("empty_environment")
@pytest.mark.parametrize("host", ["::", "192.168.1.2", "desk.example.com", ""])
def test_insecure_mode_listens_on_loopback_only(host: str) -> None:
    done = CliRunner().invoke(root, ["webhooks", "--insecure", "--host", host, "--port", "0"])

    assert done.exit_code == 1
    assert "--insecure accepts posts from everybody" in done.stderr


def test_insecure_mode_accepts_unsigned_posts(settings: Settings, tmp_path: Path) -> None:
    environment = environment_of(settings) | {"WEBHOOK_SECRETS": ""}
    with ReceiverProcess(tmp_path, environment, "--insecure") as receiver:
        sender = Sender(receiver.url)
        body = str(rest_event(whole_ticket(1), "e")).replace("'", '"').encode()
        assert sender.post(body, {}).status_code == 200
        sender.close()
        receiver.process.terminate()
        assert receiver.ended() == (0, "")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_in_use_gives_one_line(empty_environment: None, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(
            root, ["webhooks", "--insecure", "--host", host, "--port", str(port)]
        )
    assert done.exit_code == 1
    assert done.stderr == (
        f"Error: Cannot listen on {host}:{port}: Address already in use. Choose another port with "
        "--port, or stop the program that uses it.\n"
    )


def test_weak_secret_is_rejected_without_showing_it() -> None:
    settings = Settings(_env_file=None, webhook_secrets=SecretStr("hunter2"))  # type: ignore[call-arg,unused-ignore]
    with pytest.raises(SettingsError, match=f"fewer than {MIN_SECRET_CHARS}") as caught:
        create_app(settings)
    assert "hunter2" not in str(caught.value)


def test_helpdesk_without_webhooks_is_reported() -> None:
    settings = Settings(_env_file=None, helpdesk_provider="acme")  # type: ignore[call-arg,unused-ignore]
    with pytest.raises(SettingsError, match="'acme'"):
        create_app(settings, insecure=True)
