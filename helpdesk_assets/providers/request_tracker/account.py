"""A Request Tracker account: its login, and the time zone in which RT reads searches.

That zone is the user's; a wrong one silently loses tickets. RT shows a user's zone only to that
user. A user without a zone has the server's, which RT never reports. Then HELPDESK_TIME_ZONE must
name it, and it is verified with a ticket before it is used.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    SettingsError,
)
from helpdesk_assets.providers.client.auth import Auth, BasicAuth, TokenAuth, api_token
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.client.reply import ErrorParser, Reply, default_error
from helpdesk_assets.providers.paging.by_token import rows_and_token
from helpdesk_assets.providers.parsing.field_map import parse_iso_time
from helpdesk_assets.providers.request_tracker.local_times import at_or_after, at_or_before, zone
from helpdesk_assets.settings import Settings

API_PATH = "/REST/2.0"
TICKETS = "/tickets"
MAX_PAGE_SIZE = 100
# RT's auth tokens begin with a version and the number of their user.
USER_IN_TOKEN = re.compile(r"\d+-(\d+)-\S+")
USER_UNKNOWN = (
    "HELPDESK_API_TOKEN does not name its user, as RT's auth tokens do (1-14-...), so RT cannot be "
    "asked for the user's time zone. Copy it again, or set HELPDESK_TIME_ZONE."
)
# The newest ticket may change between two calls, but hardly five times in a row.
MAX_ATTEMPTS = 5


def make_auth(settings: Settings) -> Auth:
    """Return the login: the token as HELPDESK_USER's password, or as an auth token.

    Raises:
        SettingsError: HELPDESK_API_TOKEN is empty or invalid.
    """
    token = api_token(settings)
    if settings.helpdesk_user:
        return BasicAuth(settings.helpdesk_user, token)
    return TokenAuth(token, scheme="token")


def error_parser(settings: Settings) -> ErrorParser:
    """Return the parser of error answers, which names HELPDESK_USER if that logs in."""
    return _parse_error if settings.helpdesk_user else default_error


def _parse_error(reply: Reply) -> HelpdeskAssetsError | None:
    if reply.status != 401:
        return None
    detail = f": {reply.said.rstrip('.')}" if reply.said else ""
    return CredentialsRefused(
        f"RT answered 401 to GET {reply.path}{detail}. It does not accept the login; check "
        "HELPDESK_USER and HELPDESK_API_TOKEN."
    )


class RequestTrackerAccount:
    """The API user; may be used from any thread."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._configured_zone = settings.helpdesk_time_zone
        self._user = settings.helpdesk_user or _user_in_token(api_token(settings))
        self._api = connection.api
        self._retry = connection.retry
        self._lock = threading.Lock()
        self._zone: ZoneInfo | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which RT reads times; requested once.

        Raises:
            SettingsError: the zone cannot be determined, or HELPDESK_TIME_ZONE is wrong.
        """
        with self._lock:
            self._zone = self._zone or (
                self._verified_zone() if self._configured_zone else self._zone_of_user()
            )
            return self._zone

    def _zone_of_user(self) -> ZoneInfo:
        if not self._user:
            raise SettingsError(USER_UNKNOWN)
        body = self._get(f"/user/{quote(self._user, safe='')}", {})
        name = body.get("Timezone")
        if not name or not isinstance(name, str):
            raise SettingsError(
                "The API user has no time zone in RT, so RT reads times in the server's, which it "
                "does not report. Set the user's to UTC in RT, or HELPDESK_TIME_ZONE to the "
                "server's."
            )
        return zone(name, "The API user's time zone in RT")

    def _verified_zone(self) -> ZoneInfo:
        """Return the configured zone, if a search in it finds the newest ticket by its time."""
        configured = zone(self._configured_zone, "HELPDESK_TIME_ZONE")
        before = None
        for _ in range(MAX_ATTEMPTS):
            newest = self._last_update("id > 0", "DESC")
            if newest is None:
                return configured
            start, end = at_or_before(newest, configured), at_or_after(newest, configured)
            query = f"LastUpdated >= '{start}' AND LastUpdated <= '{end}'"
            if start != end or self._last_update(query, "ASC") == newest:
                return configured
            if newest == before:
                raise SettingsError(
                    f"HELPDESK_TIME_ZONE is {self._configured_zone!r}, but RT reads this user's "
                    "times in another zone: a search does not find a ticket by its time. Set it to "
                    "the user's zone in RT, or to the server's if the user has none."
                )
            before = newest
        raise EndpointFailed(
            "Tickets change too fast to verify HELPDESK_TIME_ZONE with one. Try again later."
        )

    def _last_update(self, query: str, order: str) -> datetime | None:
        """Return when the first ticket of a search was last updated, None without a ticket."""
        params = {
            "query": query,
            "orderby": "LastUpdated",
            "order": order,
            "per_page": "1",
            "fields": "LastUpdated",
        }
        rows, _ = rows_and_token(self._get(TICKETS, params), TICKETS, "items", "next_page")
        try:
            return parse_iso_time(rows[0]["LastUpdated"]) if rows else None
        except (TypeError, KeyError, ValueError, OverflowError):
            raise EndpointFailed(
                f"GET {TICKETS} returned a ticket without a readable LastUpdated. "
                "Check HELPDESK_BASE_URL and HELPDESK_PROVIDER."
            ) from None

    def _get(self, path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        return self._retry(lambda: self._api.get(path, params).json_object())


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """Describe for `doctor` the settings that RT reads differently."""
    return {
        "helpdesk_user": lambda: settings.helpdesk_user or "empty: the token is an auth token",
        "helpdesk_api_token": lambda: _secret(settings),
        "helpdesk_page_size": lambda: str(page_size(settings)),
        "helpdesk_fetch_details": lambda: "not used: a search returns whole tickets",
        "helpdesk_time_zone": lambda: _time_zone(settings),
    }


def page_size(settings: Settings) -> int:
    """Return HELPDESK_PAGE_SIZE, at most 100: RT silently returns no more."""
    return min(settings.helpdesk_page_size, MAX_PAGE_SIZE)


def _user_in_token(token: str) -> str | None:
    found = USER_IN_TOKEN.fullmatch(token)
    return found[1] if found else None


def _secret(settings: Settings) -> str:
    token = api_token(settings)
    if settings.helpdesk_user:
        return "set (not shown), the password of HELPDESK_USER"
    user = _user_in_token(token)
    return f"set (not shown), the auth token of user {user}" if user else "set (not shown)"


def _time_zone(settings: Settings) -> str:
    """Describe HELPDESK_TIME_ZONE.

    Raises:
        SettingsError: it is not a zone, or it is empty and RT cannot be asked.
    """
    name = settings.helpdesk_time_zone
    if name:
        return str(zone(name, "HELPDESK_TIME_ZONE"))
    if not settings.helpdesk_user and not _user_in_token(api_token(settings)):
        raise SettingsError(USER_UNKNOWN)
    return "empty: the API user's in RT"
