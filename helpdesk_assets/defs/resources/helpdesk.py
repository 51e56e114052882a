"""The helpdesk as an asset asks for it. It has no fields: a token that is never a field can show up
neither in run config nor in a repr. Must not know any vendor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings, load_settings


class HelpdeskResource(dg.ConfigurableResource[Helpdesk]):
    """Which helpdesk, at which address and with which token is for the settings to say."""

    @contextmanager
    def open(self, settings: Settings | None = None) -> Iterator[Helpdesk]:
        """The helpdesk, not called yet. Opened by the step that reads it rather than at the start
        of the run, so that the later steps can be run again while the helpdesk is down.
        `settings`: those of the environment when None."""
        helpdesk = make_helpdesk(settings or load_settings())
        try:
            yield helpdesk
        finally:
            helpdesk.close()
