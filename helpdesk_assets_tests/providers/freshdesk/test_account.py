"""Freshdesk's settings and headers."""

from __future__ import annotations

from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.client.rate_limit import RateLimitState
from helpdesk_assets.providers.freshdesk.account import blind_spot, parse_rate_limit, query_limits
from helpdesk_assets.providers.freshdesk.adapter import describe_settings, from_settings
from helpdesk_assets.settings import Settings


def settings(**more: Any) -> Settings:
    return Settings.model_validate({"helpdesk_api_token": "k3yk3y", **more})


@pytest.mark.parametrize("key", ["abc:X", "a b", "schlüssel", "abc\ndef"])
def test_invalid_api_key(key: str) -> None:
    wrong = settings(helpdesk_api_token=key)
    for examine in (from_settings, lambda given: describe_settings(given)["helpdesk_api_token"]()):
        with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN") as caught:
            examine(wrong)
        assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"helpdesk_page_size": 101}, r"HELPDESK_PAGE_SIZE is 101.*Set it to 100"),
        ({"freshdesk_include": "stats,notes, company"}, r"FRESHDESK_INCLUDE names company, notes"),
    ],
)
def test_settings_freshdesk_rejects(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        from_settings(settings(**wrong))
    (name,) = wrong
    said = dict(describe_settings(settings(**wrong)))
    with pytest.raises(SettingsError, match=message):
        said.pop(name)()
    assert all(look() for look in said.values()), "each setting answers for itself alone"


def test_doctor_settings_report() -> None:
    assert {name: look() for name, look in describe_settings(settings()).items()} == {
        "helpdesk_api_token": "set (not shown)",
        "helpdesk_page_size": "100",
        "helpdesk_result_cap": "30000 (300 pages of 100)",
        "freshdesk_include": "nothing",
        "freshdesk_lists_per_minute": "what Freshdesk allows",
        "freshdesk_archive": "False",
    }
    other = settings(
        freshdesk_include="stats, description",
        freshdesk_lists_per_minute=20,
        freshdesk_archive=True,
        helpdesk_result_cap=900,
        helpdesk_page_size=50,
    )
    assert {name: look() for name, look in describe_settings(other).items()} == {
        "helpdesk_api_token": "set (not shown)",
        "helpdesk_page_size": "50",
        "helpdesk_result_cap": "900 (18 pages of 50)",
        "freshdesk_include": "stats, description",
        "freshdesk_lists_per_minute": "20",
        "freshdesk_archive": "True",
    }


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({}, ()),
        ({"X-RateLimit-Total": "200", "X-RateLimit-Remaining": "12"}, (RateLimitState(12, 200),)),
        ({"x-ratelimit-remaining": "12"}, (RateLimitState(12, None),)),
        # As accounts answered in 2026.
        (
            {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "40.0"},
            (RateLimitState(40, 50),),
        ),
        ({"X-RateLimit-Remaining": "0.0"}, (RateLimitState(0, None),)),
        ({"X-RateLimit-Total": "200", "X-RateLimit-Remaining": "many"}, ()),
    ],
)
def test_rate_limit_headers(headers: dict[str, str], left: tuple[RateLimitState, ...]) -> None:
    assert parse_rate_limit(CaseInsensitiveDict(headers)) == left


@pytest.mark.parametrize(
    ("more", "size", "rows"),
    [
        ({}, 100, 30_000),
        ({"helpdesk_page_size": 50}, 50, 15_000),
        ({"helpdesk_result_cap": 1050}, 100, 1000),
        ({"helpdesk_result_cap": 40}, 40, 40),
        ({"helpdesk_result_cap": 99_999}, 100, 30_000),
    ],
)
def test_cap_is_300_pages_of_any_size(more: dict[str, int], size: int, rows: int) -> None:
    whole = query_limits(settings(**more))
    assert (whole.page_size, whole.rows) == (size, rows)
    capabilities = from_settings(settings(**more)).capabilities
    assert (capabilities.page_size, capabilities.result_cap) == (size, rows)


@pytest.mark.parametrize(
    "scope", [None, 0, 4, True, 1.0, "1", "x" * 5000, [1], {"id": 1}, [], "two\nlines"]
)
def test_only_the_documented_number_is_global_access(scope: Any) -> None:
    told = str(blind_spot({"ticket_scope": scope}))
    assert "give it the scope Global access" in told
    assert len(told) < 200
    assert told.isprintable()
    assert blind_spot({"ticket_scope": 1}) is None
