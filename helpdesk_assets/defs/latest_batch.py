"""Finds the batch to work on, and the numbers of its earlier steps, in Dagster's event log.

The steps may execute in one run, in a re-execution after a failure, or one by one from the UI, so
they pass data through the event log and not in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.codec import manifest_from_json

# Every run leaves one. Materialisations reported by hand have no manifest and are skipped.
LOOKBACK_MATERIALIZATIONS = 50


def latest_batch(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Manifest | None:
    """Returns the batch that `run` works on; None if nothing was ever fetched.

    The first of: the run's own batch, that of the run it re-executes, the latest batch of any run.
    """
    batches = _recent_batches(instance, limit=1)
    if run.run_id not in batches:  # not the usual run of the whole job
        batches = _recent_batches(instance, limit=LOOKBACK_MATERIALIZATIONS)
    for run_id in run_lineage(instance, run):
        if run_id in batches:
            return manifest_from_json(batches[run_id])
    return next((manifest_from_json(batch) for batch in batches.values()), None)


def batch_metadata(
    instance: dg.DagsterInstance, asset: str, batch_id: str
) -> Mapping[str, Any] | None:
    """Returns the metadata of the asset's latest materialisation if it is of this batch."""
    for _, metadata_values in _materialization_metadata(instance, asset, limit=1):
        return metadata_values if metadata_values.get(metadata.BATCH_ID) == batch_id else None
    return None


def batch_job_counts(instance: dg.DagsterInstance, batch_id: str) -> dict[str, int]:
    """Sums query jobs, load jobs and bytes billed over the steps that wrote this batch."""
    writers = (metadata.RAW_TICKET_CHANGES, metadata.MISSED_UPDATES, metadata.TICKETS_TABLE)
    metadata_values = [batch_metadata(instance, asset, batch_id) or {} for asset in writers]
    return {
        name: sum(int(step.get(name, 0)) for step in metadata_values)
        for name in metadata.JOB_COUNTS
    }


def run_lineage(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """Yields the run's id, then the ids of the runs that it re-executes, back to the first."""
    ancestor: dg.DagsterRun | None = run
    while ancestor is not None:
        yield ancestor.run_id
        parent = ancestor.parent_run_id
        ancestor = instance.get_run_by_id(parent) if parent else None


def _recent_batches(instance: dg.DagsterInstance, *, limit: int) -> dict[str, Any]:
    """Returns the latest batches by the run that fetched them, newest first."""
    batches: dict[str, Any] = {}
    for run_id, metadata_values in _materialization_metadata(
        instance, metadata.RAW_TICKET_CHANGES, limit=limit
    ):
        if metadata.MANIFEST in metadata_values:
            batches.setdefault(run_id, metadata_values[metadata.MANIFEST])
    return batches


def _materialization_metadata(
    instance: dg.DagsterInstance, asset: str, *, limit: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields run id and metadata of the asset's materialisations, newest first."""
    found = instance.fetch_materializations(dg.AssetKey(asset), limit=limit)
    for record in found.records:
        materialization = record.asset_materialization
        if materialization is not None:
            yield record.run_id, {k: v.value for k, v in materialization.metadata.items()}
