"""Checks the address in HELPDESK_BASE_URL, and where a redirect may take the credentials."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from helpdesk_assets.errors import SettingsError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_host(base_url: str) -> str:
    """Return the host, and the port if there is one, of HELPDESK_BASE_URL.

    Raises:
        SettingsError: it is not an http address, or holds a password.
    """
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, SplitResult("", "", "", "", "")
    if not host or parts.scheme not in DEFAULT_PORTS:
        raise SettingsError(
            "HELPDESK_BASE_URL is not an address that starts with https:// or http:// and a host."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(
            "HELPDESK_BASE_URL may hold a scheme, a host, a port and a path, and nothing else; "
            "credentials belong in HELPDESK_API_TOKEN."
        )
    return host if port is None else f"{host}:{port}"


def account_host(base_url: str) -> str:
    """Return the host of HELPDESK_BASE_URL in the one spelling that tells accounts apart.

    A default port does not count, nor the scheme. On this machine no port counts: simulators and
    tunnels get another one whenever they start.

    Raises:
        SettingsError: it is not an http address, or holds a password.
    """
    parse_host(base_url)
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    if host in LOOPBACK:
        return "localhost"
    if parts.port is None or parts.port in DEFAULT_PORTS.values():
        return host
    return f"{host}:{parts.port}"


def may_follow(url: str, target: str) -> bool:
    """Return whether a request's credentials may go to a redirect's target.

    They may go only to the same host, and never from https to http.
    """
    try:
        old, new = urlsplit(url), urlsplit(target)
        return old.hostname == new.hostname and (
            (old.scheme, _port(old)) == (new.scheme, _port(new))
            or (old.scheme, new.scheme, _port(old), _port(new)) == ("http", "https", 80, 443)
        )
    except ValueError:
        return False


def _port(parts: SplitResult) -> int | None:
    return parts.port or DEFAULT_PORTS.get(parts.scheme)
