"""Fresh datasets in the warehouse of the test process."""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING

from helpdesk_assets.local.warehouse import BQEMULATOR
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.warehouses import real_project

if TYPE_CHECKING:
    from google.cloud import bigquery

# bqemulator remembers statements by their text, so names are used again; late, so that no thread of
# an earlier test still uses its dataset. local-bigquery hides the rows of a dataset made twice.
_free_names: deque[str] = deque()
_numbers = count()
RESTING = 4
REUSE_NAMES = find_spec(BQEMULATOR.module) is not None


@contextmanager
def fresh_dataset(endpoint: str) -> Iterator[Settings]:
    """Return settings that name a new dataset.

    Without an endpoint, it is an existing dataset of the real service. It is dropped afterwards:
    every table makes local-bigquery slower for all requests.
    """
    settings = Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
        _env_file=None,
        bigquery_project="test-project" if endpoint else real_project(os.environ),
        bigquery_dataset=_free_name() if endpoint else f"test_{uuid.uuid4().hex[:12]}",
        bigquery_emulator_host=endpoint,
    )
    try:
        if not endpoint:
            _make_dataset(settings)
        yield settings
    finally:
        _drop_dataset(settings)
    if endpoint:
        _free_names.append(settings.bigquery_dataset)


def _free_name() -> str:
    if REUSE_NAMES and len(_free_names) >= RESTING:
        return _free_names.popleft()
    return f"test_{next(_numbers)}"


def _make_dataset(settings: Settings) -> None:
    from google.cloud import bigquery

    dataset = bigquery.Dataset(f"{settings.bigquery_project}.{settings.bigquery_dataset}")
    if settings.bigquery_location is not None:  # an explicit null is a 500 of bqemulator
        dataset.location = settings.bigquery_location
    client = _client(settings)
    client.create_dataset(dataset)
    client.close()  # type: ignore[no-untyped-call]


def _drop_dataset(settings: Settings) -> None:
    client = _client(settings)
    client.delete_dataset(settings.bigquery_dataset, delete_contents=True, not_found_ok=True)
    client.close()  # type: ignore[no-untyped-call]


def _client(settings: Settings) -> bigquery.Client:
    # Imported late for tests without a warehouse: the client is slow to import.
    from helpdesk_assets.warehouse.bigquery.connection import open_client

    return open_client(settings)
