"""A local server as a child process: started, waited for, and stopped.

Must not know what the server is, nor what it serves.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import requests

from helpdesk_assets.errors import RetryableError

STOP_TIMEOUT = 10.0
_LOG_TAIL = 2000


class LocalProcess:
    """A server in a child process; use it as a context manager.

    May be started again after `stop` or `kill`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        is_ready: Callable[[], bool],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
        new_session: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Describe the server; nothing is started yet.

        Args:
            name: what error messages call it.
            command: program and arguments.
            is_ready: whether it answers; a failed HTTP request counts as no.
            log: the file that its output is appended to.
            environment: the child's variables; this process's own if None.
            start_timeout: seconds until a server that does not answer is given up.
            new_session: keep Ctrl-C away from it, which goes to every process of a terminal.
            monotonic: seconds of a clock that never jumps.
            sleep: waits so many seconds.
        """
        self.log = log
        self._name = name
        self._command = command
        self._is_ready = is_ready
        self._environment = environment
        self._start_timeout = start_timeout
        self._new_session = new_session
        self._monotonic = monotonic
        self._sleep = sleep
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id; None while it does not run."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the server and return once it answers.

        Raises:
            RetryableError: it ended or stayed silent; the message has the end of its log.
        """
        if self._process is not None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own servers, no shell
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=self._new_session,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Terminate the server; kill it if it still runs after ten seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Kill the server in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = self._monotonic() + self._start_timeout
        while self._monotonic() < deadline:
            if process.poll() is not None:
                raise self._start_error(f"ended with exit code {process.returncode}")
            if self._answers():
                return
            self._sleep(0.1)
        raise self._start_error(f"did not answer within {self._start_timeout:.0f} s")

    def _answers(self) -> bool:
        try:
            return self._is_ready()
        except requests.RequestException:
            return False

    def _start_error(self, problem: str) -> RetryableError:
        tail = self.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
        return RetryableError(f"{self._name} {problem}. Its log {self.log} ends with:\n{tail}")
