"""Refuses to mix two accounts in one dataset. Pure: claims in, an error out.

Small numbers as ids collide, and what one account's inventory lacks would be marked as deleted in
the other's rows. So the first account that writes into a dataset owns it.
"""

from __future__ import annotations

from collections.abc import Iterable

from helpdesk_assets.errors import AccountMismatch
from helpdesk_assets.model.account import Account


def expect_account(claims: Iterable[Account], account: Account, dataset: str) -> None:
    """Fail if the dataset belongs to another account.

    Args:
        claims: the accounts that the dataset's tables name.
        account: the one that the settings name; nothing is compared if it has no digest.
        dataset: for the message.

    Raises:
        AccountMismatch: names both ways out.
    """
    others = [claim for claim in claims if claim.digest and claim.digest != account.digest]
    if not account.digest or not others:
        return
    owner = f"{others[0].provider} {others[0].digest}".strip()
    raise AccountMismatch(
        f"Dataset {dataset} holds the tickets of another account ({owner}) than "
        f"{account.provider} at {account.label} ({account.digest}). Nothing was read or written. "
        "Set BIGQUERY_DATASET to a dataset of its own; or, if it is the same helpdesk at a new "
        "address, run `helpdesk-assets sync --adopt-account`, which says first what it does."
    )
