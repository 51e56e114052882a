"""Redaction of tickets: drop or hash the fields that REDACT_FIELDS names before they are stored.

Personal data that is never stored needs no rights, no retention and no deletion. Redaction applies
before the digest, to all of `raw_json` and to the columns made from it. If a field is not of the
kind that its path expects, more is removed rather than less: a name that is for once a text, not an
object, must not get through. Must not know vendors, HTTP or where rows go.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# `customFields[*].value`, `requester['e-mail']:hash`, `$.description`; commas only in quotes.
_STEP = re.compile(
    r"""\.?(?P<name>[^\W\d][\w-]*)|\.?(?P<any>\[\*\]|\*)|\.?\[(?P<place>\d{1,6})\]"""
    r"""|\.?\['(?P<single>[^']+)'\]|\.?\["(?P<double>[^"]+)"\]"""
)
_PATH = re.compile(r"""(?:'[^']*'|"[^"]*"|[^,'"])+""")
DROP, HASH = "drop", "hash"
EXAMPLE = "description, requester.email:hash, customFields[*].value"
MIN_KEY_LENGTH = 16
# Of 64 hexadecimal digits; 128 bits tell all values apart.
HASH_DIGITS = 32
_REMOVED = object()


class _Wildcard:
    """Stands for each member of an object, or element of a list."""


WILDCARD = _Wildcard()
Step = str | int | _Wildcard


@dataclass(frozen=True, slots=True)
class RedactedPath:
    """A place in the vendor's object; its value is hashed if `hashed`, else dropped."""

    steps: tuple[Step, ...]
    hashed: bool


def parse_paths(text: str) -> tuple[RedactedPath, ...]:
    """Parse the paths of REDACT_FIELDS, separated by commas.

    Raises:
        ValueError: a path is invalid; the message has an example.
    """
    rest = _PATH.sub("", text).replace(",", "").strip()
    if rest:
        raise ValueError(f"has a quote that is not closed; write paths such as {EXAMPLE}")
    return tuple(_parse_path(each.strip()) for each in _PATH.findall(text) if each.strip())


def _parse_path(text: str) -> RedactedPath:
    body, _, way = text.rpartition(":") if text.endswith((":drop", ":hash")) else (text, "", DROP)
    body = body.strip().removeprefix("$")
    steps, at = list[Step](), 0
    while at < len(body):
        found = _STEP.match(body, at)
        # Two names need something between them, and the first may have a dot only after `$`.
        if found is None or (at and found["name"] and body[at] != "."):
            raise ValueError(f"holds {text[:60]!r}, which is not a path; write them like {EXAMPLE}")
        steps.append(_parse_step(found))
        at = found.end()
    if not steps:
        raise ValueError(f"holds {text[:60]!r}, which names no field; write them like {EXAMPLE}")
    return RedactedPath(tuple(steps), way == HASH)


def _parse_step(found: re.Match[str]) -> Step:
    if found["any"]:
        return WILDCARD
    if found["place"]:
        return int(found["place"])
    return found["name"] or found["single"] or found["double"]


@dataclass(frozen=True, slots=True)
class Redaction:
    """Redacts rows.

    `key` is for hashed paths: without one, an address could be found by hashing all addresses.
    """

    paths: tuple[RedactedPath, ...]
    key: bytes = field(repr=False)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A redacted copy of the row."""
        redacted: Any = dict(row)
        for path in self.paths:
            redacted = _redacted(redacted, path.steps, self._hash if path.hashed else _drop)
        return dict(redacted)

    def covers(self, name: str) -> bool:
        """Whether a path may redact a part of this field."""
        return any(path.steps[0] in (name, WILDCARD) for path in self.paths)

    def _hash(self, value: Any) -> Any:
        """Hash a value: equal values have equal hashes in every field; None stays None."""
        if value is None:
            return None
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        message = text.encode("utf-8", "surrogatepass")
        return f"hmac:{hmac.digest(self.key, message, 'sha256').hex()[:HASH_DIGITS]}"


def _drop(_: Any) -> Any:
    return _REMOVED


def _redacted(value: Any, steps: tuple[Step, ...], transform: Callable[[Any], Any]) -> Any:
    if not steps or not isinstance(value, dict | list):
        # The path ends here, or continues although the value has no members.
        return None if value is None and steps else transform(value)
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        names = list(value) if step is WILDCARD else [str(step)]
        changed = {name: _redacted(value[name], rest, transform) for name in names if name in value}
        merged = {**value, **changed}
        return {name: each for name, each in merged.items() if each is not _REMOVED}
    if isinstance(step, str):
        # A name applies to each element of a list.
        elements = [_redacted(each, steps, transform) for each in value]
    else:
        elements = [
            _redacted(each, rest, transform) if step is WILDCARD or step == index else each
            for index, each in enumerate(value)
        ]
    # None keeps the position of the other elements.
    return [None if each is _REMOVED else each for each in elements]
