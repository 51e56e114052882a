"""bqemulator, run so that no answer gets into another.

Its threads share one connection to its data. Rows of a table, which it reads in a thread of their
own, came back as those of a statement that ran meanwhile: of 120 reads beside as many statements 7
to 12 were wrong and as many an internal error (version 1.4.0). So nothing is done in threads, which
takes no longer. Runs inside the stand-in's process, and must know nothing of the project.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def main() -> None:
    """Become bqemulator; its arguments are this process's."""
    from bqemulator.cli import main as serve
    from fastapi import routing

    vars(routing)["run_in_threadpool"] = _where_all_else_runs
    serve()


async def _where_all_else_runs(answer: Callable[..., Any], *asked: Any, **named: Any) -> Any:
    return answer(*asked, **named)
