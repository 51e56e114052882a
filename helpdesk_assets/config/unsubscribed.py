"""What a webhook's subscription leaves out, read from the text of a setting.

Vendors let one subscribe to some kinds of change only: no deletions, no closed tickets, nothing of
one priority. Such a change never comes, and to call it missed every time would teach everybody to
look away. Must not know SQL nor where the text comes from.
"""

from __future__ import annotations

import json
from typing import Any

from helpdesk_assets.model.webhooks import LeftOut

CHANGES = ("created", "updated", "deleted")
COLUMNS = ("change", "status", "priority", "assignee")
_EXAMPLE = '["deleted", {"change": "updated", "status": ["closed"]}]'


def left_out(text: str) -> tuple[LeftOut, ...]:
    """A JSON list: a kind of change, or an object of columns and the words that they may hold, all
    of which must fit.

    Raises:
        ValueError: what is not such a list, told with an example.
    """
    if not text.strip():
        return ()
    try:
        stated = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"is not JSON; write a list such as {_EXAMPLE}") from None
    if not isinstance(stated, list):
        # A ValueError, for that is what settings are told mistakes by.
        raise ValueError(f"is not a list; write one such as {_EXAMPLE}")  # noqa: TRY004
    return tuple(_kind(each) for each in stated)


def _kind(stated: Any) -> LeftOut:
    if isinstance(stated, str):
        stated = {"change": stated}
    if not isinstance(stated, dict) or not stated:
        raise ValueError(f"holds what is neither a kind of change nor an object, as in {_EXAMPLE}")
    return LeftOut(tuple((column, _words(column, words)) for column, words in stated.items()))


def _words(column: str, stated: Any) -> tuple[str, ...]:
    words = [stated] if isinstance(stated, str) else stated
    if column not in COLUMNS:
        raise ValueError(f"names a column that is none of {', '.join(COLUMNS)}")
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise ValueError(f"gives {column} no word or list of words, as in {_EXAMPLE}")
    if column == "change" and not set(words) <= set(CHANGES):
        raise ValueError(f"names a change that is none of {', '.join(CHANGES)}")
    return tuple(words)
