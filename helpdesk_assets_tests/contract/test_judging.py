"""What both warehouses judge of webhooks, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.model.webhooks import JudgedBy, LedgerSource, NotJudged, WebhookCounts
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import POLICY, Subject, ticket


@pytest.mark.parametrize(
    "load", [{"first_load": True}, {"ground_reason": "tickets is gone"}], ids=["first", "lost"]
)
def test_load_judges_nothing(subject: Subject, load: dict[str, Any]) -> None:
    subject.write(ticket("1", 90), **load)
    facts, state = subject.run(ticket("1", 60), ticket("2", 60), **load)
    assert subject.missed() == {}
    assert not facts.webhooks.is_judged
    assert state is not None
    assert facts.webhooks.loaded_until == state.watermark


def test_rows_removed_by_hand_are_nobodys_missed_webhook(subject: Subject) -> None:
    seen = [ticket("1"), ticket("2", 70), ticket("3", 80)]
    subject.run(*seen, first_load=True)
    subject.backend.delete_tickets(["1"])
    subject.backend.alter_tickets(["2"], -timedelta(days=1), "yesterday")
    hear = ticket("9", 200)
    for _ in range(2):
        subject.run(*seen)
        subject.write(*seen, is_range=True)
        assert subject.missed() == {}
        subject.backend.delete_tickets(["1"])
        subject.hear(hear, delay=timedelta(seconds=1))
    assert subject.row("2")["modifiedTime"] == seen[1].modified_time


def test_auto_judges_from_the_first_event_on(subject: Subject) -> None:
    auto = replace(POLICY, enabled="auto")
    facts, _ = subject.run(ticket("1", 60), ticket("2", 20), policy=auto)
    assert subject.missed() == {}
    assert facts.webhooks == WebhookCounts(not_judged=NotJudged.NO_EVENT)
    by_table = replace(auto, ledger_source=LedgerSource.TABLE)
    facts, _ = subject.run(ticket("3", 30), ticket("4", 1), policy=by_table)
    assert subject.missed() == {"3": "missing"}
    assert (facts.webhooks.judged_by, facts.webhooks.pending) == (JudgedBy.TABLE, 1)
    subject.hear(ticket("5", 40), delay=timedelta(seconds=1))
    facts, _ = subject.run(ticket("5", 40), ticket("6", 45), ticket("7", 2), policy=auto)
    assert subject.missed() == {"2": "missed", "3": "missing"}
    assert facts.webhooks.judged_by is JudgedBy.EVENTS
    assert facts.webhooks.pending == 2


def test_deletion_shown_to_be_wrong_is_no_missed_webhook(subject: Subject) -> None:
    """A token that saw fewer tickets for a while: what it missed was not deleted."""
    subject.run(ticket("1"), ticket("2"), first_load=True)
    subject.hear(ticket("9", 100), delay=timedelta(seconds=1))
    minute, gone_at = timedelta(minutes=1), NOON + timedelta(minutes=1)
    notices = [tombstone(each, gone_at, {"id": each}) for each in ("1", "2")]
    subject.write(notices[0], is_range=True, read_at=gone_at)
    subject.warehouse.merge_changes(*subject.batch(notices[1], read_at=gone_at))
    subject.write(ticket("1"), is_staged=True, is_range=True, forced=True, read_at=gone_at + minute)
    assert subject.row("1")["deletedTime"] is None
    assert subject.missed() == {}
    subject.run(served_at=NOON + 20 * minute)
    assert subject.missed() == {"2": "missed"}
