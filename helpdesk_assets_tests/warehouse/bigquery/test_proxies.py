"""A stand-in on this machine is asked past the proxies of the environment."""

from __future__ import annotations

from contextlib import closing

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import open_client
from helpdesk_assets_tests.providers.loopback import CannedResponse, loopback


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_stand_in_is_called_past_the_proxy(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with loopback(lambda _: None) as proxy, loopback(lambda _: CannedResponse()) as stand_in:
        monkeypatch.setenv(variable, proxy.url)
        settings = Settings(_env_file=None, bigquery_emulator_host=stand_in.url)  # type: ignore[call-arg,unused-ignore]
        with closing(open_client(settings)) as client:
            assert list(client.list_datasets()) == []
    assert proxy.seen == []
    assert len(stand_in.seen) == 1
