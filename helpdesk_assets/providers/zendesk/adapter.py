"""The adapter `zendesk`: Zendesk Support through its incremental export.

    GET /api/v2/incremental/tickets/cursor.json?start_time=SECONDS&per_page=1000
    GET /api/v2/incremental/tickets/cursor.json?cursor=CURSOR&per_page=1000
    GET /api/v2/tickets/{id}.json

The export is both the change endpoint and the full listing: only it includes archived and deleted
tickets. It filters and sorts by `generated_timestamp`, which also moves on system changes that
leave `updated_at` (the modified time) as it is. Its cursor is a position in that order, so a ticket
that changes during paging comes again later and pushes no other across a page boundary. Each run
starts at the cursor of the previous one: a start time from a clock would skip the changes in
between.
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
from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.providers.paging.by_time import EPOCH, floor
from helpdesk_assets.providers.paging.by_token import ListPage, pages_by_token, rows_and_token
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.parsing.tickets import TicketReader
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
MAPPING_VERSION = 1  # see `Capabilities.mapping_version`
TICK = timedelta(seconds=1)
# An answer leaves out the last minute before the request, and no start time may lie in it.
EXPORT_DELAY = timedelta(minutes=1)
OK_OR_NOT_FOUND = frozenset({200, 404})
OK_OR_REJECTED = frozenset({200, 400, 422})


def deleted_at(row: Mapping[str, Any]) -> str | None:
    """Return when a ticket was deleted, by `generated_timestamp`; None for a live ticket.

    A deletion always moves `generated_timestamp`, but may leave `updated_at` as it is.
    """
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
    """One Zendesk account."""

    def __init__(self, connection: Connection, *, page_size: int, skip_bad: bool) -> None:
        """Set up the adapter.

        Args:
            connection: the account's API and policies.
            page_size: rows requested per page of the export.
            skip_bad: report unreadable tickets in `Page.bad` instead of raising.
        """
        capabilities = Capabilities(
            name="zendesk",
            page_size=page_size,
            time_resolution=TICK,
            result_cap=None,
            settle_delay=EXPORT_DELAY + TICK,
            list_rows_are_complete=True,
            listing_is_stable=True,
            # For runs without a cursor: the minute counts back from the request, but the Date
            # header is of the answer, and the two may be half a minute apart.
            minimum_overlap=2 * EXPORT_DELAY,
            listing_is_independent=False,
            mapping_version=MAPPING_VERSION,
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

        Each page's `until` is what the export covers if it ends there, so the last page's counts.
        The export has no upper bound: a bounded window ends at the first row beyond it.
        """
        start = floor(EPOCH if since is None else max(EPOCH, utc(since)), TICK)
        position = ExportPosition.from_text(resume) if resume else ExportPosition(cursor)
        return self._export_pages(self._reader, start, until, position)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`.

        It reads the export from its beginning, as the list of tickets leaves out archived ones.
        """
        return self.changes(None)

    def inventory(self, resume: str | None = None) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`.

        It reads the export, whose pages have ten times the rows of the list's. A ticket that
        changes moves to the export's end and is absent for a minute, so the export is read further
        after that minute.
        """
        position = ExportPosition.from_text(resume) if resume else ExportPosition(None)
        yield from map(
            to_inventory_page, self._export_pages(self._stub_reader, EPOCH, None, position)
        )
        minute = self._capabilities.settle_delay.total_seconds()
        log.info("Waiting %.0f s, until the export shows the latest changes.", minute)
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
        """Yield the export from `position`, or else from `start`, up to `until`.

        `position` advances with each page.
        """
        end = None if until is None else utc(until).timestamp()
        for answer in pages_by_token(partial(self._export_page, start, position)):
            in_window = [row for row in answer.rows if not _is_past(row, end)]
            parsed = reader.page(in_window)
            covered_until = answer.served_at - self._capabilities.settle_delay
            covered_until = covered_until if until is None else min(covered_until, utc(until))
            reached_end = answer.next_token is None or len(in_window) < len(answer.rows)
            yield Page(
                parsed.tickets,
                answer.served_at,
                covered_until,
                cursor=position.cursor,
                bad=parsed.bad,
                resume=position.to_text(),
                share=1.0 if reached_end else position.share(covered_until),
            )
            if reached_end:
                return

    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        """See `BaseAdapter._fetch_ticket`; Zendesk answers 404 for a deleted ticket."""
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
        """Fetch one page of the export and advance `position` past it."""
        call = partial(self._first_page, start, position)
        if token is not None:
            call = partial(self._export, cursor=token)
        return self._retry(lambda: self._parse_export(call(), position))

    def _parse_export(self, reply: Reply, position: ExportPosition) -> ListPage[Any]:
        """Read one page of the export and advance `position` past it.

        Raises:
            EndpointFailed: the page does not say whether it is the last, or where the next begins.
        """
        body = reply.json()
        rows, next_cursor = rows_and_token(body, reply.path, "tickets", "after_cursor")
        is_last = body.get("end_of_stream")
        if not isinstance(is_last, bool) or (next_cursor is None and not is_last):
            raise EndpointFailed(
                f"The answer to GET {reply.path} does not say where the export continues "
                '("end_of_stream", "after_cursor"). Check HELPDESK_BASE_URL and HELPDESK_PROVIDER.'
            )
        position.cursor = next_cursor or position.cursor
        for row in rows:
            position.advance(row)
        return ListPage(tuple(rows), (), None if is_last else next_cursor, reply.served_at)

    def _first_page(self, start: datetime, position: ExportPosition) -> Reply:
        """Fetch the first page: from the cursor, or from `start` if no cursor can be used.

        The window begins well before the cursor's position, so nothing is lost without it.
        """
        if position.cursor is not None:
            reply = self._export(OK_OR_REJECTED, cursor=position.cursor)
            if reply.status == 200:
                return reply
            position.cursor = None
            log.warning(
                "Zendesk rejects the cursor of the previous run (%d). Reading the export from %s "
                "instead.",
                reply.status,
                start.isoformat(),
            )
        reply = self._export(OK_OR_REJECTED, start_time=_seconds(start))
        if reply.status == 200:
            return reply
        # The start is probably too late by Zendesk's clock. If not, the next call raises the error.
        latest = floor(reply.served_at, TICK) - EXPORT_DELAY - TICK
        return self._export(start_time=_seconds(min(start, latest)))

    def _export(self, accept: frozenset[int] = frozenset({200}), **start_at: str) -> Reply:
        params = {**start_at, "per_page": str(self._capabilities.page_size)}
        return self._api.get(EXPORT_PATH, params, accept, scope=EXPORT_SCOPE)


def from_settings(settings: Settings, runtime: Runtime | None = None) -> ZendeskAdapter:
    """Create the adapter for the account that the settings name.

    Raises:
        SettingsError: the address, the e-mail address or the token is invalid.
    """
    connection = connect(
        settings,
        make_auth(settings),
        base_path="/api/v2",
        # The export has one cursor, so its pages cannot be read in parallel.
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
