"""One job under one id, from the request for it to its end.

The id stays the same for as long as nobody knows that the job has failed. An answer that is lost,
a 504 or a time-out leaves the job running on the service, and a second id would run the statement
twice at the same time; so the job is looked for under its id, or asked for again under it, which
the service answers with 409 if it has the job. Must not know statements, tables or retries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as google
from google.api_core.retry import Retry

from helpdesk_assets.errors import WarehouseUnavailable
from helpdesk_assets.warehouse.bigquery.deadlines import Deadlines
from helpdesk_assets.warehouse.bigquery.error_kinds import is_answer_lost
from helpdesk_assets.warehouse.bigquery.errors import CLIENT_ERRORS, Target, to_error

if TYPE_CHECKING:
    from google.cloud import bigquery

log = logging.getLogger(__name__)

Start = Callable[[str], Any]

# Each answer is judged here: google's own retries would hide which request has got none.
ONCE = Retry(predicate=lambda _: False)
# The longest pause between two requests, in seconds.
MAX_WAIT = 32.0
# For how long a job that the service says it has may be unknown to it. google's client waits as
# long: https://github.com/googleapis/python-bigquery/issues/2134, and
# `_DEFAULT_GET_JOB_CONFLICT_RETRY` in google/cloud/bigquery/retry.py.
CONFLICT_PATIENCE = 120.0
# Whoever leaves waits so long to learn whether the job has ended; somebody may have pressed Ctrl-C.
CANCEL_REQUEST = 10.0
CANCEL_PATIENCE = 10.0
NOTICE_EVERY = 300.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and randomness: `sleep` and `monotonic` in seconds, `rng` from 0 to 1."""

    sleep: Callable[[float], None]
    rng: Callable[[], float]
    monotonic: Callable[[], float]

    def pause(self, tries: int) -> None:
        """Wait before a request is made again, longer each time, after `tries` failures."""
        self.sleep(self.rng() * min(MAX_WAIT, 2.0 ** (tries - 1)))


@dataclass(frozen=True, slots=True)
class Service:
    """Where jobs run. `locate` returns the dataset's location, without which no job is found."""

    client: bigquery.Client
    deadlines: Deadlines
    target: Target
    locate: Callable[[], str | None]


