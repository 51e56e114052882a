"""The ways to people: Apprise, and the heartbeat. Must not know what is told, nor Dagster.

Apprise answers yes or no and nothing more, but whether a no is for ever decides what to do next. It
does log why, with the status code of the answer, so its log is listened to while it sends. That
same listening keeps it, and the libraries underneath, from writing down addresses: an alert URL is
a credential as a whole, and only its scheme and its place in ALERT_URLS are ever named.
"""

from __future__ import annotations

import contextvars
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import requests

from helpdesk_assets.alerts.message import Message
from helpdesk_assets.errors import SettingsError

if TYPE_CHECKING:
    import apprise

log = logging.getLogger(__name__)

SEND_TIMEOUT_SECONDS = 8.0
HEARTBEAT_TIMEOUTS = (3.05, 5.0)
_URL_SEPARATOR = re.compile(r"[\s,;]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_STATUS_CODE = re.compile(r"\berror=(\d{3})\b")
# As nearly every adapter says it. The one for mail does not, which says the same of a password
# that is wrong; asking with one each minute gets a mailbox locked.
_NO_CONNECTION = re.compile(r"A Connection error occur", re.IGNORECASE)
# Refusals that say "later" and not "no": timed out, locked, too early, too many.
_TRANSIENT_STATUSES = frozenset((408, 423, 425, 429))
# Each writes addresses into its log, at one level or another. A filter sees only what is logged
# by the very logger that it is put on, hence all of them by name.
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
    """What became of one message on one channel."""

    DELIVERED = "delivered"
    # The same message will not be taken later either.
    REFUSED = "refused"
    # Nobody there, too many, or trouble of their own: the same message may pass later.
    TRANSIENT = "not now"
    # It failed, and nothing says of which kind that was.
    UNCLEAR = "failed"


@dataclass(frozen=True, slots=True)
class SendResult:
    """`reason` is for people and holds no address."""

    outcome: SendOutcome
    reason: str = ""


class Channel(Protocol):
    """One way to people. `name` is the same on every tick and holds no secret."""

    @property
    def name(self) -> str: ...

    def send(self, message: Message) -> SendResult:
        """Send it, in bounded time. Never raises."""


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """One URL of ALERT_URLS. `service` None: Apprise makes nothing of it."""

    name: str
    service: apprise.NotifyBase | None = field(repr=False)

    def send(self, message: Message) -> SendResult:
        if self.service is None:
            return SendResult(SendOutcome.REFUSED, "this is no URL that Apprise knows")
        import apprise

        # One at a time, in this thread: the time limit makes it another thread in the end.
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
            except Exception as error:  # noqa: BLE001  # its text may hold the address
                return SendResult(SendOutcome.UNCLEAR, type(error).__name__)
        if result:
            return SendResult(SendOutcome.DELIVERED)
        if result.status is apprise.AppriseResultStatus.TIMEOUT:
            return SendResult(SendOutcome.TRANSIENT, f"no answer in {SEND_TIMEOUT_SECONDS:.0f} s")
        return classify_failure(log_lines)


def open_channels(alert_urls: str) -> tuple[AppriseChannel, ...]:
    """A channel for each of the URLs, which whitespace or commas separate. Nothing is called.

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
            "ALERT_URLS is set, but the package apprise is not installed, so nobody can be told: "
            "pip install apprise, or empty ALERT_URLS."
        ) from None
    asset = apprise.AppriseAsset(app_id="helpdesk-assets", async_mode=False, secure_logging=True)
    with _captured_log():
        return tuple(
            AppriseChannel(_name(position, url), apprise.Apprise.instantiate(url, asset=asset))
            for position, url in enumerate(urls, start=1)
        )


def classify_failure(log_lines: Sequence[str]) -> SendResult:
    """What Apprise's log says of a message that was not delivered. Where one URL stands for several
    receivers, one of which may take it later, it is worth trying again."""
    codes = sorted({int(code) for line in log_lines for code in _STATUS_CODE.findall(line)})
    reason = ", ".join(f"HTTP {code}" for code in codes)
    if any(code >= 500 or code in _TRANSIENT_STATUSES for code in codes):
        return SendResult(SendOutcome.TRANSIENT, reason)
    if any(_NO_CONNECTION.search(line) for line in log_lines):
        return SendResult(SendOutcome.TRANSIENT, "no connection")
    if codes and all(400 <= code < 500 for code in codes):
        return SendResult(SendOutcome.REFUSED, reason)
    return SendResult(SendOutcome.UNCLEAR, reason or "Apprise does not say why")


def ping_heartbeat(heartbeat_url: str) -> None:
    """Tell an outside watcher that all is well. A watcher that is down is no trouble of ours."""
    if not heartbeat_url:
        return
    with _captured_log():
        try:
            answer = requests.get(heartbeat_url, timeout=HEARTBEAT_TIMEOUTS)
            failed = "" if answer.ok else f"HTTP {answer.status_code}"
        except (requests.RequestException, ValueError) as error:
            failed = type(error).__name__
    if failed:
        log.warning("HEARTBEAT_URL was called and did not take it: %s.", failed)


def _name(position: int, url: str) -> str:
    scheme, found, _ = url.partition("://")
    return f"{position} ({scheme.lower()})" if found and scheme.isalnum() else f"{position}"


_captured_lines: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "heard", default=None
)


class _CaptureFilter(logging.Filter):
    """Keeps what is logged by whoever is sending an alert, also in a thread that it started, and
    lets pass what anybody else logs."""

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
    """The warnings of Apprise, and silence, while the block runs."""
    for name in _LOGGERS_THAT_LEAK_URLS:
        logging.getLogger(name).addFilter(_CAPTURE_FILTER)
    log_lines: list[str] = []
    token = _captured_lines.set(log_lines)
    try:
        yield log_lines
    finally:
        _captured_lines.reset(token)
