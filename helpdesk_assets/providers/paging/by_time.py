"""Pages through a window by time, so that concurrent changes lose no ticket.

In most helpdesks page tokens are offsets: a ticket that changes during paging leaves its position,
the rest shift by one, and the next page skips one old ticket for good. Measured on 2,000 tickets
with 105 changes: 77 lost. This pager requests a first page every time, ascending by modified time
and starting at the last time seen, inclusive. A first page is a snapshot: it holds every row from
its start to its last row as of one moment. A ticket that changes moves to a later time, which is
still ahead of the pager. So at each point every ticket last modified before the pager's position
has been seen, and later changes come later in this window or in the next one.

The same holds for spans of a window that are read in parallel, in any order: a ticket that leaves
a span before it is read has changed after the window was opened. For the same reason a resumed
call need not reread the spans that an interrupted call has read.

A first page makes no progress only if one tick of the helpdesk's clock fills a whole page. Then
the pager uses tokens within that tick and repeats until two passes in a row are identical. A
ticket that leaves the tick makes a pass skip another one; but the leaving ticket is in that pass
and not in the next, so the two differ and a third follows.

A vendor's result cap cannot cut the result: one tick would have to reach it.

Knows tickets and their times. The caller supplies the function that fetches a page.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import BadTicket, Page, Ticket, utc
from helpdesk_assets.providers.paging.by_token import ListPage, pages_by_token
from helpdesk_assets.providers.paging.coverage import Coverage
from helpdesk_assets.providers.paging.parallel import read_parallel
from helpdesk_assets.providers.paging.work_split import Span, WorkSplit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# An open window needs an end that depends on no clock, neither ours nor the helpdesk's: a ticket
# dated 2099 by mistake must be read too.
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
MAX_PASSES = 10

Key = tuple[str, str] | BadTicket
FetchPage = Callable[[datetime, datetime, str | None], ListPage[Ticket]]


def floor(moment: datetime, tick: timedelta) -> datetime:
    """Return the beginning of the tick that contains the moment."""
    return moment - (moment - EPOCH) % tick


def _modified(ticket: Ticket) -> datetime:
    return ticket.modified_time


@dataclass(frozen=True, slots=True)
class _Pass:
    """The result of one pass by tokens: the tick's rows, and the tick of the first later row."""

    keys: tuple[Key, ...]
    next_tick: datetime | None


@dataclass(frozen=True, slots=True)
class _Step:
    """One page, and the span `[start, end)` that is completely read with it."""

    page: Page
    start: datetime
    end: datetime


class TimePager:
    """Pages through windows by time."""

    def __init__(
        self,
        fetch: FetchPage,
        *,
        tick: timedelta,
        settle_delay: timedelta,
        listing_delay: timedelta,
        concurrency: int = 1,
        time_of: Callable[[Ticket], datetime] = _modified,
        follow_new: bool = False,
        clock_lead: Callable[[], timedelta] = timedelta,
    ) -> None:
        """Configure the pager for one helpdesk.

        Args:
            fetch: `fetch(start, end, token)` requests one page of `[start, end]`; it may be called
                from any thread.
            tick: the resolution of the helpdesk's modified times.
            settle_delay: how far `Page.until` stays behind the helpdesk's clock.
            listing_delay: a resumed call rereads changes this close before the window was opened:
                a lagging index may have missed them, and the next window's overlap would not reach
                back to them.
            concurrency: spans of a long window that are read in parallel.
            time_of: the sort key, if not the modified time.
            follow_new: also read changes made during paging, up to a page without a next one; for
                short windows and a single reader.
            clock_lead: see `Helpdesk.clock_lead`; a resumed call rereads what lies within it.
        """
        self._fetch = fetch
        self._tick = tick
        self._settle_delay = settle_delay
        self._concurrency = concurrency
        self._time_of = time_of
        self._listing_delay = listing_delay
        self._follow_new = follow_new
        self._clock_lead = clock_lead

    def pages(
        self, since: datetime | None, until: datetime | None, resume: str | None = None
    ) -> Iterator[Page]:
        """Yield every ticket last modified in `[since, until]`; see `Helpdesk.changes`.

        Args:
            since: start of the window, inclusive; None starts at 1970.
            until: end of the window, inclusive; None leaves it open.
            resume: `Page.resume` of an interrupted call.

        Raises:
            EndpointFailed: rows came out of order, or one tick kept changing through `MAX_PASSES`.
        """
        start = floor(EPOCH if since is None else utc(since), self._tick)
        requested_until = None if until is None else utc(until)
        coverage = Coverage.from_text(resume) if resume else Coverage()
        pager = _WindowPager(
            self._fetch,
            self._tick,
            self._settle_delay,
            requested_until,
            self._time_of,
            follow_new=self._follow_new,
        )
        gaps = list(
            coverage.gaps(start, END_OF_TIME if requested_until is None else requested_until)
        )
        work_split = WorkSplit(
            (Span(begin, end, last=(begin, end) == gaps[-1]) for begin, end in gaps),
            tick=self._tick,
            opened_at=lambda: pager.opened_at,
        )
        for step in read_parallel(
            work_split, partial(pager.steps, work_split=work_split), self._concurrency
        ):
            if coverage.oldest is None and step.page.tickets:
                coverage.oldest = min(map(self._time_of, step.page.tickets))
            # Changes after the page's `until` may still be missing.
            until = floor(step.page.until - self._clock_lead(), self._tick)
            coverage.add(step.start, min(step.end, until))
            resume = coverage.to_text(before=until - self._listing_delay)
            yield replace(step.page, resume=resume, share=coverage.share(start, until))


