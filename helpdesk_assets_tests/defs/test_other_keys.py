"""Another project loads the assets with keys, tables or datasets of its own.

What is allowed works as without, and the rest fails with a sentence; nothing is green and wrong.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from helpdesk_assets import definitions
from helpdesk_assets.defs.alerts.run_reports import AlertScope, Watcher, build_report
from helpdesk_assets.defs.assets import (
    missed_updates,
    raw_ticket_changes,
    sync_watermark,
    ticket_backfill,
    ticket_inventory,
    tickets_table,
    webhook_health,
)
from helpdesk_assets.defs.assets.factory import IO_MANAGER_KEY
from helpdesk_assets.defs.checks import sync_checks
from helpdesk_assets.defs.io_managers.bigquery_merge import BigQueryMergeIOManager
from helpdesk_assets.defs.metadata import ASSET_NAMES
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.watermark import WatermarkResource
from helpdesk_assets_tests.defs.conftest import DagsterHarness, checks_of, failure_text

MODULES = [raw_ticket_changes, missed_updates, tickets_table, sync_watermark]
OTHERS = [webhook_health, ticket_inventory, ticket_backfill]
SYNC_ASSETS = definitions.assets[:4]


def project(assets: Any, resources: Mapping[str, Any] | None = None, **more: Any) -> dg.Definitions:
    """Return another project's definitions with these assets."""
    return dg.Definitions(
        assets=assets,
        resources={**(definitions.defs.resources or {}), **(resources or {})},
        executor=dg.in_process_executor,
        **more,
    )


def prefixed(prefix: str | list[str]) -> dg.Definitions:
    return project(
        dg.load_assets_from_modules([*MODULES, *OTHERS], key_prefix=prefix),
        asset_checks=dg.load_asset_checks_from_modules([sync_checks], asset_key_prefix=prefix),
    )


def renamed(keys: Mapping[str, list[str]]) -> dg.Definitions:
    """Return the sync's assets with these keys, by the name that each has here."""
    replaced = {dg.AssetKey(name): dg.AssetKey(path) for name, path in keys.items()}
    return project([a.with_attributes(asset_key_replacements=replaced) for a in SYNC_ASSETS])


def with_metadata(name: str, values: Mapping[str, Any]) -> dg.Definitions:
    """Return the sync's assets, one of which has metadata of its own."""

    def merged(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.merge_attributes(metadata=values) if spec.key.path == [name] else spec

    return project(dg.map_asset_specs(merged, SYNC_ASSETS))


def run(harness: DagsterHarness, defs: dg.Definitions, *names: str) -> dg.ExecuteInProcessResult:
    """Materialise these assets, by default the sync's, and run the checks on them."""
    job = defs.resolve_implicit_global_asset_job_def()
    keys = job.asset_layer.asset_graph.materializable_asset_keys
    return job.execute_in_process(
        instance=harness.instance,
        asset_selection=[key for key in keys if key.path[-1] in (names or ASSET_NAMES)],
        raise_on_error=False,
    )


def assert_synced(harness: DagsterHarness, result: dg.ExecuteInProcessResult) -> None:
    assert result.success
    assert harness.stored() == harness.truth()


def watermarks(harness: DagsterHarness) -> list[Any]:
    tables = {table.table_id for table in harness.warehouse.list_tables()}
    rows = harness.rows("sync_state") if "sync_state" in tables else []
    return [row["watermark"] for row in rows if row["watermark"] is not None]


@pytest.mark.parametrize("prefix", ["support", ["acme", "support"]])
def test_key_prefix_syncs_as_without(harness: DagsterHarness, prefix: str | list[str]) -> None:
    defs = prefixed(prefix)
    assert_synced(harness, run(harness, defs))
    first = harness.watermark()
    harness.helpdesk.advance(3600)
    harness.helpdesk.change(3)
    harness.helpdesk.advance(600)
    harness.helpdesk.reset_counters()
    assert_synced(harness, run(harness, defs))
    assert harness.helpdesk.counters().total == 1, "not a full load again"
    assert harness.watermark() > first
    assert len(harness.missed()) == 3
    key = dg.AssetKey([*([prefix] if isinstance(prefix, str) else prefix), "sync_watermark"])
    event = harness.instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    counted = event.asset_materialization.metadata
    assert (counted["rows_updated"].value, counted["missed"].value) == (3, 3)
    assert counted["query_jobs"].value == 4


def test_checks_and_alerts_follow_a_key_prefix(harness: DagsterHarness) -> None:
    defs = prefixed("support")
    run(harness, defs)
    harness.helpdesk.advance(3600)
    harness.helpdesk.change(12)
    harness.helpdesk.advance(600)
    result = run(harness, defs)
    found = checks_of(result)
    assert found.keys() == sync_checks.CHECKS.keys()
    assert {check.asset_key.path[0] for check in found.values()} == {"support"}
    assert not found["webhook_gaps"].passed
    assert found["read_whole"].passed

    graph = defs.resolve_asset_graph()
    defined = [graph.assets_def_for_key(key) for key in graph.materializable_asset_keys]
    scope = AlertScope.of([*defined, *(defs.asset_checks or ())], [])
    (end,) = [
        entry
        for entry in harness.instance.all_logs(result.run_id)
        if entry.dagster_event and entry.dagster_event.is_job_success
    ]
    report = build_report(harness.instance, end, Watcher(scope))
    assert report is not None
    failing = [finding.subject for finding in report.checks if finding.severity]
    assert failing == ["support/missed_updates.webhook_gaps"]


def test_run_guard_follows_a_key_prefix(harness: DagsterHarness) -> None:
    defs = prefixed("support")
    job = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey(["support", "raw_ticket_changes"])}
    )
    older = harness.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    result = run(harness, defs)
    assert not result.success
    assert f"Run {older.run_id} is syncing already" in failure_text(result)


