"""Finds the batch that a run works on, and its earlier steps' numbers, in Dagster's event log.

The steps may execute in one run or, after a failure, in runs that re-execute it, so they pass data
through the event log and not in memory. A batch of any other run is never taken: it may belong to
another code location or sync, or be days old, and its watermark would move over what nobody merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.sync_identity import SyncTarget
from helpdesk_assets.errors import UserError
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.codec import manifest_from_json
from helpdesk_assets.settings import Settings

_STEP_EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
}
_TOGETHER = (
    f"Materialise {', '.join(metadata.ASSET_NAMES)} in one run, or re-execute a failed run from "
    "its failed step. The watermark has not moved, so nothing is lost."
)


@dataclass(frozen=True, slots=True)
class RunSteps:
    """Which assets a run planned, and the metadata of those it materialised."""

    planned: set[dg.AssetKey]
    materialized: dict[dg.AssetKey, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SyncRun:
    """A run of the sync's steps, with the runs that it re-executes.

    Attributes:
        instance: Dagster's instance.
        run: The run.
        prefix: What the keys of the sync's assets begin with, if the user has given them a prefix.
        read: What has been read of the event log, by run. A step asks for it up to five times, and
            the steps before it have ended.
    """

    instance: dg.DagsterInstance
    run: dg.DagsterRun
    prefix: tuple[str, ...] = ()
    read: dict[str, RunSteps] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, context: dg.AssetExecutionContext) -> SyncRun:
        """Returns the run of a step, whose asset key tells the prefix of the others."""
        return cls(context.instance, context.run, tuple(context.asset_key.path[:-1]))

    def key(self, name: str) -> dg.AssetKey:
        """Returns the key of one of the sync's assets."""
        return dg.AssetKey([*self.prefix, name])

    def keys(self) -> set[dg.AssetKey]:
        """Returns the keys of all of the sync's assets."""
        return {self.key(name) for name in metadata.ASSET_NAMES}

    def batch(self, settings: Settings) -> Manifest:
        """Returns the batch that this run works on: its own or that of a run it re-executes.

        Raises:
            UserError: there is none, or it was fetched for another sync or dataset.
        """
        manifest = self.find_batch()
        if manifest is None:
            raise UserError(
                f"Run {self.run.run_id} has no batch to work on: it did not execute "
                f"{self.key(metadata.RAW_TICKET_CHANGES).to_user_string()}, nor did a run that it "
                f"re-executes. {_TOGETHER}"
            )
        return require_target(manifest, settings)

    def find_batch(self) -> Manifest | None:
        """Returns the batch of the last run in the lineage that fetched; None if none did.

        Raises:
            UserError: a run executed the fetching step, and its batch is not in the event log.
        """
        raw = self.key(metadata.RAW_TICKET_CHANGES)
        for run_id in run_lineage(self.instance, self.run):
            steps = self._steps(run_id)
            if metadata.MANIFEST in steps.materialized.get(raw, {}):
                return manifest_from_json(steps.materialized[raw][metadata.MANIFEST])
            if raw in steps.planned or raw in steps.materialized:
                raise UserError(
                    f"The batch of run {run_id} is not in Dagster's event log: "
                    f"{raw.to_user_string()} failed there, or its materialisation was wiped. "
                    f"{_TOGETHER}"
                )
        return None

    def step_metadata(self, asset: str, batch_id: str) -> Mapping[str, Any] | None:
        """Returns the metadata of the asset's materialisation that worked on this batch."""
        key = self.key(asset)
        for run_id in run_lineage(self.instance, self.run):
            values = self._steps(run_id).materialized.get(key)
            if values is not None and values.get(metadata.BATCH_ID) == batch_id:
                return values
        return None

    def job_counts(self, batch_id: str) -> dict[str, int]:
        """Sums query jobs, load jobs and bytes billed over the steps that wrote this batch."""
        writers = (metadata.RAW_TICKET_CHANGES, metadata.MISSED_UPDATES, metadata.TICKETS_TABLE)
        steps = [self.step_metadata(asset, batch_id) or {} for asset in writers]
        return {name: sum(int(step.get(name, 0)) for step in steps) for name in metadata.JOB_COUNTS}

    def _steps(self, run_id: str) -> RunSteps:
        if run_id not in self.read:
            self.read[run_id] = _read_steps(self.instance, run_id)
        return self.read[run_id]


def _read_steps(instance: dg.DagsterInstance, run_id: str) -> RunSteps:
    """Reads what a run planned and materialised from the event log."""
    planned: set[dg.AssetKey] = set()
    materialized: dict[dg.AssetKey, dict[str, Any]] = {}
    # Dagster does not document `all_logs`.
    for entry in instance.all_logs(run_id, of_type=_STEP_EVENTS):
        materialization = entry.asset_materialization
        if materialization is not None:
            values = {key: value.value for key, value in materialization.metadata.items()}
            materialized[materialization.asset_key] = values
        elif entry.dagster_event is not None and entry.dagster_event.asset_key is not None:
            planned.add(entry.dagster_event.asset_key)
    return RunSteps(planned, materialized)


def require_target(manifest: Manifest, settings: Settings) -> Manifest:
    """Returns the batch if it was fetched for the sync and dataset of the settings.

    Raises:
        UserError: it was fetched for another one.
    """
    fetched_for = SyncTarget(manifest.sync_name, manifest.dataset, manifest.location)
    now = SyncTarget.of(settings)
    if fetched_for != now:
        raise UserError(
            f"Batch {manifest.batch_id} of run {manifest.run_id} was fetched for {fetched_for}, "
            f"and the settings of this step name {now}. Nothing was written. Give all steps the "
            f"same settings. {_TOGETHER}"
        )
    return manifest


def run_lineage(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """Yields the run's id, then the ids of the runs that it re-executes, back to the first."""
    ancestor: dg.DagsterRun | None = run
    while ancestor is not None:
        yield ancestor.run_id
        parent = ancestor.parent_run_id
        ancestor = instance.get_run_by_id(parent) if parent else None
