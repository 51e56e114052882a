"""One case per guard of tables and state that operations stand on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.errors import BatchGone, ConcurrentUpdate
from helpdesk_assets.model.batch import Mode, batch_staging_name
from helpdesk_assets.model.state import Checkpoint, RunCounts
from helpdesk_assets.model.webhooks import JudgedBy, WebhookCounts
from helpdesk_assets.naming import batch_id
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import POLICY, Subject, ticket

STAGING = batch_staging_name(batch_id(datetime.now(UTC), "reading", 0))
CHECKPOINT = Checkpoint(
    provider="paper",
    staging=STAGING,
    resume="2",
    saved_at=NOON,
    mode=Mode.FULL,
    reason="first load",
    since=None,
    first_load=True,
    rows=1,
    pages=1,
    tombstones=0,
    bad=(),
    bad_count=0,
    share=None,
)
BY_HAND = ManualState(NOON - timedelta(days=1), None, 2, "hand", "set")


@pytest.fixture(params=[False, True], ids=["inline", "staged"])
def is_staged(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_version_is_stored_once_with_its_first_run(subject: Subject, is_staged: bool) -> None:
    subject.write(ticket("1"), run_id="first", is_staged=is_staged)
    subject.write(ticket("1"), ticket("1", body="y"), run_id="second", is_staged=is_staged)
    first, second = sorted(
        subject.backend.rows("raw_ticket_changes"), key=lambda row: str(row["_run_id"])
    )
    assert (first["_run_id"], second["_run_id"]) == ("first", "second")
    assert first["modifiedTime"] == second["modifiedTime"] == ticket("1").modified_time
    assert first["_content_hash"] != second["_content_hash"]


def test_older_version_is_rejected(subject: Subject) -> None:
    subject.run(ticket("1", 10, status="new"))
    facts, _ = subject.run(ticket("1", 20, status="old"))
    assert (facts.updated, facts.unchanged, facts.rejected) == (0, 0, 1)
    assert subject.row("1")["status"] == "new"
    assert len(subject.versions()) == 2


def test_newer_version_replaces_all_but_the_first_sync(subject: Subject) -> None:
    subject.run(ticket("1", 20))
    before = subject.row("1")
    facts, _ = subject.run(ticket("1", 10, status="closed"), run_id="newer")
    after = subject.row("1")
    assert (facts.updated, after["status"], after["_run_id"]) == (1, "closed", "newer")
    assert after["_first_synced_at"] == before["_first_synced_at"] < after["_synced_at"]


def test_equal_time_is_decided_by_content(subject: Subject) -> None:
    subject.run(ticket("1"), run_id="first")
    assert subject.run(ticket("1"))[0].unchanged == 1
    assert subject.row("1")["_run_id"] == "first"
    assert subject.run(ticket("1", body="y"))[0].updated == 1


def test_repeated_ticket_has_one_row_of_the_last_version(subject: Subject, is_staged: bool) -> None:
    facts, _ = subject.run(
        ticket("1", 20, body="old"),
        ticket("1", 10, body="early"),
        ticket("1", 10, body="late"),
        ticket("1", 30, body="older"),
        is_staged=is_staged,
    )
    assert (facts.rows, facts.inserted, facts.repeated_keys) == (1, 1, 0)
    assert "late" in str(subject.row("1")["raw_json"])


def test_overtaken_run_replaces_only_older_versions(subject: Subject) -> None:
    subject.run(ticket("0"))
    manifest, spool = subject.batch(ticket("1", 10, body="early"), ticket("2", 5, status="new"))
    subject.run(ticket("1", 10, body="late"), ticket("2", 6))
    subject.warehouse.merge_changes(manifest, spool)
    subject.warehouse.merge_tickets(manifest)
    assert "late" in str(subject.row("1")["raw_json"])
    assert subject.row("2")["status"] == "new"
    with pytest.raises(ConcurrentUpdate):
        subject.warehouse.commit_run(manifest, POLICY)


def test_watermark_set_by_hand_overtakes_nobody(subject: Subject) -> None:
    subject.run(ticket("1", 10, body="wrong"))
    manifest, spool = subject.batch(ticket("1", 10, body="right"))
    subject.warehouse.set_manually(BY_HAND, subject.state())
    subject.warehouse.merge_changes(manifest, spool)
    subject.warehouse.merge_tickets(manifest)
    assert "right" in str(subject.row("1")["raw_json"])


def test_creation_time_is_kept_and_no_row_doubled(subject: Subject) -> None:
    subject.run(ticket("1", created_time=NOON - timedelta(days=90)), ticket("2"))
    subject.run(ticket("1", 30, created_time=None), ticket("2", 30))
    assert subject.row("1")["createdTime"] == NOON - timedelta(days=90)
    assert subject.row("1")["modifiedTime"] == ticket("1", 30).modified_time


def test_lost_changes_are_missed_once_by_the_table(subject: Subject) -> None:
    subject.run(ticket("1", 90), ticket("2", 90), first_load=True)
    assert subject.missed() == {}
    changes = ticket("1", 60), ticket("2", 1), ticket("3", 60)
    facts, _ = subject.run(*changes, run_id="finder")
    assert subject.missed() == {"1": "stale", "3": "missing"}
    assert {(each.ticket_id, each.reason) for each in facts.missed} == set(subject.missed().items())
    assert facts.missed_since == ticket("1", 60).modified_time
    subject.run(*changes)
    assert subject.missed() == {"1": "stale", "3": "missing"}


def test_nothing_is_missed_without_webhooks(subject: Subject) -> None:
    subject.run(ticket("1"), policy=replace(POLICY, enabled=False))
    assert subject.missed() == {}


def test_known_deletion_is_not_missed_again(subject: Subject) -> None:
    subject.run(ticket("1"), first_load=True)
    for minutes in (30, 20):
        at = NOON - timedelta(minutes=minutes)
        subject.run(tombstone("1", at, {"id": "1"}))
    assert [row["modifiedTime"] for row in subject.backend.rows("missed_updates")] == [
        NOON - timedelta(minutes=30)
    ]


def test_missed_turns_late_and_never_back(subject: Subject) -> None:
    prompt, lost, late = (ticket(name, 60) for name in ("1", "2", "3"))
    subject.hear(ticket("0", 200), delay=timedelta(seconds=1))
    subject.hear(prompt, delay=timedelta(seconds=1))
    facts, _ = subject.run(prompt, lost, late)
    assert subject.missed() == {"2": "missed", "3": "missed"}
    assert facts.webhooks is not None
    assert (facts.missed_total, facts.webhooks.judged, facts.webhooks.events) == (2, 3, 1)
    subject.hear(late, delay=timedelta(minutes=20))
    for _ in range(2):
        subject.run(prompt, lost, late)
        assert subject.missed() == {"2": "missed", "3": "late"}
    (row,) = (row for row in subject.backend.rows("missed_updates") if row["ticket_id"] == "3")
    assert (row["lag_seconds"], row["delivered_at"]) == (1200, NOON - timedelta(minutes=40))


def test_events_that_polling_missed_are_recorded(subject: Subject) -> None:
    hidden = ticket("1", 100)
    subject.hear(hidden, delay=timedelta(seconds=1))
    facts, _ = subject.run(ticket("2", 60))
    assert subject.missed()["1"] == "webhook_only"
    assert facts.webhooks is not None
    assert facts.webhooks.webhook_only == 1


def test_commit_moves_the_watermark_and_remembers_the_run(subject: Subject) -> None:
    assert subject.warehouse.read_state() is None
    subject.run(ticket("1"), run_id="first", cursor="c1")
    facts, state = subject.run(ticket("1", 30), run_id="second", reason="why")
    assert state == subject.state()
    assert (state.watermark, state.version, state.cursor) == (NOON, 2, None)
    assert (state.run_id, state.reason) == ("second", "incremental: why")
    assert state.facts == facts
    assert [(run.run_id, run.cursor) for run in state.recent_runs] == [("first", "c1")]
    advances = subject.warehouse.last_advances(9)
    assert [(run.version, run.run_id) for run in advances] == [(2, "second"), (1, "first")]


def test_commit_counts_the_whole_run(subject: Subject) -> None:
    subject.run(ticket("1"), ticket("2"), ticket("3", 10), first_load=True)
    facts, _ = subject.run(
        ticket("1"), ticket("2", 30), ticket("3", 20), ticket("4"), ticket("5", -60)
    )
    assert replace(facts, missed=(), missed_since=None, index_lag_p99=0.0) == RunCounts(
        rows=5,
        future_times=1,
        inserted=2,
        updated=1,
        unchanged=1,
        rejected=1,
        missed_total=2,
        webhooks=WebhookCounts(JudgedBy.TABLE, loaded_until=NOON, pending=1),
        batch_tickets=5,
        history_rows=7,
    )


def test_batch_counts_speak_of_the_batch_alone(subject: Subject) -> None:
    subject.run(ticket("1"))
    manifest = subject.write(ticket("1"), ticket("2"))
    assert subject.warehouse.count_batch(manifest) == RunCounts(inserted=1, unchanged=1)


def test_repeated_commit_changes_nothing(subject: Subject) -> None:
    manifest = subject.write(ticket("1"))
    _, state = subject.warehouse.commit_run(manifest, POLICY)
    assert subject.warehouse.commit_run(manifest, POLICY)[1] == state == subject.state()


def test_outdated_run_commits_nothing(subject: Subject) -> None:
    manifest = subject.write(ticket("1"))
    subject.run(ticket("2"))
    before = subject.state()
    with pytest.raises(ConcurrentUpdate, match="run the sync again"):
        subject.warehouse.commit_run(manifest, POLICY)
    assert subject.state() == before


def test_vanished_state_row_is_not_recreated_by_a_later_run(subject: Subject) -> None:
    manifest = subject.write(ticket("1"), expected_version=4)
    with pytest.raises(ConcurrentUpdate):
        subject.warehouse.commit_run(manifest, POLICY)
    assert subject.warehouse.read_state() is None


def test_watermark_never_goes_back(subject: Subject) -> None:
    subject.run(ticket("1"))
    _, state = subject.run(window=replace(subject.batch()[0].window, until=NOON - timedelta(1)))
    assert state is not None
    assert (state.watermark, state.version) == (NOON, 2)


def test_run_that_may_not_advance_leaves_the_watermark(subject: Subject) -> None:
    _, state = subject.run(ticket("1"), advances_watermark=False)
    assert state is not None
    assert (state.watermark, state.version) == (None, 1)


def test_range_leaves_the_state_alone(subject: Subject) -> None:
    facts, state = subject.run(ticket("1"), is_range=True)
    assert (facts.inserted, state) == (1, None)
    subject.run(ticket("1"))
    before = subject.state()
    facts, state = subject.run(ticket("2"), is_range=True)
    assert (facts.inserted, state) == (1, before)
    assert subject.state() == before


def test_each_sync_has_a_state_of_its_own(subject: Subject) -> None:
    subject.run(ticket("1"))
    other = subject.settings.model_copy(update={"sync_name": "other"})
    with subject.backend.connected(other) as warehouse:
        assert warehouse.read_state() is None


def test_checkpoint_is_saved_before_any_commit(subject: Subject) -> None:
    assert not subject.warehouse.can_resume(CHECKPOINT)
    _stage(subject, "1")
    state = subject.state()
    assert (state.version, state.watermark, state.checkpoint) == (0, None, CHECKPOINT)
    assert subject.warehouse.can_resume(CHECKPOINT)


def test_staged_rows_become_the_batch_and_the_commit_drops_them(subject: Subject) -> None:
    _stage(subject, "1", "2")
    manifest = replace(subject.batch()[0], rows=2, staging=STAGING, versions=None)
    manifest = replace(manifest, has_checkpoint=True)
    with Spool(0) as nothing:
        subject.warehouse.merge_changes(manifest, nothing)
    subject.warehouse.merge_missed(manifest, POLICY)
    subject.warehouse.merge_tickets(manifest)
    facts, state = subject.warehouse.commit_run(manifest, POLICY)
    assert state is not None
    assert (facts.inserted, state.version, state.checkpoint) == (2, 1, None)
    assert subject.backend.stagings() == []


def test_overtaken_run_saves_no_checkpoint(subject: Subject) -> None:
    subject.run(ticket("1"))
    with pytest.raises(ConcurrentUpdate):
        subject.warehouse.checkpoint_store("late").save(CHECKPOINT, 0)
    assert subject.state().checkpoint is None


def test_rows_are_not_added_to_a_lost_staging_table(subject: Subject) -> None:
    _stage(subject, "1")
    subject.backend.drop_staging(STAGING)
    assert not subject.warehouse.can_resume(CHECKPOINT)
    _, spool = subject.batch(ticket("2"))
    with pytest.raises(BatchGone, match="starts over"):
        subject.warehouse.checkpoint_store("reading").add_rows(spool, STAGING)


def test_expired_batch_fails_until_its_run_has_committed(subject: Subject) -> None:
    manifest, spool = subject.batch(ticket("1"), is_staged=True)
    subject.staging.merge_changes(manifest, spool)
    subject.warehouse.drop_staging(manifest)
    with pytest.raises(BatchGone, match="nothing is lost"):
        subject.warehouse.merge_missed(manifest, POLICY)
    with pytest.raises(BatchGone, match="nothing is lost"):
        subject.warehouse.merge_tickets(manifest)
    again = subject.write(ticket("1"), is_staged=True)
    subject.warehouse.commit_run(again, POLICY)
    assert subject.warehouse.merge_missed(again, POLICY).changed == 0
    assert subject.warehouse.merge_tickets(again).changed == 0


def test_watermark_set_by_hand_drops_cursor_and_checkpoint(subject: Subject) -> None:
    facts, _ = subject.run(ticket("1"), cursor="c1", run_id="first")
    subject.warehouse.checkpoint_store("reading").save(CHECKPOINT, 1)
    state = subject.warehouse.set_manually(BY_HAND, subject.state())
    assert state == subject.state()
    assert (state.watermark, state.version, state.cursor) == (BY_HAND.watermark, 2, None)
    assert (state.checkpoint, state.window, state.facts) == (None, None, facts)
    advances = subject.warehouse.last_advances(9)
    assert [(run.mode, run.run_id) for run in advances] == [
        (Mode.MANUAL, "hand"),
        (Mode.INCREMENTAL, "first"),
    ]


def test_manual_watermark_replaces_only_the_state_seen(subject: Subject) -> None:
    subject.run(ticket("1"))
    seen = subject.state()
    subject.run(ticket("2"))
    before = subject.state()
    for stale in (seen, None):
        with pytest.raises(ConcurrentUpdate, match="Nothing was changed"):
            subject.warehouse.set_manually(BY_HAND, stale)
    assert subject.state() == before


def _stage(subject: Subject, *ticket_ids: str) -> None:
    """Save a checkpoint of these tickets as a first load does."""
    store = subject.warehouse.checkpoint_store("reading")
    store.begin(STAGING)
    for ticket_id in ticket_ids:
        _, spool = subject.batch(ticket(ticket_id))
        store.add_rows(spool, STAGING)
    store.save(CHECKPOINT, 0)
