"""How errors end: one line and an exit code, with a traceback only on request."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner, Result

from helpdesk_assets.cli.root import Root, verbose_option
from helpdesk_assets.errors import HelpdeskAssetsError, SettingsError


def ended_by(error: BaseException, *arguments: str) -> Result:
    @click.group(cls=Root)
    @verbose_option
    def group() -> None:
        pass

    @group.command()
    @verbose_option
    def fail() -> None:
        raise error

    return CliRunner().invoke(group, arguments or ["fail"])


@pytest.mark.parametrize("error", [SettingsError("wrong,\n  twice"), HelpdeskAssetsError("x")])
def test_expected_errors_are_one_line(error: HelpdeskAssetsError) -> None:
    result = ended_by(error)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == f"Error: {' '.join(str(error).split())}\n"


def test_unexpected_error_is_one_line_with_a_hint() -> None:
    result = ended_by(KeyError("lost"))

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "KeyError: 'lost'" in result.stderr
    assert "--verbose" in result.stderr


@pytest.mark.parametrize("arguments", [("-v", "fail"), ("fail", "--verbose")])
def test_verbose_shows_the_traceback_of_unexpected_errors(arguments: tuple[str, ...]) -> None:
    bug = KeyError("lost")

    assert ended_by(bug, *arguments).exception is bug


def test_expected_errors_have_no_traceback_with_verbose() -> None:
    result = ended_by(SettingsError("wrong"), "fail", "-v")

    assert (result.exit_code, result.stderr) == (1, "Error: wrong\n")


def test_ctrl_c_exits_with_130_silently() -> None:
    result = ended_by(KeyboardInterrupt())

    assert (result.exit_code, result.output) == (130, "")


def test_usage_errors_exit_with_2() -> None:
    assert ended_by(KeyError(), "fail", "--nonsense").exit_code == 2
    assert ended_by(KeyError(), "nonsense").exit_code == 2
