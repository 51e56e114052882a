"""Each fault of the proxy does what it says, and ends when it should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from helpdesk_assets_tests.chaos.fault_proxy import KINDS, Fault, FaultProxy

JOB = {"jobReference": {"projectId": "p", "jobId": "j"}, "configuration": {"query": {}}}


class Service:
    """A service that counts the jobs it is asked to run."""

    def __init__(self) -> None:
        self.jobs = 0


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def proxy(service: Service) -> Iterator[FaultProxy]:
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            service.jobs += 1
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    with FaultProxy(f"http://127.0.0.1:{server.server_address[1]}") as opened:
        yield opened
    server.shutdown()
    thread.join()
    server.server_close()


def post(proxy: FaultProxy, path: str = "/projects/p/jobs") -> requests.Response | None:
    try:
        return requests.post(proxy.endpoint + path, json=JOB, timeout=10)
    except requests.ConnectionError:
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_fault_fires_count_times_after_skipping_calls(
    proxy: FaultProxy, service: Service, kind: str
) -> None:
    proxy.order(Fault(kind, count=2, after=1))
    answers = [post(proxy) for _ in range(4)]
    whole = [answer is not None and answer.content == b"{}" for answer in answers]
    assert whole == [True, False, False, True]
    assert proxy.shown[kind] == 2
    assert service.jobs == (4 if kind == "answer_lost" else 2)


def test_response_of_each_fault(proxy: FaultProxy) -> None:
    for kind in ("500", "503"):
        proxy.order(Fault(kind))
        answer = post(proxy)
        assert answer is not None
        assert answer.status_code == int(kind)
        assert answer.json()["error"]["errors"][0]["reason"] == "backendError"
    proxy.order(Fault("job_fails"))
    answer = post(proxy)
    assert answer is not None
    assert answer.json()["status"]["state"] == "DONE"
    assert answer.json()["status"]["errorResult"]["reason"] == "backendError"


def test_job_only_faults_let_other_calls_pass(proxy: FaultProxy) -> None:
    proxy.order(Fault("500"))
    answer = post(proxy, "/projects/p/datasets")
    assert answer is not None
    assert answer.status_code == 200
    proxy.order(Fault("500", on_jobs=False))
    answer = post(proxy, "/projects/p/datasets")
    assert answer is not None
    assert answer.status_code == 500


@pytest.mark.parametrize(("moment", "jobs"), [("before", 0), ("after", 1)])
def test_client_is_killed_before_or_after_its_call(
    proxy: FaultProxy, service: Service, moment: str, jobs: int
) -> None:
    proxy.kills = lambda now, starts_a_job: starts_a_job and now == moment
    assert post(proxy) is None
    assert service.jobs == jobs
