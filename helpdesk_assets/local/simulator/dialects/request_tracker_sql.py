"""The part of Request Tracker's query language that a sync uses, with its peculiarities.

Supports conditions, AND, OR and brackets. Times are in a time zone that the query does not name.
Of a time written with a T, only the day counts. Must not import anything about tickets.
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
    ">=": lambda actual, expected: bool(actual >= expected),
    "<=": lambda actual, expected: bool(actual <= expected),
    ">": lambda actual, expected: bool(actual > expected),
    "<": lambda actual, expected: bool(actual < expected),
    "=": lambda actual, expected: bool(actual == expected),
    "!=": lambda actual, expected: bool(actual != expected),
}


class InvalidQuery(ValueError):
    """The query is invalid; the message is the answer to the client."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a field with a value."""

    field: str
    operator: str
    value: str

    def matches(self, actual: Any, expected: Any) -> bool:
        """Compare two values of the same type by the condition's operator."""
        return _OPERATORS[self.operator](actual, expected)


@dataclass(frozen=True, slots=True)
class BooleanGroup:
    """Parts joined by AND or OR."""

    conjunction: str
    parts: tuple[Node, ...]


Node = Condition | BooleanGroup


def parse_query(text: str) -> Node:
    """Parse a query.

    Raises:
        InvalidQuery: the syntax is wrong.
    """
    tokens = list(_tokens(text))
    node, rest = _parse_or(tokens)
    if rest:
        raise InvalidQuery(f"Incomplete query in '{text}'")
    return node


def matches(node: Node, condition_holds: Callable[[Condition], bool]) -> bool:
    """Evaluate a query by evaluating its conditions."""
    if isinstance(node, Condition):
        return condition_holds(node)
    each = (matches(part, condition_holds) for part in node.parts)
    return all(each) if node.conjunction == "AND" else any(each)


def conditions(node: Node) -> Iterator[Condition]:
    """Yield the conditions of a query that is joined by AND only.

    Raises:
        InvalidQuery: the query contains OR.
    """
    if isinstance(node, Condition):
        yield node
        return
    if node.conjunction != "AND":
        raise InvalidQuery("OR is not simulated here")
    for part in node.parts:
        yield from conditions(part)


def parse_query_time(text: str, zone: ZoneInfo) -> int:
    """Return seconds since 1970; 0 if `text` is not a time.

    Like RT, takes the zone's UTC offset at the time `text` in UTC instead of in the zone. Around
    each change of daylight saving time, that is the wrong offset for some hours.
    """
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
            raise InvalidQuery(f"Unknown token in '{text[end:]}'")
        yield kinds[(found.lastindex or 1) - 1], found[found.lastindex or 1]
        end = found.end()


def _parse_or(tokens: list[tuple[str, str]]) -> tuple[Node, list[tuple[str, str]]]:
    return _parse_chain("OR", lambda rest: _parse_chain("AND", _parse_condition, rest), tokens)


def _parse_chain(
    conjunction: str,
    part: Callable[[list[tuple[str, str]]], tuple[Node, list[tuple[str, str]]]],
    tokens: list[tuple[str, str]],
) -> tuple[Node, list[tuple[str, str]]]:
    node, rest = part(tokens)
    parts = [node]
    while rest and rest[0] == ("word", conjunction):
        node, rest = part(rest[1:])
        parts.append(node)
    return (parts[0] if len(parts) == 1 else BooleanGroup(conjunction, tuple(parts))), rest


def _parse_condition(tokens: list[tuple[str, str]]) -> tuple[Node, list[tuple[str, str]]]:
    if tokens and tokens[0] == ("bracket", "("):
        node, rest = _parse_or(tokens[1:])
        if not rest or rest[0] != ("bracket", ")"):
            raise InvalidQuery("Incomplete query, a bracket is not closed")
        return node, rest[1:]
    kinds = [kind for kind, _ in tokens[:3]]
    if kinds[:2] != ["word", "operator"] or kinds[2:] not in (["text"], ["word"]):
        raise InvalidQuery("Incomplete query, last element is not close paren or value")
    return Condition(*(value for _, value in tokens[:3])), tokens[3:]
