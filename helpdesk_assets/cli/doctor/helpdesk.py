"""The helpdesk checks of `doctor`: each setting, a login, the clocks, and what stays unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from pydantic import SecretStr

from helpdesk_assets.cli.doctor.report import DiagnosticResult, DiagnosticStatus, run_check, skipped
from helpdesk_assets.errors import DeletionUnproven, SettingsError
from helpdesk_assets.formatting import format_duration
from helpdesk_assets.model.tickets import Page
from helpdesk_assets.providers.base import Archive, DoctorWarning, Helpdesk
from helpdesk_assets.providers.registry import PROVIDERS, describe_settings, make_helpdesk
from helpdesk_assets.settings import Settings

COMMON_SETTING_PREFIXES = ("helpdesk_", "webhook", "redact_")
# An adapter that uses one of these describes it.
SETTINGS_OF_SOME = ("helpdesk_user", "helpdesk_token_cache", "helpdesk_time_zone")
LOGIN_WINDOW = timedelta(minutes=1)
# Synchronised clocks of two machines differ by less than a second.
CLOCK_TOLERANCE = timedelta(seconds=30)


def check_helpdesk(settings: Settings) -> Iterator[DiagnosticResult]:
    """Check the helpdesk: its settings, a login, its clock, and which tickets no list has."""
    ready = True
    adapter_checks = _adapter_setting_checks(settings)
    for name in type(settings).model_fields:
        if name.startswith(COMMON_SETTING_PREFIXES) or name in adapter_checks:
            diagnostic = run_check(
                name.upper(), adapter_checks.get(name) or _setting_check(settings, name)
            )
            ready = ready and diagnostic.status is not DiagnosticStatus.FAILED
            yield diagnostic
    if not ready:
        yield skipped("helpdesk login", "correct the settings first")
        yield skipped("helpdesk clock", "needs the login")
        return
    pages: list[Page] = []
    yield run_check("helpdesk login", lambda: _log_in(settings, pages))
    if pages:
        yield run_check("helpdesk clock", lambda: _clock(pages[0].served_at))
        yield from _unseen_tickets(settings)
    else:
        yield skipped("helpdesk clock", "needs the login")


def _adapter_setting_checks(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """The adapter's own checks; the check of HELPDESK_PROVIDER reports an unknown one."""
    try:
        return describe_settings(settings)
    except SettingsError:
        return {}


def _setting_check(settings: Settings, name: str) -> Callable[[], str]:
    checks = {
        "helpdesk_provider": _provider,
        "helpdesk_base_url": _address,
        "helpdesk_api_token": _token,
    }
    if name in checks:
        return lambda: checks[name](settings)
    if name in SETTINGS_OF_SOME and settings.helpdesk_provider in PROVIDERS:
        return lambda: f"not used by {settings.helpdesk_provider}"
    return lambda: str(getattr(settings, name))


def _provider(settings: Settings) -> str:
    if settings.helpdesk_provider not in PROVIDERS:
        raise SettingsError(
            f"{settings.helpdesk_provider!r} is not known. Set it to one of {', '.join(PROVIDERS)}."
        )
    return settings.helpdesk_provider


def _address(settings: Settings) -> str:
    url = settings.helpdesk_base_url
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise SettingsError(
            f"{_redacted_url(url)} is not an address. Write it like https://desk.example.com."
        )
    if address.username or address.password:
        raise SettingsError("It holds a password. Remove it, and use HELPDESK_API_TOKEN.")
    if address.scheme == "http" and address.hostname not in ("127.0.0.1", "localhost", "::1"):
        return f"{url} (http: the token travels unencrypted; use https where the helpdesk has it)"
    return url


def _redacted_url(url: str) -> str:
    """The URL without a password, which may stand before an @."""
    return repr(url.rpartition("@")[2][:80])


def _token(settings: Settings) -> str:
    token: SecretStr = settings.helpdesk_api_token
    if not token.get_secret_value().strip():
        raise SettingsError("It is empty. Set it to a token that may read tickets.")
    return "set (not shown)"


def _log_in(settings: Settings, pages: list[Page]) -> str:
    """Read the latest changes, by the call that a sync begins with: its window has no end."""
    now = datetime.now(UTC)
    with closing(make_helpdesk(settings)) as helpdesk:
        page = next(iter(helpdesk.changes(now - LOGIN_WINDOW)))
    pages.append(page)
    return f"accepted by {settings.helpdesk_base_url}; the change endpoint answers"


def _unseen_tickets(settings: Settings) -> Iterator[DiagnosticResult]:
    """Say which tickets the login does not see, and which are in no list, if the helpdesk tells."""
    with closing(make_helpdesk(settings)) as helpdesk:
        looked = run_check("helpdesk view", lambda: _view(helpdesk))
        if looked.status is not DiagnosticStatus.OK or helpdesk.capabilities.tells_blind_spot:
            yield looked
        if archive := helpdesk.archive:
            yield run_check("helpdesk archive", lambda: _archive(archive))


def _view(helpdesk: Helpdesk) -> str:
    blind_spot = helpdesk.blind_spot()
    if blind_spot is None:
        return "the login sees every ticket"
    return DoctorWarning(
        f"{blind_spot}. Until then tickets are missing, and a reconciliation marks none as deleted"
    )


def _archive(archive: Archive) -> str:
    newest = f"the newest ticket has the number {archive.newest_number():,}. {archive.notice}"
    try:
        archive.ticket("1")
    except DeletionUnproven as error:
        return f"{newest} Here nobody can: {error}"
    return f"{newest} The plan allows that."


def _clock(served_at: datetime) -> str:
    """Compare the clocks, and say what a difference leads to.

    Ages and lags, which mix the two clocks, are off by it.
    """
    ahead = served_at - datetime.now(UTC)
    if abs(ahead) < CLOCK_TOLERANCE:
        return "agrees with this machine's"
    if ahead > timedelta(0):
        return (
            f"is {format_duration(ahead)} ahead of this machine's. The watermark goes no further "
            "than this machine's clock, or the newest ticket, so no later change is lost; if this "
            "machine is wrong, set its clock (NTP), or runs read changes again"
        )
    return (
        f"is {format_duration(ahead)} behind this machine's. Windows end by the helpdesk's clock, "
        "so that loses no ticket; if this machine is wrong, set its clock (NTP)"
    )
