"""A dataset of its own for whoever needs one, in the local warehouse of the test process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from helpdesk_assets.settings import Settings


@contextmanager
def fresh_dataset(endpoint: str) -> Iterator[Settings]:
    """Settings that name a dataset which nobody else has.

    It is dropped afterwards: local-bigquery takes longer for everything with each table it has,
    so that the suite took four times as long on 3.13.
    """
    settings = Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
        _env_file=None,
        bigquery_project="test-project",
        bigquery_dataset=f"test_{uuid.uuid4().hex[:12]}",
        bigquery_emulator_host=endpoint,
    )
    try:
        yield settings
    finally:
        _drop_dataset(settings)


def _drop_dataset(settings: Settings) -> None:
    # Not imported for tests that need no warehouse: the client takes a while.
    from google.cloud import bigquery

    from helpdesk_assets.warehouse.connection import emulator_arguments

    arguments = emulator_arguments(settings.bigquery_emulator_host)
    client = bigquery.Client(project=settings.bigquery_project, **arguments)
    client.delete_dataset(settings.bigquery_dataset, delete_contents=True, not_found_ok=True)
    client.close()  # type: ignore[no-untyped-call]
