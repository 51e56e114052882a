"""The adapter `zendesk`: Zendesk Support, by its incremental export.

    GET /api/v2/incremental/tickets/cursor.json?start_time=SECONDS&per_page=1000
    GET /api/v2/incremental/tickets/cursor.json?cursor=CURSOR&per_page=1000
    GET /api/v2/tickets/{id}.json

The export is both the change endpoint and the full listing: it alone tells of archived and deleted
tickets. It filters and orders by `generated_timestamp`, which system changes move and `updated_at`
(the modified time) does not follow. Its cursor is a place in that order, so a ticket that changes
while one pages comes once more, later, and pushes no other out of a page. The cursor of one run is
where the next one starts: a start taken from a clock would skip what lay in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket, utc
from helpdesk_assets.providers.adapter import BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.client.http import Reply
from helpdesk_assets.providers.paging.by_time import EPOCH, floor
from helpdesk_assets.providers.paging.by_token import ListPage, pages_by_token, rows_and_token
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.parsing.tickets import FieldMap, TicketReader
from helpdesk_assets.providers.zendesk.account import (
    EXPORT_SCOPE,
    describe_settings,
    make_auth,
    page_size,
    parse_rate_limit,
)
from helpdesk_assets.providers.zendesk.export_position import ExportPosition, generated_second
from helpdesk_assets.settings import Settings

__all__ = ["ZendeskAdapter", "describe_settings", "from_settings"]

log = logging.getLogger(__name__)

EXPORT_PATH = "/incremental/tickets/cursor.json"
TICK = timedelta(seconds=1)
# Changes of the last minute before a request are not in its answer, and no start may lie there.
EXPORT_DELAY = timedelta(minutes=1)
OK_OR_NOT_FOUND = frozenset({200, 404})
OK_OR_REJECTED = frozenset({200, 400, 422})


def deleted_at(row: Mapping[str, Any]) -> str | None:
    """Deleting moves `generated_timestamp` for certain, and `updated_at` perhaps not."""
    if row.get("status") != "deleted":
        return None
    second = generated_second(row)
    if second is None:
        return row.get("updated_at")
    return datetime.fromtimestamp(second, UTC).isoformat()


FIELD_MAP = FieldMap(
    assignee="assignee_id",
    created="created_at",
    modified="updated_at",
    deleted_at=deleted_at,
)


class ZendeskAdapter(BaseAdapter):
    """One account."""

    def __init__(self, connection: Connection, *, page_size: int, skip_bad: bool) -> None:
        capabilities = Capabilities(
            name="zendesk",
            page_size=page_size,
            time_resolution=TICK,
            result_cap=None,
            settle_delay=EXPORT_DELAY + TICK,
            list_rows_are_complete=True,
            listing_is_stable=True,
            # Where there is no cursor: the minute counts back from the request, the Date header
            # is of the answer, and the two may be half a minute apart.
            minimum_overlap=2 * EXPORT_DELAY,
            listing_is_independent=False,
        )
        super().__init__(connection, capabilities, FIELD_MAP, skip_bad=skip_bad)
        self._sleep = connection.sleep

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`. Failed calls are retried, since the listing is the same endpoint.

        Each page's `until` is what the export covers if it ends there, so the last one's counts.
        The export has no upper end: a window that has one is left once rows are past it.
        """
        start = floor(EPOCH if since is None else max(EPOCH, utc(since)), TICK)
        position = ExportPosition.from_text(resume) if resume else ExportPosition(cursor)
        return self._export_pages(self._reader, start, until, position)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`: the export from its beginning, as the list of tickets leaves
        archived ones out."""
        return self.changes(None)

    def inventory(self) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`: the export, too, with ten times the rows of a page of the list.

        What changes moves to the export's end, and for a minute it is nowhere. So the export is
        read on after that.
        """
        position = ExportPosition(None)
        yield from map(
            to_inventory_page, self._export_pages(self._stub_reader, EPOCH, None, position)
        )
        minute = self._capabilities.settle_delay.total_seconds()
        log.info("Waiting %.0f s: until then Zendesk holds the latest changes back.", minute)
        self._sleep(minute)
        self._api.usage_counter.record_wait(minute)
        yield from map(
            to_inventory_page, self._export_pages(self._stub_reader, EPOCH, None, position)
        )

    def _export_pages(
        self,
        reader: TicketReader,
        start: datetime,
        until: datetime | None,
        position: ExportPosition,
    ) -> Iterator[Page]:
        """The export behind `position`, or from `start`, up to `until`; `position` moves along."""
        end = None if until is None else utc(until).timestamp()
        for answer in pages_by_token(partial(self._export_page, start, position)):
            in_window = [row for row in answer.rows if not _is_past(row, end)]
            read = reader.page(in_window)
            covered_until = answer.served_at - self._capabilities.settle_delay
            covered_until = covered_until if until is None else min(covered_until, utc(until))
            reached_end = answer.next_token is None or len(in_window) < len(answer.rows)
            yield Page(
                read.tickets,
                answer.served_at,
                covered_until,
                cursor=position.cursor,
                bad=read.bad,
                resume=position.to_text(),
                share=1.0 if reached_end else position.share(covered_until),
            )
            if reached_end:
                return

    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        """Of a deleted ticket Zendesk says that there is none."""
        path = f"/tickets/{quote(ticket_id, safe='')}.json"
        reply = self._api.get(path, accept=OK_OR_NOT_FOUND)
        if reply.status == 404:
            return None
        body = reply.json()
        row = body.get("ticket") if isinstance(body, dict) else None
        return self._reader.requested_ticket(ticket_id, row, path)

    def _export_page(
        self, start: datetime, position: ExportPosition, token: str | None
    ) -> ListPage[Any]:
        """One page of the export; `position` is where it has come to afterwards."""
        call = partial(self._first_page, start, position)
        if token is not None:
            call = partial(self._export, cursor=token)
        return self._retry(lambda: self._parse_export(call(), position))

    def _parse_export(self, reply: Reply, position: ExportPosition) -> ListPage[Any]:
        """
        Raises:
            EndpointFailed: the page does not say whether it is the last, or how to go on.
        """
        body = reply.json()
        rows, next_cursor = rows_and_token(body, reply.path, "tickets", "after_cursor")
        is_last = body.get("end_of_stream")
        if not isinstance(is_last, bool) or (next_cursor is None and not is_last):
            raise EndpointFailed(
                f"The answer to GET {reply.path} does not say where the export goes on "
                '("end_of_stream", "after_cursor"). Check HELPDESK_BASE_URL and HELPDESK_PROVIDER.'
            )
        position.cursor = next_cursor or position.cursor
        for row in rows:
            position.advance(row)
        return ListPage(tuple(rows), (), None if is_last else next_cursor, reply.served_at)

    def _first_page(self, start: datetime, position: ExportPosition) -> Reply:
        """The first page: behind the cursor, or from `start` where there is none to be used.

        A window begins well before what the cursor stands for, so nothing is lost without it.
        """
        if position.cursor is not None:
            reply = self._export(OK_OR_REJECTED, cursor=position.cursor)
            if reply.status == 200:
                return reply
            position.cursor = None
            log.warning(
                "Zendesk refuses the cursor that the export should go on from (%d). Reading from "
                "%s on instead.",
                reply.status,
                start.isoformat(),
            )
        reply = self._export(OK_OR_REJECTED, start_time=_seconds(start))
        if reply.status == 200:
            return reply
        # Too late a start, by Zendesk's clock. If it is something else, this says so.
        latest = floor(reply.served_at, TICK) - EXPORT_DELAY - TICK
        return self._export(start_time=_seconds(min(start, latest)))

    def _export(self, accept: frozenset[int] = frozenset({200}), **start_at: str) -> Reply:
        params = {**start_at, "per_page": str(self._capabilities.page_size)}
        return self._api.get(EXPORT_PATH, params, accept, scope=EXPORT_SCOPE)


def from_settings(settings: Settings, runtime: Runtime | None = None) -> ZendeskAdapter:
    """The account that the settings name.

    Raises:
        SettingsError: address, e-mail or token cannot be ones.
    """
    connection = connect(
        settings,
        make_auth(settings),
        base_path="/api/v2",
        # There is one cursor, and nothing else to be read beside it.
        concurrency=1,
        per_minute={EXPORT_SCOPE: settings.zendesk_exports_per_minute},
        parse_rate_limit=parse_rate_limit,
        runtime=runtime,
    )
    return ZendeskAdapter(
        connection,
        page_size=page_size(settings),
        skip_bad=settings.helpdesk_skip_bad_tickets,
    )


def _is_past(row: Any, end: float | None) -> bool:
    second = generated_second(row)
    return end is not None and second is not None and second > end


def _seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))
