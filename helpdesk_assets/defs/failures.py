"""Converts this project's errors into Dagster failures.

Only a retryable error may use up a step's retries: a refused token stays refused, and each retry
would cost the user minutes. Any other exception is a bug and passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from helpdesk_assets.errors import HelpdeskAssetsError, MachineError, RetryableError


@contextmanager
def as_failure() -> Iterator[None]:
    """Raises this project's errors, and those of the machine, as `dg.Failure` with a message."""
    try:
        yield
    except HelpdeskAssetsError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__},
            allow_retries=isinstance(error, RetryableError),
        ) from error
    except OSError as error:
        raise dg.Failure(
            description=str(MachineError.of(error, "The step")),
            metadata={"error": type(error).__name__},
            allow_retries=True,
        ) from error
