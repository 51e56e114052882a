"""Search of Zoho Desk: the tickets that a request finds, and their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from helpdesk_assets.local.simulator.dialects.zoho_desk_requests import Range, SearchRequest
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, RemovalKind
from helpdesk_assets.local.simulator.ticket_factory import TicketVersion


@dataclass(frozen=True, slots=True)
class SimulatedSearch:
    """The search over one helpdesk; `unverified.FACTS` describes the choices."""

    backend: HelpdeskBackend
    ends_are_inclusive: bool
    finds_archived: bool
    finds_spam: bool

    def find(self, search_request: SearchRequest) -> list[TicketVersion]:
        """Return the found tickets of all pages, in the requested order."""
        found = [
            version
            for version in self._candidates(search_request)
            if self._matches(version, search_request)
        ]
        keys: Mapping[str, Callable[[TicketVersion], Any]] = {
            "modifiedTime": lambda version: (version.modified, version.ticket_id),
            "createdTime": lambda version: (version.created, version.ticket_id),
            # Zoho does not define relevance; the only point is that it is no order to page by.
            "relevance": lambda version: version.ticket_id[::-1],
        }
        return sorted(
            found, key=keys[search_request.order_by], reverse=not search_request.is_ascending
        )

    def _candidates(self, search_request: SearchRequest) -> Iterator[TicketVersion]:
        backend = self.backend
        lag = backend.faults.consume("search_lag", search_request.endpoint)
        horizon = None if lag is None else int(backend.clock.tick() - lag["seconds"])
        low, high = search_request.modified or (0, 2**50)
        for store in (backend.store, backend.removed):
            if not len(store):
                continue
            within = low // 1000, high // 1000, 0, len(store)
            yield from store.modified_between(*within, horizon).versions

    def _matches(self, version: TicketVersion, search_request: SearchRequest) -> bool:
        ticket_id = version.ticket_id
        removal = self.backend.removals.get(ticket_id)
        if removal is not None and not (removal.kind is RemovalKind.SPAM and self.finds_spam):
            return False
        if ticket_id in self.backend.archived and not self.finds_archived:
            return False
        return (
            self._is_in_range(search_request.modified, version.modified)
            and self._is_in_range(search_request.created, version.created)
            and (search_request.ids is None or ticket_id in search_request.ids)
        )

    def _is_in_range(self, ends: Range | None, second: int) -> bool:
        if ends is None:
            return True
        low, high = ends
        if self.ends_are_inclusive:
            return low <= second * 1000 <= high
        return low < second * 1000 < high
