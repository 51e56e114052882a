"""When Python looks for garbage cycles, and what it leaves alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from helpdesk_assets.garbage import THRESHOLDS, collect_rarely, imports_kept, rare_collections


@pytest.fixture(autouse=True)
def _collected_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.enable()
    gc.set_threshold(*before)
    gc.unfreeze()


def test_collections_are_rare_only_within_the_block() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with rare_collections():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > before[1]
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_what_exists_is_never_looked_at_again() -> None:
    collect_rarely()

    assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() > 1000


def test_imports_are_kept_without_looking_for_garbage() -> None:
    with imports_kept():
        assert not gc.isenabled()
        made_by_an_import = [[]]  # type: ignore[var-annotated]

    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000
    assert not any(kept is made_by_an_import for kept in gc.get_objects())


def test_failed_import_does_not_stop_collections() -> None:
    with pytest.raises(ImportError), imports_kept():
        raise ImportError

    assert gc.isenabled()


def test_imports_do_not_start_collections_that_were_off() -> None:
    gc.disable()
    with imports_kept():
        pass

    assert not gc.isenabled()
