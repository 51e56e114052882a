"""Serves sample answers, and runs a sync or a repair against them into a table in memory."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote

from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.operations.repair import repair_tickets
from helpdesk_assets.operations.sync import SyncPolicy, run_sync
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.backends import InMemoryBackend
from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback

# That of the servers' Date header.
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
COLUMNS = (
    "subject", "status", "priority", "assignee",
    "createdTime", "modifiedTime", "deletedTime", "raw_json",
)  # fmt: skip
Hold = Callable[[str, ReceivedRequest], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer; `request` is a pattern found in `METHOD /path?query`, decoded."""

    request: str
    status: int
    headers: Mapping[str, str]
    body: Any

    def response(self) -> CannedResponse:
        """Return the answer; a body of null is empty, and a text is sent as it is."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        body = b"" if self.body is None else text.encode()
        kind = "text/html" if isinstance(self.body, str) else "application/json"
        return CannedResponse(body, self.status, {"Content-Type": kind, **self.headers})


def sample(provider: str, name: str) -> Sample:
    """Read a sample from its file."""
    found = json.loads((Path(__file__).parent / provider / f"{name}.json").read_text())
    assert found.pop("source").strip()
    return Sample(
        found["request"], found.get("status", 200), found.get("headers", {}), found["body"]
    )


class SampleHelpdesk:
    """A helpdesk that knows only samples, and the table of its syncs."""

    def __init__(self, vendor: Vendor, url: str, samples: Sequence[Sample]) -> None:
        self.samples = samples
        self._backend = InMemoryBackend()
        # A login takes the address and the token of a simulated helpdesk.
        place = cast("SimulatedHelpdesk", SimpleNamespace(base_url=url, token="sample-token"))
        settings = Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
            _env_file=None
        )
        self._settings = settings.model_copy(
            update={
                "helpdesk_provider": vendor.name,
                "helpdesk_base_url": url,
                "webhooks_enabled": False,
                **vendor.settings(place),
            }
        )
        self._runtime = Runtime(now=lambda: NOW, sleep=lambda _: None, rng=lambda: 0.5)

    def sync(self) -> None:
        """Run one sync."""
        with (
            self._backend.connected(self._settings) as warehouse,
            closing(make_helpdesk(self._settings, self._runtime)) as helpdesk,
        ):
            policy = SyncPolicy.from_settings(self._settings)
            run_sync(helpdesk, warehouse, SyncRequest(), policy, run_id=uuid.uuid4().hex)

    def repair(self, ids: Iterable[str], *, mark_deleted: bool = False) -> None:
        """Fetch tickets by their ids into the table."""
        with (
            self._backend.connected(self._settings) as warehouse,
            closing(make_helpdesk(self._settings, self._runtime)) as helpdesk,
        ):
            repair_tickets(
                helpdesk,
                warehouse,
                ids,
                run_id=uuid.uuid4().hex,
                webhooks=self._settings.webhooks,
                mark_deleted=mark_deleted,
                listing_delay=self._settings.listing_delay,
            )

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the table's rows by id, without what only this project knows."""
        return {row["ticket_id"]: _as_values(row) for row in self._backend.rows("tickets")}


def _as_values(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {column: row.get(column) for column in COLUMNS}
    raw = values["raw_json"]
    return {**values, "raw_json": json.loads(raw) if isinstance(raw, str) else raw}


@contextmanager
def open_samples(
    vendor: Vendor, names: Sequence[str], hold: Hold | None = None
) -> Iterator[SampleHelpdesk]:
    """Serve samples in this order: the first that fits a request is its answer.

    A request that none fits is a 404 without a body.
    """
    opened: list[SampleHelpdesk] = []

    def respond(asked: ReceivedRequest) -> CannedResponse:
        if hold is not None:
            hold(vendor.name, asked)
        line = unquote(f"{asked.method} {asked.path}".replace("+", " "))
        fitting = (one for one in opened[0].samples if re.search(one.request, line))
        found = next(fitting, None)
        return CannedResponse(b"", 404) if found is None else found.response()

    with loopback(respond) as server:
        opened.append(SampleHelpdesk(vendor, server.url, read(vendor, names)))
        yield opened[0]


def read(vendor: Vendor, names: Sequence[str]) -> list[Sample]:
    """Read several samples of one vendor."""
    return list(map(partial(sample, vendor.name), names))


def at(text: str) -> datetime:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
