"""A code location that starts one run of the sync by itself, as a schedule would at its hour."""

from __future__ import annotations

from types import ModuleType

import dagster as dg


def with_one_run(definitions: ModuleType) -> dg.Definitions:
    """Return the definitions with a sensor in place of the schedules."""

    @dg.sensor(
        job_name="helpdesk_sync",
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sync_once() -> dg.RunRequest:
        return dg.RunRequest(run_key="once")

    return dg.Definitions(
        assets=definitions.assets,
        asset_checks=definitions.checks,
        jobs=definitions.jobs,
        sensors=[*(definitions.defs.sensors or ()), sync_once],
        resources=definitions.defs.resources,
        executor=dg.in_process_executor,
    )
