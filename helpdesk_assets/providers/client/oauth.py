"""Logs in by OAuth: obtains access tokens, shares them between processes, and renews them.

A token is renewed a minute before its end, and once after a 401. The cache (`token_cache`) keeps it
between runs; threads and processes that use one client share one token. Must not know vendors: a
vendor's login says how a token is requested and what a refusal means.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from json import loads
from typing import Any, ClassVar, NotRequired, TypedDict
from urllib.parse import urlsplit

import requests

from helpdesk_assets.errors import MachineError
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.http import answer_deadline, open_session
from helpdesk_assets.providers.client.token_cache import CachedToken, TokenCache
from helpdesk_assets.providers.client.usage import UsageCounter

log = logging.getLogger(__name__)

# A token this close to its expiry might expire in transit.
EXPIRY_MARGIN_SECONDS = 60.0
# How long the time of a token request is remembered.
REQUESTS_SECONDS = 600.0
# A call may be answered when other threads have renewed its token, and even more than once.
MASKED_TOKENS = 8


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where tokens are requested.

    Attributes:
        url: the server, without a path.
        path: the path of the token endpoint.
        setting: the setting that names the server, for messages.
    """

    url: str
    path: str
    setting: str

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def call(self) -> str:
        """The call and its host, for messages."""
        return f"POST {self.path} at {self.host}"


@dataclass(frozen=True, slots=True)
class TokenReply:
    """The answer to a token request; `body` is empty if it was no JSON object."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def token(self) -> str | None:
        """The access token, None if there is none that may go into a header."""
        token = self.body.get("access_token")
        # requests quotes an invalid header value in its error.
        is_token = isinstance(token, str) and re.fullmatch(r"[!-~]+", token)
        return token if is_token else None

    def lifetime(self, *, default: float, longest: float) -> float:
        """Return the seconds that the token lives.

        Args:
            default: the vendor's default, for an answer without a number of seconds.
            longest: more seconds than this are no answer of the vendor's.
        """
        seconds = self.body.get("expires_in")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            return default
        return float(seconds) if 0 < seconds <= longest else default


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token, and the seconds that it lives."""

    token: str = field(repr=False)
    lifetime: float


class LoginRuntime(TypedDict):
    """What every login needs besides its client.

    Attributes:
        usage_counter: counts token requests.
        timeout: seconds to wait for an answer.
        now: the current time, aware.
        monotonic: seconds of a clock that never jumps.
    """

    usage_counter: UsageCounter
    timeout: float
    now: NotRequired[Callable[[], datetime]]
    monotonic: NotRequired[Callable[[], float]]


