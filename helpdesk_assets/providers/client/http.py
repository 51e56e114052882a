"""Sends every request to a helpdesk: an authenticated, timed and counted GET.

An answer is returned only if it is complete, has an accepted status, and comes from the host that
the user named. This module does not retry; callers do (`retry`). Must not know tickets, paging or
vendors.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin

import requests

from helpdesk_assets.answer_deadline import DeadlineAdapter, mount_deadline, received_bytes
from helpdesk_assets.errors import EndpointFailed, MachineError
from helpdesk_assets.model.tickets import ApiUsage
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.addresses import may_follow, parse_host
from helpdesk_assets.providers.client.auth import Auth
from helpdesk_assets.providers.client.header_values import parse_http_date, retry_after
from helpdesk_assets.providers.client.rate_limit import ACCOUNT, RateLimiter
from helpdesk_assets.providers.client.reply import ErrorParser, Reply, default_error
from helpdesk_assets.providers.client.usage import UsageCounter

log = logging.getLogger(__name__)

OK = frozenset({200})
NOT_FOUND = 404
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
CHUNK_BYTES = 1 << 20
# Decompressed size: a few kilobytes can unpack to any size. A page of 100 tickets has less than
# one MiB.
MAX_BODY_BYTES = 256 << 20
# One answer may take this many times the timeout of one read, but no longer than the limit: a large
# page over a slow line is complete by then, and an answer that drips is not.
DEADLINE_FACTOR = 10.0
MAX_DEADLINE_SECONDS = 300.0

# A parameter with several values is sent several times.
Params = Mapping[str, str | Sequence[str]]
Charge = tuple[str, int]  # `scope` and `cost`, see `Api.get`


class _NoRedirects(requests.Session):
    """Hides redirects: requests prepares the next call even if it may not follow.

    It then fails on an invalid `Location`.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


def answer_deadline(timeout: float) -> float:
    """Return how many seconds one whole answer may take, if each read may take `timeout`."""
    return max(timeout, min(DEADLINE_FACTOR * timeout, MAX_DEADLINE_SECONDS))


def open_session(
    connections: int, monotonic: Callable[[], float] = time.monotonic
) -> requests.Session:
    """Open a connection pool for this many threads, without cookies and without retries.

    Args:
        connections: threads that call at once.
        monotonic: seconds of a clock that never jumps.
    """
    session = _NoRedirects()
    session.headers["Accept"] = "application/json"
    session.headers["User-Agent"] = "helpdesk-assets"
    # A session cookie could bind calls to another account than the token's.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    mount_deadline(
        session, DeadlineAdapter(answer_deadline, connections=connections, monotonic=monotonic)
    )
    return session


