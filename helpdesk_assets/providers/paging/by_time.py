"""Walk a window by time, so that no ticket is lost however many change meanwhile.

Page tokens are offsets underneath in most helpdesks: a ticket that changes while one pages leaves
its place, the rest shift by one, and the next page skips one old ticket for good. Measured on
2,000 tickets with 105 changes: 77 lost. This walk asks for a first page every time: ascending by
modified time, it starts at the last time it has seen, inclusive. A first page is a snapshot: it
holds every row from its start up to its last row as they were at that moment. A ticket that
changes moves to a later time, which is still ahead of the walk. So at each point everything that
was last modified before the walk's start has been seen, and what has changed since then comes
later in this walk or in the next window.

The same holds for each stretch of a window that is read beside others, in whatever order: what
leaves a stretch before it is read has been changed after the window was opened. That is also why a
stretch once read need not be read again by a walk that goes on where another was interrupted.

Only where one tick of the helpdesk's clock fills a whole page can a first page not get further.
There, and only there, tokens are used, within that tick, again and again until two passes in a row
are identical. A ticket that leaves the tick makes a pass skip another one; but it was in that
pass and is not in the next, so the two differ, and a third is made.

No result cap of a vendor can cut a walk: it would have to be met within one tick.

Knows tickets and their times; how a page is asked for is handed in.
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
# An open window needs an end that no clock decides, neither ours nor the helpdesk's: a ticket dated
# 2099 by mistake is a ticket too.
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
MAX_PASSES = 10

Key = tuple[str, str] | BadTicket
FetchPage = Callable[[datetime, datetime, str | None], ListPage[Ticket]]


def floor(moment: datetime, tick: timedelta) -> datetime:
    """The beginning of the tick that the moment is in."""
    return moment - (moment - EPOCH) % tick


def _modified(ticket: Ticket) -> datetime:
    return ticket.modified_time


@dataclass(frozen=True, slots=True)
class _Pass:
    """What one pass by tokens saw: the rows of the tick, and the tick of the first row after it."""

    keys: tuple[Key, ...]
    next_tick: datetime | None


@dataclass(frozen=True, slots=True)
class _Step:
    """One page, and the stretch `[start, end)` that is read whole with it."""

    page: Page
    start: datetime
    end: datetime


class TimePager:
    """Walks over windows. `fetch(start, end, token)` asks for `[start, end]`, from any thread."""

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
    ) -> None:
        """`listing_delay`: what changed so shortly before a window was opened is read once more by
        a walk that goes on, since an index that lags may not have had it, and the next window's
        overlap would not reach back to it. `concurrency`: how many stretches of a long window are
        read side by side. `time_of`: the time that `fetch` goes by, where that is another one; what
        is said here of the modified time is then true of it. `follow_new`: changes made meanwhile
        are read as well, up to a page without a next one; for short windows and one reader."""
        self._fetch = fetch
        self._tick = tick
        self._settle_delay = settle_delay
        self._concurrency = concurrency
        self._time_of = time_of
        self._settled_after = listing_delay
        self._follow_new = follow_new

    def pages(
        self, since: datetime | None, until: datetime | None, resume: str | None = None
    ) -> Iterator[Page]:
        """Every ticket last modified in `[since, until]`; see `Helpdesk.changes`.

        Raises:
            EndpointFailed: rows came out of order, or one tick would not hold still.
        """
        start = floor(EPOCH if since is None else utc(since), self._tick)
        requested_until = None if until is None else utc(until)
        read = Coverage.from_text(resume) if resume else Coverage()
        pager = _WindowPager(
            self._fetch,
            self._tick,
            self._settle_delay,
            requested_until,
            self._time_of,
            follow_new=self._follow_new,
        )
        gaps = list(read.gaps(start, END_OF_TIME if requested_until is None else requested_until))
        work_split = WorkSplit(
            (Span(begin, end, last=(begin, end) == gaps[-1]) for begin, end in gaps),
            tick=self._tick,
            opened_at=lambda: pager.opened_at,
        )
        for step in read_parallel(
            work_split, partial(pager.steps, work_split=work_split), self._concurrency
        ):
            if read.oldest is None and step.page.tickets:
                read.oldest = min(map(self._time_of, step.page.tickets))
            # What the window is not open to yet may still change.
            until = floor(step.page.until, self._tick)
            read.add(step.start, min(step.end, until))
            resume = read.to_text(before=until - self._settled_after)
            yield replace(step.page, resume=resume, share=read.share(start, until))


class _WindowPager:
    """One walk over one window, shared by its readers. `opened_at`: the first answer's clock."""

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
        """One stretch from its beginning to its end, wherever that is by then."""
        seen_at_edge: set[Key] = set()
        has_more = True
        while has_more:
            start, end = span.position, span.end
            answer = self._fetch(start, end, None)
            # The first answer comes to one reader alone, before there are others.
            opened_at = self.opened_at = self.opened_at or answer.served_at
            last = self._last_tick(answer, start)
            page = self._page(answer, seen_at_edge)
            # Rows dated between the opening and now are changes made meanwhile, the next run's:
            # chasing them would never end on a busy helpdesk. Rows dated later than now are not
            # (2099, or a clock set back), and there is an end to them.
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
        """Where a first page gets no further: passes by tokens until two are alike. Returns where
        the walk goes on, None at the end of the window.

        `within_tick`: one tick fills the page, and nothing but this tick is asked for. Its end is
        the beginning of the next tick, as times may be finer than the window's ends can be.
        Otherwise the page had a token but no row with a time, and the rows are further on.
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
            f"changing through {MAX_PASSES} passes, so none of them is known to be whole. Try "
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
        """The tick of the last row, None without rows.

        Raises:
            EndpointFailed: rows do not ascend from `start`; walking on would skip what was not
                sorted in.
        """
        last = start
        for row in answer.rows:
            tick = self._floor(row)
            if tick < last:
                raise EndpointFailed(
                    f"Ticket {row.ticket_id}, dated {self._time_of(row).isoformat()}, came "
                    f"after {last.isoformat()}: the change endpoint does not keep to the window "
                    "and the order that it was asked for."
                )
            last = tick
        return last if answer.rows else None

    def _page(self, answer: ListPage[Ticket], seen: Set[Key]) -> Page:
        """The answer less what is known already: the repeated edge would come twice."""
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
