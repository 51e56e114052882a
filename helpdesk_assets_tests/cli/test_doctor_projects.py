"""Projects on which a sync would fail or lose rows: doctor says so, and sync reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.cli.conftest import Run
from helpdesk_assets_tests.cli.test_doctor import lines_of
from helpdesk_assets_tests.restrictive_service import (
    DatasetSaying,
    DefaultLifetimes,
    OtherLocation,
    RestrictiveService,
    Sandbox,
)


@contextmanager
def before(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[str], RestrictiveService],
) -> Iterator[RestrictiveService]:
    """Put a restrictive service before the stand-in of the environment."""
    with make(settings.bigquery_emulator_host) as service:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", service.endpoint)
        yield service


@pytest.mark.parametrize(
    ("make", "location", "line", "told"),
    [
        (OtherLocation, "EU", "location", "is in US, and BIGQUERY_LOCATION is EU"),
        (
            Sandbox,
            None,
            "right to create, change and drop a table",
            "DML queries are not allowed in the free tier",
        ),
    ],
)
def test_project_that_takes_no_rows_is_told_first(
    environment: Settings,
    warehouse: BigQueryClient,
    simulator: SimulatedHelpdesk,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[str], RestrictiveService],
    location: str | None,
    line: str,
    told: str,
) -> None:
    if location:
        monkeypatch.setenv("BIGQUERY_LOCATION", location)
    with before(environment, monkeypatch, make):
        doctor = run("doctor")
        asked = simulator.counters()
        syncs = [run("sync"), run("repair", "--ids", "1")]
    assert (doctor.exit_code, lines_of(doctor.stdout)[line]) == (1, "FAILED")
    assert told in doctor.stdout
    for sync in syncs:
        assert sync.exit_code == 1
        assert told in " ".join(sync.stderr.split())
    assert simulator.counters() == asked
    assert list(warehouse.list_tables()) == []


def test_default_lifetimes_of_a_dataset_are_told_and_undone(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with before(environment, monkeypatch, DefaultLifetimes) as service:
        assert isinstance(service, DefaultLifetimes)
        first = run("doctor")
        assert run("sync").exit_code == 0
        permanent = {spec.name for spec in tables.SYNC_TABLES} | {"ticket_history"}
        kept = {
            name: service.tables[name] for name in permanent if any(service.tables[name].values())
        }
        assert run("sync").exit_code == 0
    assert lines_of(first.stdout)["default expirations"] == "warning"
    assert "drops new tables after 60 days and partitions after 60 days" in first.stdout
    assert kept == {}


def test_doctor_tells_what_the_next_run_takes_away(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with before(environment, monkeypatch, DefaultLifetimes) as service:
        assert isinstance(service, DefaultLifetimes)
        run("sync")
        for name in ("tickets", "missed_updates"):
            service.set_lifetimes(name, days=90)
        told = run("doctor")
        sync = run("sync")
        assert sync.exit_code == 0, sync.stderr
        assert service.lifetime("tickets") is None
        assert service.lifetime("tickets", partitions=True) is None
        # How long a history is kept is a person's choice.
        assert service.lifetime("missed_updates") is None
        assert service.lifetime("missed_updates", partitions=True) is not None
        after = run("doctor")
    assert lines_of(told.stdout)["expirations of tables"] == "warning"
    assert "partitions of tickets after 90 days; the next run takes that away" in told.stdout
    assert "expirations of tables: partitions of missed_updates after 90 days\n" in after.stdout


def test_lifetime_that_may_not_be_changed_is_refused(
    environment: Settings,
    simulator: SimulatedHelpdesk,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with before(environment, monkeypatch, DefaultLifetimes) as service:
        assert isinstance(service, DefaultLifetimes)
        run("sync")
        service.set_lifetimes("tickets", days=90)
        service.refuses = True
        asked = simulator.counters()
        result = run("sync")
    text = " ".join(result.stderr.split())
    assert result.exit_code == 1
    assert "ALTER TABLE tickets SET OPTIONS (expiration_timestamp = NULL)" in text
    assert simulator.counters() == asked


def test_facts_of_the_dataset_are_printed(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Told(DatasetSaying):
        says: ClassVar[dict[str, Any]] = {
            "location": "eu",
            "maxTimeTravelHours": "48",
            "storageBillingModel": "PHYSICAL",
            "defaultEncryptionConfiguration": {"kmsKeyName": "projects/p/key"},
        }

    monkeypatch.setenv("BIGQUERY_LOCATION", "EU")
    with before(environment, monkeypatch, Told):
        result = run("doctor")
    assert result.exit_code == 0, result.stdout
    for line in (
        "location: eu; BIGQUERY_LOCATION is EU",
        "time travel: 48 hours",
        "storage billing: PHYSICAL",
        "encryption key: projects/p/key",
        "partition filters: none is required",
    ):
        assert line in result.stdout
