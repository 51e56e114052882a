"""Asks the helpdesk for what changed since the watermark and stores every version it gives."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import dagster as dg
from pydantic import Field

from helpdesk_assets.defs.assets.factory import sync_asset
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.metadata import fetched
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.defs.run_guard import reject_concurrent_run
from helpdesk_assets.errors import UserError
from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.operations.sync import SyncPolicy, fetch_batch
from helpdesk_assets.settings import load_settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.sync_tables import MergeRequest

# Every log line is a row in the event log; a full load has thousands of pages.
PAGES_PER_LOG_LINE = 100


class SyncConfig(dg.Config):
    """What one run is asked for. With `since` or `until` it reads just that range and leaves the
    watermark alone."""

    mode: Literal["auto", "full", "incremental"] = Field(
        default="auto", description="auto: incremental where there is a watermark, else full."
    )
    since: str | None = Field(default=None, description="ISO 8601 with a zone.")
    until: str | None = Field(default=None, description="ISO 8601 with a zone.")

    def sync_request(self) -> SyncRequest:
        return SyncRequest(
            RequestedMode(self.mode),
            _parse_time("since", self.since),
            _parse_time("until", self.until),
        )


@sync_asset(
    "raw_ticket_changes",
    tables.RAW_TICKET_CHANGES,
    details="One to a few calls, however many tickets there are: only what changed since the "
    "watermark is asked for. The whole list is read on the first run, on request, and when the "
    "change endpoint fails.",
)
def raw_ticket_changes(
    context: dg.AssetExecutionContext,
    config: SyncConfig,
    helpdesk: HelpdeskResource,
    bigquery: HelpdeskBigQuery,
) -> dg.MaterializeResult[MergeRequest]:
    with as_failure():
        reject_concurrent_run(context.instance, context.run)
        manifest, request = fetch(
            helpdesk,
            bigquery,
            config.sync_request(),
            run_id=context.run.run_id,
            attempt=context.retry_number,
            log=context.log.info,
        )
    if manifest.fallback:
        context.log.warning("The listing was read: %s", manifest.reason)
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
    """Read the batch into a spool, which is the IO manager's to close unless this fails."""
    settings = load_settings()
    spool = Spool(settings.bigquery_small_batch_bytes)
    try:
        with helpdesk.open() as source, bigquery.sync_tables() as sync_tables:
            batch = fetch_batch(
                source,
                sync_tables,
                spool,
                sync_request,
                SyncPolicy.from_settings(settings),
                run_id=run_id,
                attempt=attempt,
                on_page=lambda progress: log_progress(progress, log),
            )
            request = sync_tables.changes_request(batch.manifest, spool)
    except BaseException:
        spool.close()
        raise
    if request.source is not spool:
        spool.close()
    return batch.manifest, request


def log_progress(progress: Progress, log: Callable[[str], None]) -> None:
    if progress.pages % PAGES_PER_LOG_LINE == 0:
        log(progress.describe())


def _parse_time(name: str, text: str | None) -> datetime | None:
    """Raises:
    UserMistake: no time, or one without a zone, which nobody could place.
    """
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
