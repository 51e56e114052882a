"""Proxy between a run and the warehouse that counts requests, and jobs by kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from helpdesk_assets_tests.reverse_proxy import Call, Reply, ReverseProxy


class CountingProxy(ReverseProxy):
    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.requests = 0
        self.jobs: Counter[str] = Counter()

    def answer(self, call: Call, forward: Callable[[], Reply]) -> Reply | None:
        self.requests += 1
        if call.starts_a_job:
            self._note(call)
        return forward()

    def _note(self, call: Call) -> None:
        path = call.path.partition("?")[0]
        if path.startswith(("/upload/", "/resumable/")):
            self.jobs["load"] += 1
        elif path.endswith("/queries"):
            self.jobs["query"] += 1
        else:
            self.jobs.update(json.loads(call.body)["configuration"].keys() & {"query", "load"})
