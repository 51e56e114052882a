"""Numbers and characters are kept exactly, or as text."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpdesk_assets.providers.parsing.exact_json import compose, parse, storable


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9007199254740993", 9007199254740993),
        (str(2**64 - 1), 2**64 - 1),
        (str(-(2**63)), -(2**63)),
        (str(2**64), str(2**64)),
        (str(-(2**63) - 1), str(-(2**63) - 1)),
        ("1" * 5000, "1" * 5000),
        ("0.1", 0.1),
        ("1.50", 1.5),
        ("1E2", 100.0),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("1e400", "1e400"),
        ("1e-400", "1e-400"),
        ("1e99999999999999999999999", "1e99999999999999999999999"),
    ],
)
def test_numbers_are_exact_or_kept_as_text(text: str, value: Any) -> None:
    heard: list[None] = []
    row = parse(f'{{"n":{text}}}'.encode(), lambda: heard.append(None))
    stored, raw, _ = storable(row, lambda: heard.append(None))
    assert stored["n"] == json.loads(raw)["n"] == value
    assert type(stored["n"]) is type(json.loads(raw)["n"]) is type(value)
    assert len(heard) == isinstance(value, str)


# Doubles that BigQuery prints with more digits than Python, and so refuses as Python writes them.
PRINTED_OTHERWISE = {
    "0.915908": "0.9159080000000001",
    "67.174118": "67.17411800000001",
    "-67.174118": "-67.17411800000001",
    "22.770092": "22.770092000000002",
    "13.7391432": "13.739143199999999",
    "286954.5962": "286954.59620000003",
    "297.3344693281405": "297.33446932814047",
    "1685019801.1016695": "1685019801.1016696",
    "0.2002386475503002": "0.20023864755030019",
    "1.980425416415787e+16": "1.9804254164157872E+16",
}


@pytest.mark.parametrize("text", PRINTED_OTHERWISE)
def test_double_is_written_as_bigquery_prints_it(text: str) -> None:
    heard: list[None] = []
    value = parse(f'{{"n":[{text}]}}'.encode(), lambda: heard.append(None))
    stored, raw, _ = storable(value)
    assert stored == {"n": [float(text)]}
    assert raw == f'{{"n":[{PRINTED_OTHERWISE[text]}]}}'
    assert json.loads(raw) == stored
    assert heard == []


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_double_stays_the_same_double(number: float) -> None:
    raw = storable(parse(repr(number).encode()))[1]
    assert repr(json.loads(raw)) == repr(number)
    assert storable(parse(f'[{number!r},"\\ud800"]'.encode()))[1] == f'[{raw},"\ufffd"]'


@given(st.floats(min_value=-180, max_value=180), st.integers(min_value=0, max_value=9))
def test_any_rounded_double_stays_the_same_double(number: float, places: int) -> None:
    number = round(number, places)
    assert repr(json.loads(storable(parse(repr(number).encode()))[1])) == repr(number)


@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers().map(Decimal))
def test_numbers_keep_their_value(number: Decimal) -> None:
    kept = parse(str(number).encode())
    assert Decimal(kept if isinstance(kept, str) else repr(kept)) == number


numbers = st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.integers().map(str)


@given(st.lists(numbers | st.text().map(json.dumps), max_size=6))
def test_fast_and_exact_parsers_agree(values: list[str]) -> None:
    """A lone surrogate sends the whole text to the exact parser; numbers stay the same."""
    text = f"[{','.join(values)}]"
    quick, _, _ = storable(parse(text.encode()))
    exact, _, _ = storable(parse(f'[{text},"\\ud800"]'.encode()))
    assert exact == [quick, "\ufffd"]
    assert list(map(type, quick)) == list(map(type, exact[0]))


def test_too_deep_nesting_is_rejected() -> None:
    assert storable(parse(b"[" * 200 + b"]" * 200))[1] == "[" * 200 + "]" * 200
    with pytest.raises(RecursionError):
        storable(parse(b"[" * 300 + b"]" * 300))


@pytest.mark.parametrize(
    "body",
    [b"", b"nan", b"[-NaN]", b'{"a":', b"\xff\xfe", b"<html>", b"{} {}"],
)
def test_invalid_json_is_rejected(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(body)


@pytest.mark.usefixtures("no_garbage_collection")
def test_unbounded_nesting_is_rejected() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parse(b"[" * 200_000)


@pytest.mark.usefixtures("no_garbage_collection")
def test_truncated_deep_value_still_counts_as_too_deep() -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    page = parse(b'{"a":{"s":"]}\\"["},"b":' + deep + b',"c":1}')
    assert (page["a"], page["c"]) == ({"s": ']}"['}, 1)
    with pytest.raises(RecursionError):
        storable(page["b"])


def test_nan_and_infinity_are_kept_as_text() -> None:
    heard: list[None] = []
    body = b'{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN"}'
    value = parse(body, lambda: heard.append(None))
    assert value == {"a": "NaN", "b": ["Infinity", "-Infinity"], "c": "NaN"}
    assert len(heard) == 3


def test_unescaped_control_characters_are_accepted() -> None:
    assert parse(b'{"a":"\x01\t\n"}') == {"a": "\x01\t\n"}


def test_byte_order_mark_is_ignored() -> None:
    assert parse(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (r'"a\ud800b"', "a\ufffdb"),
        (r'"\udc00\ud83d"', "\ufffd\ufffd"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"Stra\u00dfe"', "Straße"),
    ],
)
def test_lone_surrogate_is_replaced(text: str, kept: str) -> None:
    value, raw, _ = storable(parse(f'{{"s":{text},{text}:1}}'.encode()))
    assert value == {"s": kept, kept: 1}
    assert json.loads(raw.encode()) == value


def test_text_is_compact_and_not_escaped() -> None:
    assert compose({"b": "ß", "a": [1, None]}) == '{"a":[1,null],"b":"ß"}'


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=6))
def test_digest_depends_on_content_not_key_order(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert storable(value)[2] == storable(backwards)[2]
    assert storable({**value, "\0new": 1})[2] != storable(value)[2]
