"""The one way to a helpdesk: GET with credentials, a timeout, a count, and nothing taken on trust.

An answer is handed on only if it came whole, with an awaited status, from the host that the user
named. Nothing is tried twice here: who may try again is the caller's business (`retrying`). Must
not know tickets, paging or vendors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from helpdesk_assets.errors import EndpointFailed, HelpdeskAssetsError, SettingsError
from helpdesk_assets.model.tickets import ApiUse
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.auth import Auth
from helpdesk_assets.providers.client.rate_limit import ACCOUNT, RateBudget
from helpdesk_assets.providers.client.usage import Meter
from helpdesk_assets.providers.parsing import exact_json

log = logging.getLogger(__name__)

OK = frozenset({200})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_REDIRECT_CHAIN = 5
PIECE = 1 << 20
# Unpacked, since a few kilobytes can hold any size. A page of a hundred tickets has less than one.
LARGEST_ANSWER = 256 << 20
DEFAULT_PORTS = {"http": 80, "https": 443}

# A parameter with several values is sent several times.
Params = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `served_at` is the helpdesk's clock when it gave it."""

    path: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    served_at: datetime
    kept_as_text: Callable[[], None] = field(repr=False, default=lambda: None)

    def json(self) -> Any:
        """The body as JSON; see `exact_json` for what becomes of numbers.

        Raises:
            PassingFailure: it is none. A proxy's error page or a cut body does that for a moment.
        """
        try:
            return exact_json.parse(self.body, self.kept_as_text)
        except ValueError as error:
            raise errors.PassingFailure(
                f"The answer to GET {self.path} is not JSON ({error}). Try again later; if it "
                "stays so, check HELPDESK_BASE_URL."
            ) from None

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            PassingFailure: it is no JSON.
            EndpointFailed: it is JSON of another kind.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise EndpointFailed(
                f"GET {self.path} did not answer with an object. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        return body


Explain = Callable[[Reply], HelpdeskAssetsError | None]


def explains_nothing(reply: Reply) -> None:
    """For helpdesks whose errors say no more than their status does."""


class _NoRedirects(requests.Session):
    """requests prepares the next call of a redirect even where it may not follow it, and falls over
    an address that is none."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


def open_session(connections: int) -> requests.Session:
    """A pool for so many threads, which keeps no cookies and tries nothing twice."""
    session = _NoRedirects()
    session.headers["Accept"] = "application/json"
    session.headers["User-Agent"] = "helpdesk-assets"
    # A session cookie could bind calls to another account than the token's.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
    for scheme in DEFAULT_PORTS:
        session.mount(f"{scheme}://", adapter)
    return session


class Api:
    """One helpdesk's API, for any number of threads."""

    def __init__(
        self,
        base_url: str,
        auth: Auth,
        *,
        timeout: float,
        connections: int,
        base_path: str = "",
        budget: RateBudget | None = None,
        meter: Meter | None = None,
        explain: Explain = explains_nothing,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`connections`: how many threads will call at once; each call takes its turn from
        `budget`. `base_path` stands between the address and each call's path. `explain` knows what
        the vendor's own errors mean, None for those that mean what their status does. `clock`
        stands in for the helpdesk's where answers have no `Date`.

        Raises:
            SettingsError: `base_url` is no http address, or has a password in it.
        """
        self._base = base_url.rstrip("/") + base_path
        self._host = _host_of(base_url)
        self._auth = auth
        self._timeout = timeout
        self._clock = clock
        self._clock_doubted = False
        self.meter = meter or Meter()
        self._budget = budget or RateBudget(self.meter, at_once=connections)
        self._explain = explain
        self._session = open_session(connections)

    def __repr__(self) -> str:
        return f"Api({self._host})"

    @property
    def use(self) -> ApiUse:
        return self.meter.use

    def get(
        self,
        path: str,
        params: Params | None = None,
        accept: Collection[int] = OK,
        lane: str = ACCOUNT,
    ) -> Reply:
        """One GET, sent once; redirects on the same host are followed and counted as calls. It is
        sent a second time only where the token had ended and the login could get another.

        `lane`: which of the vendor's limits it falls under, beside the account's.

        Raises:
            EndpointFailed: no whole answer came, or its status is not in `accept`;
                its subclass `PassingFailure` where the same call may soon pass.
            CredentialsRefused: 401 or 403.
        """
        url = self._base + path
        for _ in range(LONGEST_REDIRECT_CHAIN):
            reply = self._send(url, path, params, lane)
            if reply.status not in REDIRECTS:
                break
            url, params = self._redirected(url, reply), None
        else:
            raise EndpointFailed(f"GET {path} is redirected in a circle. Check HELPDESK_BASE_URL.")
        if reply.status not in accept:
            raise self._explain(reply) or errors.refused(
                path, reply.status, reply.body, reply.headers, reply.served_at, self._auth.secrets
            )
        return reply

    def close(self) -> None:
        """Give back the pool of connections."""
        self._session.close()

    def _send(self, url: str, path: str, params: Params | None, lane: str) -> Reply:
        reply, sent_with = self._send_once(url, path, params, lane)
        if reply.status == 401 and self._auth.renew(sent_with):
            reply, _ = self._send_once(url, path, params, lane)
        if reply.status == errors.TOO_MANY_REQUESTS:
            asked = errors.retry_after(reply.headers.get("Retry-After"), reply.served_at)
            self._budget.pause(asked or 0.0, lane)
        return reply

    def _send_once(
        self, url: str, path: str, params: Params | None, lane: str
    ) -> tuple[Reply, str]:
        """The answer, and the `Authorization` that was sent for it."""
        with self._budget.turn(lane):
            response, body = self._exchanged(url, path, params)
        self._budget.heed(response.headers)
        on_the_wire = response.raw.tell()
        self.meter.received(on_the_wire)
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) != on_the_wire:
            # urllib3 before 2 does not look, and requests allows it.
            raise errors.cut_short(f"GET {path}")
        served_at = self._helpdesk_time(response.headers.get("Date"))
        self.meter.answered(served_at)
        reply = Reply(
            path,
            response.status_code,
            response.headers,
            body,
            served_at,
            self.meter.kept_as_text,
        )
        return reply, response.request.headers.get("Authorization", "")

    def _exchanged(
        self, url: str, path: str, params: Params | None
    ) -> tuple[requests.Response, bytes]:
        self.meter.called()
        try:
            # Without `auth`, requests would prefer a password from the user's .netrc.
            response = self._session.get(
                url,
                params=params,
                auth=self._auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            return response, _body_of(response, path)
        except requests.RequestException as error:
            raise errors.unreachable(f"GET {path}", self._host, self._timeout, error) from None

    def _helpdesk_time(self, date: str | None) -> datetime:
        moment = errors.http_time(date)
        if moment is not None:
            return moment
        if not self._clock_doubted:
            self._clock_doubted = True
            log.warning("%s sends no Date header; this machine's clock stands in.", self._host)
        return self._clock()

    def _redirected(self, url: str, reply: Reply) -> str:
        """Where a redirect leads, if the credentials may go there: the same host, never from https
        to http."""
        target = urljoin(url, reply.headers.get("Location", ""))
        try:
            old, new = urlsplit(url), urlsplit(target)
            allowed = old.hostname == new.hostname and (
                (old.scheme, _port(old)) == (new.scheme, _port(new))
                or (old.scheme, new.scheme, _port(old), _port(new)) == ("http", "https", 80, 443)
            )
        except ValueError:
            allowed = False
        if not allowed or "Location" not in reply.headers:
            raise EndpointFailed(
                f"GET {reply.path} is redirected away from {self._host}, where the token may not "
                "follow. If the helpdesk has moved, set HELPDESK_BASE_URL to its new address."
            )
        return target


def _body_of(response: requests.Response, path: str) -> bytes:
    pieces, size = [], 0
    # In large pieces: requests' own of 10 KB cost a fifth of what a page takes.
    for piece in response.iter_content(PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER:
            response.close()
            raise EndpointFailed(
                f"The answer to GET {path} has more than {LARGEST_ANSWER >> 20} MiB. Lower "
                "HELPDESK_PAGE_SIZE, so that fewer tickets come at once."
            )
    return b"".join(pieces)


def _port(parts: SplitResult) -> int | None:
    return parts.port or DEFAULT_PORTS.get(parts.scheme)


def _host_of(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, SplitResult("", "", "", "", "")
    if not host or parts.scheme not in DEFAULT_PORTS:
        raise SettingsError(
            "HELPDESK_BASE_URL is no address that starts with https:// or http:// and a host."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(
            "HELPDESK_BASE_URL may hold a scheme, a host, a port and a path, and nothing else; "
            "credentials belong into HELPDESK_API_TOKEN."
        )
    return host if port is None else f"{host}:{port}"
