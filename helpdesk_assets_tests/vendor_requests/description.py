"""The form of a description, and how a request is held against one."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as a server got it. `path` is percent-encoded; header names are in lower case."""

    method: str
    path: str
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def label(self) -> str:
        """Method, path and parameters, without headers and body, which hold secrets."""
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.method} {self.path}{'?' if query else ''}{query}"


@dataclass(frozen=True, slots=True)
class Values:
    """What a value may be; every condition that is given must hold.

    Attributes:
        pattern: matches the whole value.
        choices: the values that there are.
        minimum: the lowest number; the value must then be a whole number.
        maximum: the highest number, likewise.
        longest: the most characters.
        many: the conditions hold for each of several values between commas.
    """

    pattern: str | None = None
    choices: Collection[str] | None = None
    minimum: int | None = None
    maximum: int | None = None
    longest: int | None = None
    many: bool = False

    def problem(self, value: str) -> str | None:
        """Return what is wrong with a value, None if nothing is."""
        if self.longest is not None and len(value) > self.longest:
            return f"is longer than {self.longest} characters"
        each = value.split(",") if self.many else [value]
        return next((found for one in each if (found := self._problem(one))), None)

    def _problem(self, value: str) -> str | None:
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            return "does not fit the pattern"
        if self.choices is not None and value not in self.choices:
            return f"is none of {', '.join(sorted(self.choices))}"
        if self.minimum is None and self.maximum is None:
            return None
        if not (value.isascii() and value.isdigit()):
            return "is not a whole number"
        if self.minimum is not None and int(value) < self.minimum:
            return f"is less than {self.minimum}"
        if self.maximum is not None and int(value) > self.maximum:
            return f"is more than {self.maximum}"
        return None


TEXT = Values(pattern=r"(?s).+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as its vendor describes it.

    Attributes:
        method: `GET` or `POST`.
        path: a pattern of the whole path, decoded; its groups need no names.
        source: where the vendor says so.
        query: values by a pattern of the parameter's name.
        required: parameters that must be there.
        exclusive: groups of parameters of which exactly one must be there.
        headers: values by header, which must be there; names in lower case.
        body: values by field of the form or JSON object; all must be there.
        body_is_json: whether the body is a JSON object, or else a form.
        repeatable: parameters that may be given more than once.
    """

    method: str
    path: str
    source: str
    query: Mapping[str, Values] = field(default_factory=dict)
    required: Collection[str] = ()
    exclusive: Collection[Collection[str]] = ()
    headers: Mapping[str, Values] = field(default_factory=dict)
    body: Mapping[str, Values] = field(default_factory=dict)
    body_is_json: bool = False
    repeatable: Collection[str] = ()

    def accepts(self, request: RecordedRequest) -> bool:
        """Return whether method and path are this endpoint's."""
        return request.method == self.method and bool(
            re.fullmatch(self.path, unquote(request.path))
        )

    def problems(self, request: RecordedRequest) -> Iterator[str]:
        """Yield what is wrong with a request of this endpoint."""
        yield from self._query_problems(request.query)
        for name, values in self.headers.items():
            sent = request.headers.get(name)
            if sent is None:
                yield f"header {name} is missing"
            elif values.problem(sent):
                # Without the value, which may be a secret.
                yield f"header {name} {values.problem(sent)}"
        yield from self._body_problems(request.body)

    def _query_problems(self, query: Pairs) -> Iterator[str]:
        names = [name for name, _ in query]
        for name in sorted({name for name in names if names.count(name) > 1} - {*self.repeatable}):
            yield f"{name} is given twice"
        for name, value in query:
            known = [each for key, each in self.query.items() if re.fullmatch(key, name)]
            if not known:
                yield f"{name} is no parameter of this endpoint"
            elif problem := known[0].problem(value):
                yield f"{name}={value} {problem}"
        yield from (f"{name} is missing" for name in self.required if name not in names)
        for group in self.exclusive:
            if sum(name in names for name in group) != 1:
                yield f"exactly one of {', '.join(sorted(group))} must be given"

    def _body_problems(self, body: bytes) -> Iterator[str]:
        if not self.body:
            if body:
                yield "a body is not expected"
            return
        fields = self._fields(body)
        if fields is None:
            yield "the body is not of the expected form"
            return
        for name in sorted(fields.keys() - self.body.keys()):
            yield f"{name} is no field of the body"
        for name, values in self.body.items():
            if name not in fields:
                yield f"{name} is missing in the body"
            elif problem := values.problem(fields[name]):
                yield f"{name} in the body {problem}"

    def _fields(self, body: bytes) -> dict[str, str] | None:
        if not self.body_is_json:
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        try:
            found = json.loads(body)
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        # Only a whole number or a text has one form; a list or a truth value is of a wrong type.
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in found.items()
        }


@dataclass(frozen=True, slots=True)
class VendorApi:
    """The endpoints of one vendor, by the provider's name."""

    provider: str
    endpoints: Sequence[Endpoint]

    def problems(self, request: RecordedRequest) -> list[str]:
        """Return what is wrong with a request, each with the request it is about."""
        endpoint = next((each for each in self.endpoints if each.accepts(request)), None)
        if endpoint is None:
            return [f"{self.provider}: {request.label}: no such endpoint"]
        return [
            f"{self.provider}: {request.label}: {problem}; see {endpoint.source}"
            for problem in endpoint.problems(request)
        ]
