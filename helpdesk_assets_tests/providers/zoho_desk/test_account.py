"""Zoho Desk's settings, limits and errors."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from helpdesk_assets.errors import CredentialsRefused, RateLimitExhausted, SettingsError
from helpdesk_assets.providers.client.errors import AccountLimitReached
from helpdesk_assets.providers.client.rate_limit import RateLimitState
from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.providers.zoho_desk.account import (
    client,
    describe_settings,
    parse_error,
    parse_rate_limit,
    query_limits,
)
from helpdesk_assets.settings import Settings

SERVED_AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
GIVEN = {
    "helpdesk_base_url": "https://desk.zoho.eu",
    "zoho_org_id": "60001280952",
    "zoho_client_id": "1000.ABC",
    "zoho_client_secret": "s3cret",
    "zoho_refresh_token": "r3fresh",
}


def settings(**more: Any) -> Settings:
    return Settings.model_validate({**GIVEN, **more})


def look(name: str, **more: Any) -> str:
    return describe_settings(settings(**more))[name]()


@pytest.mark.parametrize(
    ("desk", "accounts"),
    [
        ("https://desk.zoho.com", "https://accounts.zoho.com"),
        ("https://desk.zoho.eu", "https://accounts.zoho.eu"),
        ("https://desk.zoho.in", "https://accounts.zoho.in"),
        ("https://desk.zoho.com.au", "https://accounts.zoho.com.au"),
        ("https://desk.zoho.jp", "https://accounts.zoho.jp"),
        ("https://desk.zoho.com.cn", "https://accounts.zoho.com.cn"),
        ("https://desk.zohocloud.ca", "https://accounts.zohocloud.ca"),
        ("https://desk.zoho.sa", "https://accounts.zoho.sa"),
        ("https://desk.zoho.sg", "https://accounts.zoho.sg"),
        ("https://DESK.zoho.ae/", "https://accounts.zoho.ae"),
    ],
)
def test_each_data_centre_has_its_accounts_server(desk: str, accounts: str) -> None:
    assert client(settings(helpdesk_base_url=desk)).accounts_url == accounts


def test_configured_accounts_server_takes_precedence() -> None:
    there = settings(helpdesk_base_url="https://desk.acme.com", zoho_accounts_url="https://a.b/")
    assert client(there).accounts_url == "https://a.b"
    here = settings(zoho_accounts_url="http://127.0.0.1:8420")
    assert client(here).accounts_url == "http://127.0.0.1:8420"


@pytest.mark.parametrize(
    "more",
    [
        {"helpdesk_base_url": "https://desk.zoho.com.evil.example"},
        {"helpdesk_base_url": "https://zoho.eu"},
        # A refresh token is valid for years and must not be sent unencrypted.
        {"zoho_accounts_url": "http://accounts.zoho.eu"},
        {"zoho_accounts_url": "accounts.zoho.eu"},
        {"zoho_accounts_url": "https://"},
        {"zoho_accounts_url": "https://me:s3cret@accounts.zoho.eu"},
        {"zoho_accounts_url": "https://accounts.zoho.eu/oauth/v2/token"},
        {"zoho_accounts_url": "https://accounts.zoho.eu?a=b"},
        {"zoho_accounts_url": "https://accounts.zoho.eu:port"},
    ],
)
def test_refresh_token_is_not_sent_to_an_invalid_url(more: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="ZOHO_ACCOUNTS_URL") as caught:
        look("zoho_accounts_url", **more)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("number", ["", "acme", "60 00", "-5", "\u0665"])
def test_organisation_id_is_numeric(number: str) -> None:
    with pytest.raises(SettingsError, match=r"ZOHO_ORG_ID.*Setup"):
        look("zoho_org_id", zoho_org_id=number)


@pytest.mark.parametrize("name", ["zoho_client_id", "zoho_client_secret", "zoho_refresh_token"])
def test_every_client_setting_is_required(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name.upper()} is empty"):
        look(name, **{name: "  "})
    with pytest.raises(SettingsError, match=f"{name.upper()} is empty"):
        client(settings(**{name: ""}))


def test_advice_for_a_part_names_the_step_that_gives_it() -> None:
    page = (Path(__file__).parents[3] / "docs/helpdesks/zoho_desk.md").read_text("utf-8")
    steps = re.split(r"^(\d)\. ", page.partition("## What to click")[2], flags=re.MULTILINE)
    text_by_step = dict(zip(steps[1::2], steps[2::2], strict=True))
    for name, words in (
        ("zoho_client_id", "**Client ID**"),
        ("zoho_client_secret", "**Client Secret**"),
        ("zoho_refresh_token", "Exchange it for a refresh token"),
    ):
        with pytest.raises(SettingsError) as caught:
            look(name, **{name: ""})
        (step,) = re.findall(r"step (\d)", str(caught.value))
        assert words in text_by_step[step]


def test_doctor_lists_settings_without_secrets(tmp_path: Path) -> None:
    cache = str(tmp_path)
    reported = {
        name: say() for name, say in describe_settings(settings(helpdesk_token_cache=cache)).items()
    }
    assert reported == {
        "helpdesk_api_token": "not used: ZOHO_REFRESH_TOKEN is",
        "helpdesk_page_size": "100",
        "helpdesk_result_cap": "5000",
        "zoho_accounts_url": "https://accounts.zoho.eu",
        "zoho_org_id": "60001280952",
        "zoho_client_id": "1000.ABC",
        "zoho_client_secret": "set (not shown)",
        "zoho_refresh_token": "set (not shown)",
        "helpdesk_token_cache": cache,
        "zoho_credits_kept": "none",
        "zoho_recycle_bin": "read",
    }
    assert look("zoho_credits_kept", zoho_credits_kept=5000) == "5000 a day"
    off = look("helpdesk_token_cache", helpdesk_token_cache="Off")
    assert off.startswith("off")
    assert "Zoho issues 10 in ten minutes" in off
    assert "stay as they were" in look("zoho_recycle_bin", zoho_recycle_bin=False)
    assert Path(look("helpdesk_token_cache")).is_absolute()
    assert look("helpdesk_token_cache", helpdesk_token_cache="~/c") == str(Path.home() / "c")


def test_page_size_and_result_cap() -> None:
    assert (query_limits(settings()).page_size, query_limits(settings()).result_cap) == (100, 5000)
    small = query_limits(settings(helpdesk_result_cap=60))
    assert (small.page_size, small.result_cap) == (60, 60)
    with pytest.raises(SettingsError, match="HELPDESK_PAGE_SIZE is 101"):
        query_limits(settings(helpdesk_page_size=101))


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({}, ()),
        ({"X-Rate-Limit-Remaining-v3": "300"}, (RateLimitState(300),)),
        (
            {"X-Rate-Limit-Remaining-v3": "300", "X-Rate-Limit-Request-Weight-v3": "3"},
            (RateLimitState(100),),
        ),
        (
            {"X-Rate-Limit-Remaining-v3": "2", "X-Rate-Limit-Request-Weight-v3": "3"},
            (RateLimitState(0),),
        ),
        (
            {"X-Rate-Limit-Remaining-v3": "2", "X-Rate-Limit-Request-Weight-v3": "0"},
            (RateLimitState(2),),
        ),
        ({"X-Rate-Limit-Remaining-v3": "many"}, ()),
    ],
)
def test_credits_are_converted_to_calls(
    headers: dict[str, str], left: tuple[RateLimitState, ...]
) -> None:
    assert parse_rate_limit(headers) == left


def reply(status: int, code: str, path: str = "/tickets/search", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"errorCode": code, "message": "s3cret"}).encode()
    return Reply(path, status, named, body, SERVED_AT, secrets=("s3cret",))


@pytest.mark.parametrize(
    ("answer", "reported"),
    [
        (reply(403, "SCOPE_MISMATCH"), "without the scope Desk.search.READ; make another"),
        (reply(403, "SCOPE_MISMATCH", "/tickets/7"), "the scope Desk.tickets.READ;"),
        (
            reply(403, "SCOPE_MISMATCH", "/recycleBin"),
            "set it as ZOHO_REFRESH_TOKEN or set ZOHO_RECYCLE_BIN=false.",
        ),
        (reply(403, "FORBIDDEN", "/recycleBin"), "profile or set ZOHO_RECYCLE_BIN=false."),
        (reply(403, "FORBIDDEN"), "lacks the right; give it to the agent's profile."),
        (reply(403, "OAUTH_ORG_MISMATCH"), "another organisation than ZOHO_ORG_ID"),
        (reply(401, "OAUTH_ORG_MISMATCH"), "another organisation than ZOHO_ORG_ID"),
        (reply(403, "LICENSE_ACCESS_LIMITED"), "the plan or the agent's licence"),
        (reply(401, "INVALID_OAUTH"), "does not accept the access token; check that HELPDESK_BASE"),
        (reply(401, "s3cret"), "does not accept the access token; check that HELPDESK_BASE"),
    ],
)
def test_authorization_error_messages(answer: Reply, reported: str) -> None:
    error = parse_error(answer)
    assert isinstance(error, CredentialsRefused)
    assert reported in str(error)
    assert f"answered {answer.status} (" in str(error)
    assert "s3cret" not in str(error)


def test_exhausted_credits_fail_at_once_with_their_reset_time() -> None:
    error = parse_error(reply(429, "THRESHOLD_EXCEEDED", Retry_After="43200"))
    assert isinstance(error, RateLimitExhausted)
    assert "credits of the whole portal are used up. Run again in 720 minutes" in str(error)
    for without_wait in (
        reply(429, "THRESHOLD_EXCEEDED"),
        reply(429, "THRESHOLD_EXCEEDED", Retry_After="0"),
    ):
        assert "Run again tomorrow" in str(parse_error(without_wait))


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (reply(429, "THRESHOLD_EXCEEDED", Retry_After="30"), 30.0),
        (reply(429, "TOO_MANY_REQUESTS"), None),
        (Reply("/tickets/search", 429, {}, b"[]", SERVED_AT), None),
    ],
)
def test_limits_are_retried_but_never_by_the_listing(answer: Reply, seconds: float | None) -> None:
    error = parse_error(answer)
    assert isinstance(error, AccountLimitReached)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "answer",
    [
        reply(400, "BAD_REQUEST"),
        reply(500, "INTERNAL_SERVER_ERROR"),
        Reply("/tickets/search", 502, {}, b"<html>", SERVED_AT),
    ],
)
def test_other_errors_follow_their_status(answer: Reply) -> None:
    assert parse_error(answer) is None
