"""The list of unverified facts, and the switch of each answer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpdesk_assets.local.simulator import unverified
from helpdesk_assets.local.simulator.admin_client import SimulatorError
from helpdesk_assets.local.simulator.fact_switches import UnknownFact, find_fact
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.local.simulator.unverified import FACTS
from helpdesk_assets.providers.registry import PROVIDERS

SIMULATOR = Path(unverified.__file__).parent


def _asked_keys() -> Iterator[str]:
    """Yield the argument of every call of `is_friendly` in the simulator, a literal."""
    for path in SIMULATOR.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr == "is_friendly":
                (argument,) = node.args
                key = argument.value if isinstance(argument, ast.Constant) else None
                assert isinstance(key, str), f"{path.name}:{node.lineno} asks for no literal"
                yield key


def test_keys_are_unique_and_sorted() -> None:
    keys = [fact.key for fact in FACTS]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.key)
def test_every_fact_is_complete(fact: unverified.UnverifiedFact) -> None:
    assert fact.provider in PROVIDERS
    assert fact.key.replace(".", "", 1).replace("_", "").isalnum()
    assert fact.question.endswith("?")
    assert fact.source.strip()
    assert len({fact.unfriendly, fact.friendly, ""}) == 3


def test_dialects_ask_for_every_fact_and_no_other() -> None:
    """A fact that nobody asks for is switched in vain."""
    assert set(_asked_keys()) == {fact.key for fact in FACTS}


def test_unknown_fact_raises() -> None:
    with pytest.raises(UnknownFact, match=r"no unverified fact 'zoho_desk.moon'; there are"):
        find_fact("zoho_desk.moon")
    with pytest.raises(UnknownFact):
        SimulatedHelpdesk(1, friendly=["zoho_desk.moon"])


def test_switch_changes_the_answer_and_back() -> None:
    key = "rest.unknown_parameter_is_ignored"
    with SimulatedHelpdesk(1) as simulator:
        assert simulator.friendly() == frozenset()
        simulator.switch(key)
        assert simulator.friendly() == {key}
        simulator.switch(key, friendly=False)
        assert simulator.friendly() == frozenset()


def test_invalid_switches_are_refused() -> None:
    with SimulatedHelpdesk(1) as simulator:
        with pytest.raises(SimulatorError, match="no unverified fact"):
            simulator.switch("moon")
        with pytest.raises(SimulatorError, match="give key and friendly"):
            simulator._call("POST", "/admin/facts", {"key": "moon"})


def test_helpdesk_starts_with_friendly_facts() -> None:
    key = "zendesk.empty_export_has_a_cursor"
    with SimulatedHelpdesk(1, dialect="zendesk", friendly=[key]) as simulator:
        assert simulator.friendly() == {key}
