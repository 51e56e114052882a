"""Rows as protocol buffers, in which the Storage Write API takes them.

The type of the message is made of a table's description. Must not know a connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from helpdesk_assets.warehouse.table_spec import ColumnType, TableSpec

_FIELD = descriptor_pb2.FieldDescriptorProto
# TIMESTAMP travels as microseconds since 1970, JSON as text.
_FIELD_TYPES = {
    ColumnType.STRING: _FIELD.TYPE_STRING,
    ColumnType.INT64: _FIELD.TYPE_INT64,
    ColumnType.FLOAT64: _FIELD.TYPE_DOUBLE,
    ColumnType.BOOL: _FIELD.TYPE_BOOL,
    ColumnType.TIMESTAMP: _FIELD.TYPE_INT64,
    ColumnType.JSON: _FIELD.TYPE_STRING,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a row adds to a request beside its own bytes, at most.
_FRAME_BYTES = 8


class RowType:
    """The message for the rows of one table.

    Attributes:
        descriptor: describes the message to BigQuery.
    """

    def __init__(self, spec: TableSpec) -> None:
        """Make the message of the table's columns."""
        self.descriptor = descriptor_pb2.DescriptorProto(name="Row")
        for number, column in enumerate(spec.columns, start=1):
            # Optional, so that an absent field is NULL.
            self.descriptor.field.add(
                name=column.name,
                number=number,
                type=_FIELD_TYPES[column.type],
                label=_FIELD.LABEL_OPTIONAL,
            )
        file = descriptor_pb2.FileDescriptorProto(name="row.proto", syntax="proto2")
        file.message_type.add().CopyFrom(self.descriptor)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        self._message = message_factory.GetMessageClass(pool.FindMessageTypeByName("Row"))

    def serialize(self, row: Mapping[str, Any]) -> bytes:
        """Return one row as bytes.

        Args:
            row: values by column; datetimes are aware, None is NULL.

        Raises:
            ValueError: a value does not fit its column, or there is no such column.
        """
        values = {name: _plain(value) for name, value in row.items() if value is not None}
        try:
            return bytes(self._message(**values).SerializeToString())
        except TypeError as error:
            raise ValueError(str(error)) from error


def parts(rows: Iterable[tuple[int, bytes]], max_bytes: int) -> Iterator[list[tuple[int, bytes]]]:
    """Split numbered rows into parts of at most so many bytes; a larger row is alone."""
    part: list[tuple[int, bytes]] = []
    size = 0
    for number, row in rows:
        added = len(row) + _FRAME_BYTES
        if part and size + added > max_bytes:
            yield part
            part, size = [], 0
        part.append((number, row))
        size += added
    if part:
        yield part


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        delta = value - _EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    return value
