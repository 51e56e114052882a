"""A file is uploaded in chunks that fit into memory."""

from __future__ import annotations

import json

import pytest
from google.cloud.bigquery import client

from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery import upload_chunks
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets_tests.warehouse.rows import EVENTS, stored


def test_google_client_still_has_the_chunk_size() -> None:
    assert isinstance(client._DEFAULT_CHUNKSIZE, int)
    upload_chunks.limit_upload_chunks()
    assert client._DEFAULT_CHUNKSIZE == upload_chunks.CHUNK_BYTES


def test_batch_of_several_chunks_arrives_whole(
    warehouse: BigQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_chunks, "CHUNK_BYTES", 256 * 1024)
    with Spool(1) as spool:
        for number in range(6000):
            row = {"id": f"{number:0100}", "at": "2026-11-01T00:00:00Z"}
            spool.append(json.dumps(row).encode())
        assert spool.size > 3 * upload_chunks.CHUNK_BYTES
        TableWriter(warehouse, small_batch_bytes=1).merge(EVENTS, spool, run_id="r", step="events")
    assert len(stored(warehouse, "events")) == 6000
    monkeypatch.undo()
    upload_chunks.limit_upload_chunks()
