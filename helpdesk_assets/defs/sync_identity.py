"""Tells the runs of this sync from those of other syncs and code locations on one instance."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.settings import Settings, load_settings

# The sync that a run works on. The schedule sets it, and so does the first step of any run.
SYNC_TAG = "sync_target"
# Dagster stores it with every run that a code location started.
_REPOSITORY_TAG = ".dagster/repository"
# How many runs of a code location are looked through for one that tells its sync.
_LOOKBACK_RUNS = 20


@dataclass(frozen=True, slots=True)
class SyncTarget:
    """The state row and the dataset that a sync writes to, with the dataset's location.

    Attributes:
        sync_name: `SYNC_NAME`.
        dataset: Project and dataset, joined by a dot.
        location: `BIGQUERY_LOCATION`; empty for the client's own.
    """

    sync_name: str
    dataset: str
    location: str

    @classmethod
    def of(cls, settings: Settings) -> SyncTarget:
        """Returns the target of these settings."""
        return cls(
            settings.sync_name,
            f"{settings.bigquery_project}.{settings.bigquery_dataset}",
            settings.bigquery_location or "",
        )

    def __str__(self) -> str:
        """The target in a message."""
        place = f" in {self.location}" if self.location else ""
        return f"SYNC_NAME {self.sync_name} and dataset {self.dataset}{place}"

    @property
    def tag(self) -> str:
        """The value of `SYNC_TAG`."""
        return f"{self.dataset}/{self.sync_name}"


def own_sync() -> str | None:
    """The tag of the sync that the environment names; None if the settings cannot be read."""
    try:
        return SyncTarget.of(load_settings()).tag
    except SettingsError:
        return None


def tag_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Tags the run with its sync, for the schedule, the run guard and the alerts of others."""
    sync = own_sync()
    if sync is not None:
        instance.add_run_tags(run_id, {SYNC_TAG: sync})


def location_of(run: dg.DagsterRun) -> str | None:
    """The code location that started the run; None if it was started from a shell."""
    return run.remote_job_origin.location_name if run.remote_job_origin else None


def is_of_other_sync(
    instance: dg.DagsterInstance, run: dg.DagsterRun, sync: str | None, location: str | None
) -> bool:
    """Whether the run belongs to another sync or code location, by all that is known of both.

    Args:
        instance: Dagster's instance.
        run: The run.
        sync: The own sync, see `own_sync`; None if unknown.
        location: The own code location. None if unknown, as to a schedule: a run that has not told
            its sync yet is then judged by the sync that its code location last worked on.
    """
    theirs, their_location = run.tags.get(SYNC_TAG), location_of(run)
    if location and their_location and their_location != location:
        return True
    if theirs is None and location is None:
        theirs = _last_sync_of_location(instance, run)
    return bool(sync and theirs and theirs != sync)


def _last_sync_of_location(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    origin = run.remote_job_origin
    if origin is None:
        return None
    same = dg.RunsFilter(tags={_REPOSITORY_TAG: origin.repository_origin.get_label()})
    runs = instance.get_runs(same, limit=_LOOKBACK_RUNS)
    return next((run.tags[SYNC_TAG] for run in runs if SYNC_TAG in run.tags), None)
