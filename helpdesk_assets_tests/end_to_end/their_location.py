"""The code location of another account, whose settings have `THEIR_` before their names."""

import os

PREFIX = "THEIR_"
os.environ.update(
    {
        name.removeprefix(PREFIX): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
    }
)

# Loading the definitions reads settings.
from helpdesk_assets import definitions  # noqa: E402
from helpdesk_assets_tests.end_to_end.one_run import with_one_run  # noqa: E402

defs = with_one_run(definitions)
