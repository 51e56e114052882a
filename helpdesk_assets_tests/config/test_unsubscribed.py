"""The setting for changes that a webhook subscription leaves out, and its error messages."""

from __future__ import annotations

import pytest

from helpdesk_assets.config.unsubscribed import parse_unsubscribed
from helpdesk_assets.model.webhooks import Unsubscribed


def test_default_excludes_nothing() -> None:
    assert parse_unsubscribed("") == parse_unsubscribed("  ") == parse_unsubscribed("[]") == ()


def test_word_is_a_change_kind_and_object_matches_all_columns() -> None:
    text = '["created", {"change": ["updated"], "status": ["closed", "solved"], "priority": "low"}]'
    assert parse_unsubscribed(text) == (
        Unsubscribed((("change", ("created",)),)),
        Unsubscribed(
            (("change", ("updated",)), ("status", ("closed", "solved")), ("priority", ("low",)))
        ),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("deleted", "JSON is malformed.*Write a list such as"),
        ('"deleted"', "Expected `array`, got `str`"),
        ('{"status": "closed"}', "Expected `array`, got `object`"),
        ("[3]", "got `int`"),
        ("[{}]", "names no column"),
        ('["closed"]', "value 'closed'.*a change is created, updated or deleted"),
        ('[{"subject": "x"}]', "unknown field `subject`.*the columns are change"),
        ('[{"status": []}]', "length >= 1"),
        ('[{"status": [1]}]', "got `int`"),
    ],
)
def test_mistake_is_reported(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_unsubscribed(text)
