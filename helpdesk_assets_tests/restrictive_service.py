"""Projects and datasets in which BigQuery does less than its stand-ins, as a proxy before one.

Each class is one kind of project; the texts are those that the service has been seen to answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from helpdesk_assets_tests.reverse_proxy import Call, Reply, ReverseProxy

DAY_MS = 86_400_000
_CHANGES = ("MERGE", "INSERT", "UPDATE", "DELETE")


class RestrictiveService(ReverseProxy):
    """A proxy that subclasses restrict. `calls` are what came, as method and path."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[tuple[str, dict[str, Any]]] = []

    def answer(self, call: Call, forward: Callable[[], Reply]) -> Reply | None:
        path = unquote(urlsplit(call.path).path)
        self.calls.append((call.method, path))
        body = _json(call.body)
        self.bodies.append((path, body))
        return self.restrict(call.method, path, body, forward)

    def restrict(
        self, method: str, path: str, body: dict[str, Any], forward: Callable[[], Reply]
    ) -> Reply | None:
        return forward()

    def bodies_of(self, ending: str) -> list[dict[str, Any]]:
        """Return what was sent to paths that end so."""
        return [body for path, body in self.bodies if path.endswith(ending) and body]


class Sandbox(RestrictiveService):
    """A project without billing: queries, loads and new tables pass, DML does not.

    Text: https://cloud.google.com/bigquery/docs/sandbox#limits and PipedreamHQ/pipedream#3070.
    """

    def restrict(
        self, method: str, path: str, body: dict[str, Any], forward: Callable[[], Reply]
    ) -> Reply | None:
        if statement(body).startswith(_CHANGES):
            return refusal(
                403,
                "billingNotEnabled",
                "Billing has not been enabled for this project. Enable billing at "
                "https://console.cloud.google.com/billing. DML queries are not allowed in the free "
                "tier. Set up a billing account to remove this restriction.",
            )
        return forward()


class DatasetSaying(RestrictiveService):
    """A dataset whose metadata says more than the stand-in's does."""

    says: ClassVar[Mapping[str, Any]] = {}

    def restrict(
        self, method: str, path: str, body: dict[str, Any], forward: Callable[[], Reply]
    ) -> Reply | None:
        reply = forward()
        if method == "GET" and _is_dataset(path) and reply.status == 200:
            return Reply(200, json.dumps({**_json(reply.content), **self.says}).encode())
        return reply


