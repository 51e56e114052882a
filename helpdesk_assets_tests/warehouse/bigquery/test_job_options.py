"""What a user wants of every job is in the request of every job, and not in others' way."""

from __future__ import annotations

import io
from contextlib import closing
from typing import Any

import pytest
from google.cloud import bigquery

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.warehouse.bigquery.client import NO_LIMIT, BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.query import Query

RESERVATION = "projects/acme/locations/EU/reservations/night"
WANTED = {
    "bigquery_max_bytes_billed": 20_000_000,
    "bigquery_priority": "batch",
    "bigquery_reservation": RESERVATION,
    "bigquery_labels": "team=support,env=prod",
}


class Requests:
    """The bodies of the jobs that a client asks for, before they are sent."""

    def __init__(self, client: BigQueryClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs: list[dict[str, Any]] = []
        for kind in (bigquery.QueryJob, bigquery.LoadJob):
            begin = kind.to_api_repr

            def recorded(job: Any, begin: Any = begin) -> dict[str, Any]:
                body: dict[str, Any] = begin(job)
                self.jobs.append(body["configuration"])
                return body

            monkeypatch.setattr(kind, "to_api_repr", recorded)


def test_every_job_has_them(warehouse_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = warehouse_settings.model_copy(update=WANTED)
    with closing(connect(settings)) as client:
        client.ensure_dataset()
        fields = [bigquery.SchemaField("id", "INT64")]
        client.create_table(bigquery.Table(client.dataset.table_id("some"), fields))
        requests = Requests(client, monkeypatch)
        client.run(Query("SELECT 1 AS one"), run_id="run", step="step")
        client.load(io.BytesIO(b'{"id":1}\n'), "some", fields, run_id="run", step="step")

    query, load = requests.jobs[0], requests.jobs[-1]
    assert query["query"]["maximumBytesBilled"] == "20000000"
    assert query["query"]["priority"] == "BATCH"
    for job in (query, load):
        assert job["reservation"] == RESERVATION
        assert job["labels"] == {
            "team": "support",
            "env": "prod",
            "app": "helpdesk-assets",
            "dataset": settings.bigquery_dataset.lower(),
            "table": "step",
            "run": "run",
        }


def test_dry_run_is_asked_at_once_and_without_limit(
    warehouse_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(connect(warehouse_settings.model_copy(update=WANTED))) as client:
        client.ensure_dataset()
        used, requests = client.use, Requests(client, monkeypatch)
        assert client.estimate(Query("SELECT 1 AS one")) == 0
        assert client.use == used

    (job,) = requests.jobs
    assert job["dryRun"] is True
    assert job["query"]["useQueryCache"] is False
    assert job["query"]["maximumBytesBilled"] == str(NO_LIMIT)
    assert job["query"]["priority"] == "INTERACTIVE"
    assert job["reservation"] == RESERVATION


def test_nothing_is_asked_for_by_default(
    warehouse: BigQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = Requests(warehouse, monkeypatch)
    warehouse.run(Query("SELECT 1 AS one"), run_id="run", step="step")
    asked = requests.jobs[0]
    assert not asked["query"].keys() & {"maximumBytesBilled", "priority"}
    assert not asked.get("reservation")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BIGQUERY_MAX_BYTES_BILLED", "10485759"),
        ("BIGQUERY_PRIORITY", "urgent"),
        ("BIGQUERY_RESERVATION", "night"),
        ("BIGQUERY_LABELS", "team"),
        ("BIGQUERY_PRICE_PER_TIB", "-1"),
    ],
)
def test_wrong_values_are_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()
