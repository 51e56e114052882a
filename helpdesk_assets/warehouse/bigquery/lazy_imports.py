"""Keep what is not used out of commands that import google's BigQuery client.

The client imports pandas, pyarrow, the Storage API and OpenTelemetry if they are installed, and
Dagster's integration installs them everywhere. That costs each command half a second of CPU time
and 50 MB, more than an incremental sync takes by itself.
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
)


def import_google_alone() -> None:
    """Import the BigQuery client while its optional imports are hidden.

    Does nothing if one of them or the client is imported already. The client's DataFrame methods do
    not work afterwards. Nothing here calls them: rows are read by `list_rows`. What was hidden can
    still be imported by itself.
    """
    if any(name in sys.modules for name in (*_HIDDEN, "google.cloud.bigquery")):
        return
    for name in _HIDDEN:
        # None is the documented way to make an import fail.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import google.cloud.bigquery  # noqa: F401
    finally:
        for name in _HIDDEN:
            del sys.modules[name]
