from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from helpdesk_assets.cli.progress import FetchProgressBar, FetchProgressLog, fetch_progress
from helpdesk_assets.extract.progress import Progress

NOW = datetime.now(UTC)


def bars() -> Bars:
    return Bars(console=Console(file=StringIO()), disable=True)


def test_bar_shows_the_share_of_the_window_read() -> None:
    shown = bars()
    bar = FetchProgressBar(shown)

    bar.on_page(Progress(100, 1, NOW - timedelta(hours=4), share=0.25))
    bar.on_page(Progress(200, 2, NOW - timedelta(hours=1), share=0.75))

    (task,) = shown.tasks
    assert task.percentage == 75
    assert task.fields["note"].startswith("200 tickets in 2 pages, 75% of the window, up")


def test_unknown_share_shows_no_total() -> None:
    shown = bars()
    bar = FetchProgressBar(shown)

    bar.on_page(Progress(100, 1, NOW))
    bar.on_page(Progress(200, 3, None))

    (task,) = shown.tasks
    assert task.total is None
    assert task.fields["note"] == "200 tickets in 3 pages"


def test_log_gets_a_line_every_half_minute_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = iter([0.0, 10.0, 31.0, 31.0, 40.0, 62.0, 62.0])
    lines = FetchProgressLog(monotonic=lambda: next(now))

    for page in range(1, 5):
        lines.on_page(Progress(100 * page, page, NOW))

    assert capsys.readouterr().err == "200 tickets in 2 pages\n400 tickets in 4 pages\n"


def test_phases_are_named() -> None:
    shown = bars()
    bar = FetchProgressBar(shown)

    bar.on_phase("fetch")

    assert shown.tasks[0].description == "storing versions"


def test_no_bar_without_a_terminal() -> None:
    with fetch_progress() as watcher:
        watcher.on_page(Progress(1, 1, NOW))
        watcher.on_phase("fetch")

    assert not isinstance(watcher, FetchProgressBar)
