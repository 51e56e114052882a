"""The expected ledger of scenarios that a person can follow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets_tests.chaos.expected_ledger import (
    MAY,
    MUST,
    DeliveredWebhook,
    ExpectedLedger,
    RunSpan,
)

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
GRACE = timedelta(seconds=300)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def delivered(
    version: float, at: float, order: int = 1, *, is_deletion: bool = False
) -> DeliveredWebhook:
    return DeliveredWebhook("1", after(version), is_deletion, order, after(at))


def expected_ledger(
    by_events: bool, *webhooks: DeliveredWebhook, run_spans: Iterable[RunSpan] = ()
) -> ExpectedLedger:
    return ExpectedLedger(
        GRACE, by_events, START, list(webhooks), list(run_spans), loaded_until=after(10)
    )


@pytest.mark.parametrize(
    ("webhooks", "expected"),
    [
        ((), (MUST, {"missed"})),
        ((delivered(1000, 1001),), None),
        ((delivered(1000, 1300),), None),
        ((delivered(1000, 1301),), (MUST, {"late"})),
        ((delivered(999, 1001),), (MUST, {"missed"})),
        ((delivered(1200, 1201),), None),
        ((delivered(1200, 1301),), (MUST, {"missed"})),
        ((delivered(1200, 1301), delivered(1000, 5000)), (MUST, {"late"})),
    ],
    ids=["lost", "in time", "just in time", "late", "older", "newer in time", "newer", "both"],
)
def test_expected_ledger_from_events(
    webhooks: tuple[DeliveredWebhook, ...], expected: object
) -> None:
    version = "1", after(1000)
    found = expected_ledger(True, *webhooks).expected([version], after(9000))
    assert found.get(version) == expected


def test_first_load_versions_may_be_judged() -> None:
    version = "1", after(10)
    assert expected_ledger(True).expected([version], after(9000)) == {version: (MAY, {"missed"})}


def test_nothing_is_judged_before_the_first_webhook_or_within_grace() -> None:
    assert expected_ledger(True).expected([("1", after(-1)), ("1", after(9001))], after(9000)) == {}


def test_webhook_only_change_may_be_reported() -> None:
    version = "1", after(1000)
    found = expected_ledger(True, delivered(1000, 1001)).expected([], after(9000))
    assert found == {version: (MAY, {"webhook_only"})}
    assert (
        expected_ledger(True, delivered(1000, 1001, is_deletion=True)).expected([], after(9000))
        == {}
    )


@pytest.mark.parametrize(
    ("webhooks", "began", "ended", "judged", "expected"),
    [
        ((), 2000, 2001, True, (MUST, {"missing", "stale"})),
        ((), 1100, 1101, True, (MAY, {"missing", "stale"})),
        ((), 990, 1002, True, (MAY, {"missing", "stale"})),
        ((), 2000, 2001, False, (MAY, {"missing", "stale"})),
        ((delivered(1000, 1900, order=1),), 2000, 2001, True, None),
        ((delivered(1000, 2100, order=3),), 2000, 2001, True, (MAY, {"missing", "stale"})),
    ],
    ids=[
        "lost",
        "merged while young",
        "changed meanwhile",
        "only failed runs",
        "came before the look",
        "came after",
    ],
)
def test_expected_ledger_from_the_table(
    webhooks: tuple[DeliveredWebhook, ...],
    began: float,
    ended: float,
    judged: bool,
    expected: object,
) -> None:
    version = "1", after(1000)
    paper = expected_ledger(False, *webhooks, run_spans=[RunSpan(2, after(began), after(ended))])
    if judged:
        paper.judged.add(version)
    assert paper.expected([version], after(9000)).get(version) == expected
