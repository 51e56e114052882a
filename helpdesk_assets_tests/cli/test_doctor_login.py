"""The login check of `doctor` asks what a sync asks first, so that it fails where a sync would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.cli.doctor.helpdesk import LOGIN_WINDOW, check_helpdesk
from helpdesk_assets.cli.doctor.report import DiagnosticStatus
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.client.http import Api
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.conformance.vendors import VENDORS, ZENDESK, ZOHO_DESK, Vendor
from helpdesk_assets_tests.providers.loopback import CannedResponse, loopback
from helpdesk_assets_tests.providers.zoho_desk import canned

# Times and the like, which differ from one moment to the next.
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?|\b\d{9,}\b")

_USER, _CACHE, _ZONE, _CAP, _DETAILS = (
    f"HELPDESK_{name}"
    for name in ("USER", "TOKEN_CACHE", "TIME_ZONE", "RESULT_CAP", "FETCH_DETAILS")
)
# By the tables of the helpdesks' pages.
WITHOUT_EFFECT = {
    "rest": {_USER, _CACHE, _ZONE, _CAP},
    "zendesk": {_ZONE, _CAP, _DETAILS},
    "zoho_desk": {_USER, _ZONE, "HELPDESK_API_TOKEN"},
    "freshdesk": {_USER, _CACHE, _ZONE},
    "request_tracker": {_CACHE, _DETAILS},
}


def settings_for(vendor: Vendor, simulator: SimulatedHelpdesk) -> Settings:
    given = {"helpdesk_provider": vendor.name, "helpdesk_base_url": simulator.base_url}
    return Settings.model_validate({**given, **vendor.settings(simulator)})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Mapping[str, Any]]]:
    """Every path and its parameters, without moments."""
    calls: list[tuple[str, Mapping[str, Any]]] = []
    get = Api.get

    def spy(self: Api, path: str, params: Any = None, *more: Any, **named: Any) -> Any:
        plain = {key: MOMENT.sub("TIME", str(each)) for key, each in (params or {}).items()}
        calls.append((path, plain))
        return get(self, path, params, *more, **named)

    monkeypatch.setattr(Api, "get", spy)
    return calls


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_login_asks_what_a_sync_asks(
    vendor: Vendor, asked: list[tuple[str, Mapping[str, Any]]]
) -> None:
    with SimulatedHelpdesk(tickets=3, dialect=vendor.name) as simulator:
        settings = settings_for(vendor, simulator)
        verdicts = {each.what: each for each in check_helpdesk(settings)}
        assert verdicts["helpdesk login"].status is DiagnosticStatus.OK
        doctor = list(asked)
        asked.clear()
        helpdesk = make_helpdesk(settings)
        next(iter(helpdesk.changes(datetime.now(UTC) - LOGIN_WINDOW - timedelta(seconds=1))))
        helpdesk.close()
    assert asked
    assert doctor[: len(asked)] == asked


@pytest.mark.parametrize(
    ("vendor", "wrong"),
    [
        (each, name)
        for each, names in (
            (ZENDESK, ("zendesk_client_id", "zendesk_client_secret")),
            (ZOHO_DESK, ("zoho_client_id", "zoho_client_secret", "zoho_refresh_token")),
        )
        for name in names
    ],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_cached_token_hides_no_wrong_credential(vendor: Vendor, wrong: str, tmp_path: Path) -> None:
    with SimulatedHelpdesk(tickets=3, dialect=vendor.name) as simulator:
        right = settings_for(vendor, simulator).model_copy(
            update={"helpdesk_token_cache": str(tmp_path)}
        )
        value = "wrong" if wrong.endswith("_id") else SecretStr("wrong")
        for settings, verdict in (
            (right, DiagnosticStatus.OK),
            (right.model_copy(update={wrong: value}), DiagnosticStatus.FAILED),
            (right, DiagnosticStatus.OK),
        ):
            verdicts = {each.what: each for each in check_helpdesk(settings)}
            assert verdicts["helpdesk login"].status is verdict


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_settings_without_effect_are_not_used(vendor: Vendor) -> None:
    with SimulatedHelpdesk(tickets=1, dialect=vendor.name) as simulator:
        settings = settings_for(vendor, simulator)
        said = {each.what: each for each in check_helpdesk(settings)}
    unused = {name for name, each in said.items() if each.detail.startswith("not used")}
    assert unused >= WITHOUT_EFFECT[vendor.name]
    assert {said[name].status for name in unused} == {DiagnosticStatus.OK}


def test_login_fails_where_an_open_window_is_refused() -> None:
    def search(request: Any) -> CannedResponse:
        is_open = request.params["modifiedTimeRange"].rpartition(",")[2] > "2099"
        body = (
            b'{"message": "The value passed for the \'modifiedTimeRange\' parameter is invalid."}'
        )
        return CannedResponse(body, 422) if is_open else CannedResponse(b"", 204)

    with loopback(canned.answering(search=search)) as server:
        settings = canned.settings_for(server.url)
        verdicts = {each.what: each for each in check_helpdesk(settings)}
    assert any(each.path.startswith(canned.SEARCH) for each in server.seen)
    login = verdicts["helpdesk login"]
    assert login.status is DiagnosticStatus.FAILED
    assert "modifiedTimeRange" in str(login)
