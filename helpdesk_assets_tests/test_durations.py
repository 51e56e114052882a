from __future__ import annotations

from typing import Literal
from unittest import mock

import pytest

from helpdesk_assets_tests.durations import StrictDurations


def case(
    name: str, seconds: float, *marks: str, when: Literal["setup", "call"] = "call"
) -> pytest.TestReport:
    return pytest.TestReport(
        name, ("", 0, name), dict.fromkeys(marks, 1), "passed", None, when, duration=seconds
    )


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (case("quick", 9.9), pytest.ExitCode.OK),
        (case("marked", 10.1, "slow"), pytest.ExitCode.OK),
        (case("its fixtures", 10.1, when="setup"), pytest.ExitCode.OK),
        (case("unmarked", 10.1, "warehouse"), pytest.ExitCode.TESTS_FAILED),
    ],
    ids=lambda told: getattr(told, "nodeid", ""),
)
def test_a_long_case_without_the_mark_fails_a_strict_run(
    told: pytest.TestReport, status: pytest.ExitCode
) -> None:
    strict = StrictDurations(2.0)
    session = mock.Mock(spec=pytest.Session, exitstatus=pytest.ExitCode.OK)
    terminal = mock.Mock(spec=pytest.TerminalReporter)
    strict.pytest_runtest_logreport(told)
    strict.pytest_sessionfinish(session)
    strict.pytest_terminal_summary(terminal)

    assert session.exitstatus == status
    assert terminal.write.called == (status != pytest.ExitCode.OK)
