"""Our errors as Dagster's, in this one place.

Only an error that passes by itself may use up a step's retries: a refused token stays refused, and
each retry of it would cost the user minutes. Any other exception is a bug and is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from helpdesk_assets.errors import HelpdeskAssetsError, RetryableError


@contextmanager
def as_failure() -> Iterator[None]:
    """Raise our errors as `dg.Failure` with the same sentence."""
    try:
        yield
    except HelpdeskAssetsError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__},
            allow_retries=isinstance(error, RetryableError),
        ) from error
