"""A receiver that takes in the webhooks of a simulated helpdesk, and whose clock agrees with it."""

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
    """Moved for both machines at once; a commit is late by what has passed here."""

    simulator: SimulatedHelpdesk
    offset: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, seconds: float) -> None:
        """Once what is on its way has come: it left before."""
        self.simulator.webhook_status()
        self.offset += timedelta(seconds=seconds)
        self.simulator.advance(seconds)


@contextmanager
def subscribed_receiver(simulator: SimulatedHelpdesk, settings: Settings) -> Iterator[SharedClock]:
    """The desk is subscribed to the receiver, which it posts to again until it is answered 2xx.

    Its clock must be the real one before.
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
    with served(build_app(open_dependencies(own), now=time.now), own) as url:
        simulator.send_webhooks(url=f"{url}/webhooks/rest", secret=SECRET, tries=5)
        yield time
        assert set(simulator.webhook_status().answers) <= {"200"}
