"""A webhook receiver of a user, which writes raw tickets into the tickets table."""

from __future__ import annotations

from collections.abc import Collection

from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import load_settings
from helpdesk_assets_tests import webhook_function as webhooks
from helpdesk_assets_tests.defs.conftest import DagsterHarness


def deliver(harness: DagsterHarness, ticket_ids: Collection[str]) -> None:
    """Write these tickets' current versions, marked `_synced_by` webhook."""
    helpdesk = make_helpdesk(load_settings())
    webhooks.deliver(helpdesk, harness.warehouse, ticket_ids, run_id="webhook")
    helpdesk.close()
