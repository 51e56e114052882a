"""Run the real job in this process and read from Dagster what it did.

Imports Dagster, so whoever imports this module pays its seconds.
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
from helpdesk_assets.errors import HelpdeskAssetsError, TryAgainLater
from helpdesk_assets.local.demo.results import CheckOutcome, SyncOutcome
from helpdesk_assets.local.simulator.admin_client import HelpdeskControl
from helpdesk_assets.model.codec import facts_from_json

T = TypeVar("T")

JOB = "helpdesk_sync"
# Its log would drown the story; what went wrong is raised.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_job(instance: dg.DagsterInstance, control: HelpdeskControl) -> SyncOutcome:
    """One run of the job that the schedule starts, checks included.

    Raises:
        TryAgainLater: it failed; the message is its first failure.
    """
    before, started = control.counters().total, time.monotonic()
    result = _apart(
        lambda: defs.resolve_job_def(JOB).execute_in_process(
            instance=instance, run_config=QUIET, raise_on_error=False
        )
    )
    seconds = time.monotonic() - started
    if not result.success:
        raise _failure(result)
    calls = control.counters().total - before
    told = _told(result, metadata.SYNC_WATERMARK)
    return SyncOutcome(
        mode=told["mode"],
        tickets=told["tickets_synced"],
        facts=facts_from_json(told[metadata.FACTS]),
        api_calls=calls,
        query_jobs=told["query_jobs"],
        load_jobs=told["load_jobs"],
        fetch_seconds=_told(result, metadata.RAW_TICKET_CHANGES)["fetch_seconds"],
        seconds=seconds,
        checks=_checks(result),
    )


def _apart(call: Callable[[], T]) -> T:
    """The call's result, from a thread of its own.

    In the main thread Dagster takes Ctrl-C for a step that failed, and tries that step again. Here
    it is the one who waits that is interrupted; the thread ends with the process.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
            outcome.set_exception(error)

    threading.Thread(target=work, name="dagster-job", daemon=True).start()
    return outcome.result()


def _told(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    (materialization,) = result.asset_materializations_for_node(asset)
    return {key: value.value for key, value in materialization.metadata.items()}


def _checks(result: dg.ExecuteInProcessResult) -> tuple[CheckOutcome, ...]:
    return tuple(
        CheckOutcome(found.check_name, found.passed, found.severity.value, found.description or "")
        for found in result.get_asset_check_evaluations()
    )


def _failure(result: dg.ExecuteInProcessResult) -> HelpdeskAssetsError:
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        described = event.step_failure_data.user_failure_data
        text = described.description if described else (error.message if error else None)
        return TryAgainLater(f"Step {event.step_key} of {JOB} failed: {text or 'no reason given'}")
    return TryAgainLater(f"{JOB} failed before its first step.")
