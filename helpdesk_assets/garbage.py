"""Let Python look for garbage cycles less often in a process that does one thing and ends.

A page of tickets makes thousands of containers, which are freed as soon as it is stored. Looking
through them for cycles took a tenth of a full load's CPU time, and half of its memory was waiting
for it. Python also looks through everything when it exits: through all that Dagster imports, that
takes it a third of a second.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New containers between two looks, and how many looks at young ones per look at older ones.
THRESHOLDS = (50_000, 20, 1000)


def collect_rarely() -> None:
    """Look less often from now on, and never again at what exists already, not even at exit.

    For a process that ends with what it does: garbage that exists already stays until then.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look less often within the block, and never at what existed before it."""
    before = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def imports_kept() -> Iterator[None]:
    """Import modules in the block without looking for cycles, for imports leave none to speak of.

    What exists at the end of the block is never looked at, until `gc.unfreeze`.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
