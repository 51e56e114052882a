"""BigQuery's Storage Write API as a server in this process, which answers what a test tells it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import status_pb2

METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
HOST = "127.0.0.1"

# What is done with a request: an answer, an error as the call's status, or whatever it raises.
Answer = Callable[[types.AppendRowsRequest], types.AppendRowsResponse]


class CallFails(Exception):
    """The call ends with this status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def acknowledge(_: types.AppendRowsRequest) -> types.AppendRowsResponse:
    return types.AppendRowsResponse(append_result=types.AppendRowsResponse.AppendResult())


def fail(code: grpc.StatusCode, message: str = "as told") -> Answer:
    """End the call with a status."""

    def answer(_: types.AppendRowsRequest) -> types.AppendRowsResponse:
        raise CallFails(code, message)

    return answer


def refuse(code: grpc.StatusCode, message: str) -> Answer:
    """Answer with an error, and leave the call as it is."""
    status = status_pb2.Status(code=code.value[0], message=message)
    return lambda _: types.AppendRowsResponse(error=status)


def refuse_rows(**reasons: str) -> Answer:
    """Refuse rows by a value of theirs: none of the request is appended."""

    def answer(request: types.AppendRowsRequest) -> types.AppendRowsResponse:
        errors = [
            types.RowError(
                index=index, code=types.RowError.RowErrorCode.FIELDS_ERROR, message=reason
            )
            for index, row in enumerate(rows_of(request))
            for value, reason in reasons.items()
            if value in row.values()
        ]
        if not errors:
            return acknowledge(request)
        status = status_pb2.Status(code=3, message="Errors found while processing rows.")
        return types.AppendRowsResponse(error=status, row_errors=errors)

    return answer


class AppendService:
    """What the server was sent and appended.

    Attributes:
        requests: every request, in the order of arrival.
        appended: the rows of acknowledged requests, by table.
        answers: what is done with the next requests; then `otherwise`.
    """

    def __init__(self) -> None:
        self.requests: list[types.AppendRowsRequest] = []
        self.appended: dict[str, list[dict[str, Any]]] = {}
        self.answers: deque[Answer] = deque()
        self.otherwise: Answer = acknowledge
        self._lock = threading.Lock()

    def handle(
        self, requests: Iterator[types.AppendRowsRequest], context: grpc.ServicerContext
    ) -> Iterator[types.AppendRowsResponse]:
        for request in requests:
            with self._lock:
                self.requests.append(request)
                answer = self.answers.popleft() if self.answers else self.otherwise
            try:
                response = answer(request)
            except CallFails as failure:
                context.abort(failure.code, str(failure))
            if not response.error.code:
                table = request.write_stream.split("/")[5]
                with self._lock:
                    self.appended.setdefault(table, []).extend(rows_of(request))
            yield response


def rows_of(request: types.AppendRowsRequest) -> list[dict[str, Any]]:
    """Return the rows as the protocol buffers have them: times are numbers."""
    file = descriptor_pb2.FileDescriptorProto(name="rows.proto", syntax="proto2")
    file.message_type.add().CopyFrom(request.proto_rows.writer_schema.proto_descriptor)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("Row"))
    parsed = (message.FromString(row) for row in request.proto_rows.rows.serialized_rows)
    return [{field.name: value for field, value in row.ListFields()} for row in parsed]


@contextmanager
def serve_appends(service: AppendService, port: int = 0) -> Iterator[str]:
    """Serve on a port, 0 for a free one, and yield the address. The end is told to its clients."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    handler = grpc.stream_stream_rpc_method_handler(
        service.handle,
        types.AppendRowsRequest.deserialize,
        types.AppendRowsResponse.serialize,
    )
    service_name, method = METHOD.strip("/").split("/")
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service_name, {method: handler})]
    )
    port = server.add_insecure_port(f"{HOST}:{port}")
    server.start()
    try:
        yield f"{HOST}:{port}"
    finally:
        server.stop(0).wait()
