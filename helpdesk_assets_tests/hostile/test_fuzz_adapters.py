"""Whatever a helpdesk answers, an adapter returns tickets or raises an error of ours, and ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

import helpdesk_assets
from helpdesk_assets.errors import EndpointFailed, HelpdeskAssetsError
from helpdesk_assets.model.tickets import Page, Ticket
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.client.http import Api
from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.providers.registry import PROVIDERS, make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.hostile.strategies import MODIFIED, fewer, objects, values, written

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
SINCE = NOW - timedelta(days=2)
# An adapter that asks on for ever is stopped here; what is told apart is only how it ends.
MOST_CALLS = 60
PROVIDERS_FOLDER = Path(helpdesk_assets.__file__).parent / "providers"
COMMON_NAMES = ("id", "Id", "ticketId", "subject", "count")


def names_of(provider: str) -> list[str]:
    """Return the field names that an adapter's sources mention."""
    sources = sorted((PROVIDERS_FOLDER / provider).glob("*.py"))
    assert sources
    found = (re.findall(r'"([A-Za-z_]{2,30})"', path.read_text()) for path in sources)
    return sorted({*COMMON_NAMES, *(name for names in found for name in names)})


def bodies(provider: str) -> st.SearchStrategy[bytes]:
    names = names_of(provider)
    near_values = values | st.sampled_from((MODIFIED, "7", 7, "https://127.0.0.1/x?page=2"))
    rows = objects(names, of=near_values)
    answers = objects(names, of=near_values | rows | st.lists(rows, max_size=3))
    said: st.SearchStrategy[Any] = values | st.lists(rows, max_size=3) | answers
    return said.map(written) | st.binary(max_size=8)


ANSWERS = {provider: bodies(provider) for provider in PROVIDERS}
each_adapter = pytest.mark.parametrize("provider", PROVIDERS)


@contextmanager
def answering(provider: str, answers: list[bytes], *, skip_bad: bool) -> Iterator[Helpdesk]:
    """An adapter that receives these answers in turn, whatever it requests."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg,unused-ignore]
        helpdesk_provider=provider,
        helpdesk_base_url="https://127.0.0.1",
        helpdesk_user="sync@example.com",
        helpdesk_api_token=SecretStr("a-token"),
        helpdesk_time_zone="UTC",
        helpdesk_skip_bad_tickets=skip_bad,
        zoho_accounts_url="https://127.0.0.1",
        zoho_org_id="1",
        zoho_client_id="an-id",
        zoho_client_secret=SecretStr("a-secret"),
        zoho_refresh_token=SecretStr("a-token"),
        helpdesk_token_cache="off",
    )
    said = islice(cycle(answers), MOST_CALLS)

    def get(_: Api, path: str, *__: Any, **___: Any) -> Reply:
        body = next(said, None)
        if body is None:
            raise EndpointFailed("It has asked enough.")
        return Reply(path, 200, {}, body, NOW)

    world = Runtime(lambda: NOW, lambda: 0.0, lambda _: None, lambda: 0.5)
    with patch.object(Api, "get", get):
        helpdesk = make_helpdesk(settings, world)
        try:
            yield helpdesk
        finally:
            helpdesk.close()


def read(ask: Callable[[], Any]) -> list[Ticket]:
    pages, said = list[Any](), ""
    try:
        pages = list(ask())
    except HelpdeskAssetsError as error:
        said = str(error)
    assert not said or said.isprintable()
    return [ticket for page in pages if isinstance(page, Page) for ticket in page.tickets]


@pytest.mark.slow
@each_adapter
@fewer
@given(data=st.data(), skip_bad=st.booleans())
def test_any_response_gives_tickets_or_a_known_error(
    provider: str, data: st.DataObject, skip_bad: bool
) -> None:
    answers = data.draw(st.lists(ANSWERS[provider], min_size=1, max_size=4))
    with answering(provider, answers, skip_bad=skip_bad) as helpdesk:
        tickets = [
            *read(lambda: helpdesk.changes(SINCE, NOW)),
            *read(helpdesk.listing),
            *read(lambda: [helpdesk.ticket("7")]),
        ]
    for ticket in tickets:
        assert ticket.ticket_id
        assert ticket.modified_time.tzinfo is UTC


@each_adapter
@given(cursor=st.text(max_size=30) | values.map(lambda value: written(value).decode()))
@example(cursor="null")
@example(cursor='{"first": 1}')
def test_foreign_cursor_or_position_is_rejected_or_ignored(provider: str, cursor: str) -> None:
    """They come from a row of the state table, which people can change."""
    with answering(provider, [b"{}"], skip_bad=True) as helpdesk:
        read(lambda: helpdesk.changes(SINCE, NOW, cursor))
        read(lambda: helpdesk.changes(SINCE, NOW, None, cursor))
