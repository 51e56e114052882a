"""A scripted helpdesk without HTTP: pages and failures are given in advance.

For the sync's own decisions only; adapters are tested against the simulated helpdesk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from helpdesk_assets.model.tickets import ApiUsage, InventoryPage, Page, Ticket
from helpdesk_assets.providers.base import Archive, Capabilities

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def ticket(
    ticket_id: str, minutes_ago: float = 60, *, created: datetime | None = NOON, body: str = "x"
) -> Ticket:
    modified = NOON - timedelta(minutes=minutes_ago)
    return Ticket(
        ticket_id=ticket_id,
        subject=f"Subject {ticket_id}",
        status="open",
        priority=None,
        assignee=None,
        created_time=created,
        modified_time=modified,
        deleted_time=None,
        raw_json=f'{{"id": "{ticket_id}", "body": "{body}"}}',
        content_hash=f"{ticket_id}-{modified.timestamp()}-{body}",
    )


def page(
    *tickets: Ticket,
    until: datetime = NOON,
    served_at: datetime = NOON,
    resume: str | None = None,
    share: float | None = None,
) -> Page:
    return Page(tickets=tickets, served_at=served_at, until=until, resume=resume, share=share)


Script = Sequence[Page | Exception]


@dataclass
class FakeHelpdesk:
    """Returns the scripted pages and raises the scripted exceptions.

    `changes_script` comes first, then `listing_script`.
    """

    changes_script: Script = ()
    listing_script: Script = ()
    stable: bool = False
    requested: list[tuple[datetime | None, datetime | None, str | None]] = field(
        default_factory=list
    )
    second_changes_script: Script | None = None
    listing_is_independent: bool = True
    resumed: list[str | None] = field(default_factory=list)
    calls: int = 0
    clock_lead: timedelta = timedelta(0)
    clock_lag: timedelta = timedelta(0)
    archive: Archive | None = None
    inventory_script: Sequence[InventoryPage | Exception] = ()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="paper",
            page_size=100,
            time_resolution=timedelta(seconds=1),
            result_cap=None,
            settle_delay=timedelta(0),
            list_rows_are_complete=True,
            listing_is_stable=self.stable,
            minimum_overlap=timedelta(0),
            listing_is_independent=self.listing_is_independent,
        )

    @property
    def use(self) -> ApiUsage:
        return ApiUsage(calls=self.calls, bytes_received=100 * self.calls)

    @property
    def served_at(self) -> datetime | None:
        return NOON if self.calls else None

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,
        resume: str | None = None,
    ) -> Iterator[Page]:
        self.requested.append((since, until, cursor))
        self.resumed.append(resume)
        again = len(self.requested) > 1 and self.second_changes_script is not None
        yield from self._play(self.second_changes_script or () if again else self.changes_script)

    def listing(self) -> Iterator[Page]:
        yield from self._play(self.listing_script)

    def inventory(self, resume: str | None = None) -> Iterator[InventoryPage]:
        self.resumed.append(resume)
        for entry in self.inventory_script:
            self.calls += 1
            if isinstance(entry, Exception):
                raise entry
            yield entry

    def ticket(self, ticket_id: str) -> Ticket | None:
        raise NotImplementedError(ticket_id)

    def confirm_rights(self) -> None:
        pass

    def blind_spot(self) -> str | None:
        return None

    def close(self) -> None:
        pass

    def _play(self, script: Script) -> Iterator[Page]:
        for entry in script:
            self.calls += 1
            if isinstance(entry, Exception):
                raise entry
            yield entry
