"""The script that counts the package, on drawings small enough to count by hand."""

from __future__ import annotations

from bench import structure

CHAIN = {"top": frozenset({"middle", "bottom"}), "middle": frozenset({"bottom"})} | {
    "bottom": frozenset[str](),
    "alone": frozenset[str](),
}
CIRCLE = {
    "first": frozenset({"second"}),
    "second": frozenset({"third"}),
    "third": frozenset({"second"}),
}


def test_longest_chain_goes_over_every_step() -> None:
    assert structure._longest_chain(CHAIN) == 3


def test_no_cycle_in_a_chain() -> None:
    assert structure._cycles(CHAIN) == set()


def test_cycle_is_found_and_counts_as_one_in_the_chain() -> None:
    assert structure._cycles(CIRCLE) == {frozenset({"second", "third"})}
    assert structure._longest_chain(CIRCLE) == 2


def test_modules_are_counted_by_their_part() -> None:
    modules = {
        "helpdesk_assets.cli.sync": frozenset(
            {"helpdesk_assets.cli.root", "helpdesk_assets.errors"}
        ),
        "helpdesk_assets.cli.root": frozenset({"helpdesk_assets.errors"}),
        "helpdesk_assets.errors": frozenset[str](),
    }
    assert structure._by_part(modules) == {"cli": {"errors"}, "errors": frozenset()}
