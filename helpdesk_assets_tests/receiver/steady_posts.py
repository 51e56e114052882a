"""Posts at a steady rate, as vendors send them, and how long their answers took."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from helpdesk_assets_tests.receiver.webhook_posts import Sender, rest_event, whole_ticket

# The vendor with the least patience waits for five seconds.
IN_TIME = 1.0
NEVER_LATER = 4.0
SENDERS = 64
TICKETS = 1000


@dataclass(frozen=True, slots=True)
class Answers:
    """Statuses in the order of the posts, and all latencies in seconds, the shortest first."""

    ids: Sequence[str]
    statuses: Sequence[int]
    latencies: Sequence[float]

    @property
    def p95(self) -> float:
        """Of 100 answers, 95 took no longer."""
        return self.latencies[min(len(self.latencies) - 1, len(self.latencies) * 95 // 100)]

    def check(self, stretch: float = 1.0) -> None:
        """Check that no vendor would have given up or been refused.

        Args:
            stretch: how many times longer everything took, for want of a free processor.
        """
        assert set(self.statuses) == {200}
        assert self.p95 < IN_TIME * stretch, f"p95 {self.p95:.2f} s"
        assert self.latencies[-1] < NEVER_LATER * stretch, f"longest {self.latencies[-1]:.2f} s"


def stretch(process: int) -> float:
    """Return how many times longer a process took than it worked, as it waited for a processor.

    Its answers are late on a machine that is busy with others, which is no fault of its own.
    """
    worked = waited = 0
    for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
        numbers = task.read_text().split()
        worked, waited = worked + int(numbers[0]), waited + int(numbers[1])
    return (worked + waited) / worked if worked else 1.0


def steady(url: str, *, per_second: float, seconds: float, name: str = "e") -> Answers:
    """Post events at a steady rate, whether or not those before are answered.

    Args:
        url: the receiver.
        per_second: the rate.
        seconds: for how long.
        name: begins the ids of the events.
    """
    began = time.monotonic()
    local = threading.local()
    ids = [f"{name}{number}" for number in range(max(1, round(per_second * seconds)))]

    def post(number: int) -> tuple[int, float]:
        due = began + number / per_second
        time.sleep(max(0.0, due - time.monotonic()))
        if not hasattr(local, "sender"):
            local.sender = opened.enter_context(closing(Sender(url)))
        ticket = whole_ticket(number % TICKETS, number, body="x" * 3000)
        status = local.sender.send(rest_event(ticket, ids[number])).status_code
        return status, time.monotonic() - due

    with ExitStack() as opened, ThreadPoolExecutor(SENDERS) as threads:
        found = list(threads.map(post, range(len(ids))))
    return Answers(ids, [status for status, _ in found], sorted(took for _, took in found))
