"""Parse times and ids as users type them; a time without a zone is rejected, not guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import click

EXAMPLE = "2026-11-23T10:00:00Z"


def parse_time(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """Parse an option's ISO 8601 time with a zone.

    Raises:
        click.BadParameter: it is not one; the message has an example.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not an ISO 8601 time; write it like {EXAMPLE}"
        ) from None
    if moment.tzinfo is None:
        raise click.BadParameter(
            f"{text!r} has no zone; write it like {EXAMPLE} or 2026-11-23T11:00:00+01:00"
        )
    return moment.astimezone(UTC)


def parse_ids(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Parse an option's ids, separated by commas; empty if the option is not given.

    Raises:
        click.BadParameter: the text holds no id.
    """
    if text is None:
        return ()
    ids = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if not ids:
        raise click.BadParameter("names no ticket; write it like 1001,1002")
    return ids
