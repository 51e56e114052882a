"""What Freshdesk makes of the settings, and what its headers tell."""

from __future__ import annotations

from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.client.rate_limit import Left
from helpdesk_assets.providers.freshdesk.account import extent, read_left
from helpdesk_assets.providers.freshdesk.adapter import from_settings, looks
from helpdesk_assets.settings import Settings


def settings(**more: Any) -> Settings:
    return Settings.model_validate({"helpdesk_api_token": "k3yk3y", **more})


@pytest.mark.parametrize("key", ["abc:X", "a b", "schlüssel", "abc\ndef"])
def test_a_key_that_is_none(key: str) -> None:
    wrong = settings(helpdesk_api_token=key)
    for examine in (from_settings, lambda given: looks(given)["helpdesk_api_token"]()):
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
def test_what_freshdesk_does_not_take(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        from_settings(settings(**wrong))
    (name,) = wrong
    said = dict(looks(settings(**wrong)))
    with pytest.raises(SettingsError, match=message):
        said.pop(name)()
    assert all(look() for look in said.values()), "each setting answers for itself alone"


def test_what_the_doctor_says() -> None:
    assert {name: look() for name, look in looks(settings()).items()} == {
        "helpdesk_api_token": "set (not shown)",
        "helpdesk_page_size": "100",
        "helpdesk_result_cap": "30000 (300 pages of 100)",
        "freshdesk_include": "nothing",
        "freshdesk_lists_per_minute": "what Freshdesk allows",
    }
    other = settings(
        freshdesk_include="stats, description",
        freshdesk_lists_per_minute=20,
        helpdesk_result_cap=900,
        helpdesk_page_size=50,
    )
    assert {name: look() for name, look in looks(other).items()} == {
        "helpdesk_api_token": "set (not shown)",
        "helpdesk_page_size": "50",
        "helpdesk_result_cap": "900 (18 pages of 50)",
        "freshdesk_include": "stats, description",
        "freshdesk_lists_per_minute": "20",
    }


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({}, ()),
        ({"X-RateLimit-Total": "200", "X-RateLimit-Remaining": "12"}, (Left(12, 200),)),
        ({"x-ratelimit-remaining": "12"}, (Left(12, None),)),
        ({"X-RateLimit-Total": "200", "X-RateLimit-Remaining": "many"}, ()),
    ],
)
def test_what_headers_tell_of_the_limit(headers: dict[str, str], left: tuple[Left, ...]) -> None:
    assert read_left(CaseInsensitiveDict(headers)) == left


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
def test_the_cap_is_300_pages_whatever_their_size(
    more: dict[str, int], size: int, rows: int
) -> None:
    whole = extent(settings(**more))
    assert (whole.page_size, whole.rows) == (size, rows)
    capabilities = from_settings(settings(**more)).capabilities
    assert (capabilities.page_size, capabilities.result_cap) == (size, rows)
