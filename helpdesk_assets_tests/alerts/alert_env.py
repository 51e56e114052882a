"""A small code location with a job, checks and an alert sensor, over simulated hours.

Only the cursor survives a tick: sensor, resource and context are new for each, as in a process that
has just started.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from helpdesk_assets.defs.alerts.run_reports import AlertScope
from helpdesk_assets.defs.alerts.sensor import AlertsResource, build_alert_sensor
from helpdesk_assets_tests.defs.code_location import job_origin

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@dataclass
class Conditions:
    """The state that the next run finds."""

    missed: int = 0
    severity: dg.AssetCheckSeverity = ERROR
    helpdesk_down: bool = False
    counting_crashes: bool = False
    blocking_fails: bool = False


def definitions(conditions: Conditions) -> tuple[list[dg.AssetsDefinition], dg.Definitions]:
    """Two assets with three checks, one of which fails on demand and one of which blocks."""

    @dg.asset
    def fetched() -> None:
        if conditions.helpdesk_down:
            raise dg.Failure("The helpdesk did not answer. Try again later.", allow_retries=False)

    @dg.asset(deps=[fetched])
    def stored() -> None:
        pass

    @dg.asset_check(asset=stored)
    def gaps() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=not conditions.missed,
            severity=conditions.severity,
            description=f"{conditions.missed} of 40 changes were missed."
            if conditions.missed
            else "All came.",
            metadata={
                "missed": conditions.missed,
                "ticket_ids": dg.MetadataValue.json(
                    [str(1000 + n) for n in range(conditions.missed)]
                ),
            },
        )

    @dg.asset_check(asset=stored)
    def counted() -> dg.AssetCheckResult:
        if conditions.counting_crashes:
            raise ValueError("not a number")
        return dg.AssetCheckResult(passed=True)

    @dg.asset_check(asset=fetched, blocking=True)
    def whole() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=not conditions.blocking_fails, description="A page was short."
        )

    assets: list[dg.AssetsDefinition] = [fetched, stored, gaps, counted, whole]
    job = dg.define_asset_job("sync", selection=dg.AssetSelection.all())
    defs = dg.Definitions(assets=[fetched, stored], asset_checks=[gaps, counted, whole], jobs=[job])
    return assets, defs


@dataclass
class AlertEnv:
    instance: dg.DagsterInstance
    conditions: Conditions = field(default_factory=Conditions)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.assets, self.defs = definitions(self.conditions)
        self.scope = AlertScope(
            assets=frozenset(("fetched", "stored")),
            checks=frozenset(("stored.gaps", "stored.counted", "fetched.whole")),
            jobs=frozenset(("sync",)),
        )

    def run(self, tags: dict[str, str] | None = None, run_id: str | None = None) -> str:
        """Run the job once; returns the run's id."""
        job = self.defs.resolve_job_def("sync")
        done = job.execute_in_process(
            instance=self.instance, raise_on_error=False, tags=tags, run_id=run_id
        )
        return done.run_id

    def materialize(self, *assets: str) -> str:
        """Materialize these assets without the job, as from the UI."""
        job = self.defs.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            raise_on_error=False,
        ).run_id

    def cancel(self) -> str:
        """Record a run that was cancelled before it started."""
        run = self.instance.create_run_for_job(self.defs.resolve_job_def("sync"))
        self.instance.report_run_canceled(run)
        return run.run_id

    def kill_run(self, location: str | None = None, tags: dict[str, str] | None = None) -> str:
        """Record a run whose process was killed, as Dagster's monitoring does.

        The run was started by the given code location, or from a shell.
        """
        origin = job_origin(location, "sync") if location else None
        run = self.instance.create_run_for_job(
            self.defs.resolve_job_def("sync"), remote_job_origin=origin, tags=tags
        )
        self.instance.report_run_failed(run, "Run worker was killed.")
        return run.run_id

    def tick(self) -> str:
        """Run one tick as the daemon does; the cursor changes only if the tick succeeds."""
        sensor = build_alert_sensor(self.scope, now=lambda: self.now)
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"alerts": AlertsResource()}
        ) as context:
            skipped = sensor(context)
            self.cursor = context.cursor
        assert isinstance(skipped, dg.SkipReason)
        return skipped.skip_message or ""

    def advance(self, span: timedelta) -> None:
        self.now += span
