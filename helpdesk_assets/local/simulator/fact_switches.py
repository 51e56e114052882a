"""Switches of the unverified facts of one simulated helpdesk."""

from __future__ import annotations

from collections.abc import Iterable

from helpdesk_assets.local.simulator.unverified import FACTS, UnverifiedFact

_BY_KEY = {fact.key: fact for fact in FACTS}


class UnknownFact(ValueError):
    """No fact has this key; the message names those that there are."""


def find_fact(key: str) -> UnverifiedFact:
    """Return the fact of this key.

    Raises:
        UnknownFact: there is none.
    """
    fact = _BY_KEY.get(key)
    if fact is None:
        raise UnknownFact(f"no unverified fact {key!r}; there are {', '.join(_BY_KEY)}")
    return fact


def facts_of(provider: str) -> tuple[UnverifiedFact, ...]:
    """Return the facts of one provider."""
    return tuple(fact for fact in FACTS if fact.provider == provider)


class FactSwitches:
    """Which facts have the friendly answer at present. Every method raises UnknownFact."""

    def __init__(self, friendly: Iterable[str] = ()) -> None:
        self._friendly = {find_fact(key).key for key in friendly}

    def is_friendly(self, key: str) -> bool:
        """Return whether the fact of this key has its friendly answer."""
        return find_fact(key).key in self._friendly

    def switch(self, key: str, *, friendly: bool) -> None:
        """Choose the answer."""
        known = find_fact(key).key
        if friendly:
            self._friendly.add(known)
        else:
            self._friendly.discard(known)

    def friendly(self) -> list[str]:
        """Return the keys of those with the friendly answer, sorted."""
        return sorted(self._friendly)
