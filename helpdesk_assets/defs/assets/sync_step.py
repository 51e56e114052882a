"""What every step of the sync does first: it looks whether its asset is still the sync's own.

Another project may load the assets with a key prefix. A table or key of its own would split the
sync: its statements name the tables, and each step finds the others by their keys.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg

from helpdesk_assets.defs.run_batch import SyncRun
from helpdesk_assets.defs.sync_identity import SyncTarget, tag_run
from helpdesk_assets.defs.table_metadata import COLUMN_SCHEMA, describe
from helpdesk_assets.errors import UserError
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest
from helpdesk_assets.warehouse.table_spec import TableSpec

# Where the IO manager looks for a dataset other than the settings'.
_SCHEMA = "schema"


def begin_step(context: dg.AssetExecutionContext, name: str, spec: TableSpec) -> SyncRun:
    """Checks the step's asset, tags the run with its sync, and returns the run.

    Raises:
        UserError: the asset has another name, table or merge policy than the sync's own.
    """
    key = context.asset_key
    require_own_asset(key, context.assets_def.metadata_by_key[key], name, spec)
    tag_run(context.instance, context.run.run_id)
    return SyncRun.of(context)


def require_own_asset(
    key: dg.AssetKey, stated: Mapping[str, Any], name: str, spec: TableSpec
) -> None:
    """Checks an asset's key and definition metadata against those that the sync gave it.

    Args:
        key: The asset's key.
        stated: Its definition metadata.
        name: The last part of the key that the sync gave it.
        spec: Its table.

    Raises:
        UserError: the asset has another name, table or merge policy.
    """
    asset = key.to_user_string()
    if key.path[-1] != name:
        raise UserError(
            f"Asset {asset} is {name} under another name, so the other steps of the sync cannot "
            f"find it. A key prefix is fine, and all of the sync's assets must have the same; the "
            f"last part of the key must stay {name}."
        )
    own = describe(spec)
    names = sorted({*own, _SCHEMA} - {COLUMN_SCHEMA})
    changed = [key for key in names if _plain(stated.get(key)) != own.get(key)]
    if changed:
        raise UserError(
            f"Asset {asset}: its metadata {', '.join(map(repr, changed))} differ from the sync's, "
            f"whose statements all write and read the table {spec.name} of BIGQUERY_DATASET. "
            "Remove them from the asset. To keep the tables elsewhere, set BIGQUERY_DATASET."
        )


def bound(request: MergeRequest, settings: Settings) -> MergeRequest:
    """Returns the request for the dataset of the settings alone, whatever the IO manager has."""
    return replace(request, dataset=SyncTarget.of(settings).dataset)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, dg.MetadataValue) else value
