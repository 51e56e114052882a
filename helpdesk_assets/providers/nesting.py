"""JSON texts that are nested deeper than any parser goes, made flat enough to be read.

A hundred kilobytes of brackets in one ticket stop every parser for the whole page. Cut, the page
can be read, and that ticket be refused by its name. Only such texts come here. Must not know what
they are about.
"""

from __future__ import annotations

import re

# A text whole, since brackets in it are none; unrolled, for one that has a million characters.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def cut_below(text: str, levels: int) -> str:
    """The text with `null` for each array and object that has `levels` others around it.

    Raises:
        ValueError: one of them never ends.
    """
    parts, kept_from, depth = list[str](), 0, 0
    for found in _STRING_OR_BRACKET.finditer(text):
        mark = text[found.start()]
        if mark in "[{":
            depth += 1
            if depth == levels + 1:
                parts += [text[kept_from : found.start()], "null"]
        elif mark in "]}":
            if depth == levels + 1:
                kept_from = found.end()
            depth -= 1
    if depth > levels:
        raise ValueError("nested too deep")
    return "".join((*parts, text[kept_from:]))
