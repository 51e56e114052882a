"""The chart is an image that the UI's Markdown renders, and shows the numbers."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import date
from xml.etree import ElementTree

from helpdesk_assets.defs import webhook_chart
from helpdesk_assets.model.webhooks import WebhookDay

DAYS = (
    WebhookDay(date(2026, 11, 1), delivered=90, late=10, missed=10),
    WebhookDay(date(2026, 11, 3), delivered=50, late=0, missed=0),
)


def bars(days: tuple[WebhookDay, ...]) -> list[tuple[str, float]]:
    """Return color and height of each bar."""
    root = ElementTree.fromstring(webhook_chart.chart_svg(days))  # noqa: S314 - our own
    titled = [each for each in root.iter() if len(each) and each.tag.endswith("rect")]
    return [(each.attrib["fill"], float(each.attrib["height"])) for each in titled]


def test_image_is_a_data_url() -> None:
    found = re.fullmatch(
        r"!\[changes by day\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)",
        webhook_chart.chart_markdown(DAYS),
    )
    assert found is not None
    assert b64decode(found[1]).decode() == webhook_chart.chart_svg(DAYS)


def test_bar_heights_follow_the_counts() -> None:
    heights = bars(DAYS)
    assert [colour for colour, _ in heights] == [
        webhook_chart.IN_TIME,
        webhook_chart.LATE,
        webhook_chart.MISSED,
        webhook_chart.IN_TIME,
    ]
    in_time, late, missed, next_day = (height for _, height in heights)
    assert in_time == 8 * late == 8 * missed
    assert round(next_day / in_time, 2) == round(50 / 80, 2)


def test_single_missed_update_is_visible_among_thousands() -> None:
    (_, whole), (colour, height) = bars((WebhookDay(date(2026, 11, 1), 90_000, 0, 1),))
    assert colour == webhook_chart.MISSED
    assert (height, whole > 100) == (2.0, True)


def test_a_year_fits_the_event_log() -> None:
    days = tuple(
        WebhookDay(date.fromordinal(date(2026, 1, 1).toordinal() + n), 900, 50, 9)
        for n in range(366)
    )
    assert len(webhook_chart.chart_markdown(days)) < 250_000


def test_no_changes_give_no_chart() -> None:
    assert webhook_chart.chart_markdown(()) == "no changes yet"
    assert (
        webhook_chart.chart_markdown((WebhookDay(date(2026, 11, 1), 0, 0, 0),)) == "no changes yet"
    )
