"""Start-up time and imports of the command."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from helpdesk_assets.cli.commands import root
from helpdesk_assets_tests.cli.conftest import Command, Run

HEAVY = (
    *("rich", "pydantic", "requests", "google", "dagster", "pandas", "starlette", "uvicorn"),
    "apprise",
)
REPORT = "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{REPORT}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


def test_importing_the_package_loads_no_heavy_modules() -> None:
    loaded = modules_after("import helpdesk_assets.cli")

    assert "helpdesk_assets" in loaded
    assert loaded.isdisjoint((*HEAVY, "click"))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["sync", "--help"], ["alerts", "test", "--help"]]
)
def test_help_loads_no_heavy_modules(arguments: list[str]) -> None:
    loaded = modules_after(
        f"sys.argv = ['helpdesk-assets', *{arguments}]\n"
        "from helpdesk_assets.cli import main\n"
        "try: main()\nexcept SystemExit: pass"
    )

    assert "click" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_help_finishes_within_half_a_second(command: Command) -> None:
    # The best of several: a busy machine must not fail a limit meant for an idle one.
    took: list[float] = []
    while len(took) < 10 and not any(seconds < 0.5 for seconds in took):
        began = time.monotonic()
        assert command("--help").returncode == 0
        took.append(time.monotonic() - began)

    assert min(took) < 0.5


def test_every_command_has_help(run: Run) -> None:
    overview = run("--help")

    for name in ("sync", "status", "doctor", "webhooks", "simulate", "warehouse", "demo"):
        assert name in root.commands
        assert f"\n  {name} " in overview.output
        assert run(name, "--help").exit_code == 0


def test_version(run: Run) -> None:
    assert run("--version").output == f"helpdesk-assets, version {version('helpdesk-assets')}\n"


# What google's client and Dagster's integration bring along.
UNUSED_BY_A_SYNC = (
    *("dagster", "grpc", "numpy", "opentelemetry", "pandas", "pyarrow", "rich", "shapely", "tqdm"),
)


def test_sync_loads_no_heavy_module_that_it_does_not_use(empty_environment: Path) -> None:
    loaded = modules_after(
        "sys.argv = ['helpdesk-assets', 'sync']\n"
        "from helpdesk_assets.cli import main\n"
        "try: main()\nexcept SystemExit: pass"
    )

    assert "google" in loaded
    assert loaded.isdisjoint(UNUSED_BY_A_SYNC)


# How often Python looked through everything, and how much it never looks at again.
COUNTING = """
import gc, sys
whole = []
gc.callbacks.append(lambda phase, info: whole.append(info["generation"]))
sys.argv = ["helpdesk-assets", "sync"]
from helpdesk_assets.cli import main
try: main()
except SystemExit: pass
print(whole.count(2), gc.get_freeze_count(), file=sys.stderr)
"""


def test_sync_looks_for_garbage_neither_in_imports_nor_at_exit(empty_environment: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTING],
        capture_output=True,
        text=True,
        check=True,
    )
    collected, kept = map(int, done.stderr.splitlines()[-1].split())

    assert collected == 0
    assert kept > 100_000
