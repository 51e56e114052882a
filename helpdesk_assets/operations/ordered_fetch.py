"""Fetch single tickets by id: many calls at once, the answers in the order of the ids."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from helpdesk_assets.errors import DeletionUnproven, TicketUnreadable
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.base import TicketSource

# Fetched tickets that wait for earlier ones; few, since tickets may be large.
PENDING_PER_THREAD = 2

Answer = Ticket | TicketUnreadable | DeletionUnproven | None


def fetch_in_order(
    helpdesk: TicketSource, requested: Iterable[str], concurrency: int
) -> Iterator[tuple[str, Answer]]:
    """Yield each id of `requested` with its ticket, in that order, with few tickets in memory.

    Args:
        helpdesk: where from.
        requested: the ids.
        concurrency: concurrent calls; the adapter may allow fewer.

    Returns:
        The ids, each with its ticket, the reason why it is unreadable or may exist though it is not
        found, or None if it is gone.

    Raises:
        EndpointFailed, CredentialsRefused: as `Helpdesk.ticket`.
    """
    ids = iter(requested)
    waiting: deque[tuple[str, Future[Answer]]] = deque()
    pool = ThreadPoolExecutor(concurrency, "repair")
    try:
        for ticket_id in ids:
            waiting.append((ticket_id, pool.submit(_fetch_one, helpdesk, ticket_id)))
            if len(waiting) >= PENDING_PER_THREAD * concurrency:
                yield _next_result(waiting)
        while waiting:
            yield _next_result(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _next_result(waiting: deque[tuple[str, Future[Answer]]]) -> tuple[str, Answer]:
    ticket_id, future = waiting.popleft()
    return ticket_id, future.result()


def _fetch_one(helpdesk: TicketSource, ticket_id: str) -> Answer:
    """Fetch one ticket; return an error of this one alone, which must not stop others."""
    try:
        return helpdesk.ticket(ticket_id)
    except (TicketUnreadable, DeletionUnproven) as error:
        return error
