"""The setting for changes that a webhook subscription leaves out, and its error messages."""

from __future__ import annotations

import pytest

from helpdesk_assets.config.unsubscribed import unsubscribed
from helpdesk_assets.model.webhooks import Unsubscribed


def test_default_excludes_nothing() -> None:
    assert unsubscribed("") == unsubscribed("  ") == unsubscribed("[]") == ()


def test_word_is_a_change_kind_and_object_matches_all_columns() -> None:
    text = '["created", {"change": ["updated"], "status": ["closed", "solved"], "priority": "low"}]'
    assert unsubscribed(text) == (
        Unsubscribed((("change", ("created",)),)),
        Unsubscribed(
            (("change", ("updated",)), ("status", ("closed", "solved")), ("priority", ("low",)))
        ),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("deleted", "is not JSON"),
        ('"deleted"', "is not a list"),
        ('{"status": "closed"}', "is not a list"),
        ("[3]", "neither a kind of change nor an object"),
        ("[{}]", "neither a kind of change nor an object"),
        ('["closed"]', "none of created, updated, deleted"),
        ('[{"subject": "x"}]', "none of change, status, priority, assignee"),
        ('[{"status": []}]', "gives status no word"),
        ('[{"status": [1]}]', "gives status no word"),
    ],
)
def test_mistake_is_reported(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        unsubscribed(text)
