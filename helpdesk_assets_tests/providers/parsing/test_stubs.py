"""A stub is parsed from the same row as a ticket, but has only its id and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import TicketUnreadable
from helpdesk_assets.model.tickets import BadTicket, InventoryEntry, InventoryPage, Page, Ticket
from helpdesk_assets.providers.paging.by_time import TimePager
from helpdesk_assets.providers.paging.by_token import ListPage
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.stubs import StubReader, to_inventory_page
from helpdesk_assets.providers.parsing.tickets import TicketReader

TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STRICT = StubReader(FieldMap(), skip_bad=False)
LENIENT = StubReader(FieldMap(), skip_bad=True)


def row(ticket_id: Any = "1", **fields: Any) -> dict[str, Any]:
    return {"id": ticket_id, "modifiedTime": "2026-11-23T10:00:00Z", "subject": "s", **fields}


def test_stub_has_the_tickets_id_and_times() -> None:
    given = row(createdTime="2026-11-01T08:00:00Z", deletedTime="2026-11-23T10:00:00Z")
    (seen,) = STRICT.page([given]).tickets
    (whole,) = TicketReader(FieldMap(), skip_bad=False).page([given]).tickets
    for name in ("ticket_id", "created_time", "modified_time", "deleted_time"):
        assert getattr(seen, name) == getattr(whole, name)
    assert (seen.subject, seen.raw_json) == (None, "")


@pytest.mark.parametrize("bad", [row(None), row(modifiedTime=None), row(modifiedTime="noon"), "x"])
def test_invalid_row_gives_no_stub(bad: Any) -> None:
    with pytest.raises(TicketUnreadable) as refused:
        STRICT.page([bad])
    with pytest.raises(TicketUnreadable) as of_tickets:
        TicketReader(FieldMap(), skip_bad=False).page([bad])
    assert str(refused.value) == str(of_tickets.value)
    read = LENIENT.page([row("2"), bad])
    assert [seen.ticket_id for seen in read.tickets] == ["2"]
    assert len(read.bad) == 1


def test_other_fields_of_the_row_are_not_validated() -> None:
    deep: Any = None
    for _ in range(100_000):
        deep = [deep]
    assert STRICT.page([row(body=deep)]).tickets


def test_ticket_changed_at_a_page_boundary_is_seen_again() -> None:
    """Paging drops repeated rows; here the same id appears with a later time."""
    later = {"modifiedTime": "2026-11-23T10:00:30Z"}
    pages = [[row("1"), row("2")], [row("2", **later)]]

    def fetch(start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
        read = STRICT.page(pages.pop(0))
        return ListPage(read.tickets, (), "more" if pages else None, TEN + 60 * SECOND)

    walk = TimePager(fetch, tick=60 * SECOND, settle_delay=SECOND, listing_delay=0 * SECOND)
    seen = [each for page in walk.pages(TEN - 60 * SECOND, None) for each in page.tickets]
    assert [(each.ticket_id, each.modified_time) for each in seen] == [
        ("1", TEN),
        ("2", TEN),
        ("2", TEN + 30 * SECOND),
    ]


def test_stub_page_becomes_an_inventory_page() -> None:
    read = LENIENT.page([row("1"), row("2", deletedTime="2026-11-23T09:00:00Z")])
    page = Page(read.tickets, TEN, TEN - SECOND, bad=(BadTicket("3", "modifiedTime", "is absent"),))
    assert to_inventory_page(page, total=3) == InventoryPage(
        entries=(InventoryEntry("1", TEN), InventoryEntry("2", TEN, gone=True)),
        served_at=TEN,
        total=3,
        unreadable=("3",),
    )
