"""Fetches pages of Zendesk's incremental export.

Sources: developer.zendesk.com, /api-reference/ticketing/ticket-management/incremental_exports/ and
/documentation/ticketing/managing-tickets/using-the-incremental-export-api. Must not know tickets.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.client.errors import AnswerTooLarge, CallTimedOut
from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.paging.by_token import ListPage, rows_and_token
from helpdesk_assets.providers.zendesk.account import EXPORT_SCOPE, EXPORT_TIMEOUT_SECONDS
from helpdesk_assets.providers.zendesk.export_position import ExportPosition
from helpdesk_assets.providers.zendesk.page_size import PageSize

log = logging.getLogger(__name__)

EXPORT_PATH = "/incremental/tickets/cursor.json"
TICK = timedelta(seconds=1)
# An answer leaves out the last minute before the request, and no start time may lie in it.
EXPORT_DELAY = timedelta(minutes=1)
# A start that is too recent is a 400 `StartTimeTooRecent` or a 422 `InvalidValue`, also as text.
OK_OR_REJECTED = frozenset({200, 400, 422})


class TicketExport:
    """The export of one account; remembers how large a page may be."""

    def __init__(self, connection: Connection, *, page_size: int, support_type_scope: str) -> None:
        """Set up the export, without a call.

        Args:
            connection: the account's API and policies.
            page_size: the most rows per page.
            support_type_scope: whose tickets: `all`, `agent` or `ai_agent`.
        """
        self._api = connection.api
        self._retry = connection.retry
        self._page_size = PageSize(page_size)
        self._support_type_scope = support_type_scope

    def page(self, start: datetime, position: ExportPosition, token: str | None) -> ListPage[Any]:
        """Fetch one page, with retries, and advance `position` past it.

        Args:
            start: where the export begins without a cursor.
            position: the position of this read.
            token: the cursor of the page; None for the first.

        Raises:
            EndpointFailed: no page came, or it does not say whether it is the last, or where the
                next begins.
        """
        call = partial(self._first_page, start, position)
        if token is not None:
            call = partial(self._get, cursor=token)
        return self._retry(lambda: _parse_page(call(), position))

    def _first_page(self, start: datetime, position: ExportPosition) -> Reply:
        """Fetch the first page: from the cursor, or from `start` if no cursor can be used.

        The window begins well before the cursor's position, so nothing is lost without it.
        """
        if position.cursor is not None:
            reply = self._get(OK_OR_REJECTED, cursor=position.cursor)
            if reply.status == 200:
                return reply
            position.cursor = None
            log.warning(
                "Zendesk rejects the cursor of the previous run (%d). Reading the export from %s "
                "instead.",
                reply.status,
                start.isoformat(),
            )
        reply = self._get(OK_OR_REJECTED, start_time=_seconds(start))
        if reply.status == 200:
            return reply
        # The start is probably too late by Zendesk's clock. If not, the next call raises the error.
        latest = floor(reply.served_at, TICK) - EXPORT_DELAY - TICK
        return self._get(start_time=_seconds(min(start, latest)))

    def _get(self, accept: frozenset[int] = frozenset({200}), **start_at: str) -> Reply:
        """Fetch one page, with fewer tickets after each time-out or too large answer.

        A gateway's time-out may also come from a short trouble that has nothing to do with the
        page, so it is waited out a little before each smaller page. Only the last time-out, of a
        page of one ticket, is left to the retries.
        """
        while True:
            params = {
                **start_at,
                "per_page": str(self._page_size.current),
                "support_type_scope": self._support_type_scope,
            }
            try:
                reply = self._api.get(
                    EXPORT_PATH, params, accept, scope=EXPORT_SCOPE, timeout=EXPORT_TIMEOUT_SECONDS
                )
            except (CallTimedOut, AnswerTooLarge) as error:
                # A token request that times out says nothing about the page.
                if error.call != f"GET {EXPORT_PATH}" or not self._page_size.shrink():
                    raise
                log.warning("%s Asking for %d at once now.", error, self._page_size.current)
                self._retry.pause(self._page_size.shrinks_in_a_row)
            else:
                if reply.status == 200:
                    self._page_size.record_page()
                return reply


def _parse_page(reply: Reply, position: ExportPosition) -> ListPage[Any]:
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


def _seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))
