"""The command line `helpdesk-assets`.

Almost empty, because `--help` must answer at once: importing this package imports nothing, and each
command imports what it needs when it runs. Dagster alone takes seconds.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the command `helpdesk-assets`."""
    import gc
    import sys

    _accept_any_character()
    try:
        from helpdesk_assets.cli.commands import root

        root(prog_name="helpdesk-assets")
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # of what is printed before a command begins
        from helpdesk_assets.errors import MachineError

        sys.exit(f"Error: {MachineError.of(error, 'Printing')}")
    finally:
        _flush_or_forget()
        gc.freeze()  # Python would look for cycles in all of it once more, and the process ends


def _accept_any_character() -> None:
    """Let a terminal that lacks a character show a question mark for it."""
    import io
    import sys

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _flush_or_forget() -> None:
    """Write what is left, since Python's own attempt at exit prints a failure over two lines."""
    import os
    import sys

    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
