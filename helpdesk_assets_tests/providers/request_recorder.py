"""Records an adapter's requests, parsed for comparison with the vendor's documentation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from helpdesk_assets_tests.providers.loopback import ReceivedRequest

# These are between any two programs that speak HTTP, and no vendor asks for them.
TRANSPORT = frozenset({"Host", "Connection", "Accept-Encoding", "Content-Length"})


@dataclass(frozen=True, slots=True)
class SentRequest:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: str = ""


def sent_requests(seen: Iterable[ReceivedRequest]) -> list[SentRequest]:
    """Return the requests in order; a repeated parameter is an error."""
    return [_parse_request(one) for one in seen]


def _parse_request(seen: ReceivedRequest) -> SentRequest:
    target = urlsplit(seen.path)
    pairs = parse_qsl(target.query, keep_blank_values=True, strict_parsing=bool(target.query))
    params = dict(pairs)
    assert len(params) == len(pairs), f"given twice in {target.query}"
    headers = {name: value for name, value in seen.headers.items() if name not in TRANSPORT}
    return SentRequest(seen.method, target.path, params, headers, seen.body.decode())
