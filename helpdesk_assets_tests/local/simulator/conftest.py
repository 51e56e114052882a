"""One simulated helpdesk for all tests here, reset after each test, and a client of its API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

EVER = "2000-01-01T00:00:00Z,2098-01-01T00:00:00Z"


@dataclass
class Caller:
    """Calls the vendor's API as an adapter does, without checks."""

    base_url: str
    session: requests.Session

    def get(self, path: str, **query: object) -> requests.Response:
        params = {key: str(value) for key, value in query.items()}
        return self.session.get(self.base_url + path, params=params, timeout=10)

    def search(self, **query: object) -> requests.Response:
        query = {"modifiedTimeRange": EVER, "sortBy": "modifiedTime", "pageSize": 100, **query}
        return self.get("/v2/tickets/search", **query)

    def listing(self, **query: object) -> requests.Response:
        return self.get("/v2/tickets", **{"pageSize": 100, **query})

    def ticket(self, ticket_id: str) -> requests.Response:
        return self.get(f"/v2/tickets/{ticket_id}")

    def all_rows(self, path: str, **query: object) -> list[dict[str, Any]]:
        """Follow the page tokens to the end; only the search takes a range."""
        if not path.endswith("/search"):
            query.pop("modifiedTimeRange", None)
        rows: list[dict[str, Any]] = []
        while True:
            page = self.get(path, **query).json()
            rows += page["tickets"]
            if page.get("nextPageToken") is None:
                return rows
            query["pageToken"] = page["nextPageToken"]


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    """A helpdesk of 250 tickets whose clock is frozen."""
    with SimulatedHelpdesk(tickets=250, seed=11, frozen=True) as simulator:
        yield simulator


@pytest.fixture
def caller(simulator: SimulatedHelpdesk) -> Iterator[Caller]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {simulator.token}"
        yield Caller(simulator.base_url, session)
