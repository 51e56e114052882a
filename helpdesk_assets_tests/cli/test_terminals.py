"""Terminals, locales, zones and warnings filters: every command ends in order with each."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.cli.conftest import Command

PLAIN = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
MACHINES: dict[str, dict[str, str]] = {
    "ASCII": {**PLAIN, "PYTHONIOENCODING": "ascii"},
    "Latin-1": {**PLAIN, "PYTHONIOENCODING": "latin-1"},
    "unknown locale": {"LC_ALL": "xx_YY.bogus"},
    "dumb and narrow": {"TERM": "dumb", "COLUMNS": "20"},
    "unknown zone": {"TZ": "Nowhere/Bogus"},
    "zone that is no zone": {"TZ": ":/etc/passwd"},
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "no home": {"HOME": "/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"},
    "no certificates, and no need of any": {"REQUESTS_CA_BUNDLE": "/no", "SSL_CERT_FILE": "/no"},
}


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
def test_commands_work_on_any_machine(
    environment: Settings, monkeypatch: pytest.MonkeyPatch, command: Command, machine: str
) -> None:
    for name, value in MACHINES[machine].items():
        monkeypatch.setenv(name, value)
    for arguments in (("sync",), ("watermark", "show"), ("doctor",)):
        done = command(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments
    done = command("alerts", "test")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "code"),
    [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("<&-", 0), ("> /dev/full", 1), ("| true", 1)],
)
def test_closed_and_full_outputs_end_in_order(
    environment: Settings, redirection: str, code: int
) -> None:
    for arguments in ("status", "--help"):
        line = f"set -o pipefail; '{sys.executable}' -m helpdesk_assets.cli {arguments}"
        done = subprocess.run(
            ["/bin/bash", "-c", f"{line} {redirection}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr.count("\n") <= 1
        assert "Traceback" not in done.stderr
        # Whether the reader has gone before the last line is printed is chance.
        assert done.returncode == code or (redirection == "| true" and done.returncode == 0)


@pytest.mark.slow
def test_read_only_folder_does_not_matter(
    environment: Settings, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.chdir("/proc")
    assert command("sync").returncode == 0
