"""Slow tests must be marked `slow`; a strict run fails if one is not."""

from __future__ import annotations

import pytest

QUICK_SECONDS = 5.0


class StrictDurations:
    """A pytest plugin that checks the duration of every test."""

    def __init__(self, factor: float) -> None:
        """Create the plugin; `factor` is how much slower than an idle machine this one may be."""
        self._most = QUICK_SECONDS * factor
        self._long: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.duration > self._most and "slow" not in report.keywords:
            self._long.append(f"{report.duration:.1f} s  {report.nodeid}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._long and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._long:
            terminalreporter.section(f"longer than {self._most:g} s and not marked slow", red=True)
            terminalreporter.write("".join(f"{line}\n" for line in self._long))
