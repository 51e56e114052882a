"""What `helpdesk-assets drain` prints, and when it fails."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from helpdesk_assets.cli import drain
from helpdesk_assets.cli.commands import root
from helpdesk_assets.errors import EndpointFailed, SettingsError, WriterBusy
from helpdesk_assets.operations.drain import DrainReport
from helpdesk_assets.settings import Settings

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DONE = DrainReport(waiting=3, oldest=NOON, merged=2, not_stored=1, problems=("Ticket 7: bad",))
LEFT = DrainReport(waiting=3, oldest=NOON, merged=1, left=2, error=EndpointFailed("It is down."))


class Stopped(Exception):
    """Ends an endless command."""


def drains(monkeypatch: pytest.MonkeyPatch, *found: DrainReport | Exception) -> list[bool]:
    """Let each drain find this; return whether each looked at everything."""
    asked: list[bool] = []
    reports = iter(found)

    def drained(settings: Settings, *, everything: bool, wait: Any, **_: Any) -> DrainReport:
        asked.append(everything)
        report = next(reports)
        if isinstance(report, Exception):
            raise report
        return report

    monkeypatch.setattr(drain, "_drain", drained)
    return asked


def run(arguments: Sequence[str] = ()) -> Result:
    return CliRunner().invoke(root, ["drain", *arguments])


def test_drain_prints_what_became_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = drains(monkeypatch, DONE)
    result = run()
    assert (result.exit_code, asked) == (0, [True])
    assert "3, the oldest since 2026-11-01" in result.output
    assert "Ticket 7: bad" in result.output


def test_drain_prints_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    drains(monkeypatch, DONE)
    assert json.loads(run(["--json"]).stdout) == {
        "status": "ok",
        "waiting": 3,
        "oldest": NOON.isoformat(),
        "merged": 2,
        "unknown": 0,
        "not_stored": 1,
        "left": 0,
        "tickets_fetched": 0,
        "problems": ["Ticket 7: bad"],
    }


def test_drain_that_leaves_events_to_an_outage_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    drains(monkeypatch, LEFT)
    result = run()
    assert result.exit_code == 1
    assert "2 of 3 webhooks still wait. It is down." in result.output


def test_watching_drain_goes_on_after_failures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = drains(monkeypatch, WriterBusy("A sync writes."), LEFT, DrainReport(), DONE)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 4:
            raise Stopped

    with pytest.raises(Stopped):
        drain.drain_repeatedly(as_json=True, sleep=sleep)
    assert (asked, waited) == ([True, True, False, False], [300.0] * 4)
    printed = capsys.readouterr()
    assert [json.loads(line)["merged"] for line in printed.out.splitlines()] == [1, 2]
    assert "A sync writes. The next drain tries again." in printed.err


def test_watching_needs_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_DRAIN_SECONDS", "0")
    with pytest.raises(SettingsError, match="WEBHOOK_DRAIN_SECONDS"):
        drain.drain_repeatedly(as_json=False)


def test_sigterm_ends_a_drain_in_good_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment sends it: jobs are to be cancelled, and the right to write given back."""
    ended: list[bool] = []

    def drained(*_: Any, **__: Any) -> DrainReport:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            return DrainReport()
        finally:
            ended.append(True)

    monkeypatch.setattr(drain, "_drain", drained)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert run(["--watch"]).exit_code == 143
        assert ended == [True]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_watching_drain_remembers_other_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would never take over from one that died on another machine."""
    handed: list[Any] = []

    def drained(*_: Any, **how: Any) -> DrainReport:
        handed.append(how["sightings"])
        return DrainReport()

    def sleep(_seconds: float) -> None:
        if len(handed) == 2:
            raise Stopped

    monkeypatch.setattr(drain, "_drain", drained)
    with pytest.raises(Stopped):
        drain.drain_repeatedly(as_json=True, sleep=sleep)
    assert handed[0] is handed[1] is not None
