"""Let Python look for garbage cycles less often while a command reads tickets.

A page makes thousands of containers, which are freed as soon as it is stored. Looking through them
for cycles took a tenth of a full load's CPU time, and half of its memory was waiting for it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New containers between two looks, and how many looks at young ones per look at older ones.
THRESHOLDS = (50_000, 20, 1000)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look less often within the block, and never at what was imported before it."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
