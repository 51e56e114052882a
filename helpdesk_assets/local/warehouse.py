"""The local stand-in for BigQuery: started here, and known to nobody else in the project.

It is bqemulator, DuckDB underneath, and has neither rights nor passwords, so it listens on
127.0.0.1 and nowhere else.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import requests

from helpdesk_assets.errors import SettingsError, WarehouseUnavailable

HOST = "127.0.0.1"
START_TIMEOUT = 90.0  # a cold start takes 4 to 9 s; a CI machine may be ten times slower
STOP_TIMEOUT = 10.0
_LOG_TAIL = 2000


@dataclass(frozen=True, slots=True)
class LocalEmulator:
    """How a stand-in is run: its module, its DuckDB extensions, arguments and environment."""

    module: str
    extensions: tuple[str, ...]
    code: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    def command(self, port: int, data_dir: Path) -> list[str]:
        values = {"port": str(port), "grpc": str(free_port()), "data": str(data_dir)}
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
    ),
)  # fmt: skip


def check_installed(emulator: LocalEmulator = BQEMULATOR) -> None:
    """
    Raises:
        SettingsError: it is not.
    """
    if importlib.util.find_spec(emulator.module) is None:
        raise SettingsError(
            "The local warehouse is not installed: pip install 'helpdesk-assets[local]'. "
            "Or set BIGQUERY_PROJECT to use the real BigQuery."
        )


def serve(port: int, data_dir: Path) -> NoReturn:
    """Become the stand-in: replaces this process, so signals and exit code are its own."""
    command, environment = _prepare(BQEMULATOR, port, data_dir)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter, no shell


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class LocalWarehouse:
    """The stand-in as a child process; use it as a context manager. May be started again on the
    same data after `stop` or `kill`."""

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        emulator: LocalEmulator = BQEMULATOR,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._data_dir = data_dir
        self._port = port or free_port()
        self._stand_in = emulator
        self._monotonic = monotonic
        self._sleep = sleep
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def log(self) -> Path:
        return self._data_dir / "warehouse.log"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and return once it answers.

        Raises:
            WarehouseUnavailable: it ended or kept silent, with the end of its log.
        """
        if self._process is not None:
            return
        command, environment = _prepare(self._stand_in, self._port, self._data_dir)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end, and insist after ten seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = self._monotonic() + START_TIMEOUT
        while self._monotonic() < deadline:
            if process.poll() is not None:
                raise self._start_error(f"ended with exit code {process.returncode}")
            if is_ready(self.endpoint):
                return
            self._sleep(0.1)
        raise self._start_error(f"did not answer within {START_TIMEOUT:.0f} s")

    def _start_error(self, problem: str) -> WarehouseUnavailable:
        tail = self.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
        return WarehouseUnavailable(
            f"The local warehouse {problem} at {self.endpoint}. Its log {self.log} ends "
            f"with:\n{tail}"
        )


def is_ready(endpoint: str) -> bool:
    """Whether a warehouse is there and takes requests."""
    try:
        url = f"{endpoint}/bigquery/v2/projects/helpdesk-local/datasets"
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _prepare(
    emulator: LocalEmulator, port: int, data_dir: Path
) -> tuple[list[str], dict[str, str]]:
    check_installed(emulator)
    data_dir.mkdir(parents=True, exist_ok=True)
    _import_extensions(emulator.extensions)
    environment = {**os.environ, **dict(emulator.environment)}
    return emulator.command(port, data_dir), environment


def _import_extensions(names: tuple[str, ...]) -> None:
    """Copy DuckDB's extensions from their wheels to where DuckDB looks for them.

    In a process of its own, because importing DuckDB here would keep its memory; under a lock,
    because two starts at once would copy over each other and leave a torn file.
    """
    script = "import sys, duckdb_extensions as d; [d.import_extension(n) for n in sys.argv[1:]]"
    lock = Path(tempfile.gettempdir()) / f"helpdesk-assets-duckdb-{os.getuid()}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-c", script, *names], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SettingsError(
            "The local warehouse lacks a DuckDB extension: pip install 'helpdesk-assets[local]' "
            f"again. {done.stderr.strip()[-300:]}"
        )
