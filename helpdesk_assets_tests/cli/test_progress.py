from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

from rich.console import Console
from rich.progress import Progress as Bars

from helpdesk_assets.cli.progress import FetchBar, watching
from helpdesk_assets.sync.fetch import Progress

NOW = datetime.now(UTC)


def bars() -> Bars:
    return Bars(console=Console(file=StringIO()), disable=True)


def test_shows_how_far_between_the_first_time_and_now() -> None:
    shown = bars()
    bar = FetchBar(shown)

    bar.on_page(Progress(100, 1, NOW - timedelta(hours=4)))
    bar.on_page(Progress(200, 2, NOW - timedelta(hours=1)))

    (task,) = shown.tasks
    assert 74 < task.percentage <= 75
    assert task.fields["note"].startswith("200 tickets in 2 pages, up to ")


def test_a_listing_goes_backwards_and_its_end_is_unknown() -> None:
    shown = bars()
    bar = FetchBar(shown)

    bar.on_page(Progress(100, 1, NOW))
    bar.on_page(Progress(200, 2, NOW - timedelta(hours=1)))
    bar.on_page(Progress(200, 3, None))

    (task,) = shown.tasks
    assert task.total is None
    assert task.fields["note"] == "200 tickets in 3 pages"


def test_phases_are_named() -> None:
    shown = bars()
    bar = FetchBar(shown)

    bar.on_phase("fetch")

    assert shown.tasks[0].description == "storing versions"


def test_no_bar_without_a_terminal() -> None:
    with watching() as watcher:
        watcher.on_page(Progress(1, 1, NOW))
        watcher.on_phase("fetch")

    assert not isinstance(watcher, FetchBar)
