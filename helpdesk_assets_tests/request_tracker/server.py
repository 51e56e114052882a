"""A Request Tracker in temporary directories, and the actions of its users."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import requests

from helpdesk_assets.local.process import LocalProcess

SCRIPT = str(Path(__file__).parents[2] / "deploy" / "request-tracker.sh")
USERS = Path(__file__).with_name("users.pl")
ADMINISTRATOR, ADMINISTRATOR_PASSWORD = "root", "password"
PASSWORD = "sync-password"


def why_not() -> str | None:
    """Return why no server can be started here, or None if one can."""
    found = subprocess.run([SCRIPT, "check"], capture_output=True, text=True, check=False)
    return found.stderr.strip() or None


class RequestTracker:
    """A context manager; call `insert` before entering it, or the server ignores scrips."""

    def __init__(self) -> None:
        # Not pytest's directory: if root runs the tests, RT runs as another user without access.
        self.home = Path(tempfile.mkdtemp(prefix="request-tracker-"))
        self.home.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._server = LocalProcess(
            "Request Tracker",
            [SCRIPT, "serve", str(self.port)],
            lambda: self.get("/rt").ok,
            self.home / "server.log",
            environment=self._environment,
            new_session=True,
        )
        self._session = requests.Session()
        # A proxy from the environment cannot reach this machine's loopback.
        self._session.trust_env = False
        self._session.auth = (ADMINISTRATOR, ADMINISTRATOR_PASSWORD)

    def insert(self, initialdata: Path) -> str:
        """Insert users, rights or scrips into the database; returns RT's output."""
        order = [SCRIPT, "insert", str(initialdata)]
        done = subprocess.run(order, env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def insert_users(self) -> str:
        """Insert the users of `users.pl`; returns the auth token of sync-kolkata."""
        token = re.search(r"^token: (\S+)$", self.insert(USERS), re.MULTILINE)
        assert token is not None
        return token[1]

    def __enter__(self) -> Self:
        try:
            self._server.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._session.close()
        self._server.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def create(self, subject: str, **fields: Any) -> str:
        """Create a ticket; returns its id."""
        body = {
            "Queue": "General",
            "Subject": subject,
            "Requestor": "customer@example.com",
            "Content": "Guten Tag",
            **fields,
        }
        return str(self._call("POST", "/ticket", json=body).json()["id"])

    def reply(self, ticket_id: str, text: str) -> None:
        plain = {"Content-Type": "text/plain; charset=utf-8"}
        path = f"/ticket/{ticket_id}/correspond"
        self._call("POST", path, data=text.encode(), headers=plain)

    def comment(self, ticket_id: str, text: str) -> None:
        plain = {"Content-Type": "text/plain; charset=utf-8"}
        self._call("POST", f"/ticket/{ticket_id}/comment", data=text.encode(), headers=plain)

    def change(self, ticket_id: str, **fields: Any) -> None:
        self._call("PUT", f"/ticket/{ticket_id}", json=fields)

    def merge(self, ticket_id: str, into: str) -> None:
        self.change(ticket_id, MergeInto=int(into))

    def delete(self, ticket_id: str) -> None:
        self._call("DELETE", f"/ticket/{ticket_id}")

    def ticket(self, ticket_id: str) -> dict[str, Any] | None:
        """Return the answer to an id; for a merged ticket, it is the remaining one."""
        reply = self.get(f"/ticket/{ticket_id}")
        if reply.status_code == 404:
            return None
        body: dict[str, Any] = reply.json()
        return body

    def everything(self) -> dict[str, dict[str, Any]]:
        """Return the answer to each id, from the first ticket to the last."""
        found: dict[str, dict[str, Any]] = {}
        while (body := self.ticket(number := str(len(found) + 1))) is not None:
            found[number] = body
        return found

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, user: str = ADMINISTRATOR
    ) -> requests.Response:
        password = ADMINISTRATOR_PASSWORD if user == ADMINISTRATOR else PASSWORD
        return self._session.get(
            f"{self.base_url}/REST/2.0{path}", params=params, auth=(user, password), timeout=30
        )

    def date(self, ticket_ids: Mapping[str, datetime]) -> None:
        """Set when tickets were last updated, which RT's API does not allow."""
        with sqlite3.connect(self.home / "database" / "rt", timeout=30) as database:
            for ticket_id, moment in ticket_ids.items():
                at = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
                database.execute("UPDATE Tickets SET LastUpdated = ? WHERE id = ?", (at, ticket_id))
        database.close()

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "RT_HOME": str(self.home)}

    def _call(self, method: str, path: str, **order: Any) -> requests.Response:
        url = f"{self.base_url}/REST/2.0{path}"
        reply = self._session.request(method, url, timeout=30, **order)
        assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply
