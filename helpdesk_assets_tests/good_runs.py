"""The runs of which any one makes a ticket right, as a person or a schedule starts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets_tests.harness import Harness

GOOD_RUNS: Mapping[str, Callable[[Harness, str], Any]] = {
    "full": lambda harness, _: harness.sync(RequestedMode.FULL),
    "reconcile": lambda harness, _: harness.reconcile(),
    "repair": lambda harness, ticket_id: harness.repair([ticket_id]),
}
