"""The changes that a webhook's subscription leaves out, parsed from the text of a setting.

Vendors offer subscriptions to some kinds of change only: no deletions, no closed tickets, nothing
of one priority. Such a change never comes, and calling it missed every time would teach everybody
to ignore the report. Must not know SQL nor where the text comes from.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from helpdesk_assets.model.webhooks import Unsubscribed

_ADVICE = (
    'Write a list such as ["deleted", {"change": "updated", "status": ["closed"]}]: a change is '
    "created, updated or deleted; the columns are change, status, priority and assignee."
)

_Change = Literal["created", "updated", "deleted"]
_OneOrMore = msgspec.Meta(min_length=1)
_Words = str | Annotated[list[str], _OneOrMore] | None


class _Conditions(msgspec.Struct, forbid_unknown_fields=True):
    """Columns and the words that each may hold."""

    change: _Change | Annotated[list[_Change], _OneOrMore] | None = None
    status: _Words = None
    priority: _Words = None
    assignee: _Words = None


def parse_unsubscribed(text: str) -> tuple[Unsubscribed, ...]:
    """Parse a JSON list of kinds of change, or objects of columns and words that must all match.

    Raises:
        ValueError: the text is not such a list; the message says how to write one.
    """
    if not text.strip():
        return ()
    try:
        entries = msgspec.json.decode(text, type=list[_Change | _Conditions])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ValueError(f"is invalid: {error}. {_ADVICE}") from None
    return tuple(_parse_entry(entry) for entry in entries)


def _parse_entry(entry: _Change | _Conditions) -> Unsubscribed:
    if not isinstance(entry, _Conditions):
        entry = _Conditions(change=entry)
    conditions = tuple(
        (column, (words,) if isinstance(words, str) else tuple(words))
        for column, words in msgspec.structs.asdict(entry).items()
        if words is not None
    )
    if not conditions:
        raise ValueError(f"has an object that names no column. {_ADVICE}")
    return Unsubscribed(conditions)