class TableSaying(RestrictiveService):
    """A dataset in which the metadata of `tickets` says more than the stand-in's does."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.says: dict[str, Any] = {}

    def restrict(
        self, method: str, path: str, body: dict[str, Any], forward: Callable[[], Reply]
    ) -> Reply | None:
        reply = forward()
        if method == "GET" and path.endswith("/tables/tickets") and reply.status == 200:
            return Reply(200, json.dumps({**_json(reply.content), **self.says}).encode())
        return reply


class OtherLocation(DatasetSaying):
    """A dataset in US: jobs that run elsewhere do not find it.

    Text: googleapis/google-cloud-python#15691.
    """

    says: ClassVar[Mapping[str, Any]] = {"location": "US"}

    def restrict(
        self, method: str, path: str, body: dict[str, Any], forward: Callable[[], Reply]
    ) -> Reply | None:
        location = (body.get("jobReference") or {}).get("location") or "US"
        touches_tables = "helpdesk" in statement(body) or "load" in body.get("configuration", {})
        if location.upper() != "US" and touches_tables:
            text = f"Not found: Dataset acme:helpdesk_data was not found in location {location}"
            return refusal(404, "notFound", text)
        return super().restrict(method, path, body, forward)


class DefaultLifetimes(DatasetSaying):
    """A dataset that gives new tables and partitions sixty days, as sandboxes and companies do.

    A new table has them unless its own `expirationTime` or `timePartitioning.expirationMs` is
    set: https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets#Dataset, fields
    `defaultTableExpirationMs` and `defaultPartitionExpirationMs`. With the latter, the former does
    not count for partitioned tables. `tables`: what each table says of its lifetime. `refuses`:
    tables.update is not allowed.
    """

    days = 60
    says: ClassVar[Mapping[str, Any]] = {
        "defaultTableExpirationMs": str(days * DAY_MS),
        "defaultPartitionExpirationMs": str(days * DAY_MS),
    }

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.tables: dict[str, dict[str, str | None]] = {}
        self.refuses = False

    def restrict(
        self, method: str, path: str, body: dict[str, Any], forward: Callable[[], Reply]
    ) -> Reply | None:
        name = path.rpartition("/")[2]
        if method == "PATCH" and name in self.tables:
            if self.refuses:
                text = f"Access Denied: Table acme:helpdesk_data.{name}: Permission "
                return refusal(403, "accessDenied", f"{text}bigquery.tables.update denied")
            self._change(name, body)
        reply = super().restrict(method, path, body, forward)
        if reply is None or reply.status != 200:
            return reply
        if method == "POST" and path.endswith("/tables"):
            name = body["tableReference"]["tableId"]
            self.tables.setdefault(name, self._first(body))
        if name in self.tables and method != "DELETE":
            return Reply(200, json.dumps(self._told(name, _json(reply.content))).encode())
        return reply

    def lifetime(self, table: str, *, partitions: bool = False) -> str | None:
        """Return what a table says of when it, or a partition of it, is dropped."""
        return self.tables[table]["expirationMs" if partitions else "expirationTime"]

    def set_lifetimes(self, table: str, days: int) -> None:
        """Let a table and its partitions be dropped, as a person may."""
        at = int(time.time() * 1000) + days * DAY_MS
        self.tables[table] = {"expirationTime": str(at), "expirationMs": str(days * DAY_MS)}

    def _first(self, body: dict[str, Any]) -> dict[str, str | None]:
        partitioning = body.get("timePartitioning")
        at = None if partitioning else str(int(time.time() * 1000) + self.days * DAY_MS)
        given = (partitioning or {}).get("expirationMs")
        default = self.says["defaultPartitionExpirationMs"] if partitioning else None
        return {
            "expirationTime": body.get("expirationTime") or at,
            "expirationMs": given or default,
        }

    def _change(self, name: str, body: dict[str, Any]) -> None:
        if "expirationTime" in body:
            self.tables[name]["expirationTime"] = body["expirationTime"]
        if "expirationMs" in (body.get("timePartitioning") or {}):
            self.tables[name]["expirationMs"] = body["timePartitioning"]["expirationMs"]

    def _told(self, name: str, table: dict[str, Any]) -> dict[str, Any]:
        lifetimes = self.tables[name]
        table.pop("expirationTime", None)
        if lifetimes["expirationTime"]:
            table["expirationTime"] = lifetimes["expirationTime"]
        if "timePartitioning" in table:
            table["timePartitioning"].pop("expirationMs", None)
            if lifetimes["expirationMs"]:
                table["timePartitioning"]["expirationMs"] = lifetimes["expirationMs"]
        return table


def statement(body: dict[str, Any]) -> str:
    """Return the SQL of a call that starts a query job; empty for any other."""
    query = (body.get("configuration") or {}).get("query") or {}
    return str(query.get("query", "")).lstrip()


def refusal(status: int, reason: str, text: str) -> Reply:
    """Return an error as the API words it."""
    each = {"message": text, "domain": "global", "reason": reason}
    error = {"code": status, "message": text, "errors": [each]}
    return Reply(status, json.dumps({"error": error}).encode())


def _is_dataset(path: str) -> bool:
    return path.rpartition("/datasets/")[2].count("/") == 0 and "/datasets/" in path


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:  # an upload, or no body at all
        return {}
    return found if isinstance(found, dict) else {}
