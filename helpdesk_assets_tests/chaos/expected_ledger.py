"""What the ledger must hold, told from what happened and not from any table but raw_ticket_changes.

A model on paper: which webhooks were brought and when, which versions polling was given, and when
runs looked. It says of each version whether the ledger must, may or must not name it. `may` is
there for three reasons only: a first load judges nothing by its time, and what it brought is judged
afterwards or not, by how long before its end it changed; a run that failed may have got as far as
judging, or not; and by the tickets table alone it is no longer to be seen afterwards what a run
found too young and merged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

Version = tuple[str, datetime]
MUST, MAY = "must", "may"


@dataclass(frozen=True, slots=True)
class DeliveredWebhook:
    """A webhook that was answered with 200: when, in the story's order and by its clock."""

    ticket_id: str
    version: datetime
    is_deletion: bool
    order: int
    at: datetime


@dataclass(slots=True)
class RunSpan:
    """A run that may have judged or merged something, from its beginning to its end: what changed
    meanwhile it may have found as well, too young to be called missed."""

    order: int
    at: datetime
    ended: datetime


@dataclass(slots=True)
class ExpectedLedger:
    """One story's. `by_events`: a receiver keeps the webhooks, else a function of somebody's writes
    the tickets table alone. `listening_since`: when the first webhook of all came."""

    grace: timedelta
    by_events: bool
    listening_since: datetime
    delivered: list[DeliveredWebhook] = field(default_factory=list)
    run_spans: list[RunSpan] = field(default_factory=list)
    # Where the first load ended: nothing before it is judged by its time.
    loaded_until: datetime | None = None
    # Versions that a run which went well was given, so that it has judged them.
    judged: set[Version] = field(default_factory=set)
    # Whether the helpdesk kept changes from polling for a while, or for good.
    has_hidden_changes: bool = False

    def expected(
        self, seen: Collection[Version], judged_until: datetime
    ) -> Mapping[Version, tuple[str, Collection[str]]]:
        """By version: `MUST` or `MAY`, and the reasons that are right. Versions that are not named
        must not be in the ledger.

        Args:
            seen: what polling was given, by any run.
            ripe_until: up to when the last run could judge.
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
