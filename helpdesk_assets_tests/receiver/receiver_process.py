"""Receivers for tests: in a thread, which the test can inspect, or in a process, as for users."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from starlette.applications import Starlette

from helpdesk_assets.http_server import Server, listen
from helpdesk_assets.receiver.server import configure
from helpdesk_assets.settings import Settings


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve an application in a thread; gives its address."""
    with listen("127.0.0.1", 0) as listener:
        server = Server(configure(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            thread.join()


class ReceiverProcess:
    """`helpdesk-assets webhooks` with its own environment; stopped by the test or with it."""

    def __init__(self, directory: Path, environment: Mapping[str, str], *arguments: str) -> None:
        theirs = {name.upper() for name in Settings.model_fields}
        kept = {name: value for name, value in os.environ.items() if name.upper() not in theirs}
        command = [sys.executable, "-m", "helpdesk_assets.cli", "webhooks", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *arguments],
            env={**kept, **environment},
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline() + self.process.stdout.readline()
        found = re.search(r"http://[0-9.:]+", said)
        self.url = found.group() if found else ""

    def ended(self) -> tuple[int, str]:
        """Wait for the end; returns the exit code and stderr."""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def __enter__(self) -> ReceiverProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """Return the settings of the dependencies as environment variables."""
    return {
        "HELPDESK_PROVIDER": settings.helpdesk_provider,
        "HELPDESK_BASE_URL": settings.helpdesk_base_url,
        "HELPDESK_API_TOKEN": settings.helpdesk_api_token.get_secret_value(),
        "BIGQUERY_PROJECT": settings.bigquery_project,
        "BIGQUERY_DATASET": settings.bigquery_dataset,
        "BIGQUERY_EMULATOR_HOST": settings.bigquery_emulator_host,
        "WEBHOOK_SECRETS": settings.webhook_secrets.get_secret_value(),
        **more,
    }
