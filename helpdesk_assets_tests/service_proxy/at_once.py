"""Runs several writers in threads, so that their statements overlap whenever nothing forbids it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from helpdesk_assets_tests.service_proxy.clocks import JumpingClock

Work = Callable[[], object]
# A writer that waits for another one for so long waits for ever.
STUCK_AFTER = 120.0


def run_at_once(clock: JumpingClock, works: Sequence[Work]) -> list[Exception | None]:
    """Run each work in a thread of its own.

    Args:
        clock: the service's; it stands until each has begun what it can.
        works: what to run; each is one client.

    Returns:
        What each failed with, in the same order.
    """
    errors: list[Exception | None] = [None] * len(works)

    def run(number: int) -> None:
        try:
            works[number]()
        except Exception as error:  # noqa: BLE001 - handed to the caller
            errors[number] = error
        finally:
            clock.leave()

    clock.set_clients(len(works))
    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STUCK_AFTER)
    assert not any(thread.is_alive() for thread in threads), "the writers wait for each other"
    clock.set_clients(1)
    return errors