class Api:
    """One helpdesk's API; may be used from any thread."""

    def __init__(
        self,
        base_url: str,
        auth: Auth,
        *,
        timeout: float,
        connections: int,
        base_path: str = "",
        rate_limiter: RateLimiter | None = None,
        usage_counter: UsageCounter | None = None,
        parse_error: ErrorParser = default_error,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a session for one helpdesk.

        Args:
            base_url: HELPDESK_BASE_URL.
            auth: puts credentials on each request.
            timeout: seconds to wait for an answer's next bytes; see `answer_deadline`.
            connections: threads that call at once.
            base_path: inserted between `base_url` and each call's path.
            rate_limiter: delays calls; the default limits only how many run at once.
            usage_counter: counts calls, bytes and waits.
            parse_error: turns the vendor's error answers into our errors; returns None for those
                that mean what their status says.
            now: this machine's clock. It replaces the helpdesk's for answers without `Date`, and
                shows by how much that is ahead.
            monotonic: seconds of a clock that never jumps.

        Raises:
            SettingsError: `base_url` is not an http address, or holds a password.
        """
        self._base_url = base_url.rstrip("/") + base_path
        self._host = parse_host(base_url)
        self._auth = auth
        self._timeout = timeout
        self._now = now
        self._warned_of_missing_date = False
        self.usage_counter = usage_counter or UsageCounter()
        self._rate_limiter = rate_limiter or RateLimiter(
            self.usage_counter, concurrency=connections
        )
        self._parse_error = parse_error
        self._session = open_session(connections, monotonic)
        self._monotonic = monotonic

    def __repr__(self) -> str:
        return f"Api({self._host})"

    @property
    def use(self) -> ApiUsage:
        """Calls, bytes, retries and waits so far."""
        return self.usage_counter.use

    def get(
        self,
        path: str,
        params: Params | None = None,
        accept: Collection[int] = OK,
        scope: str = ACCOUNT,
        cost: int = 1,
        timeout: float | None = None,
    ) -> Reply:
        """Send one GET, once.

        Redirects on the same host are followed and counted as calls. The request is sent again
        only after a 401 for which `auth` has renewed its token, at most twice.

        Args:
            path: the path below `base_path`.
            params: query parameters.
            accept: the statuses to return.
            scope: the vendor's rate limit that applies to this call, besides the account's.
            cost: as how many calls the vendor counts it.
            timeout: the least seconds to wait for the next bytes, for an endpoint that is known to
                be slow; HELPDESK_TIMEOUT_SECONDS counts if it is more, and for connecting.

        Raises:
            EndpointFailed: no complete answer came, or its status is not in `accept`, or a gateway
                answered 404; the subclass `TransientError` if a retry may succeed.
            RateLimitExhausted: 429, and the account's limit blocks every call for longer than a
                run waits.
            CredentialsRefused: 401 or 403.
        """
        url = self._base_url + path
        seconds = max(self._timeout, timeout or 0.0)
        for _ in range(MAX_REDIRECTS):
            reply = self._send(url, path, params, (scope, cost), seconds)
            if reply.status not in REDIRECTS:
                break
            url, params = self._redirect_target(url, reply), None
        else:
            raise EndpointFailed(f"GET {path} is redirected in a circle. Check HELPDESK_BASE_URL.")
        if reply.status == 404 and 404 in accept and not reply.is_of_the_helpdesk:
            raise errors.foreign_not_found_error(path)
        if reply.status not in accept:
            if error := reply.gateway_refusal or self._parse_error(reply):
                raise error
            if reply.status == errors.TOO_MANY_REQUESTS:
                self._rate_limiter.check_account()
            raise errors.error_for_status(
                path, reply.status, reply.said, reply.headers, reply.served_at
            )
        return reply

    def close(self) -> None:
        """Close the connection pool."""
        self._session.close()

    def _send(
        self, url: str, path: str, params: Params | None, charge: Charge, timeout: float
    ) -> Reply:
        reply, sent_with = self._send_once(url, path, params, charge, timeout)
        for again in (False, True):
            if reply.status != 401 or not self._auth.renew(sent_with, again=again):
                break
            reply, sent_with = self._send_once(url, path, params, charge, timeout)
        if reply.status == errors.TOO_MANY_REQUESTS:
            requested_wait = retry_after(reply.headers, reply.served_at)
            self._rate_limiter.pause(requested_wait or 0.0, charge[0])
        return reply

    def _send_once(
        self, url: str, path: str, params: Params | None, charge: Charge, timeout: float
    ) -> tuple[Reply, str]:
        """Return the answer and the `Authorization` header that was sent."""
        with self._rate_limiter.slot(*charge):
            response, body = self._exchange(url, path, params, timeout)
        self._rate_limiter.observe(response.headers)
        wire_bytes = received_bytes(response)
        self.usage_counter.record_bytes(wire_bytes)
        if _is_truncated(response.headers, wire_bytes):
            raise errors.truncated_body_error(f"GET {path}")
        served_at = self._server_time(response.headers.get("Date"))
        self.usage_counter.record_response(served_at, self._now())
        reply = Reply(
            path,
            response.status_code,
            response.headers,
            body,
            served_at,
            self.usage_counter.number_kept_as_text,
            self._auth.secrets,
        )
        return reply, response.request.headers.get("Authorization", "")

    def _exchange(
        self, url: str, path: str, params: Params | None, timeout: float
    ) -> tuple[requests.Response, bytes]:
        self.usage_counter.record_call()
        began = self._monotonic()
        try:
            # Without `auth`, requests would use a password from the user's .netrc.
            response = self._session.get(
                url,
                params=params,
                auth=self._auth,
                timeout=(self._timeout, timeout),
                allow_redirects=False,
                stream=True,
            )
            return response, _read_body(response, path)
        except requests.RequestException as error:
            seconds = answer_deadline(timeout)
            is_late = self._monotonic() - began >= seconds
            # Connecting takes as long at a host with many addresses, and is no answer.
            if is_late and not isinstance(error, requests.ConnectTimeout):
                raise errors.AnswerTooSlow(f"GET {path}", self._host, seconds) from None
            raise errors.connection_error(f"GET {path}", self._host, timeout, error) from None
        except OSError as error:
            raise MachineError.of(error, f"GET {path} to {self._host}") from error

    def _server_time(self, date: str | None) -> datetime:
        moment = parse_http_date(date)
        if moment is not None:
            return moment
        if not self._warned_of_missing_date:
            self._warned_of_missing_date = True
            log.warning("%s sends no Date header; using this machine's clock.", self._host)
        return self._now()

    def _redirect_target(self, url: str, reply: Reply) -> str:
        """Return a redirect's target, if the credentials may go there."""
        target = urljoin(url, reply.headers.get("Location", ""))
        if "Location" not in reply.headers or not may_follow(url, target):
            raise EndpointFailed(
                f"GET {reply.path} is redirected away from {self._host}, where the token may not "
                "follow. If the helpdesk has moved, set HELPDESK_BASE_URL to its new address."
            )
        return target


def _is_truncated(headers: Mapping[str, str], wire_bytes: int) -> bool:
    """Return whether a body is shorter than its header says; urllib3 before 2 does not check."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        # Chunks have an end of their own. A length beside them is of no meaning (RFC 9112, 6.3):
        # some proxies leave there that of the body before they changed it.
        return False
    length = headers.get("Content-Length", "")
    return length.isdecimal() and int(length) != wire_bytes


def _read_body(response: requests.Response, path: str) -> bytes:
    chunks, size = [], 0
    # Large chunks: requests' default of 10 KB costs a fifth of a page's time.
    for chunk in response.iter_content(CHUNK_BYTES):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            response.close()
            raise errors.AnswerTooLarge(f"GET {path}", MAX_BODY_BYTES)
    return b"".join(chunks)
