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
from helpdesk_assets.providers.adapter import ConnectedHelpdesk
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, World, connect
from helpdesk_assets.providers.client.http import Reply
from helpdesk_assets.providers.paging.by_time import EPOCH, floor
from helpdesk_assets.providers.paging.by_token import Answer, rows_and_token, walk_tokens
from helpdesk_assets.providers.parsing.stubs import as_inventory
from helpdesk_assets.providers.parsing.tickets import Shape, TicketReader
from helpdesk_assets.providers.zendesk.account import EXPORTS, login, looks, page_size, read_left
from helpdesk_assets.providers.zendesk.export_position import Place, generated
from helpdesk_assets.settings import Settings

__all__ = ["ZendeskHelpdesk", "from_settings", "looks"]

log = logging.getLogger(__name__)

EXPORT = "/incremental/tickets/cursor.json"
TICK = timedelta(seconds=1)
# Changes of the last minute before a request are not in its answer, and no start may lie there.
LAST_MINUTE = timedelta(minutes=1)
FOUND_OR_NOT = frozenset({200, 404})
GIVEN_OR_REFUSED = frozenset({200, 400, 422})


def deleted_at(row: Mapping[str, Any]) -> str | None:
    """Deleting moves `generated_timestamp` for certain, and `updated_at` perhaps not."""
    if row.get("status") != "deleted":
        return None
    second = generated(row)
    if second is None:
        return row.get("updated_at")
    return datetime.fromtimestamp(second, UTC).isoformat()


SHAPE = Shape(
    assignee="assignee_id",
    created="created_at",
    modified="updated_at",
    deleted_at=deleted_at,
)


class ZendeskHelpdesk(ConnectedHelpdesk):
    """One account."""

    def __init__(self, connection: Connection, *, page_size: int, skip_bad: bool) -> None:
        capabilities = Capabilities(
            name="zendesk",
            page_size=page_size,
            time_resolution=TICK,
            result_cap=None,
            held_back=LAST_MINUTE + TICK,
            lists_are_whole=True,
            listing_is_stable=True,
            # Where there is no cursor: the minute counts back from the request, the Date header
            # is of the answer, and the two may be half a minute apart.
            minimum_overlap=2 * LAST_MINUTE,
            listing_is_another_way=False,
        )
        super().__init__(connection, capabilities, SHAPE, skip_bad=skip_bad)
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
        place = Place.from_text(resume) if resume else Place(cursor)
        return self._read(self._reader, start, until, place)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`: the export from its beginning, as the list of tickets leaves
        archived ones out."""
        return self.changes(None)

    def inventory(self) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`: the export, too, with ten times the rows of a page of the list.

        What changes moves to the export's end, and for a minute it is nowhere. So the export is
        read on after that.
        """
        place = Place(None)
        yield from map(as_inventory, self._read(self._sightings, EPOCH, None, place))
        minute = self._capabilities.held_back.total_seconds()
        log.info("Waiting %.0f s: until then Zendesk holds the latest changes back.", minute)
        self._sleep(minute)
        self._api.meter.waited(minute)
        yield from map(as_inventory, self._read(self._sightings, EPOCH, None, place))

    def _read(
        self, reader: TicketReader, start: datetime, until: datetime | None, place: Place
    ) -> Iterator[Page]:
        """The export behind `place`, or from `start`, up to `until`; `place` moves along."""
        end = None if until is None else utc(until).timestamp()
        for answer in walk_tokens(partial(self._exported, start, place)):
            inside = [row for row in answer.rows if not _is_past(row, end)]
            read = reader.page(inside)
            reach = answer.served_at - self._capabilities.held_back
            reach = reach if until is None else min(reach, utc(until))
            is_over = answer.next_token is None or len(inside) < len(answer.rows)
            yield Page(
                read.tickets,
                answer.served_at,
                reach,
                cursor=place.cursor,
                bad=read.bad,
                resume=place.to_text(),
                share=1.0 if is_over else place.share(reach),
            )
            if is_over:
                return

    def _one(self, ticket_id: str) -> Ticket | BadTicket | None:
        """Of a deleted ticket Zendesk says that there is none."""
        path = f"/tickets/{quote(ticket_id, safe='')}.json"
        reply = self._api.get(path, accept=FOUND_OR_NOT)
        if reply.status == 404:
            return None
        body = reply.json()
        row = body.get("ticket") if isinstance(body, dict) else None
        return self._reader.asked_for(ticket_id, row, path)

    def _exported(self, start: datetime, place: Place, token: str | None) -> Answer[Any]:
        """One page of the export; `place` is where it has come to afterwards."""
        call = partial(self._opened, start, place)
        if token is not None:
            call = partial(self._export, cursor=token)
        return self._retry(lambda: self._understood(call(), place))

    def _understood(self, reply: Reply, place: Place) -> Answer[Any]:
        """
        Raises:
            EndpointFailed: the page does not say whether it is the last, or how to go on.
        """
        body = reply.json()
        rows, after = rows_and_token(body, reply.path, "tickets", "after_cursor")
        is_last = body.get("end_of_stream")
        if not isinstance(is_last, bool) or (after is None and not is_last):
            raise EndpointFailed(
                f"The answer to GET {reply.path} does not say where the export goes on "
                '("end_of_stream", "after_cursor"). Check HELPDESK_BASE_URL and HELPDESK_PROVIDER.'
            )
        place.cursor = after or place.cursor
        for row in rows:
            place.pass_by(row)
        return Answer(tuple(rows), (), None if is_last else after, reply.served_at)

    def _opened(self, start: datetime, place: Place) -> Reply:
        """The first page: behind the cursor, or from `start` where there is none to be used.

        A window begins well before what the cursor stands for, so nothing is lost without it.
        """
        if place.cursor is not None:
            reply = self._export(GIVEN_OR_REFUSED, cursor=place.cursor)
            if reply.status == 200:
                return reply
            place.cursor = None
            log.warning(
                "Zendesk refuses the cursor that the export should go on from (%d). Reading from "
                "%s on instead.",
                reply.status,
                start.isoformat(),
            )
        reply = self._export(GIVEN_OR_REFUSED, start_time=_seconds(start))
        if reply.status == 200:
            return reply
        # Too late a start, by Zendesk's clock. If it is something else, this says so.
        latest = floor(reply.served_at, TICK) - LAST_MINUTE - TICK
        return self._export(start_time=_seconds(min(start, latest)))

    def _export(self, accept: frozenset[int] = frozenset({200}), **where: str) -> Reply:
        params = {**where, "per_page": str(self._capabilities.page_size)}
        return self._api.get(EXPORT, params, accept, lane=EXPORTS)


def from_settings(settings: Settings, world: World | None = None) -> ZendeskHelpdesk:
    """The account that the settings name.

    Raises:
        SettingsError: address, e-mail or token cannot be ones.
    """
    connection = connect(
        settings,
        login(settings),
        base_path="/api/v2",
        # There is one cursor, and nothing else to be read beside it.
        at_once=1,
        per_minute={EXPORTS: settings.zendesk_exports_per_minute},
        read_left=read_left,
        world=world,
    )
    return ZendeskHelpdesk(
        connection,
        page_size=page_size(settings),
        skip_bad=settings.helpdesk_skip_bad_tickets,
    )


def _is_past(row: Any, end: float | None) -> bool:
    second = generated(row)
    return end is not None and second is not None and second > end


def _seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))
