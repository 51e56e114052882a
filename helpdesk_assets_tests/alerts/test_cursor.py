"""The sensor's cursor as text: it loses nothing and stays short."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.alerts.cursor import CUT, MAX_INCIDENTS, SensorState, from_text, to_text
from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import LastNotice, RetryState
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets_tests.alerts.samples import BEGIN, FAILS, GAPS, WARNS, incident

FULL = SensorState(
    cursors={"RUN_SUCCESS": "abc", "RUN_FAILURE": "def"},
    incidents={
        GAPS: replace(
            incident(replace(FAILS, counts=(("missed", 3.0),), ticket_ids=("7", "ü"))),
            runs=3,
            uncovered=frozenset(("a", "b")),
            last_notice={
                "1 (json)": LastNotice(Severity.WARN, BEGIN),
                "2 (slack)": LastNotice(None, BEGIN),
            },
            retry={"3 (mailto)": RetryState(2, BEGIN)},
        ),
        "b": incident(replace(WARNS, subject="b"), over_after=timedelta(hours=2)),
    },
    refused=4,
)


def test_cursor_round_trips() -> None:
    assert from_text(to_text(FULL)) == FULL
    assert to_text(FULL) == to_text(
        replace(FULL, incidents=dict(reversed(list(FULL.incidents.items()))))
    )


@pytest.mark.parametrize(
    "text", [None, "", "null", "[]", "7", "no json", '{"version": 1}', '{"version": 2}']
)
def test_unknown_cursor_format_is_discarded(text: str | None) -> None:
    assert from_text(text) is None


def test_no_month_of_a_long_backfill_is_forgotten() -> None:
    months = frozenset(f"ticket_backfill {2000 + n // 12}-{n % 12 + 1:02}" for n in range(400))
    state = SensorState({}, {GAPS: replace(incident(), uncovered=months)})
    assert from_text(to_text(state)) == state


def test_what_the_cursor_cuts_is_never_covered() -> None:
    days = frozenset(f"an_asset {n:06}" for n in range(5000))
    read = from_text(to_text(SensorState({}, {GAPS: replace(incident(), uncovered=days)})))
    assert read is not None
    (kept,) = read.incidents.values()
    assert len(kept.uncovered) > 900
    assert kept.uncovered - days == {CUT}


def test_largest_cursor_fits_dagsters_limit() -> None:
    finding = Finding(
        "s" * 60,
        Severity.ERROR,
        "t" * 9000,
        (("n" * 900, 1.23456789e-5),) * 90,
        ("1" * 900,) * 900,
    )
    worst = replace(
        incident(finding),
        last_notice={
            name: LastNotice(Severity.ERROR, BEGIN) for name in ("1 (slack)", "2 (mailtos)")
        },
        retry={name: RetryState(9, BEGIN) for name in ("1 (slack)", "2 (mailtos)")},
        run_id="r" * 36,
        root_run_id="r" * 36,
        uncovered=frozenset(f"asset_{n}.a_check_of_it" for n in range(900)),
    )
    many = {f"{'s' * 60}{n}": worst for n in range(MAX_INCIDENTS)}
    assert len(to_text(SensorState({"RUN_SUCCESS": "c" * 64}, many)).encode()) < 65_000