class _WindowPager:
    """Reads one window; its readers share it. `opened_at` is the clock of the first answer."""

    def __init__(
        self,
        fetch: FetchPage,
        tick: timedelta,
        settle_delay: timedelta,
        until: datetime | None,
        time_of: Callable[[Ticket], datetime],
        *,
        follow_new: bool,
    ) -> None:
        self._fetch = fetch
        self._tick = tick
        self._settle_delay = settle_delay
        self._until = until
        self._time_of = time_of
        self._follow_new = follow_new
        self.opened_at: datetime | None = None

    def steps(self, span: Span, work_split: WorkSplit) -> Iterator[_Step]:
        """Read one span to its end, which another reader may move meanwhile."""
        seen_at_edge: set[Key] = set()
        has_more = True
        while has_more:
            start, end = span.position, span.end
            answer = self._fetch(start, end, None)
            # The first answer arrives while there is only one reader.
            opened_at = self.opened_at = self.opened_at or answer.served_at
            last = self._last_tick(answer, start)
            page = self._page(answer, seen_at_edge)
            # Rows dated between the opening and now are concurrent changes, left to the next run:
            # following them would never end on a busy helpdesk. Rows dated later than now (2099,
            # or a clock set back) are not, and their number is finite.
            is_new = last is not None and opened_at < last <= answer.served_at
            if answer.next_token is None or (is_new and not self._follow_new):
                yield _Step(page, start, end)
                return
            yield _Step(page, start, last or start)
            seen_at_edge = {_key(row) for row in answer.rows if self._floor(row) == last}
            seen_at_edge.update(answer.bad)
            if last is not None and last > start:
                density = 1 / (last - start).total_seconds()
                has_more = work_split.advance(span, last, density)
            else:
                if last is not None:
                    work_split.advance(span, start, 1 / self._tick.total_seconds())
                next_start = yield from self._by_tokens(
                    start, end, seen_at_edge, within_tick=last is not None
                )
                seen_at_edge = set()
                has_more = next_start is not None and work_split.advance(span, next_start, None)

    def _by_tokens(
        self, start: datetime, end: datetime, seen: set[Key], *, within_tick: bool
    ) -> Generator[_Step, None, datetime | None]:
        """Repeat passes by tokens until two in a row are identical.

        Args:
            start: the tick at which a first page makes no progress.
            end: end of the span.
            seen: keys of the rows that are already yielded.
            within_tick: one tick fills the page, so only that tick is requested, up to the
                beginning of the next one, as times may be finer than the window's bounds. If
                False, the page had a token but no row with a time, and the rows are further on.

        Returns:
            Where paging continues, None at the end of the window.

        Raises:
            EndpointFailed: the rows still change after `MAX_PASSES` passes.
        """
        stop = min(end, start + self._tick) if within_tick else end
        before: _Pass | None = None
        for _ in range(MAX_PASSES):
            this = yield from self._pass(start, stop, seen)
            if this == before:
                next_start = start + self._tick if within_tick else this.next_tick
                return next_start if next_start is not None and next_start <= end else None
            before = this
        raise EndpointFailed(
            f"The tickets modified at {start.isoformat()} fill more than one page and kept "
            f"changing through {MAX_PASSES} passes, so no pass is known to be complete. Try "
            "again later."
        )

    def _pass(
        self, start: datetime, stop: datetime, seen: set[Key]
    ) -> Generator[_Step, None, _Pass]:
        keys: list[Key] = []
        for answer in pages_by_token(partial(self._fetch, start, stop)):
            last = self._last_tick(answer, start)
            within = replace(
                answer, rows=tuple(row for row in answer.rows if self._floor(row) == start)
            )
            yield _Step(self._page(within, seen), start, start)
            page_keys: list[Key] = [*map(_key, within.rows), *answer.bad]
            seen.update(page_keys)
            keys += page_keys
            if last is not None and last > start:
                ticks = map(self._floor, answer.rows)
                return _Pass(tuple(keys), next(tick for tick in ticks if tick > start))
        return _Pass(tuple(keys), None)

    def _last_tick(self, answer: ListPage[Ticket], start: datetime) -> datetime | None:
        """Return the tick of the last row, None without rows.

        Raises:
            EndpointFailed: rows do not ascend from `start`; continuing would skip unsorted rows.
        """
        last = start
        for row in answer.rows:
            tick = self._floor(row)
            if tick < last:
                raise EndpointFailed(
                    f"Ticket {row.ticket_id}, dated {self._time_of(row).isoformat()}, came "
                    f"after {last.isoformat()}: the change endpoint does not keep to the window "
                    "and the order of the request."
                )
            last = tick
        return last if answer.rows else None

    def _page(self, answer: ListPage[Ticket], seen: Set[Key]) -> Page:
        """Return the answer without rows already seen, which the inclusive start repeats."""
        fresh = {_key(row): row for row in answer.rows if _key(row) not in seen}
        covered_until = (self.opened_at or answer.served_at) - self._settle_delay
        return Page(
            tickets=tuple(fresh.values()),
            served_at=answer.served_at,
            until=covered_until if self._until is None else min(self._until, covered_until),
            bad=tuple(bad for bad in answer.bad if bad not in seen),
        )

    def _floor(self, ticket: Ticket) -> datetime:
        return floor(self._time_of(ticket), self._tick)


def _key(ticket: Ticket) -> Key:
    return ticket.ticket_id, ticket.content_hash
