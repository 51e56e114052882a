"""Enough of Request Tracker's query language to answer a sync, misreadings included.

Conditions, AND, OR and brackets. A quoted time is read in a zone that the query does not name, and
of a time written with a T nothing but the day is heeded. Must not know tickets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

_TOKEN = re.compile(r"\s*(?:([()])|(>=|<=|!=|=|>|<)|'([^']*)'|([\w.:]+))")
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": lambda have, want: bool(have >= want),
    "<=": lambda have, want: bool(have <= want),
    ">": lambda have, want: bool(have > want),
    "<": lambda have, want: bool(have < want),
    "=": lambda have, want: bool(have == want),
    "!=": lambda have, want: bool(have != want),
}


class BadQuery(ValueError):
    """What cannot be understood, in words for the caller."""


@dataclass(frozen=True, slots=True)
class Condition:
    field: str
    operator: str
    value: str

    def holds(self, have: Any, want: Any) -> bool:
        return _OPERATORS[self.operator](have, want)


@dataclass(frozen=True, slots=True)
class Junction:
    """Parts that are all true (AND), or one of which is (OR)."""

    word: str
    parts: tuple[Node, ...]


Node = Condition | Junction


def read_query(text: str) -> Node:
    """
    Raises:
        BadQuery: it is no query.
    """
    tokens = list(_tokens(text))
    node, rest = _any_of(tokens)
    if rest:
        raise BadQuery(f"Incomplete query in '{text}'")
    return node


def holds(node: Node, is_true: Callable[[Condition], bool]) -> bool:
    if isinstance(node, Condition):
        return is_true(node)
    each = (holds(part, is_true) for part in node.parts)
    return all(each) if node.word == "AND" else any(each)


def conditions(node: Node) -> Iterator[Condition]:
    """Those of a query that knows nothing but AND.

    Raises:
        BadQuery: it knows OR.
    """
    if isinstance(node, Condition):
        yield node
        return
    if node.word != "AND":
        raise BadQuery("OR is not simulated here")
    for part in node.parts:
        yield from conditions(part)


def read_time(text: str, zone: ZoneInfo) -> int:
    """Seconds since 1970. The zone's offset is the one that was in force when it was that time in
    UTC, which is another one for some hours around each change of the clocks."""
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return 0
    if "T" in text:
        local = local.replace(hour=0, minute=0, second=0)
    as_utc = local.replace(tzinfo=UTC)
    offset = as_utc.astimezone(zone).utcoffset() or timedelta(0)
    return max(int((as_utc - offset).timestamp()), 0)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    kinds = ("bracket", "operator", "text", "word")
    end = 0
    while text[end:].strip():
        found = _TOKEN.match(text, end)
        if found is None:
            raise BadQuery(f"Unknown token in '{text[end:]}'")
        yield kinds[(found.lastindex or 1) - 1], found[found.lastindex or 1]
        end = found.end()


def _any_of(tokens: list[tuple[str, str]]) -> tuple[Node, list[tuple[str, str]]]:
    return _joined("OR", lambda rest: _joined("AND", _one, rest), tokens)


def _joined(
    word: str,
    part: Callable[[list[tuple[str, str]]], tuple[Node, list[tuple[str, str]]]],
    tokens: list[tuple[str, str]],
) -> tuple[Node, list[tuple[str, str]]]:
    node, rest = part(tokens)
    parts = [node]
    while rest and rest[0] == ("word", word):
        node, rest = part(rest[1:])
        parts.append(node)
    return (parts[0] if len(parts) == 1 else Junction(word, tuple(parts))), rest


def _one(tokens: list[tuple[str, str]]) -> tuple[Node, list[tuple[str, str]]]:
    if tokens and tokens[0] == ("bracket", "("):
        node, rest = _any_of(tokens[1:])
        if not rest or rest[0] != ("bracket", ")"):
            raise BadQuery("Incomplete query, a bracket is not closed")
        return node, rest[1:]
    kinds = [kind for kind, _ in tokens[:3]]
    if kinds[:2] != ["word", "operator"] or kinds[2:] not in (["text"], ["word"]):
        raise BadQuery("Incomplete query, last element is not close paren or value")
    return Condition(*(value for _, value in tokens[:3])), tokens[3:]
