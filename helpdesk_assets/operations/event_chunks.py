"""Cut the waiting events into parts that fit into memory and into one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from helpdesk_assets.model.webhook_events import WebhookEvent


def chunks(
    events: Iterable[WebhookEvent], most_events: int, most_bytes: int
) -> Iterator[list[WebhookEvent]]:
    """Yield the events in chunks of bounded size, all events of a ticket in one chunk.

    They come ticket by ticket. A ticket with more events than a chunk takes is split all the same.
    """
    chunk: list[WebhookEvent] = []
    size = 0
    for event in events:
        is_full = len(chunk) >= most_events or size >= most_bytes
        is_too_full = len(chunk) >= 2 * most_events or size >= 2 * most_bytes
        if chunk and (is_too_full or (is_full and chunk[-1].ticket_id != event.ticket_id)):
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += len(event.ticket.raw_json) if event.ticket else 0
    if chunk:
        yield chunk
