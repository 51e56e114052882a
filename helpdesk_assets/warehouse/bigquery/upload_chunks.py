"""Limits how much of a file is in memory while it is uploaded.

google's client reads 100 MB at a time, holds it twice, and has no argument for it: the peak of a
full sync grew by 156 MB between 10,000 and 200,000 tickets. The number is private in that client;
only this module touches it, and a test fails if it moves.
"""

from __future__ import annotations

# The protocol requires a multiple of 256 KiB. 200,000 tickets take 50 requests.
CHUNK_BYTES = 16 * 1024 * 1024


def limit_upload_chunks() -> None:
    """Set the chunk size to `CHUNK_BYTES` for the whole process."""
    from google.cloud.bigquery import client

    client._DEFAULT_CHUNKSIZE = CHUNK_BYTES  # noqa: SLF001 - see above
