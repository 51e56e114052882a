"""Runs the real Dagster job in this process, and collects its results.

Importing this module imports Dagster, which takes seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import dagster as dg

from helpdesk_assets.definitions import defs
from helpdesk_assets.defs import metadata
from helpdesk_assets.errors import HelpdeskAssetsError, RetryableError
from helpdesk_assets.local.demo.results import CheckRunResult, SyncRunResult
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.model.codec import run_counts_from_json

T = TypeVar("T")

JOB_NAME = "helpdesk_sync"
# The job's log would hide the demo's output; failures are raised.
QUIET_RUN_CONFIG = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_job(instance: dg.DagsterInstance, admin_client: AdminClient) -> SyncRunResult:
    """Run the job that the schedule starts, including its checks.

    Raises:
        RetryableError: the run failed; the message is its first failure.
    """
    before, started = admin_client.counters().total, time.monotonic()
    result = _run_in_thread(
        lambda: defs.resolve_job_def(JOB_NAME).execute_in_process(
            instance=instance, run_config=QUIET_RUN_CONFIG, raise_on_error=False
        )
    )
    seconds = time.monotonic() - started
    if not result.success:
        raise _failure(result)
    calls = admin_client.counters().total - before
    run_metadata = _materialization_metadata(result, metadata.SYNC_WATERMARK)
    return SyncRunResult(
        mode=run_metadata["mode"],
        tickets=run_metadata["tickets_synced"],
        facts=run_counts_from_json(run_metadata[metadata.FACTS]),
        api_calls=calls,
        query_jobs=run_metadata["query_jobs"],
        load_jobs=run_metadata["load_jobs"],
        fetch_seconds=_materialization_metadata(result, metadata.RAW_TICKET_CHANGES)[
            "fetch_seconds"
        ],
        seconds=seconds,
        checks=_checks(result),
    )


def _run_in_thread(call: Callable[[], T]) -> T:
    """Return the call's result, from a new thread.

    In the main thread, Dagster treats Ctrl-C as a failed step and retries the step. Here, Ctrl-C
    interrupts only the waiting main thread; the daemon thread ends with the process.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it again
            outcome.set_exception(error)

    threading.Thread(target=work, name="dagster-job", daemon=True).start()
    return outcome.result()


def _materialization_metadata(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    (materialization,) = result.asset_materializations_for_node(asset)
    return {key: value.value for key, value in materialization.metadata.items()}


def _checks(result: dg.ExecuteInProcessResult) -> tuple[CheckRunResult, ...]:
    return tuple(
        CheckRunResult(
            found.check_name, found.passed, found.severity.value, found.description or ""
        )
        for found in result.get_asset_check_evaluations()
    )


def _failure(result: dg.ExecuteInProcessResult) -> HelpdeskAssetsError:
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        described = event.step_failure_data.user_failure_data
        text = described.description if described else (error.message if error else None)
        return RetryableError(
            f"Step {event.step_key} of {JOB_NAME} failed: {text or 'no reason given'}"
        )
    return RetryableError(f"{JOB_NAME} failed before its first step.")
