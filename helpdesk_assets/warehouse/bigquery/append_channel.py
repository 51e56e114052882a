"""The connection to BigQuery's Storage Write API, or to what a stand-in serves in its place.

Must not know rows or tables.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import grpc
from google.api_core import exceptions as google
from google.api_core import grpc_helpers
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.bigquery_storage_v1 import types

SERVICE = "bigquerystorage.googleapis.com:443"
SCOPES = (
    "https://www.googleapis.com/auth/bigquery",
    "https://www.googleapis.com/auth/cloud-platform",
)
_METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
# After an outage, gRPC waits for up to two minutes before it tries to connect again.
_RECONNECT = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
# Routers forget a connection that is idle; it is found dead before the next event needs it.
_KEEPALIVE = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
# A proxy of the environment would not reach this machine's loopback.
_NO_PROXY = (("grpc.enable_http_proxy", 0),)

# By the number of gRPC's code.
_KINDS: Mapping[int, Any] = {
    code.value[0]: kind
    for code, kind in (
        (grpc.StatusCode.CANCELLED, google.Cancelled),
        (grpc.StatusCode.INVALID_ARGUMENT, google.InvalidArgument),
        (grpc.StatusCode.DEADLINE_EXCEEDED, google.DeadlineExceeded),
        (grpc.StatusCode.NOT_FOUND, google.NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, google.AlreadyExists),
        (grpc.StatusCode.PERMISSION_DENIED, google.PermissionDenied),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, google.ResourceExhausted),
        (grpc.StatusCode.FAILED_PRECONDITION, google.FailedPrecondition),
        (grpc.StatusCode.ABORTED, google.Aborted),
        (grpc.StatusCode.OUT_OF_RANGE, google.OutOfRange),
        (grpc.StatusCode.UNIMPLEMENTED, google.MethodNotImplemented),
        (grpc.StatusCode.INTERNAL, google.InternalServerError),
        (grpc.StatusCode.UNAVAILABLE, google.ServiceUnavailable),
        (grpc.StatusCode.DATA_LOSS, google.DataLoss),
        (grpc.StatusCode.UNAUTHENTICATED, google.Unauthenticated),
    )
}


class AppendChannel:
    """A connection, which is made at the first call and again when it breaks.

    Attributes:
        host: where it leads, with the port.
    """

    def __init__(self, address: str | None, credentials: Any, *, is_emulator: bool) -> None:
        """Set up; nothing is called yet.

        Args:
            address: host, and port if any; None for the service's usual address.
            credentials: google's credentials for the real service.
            is_emulator: it is a stand-in of this machine, which is called unencrypted.
        """
        self.host = address or SERVICE
        self._channel = (
            grpc.insecure_channel(self.host, options=[*_RECONNECT, *_NO_PROXY])
            if is_emulator
            else grpc_helpers.create_channel(
                self.host,
                credentials=credentials,
                default_scopes=SCOPES,
                options=[*_RECONNECT, *_KEEPALIVE],
            )
        )
        self._append_rows = self._channel.stream_stream(
            _METHOD,
            request_serializer=types.AppendRowsRequest.serialize,
            response_deserializer=types.AppendRowsResponse.deserialize,
        )

    def append(
        self, request: types.AppendRowsRequest, *, timeout: float
    ) -> types.AppendRowsResponse:
        """Send one request and return its answer; raises google's errors for all others.

        Args:
            request: rows, with the stream and the description of a row.
            timeout: seconds to wait for the answer.
        """
        try:
            call = self._append_rows(
                iter([request]),
                timeout=max(timeout, 0.0),
                metadata=(("x-goog-request-params", f"write_stream={request.write_stream}"),),
            )
            answer: types.AppendRowsResponse = next(call)
        except grpc.RpcError as error:
            raise _from_call(error) from error
        except (StopIteration, ValueError) as error:  # closed by the server, or here
            raise _cancelled() from error
        # To its end, since a call that is left early is reset.
        with suppress(grpc.RpcError):
            deque(call, maxlen=0)
        if answer.error.code and not answer.row_errors:
            raise _from_status(answer.error.code, answer.error.message)
        return answer

    def close(self) -> None:
        """Close the connection; calls in flight fail."""
        self._channel.close()


def _from_call(error: grpc.RpcError) -> GoogleAPICallError:
    return _from_status(error.code().value[0], error.details() or "")


def _from_status(code: int, message: str) -> GoogleAPICallError:
    # google.api_core maps no code if it was imported while grpc was hidden, as commands do for a
    # quick start: see `lazy_imports`.
    kind = _KINDS.get(code, google.Unknown)
    found: GoogleAPICallError = kind(message)
    return found


def invalid_argument(message: str) -> GoogleAPICallError:
    """Return google's error for a request that is refused as it is."""
    return _from_status(grpc.StatusCode.INVALID_ARGUMENT.value[0], message)


def _cancelled() -> GoogleAPICallError:
    return google.Cancelled(  # type: ignore[no-untyped-call]
        "the connection was closed before the answer"
    )
