"""Whatever the machine does: one line that says what to do, exit 1, and nothing half-written."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from helpdesk_assets.cli.doctor.report import DiagnosticStatus, run_check
from helpdesk_assets.errors import MachineError
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.cli.conftest import Run
from helpdesk_assets_tests.cli.machine_troubles import (
    COMMANDS,
    ENV_FILES,
    Break,
    full_disk,
    no_temporary_folder,
)

NOWHERE = "/nowhere/ca.pem"


def assert_one_line(result: Result, *names: str) -> None:
    """Assert that the command failed with one line, which holds these names."""
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    for name in names:
        assert name in result.stderr
    assert "Traceback" not in result.output
    assert "bug" not in result.output


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("trouble", ENV_FILES)
def test_unreadable_env_file_is_named(
    empty_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
    trouble: str,
    arguments: tuple[str, ...],
) -> None:
    ENV_FILES[trouble](monkeypatch, empty_environment)
    assert_one_line(run(*arguments), ".env")


@pytest.mark.parametrize("trouble", ENV_FILES)
def test_doctor_fails_on_an_unreadable_env_file(
    empty_environment: Path, monkeypatch: pytest.MonkeyPatch, run: Run, trouble: str
) -> None:
    ENV_FILES[trouble](monkeypatch, empty_environment)
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.startswith("FAILED  settings: ")
    assert ".env" in result.stdout
    assert "bug" not in result.stdout


@pytest.mark.parametrize("trouble", [full_disk, no_temporary_folder])
@pytest.mark.parametrize("arguments", [("sync",), ("reconcile",), ("sync", "--full", "--json")])
def test_without_room_nothing_is_half_written(
    environment: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    simulator: SimulatedHelpdesk,
    run: Run,
    trouble: Break,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.setenv("BIGQUERY_SMALL_BATCH_BYTES", "1")
    assert run("sync").exit_code == 0
    simulator.change(count=5)
    before = run("status", "--json").stdout
    with monkeypatch.context() as broken:
        trouble(broken, tmp_path)
        assert_one_line(run(*arguments), "TMPDIR", "kB")
    assert_same_runs(before, run("status", "--json").stdout)
    assert run("sync").exit_code == 0
    assert run("reconcile", "--dry-run").exit_code == 0


def assert_same_runs(before: str, after: str) -> None:
    """Assert that only the age of the watermark differs."""
    ages = ("watermark_age_seconds", "missed_last_24_hours")
    assert without(before, ages) == without(after, ages)


def without(text: str, names: tuple[str, ...]) -> list[str]:
    return [part for part in text.split(", ") if not any(name in part for name in names)]


@pytest.fixture
def tls_port() -> Iterator[int]:
    """A port that takes connections; no bundle is read before a connection is wanted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("setting", ["HELPDESK_BASE_URL", "BIGQUERY_EMULATOR_HOST"])
def test_missing_certificate_bundle_is_named(
    environment: Settings,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
    tls_port: int,
    setting: str,
    variable: str,
) -> None:
    monkeypatch.setenv(setting, f"https://127.0.0.1:{tls_port}")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, NOWHERE)
    assert_one_line(run("sync"), NOWHERE, variable)
    doctor = run("doctor")
    assert doctor.exit_code == 1
    assert NOWHERE in doctor.stdout
    assert "bug" not in doctor.output


def test_missing_certificate_bundle_is_named_for_alerts(
    empty_environment: Path, monkeypatch: pytest.MonkeyPatch, run: Run, tls_port: int
) -> None:
    monkeypatch.setenv("ALERT_URLS", f"jsons://127.0.0.1:{tls_port}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", NOWHERE)
    result = run("alerts", "test")
    assert result.exit_code == 1
    assert "REQUESTS_CA_BUNDLE" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "{}", "\ud800", '{"type": "service_account"}', '{"type": 5}']
)
def test_unusable_credentials_file_is_named(
    empty_environment: Path, monkeypatch: pytest.MonkeyPatch, run: Run, content: str | None
) -> None:
    key = empty_environment / "key.json"
    if content is not None:
        key.write_bytes(content.encode("utf-8", "surrogatepass"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.setenv("BIGQUERY_PROJECT", "acme-data")
    for arguments in (("status",), ("watermark", "show")):
        assert_one_line(run(*arguments), "GOOGLE_APPLICATION_CREDENTIALS", str(key))


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO, None]
)
def test_any_failure_of_the_system_says_what_to_do(code: int | None) -> None:
    error = OSError(code, os.strerror(code), "/some/file") if code else OSError("odd\nthing")
    text = str(MachineError.of(error, "Writing it"))
    assert text.startswith("Writing it failed: ")
    assert "\n" not in text
    assert len(text.rpartition(". ")[2] or text) > len("Retry.")
    diagnostic = run_check("x", lambda: _raise(error))
    assert diagnostic.status is DiagnosticStatus.FAILED
    assert "bug" not in diagnostic.detail


def _raise(error: OSError) -> str:
    raise error
