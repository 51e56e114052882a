"""Commands that run in the foreground, in separate processes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import pytest
import requests

from helpdesk_assets.providers.registry import PROVIDERS, make_helpdesk
from helpdesk_assets.settings import load_settings
from helpdesk_assets_tests.cli.conftest import Command, Run


@pytest.mark.parametrize("name", ["simulate", "warehouse"])
def test_port_in_use_gives_one_line(empty_environment: Path, command: Command, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command(name, "--port", str(port))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another port "
        "with --port, or stop the program that uses it.\n"
    )


@pytest.mark.parametrize(
    ("name", "path", "says"),
    [
        ("simulate", "/healthz", "Simulated helpdesk (rest) with 5,000 tickets at"),
        ("warehouse", "/bigquery/v2/projects/helpdesk-local/datasets", "Local BigQuery at"),
    ],
)
def test_serves_until_interrupted(empty_environment: Path, name: str, path: str, says: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "helpdesk_assets.cli", name, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[0-9.:]+", line)
        try:
            assert line.startswith(says)
            assert found is not None
            assert _answers(found.group() + path)
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)

    assert "Traceback" not in errors


@pytest.mark.parametrize("dialect", PROVIDERS)
def test_printed_lines_log_in(
    empty_environment: Path, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    monkeypatch.setenv("HELPDESK_TOKEN_CACHE", "off")
    arguments = ("simulate", "--port", "0", "--tickets", "5", "--dialect", dialect)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "helpdesk_assets.cli", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        printed = list(takewhile(lambda line: "Ctrl-C" not in line, process.stdout))
        try:
            lines = [line for line in printed if re.match(r"[A-Z_]+=", line)]
            (empty_environment / ".env").write_text("".join(lines))
            with closing(make_helpdesk(load_settings())) as helpdesk:
                pages = list(helpdesk.changes(None))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)

    assert {ticket.ticket_id for page in pages for ticket in page.tickets}


def test_webhooks_need_a_url(run: Run) -> None:
    result = run("simulate", "--webhooks-to", "hooks.example.com")
    assert result.exit_code == 2
    assert "--webhooks-to needs a URL that starts with http:// or https://." in result.stderr


def _answers(url: str) -> bool:
    from urllib3.util import Retry

    with requests.Session() as session:
        patient = requests.adapters.HTTPAdapter(max_retries=Retry(connect=12, backoff_factor=0.1))
        session.mount("http://", patient)
        return session.get(url, timeout=60).ok


def test_missing_warehouse_extra_fails_before_any_output(
    empty_environment: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    result = run("warehouse", "--port", "0")

    assert result.exit_code == 1
    assert ".[local]" in result.stderr
    assert result.stdout == ""


def test_missing_local_extra_is_reported(
    empty_environment: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "helpdesk_assets.local.simulator.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    result = run("simulate")

    assert result.exit_code == 1
    assert "the module uvicorn, which is not installed" in result.stderr
    assert "pip install '.[local]'" in result.stderr
