"""Reads the pages of Zoho Desk's recycle bin, the newest deletions first where that is possible.

    GET /api/v1/recycleBin?from=0&limit=50&sortBy=-deletedTime&moduleId=ID

One revision of the vendor's description has `sortBy`, another has not (zoho/zohodesk-oas,
v1.0/Recyclebin.json at 3f7016e and at 83b5c18), and an unknown parameter is a 422. So it is tried,
and left out once it was refused or was not kept to. It is believed only once times have fallen:
rows of one second are in that order whether they are sorted or not.

Pages are offsets: a row that leaves the bin meanwhile shifts the rest across a page boundary. So
each page begins with the last row of the page before; if that row is missing, rows have shifted,
and the bin is read again. Must not know tickets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial
from typing import Any

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.paging.by_time import MAX_PASSES, floor
from helpdesk_assets.providers.paging.by_token import rows_and_token
from helpdesk_assets.providers.parsing import exact_json
from helpdesk_assets.providers.zoho_desk.account import RECYCLE_BIN, UNPROCESSABLE
from helpdesk_assets.providers.zoho_desk.bin_labels import BinLabels
from helpdesk_assets.providers.zoho_desk.tickets import parse_zoho_time

log = logging.getLogger(__name__)

# By one revision of the vendor's description; another, and the text of both, says 100.
MAX_PAGE_SIZE = 50
# Pages that a run reads of a bin that is not known to be sorted, if all of it was read not long
# ago.
LOOK_PAGES = 3
# Deletions meanwhile push rows back, and a page then repeats others; this many pages of them are
# more than a bulk deletion makes in between.
MAX_REPEATED_PAGES = 50
SECOND = timedelta(seconds=1)
OK_OR_NO_CONTENT = frozenset({200, 204})


@dataclass(frozen=True, slots=True)
class BinPage:
    """Rows of the bin that no page before had, as they came."""

    rows: tuple[Any, ...]
    served_at: datetime


class _Ending(Enum):
    """How a pass ended: complete, complete but out of order, or where rows had shifted."""

    ORDERLY = auto()
    OUT_OF_ORDER = auto()
    SHIFTED = auto()


class BinWalk:
    """One reading of the bin.

    Attributes:
        can_sort: whether the rows come newest first, as far as they tell.
        labels: tells the rows of tickets.
        is_complete: whether every row since the beginning of the window has come.
        is_cut: whether Zoho Desk gave no row beyond some offset.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        since: datetime | None,
        can_sort: bool,
        labels: BinLabels,
        is_due: Callable[[datetime], bool],
    ) -> None:
        """Set up the reading, without a request.

        Args:
            connection: the portal's API and policies.
            since: older deletions are not needed; None: all are.
            can_sort: False if an earlier reading was refused to sort.
            labels: see the attribute.
            is_due: by the helpdesk's clock, whether a bin that is not known to be sorted is to
                be read whole.
        """
        self._api = connection.api
        self._retry = connection.retry
        self._since = None if since is None else floor(since, SECOND)
        self._is_due = is_due
        self._told: set[str] = set()
        self._must_be_whole: bool | None = None
        self.can_sort = can_sort
        self._has_fallen = False
        self.labels = labels
        self.is_complete = False
        self.is_cut = False

    def pages(self) -> Iterator[BinPage]:
        """Yield the bin's pages until one pass is complete.

        A pass that was complete but out of order proves nothing: another row may have gone by. So
        there are others, until two in a row have told nothing new.

        Raises:
            EndpointFailed: rows kept shifting through `MAX_PASSES`.
        """
        nothing_new = 0
        for _ in range(MAX_PASSES):
            told = len(self._told)
            ending = yield from self._pass()
            if ending is _Ending.ORDERLY:
                return
            is_new = ending is _Ending.SHIFTED or len(self._told) > told
            nothing_new = 0 if is_new else nothing_new + 1
            if nothing_new == 2:
                return
        raise EndpointFailed(
            f"The recycle bin lost rows during each of {MAX_PASSES} passes, so none of them is "
            "known to be complete. Try again later."
        )

    def _pass(self) -> Generator[BinPage, None, _Ending]:
        """Yield the bin from its beginning.

        Only a page with no row after the last known one shows the end: a short page may have been
        cut. An offset that is refused shows none.
        """
        offset, last, number, stuck, ending = 0, None, 0, 0, _Ending.ORDERLY
        seen: set[str] = set()
        while True:
            number += 1
            bin_page = self._first_page() if offset == 0 else self._page(offset)
            if bin_page is None:
                self._note_cut(offset)
                return ending
            keys = [_key(row) for row in bin_page.rows]
            if last is not None and last not in keys:
                return _Ending.SHIFTED
            behind = keys[0 if last is None else keys.index(last) + 1 :]
            if not seen.isdisjoint(behind) or len(set(behind)) < len(behind):
                ending = _Ending.OUT_OF_ORDER
            stuck = 0 if set(behind) - seen else stuck + 1
            _expect_progress(stuck)
            seen.update(keys)
            self.labels.see(bin_page.rows)
            yield BinPage(self._untold(bin_page.rows, keys), bin_page.served_at)
            is_end = not keys or keys == [last]
            if self._is_enough(bin_page, number) or is_end:
                self.is_complete = is_end or self._is_sorted
                self.labels.warn_of_unknown()
                return ending
            offset, last = offset + min(len(keys), MAX_PAGE_SIZE) - 1, keys[-1]

    def _is_enough(self, bin_page: BinPage, number: int) -> bool:
        times = [at for row in bin_page.rows if (at := deleted_time_of(row)) is not None]
        if self.can_sort and times != sorted(times, reverse=True):
            # What was read by this order before may have holes.
            self.can_sort, self._must_be_whole = False, True
        self._has_fallen = self._has_fallen or (bool(times) and times[0] > times[-1])
        if not self._is_sorted:
            return not self._must_be_whole and number >= LOOK_PAGES
        return self._since is not None and bool(times) and times[-1] < self._since

    @property
    def _is_sorted(self) -> bool:
        return self.can_sort and self._has_fallen

    def _note_cut(self, offset: int) -> None:
        if not self.is_cut:
            log.warning(
                "Zoho Desk refuses to give the rows of the recycle bin from number %d on, so the "
                "deletions there are not read. Run `helpdesk-assets reconcile`, which also finds "
                "tickets that are gone by themselves.",
                offset,
            )
        self.is_cut = True

    def _untold(self, rows: tuple[Any, ...], keys: list[str]) -> tuple[Any, ...]:
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._told}
        self._told.update(new)
        return tuple(new.values())

    def _first_page(self) -> BinPage | None:
        has_asked = self.can_sort
        bin_page = self._page(0)
        if bin_page is not None and self._must_be_whole is None:
            self._must_be_whole = self._is_due(bin_page.served_at)
            if self._must_be_whole and not has_asked:
                # Once a day: another account, or another year, may take it.
                self.can_sort = True
                bin_page = self._page(0)
        return bin_page

    def _page(self, offset: int) -> BinPage | None:
        return self._retry(partial(self._request, offset))

    def _request(self, offset: int) -> BinPage | None:
        """Fetch a page; None if the offset is refused."""
        while True:
            optional = {"sortBy": "-deletedTime"} if self.can_sort else {}
            if self.labels.module_id:
                optional["moduleId"] = self.labels.module_id
            params = {"from": str(offset), "limit": str(MAX_PAGE_SIZE), **optional}
            refusal = {UNPROCESSABLE} if offset or optional else set()
            reply = self._api.get(RECYCLE_BIN, params, accept=OK_OR_NO_CONTENT | refusal)
            if reply.status != UNPROCESSABLE:
                break
            if offset:
                return None
            if self.can_sort:
                self.can_sort = False
            else:
                self.labels.module_id = ""
        if reply.status == 204:
            return BinPage((), reply.served_at)
        rows, _ = rows_and_token(reply.json(), RECYCLE_BIN, "data", "next")
        return BinPage(tuple(rows), reply.served_at)


def id_of(row: Any) -> str | None:
    """Return a row's id, which may be a text, a number or null by the vendor's description."""
    value = row.get("id") if isinstance(row, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def deleted_time_of(row: Any) -> datetime | None:
    """Return when a row was deleted; None if it does not say, or not readably."""
    try:
        return parse_zoho_time(row.get("deletedTime") if isinstance(row, Mapping) else None)
    except (ValueError, OverflowError):
        return None


def _expect_progress(stuck: int) -> None:
    if stuck > MAX_REPEATED_PAGES:
        raise EndpointFailed(
            f"GET {RECYCLE_BIN} gives the same rows again and again, so its end is not to be "
            "found. Try again later."
        )


def _key(row: Any) -> str:
    return id_of(row) or exact_json.compose(row)
