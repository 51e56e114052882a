"""A receiver in front of a service whose statements take seconds, at rates of helpdesks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.receiver.conftest import stored_events
from helpdesk_assets_tests.receiver.receiver_process import ReceiverProcess, environment_of
from helpdesk_assets_tests.receiver.steady_posts import steady, stretch
from helpdesk_assets_tests.receiver.webhook_posts import Sender, rest_event, whole_ticket
from helpdesk_assets_tests.service_proxy.clocks import ScaledClock
from helpdesk_assets_tests.service_proxy.durations import lognormal
from helpdesk_assets_tests.service_proxy.keys import KEYS
from helpdesk_assets_tests.service_proxy.proxy import ServiceProxy

pytestmark = [pytest.mark.slow, pytest.mark.warehouse, pytest.mark.timeout(240)]

SEED = 13
# Events a second, and for how long.
RATES = ((0.1, 40.0), (1.0, 40.0), (10.0, 40.0), (100.0, 30.0))
# A minute's pace instead of five: more statements beside the answers than a user has.
DRAIN_EVERY = 10
DRAINED_WITHIN = 90.0
GROWTH_MB = 40


@pytest.fixture
def slow_service(settings: Settings) -> Iterator[Settings]:
    """The settings of a warehouse whose DML takes 3 to 6 s, in real time."""
    durations = lognormal(random.Random(SEED))
    host = settings.bigquery_emulator_host
    with ServiceProxy(host, ScaledClock(), durations=durations, keys=KEYS) as proxy:
        yield settings.model_copy(update={"bigquery_emulator_host": proxy.endpoint})
        # Nothing may come into a dataset that is dropped.
        proxy.finish()


def memory_mb(process: int) -> float:
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + DRAINED_WITHIN
    while not done():
        assert time.monotonic() < until, "what was appended is not drained"
        time.sleep(0.5)


def drained_ids(warehouse: BigQueryClient) -> set[str]:
    name = tables.WEBHOOK_OUTCOMES.name
    if warehouse.get_table(name, fresh=True) is None:
        return set()
    return {row["event_id"] for row in warehouse.list_rows(name)}


@pytest.mark.parametrize(("per_second", "seconds"), RATES)
def test_answers_come_in_time_while_a_slow_service_drains(
    slow_service: Settings,
    warehouse: BigQueryClient,
    tmp_path: Path,
    per_second: float,
    seconds: float,
) -> None:
    """Nothing acknowledged is lost, nothing grows, and what is appended is merged meanwhile."""
    environment = environment_of(slow_service, WEBHOOK_DRAIN_SECONDS=str(DRAIN_EVERY))
    with (
        ReceiverProcess(tmp_path, environment) as receiver,
        closing(Sender(receiver.url)) as sender,
    ):
        assert sender.send(rest_event(whole_ticket(0), "first")).status_code == 200
        early = steady(receiver.url, per_second=per_second, seconds=seconds / 2, name="early")
        before = memory_mb(receiver.process.pid)
        late = steady(receiver.url, per_second=per_second, seconds=seconds / 2, name="late")
        grown = memory_mb(receiver.process.pid) - before
        seen, stretched = sender.health(), stretch(receiver.process.pid)
        acknowledged = {"first", *early.ids, *late.ids}
        wait_until(lambda: acknowledged <= drained_ids(warehouse))
    for answers in (early, late):
        answers.check(stretched)
    assert seen["queued"] == 0
    assert grown < GROWTH_MB
    assert {event.event_id for event in stored_events(warehouse)} == acknowledged
    rows = [row["ticket_id"] for row in warehouse.list_rows(tables.TICKETS.name)]
    assert len(rows) == len(set(rows))
