"""What the demo plays on: both stand-ins, the webhook receiver between them, a directory and an
environment of its own.

Nothing of the user's reaches it (settings, .env, Dagster's home), it uses free ports, and all that
it started is stopped on the way out, whichever way that is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from helpdesk_assets.errors import RetryableError
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.local.warehouse import LocalWarehouse
from helpdesk_assets.settings import LOCAL_PROJECT, LOCAL_TOKEN, Settings

START_SECONDS = 60.0
STOP_SECONDS = 10.0
WEBHOOK_SECRET = "local-demo-secret"  # noqa: S105 - opens nothing but the demo's own receiver
_DAGSTER_VARIABLES = ("DAGSTER_HOME", "DAGSTER_IS_DEV_CLI")


@dataclass(frozen=True, slots=True)
class DemoEnvironment:
    """The helpdesk's other side, and where the parts are."""

    admin_client: AdminClient
    helpdesk_url: str
    warehouse_url: str
    webhooks_url: str


@contextmanager
def start_environment(tickets: int, start: datetime) -> Iterator[DemoEnvironment]:
    """The helpdesk, the warehouse and the receiver, answering; `start` is what the helpdesk's
    clock shows at first. Its webhooks go to the receiver."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="helpdesk-demo-")))
        warehouse = LocalWarehouse(directory / "warehouse")
        log = directory / "helpdesk.log"
        simulate = ("simulate", "--tickets", str(tickets), "--start", start.isoformat())
        helpdesk = stack.enter_context(_server_process(simulate, log))
        stack.enter_context(warehouse)
        url = _read_announced_url(helpdesk, log, "The simulated helpdesk")
        stack.enter_context(isolated_environment(directory, url, warehouse.endpoint))
        log = directory / "webhooks.log"
        receiver = stack.enter_context(_server_process(("webhooks",), log))
        webhooks_url = _read_announced_url(receiver, log, "The webhook receiver")
        admin_client = stack.enter_context(AdminClient(url))
        admin_client.send_webhooks(url=webhooks_url, secret=WEBHOOK_SECRET)
        yield DemoEnvironment(admin_client, url, warehouse.endpoint, webhooks_url)


@contextmanager
def isolated_environment(directory: Path, helpdesk_url: str, warehouse_url: str) -> Iterator[None]:
    """An environment in which our settings are those given here and defaults, whatever the shell
    and a .env in the user's directory say."""
    ours = {
        "HELPDESK_BASE_URL": helpdesk_url,
        "HELPDESK_API_TOKEN": LOCAL_TOKEN,
        "BIGQUERY_PROJECT": LOCAL_PROJECT,
        "BIGQUERY_EMULATOR_HOST": warehouse_url,
        "WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    before, home = dict(os.environ), Path.cwd()
    theirs = {name.upper() for name in Settings.model_fields} | set(_DAGSTER_VARIABLES)
    for name in before:
        if name.upper() in theirs:
            del os.environ[name]
    os.environ.update(ours)
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(home)
        _restore(before)


def _restore(before: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@contextmanager
def _server_process(arguments: Sequence[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """One of our servers as a process, so that its work is not counted as the sync's."""
    command = [sys.executable, "-m", "helpdesk_assets.cli", *arguments, "--port", "0"]
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Ctrl-C goes to every process of the terminal; this one is stopped by us, in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _read_announced_url(process: subprocess.Popen[str], log: Path, what: str) -> str:
    """The address that a server prints in its first line, once it answers.

    Raises:
        TryAgainLater: it ended, or kept silent.
    """
    # Reading blocks; a server that stays silent is ended, and with it the wait.
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
    finally:
        watchdog.cancel()
    found = re.search(r"http://\S+", line)
    if found is None:
        log_tail = " ".join(log.read_text(errors="replace").split())[-500:]
        raise RetryableError(f"{what} did not start: {log_tail or 'it said nothing'}")
    return found.group()
