"""One lock for work that only computes, so that threads overlap only while they wait.

Threads that parse at the same time gain nothing from Python's one interpreter lock and pay for
passing it around: with eight of them, a third of a full load's CPU time went into that.
"""

from __future__ import annotations

import threading

# Reentrant, because reading a page of tickets parses within it. Never held while anything waits.
COMPUTING = threading.RLock()
