"""Numbers and times of headers, in each form that is seen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from helpdesk_assets.providers.client.header_values import (
    parse_count,
    parse_http_date,
    parse_reset,
    parse_wait,
    retry_after,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
HALF_A_MINUTE_ON = int(NOW.timestamp()) + 30


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("50", 50),
        ("50.0", 50),
        (" 7 ", 7),
        ("7.9", 7),
        ("0", 0),
        ("0.0", 0),
        ("-1", None),
        ("-1.0", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("9" * 5000, None),
        ("many", None),
        ("", None),
        (None, None),
    ],
)
def test_counts_of_calls_are_read(text: str | None, count: int | None) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("1.5", 1.5),
        ("50.0", 50),
        ("0", 0),
        ("-3", 0),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0),
        ("2026-11-23T10:00:30Z", 30),
        ("2026-11-23T11:00:30+01:00", 30),
        ("2026-11-23 10:00:30", 30),
        (str(HALF_A_MINUTE_ON), 30),
        (f"{HALF_A_MINUTE_ON}.0", 30),
        (f"{HALF_A_MINUTE_ON}000", 30),
        (str(HALF_A_MINUTE_ON - 60), 0),
        ("9999-12-31T23:59:59Z", 251_606_872_799),
        ("9" * 5000, None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_waits_are_read_in_every_form(text: str | None, seconds: float | None) -> None:
    assert parse_wait(text, NOW) == seconds


@pytest.mark.parametrize("text", [str(HALF_A_MINUTE_ON), "2026-11-23T10:00:30Z", DATE])
def test_times_need_the_clock_that_they_refer_to(text: str) -> None:
    assert parse_wait(text, None) is None
    assert parse_reset({"Reset": text}, "Reset") is None
    assert parse_reset({"Reset": text, "Date": DATE}, "Reset") is not None


@pytest.mark.parametrize("text", ["0", "0.0", "-1", DATE, "2026-11-23T09:00:00Z", "soon", None])
def test_retry_after_without_a_wait_is_none(text: str | None) -> None:
    assert retry_after({} if text is None else {"Retry-After": text}, NOW) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (DATE, NOW),
        ("Mon, 23 Nov 2026 10:00:00 -0000", NOW),
        ("Mon, 23 Nov 2026 11:00:00 +0100", NOW),
        ("yesterday", None),
        ("Mon, 99 Nov 2026 10:00:00 GMT", None),
        (None, None),
    ],
)
def test_http_dates_are_parsed(text: str | None, moment: datetime | None) -> None:
    assert parse_http_date(text) == moment
