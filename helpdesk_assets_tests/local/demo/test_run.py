"""The demo as a user starts it: in a separate process, in any directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest

FOREIGN_ENV = """\
HELPDESK_BASE_URL=http://127.0.0.1:1
HELPDESK_API_TOKEN=nobodys
BIGQUERY_PROJECT=somebodys-project
BIGQUERY_LOCATION=EU
WEBHOOKS_ENABLED=false
"""


@pytest.fixture
def other_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's directory with its own settings and temporary files."""
    (tmp_path / ".env").write_text(FOREIGN_ENV)
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", "7")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "absent"))
    return tmp_path


def start(tickets: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "helpdesk_assets.cli", "demo", "--tickets", str(tickets)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def leftover_directories(other_directory: Path) -> list[str]:
    return [path.name for path in (other_directory / "tmp").glob("helpdesk-demo-*")]


def processes_in(other_directory: Path) -> list[str]:
    """Return running processes with our temporary directory in environment or arguments."""
    mark = str(other_directory / "tmp")
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        environment = process.info["environ"] or {}
        if environment.get("TMPDIR") == mark and process.pid != os.getpid():
            found.append(" ".join(process.info["cmdline"] or ()))
    return found


@pytest.mark.slow
def test_demo_runs_to_completion(other_directory: Path) -> None:
    with start(300) as process:
        output, errors = process.communicate(timeout=200)

    assert (process.returncode, errors) == (0, ""), output
    assert "incremental" in output
    assert output.count("yes, ") == 3
    assert output.count("skips it") == 1
    assert "WARN" in output
    assert "differences in any field" in output
    assert "The demo succeeded" in output
    assert leftover_directories(other_directory) == processes_in(other_directory) == []
    assert not (other_directory / "absent").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sign", "at", "code"),
    [(signal.SIGTERM, "Starting", 143), (signal.SIGINT, "First sync", 130)],
)
def test_interrupted_demo_stops_its_processes(
    other_directory: Path, sign: signal.Signals, at: str, code: int
) -> None:
    with start(3000) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if at in line:
                break
        process.send_signal(sign)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == code
    assert "Traceback" not in errors
    assert leftover_directories(other_directory) == processes_in(other_directory) == []
