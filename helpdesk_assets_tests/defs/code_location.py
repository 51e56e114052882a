"""What a daemon writes into the runs that it starts."""

from __future__ import annotations

# There is no public way to make one.
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)


def job_origin(location: str, job: str) -> RemoteJobOrigin:
    """Return the origin of a job's runs in this code location."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
    return RemoteJobOrigin(repository, job)
