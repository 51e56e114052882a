"""Keep pandas out of commands that have no use for it.

google's BigQuery client imports pandas wherever it is installed, and Dagster's integration has it
installed everywhere. That is a second or more of each command, and half of an incremental sync.
"""

from __future__ import annotations

import sys


def import_google_without_pandas() -> None:
    """Import the BigQuery client with pandas out of sight, unless either is imported already.

    The client's own DataFrame methods do not work afterwards. Nothing here calls them: rows are
    read by `list_rows`, and pandas itself may still be imported by whoever wants it.
    """
    if "pandas" in sys.modules or "google.cloud.bigquery" in sys.modules:
        return
    # None is the documented way to make an import fail.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        import google.cloud.bigquery  # noqa: F401
    finally:
        del sys.modules["pandas"]
