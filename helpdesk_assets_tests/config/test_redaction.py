"""Redacted paths are not stored, also if a field has an unexpected type."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from helpdesk_assets.config.redaction import Redaction, parse_paths
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.hostile.strategies import values, written

KEY = "0123456789abcdef"


def redacted(fields: str, row: dict[str, Any]) -> dict[str, Any]:
    return Redaction(parse_paths(fields), KEY.encode())(row)


def hashed(text: str) -> str:
    return f"hmac:{hmac.digest(KEY.encode(), text.encode(), 'sha256').hex()[:32]}"


@pytest.mark.parametrize(
    ("fields", "row", "left"),
    [
        ("a", {"a": 1, "b": 2}, {"b": 2}),
        ("$.a , c:drop", {"a": 1, "b": 2, "c": 3}, {"b": 2}),
        ("a.b", {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        ("a[0]", {"a": [1, 2]}, {"a": [None, 2]}),
        ("a[*].b", {"a": [{"b": 1, "c": 2}, {"b": 3}]}, {"a": [{"c": 2}, {}]}),
        ("a.*", {"a": {"b": 1}, "c": 2}, {"a": {}, "c": 2}),
        ("a['x.y, z']", {"a": {"x.y, z": 1, "b": 2}}, {"a": {"b": 2}}),
        ("['región']", {"región": 1, "b": 2}, {"b": 2}),
        ("absent.b", {"a": 1}, {"a": 1}),
        ("a:hash", {"a": "ann@example.com"}, {"a": hashed("ann@example.com")}),
        ("a:hash", {"a": {"c": 1, "b": [2]}}, {"a": hashed('{"b": [2], "c": 1}')}),
        ("a:hash", {"a": None}, {"a": None}),
    ],
)
def test_named_fields_are_removed(fields: str, row: dict[str, Any], left: dict[str, Any]) -> None:
    assert redacted(fields, row) == left


@pytest.mark.parametrize(
    "requester",
    ["ann@example.com", ["ann@example.com"], [{"email": "ann@example.com"}], [[{"email": "ann"}]]],
)
def test_field_of_an_unexpected_type_is_removed(requester: Any) -> None:
    for way in ("drop", "hash"):
        assert "ann" not in str(redacted(f"requester.email:{way}", {"requester": requester}))


@given(
    row=st.dictionaries(st.sampled_from("abc"), values), path=st.sampled_from(("a", "a.b", "a.*"))
)
def test_redaction_copies_the_row(row: dict[str, Any], path: str) -> None:
    before = written(row)
    assert redacted(path, redacted(path, row)) == redacted(path, row)
    assert written(row) == before


def test_hashes_are_equal_per_value_and_key() -> None:
    row = {"a": "ann", "b": {"c": "ann"}}
    found = redacted("a:hash, b.c:hash", row)
    assert found["a"] == found["b"]["c"]
    assert Redaction(parse_paths("a:hash"), b"another key, also long")(row)["a"] != found["a"]


@pytest.mark.parametrize(
    "fields", ["a..b", "a[", "a[b]", "a b", "$", ":hash", "a:md5", "a['b", "-"]
)
def test_invalid_path_is_reported(fields: str) -> None:
    with pytest.raises(ValidationError, match="write"):
        Settings(_env_file=None, redact_fields=fields)  # type: ignore[call-arg,unused-ignore]


def test_hashes_need_a_key() -> None:
    with pytest.raises(ValidationError, match="REDACT_KEY has fewer than 16 characters"):
        Settings(_env_file=None, redact_fields="a:hash")  # type: ignore[call-arg,unused-ignore]


def test_nothing_is_redacted_by_default() -> None:
    assert Settings(_env_file=None, redact_fields=" , ").redaction is None  # type: ignore[call-arg,unused-ignore]


def test_key_is_not_shown() -> None:
    settings = Settings(_env_file=None, redact_fields="a:hash", redact_key=SecretStr(KEY))  # type: ignore[call-arg,unused-ignore]
    assert KEY not in repr(settings) + repr(settings.redaction)
