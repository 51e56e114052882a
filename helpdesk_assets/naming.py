"""Names of batches, of their staging tables, and of runs inside names of jobs and tables.

Pure text, known to whoever fetches a batch and to whoever merges it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

TIMESTAMP_FORMAT = "%Y%m%dT%H%M%SZ"


def batch_id(at: datetime, run_id: str, attempt: int) -> str:
    """Name one attempt to fetch a batch.

    Args:
        at: when the attempt began; the time in the name shows the age of orphaned tables.
        run_id: the run that fetches.
        attempt: counts from 0.
    """
    return f"{at.astimezone(UTC):{TIMESTAMP_FORMAT}}_{short_run_id(run_id)}_{attempt}"


def staging_name(table: str, batch: str) -> str:
    """Name the staging table of one batch on its way into `table`."""
    return f"{table}__stg_{batch}"


def short_run_id(run_id: str) -> str:
    """Return the first eight letters and digits of a run id, in lower case."""
    return re.sub(r"[^A-Za-z0-9]+", "", run_id)[:8].lower() or "norun"
