"""The least that a full load can do: 8 connections, each ticket as one line, one load job.

It knows the pages before it starts, compares nothing, and would not notice a failure.

    python -m bench.peers.floor FILE_OF_WINDOWS
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import orjson

from bench.peers.plain_bigquery import PlainBigQuery
from helpdesk_assets.settings import Settings, load_settings

CONNECTIONS = 8


def main() -> None:
    """Load every page into the table `tickets`."""
    windows = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    warehouse = PlainBigQuery()
    table = warehouse.create("tickets")
    with tempfile.TemporaryFile() as spool, ThreadPoolExecutor(CONNECTIONS) as pool:
        for lines in pool.map(Pages(load_settings()).lines, windows):
            spool.writelines(lines)
        warehouse.load(spool, table)


class Pages:
    """Fetches pages, over one connection per thread."""

    def __init__(self, settings: Settings) -> None:
        self._address = urlsplit(settings.helpdesk_base_url)
        token = settings.helpdesk_api_token.get_secret_value()
        self._headers = {"Authorization": f"Bearer {token}"}
        self._own = threading.local()

    def lines(self, window: str) -> Sequence[bytes]:
        """Return the tickets of one window as lines of NDJSON."""
        path = f"/v2/tickets/search?modifiedTimeRange={quote(window)}&sortBy=modifiedTime"
        return to_lines(orjson.loads(self._get(f"{path}&pageSize=100"))["tickets"])

    def _get(self, path: str) -> bytes:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(self._address.netloc, timeout=60)
        connection = self._own.connection
        connection.request("GET", path, headers=self._headers)
        with connection.getresponse() as answer:
            body: bytes = answer.read()
        if answer.status != http.client.OK:
            raise SystemExit(f"GET {path}: {answer.status}")
        return body


def to_lines(tickets: Sequence[dict[str, str]]) -> list[bytes]:
    """Return the tickets as rows of the table."""
    return [
        orjson.dumps(
            {
                "ticket_id": ticket["id"],
                "createdTime": ticket["createdTime"],
                "modifiedTime": ticket["modifiedTime"],
                "raw_json": ticket,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for ticket in tickets
    ]


if __name__ == "__main__":
    main()
