"""Times as users type them. A time without a zone is refused and never guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import click

EXAMPLE = "2026-11-23T10:00:00Z"


def parse_time(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """Callback of an option that takes an ISO 8601 time with a zone.

    Raises:
        click.BadParameter: with an example.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no ISO 8601 time; write it like {EXAMPLE}") from None
    if moment.tzinfo is None:
        raise click.BadParameter(
            f"{text!r} has no zone; write it like {EXAMPLE} or 2026-11-23T11:00:00+01:00"
        )
    return moment.astimezone(UTC)


def parse_ids(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Callback of an option that takes ids separated by commas; nothing where it is not given.

    Raises:
        click.BadParameter: there is no id in it.
    """
    if text is None:
        return ()
    ids = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if not ids:
        raise click.BadParameter("names no ticket; write it like 1001,1002")
    return ids
