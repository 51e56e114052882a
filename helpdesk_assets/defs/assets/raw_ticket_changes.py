"""Reads what changed in the helpdesk since the watermark and stores every version."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal

import dagster as dg
from pydantic import Field

from helpdesk_assets.defs.assets.factory import sync_asset
from helpdesk_assets.defs.assets.sync_step import begin_step, bound
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.metadata import RAW_TICKET_CHANGES, fetched
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.defs.run_guard import reject_concurrent_run
from helpdesk_assets.defs.sync_identity import SyncTarget
from helpdesk_assets.errors import UserError
from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.operations.drain_first import drain_first
from helpdesk_assets.operations.sync import SyncPolicy, fetch_batch
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest

# Every log line is a row in the event log, and a full load has thousands of pages.
PAGES_PER_LOG_LINE = 100


class SyncConfig(dg.Config):
    """What one run reads. With `since` or `until` it reads only that range.

    A run over a range does not move the watermark.
    """

    mode: Literal["auto", "full", "incremental"] = Field(
        default="auto", description="auto: incremental if there is a watermark, else full."
    )
    since: str | None = Field(
        default=None,
        description="Read only changes from this time on, such as 2026-11-23T10:00:00Z. The "
        "watermark stays.",
    )
    until: str | None = Field(
        default=None,
        description="Read only changes up to this time, such as 2026-11-23T11:00:00+01:00. The "
        "watermark stays.",
    )

    def to_request(self) -> SyncRequest:
        """Converts the config into the request of a sync.

        Raises:
            UserError: `since` or `until` is not an ISO 8601 time with a zone.
        """
        return SyncRequest(
            RequestedMode(self.mode),
            _parse_time("since", self.since),
            _parse_time("until", self.until),
        )


@sync_asset(
    RAW_TICKET_CHANGES,
    tables.RAW_TICKET_CHANGES,
    details="Takes one to a few calls, however many tickets there are, because it requests only "
    "what changed since the watermark. It reads the whole list on the first run, on request, and "
    "when the change endpoint fails.",
)
def raw_ticket_changes(
    context: dg.AssetExecutionContext,
    config: SyncConfig,
    helpdesk: HelpdeskResource,
    bigquery: HelpdeskBigQuery,
) -> dg.MaterializeResult[MergeRequest]:
    """Fetches one batch and returns it for the IO manager to merge."""
    with as_failure():
        sync_run = begin_step(context, RAW_TICKET_CHANGES, tables.RAW_TICKET_CHANGES)
        reject_concurrent_run(context.instance, context.run, sync_run.keys())
        manifest, request = fetch(
            helpdesk,
            bigquery,
            config.to_request(),
            run_id=context.run.run_id,
            attempt=context.retry_number,
            log=context.log.info,
        )
    if manifest.fallback:
        context.log.warning("Every ticket was listed: %s", manifest.reason)
    return dg.MaterializeResult(value=request, metadata=fetched(manifest))


def fetch(
    helpdesk: HelpdeskResource,
    bigquery: HelpdeskBigQuery,
    sync_request: SyncRequest,
    *,
    run_id: str,
    attempt: int,
    log: Callable[[str], None],
) -> tuple[Manifest, MergeRequest]:
    """Merges waiting webhooks, then reads one batch into a spool.

    The IO manager closes the spool, unless this call fails.

    Args:
        helpdesk: The helpdesk to read.
        bigquery: Where the state row and staging tables are.
        sync_request: What to read.
        run_id: Id of the Dagster run.
        attempt: Number of the step's retry, 0 for the first try.
        log: Called with a line of progress every `PAGES_PER_LOG_LINE` pages.

    Returns:
        The batch's manifest, and its rows as a request to merge.
    """
    settings = bigquery.settings()
    spool = Spool(settings.bigquery_small_batch_bytes)
    try:
        policy = SyncPolicy.from_settings(settings)
        with helpdesk.open() as source, bigquery.sync_tables() as sync_tables:
            drain_first(source, sync_tables, policy.drains, run_id=run_id)
            batch = fetch_batch(
                source,
                sync_tables,
                spool,
                sync_request,
                policy,
                run_id=run_id,
                attempt=attempt,
                on_page=lambda progress: log_progress(progress, log),
            )
            manifest = for_target(batch.manifest, SyncTarget.of(settings))
            request = bound(sync_tables.requests.changes(manifest, spool), settings)
    except BaseException:
        spool.close()
        raise
    if request.source is not spool:
        spool.close()
    return manifest, request


def for_target(manifest: Manifest, target: SyncTarget) -> Manifest:
    """Returns the manifest with the sync that it was fetched for, which later steps compare."""
    return replace(
        manifest,
        sync_name=target.sync_name,
        dataset=target.dataset,
        location=target.location,
    )


def log_progress(progress: Progress, log: Callable[[str], None]) -> None:
    """Logs a line of progress every `PAGES_PER_LOG_LINE` pages."""
    if progress.pages % PAGES_PER_LOG_LINE == 0:
        log(progress.describe())


def _parse_time(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UserError(
            f"{name} is {text!r}. Write an ISO 8601 time with its zone, such as "
            "2026-11-23T10:00:00Z or 2026-11-23T11:00:00+01:00."
        )
    return moment
