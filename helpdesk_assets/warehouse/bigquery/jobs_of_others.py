"""Ends the jobs that a writer has left running when it died.

Its process is gone, and BigQuery finishes its statements all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from helpdesk_assets.errors import UserError
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.job_ids import label

log = logging.getLogger(__name__)


def end_jobs_of(client: BigQueryClient, run_ids: Collection[str]) -> None:
    """Cancel the unfinished jobs of these runs, and wait for their end.

    Args:
        client: the dataset.
        run_ids: the runs.

    Raises:
        HelpdeskAssetsError: BigQuery does not answer, or a job does not end.
    """
    runs = {label(run_id) for run_id in run_ids}
    try:
        left = [job for job in client.unfinished_jobs() if job.labels.get("run") in runs]
    except UserError as error:
        # What is doubled then is removed by the run that closes next.
        log.warning("Statements of a writer that is gone may still run. %s", error)
        return
    for job in left:
        log.warning("Cancelling job %s, which a writer that is gone left running.", job.job_id)
        client.end_job(job)
