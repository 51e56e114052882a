"""Rows before an upload: in memory while small, then on disk."""

from __future__ import annotations

from helpdesk_assets.spool import Spool


def test_rows_come_back_in_order_and_more_can_follow() -> None:
    with Spool(1000) as spool:
        spool.append(b'{"a": 1}')
        assert list(spool.lines()) == [b'{"a": 1}']
        spool.append('{"a": "\u00e9\\n"}'.encode())
        assert list(spool.lines()) == [b'{"a": 1}', '{"a": "\u00e9\\n"}'.encode()]
        assert (spool.rows, spool.size) == (2, 9 + 14)


def test_spool_is_large_past_its_limit() -> None:
    with Spool(10) as spool:
        spool.append(b"123456789")
        assert (spool.is_small, spool.rows) == (True, 1)
        spool.append(b"1")
        assert (spool.is_small, spool.rows) == (False, 2)
        assert spool.stream().read() == b"123456789\n1\n"


def test_large_spool_leaves_memory() -> None:
    with Spool(100) as spool:
        for _ in range(1000):
            spool.append(b"x" * 100)
        assert spool._file._rolled  # type: ignore[attr-defined]
