"""The helpdesk resource. Must not know any vendor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings, load_settings


class HelpdeskResource(dg.ConfigurableResource[Helpdesk]):
    """Opens the helpdesk of the settings.

    It has no fields: a token that is never a field cannot appear in run config or in a repr.
    """

    @contextmanager
    def open(self, settings: Settings | None = None) -> Iterator[Helpdesk]:
        """Opens the helpdesk without calling it.

        The step that reads the helpdesk opens it, and not the start of the run, so that later steps
        can be run again while the helpdesk is down. `settings` default to the environment's.
        """
        helpdesk = make_helpdesk(settings or load_settings())
        try:
            yield helpdesk
        finally:
            helpdesk.close()
