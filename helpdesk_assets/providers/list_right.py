"""Tells a ticket that an account may not see from an account that has lost its rights.

Both are a 403 to a call for one ticket. The first is that ticket's, and must stop nothing; with the
second no ticket can be read, and going on would report each of them. So a list is asked before such
an answer is believed, again after a while, and once more before what was read is used, since rights
may end during a run. Must not know any vendor.
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
        self._is_doubtful = False

    def check(self) -> None:
        """Check, after a refused ticket, that the account may read a list, or could not long ago.

        Raises:
            CredentialsRefused: it may not.
            EndpointFailed: the list did not answer, so nobody knows.
        """
        with self._lock:
            self._is_doubtful = True
            if self._monotonic() >= self._believed_until:
                self._read()

    def confirm(self) -> None:
        """Check that a list has answered since the latest `check`; without one, nothing is asked.

        Raises the errors of `check`.
        """
        with self._lock:
            if self._is_doubtful:
                self._read()

    def _read(self) -> None:
        self._believed_until = float("-inf")
        self._read_some_list()
        self._believed_until = self._monotonic() + BELIEVED_SECONDS
        self._is_doubtful = False
