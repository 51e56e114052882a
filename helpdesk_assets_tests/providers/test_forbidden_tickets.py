"""One ticket that an account may not see stops nothing; an account without rights stops all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, RightMissing, TicketForbidden
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.list_right import BELIEVED_SECONDS, ListRight
from helpdesk_assets.providers.rest.adapter import RestAdapter, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback

ROW = b'{"id":"%d","createdTime":"2026-11-01T08:00:00Z","modifiedTime":"2026-11-01T08:00:00Z"}'
HIDDEN = ("2", "4")


class HidingDesk:
    """Three listed tickets and others, of which some are answered by a 403."""

    def __init__(self, list_status: int = 200) -> None:
        self.list_status = list_status
        self.lists = 0
        self.tickets = 0
        self.lost_after: int | None = None

    def __call__(self, request: ReceivedRequest) -> CannedResponse:
        path, _, query = request.path.partition("?")
        self.tickets += not query
        if self.lost_after is not None and self.tickets > self.lost_after:
            return CannedResponse(b'{"message":"no right"}', 403)
        if query:
            self.lists += 1
            # Only a reading from the beginning has them in its window.
            from_start = "modifiedTimeRange=" not in query or "modifiedTimeRange=1970" in query
            rows = b",".join(ROW % number for number in (1, 2, 3) if from_start)
            return CannedResponse(b'{"tickets":[%b]}' % rows, self.list_status)
        number = path.rpartition("/")[2]
        if number in HIDDEN:
            return CannedResponse(b'{"message":"not in your groups"}', 403)
        return CannedResponse(ROW % int(number))


@pytest.fixture
def open_adapter() -> Iterator[Callable[..., RestAdapter]]:
    with closing(_Opened()) as opened:
        yield opened


class _Opened:
    def __init__(self) -> None:
        self._open: list[Callable[[], object]] = []

    def __call__(self, desk: HidingDesk, **settings: Any) -> RestAdapter:
        served = loopback(desk)
        server = served.__enter__()
        values: dict[str, Any] = {
            "helpdesk_base_url": server.url,
            "helpdesk_api_token": "s3cret-token",
            **settings,
        }
        adapter = from_settings(Settings(**values), Runtime(sleep=lambda _: None))
        self._open += [adapter.close, lambda: served.__exit__(None, None, None)]
        return adapter

    def close(self) -> None:
        for close in self._open:
            close()


def test_hidden_ticket_is_told_with_its_id(open_adapter: Callable[..., RestAdapter]) -> None:
    desk = HidingDesk()
    adapter = open_adapter(desk)
    for hidden in HIDDEN:
        with pytest.raises(TicketForbidden, match=f"Ticket {hidden}: .*not in your") as told:
            adapter.ticket(hidden)
        assert told.value.ticket_id == hidden
    shown = adapter.ticket("3")
    assert shown is not None
    assert shown.ticket_id == "3"
    assert desk.lists == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(403, RightMissing), (401, CredentialsRefused), (400, EndpointFailed)]
)
def test_account_without_lists_stops(
    open_adapter: Callable[..., RestAdapter], status: int, kind: type[Exception]
) -> None:
    adapter = open_adapter(HidingDesk(status))
    with pytest.raises(kind, match=rf"{status}.*GET /v2/tickets/search|/search answered {status}"):
        adapter.ticket("2")


@pytest.mark.parametrize("skip_bad", [False, True])
def test_sync_names_hidden_details_and_goes_on(
    open_adapter: Callable[..., RestAdapter], *, skip_bad: bool
) -> None:
    adapter = open_adapter(
        HidingDesk(), helpdesk_fetch_details=True, helpdesk_skip_bad_tickets=skip_bad
    )
    for pages in (adapter.changes(None), adapter.listing()):
        page = next(pages)
        assert [ticket.ticket_id for ticket in page.tickets] == ["1", "3"]
        assert [(bad.ticket_id, bad.field) for bad in page.bad] == [("2", "access")]
        assert "not in your groups" in page.bad[0].problem


@pytest.mark.parametrize("kind", ["changes", "listing"])
def test_rights_lost_within_a_page_end_the_run(
    open_adapter: Callable[..., RestAdapter], kind: str
) -> None:
    """One ticket was hidden before, so the list is believed when the rest of them is."""
    desk = HidingDesk()
    adapter = open_adapter(desk, helpdesk_fetch_details=True, helpdesk_concurrency=1)
    with pytest.raises(TicketForbidden):
        adapter.ticket("2")
    desk.lost_after = desk.tickets + 1
    with pytest.raises(RightMissing):
        list(adapter.changes(None) if kind == "changes" else adapter.listing())


def test_rights_are_asked_again_after_a_while() -> None:
    asked: list[float] = []
    now = 0.0
    right = ListRight(lambda: asked.append(now), lambda: now)
    for now in (0.0, 1.0, BELIEVED_SECONDS - 1, BELIEVED_SECONDS, BELIEVED_SECONDS + 1):  # noqa: B007
        right.check()
    assert asked == [0.0, BELIEVED_SECONDS]


def test_latest_refusal_is_confirmed_by_a_later_list() -> None:
    asked: list[None] = []
    right = ListRight(lambda: asked.append(None), lambda: 0.0)
    calls = (right.confirm, right.check, right.confirm, right.check, right.confirm, right.confirm)
    counts = []
    for call in calls:
        call()
        counts.append(len(asked))
    assert counts == [0, 1, 1, 1, 2, 2]


def test_refused_list_is_asked_every_time() -> None:
    def refuse() -> None:
        raise RightMissing("403")

    right = ListRight(refuse, lambda: 0.0)
    for _ in range(2):
        with pytest.raises(RightMissing):
            right.check()
