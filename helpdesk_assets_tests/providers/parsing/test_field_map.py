"""Flags are true only for true, whatever type a vendor gives them."""

from __future__ import annotations

from typing import Any

import pytest

from helpdesk_assets.providers.freshdesk import fields as freshdesk
from helpdesk_assets.providers.parsing.field_map import FieldMap, as_flag
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.zoho_desk import tickets as zoho_desk

FALSE: tuple[Any, ...] = (
    False,
    "false",
    "False",
    "FALSE",
    " false ",
    None,
    "",
    "0",
    0,
    1,
    "1",
    "no",
    [],
    [1],
    {},
)
TRUE: tuple[Any, ...] = (True, "true", "True", "TRUE", " true ")
FLAGS = {
    ("zoho_desk", "isSpam"): zoho_desk.deleted_at,
    ("zoho_desk", "isTrashed"): zoho_desk.deleted_at,
    ("zoho_desk", "isDeleted"): zoho_desk.deleted_at,
    ("freshdesk", "deleted"): freshdesk.deleted_at,
    ("freshdesk", "spam"): freshdesk.deleted_at,
}
AT = "2026-11-23T10:00:00Z"


@pytest.mark.parametrize("value", FALSE, ids=repr)
def test_everything_else_is_no_flag(value: Any) -> None:
    assert as_flag(value) is False


@pytest.mark.parametrize("value", TRUE, ids=repr)
def test_true_is_a_flag_also_as_text(value: Any) -> None:
    assert as_flag(value) is True


@pytest.mark.parametrize("key", FLAGS, ids="-".join)
def test_living_ticket_stays_alive_whatever_its_flags_type(key: tuple[str, str]) -> None:
    row = {"updated_at": AT, "modifiedTime": AT}
    assert FLAGS[key](row) is None
    for value in FALSE:
        assert FLAGS[key]({**row, key[1]: value}) is None
    for value in TRUE:
        assert FLAGS[key]({**row, key[1]: value}) == AT


def test_volatile_fields_are_kept_but_not_compared() -> None:
    reader = TicketReader(FieldMap(volatile=("seen", "late")), skip_bad=False)
    base = {"id": "1", "modifiedTime": AT, "a": 0.1, "inner": {"seen": 1}}

    def read(**fields: Any) -> Any:
        return reader.ticket({**base, **fields}, "(no id)")

    alike = [read(), read(seen=True), read(seen=2**70, late="\ud800"), read(late={"b": 1})]
    assert len({each.content_hash for each in alike}) == 1
    assert '"seen":true' in alike[1].raw_json
    others = [read(inner={"seen": 2}), read(a=0.2), read(subject="s", seen=True)]
    assert len({each.content_hash for each in [alike[0], *others]}) == 4
