"""The order in which a batch is written, for sync and repair alike, and how a run closes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.base import Warehouse
from helpdesk_assets.warehouse.table_spec import MergeReport


@dataclass(frozen=True, slots=True)
class WrittenBatch:
    """What each step wrote."""

    stored: MergeReport
    missed: MergeReport
    merged: MergeReport


def write_batch(
    warehouse: Warehouse,
    manifest: Manifest,
    spool: Spool,
    webhooks: WebhookPolicy,
    *,
    on_phase: Callable[[str], None] = lambda _: None,
) -> WrittenBatch:
    """Store a batch's versions, record what webhooks missed, and merge the tickets.

    The order is the point. Versions are stored before anything is derived from them. Missed updates
    are looked for before the merge, because afterwards nothing looks missed. The caller moves the
    watermark after the merge, because a crash in between then only repeats work. Dagster's assets
    do the same steps one by one.

    Args:
        warehouse: where to.
        manifest: the batch.
        spool: its rows. Closed once they are stored, since a large batch is a file.
        webhooks: what is expected of webhooks.
        on_phase: called with `store`, `missed` and `merge` as each is done.

    Raises:
        BatchGone: the batch was staged, and its staging table is gone.
    """
    stored = warehouse.merge_changes(manifest, spool)
    spool.close()
    on_phase("store")
    missed = warehouse.merge_missed(manifest, webhooks)
    on_phase("missed")
    merged = warehouse.merge_tickets(manifest)
    on_phase("merge")
    return WrittenBatch(stored, missed, merged)


@dataclass(frozen=True, slots=True)
class WrittenRun:
    """What each step of a run wrote, and what was counted when it closed."""

    written: WrittenBatch
    counts: RunCounts
    state: SyncState | None


def write_and_close(
    warehouse: Warehouse,
    manifest: Manifest,
    spool: Spool,
    webhooks: WebhookPolicy,
    *,
    on_phase: Callable[[str], None] = lambda _: None,
) -> WrittenRun:
    """Write a batch and commit its run; a batch that is stored already is not written again.

    Windows overlap, so the run of a quiet hour reads only what the run before it has stored.

    Args:
        warehouse: where to.
        manifest: the batch.
        spool: its rows.
        webhooks: what is expected of webhooks.
        on_phase: as of `write_batch`.

    Raises:
        BatchGone: the batch, or what was merged of it, is gone.
        ConcurrentUpdate: another run has moved the watermark meanwhile.
    """
    closed = warehouse.close_if_stored(manifest, webhooks)
    if closed is not None:
        for phase in ("store", "missed", "merge"):
            on_phase(phase)
        written = WrittenBatch(closed.stored, closed.missed, closed.merged)
        return WrittenRun(written, closed.counts, closed.state)
    written = write_batch(warehouse, manifest, spool, webhooks, on_phase=on_phase)
    counts, state = warehouse.commit_run(manifest, webhooks)
    return WrittenRun(written, counts, state)
