"""The graph as Dagster sees it. Changes of it affect users and belong in the changelog."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from helpdesk_assets.definitions import assets, checks, defs, jobs
from helpdesk_assets.defs.alerts.run_reports import AlertScope, check_subject
from helpdesk_assets.defs.table_metadata import spec_from
from helpdesk_assets.warehouse import tables

SPECS = {
    "raw_ticket_changes": tables.RAW_TICKET_CHANGES,
    "missed_updates": tables.MISSED_UPDATES,
    "tickets_table": tables.TICKETS,
    "sync_watermark": tables.SYNC_STATE,
}


def test_asset_graph() -> None:
    graph = defs.resolve_asset_graph()
    edges = {
        key.to_user_string(): sorted(p.to_user_string() for p in graph.get(key).parent_keys)
        for key in graph.get_all_asset_keys()
    }
    assert edges == {
        "raw_ticket_changes": [],
        "missed_updates": ["raw_ticket_changes"],
        "tickets_table": ["missed_updates"],
        "sync_watermark": ["tickets_table"],
        "webhook_health": ["missed_updates"],
        "drained_webhooks": [],
        "ticket_backfill": [],
        "ticket_inventory": ["sync_watermark"],
    }


def test_asset_checks() -> None:
    keys = defs.resolve_asset_graph().asset_check_keys
    assert sorted(f"{key.asset_key.to_user_string()}.{key.name}" for key in keys) == [
        "missed_updates.webhook_gaps",
        "missed_updates.webhook_latency",
        "missed_updates.webhook_silence",
        "raw_ticket_changes.no_fallback",
        "raw_ticket_changes.overlap_too_small",
        "raw_ticket_changes.read_whole",
        "sync_watermark.watermark_fresh",
        "ticket_inventory.inventory_matches",
        "tickets_table.no_null_keys_or_times",
        "tickets_table.no_time_in_the_future",
        "tickets_table.one_row_per_ticket",
        "tickets_table.table_shrank",
    ]


def test_job_runs_steps_in_order_and_checks_last() -> None:
    job = defs.resolve_job_def("helpdesk_sync")
    assert job.executor_def.name == "in_process"
    assert int(job.tags["dagster/max_runtime"]) == 6 * 3600
    order = [node.name for node in job.graph.nodes_in_topological_order]
    assert order == [*SPECS, "sync_checks"]


def test_sync_schedule() -> None:
    schedule = defs.resolve_schedule_def("every_two_hours")
    assert schedule.job_name == "helpdesk_sync"
    assert schedule.cron_schedule == "0 */2 * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_webhooks_are_drained_every_five_minutes() -> None:
    job = defs.resolve_job_def("webhook_drain")
    assert [node.name for node in job.graph.nodes_in_topological_order] == ["drained_webhooks"]
    schedule = defs.resolve_schedule_def("every_five_minutes")
    assert (schedule.job_name, schedule.cron_schedule) == (job.name, "*/5 * * * *")
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    asset = defs.resolve_asset_graph().get(dg.AssetKey("drained_webhooks"))
    # One writer at a time, and no part of "Materialize all".
    assert asset.pools == {"helpdesk_sync"}
    assert asset.group_name == "webhooks"


def test_webhook_health_is_a_separate_job() -> None:
    job = defs.resolve_job_def("webhook_health_job")
    assert [node.name for node in job.graph.nodes_in_topological_order] == ["webhook_health"]
    schedule = defs.resolve_schedule_def("daily_webhook_health")
    assert (schedule.job_name, schedule.cron_schedule) == (job.name, "30 2 * * *")
    assert schedule.execution_timezone == "UTC"
    asset = defs.resolve_asset_graph().get(dg.AssetKey("webhook_health"))
    # It neither waits for a sync nor blocks one.
    assert asset.pools == set()
    assert asset.group_name == "helpdesk"


def test_reconciliation_is_weekly_and_independent_of_the_sync() -> None:
    job = defs.resolve_job_def("helpdesk_reconcile")
    assert [node.name for node in job.graph.nodes_in_topological_order] == ["ticket_inventory"]
    schedule = defs.resolve_schedule_def("weekly_reconciliation")
    assert (schedule.job_name, schedule.cron_schedule) == (job.name, "45 2 * * 0")
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    asset = defs.resolve_asset_graph().get(dg.AssetKey("ticket_inventory"))
    # It neither waits for a sync nor blocks one, and is not part of "Materialize all".
    assert asset.pools == {"helpdesk_reconcile"}
    assert asset.group_name == "reconciliation"


@pytest.mark.parametrize("asset", SPECS)
def test_asset_metadata_matches_the_tables(asset: str) -> None:
    spec = defs.resolve_asset_graph().get(dg.AssetKey(asset))
    assert spec.owners == ["team:support-data"]
    assert spec.group_name == "helpdesk"
    assert spec.pools == {"helpdesk_sync"}
    assert spec.freshness_policy is not None
    assert {"dagster/kind/bigquery", "dagster/kind/python"} <= spec.tags.keys()
    stated = spec_from(dg.AssetKey(asset), spec.metadata, spec.description)
    assert stated == SPECS[asset]


@pytest.mark.parametrize(
    ("environment", "sensors"),
    [
        ({}, "[]"),
        (
            {"ALERT_URLS": "json://127.0.0.1:1", "ALERT_INTERVAL_SECONDS": "600"},
            "['helpdesk_alerts RUNNING 600']",
        ),
        # The tick shows the error.
        (
            {"ALERT_URLS": "json://127.0.0.1:1", "ALERT_INTERVAL_SECONDS": "often"},
            "['helpdesk_alerts RUNNING 60']",
        ),
    ],
)
def test_definitions_load_without_any_service(
    tmp_path: Path, environment: dict[str, str], sensors: str
) -> None:
    """Load in a separate process, with sockets forbidden.

    Only runs read settings, except the one that turns alerts on. The modules that send alerts are
    not imported.
    """
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('a socket at import')\n"
        "socket.socket.connect = refuse\n"
        "from dagster import Definitions\n"
        "from helpdesk_assets.definitions import defs\n"
        "Definitions.validate_loadable(defs)\n"
        "assert 'apprise' not in sys.modules\n"
        "print([f'{s.name} {s.default_status.value} {s.minimum_interval_seconds}'"
        " for s in defs.sensors or ()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={
            "HOME": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HELPDESK_PAGE_SIZE": "no number",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == sensors


def test_alert_scope_covers_all_definitions() -> None:
    graph = defs.resolve_asset_graph()
    assert AlertScope.of([*assets, *checks], jobs) == AlertScope(
        frozenset(key.to_user_string() for key in graph.get_all_asset_keys()),
        frozenset(map(check_subject, graph.asset_check_keys)),
        frozenset(job.name for job in jobs),
    )
