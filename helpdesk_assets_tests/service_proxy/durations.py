"""How long the service takes for a statement."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

Durations = Callable[[str], float]

# Of the standard normal distribution.
_Z95 = 1.6449


def lognormal(rng: random.Random, *, median: float = 3.0, p95: float = 6.0) -> Durations:
    """Return durations in seconds, whatever the statement.

    Documentation and users name 2 to 6 s for a MERGE; lognormal is how latencies usually are.

    Args:
        rng: the randomness.
        median: of the durations.
        p95: their 95th percentile.
    """
    sigma = math.log(p95 / median) / _Z95
    return lambda _sql: rng.lognormvariate(math.log(median), sigma)


def always(seconds: float) -> Durations:
    """Return the same duration for every statement."""
    return lambda _sql: seconds