def test_step_under_a_prefix_takes_no_other_batch(harness: DagsterHarness) -> None:
    """Neither that of the assets without a prefix, nor that of an earlier run."""
    harness.sync()
    harness.helpdesk.advance(3600)
    harness.helpdesk.change(3)
    assert harness.materialize("raw_ticket_changes").success
    defs = prefixed("support")
    run(harness, defs, "raw_ticket_changes")
    before = harness.rows("sync_state")
    result = run(harness, defs, "tickets_table")
    assert "it did not execute support/raw_ticket_changes" in failure_text(result)
    assert harness.rows("sync_state") == before


def test_replaced_keys_with_one_prefix_sync_as_without(harness: DagsterHarness) -> None:
    defs = renamed({name: ["support", name] for name in ASSET_NAMES})
    assert_synced(harness, run(harness, defs))
    assert harness.rows("sync_state")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"raw_ticket_changes": ["changes"]}, "Asset changes is raw_ticket_changes under another"),
        ({"tickets_table": ["a", "b"]}, "Asset a/b is tickets_table under another name"),
        ({"raw_ticket_changes": ["a", "raw_ticket_changes"]}, "it did not execute raw_ticket_"),
        ({"tickets_table": ["a", "tickets_table"]}, "it did not execute a/raw_ticket_changes"),
    ],
)
def test_keys_that_steps_cannot_follow_fail_the_run(
    harness: DagsterHarness, keys: dict[str, list[str]], message: str
) -> None:
    defs = renamed(keys)
    names = [*ASSET_NAMES, *(path[-1] for path in keys.values())]
    result = run(harness, defs, *names)
    assert not result.success
    assert message in failure_text(result)
    assert not watermarks(harness)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        *((name, {"table": "zendesk_tickets"}) for name in ASSET_NAMES),
        ("raw_ticket_changes", {"schema": "elsewhere"}),
        ("tickets_table", {"merge_guard": "insert_only"}),
    ],
)
def test_own_metadata_of_our_assets_is_refused(
    harness: DagsterHarness, name: str, changed: dict[str, Any]
) -> None:
    result = run(harness, with_metadata(name, changed))
    assert not result.success
    assert f"Asset {name}: its metadata {next(iter(changed))!r}" in failure_text(result)
    assert "set BIGQUERY_DATASET" in failure_text(result)
    assert not watermarks(harness)


@pytest.mark.parametrize(("project_id", "dataset"), [(None, "elsewhere"), ("other-project", "")])
def test_own_dataset_of_the_io_manager_is_refused(
    harness: DagsterHarness, project_id: str | None, dataset: str
) -> None:
    emulator = os.environ["BIGQUERY_EMULATOR_HOST"]
    own = BigQueryMergeIOManager(
        bigquery=HelpdeskBigQuery(project=project_id, api_endpoint=emulator), dataset=dataset
    )
    result = run(harness, project(SYNC_ASSETS, {IO_MANAGER_KEY: own}))
    assert not result.success
    assert "Asset raw_ticket_changes: the IO manager's `dataset`" in failure_text(result)
    assert "BIGQUERY_DATASET" in failure_text(result)
    assert not watermarks(harness)


def test_watermark_of_another_project_is_refused(harness: DagsterHarness) -> None:
    elsewhere = HelpdeskBigQuery(project="other-project", api_endpoint="http://127.0.0.1:1")
    watermark = WatermarkResource(bigquery=elsewhere)
    result = run(harness, project(SYNC_ASSETS, {"watermark": watermark}))
    assert not result.success
    assert "the settings of this step name SYNC_NAME tickets and dataset other-project." in (
        failure_text(result)
    )
    assert not watermarks(harness)


def test_documented_example_loads_with_its_checks() -> None:
    page = (Path(__file__).parents[2] / "docs" / "dagster.md").read_text(encoding="utf-8")
    example: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], example)  # noqa: S102 - our own page
    defs = example["defs"]
    dg.Definitions.validate_loadable(defs)
    steps = [n.name for n in defs.resolve_job_def("support_sync").graph.nodes_in_topological_order]
    assert [step for step in steps if step != "webhook_health"] == [*ASSET_NAMES, "sync_checks"]
