"""A receiver of a simulated helpdesk's webhooks, with the helpdesk's clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.receiver.app import build_app
from helpdesk_assets.receiver.wiring import open_dependencies
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.receiver_process import served
from helpdesk_assets_tests.receiver.webhook_posts import SECRET

# Posts are signed at the real time, from which the receiver's clock departs here.
TOLERANCE_SECONDS = 86_400


@dataclass(slots=True)
class SharedClock:
    """One clock for both; the latency of a commit is real time."""

    simulator: SimulatedHelpdesk
    offset: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock, after webhooks already sent have arrived."""
        self.simulator.webhook_status()
        self.offset += timedelta(seconds=seconds)
        self.simulator.advance(seconds)


@contextmanager
def subscribed_receiver(simulator: SimulatedHelpdesk, settings: Settings) -> Iterator[SharedClock]:
    """A receiver that the helpdesk posts to, retrying until the answer is 2xx.

    The helpdesk's clock must be real time before.
    """
    own = settings.model_copy(
        update={
            "helpdesk_base_url": simulator.base_url,
            "helpdesk_api_token": SecretStr(simulator.token),
            "webhook_secrets": SecretStr(SECRET),
            "webhook_tolerance_seconds": TOLERANCE_SECONDS,
        }
    )
    time = SharedClock(simulator)
    with served(build_app(open_dependencies(own), now=time.now)) as url:
        simulator.send_webhooks(url=f"{url}/webhooks/rest", secret=SECRET, tries=5)
        yield time
        assert set(simulator.webhook_status().answers) <= {"200"}
