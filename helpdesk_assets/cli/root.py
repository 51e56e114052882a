"""What all commands share: how errors are shown, how much is logged, how Ctrl-C ends.

A user's mistake is one line and never a traceback; a bug of ours is one line too, which says how to
see its traceback. Must not know any command, and imports little: click, and no client.
"""

from __future__ import annotations

import errno
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import click

from helpdesk_assets.errors import HelpdeskAssetsError, MachineError
from helpdesk_assets.garbage import imports_kept
from helpdesk_assets.warehouse.bigquery.lazy_imports import import_google_alone

INTERRUPTED = 130
_VERBOSE = "helpdesk_assets.verbose"

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


class BigQueryCommand(click.Command):
    """A command that uses BigQuery; one that does not is declared with `cls=click.Command`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with google's client imported without pandas."""
        with imports_kept():
            import_google_alone()
            import helpdesk_assets.cli.connections  # noqa: F401 - here, for all of them need it
        try:
            with _cleared_up_after_sigterm():
                return super().invoke(ctx)
        finally:
            gc.unfreeze()


@contextmanager
def _cleared_up_after_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: jobs are cancelled, the right to write given back.

    Else every deployment would keep the next writer on another machine waiting.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, exit_on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def exit_on_signal(number: int, _frame: object) -> NoReturn:
    """Raise SystemExit, so that context managers stop what they started."""
    sys.exit(128 + number)


class Group(click.Group):
    """A group whose commands use BigQuery by default."""

    command_class = BigQueryCommand


class Root(Group):
    """The group of all commands; turns their errors into messages."""

    group_class = Group

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error becomes a message and an exit code.

        Raises:
            click.ClickException: a command failed; its text says what to do.
        """
        _log_to_stderr(verbose=False)
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except HelpdeskAssetsError as error:
            raise click.ClickException(_one_line(error)) from error
        except OSError as error:
            # click ends in silence if whoever read the output has gone.
            if error.errno == errno.EPIPE or ctx.meta.get(_VERBOSE):
                raise
            action = f"The command {ctx.invoked_subcommand}"
            raise click.ClickException(_one_line(MachineError.of(error, action))) from error
        except MemoryError as error:
            raise click.ClickException(
                "This machine has no memory left. Stop other programs, or lower "
                "HELPDESK_CONCURRENCY and HELPDESK_PAGE_SIZE."
            ) from error
        except Exception as error:
            if ctx.meta.get(_VERBOSE):
                raise
            raise click.ClickException(
                f"{type(error).__name__}: {_one_line(error)} (a bug of helpdesk-assets; repeat the "
                "command with --verbose to see where)"
            ) from error


def verbose_option(command: AnyCallable) -> AnyCallable:
    """Add `-v`, accepted before and after the command's name."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_enable_verbose,
        help="Log to stderr; show tracebacks.",
    )(command)


def _enable_verbose(ctx: click.Context, _: click.Parameter, given: bool) -> None:
    if given:
        ctx.meta[_VERBOSE] = True
        _log_to_stderr(verbose=True)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _log_to_stderr(*, verbose: bool) -> None:
    import logging

    class Stderr(logging.Handler):
        """Writes to the current stderr, which a progress bar replaces while it is shown."""

        def emit(self, record: logging.LogRecord) -> None:
            if sys.stderr is not None:  # it may be closed
                sys.stderr.write(self.format(record) + "\n")

    ours = logging.getLogger("helpdesk_assets")
    if verbose or not ours.handlers:
        handler = Stderr()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        ours.handlers = [handler]
        ours.setLevel(logging.INFO if verbose else logging.WARNING)
