"""Sets the watermark by hand: to a time, or to what the run log remembers of a lost state row.

Both are compare-and-set on the state row's version and count as an advance: a run in progress fails
when it commits. The checkpoint of an interrupted run is dropped, since that run would resume from
its own position and skip what the person wanted. Must not know
what a change of the watermark means for anybody; who asks for it says that first.
"""

from __future__ import annotations

from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.sync_state import manual_state_statement
from helpdesk_assets.warehouse.stores.state import StateTable


def write_manual_state(
    client: BigQueryClient, sync_name: str, manual_state: ManualState, expected: SyncState | None
) -> SyncState:
    """Write the row if it is still the expected one. Call it with the lease.

    Args:
        client: the dataset.
        sync_name: which row.
        manual_state: what the row shall say.
        expected: the row as it was read; None if there was none.

    Returns:
        The row as it is now.

    Raises:
        ConcurrentUpdate: the row has changed; nothing was written.
    """
    row = StateTable(client, sync_name)
    statement = manual_state_statement(
        client.dataset, sync_name, manual_state, expected, row.fence()
    )
    client.run(statement, run_id=manual_state.run_id, step=tables.SYNC_STATE.name)
    state = row.read()
    if state is None or state.run_id != manual_state.run_id:
        raise ConcurrentUpdate(
            f"Setting the watermark of sync {sync_name!r} by hand: a run has moved it meanwhile. "
            "Nothing was changed. Look at `helpdesk-assets watermark show`, and set it again if it "
            "is still wrong."
        )
    return state
