"""Which account of which helpdesk tickets belong to, as tables keep it and as people name it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """One account of one helpdesk.

    Attributes:
        provider: the provider's name as in HELPDESK_PROVIDER; empty if the tables do not say.
        digest: of provider, host and organisation; empty if not known.
        label: the host, for people; tables do not keep it.
    """

    provider: str
    digest: str
    label: str = field(default="", compare=False)

    @classmethod
    def of(cls, provider: str, host: str, organisation: str = "") -> Account:
        """Return the account at this host, as `addresses.account_host` spells it."""
        whole = "\n".join((provider, host, organisation))
        label = f"{host}, organisation {organisation}" if organisation else host
        return cls(provider, hashlib.sha256(whole.encode()).hexdigest()[:16], label)
