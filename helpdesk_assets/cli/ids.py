"""Ticket ids as users type them."""

from __future__ import annotations

import click


def read_ids(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...]:
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
