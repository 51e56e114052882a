"""Appends rows by the Storage Write API's default stream, as barely as google's client allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc  # type: ignore[import-untyped,unused-ignore]
from google.cloud import bigquery_storage_v1 as storage
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.services.big_query_write import transports
from google.protobuf import (  # type: ignore[import-untyped,unused-ignore]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

from helpdesk_assets_tests.experiments.lab import Lab

Append = Callable[[str], None]
_FIELD = descriptor_pb2.FieldDescriptorProto


@contextmanager
def open_stream(lab: Lab, table: str) -> Iterator[Append]:
    """Return what appends a row with this id, and returns when it is acknowledged."""
    client = _client(lab)
    parts = ("projects", lab.client.project, "datasets", lab.dataset, "tables", table)
    name = "/".join((*parts, "streams", "_default"))
    descriptor = _descriptor()
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(
        name="row.proto", package="row", message_type=[descriptor]
    )
    pool.Add(file)  # type: ignore[no-untyped-call,unused-ignore]
    row_type = message_factory.GetMessageClass(pool.FindMessageTypeByName("row.Row"))

    def append(key: str) -> None:
        rows = types.ProtoRows(serialized_rows=[row_type(id=key, value=1).SerializeToString()])
        data = types.AppendRowsRequest.ProtoData(
            writer_schema=types.ProtoSchema(proto_descriptor=descriptor), rows=rows
        )
        request = types.AppendRowsRequest(write_stream=name, proto_rows=data)
        (answer,) = client.append_rows(iter([request]))
        if answer.error.code:
            raise RuntimeError(f"The append was refused: {answer.error.message}")

    yield append
    client.transport.close()  # type: ignore[no-untyped-call]


def _client(lab: Lab) -> storage.BigQueryWriteClient:
    host = lab.settings.bigquery_emulator_grpc_host
    if not host:
        return storage.BigQueryWriteClient()  # type: ignore[no-untyped-call]
    channel = grpc.insecure_channel(host)
    transport = transports.BigQueryWriteGrpcTransport(channel=channel)
    return storage.BigQueryWriteClient(transport=transport)  # type: ignore[no-untyped-call]


def _descriptor() -> descriptor_pb2.DescriptorProto:
    return descriptor_pb2.DescriptorProto(
        name="Row",
        field=[
            _FIELD(name="id", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL),
            _FIELD(name="value", number=2, type=_FIELD.TYPE_INT64, label=_FIELD.LABEL_OPTIONAL),
        ],
    )
