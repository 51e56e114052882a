"""The proxy's own way to the stand-in: statements and calls that no client has sent."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any

from helpdesk_assets_tests.reverse_proxy import Call, Reply
from helpdesk_assets_tests.service_proxy.dml import TableName

API = "/bigquery/v2"


class StandInRefused(Exception):
    """The stand-in did not take a statement of the proxy's own."""


class StandIn:
    """Not safe for several threads at once: the proxy holds its lock."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = HTTPConnection(address, timeout=60)

    def send(self, call: Call) -> Reply:
        """Send a call as it is."""
        try:
            return self._asked(call)
        except (HTTPException, ConnectionError):
            # The connection was idle for too long.
            self._connection.close()
            return self._asked(call)

    def run(self, sql: str, project: str) -> list[list[Any]]:
        """Run a statement and return its rows.

        Raises:
            StandInRefused: it failed.
        """
        body = {"query": sql, "useLegacySql": False, "requestId": uuid.uuid4().hex}
        path = f"{API}/projects/{project}/queries"
        reply = self.send(Call("POST", path, json.dumps(body).encode()))
        content = json.loads(reply.content)
        if reply.status != 200 or content.get("errors"):
            raise StandInRefused(f"{sql}: {content}")
        return [[cell["v"] for cell in row["f"]] for row in content.get("rows") or ()]

    def run_job(self, project: str, sql: str, parameters: Sequence[Any]) -> dict[str, Any]:
        """Run a statement with a client's parameters as a job; return the job."""
        query = {"query": sql, "useLegacySql": False, "queryParameters": parameters}
        job = {
            "jobReference": {"projectId": project, "jobId": f"proxy_{uuid.uuid4().hex}"},
            "configuration": {"query": query},
        }
        reply = self.send(Call("POST", f"{API}/projects/{project}/jobs", json.dumps(job).encode()))
        answer: dict[str, Any] = json.loads(reply.content)
        return answer

    def table(self, name: TableName) -> dict[str, Any] | None:
        """Return a table's metadata, None if there is none."""
        path = f"{API}/projects/{name.project}/datasets/{name.dataset}/tables/{name.table}"
        reply = self.send(Call("GET", path, b""))
        if reply.status != 200:
            return None
        found: dict[str, Any] = json.loads(reply.content)
        return found

    def copy(self, source: TableName, target: TableName) -> None:
        """Make a table with the rows of another."""
        sql = f"CREATE TABLE {target.quoted} AS SELECT * FROM {source.quoted}"
        self.run(sql, source.project)

    def drop(self, name: TableName) -> None:
        """Drop a table."""
        self.run(f"DROP TABLE IF EXISTS {name.quoted}", name.project)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _asked(self, call: Call) -> Reply:
        headers = {"Content-Type": "application/json"} if call.body else {}
        self._connection.request(call.method, call.path, call.body or None, headers)
        reply = self._connection.getresponse()
        return Reply(reply.status, reply.read(), reply.getheaders())
