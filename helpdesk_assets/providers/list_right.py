"""Tells a ticket that an account may not see from an account that has lost its rights.

Both are a 403 to a call for one ticket. The first is that ticket's, and must stop nothing; with the
second no ticket can be read, and going on would report each of them. So a list is asked before such
an answer is believed, and again after a while, since rights may end during a run. Must not know any
vendor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# A run of hours asks a few dozen times; one that meets hundreds of such tickets, hardly more.
BELIEVED_SECONDS = 300.0


class ListRight:
    """Whether the account may read lists; may be used from any thread."""

    def __init__(
        self, read_some_list: Callable[[], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Set up, without a call.

        Args:
            read_some_list: asks for one page, and raises if that is refused.
            monotonic: seconds of a clock that never jumps.
        """
        self._read_some_list = read_some_list
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._believed_until = float("-inf")

    def check(self) -> None:
        """Check that the account may still read a list.

        Raises:
            CredentialsRefused: it may not.
            EndpointFailed: the list did not answer, so nobody knows.
        """
        with self._lock:
            if self._monotonic() >= self._believed_until:
                self._read_some_list()
                self._believed_until = self._monotonic() + BELIEVED_SECONDS
