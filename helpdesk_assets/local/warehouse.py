"""The local stand-in for BigQuery: how it is installed, started and stopped.

It is bqemulator, with DuckDB underneath. It has no access rights and no passwords, so it listens on
127.0.0.1 only.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

import platformdirs

from helpdesk_assets.answer_deadline import get_once
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.local.process import LocalProcess

HOST = "127.0.0.1"
# Settings derive the address of gRPC from that of REST: see `settings.grpc_address`.
GRPC_OFFSET = 10
START_TIMEOUT = 90.0  # a cold start takes 4 to 9 s; a CI machine may be ten times slower


@dataclass(frozen=True, slots=True)
class LocalEmulator:
    """How to run a stand-in.

    Attributes:
        module: what has to be installed.
        extensions: DuckDB extensions that it needs.
        code: Python that starts it.
        arguments: its command line; {port}, {grpc} and {data} are filled in.
        environment: variables that it needs besides this process's.
    """

    module: str
    extensions: tuple[str, ...]
    code: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def environ(self) -> dict[str, str]:
        """All variables of its process."""
        return {**os.environ, **dict(self.environment)}

    def command(self, port: int, data_dir: Path) -> list[str]:
        """Program and arguments, on that port, with gRPC ten ports above it."""
        values = {"port": str(port), "grpc": str(port + GRPC_OFFSET), "data": str(data_dir)}
        arguments = [argument.format(**values) for argument in self.arguments]
        return [sys.executable, "-c", self.code, *arguments]


BQEMULATOR = LocalEmulator(
    module="bqemulator",
    extensions=("spatial",),
    code="from helpdesk_assets.local.bqemulator import main; main()",
    # In memory it grows to 6 GB within 30 MERGEs into 52,000 rows; on disk it stays below 1 GB.
    arguments=(
        "start", "--rest-host", HOST, "--rest-port", "{port}", "--grpc-host", HOST,
        "--grpc-port", "{grpc}", "--persistent", "--data-dir", "{data}", "--log-level", "error",
    ),
    environment=(
        # It would download another extension at start.
        ("BQEMU_ENABLE_FORMAT_EXTENSIONS", "false"),
        # The most that it takes; its default is a first load of 250,000 tickets.
        ("BQEMU_UPLOAD_MAX_BYTES", str(10 << 30)),
    ),
)  # fmt: skip


def check_installed(emulator: LocalEmulator = BQEMULATOR) -> None:
    """Check that the stand-in is installed.

    Raises:
        SettingsError: it is not.
    """
    if importlib.util.find_spec(emulator.module) is None:
        raise SettingsError(
            "The local warehouse is not installed. Run pip install '.[local]' in a clone of this "
            "project, or set BIGQUERY_PROJECT to use the real BigQuery."
        )


def serve(port: int, data_dir: Path) -> NoReturn:
    """Replace this process with the stand-in, so that signals and exit code are its own."""
    _prepare(BQEMULATOR, data_dir)
    command = BQEMULATOR.command(port, data_dir)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, BQEMULATOR.environ)  # noqa: S606 - our own interpreter, no shell


def free_port() -> int:
    """A port of this machine that nothing listens on, nor on the one for gRPC above it."""
    while True:
        with socket.socket() as rest, socket.socket() as grpc:
            rest.bind((HOST, 0))
            port = int(rest.getsockname()[1])
            with suppress(OSError, OverflowError):
                grpc.bind((HOST, port + GRPC_OFFSET))
                return port


class LocalWarehouse(LocalProcess):
    """The stand-in as a child process; started again, it has the same data."""

    def __init__(
        self,
        data_dir: Path,
        *,
        emulator: LocalEmulator = BQEMULATOR,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        port = free_port()
        self.endpoint = f"http://{HOST}:{port}"
        self._data_dir = data_dir
        self._emulator = emulator
        super().__init__(
            f"The local warehouse at {self.endpoint}",
            emulator.command(port, data_dir),
            lambda: is_ready(self.endpoint),
            data_dir / "warehouse.log",
            environment=emulator.environ,
            start_timeout=START_TIMEOUT,
            monotonic=monotonic,
            sleep=sleep,
        )

    def start(self) -> None:
        """Start the stand-in and return once it answers.

        Raises:
            RetryableError: it ended or stayed silent; the message has the end of its log.
            SettingsError: it is not installed, or lacks a DuckDB extension.
        """
        _prepare(self._emulator, self._data_dir)
        super().start()


def is_ready(endpoint: str) -> bool:
    """Whether a warehouse listens at that address and answers."""
    try:
        url = f"{endpoint}/bigquery/v2/projects/helpdesk-local/datasets"
        return get_once(url, timeout=5, deadline=10).status < HTTPStatus.BAD_REQUEST
    except OSError:
        return False


def _prepare(emulator: LocalEmulator, data_dir: Path) -> None:
    check_installed(emulator)
    data_dir.mkdir(parents=True, exist_ok=True)
    _import_extensions(emulator.extensions)


@contextmanager
def _start_lock() -> Iterator[None]:
    """Hold a lock in this user's cache folder, where nobody else can put a link."""
    folder = platformdirs.user_cache_path("helpdesk-assets", appauthor=False)
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        held = os.open(folder / "duckdb.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        # Without a home, DuckDB's own folder cannot be written either.
        yield
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _import_extensions(names: tuple[str, ...]) -> None:
    """Copy DuckDB's extensions from their wheels to where DuckDB looks for them.

    A separate process does it, because importing DuckDB here would keep its memory. A lock guards
    it, because two starts at once would overwrite each other's files and leave a torn one.
    """
    script = "import sys, duckdb_extensions as d; [d.import_extension(n) for n in sys.argv[1:]]"
    with _start_lock():
        done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-c", script, *names], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SettingsError(
            "The local warehouse lacks a DuckDB extension. Run pip install "
            f"'.[local]' again. {done.stderr.strip()[-300:]}"
        )
