"""How much of a file is in memory while it is uploaded.

google's client reads 100 MB at a time and holds it twice, and takes no argument for it, so that the
peak of a full sync grew by 156 MB between 10,000 and 200,000 tickets. The number is private there;
this is the one place that touches it, and a test fails when it moves.
"""

from __future__ import annotations

from google.cloud.bigquery import client

# A multiple of 256 KiB, as the protocol wants; 50 requests for 200,000 tickets.
CHUNK_BYTES = 16 * 1024 * 1024


def limit_upload_chunks() -> None:
    """Set it, for the whole process."""
    client._DEFAULT_CHUNKSIZE = CHUNK_BYTES  # noqa: SLF001 - see above
