"""The command line `helpdesk-assets`.

Almost empty, because `--help` must answer at once: importing this package imports nothing, and each
command imports what it needs when it runs. Dagster alone takes seconds.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the command `helpdesk-assets`."""
    import sys

    try:
        from helpdesk_assets.cli.commands import root

        root(prog_name="helpdesk-assets")
    except KeyboardInterrupt:
        sys.exit(130)
