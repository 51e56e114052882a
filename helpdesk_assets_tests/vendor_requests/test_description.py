"""Requests that are as a vendor publishes them pass, and planted wrong ones do not."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import pytest

from helpdesk_assets.providers.registry import PROVIDERS
from helpdesk_assets_tests.vendor_requests.apis import APIS
from helpdesk_assets_tests.vendor_requests.description import RecordedRequest

HEADERS: Mapping[str, Mapping[str, str]] = {
    "freshdesk": {"authorization": "Basic a2V5Olg=", "accept": "application/json"},
    "request_tracker": {"authorization": "token 1-61-abc"},
    "rest": {"authorization": "Bearer abc"},
    "zendesk": {"authorization": "Bearer abc"},
    "zoho_desk": {"authorization": "Zoho-oauthtoken 1000.abc", "orgid": "60001280952"},
}
EXPORT = "/api/v2/incremental/tickets/cursor.json"
SEARCH = "/api/v1/tickets/search"
BIN = "/api/v1/recycleBin"
LIST = "/api/v2/tickets"
RT = "/REST/2.0/tickets"
RANGE = "2026-11-01T00:00:00.000Z,2099-12-31T23:59:59.999Z"

RIGHT = [
    ("zendesk", f"{EXPORT}?start_time=0&per_page=1000&support_type_scope=all"),
    ("zendesk", f"{EXPORT}?cursor=MTc5MzYxMzYwNS4wfHwxMDF8&per_page=1&include=users,groups"),
    ("zendesk", "/api/v2/tickets/101.json"),
    ("freshdesk", f"{LIST}?updated_since=2026-11-02T10:00:00Z&order_by=updated_at&page=300"),
    ("freshdesk", f"{LIST}?filter=spam&include=requester,stats&per_page=100"),
    ("freshdesk", f"{LIST}/archived/101"),
    ("zoho_desk", f"{SEARCH}?modifiedTimeRange={RANGE}&sortBy=modifiedTime&from=4999&limit=100"),
    ("zoho_desk", f"{BIN}?sortBy=-deletedTime&limit=50&from=0"),
    ("request_tracker", f"{RT}?query=LastUpdated >= '2026-11-23 19:40:37' AND id > 5&page=2"),
    ("request_tracker", f"{RT}?query=id > 0&fields=Subject,Queue&fields[Queue]=Name&per_page=100"),
    ("rest", "/v2/tickets/no%20such%2Fid%3F"),
]
WRONG = [
    ("zendesk", "/api/v2/incremental/tickets.json?start_time=0", "no such endpoint"),
    ("zendesk", f"{EXPORT}?per_page=1000", "exactly one of cursor, start_time"),
    ("zendesk", f"{EXPORT}?start_time=0&cursor=MTA=", "exactly one of cursor, start_time"),
    ("zendesk", f"{EXPORT}?start_time=1.5", "not a whole number"),
    ("zendesk", f"{EXPORT}?start_time=-1", "not a whole number"),
    ("zendesk", f"{EXPORT}?start_time=0&per_page=0", "less than 1"),
    ("zendesk", f"{EXPORT}?start_time=0&per_page=1001", "more than 1000"),
    ("zendesk", f"{EXPORT}?start_time=0&support_type_scope=bots", "is none of agent"),
    ("zendesk", f"{EXPORT}?start_time=0&page[size]=5", "page[size] is no parameter"),
    ("zendesk", f"{EXPORT}?start_time=0&include=users,last_audits", "is none of comment_count"),
    ("freshdesk", f"{LIST}?per_page=101", "more than 100"),
    ("freshdesk", f"{LIST}?page=301", "more than 300"),
    ("freshdesk", f"{LIST}?page=1&page=2", "page is given twice"),
    ("freshdesk", f"{LIST}?order_by=id", "is none of created_at"),
    ("freshdesk", f"{LIST}?updated_since=2026-11-02T10:00:00%2B01:00", "does not fit"),
    ("freshdesk", f"{LIST}?filter=archived", "is none of deleted"),
    ("freshdesk", "/api/v2/tickets/", "no such endpoint"),
    ("zoho_desk", f"{SEARCH}?modifiedTimeRange={RANGE[:25]}2100-01-01T00:00:00.001Z", "not fit"),
    ("zoho_desk", f"{SEARCH}?createdTimeRange={RANGE[:-1]}%2B05:30", "not fit"),
    ("zoho_desk", f"{SEARCH}?createdTimeRange={RANGE[:-1]}999Z", "not fit"),
    ("zoho_desk", f"{SEARCH}?modifiedTimeRange={RANGE}&from=5000", "more than 4999"),
    ("zoho_desk", f"{SEARCH}?modifiedTimeRange={RANGE}&limit=101", "more than 100"),
    ("zoho_desk", f"{SEARCH}?sortOrder=asc", "sortOrder is no parameter"),
    ("zoho_desk", f"{SEARCH}?sortBy=id", "is none of -createdTime"),
    ("zoho_desk", f"{BIN}?limit=51", "more than 50"),
    ("zoho_desk", f"{BIN}?sortBy=-deletedtime", "not fit"),
    ("zoho_desk", "/api/v1/tickets/AB12", "no such endpoint"),
    ("request_tracker", f"{RT}?query=LastUpdated >= '2026-11-23T19:40:37Z'", "not fit"),
    ("request_tracker", f"{RT}?query=Created > '2026-11-23 19:40:37'", "not fit"),
    ("request_tracker", f"{RT}?query=id > 0&per_page=500", "more than 100"),
    ("request_tracker", f"{RT}?query=id > 0&order=asc", "is none of ASC"),
    ("request_tracker", f"{RT}?orderby=id", "query is missing"),
    ("rest", "/v2/tickets/search?pageSize=100&sortBy=modifiedTime", "modifiedTimeRange is missing"),
]


def _request(provider: str, url: str, **headers: str | None) -> RecordedRequest:
    target = urlsplit(url)
    sent = {**HEADERS[provider], **headers}
    present = {name: value for name, value in sent.items() if value is not None}
    query = tuple(parse_qsl(target.query, keep_blank_values=True))
    return RecordedRequest("GET", target.path, query, present)


def _token_request(body: bytes, kind: str = "application/json") -> list[str]:
    request = RecordedRequest("POST", "/oauth/tokens", headers={"content-type": kind}, body=body)
    return APIS["zendesk"].problems(request)


def test_every_adapter_has_a_description() -> None:
    assert sorted(APIS) == sorted(PROVIDERS)
    assert all(each.source for api in APIS.values() for each in api.endpoints)


@pytest.mark.parametrize(("provider", "url"), RIGHT)
def test_published_requests_pass(provider: str, url: str) -> None:
    assert APIS[provider].problems(_request(provider, url)) == []


@pytest.mark.parametrize(("provider", "url", "problem"), WRONG)
def test_planted_wrong_requests_fail(provider: str, url: str, problem: str) -> None:
    (found,) = APIS[provider].problems(_request(provider, url))
    assert problem in found


@pytest.mark.parametrize(
    ("provider", "url", "headers", "problem"),
    [
        ("zoho_desk", BIN, {"orgid": None}, "header orgid is missing"),
        ("zoho_desk", BIN, {"authorization": "Bearer abc"}, "authorization does not fit"),
        ("freshdesk", LIST, {"accept": "text/html"}, "accept does not fit"),
        ("freshdesk", LIST, {"authorization": None}, "authorization is missing"),
    ],
)
def test_missing_or_wrong_headers_fail(
    provider: str, url: str, headers: dict[str, str | None], problem: str
) -> None:
    (found,) = APIS[provider].problems(_request(provider, url, **headers))
    assert problem in found
    assert "abc" not in found


def test_another_method_is_another_endpoint() -> None:
    request = RecordedRequest("POST", LIST, headers=HEADERS["freshdesk"])
    (found,) = APIS["freshdesk"].problems(request)
    assert "no such endpoint" in found


def test_token_request_is_held_field_by_field() -> None:
    right = (
        b'{"grant_type":"client_credentials","client_id":"sync","client_secret":"s","scope":"read"}'
    )
    assert _token_request(right) == []
    assert "content-type" in _token_request(right, "text/plain")[0]
    assert "not of the expected form" in _token_request(b"grant_type=client_credentials")[0]
    assert "client_id in the body" in _token_request(right.replace(b'"sync"', b"12"))[0]
    assert "scope in the body" in _token_request(right.replace(b'"read"', b'["read"]'))[0]
    assert "scope is missing" in _token_request(right.replace(b',"scope":"read"', b""))[0]
    assert "user is no field" in _token_request(right.replace(b"{", b'{"user":"a",', 1))[0]


def test_body_of_a_reading_call_fails() -> None:
    request = RecordedRequest("GET", LIST, headers=HEADERS["freshdesk"], body=b"{}")
    assert "a body is not expected" in APIS["freshdesk"].problems(request)[0]
