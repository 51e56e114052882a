"""What Zoho Desk is answered: 200 within its five seconds, and never what removes a webhook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import helpdesk_assets.receiver
from helpdesk_assets.providers.registry import PROVIDERS, make_webhook_format
from helpdesk_assets.receiver.wiring import ANSWER_SECONDS, APPEND_SECONDS
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.zoho_desk.canned import settings_for
from helpdesk_assets_tests.receiver.conftest import MemoryStore, Open
from helpdesk_assets_tests.receiver.webhook_posts import SECRET, Sender

# desk.zoho.com/support/WebhookDocument.do: it waits so long, and a 410 removes the webhook.
ZOHO_WAITS = 5.0
REMOVES = 410
ZOHO = {
    name: value
    for name, value in settings_for("http://127.0.0.1:9")
    if name.startswith("zoho_") or name == "helpdesk_provider"
}
POSTS = {
    "changed": [{"eventType": "Ticket_Update", "payload": {"id": "7"}, "orgId": "6000"}],
    "deleted": [{"eventType": "Ticket_Delete", "payload": {"id": "7"}, "eventTime": "1"}],
    "another module": [{"eventType": "Contact_Delete", "payload": {"id": "7"}}],
    "empty": [],
    "without a payload": [{"eventType": "Ticket_Update"}],
    "without an id": [{"eventType": "Ticket_Update", "payload": {}}],
    "no JSON": b"<html>",
    "validation": {},
}


def status_of(sender: Sender, post: Any, query: str = f"?secret={SECRET}") -> int:
    body = post if isinstance(post, bytes) else json.dumps(post).encode()
    return sender.post(body, {"Content-Type": "application/json"}, query).status_code


def test_no_answer_removes_the_webhook(open_alone: Open, memory: MemoryStore) -> None:
    with open_alone(**ZOHO, store=memory) as sender:
        given = {name: status_of(sender, post) for name, post in POSTS.items()}
        strange = status_of(sender, POSTS["changed"], "?secret=wrong")
        methods = {sender.request(each).status_code for each in ("GET", "HEAD", "DELETE", "PUT")}
    assert given["changed"] == given["deleted"] == given["another module"] == 200
    assert [event.ticket_id for event in memory.events] == ["7", "7"]
    assert REMOVES not in {*given.values(), strange, *methods}


def test_no_answer_of_any_kind_removes_a_webhook() -> None:
    """Nothing in the receiver knows that status, by its number or by its name."""
    files = list(Path(helpdesk_assets.receiver.__path__[0]).glob("*.py"))
    assert len(files) > 10
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert str(REMOVES) not in text, file
        assert "GONE" not in text, file


def test_url_check_and_validation_post_are_answered(open_alone: Open, memory: MemoryStore) -> None:
    """Zoho asks for the URL before it makes a webhook, and posts to it if that fails."""
    with open_alone(**ZOHO, store=memory) as sender:
        assert sender.request("GET").status_code == 200
        assert status_of(sender, []) == 200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_append_ends_before_the_vendor_gives_up(provider: str) -> None:
    settings = Settings(_env_file=None, helpdesk_provider=provider)  # type: ignore[call-arg,unused-ignore]
    timeout = make_webhook_format(settings).timeout
    assert min(APPEND_SECONDS, timeout - ANSWER_SECONDS) + ANSWER_SECONDS <= timeout
    if provider == "zoho_desk":
        assert timeout < ZOHO_WAITS
