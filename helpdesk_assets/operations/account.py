"""Hold every operation to the account that a dataset belongs to, before anything is read of it."""

from __future__ import annotations

from helpdesk_assets.model.account import Account
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.warehouse.accounts import expect_account
from helpdesk_assets.warehouse.base import Warehouse


def account_of(capabilities: Capabilities) -> Account:
    """Return the account that an adapter reads."""
    return Account(capabilities.name, capabilities.account, capabilities.account_label)


def check_account(warehouse: Warehouse, capabilities: Capabilities) -> Account:
    """Return the account, if the dataset belongs to it or to nobody yet.

    Raises:
        AccountMismatch: the dataset holds the tickets of another account.
    """
    account = account_of(capabilities)
    expect_account(warehouse.claims(), account, warehouse.dataset_name)
    return account


def describe_adoption(warehouse: Warehouse, account: Account) -> str | None:
    """Return what adopting the dataset does; None if it is the account's already."""
    if all(claim.digest == account.digest for claim in warehouse.claims()):
        return None
    return (
        f"Adopting dataset {warehouse.dataset_name} for {account.provider} at {account.label} "
        f"({account.digest}): every sync in it loses its watermark, so its next run reads "
        "everything. Rows stay, also those of tickets that this account does not have; a "
        "reconciliation marks them as deleted, if RECONCILE_MOST_GONE_SHARE allows so many. Where "
        "both have a ticket of the same id, the later change wins."
    )
