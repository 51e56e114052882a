"""How long a call to BigQuery may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits in seconds: one HTTP request, one API call with its retries, one job to its end."""

    request: float
    call: float
    job: float


# An hour: BigQuery ends a job that exceeds it, and the first load of millions of tickets on a small
# reservation takes long.
BIGQUERY_DEADLINES = Deadlines(request=60.0, call=120.0, job=3600.0)
# An emulator that is silent for longer is stuck; google's default of ten minutes helps no one.
EMULATOR_DEADLINES = Deadlines(request=30.0, call=30.0, job=120.0)