class OAuthLogin(ABC):
    """Puts an access token on each request; may be used from any thread."""

    scheme: ClassVar[str] = "Bearer"

    def __init__(
        self,
        server: TokenEndpoint,
        cache: TokenCache,
        *,
        usage_counter: UsageCounter,
        timeout: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up the login, without a request.

        Args:
            server: where tokens are requested.
            cache: shares tokens between runs and processes.
            usage_counter: counts token requests.
            timeout: seconds to wait for an answer.
            now: the current time, aware.
            monotonic: seconds of a clock that never jumps.
        """
        self._server = server
        self._cache = cache
        self._usage_counter = usage_counter
        self._timeout = timeout
        self._now = now
        self._monotonic = monotonic
        self._session = open_session(1, monotonic)
        self._lock = threading.Lock()
        self._cached = CachedToken()
        self._requested_token = ""
        self._used_tokens: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._server.host})"

    @property
    @abstractmethod
    def credentials(self) -> tuple[str, ...]:
        """The secrets that tokens are requested with."""

    @abstractmethod
    def _request_token(self) -> IssuedToken:
        """Request a new token by `_post`."""

    def _check_request_allowed(  # noqa: B027 - a vendor may allow any number
        self, requested_at: Sequence[float], now: float
    ) -> None:
        """Raise if the vendor would refuse another token request.

        Args:
            requested_at: when all who share the cache requested tokens lately, ascending.
            now: seconds since 1970.
        """

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Auth.secrets`."""
        return tuple(secret for secret in (*self.credentials, *self._used_tokens) if secret)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on a request, and obtain one first if there is none.

        Raises:
            CredentialsRefused: the vendor rejects the client.
            RateLimitExhausted: the vendor's limit of tokens is used up.
            EndpointFailed: the vendor did not answer with a token.
        """
        with self._lock:
            if not self._is_valid(self._cached, rejected=""):
                self._obtain(rejected="")
            request.headers["Authorization"] = f"{self.scheme} {self._cached.token}"
        return request

    def renew(self, rejected: str, *, again: bool = False) -> bool:
        """See `Auth.renew`.

        The first thread whose call was rejected obtains another token; the others then use that
        one. A token from another process may be as old as the first; a new one that is rejected as
        well shows that no token will do.
        """
        token = rejected.removeprefix(f"{self.scheme} ")
        with self._lock:
            if again and token == self._requested_token:
                return False
            if token == self._cached.token:
                self._obtain(rejected=token)
        return True

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _obtain(self, *, rejected: str) -> None:
        """Obtain a token other than `rejected`: from another process, or a new one."""
        with self._cache.exclusive(self._timeout):
            stored = self._cache.read()
            if self._is_valid(stored, rejected):
                self._use(stored)
                return
            now = self._epoch_seconds()
            requested_at = self._recent_requests(stored, now)
            self._check_request_allowed(requested_at, now)
            # Recorded before it is sent: the vendor also counts a request whose answer is lost.
            self._cached = CachedToken(requested_at=(*requested_at, now))
            self._cache.write(self._cached)
            issued = self._request_token()
            lifetime = max(issued.lifetime - EXPIRY_MARGIN_SECONDS, issued.lifetime / 2)
            self._requested_token = issued.token
            self._use(replace(self._cached, token=issued.token, expires_at=now + lifetime))
            self._cache.write(self._cached)
        log.info("%s has issued an access token.", self._server.host)

    def _use(self, cached: CachedToken) -> None:
        self._cached = cached
        self._used_tokens = (*self._used_tokens, cached.token)[-MASKED_TOKENS:]

    def _is_valid(self, cached: CachedToken, rejected: str) -> bool:
        is_other = bool(cached.token) and cached.token != rejected
        return is_other and self._epoch_seconds() < cached.expires_at

    def _recent_requests(self, stored: CachedToken, now: float) -> list[float]:
        """Return when all who share the cache requested tokens lately."""
        # A time in both records is one request, but one record may hold a time twice.
        every = (Counter(stored.requested_at) | Counter(self._cached.requested_at)).elements()
        return sorted(moment for moment in every if now - REQUESTS_SECONDS < moment <= now)

    def _post(
        self, *, form: Mapping[str, str] | None = None, json: Mapping[str, str] | None = None
    ) -> TokenReply:
        """Send one token request, as a form or as JSON, and follow no redirect."""
        server, call = self._server, f"POST {self._server.path}"
        self._usage_counter.record_call()
        began = self._monotonic()
        try:
            response = self._session.post(
                server.url + server.path,
                data=form,
                json=json,
                auth=_without_netrc,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            if self._monotonic() - began >= (seconds := answer_deadline(self._timeout)):
                raise errors.AnswerTooSlow(call, server.host, seconds) from None
            raise errors.connection_error(
                call, server.host, self._timeout, error, server.setting
            ) from None
        except OSError as error:
            raise MachineError.of(error, f"{call} to {server.host}") from error
        self._usage_counter.record_bytes(len(response.content))
        body = _json_object(response.content)
        return TokenReply(response.status_code, body, response.content, response.headers)

    def _epoch_seconds(self) -> float:
        return self._now().timestamp()


def _without_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Change nothing: without an `auth`, requests would add a password from the user's .netrc."""
    return request


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        found = loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
