"""The expected missed_updates ledger, computed from events and raw_ticket_changes only.

A model of which webhooks arrived and when, which versions polling read, and when runs judged. For
each version it says whether the ledger must, may or must not contain it. `may` has only three
reasons: a first load judges nothing itself, and what it read is judged later or not, depending on
how long before its end it changed; a run that failed may or may not have got as far as judging; and
with the tickets table alone, it cannot be seen later what a run found too young and merged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

Version = tuple[str, datetime]
MUST, MAY = "must", "may"


@dataclass(frozen=True, slots=True)
class DeliveredWebhook:
    """A webhook answered with 200: its position in the scenario, and the time."""

    ticket_id: str
    version: datetime
    is_deletion: bool
    order: int
    at: datetime


@dataclass(slots=True)
class RunSpan:
    """Start and end of a run that may have judged or merged something.

    It may also have read changes made meanwhile, too young to count as missed.
    """

    order: int
    at: datetime
    ended: datetime


@dataclass(slots=True)
class ExpectedLedger:
    """The expected ledger of one scenario.

    With `by_events`, a receiver stores the webhooks; without, a function writes only the tickets
    table. `listening_since` is the time of the first webhook.
    """

    grace: timedelta
    by_events: bool
    listening_since: datetime
    delivered: list[DeliveredWebhook] = field(default_factory=list)
    run_spans: list[RunSpan] = field(default_factory=list)
    # End of the first load: no change before it is judged by its time.
    loaded_until: datetime | None = None
    # Versions that a successful run read, and has therefore judged.
    judged: set[Version] = field(default_factory=set)
    # Whether polling saw changes late or never.
    has_hidden_changes: bool = False
    # Whether somebody has touched the tables, so that nobody can tell what a run had to judge.
    is_tampered: bool = False

    def expected(
        self, seen: Collection[Version], judged_until: datetime
    ) -> Mapping[Version, tuple[str, Collection[str]]]:
        """Return by version `MUST` or `MAY`, and the correct reasons.

        The ledger must not contain other versions.

        Args:
            seen: versions that polling read, in any run.
            judged_until: end of the time span that the last run could judge.
        """
        judge = self._by_events if self.by_events else self._by_table
        judgements = {version: judge(version, judged_until) for version in seen}
        found = {version: each for version, each in judgements.items() if each is not None}
        if self.by_events:
            for each in self.delivered:
                version = each.ticket_id, each.version
                if not each.is_deletion and (version not in seen or self.has_hidden_changes):
                    how, reasons = found.get(version, (MAY, ()))
                    found[version] = how, {*reasons, "webhook_only"}
        return found

    def _by_events(self, version: Version, judged_until: datetime) -> tuple[str, set[str]] | None:
        _, modified = version
        if modified < self.listening_since or modified > judged_until:
            return None
        own = any(each.version == modified for each in self._newer_or_same(version))
        if any(each.at - modified <= self.grace for each in self._newer_or_same(version)):
            return None
        how = MUST if self.loaded_until is not None and modified > self.loaded_until else MAY
        return how, {"late" if own else "missed"}

    def _by_table(self, version: Version, judged_until: datetime) -> tuple[str, set[str]] | None:
        _, modified = version
        run_spans = [run_span for run_span in self.run_spans if run_span.ended >= modified]
        if not run_spans or modified > judged_until:
            return None
        delivered = [each.order for each in self._newer_or_same(version)]
        if delivered and min(delivered) < run_spans[0].order:
            return None
        is_plain = (
            version in self.judged
            and not delivered
            and all(
                run_span.at - modified > self.grace + timedelta(seconds=1) for run_span in run_spans
            )
            and self.loaded_until is not None
            and modified > self.loaded_until
        )
        return (MUST if is_plain else MAY), {"missing", "stale"}

    def _newer_or_same(self, version: Version) -> list[DeliveredWebhook]:
        ticket_id, modified = version
        return [
            each
            for each in self.delivered
            if each.ticket_id == ticket_id and each.version >= modified
        ]
