"""Sends messages through Apprise, and pings the heartbeat URL.

Must not know Dagster or what a message is about. Apprise returns only success or failure, but the
next step depends on whether a failure is permanent. Apprise logs the reason with the HTTP status,
so this module captures its log while it sends. Capturing also keeps Apprise and the libraries under
it from logging addresses: an alert URL is a credential as a whole. Log lines and errors name only
its scheme and its position in ALERT_URLS.
"""

from __future__ import annotations

import contextvars
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from helpdesk_assets.alerts.message import Message
from helpdesk_assets.answer_deadline import get_once
from helpdesk_assets.errors import SettingsError

if TYPE_CHECKING:
    import apprise

log = logging.getLogger(__name__)

SEND_TIMEOUT_SECONDS = 8.0
HEARTBEAT_TIMEOUT_SECONDS = 5.0
HEARTBEAT_REDIRECTS = 2
_URL_SEPARATOR = re.compile(r"[\s,;]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_STATUS_CODE = re.compile(r"\berror=(\d{3})\b")
# Nearly every Apprise plugin logs this phrase. The mail plugin does not: it logs the same text for
# a wrong password, and retrying that every minute gets a mailbox locked.
_NO_CONNECTION = re.compile(r"A Connection error occur", re.IGNORECASE)
# Statuses that mean "later": timeout, locked, too early, too many requests.
_TRANSIENT_STATUSES = frozenset((408, 423, 425, 429))
# Each of these logs addresses at some level. A filter applies only to the logger that it is added
# to and not to its children, so each is named here.
_LOGGERS_THAT_LEAK_URLS = (
    "apprise",
    "requests_oauthlib.oauth1_session",
    "requests_oauthlib.oauth2_session",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)


class SendOutcome(StrEnum):
    """Result of sending one message to one channel."""

    DELIVERED = "delivered"
    # Permanent: a retry would be refused as well.
    REFUSED = "refused"
    # No connection, too many requests or a server error: a retry may succeed.
    TRANSIENT = "not now"
    # Failed, and nothing says whether the failure is permanent.
    UNCLEAR = "failed"


@dataclass(frozen=True, slots=True)
class SendResult:
    """Outcome of one send. `reason` is for people and contains no address."""

    outcome: SendOutcome
    reason: str = ""


class Channel(Protocol):
    """One destination of messages."""

    @property
    def name(self) -> str:
        """Identifies the channel. The same on every tick, and free of secrets."""

    def send(self, message: Message) -> SendResult:
        """Sends the message in bounded time. Never raises."""


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """One URL of ALERT_URLS. `service` is None if Apprise does not recognise the URL."""

    name: str
    service: apprise.NotifyBase | None = field(repr=False)

    def send(self, message: Message) -> SendResult:
        """Sends the message and waits at most `SEND_TIMEOUT_SECONDS`. Never raises."""
        if self.service is None:
            return SendResult(SendOutcome.REFUSED, "Apprise does not recognise this URL")
        import apprise

        # One service at a time. Because of the timeout, Apprise still starts a thread.
        sender = apprise.Apprise()
        sender.add(self.service)
        with _captured_log() as log_lines:
            try:
                result = sender.notify(
                    body=message.body,
                    title=message.title,
                    notify_type=apprise.NotifyType(message.level.value),
                    body_format=apprise.NotifyFormat.TEXT,
                    timeout=SEND_TIMEOUT_SECONDS,
                )
            except Exception as error:  # noqa: BLE001  # its text may contain the URL
                return SendResult(SendOutcome.UNCLEAR, type(error).__name__)
        if result:
            return SendResult(SendOutcome.DELIVERED)
        if result.status is apprise.AppriseResultStatus.TIMEOUT:
            return SendResult(SendOutcome.TRANSIENT, f"no answer in {SEND_TIMEOUT_SECONDS:.0f} s")
        if missing := _missing_bundle():
            return SendResult(SendOutcome.TRANSIENT, missing)
        return classify_failure(log_lines)


def open_channels(alert_urls: str) -> tuple[AppriseChannel, ...]:
    """Makes one channel per URL. Makes no network call.

    Args:
        alert_urls: Apprise URLs, separated by whitespace, commas or semicolons.

    Raises:
        SettingsError: Apprise is not installed.
    """
    urls = [url for url in _URL_SEPARATOR.split(alert_urls.strip()) if url]
    if not urls:
        return ()
    try:
        import apprise
    except ModuleNotFoundError:
        raise SettingsError(
            "ALERT_URLS is set, but the package apprise is not installed, so no alert can be sent. "
            "Run `pip install apprise`, or leave ALERT_URLS empty."
        ) from None
    asset = apprise.AppriseAsset(app_id="helpdesk-assets", async_mode=False, secure_logging=True)
    with _captured_log():
        return tuple(
            AppriseChannel(_name(position, url), apprise.Apprise.instantiate(url, asset=asset))
            for position, url in enumerate(urls, start=1)
        )


def classify_failure(log_lines: Sequence[str]) -> SendResult:
    """Classifies a failed send by the lines that Apprise logged.

    One URL may stand for several receivers. If any of them may accept the message later, the
    failure counts as transient.
    """
    codes = sorted({int(code) for line in log_lines for code in _STATUS_CODE.findall(line)})
    reason = ", ".join(f"HTTP {code}" for code in codes)
    if any(code >= 500 or code in _TRANSIENT_STATUSES for code in codes):
        return SendResult(SendOutcome.TRANSIENT, reason)
    if any(_NO_CONNECTION.search(line) for line in log_lines):
        return SendResult(SendOutcome.TRANSIENT, "no connection")
    if codes and all(400 <= code < 500 for code in codes):
        return SendResult(SendOutcome.REFUSED, reason)
    return SendResult(SendOutcome.UNCLEAR, reason or "Apprise gives no reason")


def ping_heartbeat(heartbeat_url: str) -> None:
    """Pings an external monitor after a successful run. Logs a failed ping and never raises.

    Does nothing if the URL is empty.
    """
    if not heartbeat_url:
        return
    with _captured_log():
        try:
            answer = get_once(
                heartbeat_url,
                timeout=HEARTBEAT_TIMEOUT_SECONDS,
                deadline=SEND_TIMEOUT_SECONDS,
                max_bytes=0,
                max_redirects=HEARTBEAT_REDIRECTS,
            )
            failed = "" if answer.status < 400 else f"HTTP {answer.status}"
        except (OSError, ValueError) as error:
            failed = type(error).__name__
    if failed:
        log.warning("The ping to HEARTBEAT_URL failed: %s.", failed)


def _missing_bundle() -> str:
    """Say which variable names a certificate bundle that is not there; Apprise does not."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name):
            return "" if Path(path).exists() else f"{name} names {path}, which is not there"
    return ""


def _name(position: int, url: str) -> str:
    scheme, found, _ = url.partition("://")
    return f"{position} ({scheme.lower()})" if found and scheme.isalnum() else f"{position}"


_captured_lines: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "captured_lines", default=None
)


class _CaptureFilter(logging.Filter):
    """Captures log records of the context that sends an alert and lets all others pass.

    Threads started while sending share that context.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        log_lines = _captured_lines.get()
        if log_lines is None:
            return True
        if record.name == "apprise" and record.levelno >= logging.WARNING:
            log_lines.append(record.getMessage())
        return False


_CAPTURE_FILTER = _CaptureFilter()


@contextmanager
def _captured_log() -> Iterator[list[str]]:
    """Yields the warnings that Apprise logs and suppresses all other lines of these loggers."""
    for name in _LOGGERS_THAT_LEAK_URLS:
        logging.getLogger(name).addFilter(_CAPTURE_FILTER)
    log_lines: list[str] = []
    token = _captured_lines.set(log_lines)
    try:
        yield log_lines
    finally:
        _captured_lines.reset(token)
