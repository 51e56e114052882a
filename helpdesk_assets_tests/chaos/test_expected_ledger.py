"""What the model on paper says of stories that a person can follow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets_tests.chaos.expected_ledger import MAY, MUST, Book, Brought, Look

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
GRACE = timedelta(seconds=300)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def brought(version: float, at: float, order: int = 1, *, is_end: bool = False) -> Brought:
    return Brought("1", after(version), is_end, order, after(at))


def book(by_events: bool, *webhooks: Brought, looks: Iterable[Look] = ()) -> Book:
    return Book(GRACE, by_events, START, list(webhooks), list(looks), loaded_until=after(10))


@pytest.mark.parametrize(
    ("webhooks", "expected"),
    [
        ((), (MUST, {"missed"})),
        ((brought(1000, 1001),), None),
        ((brought(1000, 1300),), None),
        ((brought(1000, 1301),), (MUST, {"late"})),
        ((brought(999, 1001),), (MUST, {"missed"})),
        ((brought(1200, 1201),), None),
        ((brought(1200, 1301),), (MUST, {"missed"})),
        ((brought(1200, 1301), brought(1000, 5000)), (MUST, {"late"})),
    ],
    ids=["lost", "in time", "just in time", "late", "older", "newer in time", "newer", "both"],
)
def test_by_events(webhooks: tuple[Brought, ...], expected: object) -> None:
    version = "1", after(1000)
    found = book(True, *webhooks).expected([version], after(9000))
    assert found.get(version) == expected


def test_what_the_first_load_brought_may_be_judged() -> None:
    version = "1", after(10)
    assert book(True).expected([version], after(9000)) == {version: (MAY, {"missed"})}


def test_nothing_is_judged_from_before_the_first_webhook_or_while_one_may_come() -> None:
    assert book(True).expected([("1", after(-1)), ("1", after(9001))], after(9000)) == {}


def test_what_polling_never_gave_may_be_told_by_its_webhook() -> None:
    version = "1", after(1000)
    found = book(True, brought(1000, 1001)).expected([], after(9000))
    assert found == {version: (MAY, {"webhook_only"})}
    assert book(True, brought(1000, 1001, is_end=True)).expected([], after(9000)) == {}


@pytest.mark.parametrize(
    ("webhooks", "began", "ended", "judged", "expected"),
    [
        ((), 2000, 2001, True, (MUST, {"missing", "stale"})),
        ((), 1100, 1101, True, (MAY, {"missing", "stale"})),
        ((), 990, 1002, True, (MAY, {"missing", "stale"})),
        ((), 2000, 2001, False, (MAY, {"missing", "stale"})),
        ((brought(1000, 1900, order=1),), 2000, 2001, True, None),
        ((brought(1000, 2100, order=3),), 2000, 2001, True, (MAY, {"missing", "stale"})),
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
def test_by_the_table(
    webhooks: tuple[Brought, ...], began: float, ended: float, judged: bool, expected: object
) -> None:
    version = "1", after(1000)
    paper = book(False, *webhooks, looks=[Look(2, after(began), after(ended))])
    if judged:
        paper.judged.add(version)
    assert paper.expected([version], after(9000)).get(version) == expected
