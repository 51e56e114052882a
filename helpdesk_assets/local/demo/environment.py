"""The demo's environment: the simulated helpdesk, the local warehouse, and the webhook receiver.

The demo has its own directory and variables: the user's settings, .env and Dagster home do not
reach it. It uses free ports, and stops all that it started, however it ends.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from helpdesk_assets.local.process import LocalProcess
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.local.warehouse import LocalWarehouse
from helpdesk_assets.settings import LOCAL_PROJECT, LOCAL_TOKEN, Settings

WEBHOOK_SECRET = "local-demo-secret"  # noqa: S105 - opens nothing but the demo's own receiver
_DAGSTER_VARIABLES = ("DAGSTER_HOME", "DAGSTER_IS_DEV_CLI")


@dataclass(frozen=True, slots=True)
class DemoEnvironment:
    """The helpdesk's admin side, and the addresses of the parts."""

    admin_client: AdminClient
    helpdesk_url: str
    warehouse_url: str
    webhooks_url: str


@contextmanager
def start_environment(tickets: int, start: datetime) -> Iterator[DemoEnvironment]:
    """Start helpdesk, warehouse and receiver, and stop them at the end.

    The helpdesk's clock begins at `start`, and its webhooks go to the receiver.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="helpdesk-demo-")))
        warehouse = stack.enter_context(LocalWarehouse(directory / "warehouse"))
        simulate = ("simulate", "--tickets", str(tickets), "--start", start.isoformat())
        url = stack.enter_context(_serving("The simulated helpdesk", simulate, directory))
        stack.enter_context(isolated_environment(directory, url, warehouse.endpoint))
        webhooks_url = stack.enter_context(
            _serving("The webhook receiver", ("webhooks",), directory)
        )
        admin_client = stack.enter_context(AdminClient(url))
        admin_client.send_webhooks(url=webhooks_url, secret=WEBHOOK_SECRET)
        yield DemoEnvironment(admin_client, url, warehouse.endpoint, webhooks_url)


@contextmanager
def isolated_environment(directory: Path, helpdesk_url: str, warehouse_url: str) -> Iterator[None]:
    """Set our settings to these values and defaults, whatever the shell and the user's .env say."""
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
def _serving(name: str, command: Sequence[str], directory: Path) -> Iterator[str]:
    """Run one of our commands as a process, so that its work is not counted as the sync's.

    Yields the address that it prints once it answers.
    """
    log = directory / f"{command[0]}.log"

    def announced_url() -> str | None:
        found = re.search(r"http://\S+(?=\s)", log.read_text(errors="replace"))
        return found.group() if found else None

    with LocalProcess(
        name,
        [sys.executable, "-m", "helpdesk_assets.cli", *command, "--port", "0"],
        lambda: announced_url() is not None,
        log,
        new_session=True,  # Ctrl-C is for the demo, which stops its servers in order
    ):
        yield announced_url() or ""
