"""Keep what is not used out of processes of our own that import google's BigQuery client.

The client imports pandas, pyarrow, the Storage API, OpenTelemetry, and what draws progress bars and
maps, if they are installed, and Dagster and its integration install them everywhere. That costs
each process half a second of CPU time and 50 MB, more than an incremental sync takes by itself.
"""

from __future__ import annotations

import sys

_HIDDEN = (
    "pandas",
    "numpy",
    "pyarrow",
    "google.cloud.bigquery_storage_v1",
    "google.cloud.bigquery_storage",
    "opentelemetry",
    "grpc",
    "tqdm",
    "shapely",
)


def import_google_alone() -> None:
    """Import the BigQuery client while its optional imports are hidden.

    Does nothing if pandas or the client is imported already. The client's DataFrame methods do not
    work afterwards, so this is for processes in which only our own code runs. Nothing there calls
    them: rows are read by `list_rows`. What was hidden can still be imported by itself.
    """
    if "pandas" in sys.modules or "google.cloud.bigquery" in sys.modules:
        return
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    for name in hidden:
        # None is the documented way to make an import fail.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import google.cloud.bigquery  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
