"""Reads what the body of a refused call says, in the sender's own words.

Helpdesks and the gateways before them have many forms for an error: JSON with the words in one of a
dozen fields, a page of HTML, or plain text. Must not know statuses or what to do next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

import orjson

EXCERPT_CHARS = 200
# Of a longer page, the rest is not looked at.
MAX_HTML_CHARS = 20_000
MAX_DEPTH = 6
HTML = re.compile(r"\s*<(!doctype|html|head|body|\?xml|[a-z][a-z0-9]*[\s>/])", re.IGNORECASE)
# What is between these is no text for people.
HIDDEN = frozenset({"script", "style", "svg", "template"})
MASK = "***"


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """Return an error's words on one line: shortened, with secrets masked; empty if there are none.

    Args:
        body: the answer's body.
        secrets: the texts to mask. They are masked before the cut, so that no half is shown, and
            once more after escapes and tags are gone, which may hide them.
    """
    known = [secret for secret in secrets if secret]
    text = _masked(body.decode("utf-8", "replace"), known)
    text = _masked(_reduced(text), known)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= EXCERPT_CHARS else f"{text[: EXCERPT_CHARS - 1]}…"


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _reduced(text: str) -> str:
    if HTML.match(text):
        return _html_text(text[:MAX_HTML_CHARS]) or text
    try:
        body = orjson.loads(text.encode("utf-8", "replace"))
    except ValueError:
        return text
    if not isinstance(body, dict | list):
        return text
    words = dict.fromkeys(word.strip(" .") for word in _strings(body) if word.strip(" ."))
    return ": ".join(words) or text


def _strings(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield every text in a JSON value, in its order: the fields' names differ by vendor."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth < MAX_DEPTH:
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each, depth + 1)


class _TextOfHtml(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self._hidden = 0
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self._hidden += tag in HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.pieces.append(data.strip())


def _html_text(page: str) -> str:
    parser = _TextOfHtml()
    parser.feed(page)
    parser.close()
    return " ".join(dict.fromkeys(parser.pieces))
