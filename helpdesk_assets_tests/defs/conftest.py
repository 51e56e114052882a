"""A simulated helpdesk, a dataset, a Dagster instance and an environment naming them, per test.

Everything goes over HTTP, as it does for a user.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.client import usage
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient

TOKEN = "a-token-that-nobody-may-see"


@dataclass(frozen=True, slots=True)
class DagsterHarness:
    """A helpdesk that the test changes (`helpdesk`), and access to the results."""

    helpdesk: SimulatedHelpdesk
    warehouse: BigQueryClient
    instance: dg.DagsterInstance

    def sync(self, run_config: dict[str, Any] | None = None) -> dg.ExecuteInProcessResult:
        """Run the job once; the test checks whether it succeeded."""
        from helpdesk_assets.definitions import defs

        return defs.resolve_job_def("helpdesk_sync").execute_in_process(
            instance=self.instance, run_config=run_config, raise_on_error=False
        )

    def materialize(self, *assets: str) -> dg.ExecuteInProcessResult:
        """Materialize these assets without the job, as from the UI."""
        from helpdesk_assets.definitions import defs

        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            raise_on_error=False,
        )

    def evaluate_checks(self, *names: str) -> dg.ExecuteInProcessResult:
        """Evaluate these checks alone, as from the UI."""
        from helpdesk_assets.definitions import defs

        job = defs.resolve_implicit_global_asset_job_def()
        keys = [key for key in job.asset_layer.asset_graph.asset_check_keys if key.name in names]
        return job.get_subset(
            asset_selection=set(), asset_check_selection=set(keys)
        ).execute_in_process(instance=self.instance, raise_on_error=False)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(self.warehouse.list_rows(table))

    def stored(self) -> list[tuple[str, Any]]:
        """Return every row of tickets as (id, modified time)."""
        return sorted((row["ticket_id"], row["modifiedTime"]) for row in self.rows("tickets"))

    def truth(self) -> list[tuple[str, Any]]:
        """Return what `stored` must be."""
        return sorted((t.ticket_id, t.modified_time) for t in self.helpdesk.truth())

    def missed(self) -> list[str]:
        return sorted(row["ticket_id"] for row in self.rows(tables.MISSED_UPDATES.name))

    def watermark(self) -> Any:
        return self.rows(tables.SYNC_STATE.name)[0]["watermark"]

    def asset_metadata(self, asset: str) -> dict[str, Any]:
        """Return the metadata of the asset's latest materialization as plain values."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        return {key: value.value for key, value in event.asset_materialization.metadata.items()}


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


@pytest.fixture(autouse=True)
def clocks_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests move the simulated helpdesk's clock and not this machine's."""
    monkeypatch.setattr(usage, "CLOCK_TOLERANCE", timedelta(days=365))


def failure_text(result: dg.ExecuteInProcessResult | dg.JobExecutionResult) -> str:
    """Return what the one failed step says."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None, failed.step_failure_data.error_display_string
    return failure.description or ""


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove this project's variables and the .env file."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def helpdesk() -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(tickets=40, token=TOKEN) as running:
        yield running


@pytest.fixture
def environment(
    no_settings: None,
    helpdesk: SimulatedHelpdesk,
    warehouse_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set this test's settings where production reads them."""
    named = {
        "HELPDESK_BASE_URL": helpdesk.base_url,
        "HELPDESK_API_TOKEN": TOKEN,
        "BIGQUERY_PROJECT": warehouse_settings.bigquery_project,
        "BIGQUERY_DATASET": warehouse_settings.bigquery_dataset,
        "BIGQUERY_EMULATOR_HOST": warehouse_settings.bigquery_emulator_host,
        # A function writes the table from the start; once there is an event, a receiver.
        "WEBHOOKS_ENABLED": "true",
    }
    for name, value in named.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def harness(
    environment: None,
    helpdesk: SimulatedHelpdesk,
    warehouse: BigQueryClient,
    instance: dg.DagsterInstance,
) -> DagsterHarness:
    return DagsterHarness(helpdesk, warehouse, instance)
