"""The adapter `zendesk`: Zendesk Support through its incremental export.

    GET /api/v2/incremental/tickets/cursor.json?start_time=SECONDS&per_page=…&support_type_scope=…
    GET /api/v2/incremental/tickets/cursor.json?cursor=CURSOR&per_page=…&support_type_scope=…
    GET /api/v2/tickets/{id}.json

The export is both the change endpoint and the full listing: only it includes archived and deleted
tickets. It filters and sorts by `generated_timestamp`, which also moves on system changes that
leave `updated_at` (the modified time) as it is. Its cursor is a position in that order, so a ticket
that changes during paging comes again later and pushes no other across a page boundary. Each run
starts at the cursor of the previous one: a start time from a clock would skip the changes in
between. Without `support_type_scope`, tickets that only AI agents handle are silently left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket, utc
from helpdesk_assets.providers.adapter import BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.auth import Auth
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.client.oauth import OAuthLogin
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets.providers.paging.by_time import EPOCH, floor
from helpdesk_assets.providers.paging.by_token import pages_by_token
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.zendesk.account import (
    EXPORT_SCOPE,
    describe_settings,
    export_timeout,
    make_auth,
    page_size,
    parse_rate_limit,
)
from helpdesk_assets.providers.zendesk.export import EXPORT_DELAY, TICK, TicketExport
from helpdesk_assets.providers.zendesk.export_position import ExportPosition, generated_second
from helpdesk_assets.providers.zendesk.refusals import check_is_about_ticket, error_parser
from helpdesk_assets.settings import Settings

__all__ = ["ZendeskAdapter", "describe_settings", "from_settings"]

log = logging.getLogger(__name__)

MAPPING_VERSION = 1  # see `Capabilities.mapping_version`
OK_OR_NOT_FOUND = frozenset({200, 404})


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

    def __init__(self, connection: Connection, auth: Auth, settings: Settings) -> None:
        """Set up the adapter.

        Args:
            connection: the account's API and policies.
            auth: the login, closed with the adapter.
            settings: how much is requested, and which tickets.
        """
        capabilities = Capabilities(
            name="zendesk",
            page_size=page_size(settings),
            time_resolution=TICK,
            result_cap=None,
            settle_delay=EXPORT_DELAY + TICK,
            list_rows_are_complete=True,
            listing_is_stable=True,
            # For runs without a cursor: the minute counts back from the request, but the Date
            # header is of the answer, which may be awaited for as long as the timeout.
            minimum_overlap=EXPORT_DELAY + export_timeout(settings),
            listing_is_independent=False,
            mapping_version=MAPPING_VERSION,
        )
        skip_bad = settings.helpdesk_skip_bad_tickets
        super().__init__(connection, capabilities, FIELD_MAP, skip_bad=skip_bad)
        self._auth = auth
        self._sleep = connection.sleep
        self._export = TicketExport(
            connection,
            page_size=capabilities.page_size,
            support_type_scope=settings.zendesk_tickets,
        )

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
        # A warning, as only those are shown without --verbose: a silent minute looks like a hang.
        log.warning("Waiting %.0f s, until the export shows the latest changes.", minute)
        self._sleep(minute)
        self._api.usage_counter.record_wait(minute)
        yield from map(
            to_inventory_page, self._export_pages(self._stub_reader, EPOCH, None, position)
        )

    def close(self) -> None:
        """See `Helpdesk.close`."""
        super().close()
        if isinstance(self._auth, OAuthLogin):
            self._auth.close()

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
        for answer in pages_by_token(partial(self._export.page, start, position)):
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
        if not (ticket_id.isascii() and ticket_id.isdecimal()):
            # Another path than a ticket's, to which a 404 says nothing about one.
            return None
        path = f"/tickets/{ticket_id}.json"
        reply = self._api.get(path, accept=OK_OR_NOT_FOUND)
        if reply.status == 404:
            check_is_about_ticket(reply)
            return None
        body = reply.json()
        row = body.get("ticket") if isinstance(body, dict) else None
        return self._reader.requested_ticket(ticket_id, row, path)


def from_settings(settings: Settings, runtime: Runtime | None = None) -> ZendeskAdapter:
    """Create the adapter for the account that the settings name.

    Raises:
        SettingsError: the address, the client, the e-mail address or the token is invalid.
    """
    runtime, usage_counter = runtime or Runtime(), UsageCounter()
    auth = make_auth(settings, usage_counter, runtime)
    connection = connect(
        settings,
        auth,
        base_path="/api/v2",
        # The export has one cursor, so its pages cannot be read in parallel.
        concurrency=1,
        per_minute={EXPORT_SCOPE: settings.zendesk_exports_per_minute},
        parse_rate_limit=parse_rate_limit,
        parse_error=error_parser(auth),
        usage_counter=usage_counter,
        runtime=runtime,
    )
    return ZendeskAdapter(connection, auth, settings)


def _is_past(row: Any, end: float | None) -> bool:
    second = generated_second(row)
    return end is not None and second is not None and second > end
