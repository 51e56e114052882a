"""The simulated Zoho Desk against the vendor's documentation, without the adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.dialects.zoho_desk_tokens import (
    CLIENT_ID,
    CLIENT_SECRET,
    ORG_ID,
    TokenServer,
    TooManyRequests,
)
from helpdesk_assets.local.simulator.fact_switches import facts_of
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

SEARCH = "/api/v1/tickets/search"
TICKETS = "/api/v1/tickets"
RECYCLE_BIN = "/api/v1/recycleBin"
MODULES = "/api/v1/organizationModules"
TOKENS = "/oauth/v2/token"
EVER = "2000-01-01T00:00:00.000Z,2098-01-01T00:00:00.000Z"
ASCENDING: dict[str, Any] = {"modifiedTimeRange": EVER, "sortBy": "modifiedTime"}


class Caller:
    def __init__(self, simulator: SimulatedHelpdesk) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.trust_env = False

    def log_in(self, **fields: str) -> requests.Response:
        form = {
            "refresh_token": self.simulator.token,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "grant_type": "refresh_token",
            **fields,
        }
        return self.session.post(self.simulator.base_url + TOKENS, data=form, timeout=10)

    def use(self, answer: requests.Response) -> None:
        token = answer.json()["access_token"]
        self.session.headers.update({"Authorization": f"Zoho-oauthtoken {token}", "orgId": ORG_ID})

    def get(self, path: str = SEARCH, **query: object) -> requests.Response:
        params = {key.rstrip("_"): str(value) for key, value in query.items()}
        return self.session.get(self.simulator.base_url + path, params=params, timeout=10)

    def rows(self, path: str = SEARCH, limit: int = 100, **query: object) -> list[dict[str, Any]]:
        """Read all pages up to the one without a body."""
        rows: list[dict[str, Any]] = []
        while True:
            answer = self.get(path, **{**query, "limit": limit, "from": len(rows)})
            if answer.status_code == 204:
                assert answer.content == b""
                return rows
            assert answer.status_code == 200, answer.text
            rows += answer.json()["data"]

    def ids(self, **query: object) -> set[str]:
        return {row["id"] for row in self.rows(**{**ASCENDING, **query})}

    def error(self, path: str = SEARCH, **query: object) -> tuple[int, str]:
        answer = self.get(path, **query)
        return answer.status_code, answer.json()["errorCode"]

    def window(self, start: datetime, end: datetime) -> str:
        return f"{_text(start)},{_text(end)}"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"


@pytest.fixture
def caller() -> Iterator[Caller]:
    """A caller long after the last change of the initial tickets, of friendly answers."""
    friendly = [fact.key for fact in facts_of("zoho_desk")]
    with SimulatedHelpdesk(
        tickets=130, seed=11, frozen=True, dialect="zoho_desk", friendly=friendly
    ) as simulator:
        simulator.advance(1000)
        caller = Caller(simulator)
        with caller.session:
            caller.use(caller.log_in())
            yield caller


@pytest.fixture
def simulator(caller: Caller) -> SimulatedHelpdesk:
    return caller.simulator


# --- search ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["modifiedTime", "createdTime"])
def test_ascending_by_either_time(caller: Caller, name: str) -> None:
    asked: dict[str, Any] = {f"{name}Range": EVER, "sortBy": name}
    rows = caller.rows(limit=30, **asked)
    order = [row[name] for row in rows]
    assert order == sorted(order)
    true = {one.ticket_id: one.raw_ticket for one in caller.simulator.truth(raw_ticket=True)}
    assert {row["id"]: row for row in rows} == true
    backwards = caller.rows(**{**asked, "sortBy": f"-{name}"})
    assert backwards == rows[::-1]


def test_default_is_ten_by_relevance(caller: Caller) -> None:
    answer = caller.get(modifiedTimeRange=EVER).json()
    assert (len(answer["data"]), answer["count"]) == (10, 130)
    order = [row["modifiedTime"] for row in answer["data"]]
    assert order != sorted(order)


def test_no_match_has_no_body(caller: Caller) -> None:
    answer = caller.get(modifiedTimeRange="2000-01-01T00:00:00Z,2000-01-02T00:00:00Z")
    assert (answer.status_code, answer.content) == (204, b"")
    assert caller.get(**ASCENDING, from_=130).status_code == 204


@pytest.mark.parametrize("are_inclusive", [True, False])
def test_range_bounds(
    caller: Caller,
    simulator: SimulatedHelpdesk,
    are_inclusive: bool,
) -> None:
    simulator.switch("zoho_desk.range_includes_its_ends", friendly=are_inclusive)
    first, inside, last = sorted(
        simulator.change(3, spread_seconds=6), key=lambda one: one.modified_time
    )
    window = caller.window(first.modified_time, last.modified_time)
    ends = {first.ticket_id, last.ticket_id} if are_inclusive else set()
    assert caller.ids(modifiedTimeRange=window) == {inside.ticket_id, *ends}


def test_search_by_ids(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    some = [one.ticket_id for one in simulator.truth()][:3]
    assert {row["id"] for row in caller.rows(id=",".join(some))} == set(some)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 101},
        {"limit": 0},
        {"limit": "ten"},
        {"from": -1},
        {"from": 5000},
        {"sortBy": "id"},
        {"sortOrder": "asc"},
        {"pageSize": 100},
        {"modifiedTimeRange": "2026-11-02T10:00:00.000Z"},
        {"modifiedTimeRange": "2026-11-02T10:00:00.000Z,"},
        {"modifiedTimeRange": "2026-11-02T10:00:00+05:30,2026-11-03T10:00:00+05:30"},
        {"modifiedTimeRange": "2026-11-02,2026-11-03"},
        {"modifiedTimeRange": "2026-11-02T10:00:00.000001Z,2026-11-03T10:00:00.000001Z"},
        {"modifiedTimeRange": "2026-13-02T10:00:00Z,2026-13-03T10:00:00Z"},
        {"modifiedTimeRange": "2026-11-03T10:00:00Z,2026-11-02T10:00:00Z"},
        {"createdTimeRange": "1793613605123,1793613606123"},
        # The years that an end may have are 1900 to 2099.
        {"modifiedTimeRange": "2026-11-02T10:00:00Z,2100-01-01T00:00:00.000Z"},
        {"modifiedTimeRange": "1899-12-31T10:00:00Z,2026-11-02T10:00:00Z"},
        {"createdTimeRange": "1970-01-01T00:00:00.000Z,2100-01-01T00:00:00.001Z"},
        {"departmentIds": "1"},
    ],
)
def test_rejected_requests(caller: Caller, query: Mapping[str, Any]) -> None:
    asked = {key.rstrip("_"): value for key, value in {**ASCENDING, **query}.items()}
    assert caller.error(**asked) == (422, "UNPROCESSABLE_ENTITY")


def test_offset_limit_is_4999(caller: Caller) -> None:
    assert caller.get(**ASCENDING, from_=4999).status_code == 204


def test_custom_cap() -> None:
    with SimulatedHelpdesk(tickets=40, dialect="zoho_desk", cap=25) as simulator:
        caller = Caller(simulator)
        with caller.session:
            caller.use(caller.log_in())
            assert len(caller.get(**ASCENDING, limit=10, from_=20).json()["data"]) == 10
            assert caller.error(**ASCENDING, limit=10, from_=25)[0] == 422


def test_tickets_change_between_two_pages(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    """The order shifts, and the pages together lack a ticket."""
    simulator.fault("changes_while_paging", on="search", changes=20, advance_seconds=20)
    seen = [row["id"] for row in caller.rows(limit=30, **ASCENDING)]
    assert len(set(seen)) < len(list(simulator.truth())) <= len(seen)


def test_search_index_lag(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    since = simulator.clock().now
    simulator.advance(5)
    (changed,) = simulator.change(1)
    window = caller.window(since, since + timedelta(hours=1))
    simulator.fault("search_lag", on="search", seconds=60.0)
    assert caller.ids(modifiedTimeRange=window) == set()
    simulator.advance(120)
    assert caller.ids(modifiedTimeRange=window) == {changed.ticket_id}


def test_search_by_creation_counts_as_the_listing(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    simulator.reset_counters()
    simulator.fault("error_500", on="listing")
    assert caller.error(createdTimeRange=EVER) == (500, "INTERNAL_SERVER_ERROR")
    assert caller.get(**ASCENDING, createdTimeRange=EVER).status_code == 200
    assert simulator.counters().calls == {"listing": {"500": 1}, "search": {"200": 1}}


# --- gone -----------------------------------------------------------------------------------------


def test_bin_contains_other_objects(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    first, at = simulator.delete(2), _text(simulator.clock().now)
    simulator.advance(10)
    merged, into = (one.ticket_id for one, _ in zip(simulator.truth(), range(2), strict=False))
    simulator.merge([merged], into)
    rows = caller.rows(RECYCLE_BIN, limit=50)
    tickets = {row["id"]: row["deletedTime"] for row in rows if row["type"] == "Tickets"}
    assert tickets.items() >= {(each, at) for each in first}
    assert merged in tickets
    assert {row["type"] for row in rows} == {"Tickets", "Contacts"}
    times = [row["deletedTime"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert not {*first, merged} & caller.ids()


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize(
    "query",
    [
        {"limit": 51},
        {"limit": 0},
        {"from": -1},
        {"moduleId": "tickets"},
        {"departmentId": "all"},
        {"include": "ticket"},
        {"sortBy": "-modifiedTime"},
        {"deletedTimeRange": EVER},
    ],
)
def test_rejected_bin_requests(
    caller: Caller, simulator: SimulatedHelpdesk, query: Mapping[str, Any], is_sorted: bool
) -> None:
    simulator.switch("zoho_desk.bin_is_sorted", friendly=is_sorted)
    assert caller.error(RECYCLE_BIN, **query) == (422, "UNPROCESSABLE_ENTITY")


def test_bin_is_sorted_where_that_is_known(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    for _ in range(3):
        simulator.delete(2)
        simulator.advance(10)
    simulator.switch("zoho_desk.bin_is_newest_first", friendly=False)
    rows = caller.rows(RECYCLE_BIN, limit=50, sortBy="-deletedTime")
    times = [row["deletedTime"] for row in rows]
    assert times == sorted(times, reverse=True)
    simulator.switch("zoho_desk.bin_is_sorted", friendly=False)
    assert caller.error(RECYCLE_BIN, sortBy="-deletedTime") == (422, "UNPROCESSABLE_ENTITY")
    assert caller.error(RECYCLE_BIN, module="tickets") == (422, "UNPROCESSABLE_ENTITY")


@pytest.mark.parametrize("is_unlimited", [True, False])
def test_bin_may_end_where_a_search_does(
    caller: Caller, simulator: SimulatedHelpdesk, is_unlimited: bool
) -> None:
    simulator.switch("zoho_desk.bin_offset_is_unlimited", friendly=is_unlimited)
    assert caller.get(RECYCLE_BIN, **{"from": 4999}).status_code == 204
    if is_unlimited:
        assert caller.get(RECYCLE_BIN, **{"from": 5000}).status_code == 204
    else:
        assert caller.error(RECYCLE_BIN, **{"from": 5000}) == (422, "UNPROCESSABLE_ENTITY")


def test_modules_narrow_the_bin(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    simulator.delete(4)
    modules = {each["apiName"]: each["id"] for each in caller.get(MODULES).json()["data"]}
    rows = caller.rows(RECYCLE_BIN, limit=50, moduleId=modules["tickets"])
    assert {row["type"] for row in rows} == {"Tickets"}
    assert caller.error(MODULES, limit=10) == (422, "UNPROCESSABLE_ENTITY")
    simulator.switch("zoho_desk.modules_are_readable", friendly=False)
    assert caller.error(MODULES) == (403, "SCOPE_MISMATCH")


def test_types_of_values_that_nobody_confirms(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    simulator.delete(1)
    living = next(one.ticket_id for one in simulator.truth())

    def seen() -> list[type]:
        return [
            type(caller.get(RECYCLE_BIN).json()["data"][0]["id"]),
            type(caller.get(**ASCENDING).json()["count"]),
            type(caller.get(f"{TICKETS}/{living}").json()["isDeleted"]),
        ]

    assert seen() == [str, int, bool]
    for key in ("bin_ids_are_text", "count_is_a_number", "flags_are_booleans"):
        simulator.switch(f"zoho_desk.{key}", friendly=False)
    assert seen() == [int, str, str]


@pytest.mark.parametrize("ticket_id", ["abc", "12a", "-1", "1.5"])
def test_ids_are_digits(caller: Caller, ticket_id: str) -> None:
    assert caller.error(f"{TICKETS}/{ticket_id}") == (422, "UNPROCESSABLE_ENTITY")
    assert caller.error(SEARCH, id=ticket_id) == (422, "UNPROCESSABLE_ENTITY")


def test_missing_organisation_is_a_mismatch(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    del caller.session.headers["orgId"]
    assert caller.get(**ASCENDING).status_code == 200
    simulator.switch("zoho_desk.org_id_may_be_absent", friendly=False)
    assert caller.error(**ASCENDING) == (403, "OAUTH_ORG_MISMATCH")
    assert caller.get(**ASCENDING, orgId=ORG_ID).status_code == 200


def test_bin_retains_60_days(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    (deleted,) = simulator.delete(1)
    assert deleted in {row["id"] for row in caller.rows(RECYCLE_BIN, limit=50)}
    simulator.advance(61 * 86_400)
    caller.use(caller.log_in())
    assert caller.get(RECYCLE_BIN).status_code == 204
    assert caller.get(f"{TICKETS}/{deleted}").json()["isTrashed"] is True


def test_spam_stays_listed_or_disappears(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    (spam,) = simulator.mark_spam(1)
    (row,) = [row for row in caller.rows(**ASCENDING) if row["id"] == spam]
    assert row["isSpam"] is True
    assert "isTrashed" not in row
    assert spam not in {row["id"] for row in caller.rows(RECYCLE_BIN, limit=50)}
    simulator.switch("zoho_desk.spam_is_found", friendly=False)
    assert spam not in caller.ids()
    assert caller.get(f"{TICKETS}/{spam}").json()["isSpam"] is True


def test_merged_ticket_may_disappear(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    into, merged = (one.ticket_id for one, _ in zip(simulator.truth(), range(2), strict=False))
    simulator.merge([merged], into)
    assert caller.get(f"{TICKETS}/{merged}").json()["isTrashed"] is True
    simulator.switch("zoho_desk.merged_are_in_the_bin", friendly=False)
    assert merged not in {row["id"] for row in caller.rows(RECYCLE_BIN, limit=50)}
    assert caller.error(f"{TICKETS}/{merged}") == (404, "URL_NOT_FOUND")


def test_ticket_in_the_bin_may_be_unreadable(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    (deleted,) = simulator.delete(1)
    assert caller.get(f"{TICKETS}/{deleted}").json()["isTrashed"] is True
    simulator.switch("zoho_desk.trashed_are_readable", friendly=False)
    assert caller.error(f"{TICKETS}/{deleted}") == (404, "URL_NOT_FOUND")


@pytest.mark.parametrize("are_found", [True, False])
def test_archived_tickets_may_be_found(are_found: bool) -> None:
    with SimulatedHelpdesk(tickets=20, dialect="zoho_desk") as simulator:
        simulator.switch("zoho_desk.archived_are_found", friendly=are_found)
        caller = Caller(simulator)
        with caller.session:
            caller.use(caller.log_in())
            (archived,) = simulator.archive(1)
            found = {row["id"]: row["isArchived"] for row in caller.rows(**ASCENDING)}
            assert found.get(archived) is (True if are_found else None)
            assert len(found) == 19 + are_found


# --- one ticket -----------------------------------------------------------------------------------


def test_single_ticket_has_its_requested_includes(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    true = next(simulator.truth(raw_ticket=True))
    assert true.raw_ticket is not None
    path = f"{TICKETS}/{true.ticket_id}"
    bare, rich = (
        caller.get(path).json(),
        caller.get(path, include="contacts,departments,assignee").json(),
    )
    assert rich == {**true.raw_ticket, "isTrashed": False, "isDeleted": False}
    assert rich.keys() - bare.keys() == {"contact", "department", "assignee"}
    assert caller.error(path, include="contact")[0] == 422
    assert caller.error(f"{TICKETS}/1") == (404, "URL_NOT_FOUND")


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"refresh_token": "wrong"}, "invalid_code"),
        ({"client_id": "wrong"}, "invalid_client"),
        ({"client_secret": "wrong"}, "invalid_client_secret"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
    ],
)
def test_login_error_has_status_200(caller: Caller, fields: dict[str, str], error: str) -> None:
    answer = caller.log_in(**fields)
    assert (answer.status_code, answer.json()) == (200, {"error": error})


def test_token_lives_an_hour(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    answer = caller.log_in().json()
    assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")
    simulator.advance(3590)
    assert caller.get(**ASCENDING).status_code == 200
    simulator.advance(20)
    assert caller.error(**ASCENDING) == (401, "INVALID_OAUTH")


def test_ten_live_tokens_and_ten_requests_in_ten_minutes() -> None:
    now = [1000.0]
    server = TokenServer("refresh", lambda: now[0])
    form = f"refresh_token=refresh&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}"
    body = f"{form}&grant_type=refresh_token".encode()
    tokens = [server.issue_token(body)["access_token"] for _ in range(10)]
    with pytest.raises(TooManyRequests):
        server.issue_token(body)
    assert all(server.scopes_of(token) for token in tokens)
    now[0] += 600
    assert server.issue_token(body)["access_token"] not in tokens
    assert [bool(server.scopes_of(token)) for token in tokens] == [False] + [True] * 9


def test_eleventh_request_in_ten_minutes_is_a_400(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    simulator.advance(1000)
    answers = [caller.log_in() for _ in range(11)]
    assert {answer.status_code for answer in answers[:10]} == {200}
    assert (answers[10].status_code, answers[10].json()["error"]) == (400, "Access Denied")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": "Zoho-oauthtoken wrong"}, (401, "INVALID_OAUTH")),
        ({"Authorization": None}, (401, "INVALID_OAUTH")),
        ({"orgId": "17"}, (403, "OAUTH_ORG_MISMATCH")),
        ({"orgId": None}, None),
    ],
)
def test_logins(
    caller: Caller, headers: dict[str, str | None], expected: tuple[int, str] | None
) -> None:
    answer = caller.session.get(
        caller.simulator.base_url + SEARCH, params=ASCENDING, headers=headers, timeout=10
    )
    code = answer.json().get("errorCode")
    assert (None if answer.status_code == 200 else (answer.status_code, code)) == expected


def test_bearer_scheme_is_rejected(caller: Caller) -> None:
    token = str(caller.session.headers["Authorization"]).partition(" ")[2]
    headers = {"Authorization": f"Bearer {token}"}
    answer = caller.session.get(caller.simulator.base_url + SEARCH, headers=headers, timeout=10)
    assert answer.status_code == 401


def test_each_path_needs_its_scope(caller: Caller) -> None:
    caller.use(caller.log_in(refresh_token=TOKEN_WITHOUT_RIGHTS))
    for path in (SEARCH, RECYCLE_BIN, f"{TICKETS}/1"):
        assert caller.error(path) == (403, "SCOPE_MISMATCH")


def test_expired_token_can_be_renewed(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    simulator.fault("token_ends", on="search", count=1)
    assert caller.error(**ASCENDING) == (401, "INVALID_OAUTH")
    caller.use(caller.log_in())
    assert caller.get(**ASCENDING).status_code == 200


def test_new_refresh_token(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    old = simulator.token
    simulator.accept_token("another")
    try:
        assert caller.log_in(refresh_token=old).json() == {"error": "invalid_code"}
        caller.use(caller.log_in(refresh_token="another"))
        assert caller.get(**ASCENDING).status_code == 200
    finally:
        simulator.accept_token(old)


# --- limits ---------------------------------------------------------------------------------------


def test_headers_show_remaining_credits(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    simulator.fault("rate_limit", calls=2, window_seconds=60)
    answers = [caller.get(**ASCENDING) for _ in range(3)]
    remaining = [(a.status_code, a.headers.get("X-Rate-Limit-Remaining-v3")) for a in answers]
    assert remaining == [(200, "3"), (200, "0"), (429, None)]
    assert answers[0].headers["X-Rate-Limit-Request-Weight-v3"] == "3"


def test_only_exhausted_credits_have_a_reset_time(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    simulator.fault("rate_limit_429", count=1, retry_after=43_200)
    spent = caller.get(**ASCENDING)
    assert (spent.headers["Retry-After"], spent.json()["errorCode"]) == (
        "43200",
        "THRESHOLD_EXCEEDED",
    )
    simulator.fault("rate_limit_429", count=1, retry_after=None)
    busy = caller.get(**ASCENDING)
    assert ("Retry-After" in busy.headers, busy.json()["errorCode"]) == (False, "TOO_MANY_REQUESTS")
