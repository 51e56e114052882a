"""What must hold after every step, and after a successful run without faults."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from helpdesk_assets_tests.chaos.expected_ledger import MUST, ExpectedLedger
from helpdesk_assets_tests.chaos.interference import Interference
from helpdesk_assets_tests.chaos.scenario_counts import Counts
from helpdesk_assets_tests.harness import Harness

MAX_SHOWN = 4


class Invariants:
    """The invariants of one scenario, with the state seen last."""

    def __init__(
        self,
        harness: Harness,
        expected_ledger: ExpectedLedger,
        interference: Interference,
        counts: Counts,
    ) -> None:
        self._harness, self._expected_ledger, self._counts = harness, expected_ledger, counts
        self._interference = interference
        self._newest: dict[str, datetime] = {}
        self._watermark: datetime | None = None
        # Ids of the events that a receiver has answered with 200.
        self.acknowledged: set[str] = set()
        # Maximum delay with which polling sees a change, covered by the windows' overlap.
        self.lag = timedelta(0)

    def check_always(self) -> None:
        """Check promises 2, 3 and 4, and that nothing is recorded twice (promise 5).

        Not while somebody's hands are in the tables: the next green run vouches for them again.
        """
        self._counts["checks"] += 1
        if self._interference.is_open or self._interference.needs_full_load:
            self._newest, self._watermark = {}, None
            return
        tickets = self._rows_by_id("tickets", ("ticket_id",))
        self._rows_by_id("missed_updates", ("ticket_id", "modifiedTime"))
        self._rows_by_id("raw_ticket_changes", ("ticket_id", "modifiedTime", "_content_hash"))
        living = {ticket.ticket_id for ticket in self._harness.simulator.truth()}
        living -= self._interference.dead
        buried = {key[0] for key, row in tickets.items() if row["deletedTime"] and key[0] in living}
        assert not buried, f"promise 1: the table says that {buried} have gone, and they live"
        # A ticket of which only the deletion is known has no version.
        times = {
            key[0]: row["modifiedTime"]
            for key, row in tickets.items()
            if row["modifiedTime"] is not None
        }
        self._no_step_back(times)
        self._watermark_is_right(times)

    def _no_step_back(self, now: dict[str, datetime]) -> None:
        for ticket_id, before in self._newest.items():
            assert ticket_id in now, f"promise 1: ticket {ticket_id} was there and is not any more"
            assert now[ticket_id] >= before, (
                f"promise 2: ticket {ticket_id} stepped back from {before} to {now[ticket_id]}"
            )
        self._newest = now

    def _watermark_is_right(self, now: dict[str, datetime]) -> None:
        rows = self._rows("sync_state")
        assert len(rows) <= 1, f"promise 4: the sync has {len(rows)} state rows"
        watermark = rows[0]["watermark"] if rows else None
        if self._watermark is not None:
            assert watermark is not None, "promise 4: the watermark is gone"
            assert watermark >= self._watermark, (
                f"promise 4: the watermark went back from {self._watermark} to {watermark}"
            )
        self._watermark = watermark
        if watermark is None:
            return
        clock = self._harness.simulator.clock().now
        assert watermark < clock, (
            f"promise 4: the watermark {watermark} is ahead of the helpdesk's clock {clock}"
        )
        late = {
            ticket.ticket_id: (ticket.modified_time, now.get(ticket.ticket_id))
            for ticket in self._harness.simulator.truth()
            if ticket.modified_time <= watermark - self.lag
            # Shown again without a new modified time, which only a reconciliation notices.
            and ticket.ticket_id not in self._interference.dead
            and (ticket.ticket_id not in now or now[ticket.ticket_id] < ticket.modified_time)
        }
        assert not late, (
            f"promise 4: the watermark is {watermark}, and by ticket is true and stored: "
            f"{_some(late)}"
        )

    def check_after_drain(self, before: int) -> None:
        """Check that tickets has what webhooks brought, of those answered before that moment."""
        if self._interference.is_open or self._interference.needs_full_load:
            return
        stored = self._rows_by_id("tickets", ("ticket_id",))
        times = {key[0]: row["modifiedTime"] for key, row in stored.items()}
        told = {
            each.ticket_id: each.version
            for each in sorted(self._expected_ledger.delivered, key=lambda each: each.version)
            if not each.is_deletion and each.order < before
        }
        late = {
            ticket_id: (version, times.get(ticket_id))
            for ticket_id, version in told.items()
            if (times.get(ticket_id) or datetime.min.replace(tzinfo=UTC)) < version
        }
        assert not late, f"promise 1: drained, and by ticket are told and stored: {_some(late)}"

    def _events_are_stored(self) -> None:
        """What was acknowledged is stored, and something has become of it."""
        if not self.acknowledged or self._expected_ledger.is_tampered:
            return
        events = {row["event_id"] for row in self._rows("webhook_events")}
        settled = {row["event_id"] for row in self._rows("webhook_outcomes")}
        assert self.acknowledged <= events, (
            f"promise 5: acknowledged and not stored: {_some(self.acknowledged - events)}"
        )
        assert events <= settled, f"promise 1: still waiting: {_some(events - settled)}"

    def check_after_sync(self, judged_until: datetime) -> None:
        """Check promises 1 and 5."""
        self.check_always()
        stored, living = (
            self._harness.tickets(),
            {t.ticket_id for t in self._harness.simulator.truth()},
        )
        true = {key: row for key, row in self._harness.truth().items() if key in living}
        wrong = {
            (ticket_id, column): (stored.get(ticket_id, {}).get(column), row[column])
            for ticket_id, row in true.items()
            for column in self._harness.columns
            if stored.get(ticket_id, {}).get(column, "absent") != row[column]
        }
        self._counts["differences"] += len(wrong)
        assert not wrong, f"promise 1: stored and true are {_some(wrong)}"
        ended = {
            each.ticket_id for each in self._expected_ledger.delivered if each.is_deletion
        } - living
        alive = {ticket_id for ticket_id in ended if stored[ticket_id]["deletedTime"] is None}
        assert not alive, f"promise 1: webhooks said that {alive} have gone, the table does not"
        self._events_are_stored()
        self._ledger_is_right(judged_until)

    def _ledger_is_right(self, judged_until: datetime) -> None:
        if self._expected_ledger.is_tampered:
            return
        seen = {
            (row["ticket_id"], row["modifiedTime"])
            for row in self._rows("raw_ticket_changes")
            # A removal has no webhook of its own.
            if not row["_tombstone"]
        }
        ledger = {
            (row["ticket_id"], row["modifiedTime"]): row["reason"]
            for row in self._rows("missed_updates")
        }
        expected = self._expected_ledger.expected(seen, judged_until)
        self._counts["missed recorded"] += len(ledger)
        self._counts["late recorded"] += sum(reason == "late" for reason in ledger.values())
        absent = {key for key, (how, _) in expected.items() if how == MUST and key not in ledger}
        assert not absent, f"promise 5: missed and not recorded: {_some(absent)}"
        wrong = {
            key: (reason, expected.get(key))
            for key, reason in ledger.items()
            if key not in expected or reason not in expected[key][1]
        }
        assert not wrong, f"promise 5: recorded, and not so: {_some(wrong)}"

    def _rows_by_id(self, table: str, key: tuple[str, ...]) -> dict[tuple[Any, ...], Any]:
        rows = self._rows(table)
        found = {tuple(row[name] for name in key): row for row in rows}
        often = Counter(tuple(row[name] for name in key) for row in rows)
        twice = {each: times for each, times in often.items() if times > 1}
        assert not twice, f"promise 3 or 5: rows of {table} with one key: {_some(twice)}"
        return found

    def _rows(self, table: str) -> list[dict[str, Any]]:
        if self._harness.warehouse.get_table(table, fresh=True) is None:
            return []
        return self._harness.rows(table)


def _some(found: Any) -> str:
    few = list(found.items() if isinstance(found, dict) else found)[:MAX_SHOWN]
    return f"{len(found)}, of them {few}"
