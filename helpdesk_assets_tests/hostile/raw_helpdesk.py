"""A helpdesk with the `rest` API whose tickets are bytes that no JSON library would write."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.backends import connected
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback

MODIFIED = "2026-11-20T08:00:00Z"


def row(ticket_id: str, *members: str, modified: str = MODIFIED) -> bytes:
    """Build a ticket of an id, a time, and members as JSON text."""
    own = (f'"id":{json.dumps(ticket_id)}', f'"modifiedTime":"{modified}"')
    return f"{{{','.join((*own, *members))}}}".encode()


@dataclass
class RawHelpdesk:
    """Raw tickets by id, and the tables of one dataset."""

    warehouse: BigQueryClient
    settings: Settings
    rows: dict[str, bytes] = field(default_factory=dict)
    prefix: bytes = b""
    is_packed: bool = False

    def sync(self, **changed: Any) -> SyncReport:
        """Run the sync as the command line does; `changed` are settings."""
        settings = self.settings.model_copy(update=changed)
        helpdesk = make_helpdesk(settings)
        try:
            with connected(settings) as tables:
                policy = SyncPolicy.from_settings(settings)
                return run_sync(helpdesk, tables, SyncRequest(), policy, run_id=uuid.uuid4().hex)
        finally:
            helpdesk.close()

    def stored(self) -> dict[str, Mapping[str, Any]]:
        """Return the tickets table by id, with `raw_json` as a value."""
        found: dict[str, Mapping[str, Any]] = {}
        for each in self.warehouse.list_rows("tickets"):
            raw = each["raw_json"]
            value = json.loads(raw) if isinstance(raw, str) else raw
            found[each["ticket_id"]] = {**each, "raw_json": value}
        return found

    def answer(self, seen: ReceivedRequest) -> CannedResponse:
        path = seen.path.partition("?")[0]
        if path in ("/v2/tickets", "/v2/tickets/search"):
            page = b'{"tickets":[' + b",".join(self.rows.values()) + b"]}"
            return self._response(self.prefix + page)
        body = self.rows.get(path.rpartition("/")[2])
        return CannedResponse(status=404) if body is None else self._response(self.prefix + body)

    def _response(self, body: bytes) -> CannedResponse:
        if self.is_packed:
            return CannedResponse(gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return CannedResponse(body)


@contextmanager
def raw_helpdesk(warehouse: BigQueryClient, settings: Settings) -> Iterator[RawHelpdesk]:
    stub = RawHelpdesk(warehouse, settings)
    with loopback(stub.answer) as served:
        login = {"helpdesk_base_url": served.url, "helpdesk_api_token": SecretStr("a-token")}
        stub.settings = settings.model_copy(update=login)
        yield stub
