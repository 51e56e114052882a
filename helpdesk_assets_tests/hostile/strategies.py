"""Strategies for any JSON, and for JSON that is almost as expected."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

MODIFIED = "2026-11-20T08:00:00Z"
# For what takes long: a quarter of whatever the profile asks for.
fewer = settings(max_examples=max(settings().max_examples // 4, 1))
# What has broken a parser, a database or a log somewhere.
ODD_TEXTS = (
    "", " ", "\x00", "\ud800", "a\nb", "'; DROP TABLE tickets; --", "`", "\\", "\U0001d54f" * 300,
    "\u2028",
    "NaN", "null", "0", "-1", "1e999", "9" * 400, "../..", "%00", "{{7*7}}", MODIFIED,
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2026-02-30T00:00:00Z",
    "20261120T080000Z", "2026-W47-5", "2026-11-20", "2026-11-20T08:00:00", "2026-11-20 08:00:00Z",
)  # fmt: skip
ODD_NUMBERS = (
    0, -1, 1.5, -0.0, 1e308, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 1763625600,
    1763625600000,
)  # fmt: skip
texts = st.sampled_from(ODD_TEXTS) | st.text(max_size=12)
scalars = st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | st.integers() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def objects(names: Iterable[str], *, of: st.SearchStrategy[Any] = values) -> Any:
    """Objects with some of these members, each of any type, and with others."""
    known = st.fixed_dictionaries({}, optional=dict.fromkeys(names, of))
    return st.builds(lambda one, two: {**two, **one}, known, st.dictionaries(texts, of, max_size=2))


def written(value: Any) -> bytes:
    """Encode carelessly, with lone surrogates, NaN and the like."""
    return json.dumps(value).encode()