class JobFailed(Exception):
    """The job has ended with an error of its own, or was never taken: its id is used up.

    Attributes:
        error: what the service said.
        has_run: there is such a job; False: the service refused to take it.
        was_found: the job was there before it was asked for, such as from an earlier try.
    """

    def __init__(self, error: Exception, *, has_run: bool, was_found: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.has_run = has_run
        self.was_found = was_found


class _TimeUp(Exception):
    """The job has not ended within the client's deadline."""


class OneJob:
    """One job; `action` completes "BigQuery failed while …" and names it."""

    def __init__(self, service: Service, clock: Clock, job_id: str, action: str) -> None:
        self._service = service
        self._clock = clock
        self._job_id = job_id
        self._action = action
        self._was_found = False
        self._location = service.target.location

    def run(self, start: Start, *, look_first: bool) -> Any:
        """Start the job unless the service has it, and wait for its end.

        Whoever leaves before the end cancels it.

        Args:
            start: asks for the job under the id that it is given, and returns it.
            look_first: an earlier try may have started it, so look before asking for it.

        Raises:
            JobFailed: it has failed.
            WarehouseUnavailable: it took too long, or nobody knows what became of it.
        """
        try:
            job = self._find_earlier() if look_first else None
            return self._wait(job or self._submit(start))
        except JobFailed:
            raise
        except BaseException as error:
            ended = self._leave()
            if isinstance(error, (_TimeUp, *CLIENT_ERRORS)):
                if ended is not None and _own_failure(ended) is None:
                    return ended
                raise self._left(error, ended) from error
            log.warning("Stopped while %s: %s.", self._action, _outcome(ended))
            raise

    def _find_earlier(self) -> Any | None:
        job = self._look()
        self._was_found = job is not None
        return job

    def _submit(self, start: Start) -> Any:
        until = self._clock.monotonic() + self._service.deadlines.call
        tries = 0
        while True:
            try:
                return start(self._job_id)
            except google.Conflict:
                self._was_found = tries == 0
                return self._expect()
            except CLIENT_ERRORS as error:
                if not is_answer_lost(error):
                    raise JobFailed(error, has_run=False, was_found=False) from error
                tries += 1
                # Looked for before it is asked for again: an upload need not be repeated then.
                if (job := self._look()) is not None:
                    return job
                if self._clock.monotonic() >= until:
                    raise
                self._clock.pause(tries)

    def _look(self) -> Any | None:
        """Return the job if the service has it; None if it has not, or does not say."""
        try:
            return self._get()
        except (google.NotFound, WarehouseUnavailable):
            return None
        except CLIENT_ERRORS as error:
            if not is_answer_lost(error):
                raise
            return None

    def _expect(self) -> Any:
        """Return a job that the service has said it has; it may not find it at once."""
        until = self._clock.monotonic() + CONFLICT_PATIENCE
        tries = 0
        while (job := self._look()) is None:
            if self._clock.monotonic() >= until:
                raise WarehouseUnavailable(
                    f"BigQuery has a job that it does not find while {self._action}. Run again "
                    "later."
                )
            tries += 1
            self._clock.pause(tries)
        return job

    def _get(self) -> Any:
        self._location = self._service.locate()
        return self._service.client.get_job(
            self._job_id,
            location=self._location,
            retry=ONCE,
            timeout=self._service.deadlines.request,
        )

    def _wait(self, job: Any) -> Any:
        """Wait for the job's end; only its own error, or the deadline, ends that earlier."""
        began = self._clock.monotonic()
        told = tries = 0
        self._location = job.location or self._location
        while (left := began + self._service.deadlines.job - self._clock.monotonic()) > 0:
            try:
                job.result(retry=ONCE, timeout=min(left, self._service.deadlines.request))
            except CLIENT_ERRORS as error:
                tries += 1
                if not self._has_ended(job, error):
                    told = self._tell(began, told)
                    self._clock.pause(tries)
                    continue
            if (failure := _own_failure(job)) is not None:
                raise JobFailed(failure, has_run=True, was_found=self._was_found)
            return job
        raise _TimeUp

    def _tell(self, began: float, told: int) -> int:
        """Say every five minutes what is waited for; return how often it has been said."""
        waited = self._clock.monotonic() - began
        if waited < (told + 1) * NOTICE_EVERY:
            return told
        log.warning("Still %s, for %.0f s now.", self._action, waited)
        return int(waited // NOTICE_EVERY)

    def _has_ended(self, job: Any, error: Exception) -> bool:
        """Return whether the job has ended: an error while waiting need not be the job's."""
        if _is_done(job):
            return True
        try:
            job.reload(retry=ONCE, timeout=self._service.deadlines.request)
        except google.NotFound:
            self._expect()
        except CLIENT_ERRORS as again:
            if not is_answer_lost(again):
                raise
            return False
        if not _is_done(job) and not is_answer_lost(error):
            raise error
        return _is_done(job)

    def _leave(self) -> Any | None:
        """Cancel the job; return it if it has ended, None if that is not known."""
        client, location = self._service.client, self._location
        try:
            client.cancel_job(self._job_id, location=location, retry=ONCE, timeout=CANCEL_REQUEST)
        except CLIENT_ERRORS:
            return None
        until = self._clock.monotonic() + CANCEL_PATIENCE
        while True:
            try:
                job = client.get_job(
                    self._job_id, location=location, retry=ONCE, timeout=CANCEL_REQUEST
                )
            except CLIENT_ERRORS:
                return None
            if _is_done(job):
                return job
            if self._clock.monotonic() >= until:
                return None
            self._clock.sleep(1.0)

    def _left(self, error: Exception, ended: Any | None) -> Exception:
        """Return what to raise for the error that ended the waiting."""
        outcome = _outcome(ended)
        if isinstance(error, _TimeUp):
            return WarehouseUnavailable(
                f"BigQuery has not finished within {self._service.deadlines.job:g} s while "
                f"{self._action}: {outcome}. Run again later."
            )
        told = to_error(error, self._action, self._service.target)
        if is_answer_lost(error) and not self._service.target.is_emulator:
            return WarehouseUnavailable(f"{told} The job: {outcome}.")
        return told


def _is_done(job: Any) -> bool:
    return bool(job.state == "DONE")


def _own_failure(job: Any) -> Exception | None:
    """Return the error that a job has ended with; None if it has not, or has succeeded."""
    failure: Exception | None = job.exception() if _is_done(job) and job.error_result else None
    return failure


def _outcome(ended: Any | None) -> str:
    """Say what became of a job that was cancelled."""
    if ended is None:
        return (
            "its end was asked for and is not known yet. BigQuery ends it by itself; a retry of "
            "this step looks for it first"
        )
    if _own_failure(ended) is None:
        return "it had succeeded already"
    return "it was cancelled and has changed nothing"
