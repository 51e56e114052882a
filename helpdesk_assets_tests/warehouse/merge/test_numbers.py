"""Numbers in the table are the doubles that were sent, whichever way they came."""

from __future__ import annotations

import random

import pytest

from helpdesk_assets.providers.parsing.exact_json import parse, storable
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.dataframes import spool_frame
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets_tests.warehouse.rows import LARGE, PARCELS, SMALL, as_value, stored

both_sizes = pytest.mark.parametrize("small_bytes", [SMALL, LARGE], ids=["small", "large"])
rng = random.Random(13)
# Ordinary ones, some of which BigQuery prints with more digits, and the ends of the range.
NUMBERS = [
    *(0.915908, 67.174118, 22.770092, 13.7391432, 286954.5962, 297.3344693281405),
    *(1685019801.1016695, 1.980425416415787e16, 0.1, 1e22, 5e-324, -1.7976931348623157e308),
    *(round(rng.random(), 6) for _ in range(2000)),
    *(rng.uniform(-180, 180) for _ in range(500)),
]


def merge(warehouse: BigQueryClient, spool: Spool, small_bytes: int) -> None:
    writer = TableWriter(warehouse, small_batch_bytes=small_bytes)
    writer.merge(PARCELS, spool, run_id="r1", step="parcels")


@both_sizes
def test_doubles_of_json_stay_the_same(warehouse: BigQueryClient, small_bytes: int) -> None:
    sent = ",".join(map(repr, NUMBERS)).encode()
    with Spool(SMALL) as spool:
        raw = storable(parse(b'{"id": "a", "raw_json": {"n": [%s]}}' % sent))[1]
        spool.append(raw.encode())
        merge(warehouse, spool, small_bytes)
    found = as_value(stored(warehouse)["a"]["raw_json"])["n"]
    assert list(map(float, found)) == NUMBERS


@both_sizes
def test_doubles_of_a_column_stay_the_same(warehouse: BigQueryClient, small_bytes: int) -> None:
    import pandas as pd

    frame = pd.DataFrame({"id": [str(n) for n in range(len(NUMBERS))], "price": NUMBERS})
    with spool_frame(frame, PARCELS, {}, SMALL).spool as spool:
        merge(warehouse, spool, small_bytes)
    found = stored(warehouse)
    assert [found[str(n)]["price"] for n in range(len(NUMBERS))] == NUMBERS


@both_sizes
def test_whole_numbers_stay_the_same(warehouse: BigQueryClient, small_bytes: int) -> None:
    import pandas as pd

    sent = {"low": -(2**63), "high": 2**63 - 1, "odd": 2**53 + 1, "small": 7}
    nested = [{"n": [number, 2**64 - 1]} for number in sent.values()]
    frame = pd.DataFrame({"id": list(sent), "weight": list(sent.values()), "raw_json": nested})
    with spool_frame(frame, PARCELS, {}, SMALL).spool as spool:
        merge(warehouse, spool, small_bytes)
    found = stored(warehouse)
    assert {key: found[key]["weight"] for key in sent} == sent
    assert [as_value(found[key]["raw_json"]) for key in sent] == nested
