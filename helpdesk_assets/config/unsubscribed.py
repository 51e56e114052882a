"""What a webhook's subscription leaves out, read from the text of a setting.

Vendors let one subscribe to some kinds of change only: no deletions, no closed tickets, nothing of
one priority. Such a change never comes, and to call it missed every time would teach everybody to
look away. Must not know SQL nor where the text comes from.
"""

from __future__ import annotations

import json
from typing import Any

from helpdesk_assets.model.webhooks import Unsubscribed

CHANGES = ("created", "updated", "deleted")
COLUMNS = ("change", "status", "priority", "assignee")
_EXAMPLE = '["deleted", {"change": "updated", "status": ["closed"]}]'


def unsubscribed(text: str) -> tuple[Unsubscribed, ...]:
    """A JSON list: a kind of change, or an object of columns and the words that they may hold, all
    of which must fit.

    Raises:
        ValueError: what is not such a list, told with an example.
    """
    if not text.strip():
        return ()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"is not JSON; write a list such as {_EXAMPLE}") from None
    if not isinstance(value, list):
        # A ValueError, for that is what settings are told mistakes by.
        raise ValueError(f"is not a list; write one such as {_EXAMPLE}")  # noqa: TRY004
    return tuple(_parse_entry(each) for each in value)


def _parse_entry(value: Any) -> Unsubscribed:
    if isinstance(value, str):
        value = {"change": value}
    if not isinstance(value, dict) or not value:
        raise ValueError(f"holds what is neither a kind of change nor an object, as in {_EXAMPLE}")
    return Unsubscribed(
        tuple((column, _parse_values(column, words)) for column, words in value.items())
    )


def _parse_values(column: str, value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if column not in COLUMNS:
        raise ValueError(f"names a column that is none of {', '.join(COLUMNS)}")
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise ValueError(f"gives {column} no word or list of words, as in {_EXAMPLE}")
    if column == "change" and not set(words) <= set(CHANGES):
        raise ValueError(f"names a change that is none of {', '.join(CHANGES)}")
    return tuple(words)
