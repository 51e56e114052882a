"""Which statements a run would send; each reads nothing."""

from __future__ import annotations

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.estimates import StatementEstimate
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.webhooks import JudgedBy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.closing import log_is_due
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset

VERSIONS, TICKETS = tables.RAW_TICKET_CHANGES.name, tables.TICKETS.name
MISSED, STATE = tables.MISSED_UPDATES.name, tables.SYNC_STATE.name


def estimates(
    dataset: InMemoryDataset, manifest: Manifest, judging: Judging, state: SyncState | None
) -> tuple[StatementEstimate, ...]:
    """Return the statements of a batch of which nothing is stored yet."""
    is_repeated = state is not None and state.has_stored(manifest)
    kept = () if manifest.staging else (VERSIONS,)
    reads = {STATE: (STATE, *kept, TICKETS)}
    if judging.is_by_events or (judging.by is JudgedBy.TABLE and manifest.rows):
        reads[MISSED] = (MISSED, *kept, TICKETS)
    if manifest.rows and not is_repeated:
        reads |= {VERSIONS: (VERSIONS,), TICKETS: (TICKETS, *kept)}
    if is_repeated and not judging.is_by_events:
        reads.pop(MISSED, None)
    if state and known_runs(state) and log_is_due(manifest.mode, manifest.expected_version + 1):
        reads[tables.SYNC_RUNS.name] = (tables.SYNC_RUNS.name,)
    order = (VERSIONS, MISSED, TICKETS, STATE, tables.SYNC_RUNS.name)
    is_staged = manifest.staging is not None
    return tuple(
        _estimate(dataset, step, reads[step], is_staged) for step in order if step in reads
    )


def _estimate(
    dataset: InMemoryDataset, step: str, reads: tuple[str, ...], is_staged: bool
) -> StatementEstimate:
    absent = next((name for name in reads if name not in dataset.tables), None)
    if absent is not None:
        return StatementEstimate(step, None, unknown=f"the table {absent} does not exist yet")
    is_lower_bound = is_staged and step != tables.SYNC_RUNS.name
    return StatementEstimate(step, 0, is_lower_bound=is_lower_bound)
