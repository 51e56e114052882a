"""Keep pandas out of commands that do not use it.

google's BigQuery client imports pandas if it is installed, and Dagster's integration installs it
everywhere. That costs each command a second or more, half of an incremental sync.
"""

from __future__ import annotations

import sys


def import_google_without_pandas() -> None:
    """Import the BigQuery client while pandas is hidden, unless either is imported already.

    The client's DataFrame methods do not work afterwards. Nothing here calls them: rows are read by
    `list_rows`, and pandas itself can still be imported.
    """
    if "pandas" in sys.modules or "google.cloud.bigquery" in sys.modules:
        return
    # None is the documented way to make an import fail.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        import google.cloud.bigquery  # noqa: F401
    finally:
        del sys.modules["pandas"]
