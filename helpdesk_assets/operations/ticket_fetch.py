"""Fetch the tickets that events only name: each once, within a budget of calls and time.

What goes wrong with one ticket must not keep the others waiting, and an outage must not hold up
whoever drains. So nothing is raised: what was not fetched is said, and waits for the next drain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpdesk_assets.errors import (
    DataRefused,
    DeletionUnproven,
    EndpointFailed,
    HelpdeskAssetsError,
    TicketForbidden,
)
from helpdesk_assets.model.webhook_events import ReadTicket
from helpdesk_assets.providers.base import Helpdesk

# So many failed calls in a row, and none in between that was answered, are an outage.
OUTAGE_AFTER = 5


@dataclass(frozen=True, slots=True)
class Absent:
    """The helpdesk has no ticket with this id."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The helpdesk has the ticket, and it cannot be stored as it is, or may not be seen."""

    reason: str
    is_forbidden: bool = False


Answer = ReadTicket | Absent | Unreadable


class TicketFetch:
    """The fetches of one drain. After an outage or a refusal it fetches no more."""

    def __init__(
        self,
        helpdesk: Helpdesk,
        *,
        concurrency: int,
        most: int,
        longest: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up; nothing is called yet.

        Args:
            helpdesk: where from.
            concurrency: concurrent calls; the adapter may allow fewer.
            most: tickets in all.
            longest: time for all of them; a call that takes longer is left to end by itself.
            now: this machine's clock, where the helpdesk gives no time.
            monotonic: seconds of a clock that never jumps.
        """
        self._helpdesk = helpdesk
        self._concurrency = concurrency
        self._most = most
        self._seconds = longest.total_seconds()
        self._now = now
        self._monotonic = monotonic
        self._failures = 0
        self.fetched = 0
        self.error: HelpdeskAssetsError | None = None
        self._has_stopped = False

    def fetch(self, ticket_ids: Iterable[str]) -> dict[str, Answer]:
        """Fetch each ticket, and return the answers; a ticket without one still waits.

        A fetch begins after its events have arrived, so it answers for all of them.
        """
        ids = iter(dict.fromkeys(ticket_ids))
        answers: dict[str, Answer] = {}
        running: dict[Future[Answer], str] = {}
        pool = ThreadPoolExecutor(self._concurrency, "drain-fetch")
        began = self._monotonic()
        try:
            while self._start_more(pool, ids, running, began) or running:
                left = max(0.0, self._seconds - (self._monotonic() - began))
                done, _ = wait(running, timeout=left, return_when=FIRST_COMPLETED)
                if not done:
                    self._has_stopped = True
                    break
                for future in done:
                    self._take(future, running.pop(future), answers)
        finally:
            self._seconds -= self._monotonic() - began
            pool.shutdown(wait=False, cancel_futures=True)
        return self._confirmed(answers)

    def _confirmed(self, answers: dict[str, Answer]) -> dict[str, Answer]:
        """Return the answers, without the forbidden tickets if the account has lost its rights."""
        forbidden = {
            ticket_id
            for ticket_id, answer in answers.items()
            if isinstance(answer, Unreadable) and answer.is_forbidden
        }
        if not forbidden:
            return answers
        try:
            self._helpdesk.confirm_rights()
        except HelpdeskAssetsError as error:
            self.error = self.error or error
            self._has_stopped = True
            return {each: answers[each] for each in answers.keys() - forbidden}
        return answers

    def _start_more(
        self,
        pool: ThreadPoolExecutor,
        ids: Iterable[str],
        running: dict[Future[Answer], str],
        began: float,
    ) -> bool:
        """Start as many calls as may run at once; return whether any runs."""
        for _ in range(self._concurrency - len(running)):
            is_late = self._monotonic() - began >= self._seconds
            if self._has_stopped or is_late or self.fetched + len(running) >= self._most:
                break
            ticket_id = next(iter(ids), None)
            if ticket_id is None:
                break
            running[pool.submit(self._fetch_one, ticket_id)] = ticket_id
        return bool(running)

    def _fetch_one(self, ticket_id: str) -> Answer:
        """Fetch one ticket, with the helpdesk's clock at its answer.

        The clock is read in the thread of the call: a later reading would count the ticket as read
        later than it was, and could undo a deletion in between.
        """
        try:
            ticket = self._helpdesk.ticket(ticket_id)
        except DataRefused as error:
            return Unreadable(str(error), isinstance(error, TicketForbidden))
        except DeletionUnproven:
            # To a hint it is the same: no answer to its id proves a deletion there.
            return Absent()
        if ticket is None:
            return Absent()
        return ReadTicket(ticket, self._helpdesk.served_at or self._now())

    def _take(self, future: Future[Answer], ticket_id: str, answers: dict[str, Answer]) -> None:
        try:
            answers[ticket_id] = future.result()
        except HelpdeskAssetsError as error:
            self.error = self.error or error
            self._failures += 1
            # Of one ticket, or of the endpoint; anything else is of the account and stays.
            is_of_one = isinstance(error, EndpointFailed)
            if not is_of_one or self._failures >= OUTAGE_AFTER:
                self._has_stopped = True
            return
        self.fetched += 1
        self._failures = 0
