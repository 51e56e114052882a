"""What becomes of each waiting event, by what it brings and what the helpdesk answered.

Pure: calls neither a helpdesk nor a warehouse.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from helpdesk_assets.model.webhook_events import (
    DELETION_TOLD_WITHIN,
    EventKind,
    EventOutcome,
    Outcome,
    ReadTicket,
    WebhookEvent,
)
from helpdesk_assets.operations.newest_versions import as_told, not_after
from helpdesk_assets.operations.ticket_fetch import Absent, Answer, Unreadable
from helpdesk_assets.providers.parsing.exact_json import storable_text
from helpdesk_assets.providers.parsing.tombstones import tombstone

MAX_REASON_CHARS = 500
NO_SUCH_TICKET = "The helpdesk has no ticket with this id."
ONLY_TOLD = "Nothing but this event says that the ticket ever existed."
NOT_READABLE = "The stored ticket of this event cannot be read."


@dataclass(frozen=True, slots=True)
class EventClocks:
    """What time it is, and how long the helpdesk may take to show a new ticket.

    `served_at`: the helpdesk's clock at its latest answer, None without one.
    """

    now: datetime
    served_at: datetime | None
    listing_delay: timedelta

    def latest(self, received_at: datetime) -> datetime:
        """Return the latest of all clocks: no deletion is dated after it."""
        return max(received_at, self.now, self.served_at or received_at)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one event.

    Attributes:
        event: the event.
        read: the version to merge for it, if any.
        outcome: None: it waits for the next drain.
        reason: why no version is merged, for a person.
        is_told: nothing but the event says that the ticket ever existed, as in a test of webhooks.
    """

    event: WebhookEvent
    read: ReadTicket | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    is_told: bool = False

    def refused(self, outcome: Outcome, reason: str) -> Verdict:
        """Return the verdict that nothing is merged for the event."""
        return replace(
            self, read=None, outcome=outcome, reason=storable_text(reason)[:MAX_REASON_CHARS]
        )

    def to_outcome(self, merged_at: datetime, run_id: str) -> EventOutcome | None:
        """Return what is stored of it; None if it still waits."""
        if self.outcome is None:
            return None
        event = self.event
        return EventOutcome(
            event.event_id,
            event.ticket_id,
            event.received_at,
            self.outcome,
            self.read.ticket.modified_time if self.read else None,
            self.reason,
            merged_at,
            run_id,
        )


def needs_fetch(event: WebhookEvent) -> bool:
    """Return whether the helpdesk is asked for the event's ticket.

    It is for a deletion too: the ticket may have been restored, and a test of webhooks may name a
    ticket that lives.
    """
    return event.ticket is None and event.kind is not EventKind.TICKET


def verdicts(
    events: Sequence[WebhookEvent], answers: Mapping[str, Answer], clocks: EventClocks
) -> list[Verdict]:
    """Return what becomes of each event, before it is known which tickets the table has."""
    return [_verdict(event, answers.get(event.ticket_id), clocks) for event in events]


def told_ids(found: Sequence[Verdict]) -> set[str]:
    """Return the tickets of which only deletions tell; the table decides about these."""
    proven = {each.event.ticket_id for each in found if each.read and not each.is_told}
    return {each.event.ticket_id for each in found if each.is_told} - proven


def with_known(found: Sequence[Verdict], unknown: Collection[str]) -> list[Verdict]:
    """Return the verdicts once it is known of which tickets nobody has ever heard.

    A ticket that is deleted and gone cannot be fetched for its earlier events any more: its
    deletion is newer than they are.

    Args:
        found: the verdicts, all of a ticket's events among them.
        unknown: tickets of `told_ids` that the table does not have.
    """
    gone = {each.event.ticket_id for each in found if each.is_told} - set(unknown)
    settled = []
    for each in found:
        if each.is_told and each.event.ticket_id in unknown:
            settled.append(each.refused(Outcome.UNKNOWN_TICKET, ONLY_TOLD))
        elif each.reason == NO_SUCH_TICKET and each.event.ticket_id in gone:
            settled.append(replace(each, outcome=Outcome.MERGED, reason=None))
        else:
            settled.append(each)
    return settled


def after_merge(verdict: Verdict, refused: Mapping[str, str | None]) -> Verdict:
    """Return what becomes of the event once its ticket is merged, or refused for a reason.

    A reason None: it was not tried alone, so the event waits.
    """
    if verdict.read is None or verdict.event.ticket_id not in refused:
        return verdict
    reason = refused[verdict.event.ticket_id]
    if reason is None:
        return replace(verdict, read=None, outcome=None)
    return verdict.refused(Outcome.NOT_STORED, reason)


def _verdict(event: WebhookEvent, answer: Answer | None, clocks: EventClocks) -> Verdict:
    plain = Verdict(event)
    if event.ticket is not None:
        ticket = not_after(event.ticket, clocks.latest(event.received_at))
        is_told = ticket.tombstone
        return Verdict(event, as_told(ticket, event.received_at), Outcome.MERGED, is_told=is_told)
    if not needs_fetch(event):
        return plain.refused(Outcome.NOT_STORED, NOT_READABLE)
    match answer:
        case None:
            return plain
        case Unreadable(reason=reason):
            return plain.refused(Outcome.NOT_STORED, reason)
        case ReadTicket(ticket, read_at):
            dated = not_after(ticket, clocks.latest(event.received_at))
            return Verdict(event, ReadTicket(dated, read_at), Outcome.MERGED)
        case Absent() if event.kind is EventKind.DELETION:
            return Verdict(event, _deletion(event, clocks), Outcome.MERGED, is_told=True)
    since = min(event.received_at, event.modified_time or event.received_at)
    is_late = clocks.now - since >= clocks.listing_delay
    # One such answer proves no deletion: a helpdesk may tell of a ticket before it shows it.
    return replace(
        plain, outcome=Outcome.UNKNOWN_TICKET if is_late else None, reason=NO_SUCH_TICKET
    )


def _deletion(event: WebhookEvent, clocks: EventClocks) -> ReadTicket:
    """Return the tombstone of an event that only says that its ticket is deleted."""
    received_at = event.received_at
    # Without a time of its own, by the helpdesk's clock: an edit just before is dated by it.
    served_at = max(received_at, clocks.served_at or received_at)
    deleted_at = event.modified_time or min(served_at, received_at + DELETION_TOLD_WITHIN)
    content = {"id": event.ticket_id, "event": event.type, "gone": True}
    ticket = tombstone(event.ticket_id, deleted_at, content)
    return as_told(not_after(ticket, clocks.latest(received_at)), received_at)
