"""The watermark as a person moves it: set to a time, or made again where the state row was lost.

Both are compare-and-set on the state row's version, like a run's own advance, and count as one: a
run that is under way gives way when it closes. What an interrupted reading had stored is given up,
since that reading would go on from where it was and pass over what the person wanted. Must not know
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
    """Write the row if it is still the one that was `expected` (None: there was none).

    Raises:
        AnotherWriter: it is not.
    """
    statement = manual_state_statement(client.dataset, sync_name, manual_state, expected)
    client.run(statement, run_id=manual_state.run_id, step=tables.SYNC_STATE.name)
    state = StateTable(client, sync_name).read()
    if state is None or state.run_id != manual_state.run_id:
        raise ConcurrentUpdate(
            f"Setting the watermark of sync {sync_name!r} by hand: a run has moved it meanwhile. "
            "Nothing was changed. Look at `helpdesk-assets watermark show`, and set it again if it "
            "is still wrong."
        )
    return state
