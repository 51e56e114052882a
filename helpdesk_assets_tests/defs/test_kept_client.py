"""The steps of a run share what is dear to make: settings, and a client of google's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from google.cloud import bigquery
from pydantic_settings import BaseSettings

from helpdesk_assets.defs.resources import kept_client
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.kept_client import KeptClient
from helpdesk_assets.settings import load_settings
from helpdesk_assets_tests.defs.conftest import DagsterHarness


class CountedClient:
    """In place of google's client."""

    made: list[CountedClient]

    def __init__(self, *_: Any) -> None:
        self.is_open = True
        self.made.append(self)

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[CountedClient]]:
    CountedClient.made = []
    monkeypatch.setattr(kept_client, "open_client", CountedClient)
    yield CountedClient.made
    assert not any(client.is_open for client in CountedClient.made)


def test_client_is_opened_once_and_when_needed(clients: list[CountedClient]) -> None:
    kept, settings = KeptClient(), load_settings()
    assert clients == []
    for _ in range(2):
        with kept.use(settings) as client:
            assert client is clients[0]  # type: ignore[comparison-overlap]
    assert clients[0].is_open

    kept.close()


def test_error_or_other_settings_lead_to_a_new_client(clients: list[CountedClient]) -> None:
    kept, settings = KeptClient(), load_settings()
    with pytest.raises(OSError, match="refused"), kept.use(settings):
        raise OSError("refused")
    with kept.use(settings):
        pass
    with kept.use(settings.model_copy(update={"bigquery_project": "other"})):
        assert [client.is_open for client in clients] == [False, False, True]

    kept.close()
    kept.close()


def test_run_shares_one_client_per_resource(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert harness.sync().success  # which Dagster's own first use of settings comes with
    made: dict[str, int] = {}

    def count(owner: type[Any], name: str, what: str) -> None:
        whole = getattr(owner, name)

        def counted(self: Any, *args: Any, **more: Any) -> Any:
            made[what] = made.get(what, 0) + 1
            return whole(self, *args, **more)

        monkeypatch.setattr(owner, name, counted)

    count(bigquery.Client, "__init__", "clients")
    count(bigquery.Client, "close", "closed")
    count(BaseSettings, "__init__", "settings")

    assert harness.sync().success

    # By the steps themselves, by the IO manager and by the watermark.
    assert made == {"clients": 3, "closed": 3}


def test_resource_outside_of_a_run_keeps_nothing_open(
    no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(bigquery.Client, "close", lambda _: closed.append(True))

    with HelpdeskBigQuery().warehouse():
        assert closed == []

    assert closed == [True]


def test_tick_of_a_schedule_closes_its_client(
    no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(bigquery.Client, "close", lambda _: closed.append(True))

    with dg.build_resources({"bigquery": HelpdeskBigQuery()}) as resources:
        for _ in range(2):
            with resources.bigquery.warehouse():
                pass
        assert closed == []

    assert closed == [True]
