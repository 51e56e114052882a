"""One dataset holds one account: another one stops before anything is read or written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from helpdesk_assets.errors import AccountMismatch
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.local.simulator.dialects import zoho_desk
from helpdesk_assets.model.account import Account
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.conformance.vendors import REST, ZENDESK, ZOHO_DESK, Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY, MakeHarness

Operation = Callable[[Harness], object]


def _other(harness: Harness, make: MakeHarness, vendor: Vendor = REST, **changed: str) -> Harness:
    """Return a helpdesk of another account over the dataset of `harness`."""
    other = make(20, vendor)
    other.backend = harness.backend
    kept = ("bigquery_project", "bigquery_dataset", "bigquery_emulator_host")
    tables = {name: getattr(harness.settings, name) for name in kept}
    if vendor is REST:
        # Another address of this machine: of two of the same one, only the ports differ.
        url = other.settings.helpdesk_base_url.replace("127.0.0.1", "127.0.0.2")
        tables["helpdesk_base_url"] = url
    other.settings = other.settings.model_copy(update={**tables, **changed})
    return other


@contextmanager
def _refused(harness: Harness, other: Harness) -> Iterator[None]:
    before = {name: harness.rows(name) for name in ("tickets", "raw_ticket_changes")}
    state = harness.state()
    other.simulator.reset_counters()
    with pytest.raises(AccountMismatch, match=r"BIGQUERY_DATASET .* --adopt-account") as refusal:
        yield
    assert "\n" not in str(refusal.value)
    assert other.simulator.counters().total == 0
    assert {name: harness.rows(name) for name in before} == before
    assert harness.state() == state


def _sync(harness: Harness) -> object:
    return harness.sync()


def _backfill(harness: Harness) -> object:
    now = harness.simulator.clock().now
    return harness.sync(since=now - timedelta(days=1), until=now)


def _repair(harness: Harness) -> object:
    return harness.repair(["1"], mark_deleted=True)


def _reconcile(harness: Harness) -> object:
    return harness.reconcile()


OPERATIONS = [_sync, _backfill, _repair, _reconcile]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("vendor", [REST, ZENDESK], ids=["other host", "other provider"])
@pytest.mark.parametrize("sync_name", ["tickets", "second"])
def test_every_operation_refuses_another_account(
    harness: Harness,
    make_harness: MakeHarness,
    operation: Operation,
    vendor: Vendor,
    sync_name: str,
) -> None:
    harness.sync()
    other = _other(harness, make_harness, vendor, sync_name=sync_name)
    with _refused(harness, other):
        operation(other)


@ON_BIGQUERY
@pytest.mark.parametrize("is_state_lost", [False, True])
def test_another_account_is_refused_on_bigquery(
    harness: Harness, make_harness: MakeHarness, is_state_lost: bool
) -> None:
    harness.sync()
    if is_state_lost:
        harness.backend.drop_table("sync_state")
    other = _other(harness, make_harness)
    for operation in OPERATIONS:
        with _refused(harness, other):
            operation(other)
    harness.sync()
    harness.assert_equal()


def test_unfinished_first_load_belongs_to_its_account(
    harness: Harness, make_harness: MakeHarness
) -> None:
    def die(phase: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.sync(on_phase=die, checkpoint_every=timedelta(0), helpdesk_page_size=10)
    other = _other(harness, make_harness)
    with pytest.raises(AccountMismatch):
        other.sync()


def test_lost_state_row_keeps_the_account_out(harness: Harness, make_harness: MakeHarness) -> None:
    harness.sync()
    with harness.connected() as warehouse:
        claims = {claim.digest for claim in warehouse.claims()}
    assert len(claims) == 1
    with harness.connected(harness.settings.model_copy(update={"sync_name": "new"})) as warehouse:
        assert {claim.digest for claim in warehouse.claims()} == claims


def _assert_adopted(harness: Harness, other: Harness) -> None:
    harness.sync()
    held = set(harness.tickets())
    with other.connected() as warehouse:
        capabilities = other.capabilities()
        account = Account(capabilities.name, capabilities.account, capabilities.account_label)
        with warehouse.lease("adoption", run_id="adopter"):
            warehouse.adopt(account, run_id="adopter")
    report = other.sync()
    assert report.manifest.mode is Mode.FULL
    assert set(other.truth()) <= set(other.tickets())
    assert held <= set(other.tickets())
    other.simulator.advance(SECONDS_PAST_GRACE)
    assert other.sync().manifest.mode is Mode.INCREMENTAL
    with pytest.raises(AccountMismatch):
        harness.sync()


def test_adopted_dataset_is_read_whole(harness: Harness, make_harness: MakeHarness) -> None:
    _assert_adopted(harness, _other(harness, make_harness, ZENDESK))


@ON_BIGQUERY
def test_adoption_works_on_bigquery(harness: Harness, make_harness: MakeHarness) -> None:
    _assert_adopted(harness, _other(harness, make_harness, ZENDESK))


def test_simulator_on_another_port_is_the_same_account(harness: Harness) -> None:
    harness.sync()
    url = harness.settings.helpdesk_base_url.replace("127.0.0.1", "localhost")
    report = harness.sync(helpdesk_base_url=url)
    assert report.manifest.mode is Mode.INCREMENTAL


def test_two_organisations_on_one_host_are_two_accounts(
    make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_harness(20, ZOHO_DESK), make_harness(20, ZOHO_DESK)
    organisation = {"zoho_org_id": "60012345"}
    url = {
        "helpdesk_base_url": first.settings.helpdesk_base_url,
        "zoho_accounts_url": first.simulator.base_url,
        "zoho_refresh_token": first.settings.zoho_refresh_token,
    }
    first.sync()
    second.settings = second.settings.model_copy(update={**url, **organisation})
    own, second.backend = second.backend, first.backend
    for operation in OPERATIONS:
        with _refused(first, second):
            operation(second)
    second.backend = own
    monkeypatch.setattr(zoho_desk, "ORG_ID", organisation["zoho_org_id"])
    assert second.sync().manifest.account != first.capabilities().account
    assert second.tickets().keys() == first.tickets().keys()


def test_changed_mapping_is_told_until_rows_are_rewritten(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "notice" not in harness.sync().result()
    monkeypatch.setattr("helpdesk_assets.providers.rest.adapter.MAPPING_VERSION", 2)
    for _ in range(2):
        report = harness.sync()
        assert report.manifest.mode is Mode.INCREMENTAL
        assert "mapping 1, now 2" in report.result()["notice"]
        assert "helpdesk-assets sync --full" in report.result()["notice"]
    assert "notice" not in harness.sync(RequestedMode.FULL).result()
    assert "notice" not in harness.sync().result()
