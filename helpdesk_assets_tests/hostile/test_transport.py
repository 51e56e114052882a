"""Every adapter verifies certificates and sends no credentials to the target of a redirect."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

import helpdesk_assets
from helpdesk_assets.errors import EndpointFailed, HelpdeskAssetsError
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.registry import PROVIDERS, make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import (
    CannedResponse,
    Loopback,
    ReceivedRequest,
    loopback,
)

PACKAGE = Path(helpdesk_assets.__file__).parent
TOKEN = "a-token-that-stays-here"
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
UNCHECKED = re.compile(
    r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False|_create_unverified|disable_warnings"
    r"|verify_certificate\s*=\s*False|trust_all"
)
each_adapter = pytest.mark.parametrize("provider", PROVIDERS)


def test_no_configuration_disables_certificate_checks() -> None:
    found = [
        path.name for path in PACKAGE.rglob("*.py") if UNCHECKED.search(path.read_text("utf-8"))
    ]
    assert found == []


def settings_for(provider: str, url: str, accounts: str) -> Settings:
    return Settings(
        _env_file=None,  # type: ignore[call-arg,unused-ignore]
        helpdesk_provider=provider,
        helpdesk_base_url=url,
        helpdesk_user="sync@example.com",
        helpdesk_api_token=SecretStr(TOKEN),
        helpdesk_time_zone="UTC",
        zoho_accounts_url=accounts,
        zoho_org_id="1",
        zoho_client_id="an-id",
        zoho_client_secret=SecretStr(TOKEN),
        zoho_refresh_token=SecretStr(TOKEN),
        helpdesk_token_cache="off",
    )


def ask(settings: Settings) -> None:
    """Request a window, all tickets, and one ticket; waits take no time."""
    waited = 0.0

    def sleep(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    world = Runtime(lambda: NOW, lambda: waited, sleep, lambda: 0.5)
    with closing(make_helpdesk(settings, world)) as helpdesk:
        for call in (
            lambda: list(helpdesk.changes(NOW - timedelta(days=1), NOW)),
            lambda: list(helpdesk.listing()),
            lambda: [helpdesk.ticket("7")],
        ):
            with pytest.raises(HelpdeskAssetsError):
                call()


ACCESS = b'{"access_token":"given","expires_in":3600,"token_type":"Bearer","api_domain":"x"}'


@each_adapter
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_follow_redirects(provider: str, status: int) -> None:
    with loopback(lambda _: CannedResponse()) as other_server:

        def away(seen: ReceivedRequest) -> CannedResponse:
            if seen.path.startswith("/oauth"):
                return CannedResponse(ACCESS)
            return CannedResponse(
                status=status, headers={"Location": f"{other_server.url}{seen.path}"}
            )

        with loopback(away) as server:
            ask(settings_for(provider, server.url, server.url))
            assert server.seen
        assert other_server.seen == []


def test_zoho_login_does_not_follow_redirects() -> None:
    with loopback(lambda _: CannedResponse(ACCESS)) as other_server:
        away = CannedResponse(
            status=307, headers={"Location": f"{other_server.url}/oauth/v2/token"}
        )
        with loopback(lambda _: away) as accounts:
            ask(settings_for("zoho_desk", accounts.url, accounts.url))
            assert accounts.seen
        assert other_server.seen == []


@contextmanager
def self_signed(directory: Path) -> Iterator[tuple[Loopback, Path]]:
    """A helpdesk with a self-signed certificate, and that certificate."""
    certificate, key = _certificate()
    pem = directory / "certificate.pem"
    pem.write_bytes(certificate)
    (directory / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, directory / "key.pem")
    with loopback(lambda _: CannedResponse(status=400), tls=context) as served:
        yield served, pem


@each_adapter
def test_untrusted_certificate_is_rejected(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with self_signed(tmp_path) as (served, pem):
        settings = settings_for(provider, served.url, served.url)
        with (
            closing(make_helpdesk(settings, Runtime(sleep=lambda _: None))) as helpdesk,
            pytest.raises(EndpointFailed, match=r"cannot be trusted.*REQUESTS_CA_BUNDLE"),
        ):
            list(helpdesk.changes(NOW - timedelta(days=1), NOW))
        assert served.seen == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        ask(settings)
        assert served.seen


def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "helpdesk")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    return made.public_bytes(encoding), key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
