"""What many a script does: read from MAX(modifiedTime) on, or list everything, then MERGE.

One call at a time, no proof of completeness, a watermark that any other writer moves.

    python -m bench.peers.older_algorithm
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import requests

from bench.peers.floor import to_lines
from bench.peers.plain_bigquery import PlainBigQuery
from helpdesk_assets.settings import load_settings

COLUMNS = "ticket_id, createdTime, modifiedTime, raw_json"
MERGE = """
MERGE `{table}` T USING `{staging}` S ON T.ticket_id = S.ticket_id
WHEN MATCHED THEN UPDATE SET modifiedTime = S.modifiedTime, raw_json = S.raw_json
WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({columns})
"""


def main() -> None:
    """Bring the table `tickets` up to date."""
    warehouse = PlainBigQuery()
    table, staging = warehouse.create("tickets"), warehouse.create("staging")
    (row,) = warehouse.query(f"SELECT MAX(modifiedTime) FROM `{table}`")  # noqa: S608
    with tempfile.TemporaryFile() as spool:
        for tickets in _pages(row[0]):
            spool.writelines(to_lines(tickets))
        warehouse.load(spool, staging)
    warehouse.query(MERGE.format(table=table, staging=staging, columns=COLUMNS))
    warehouse.client.delete_table(staging)


def _pages(since: datetime | None) -> Iterator[list[dict[str, Any]]]:
    settings = load_settings()
    path, query = "/v2/tickets", {"pageSize": "100"}
    if since is not None:
        path = "/v2/tickets/search"
        window = f"{since:%Y-%m-%dT%H:%M:%SZ},2999-01-01T00:00:00Z"
        query |= {"modifiedTimeRange": window, "sortBy": "modifiedTime"}
    with requests.Session() as session:
        token = settings.helpdesk_api_token.get_secret_value()
        session.headers["Authorization"] = f"Bearer {token}"
        while True:
            answer = session.get(settings.helpdesk_base_url + path, params=query, timeout=60)
            answer.raise_for_status()
            page = answer.json()
            yield page["tickets"]
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]


if __name__ == "__main__":
    main()
