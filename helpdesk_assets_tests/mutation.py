"""Disables each guard in turn, and prints the test that then fails.

    python -m helpdesk_assets_tests.mutation [NAME]

There are two kinds: the eight guards of the chaos tests, turned off by `--without-guard`, and
single lines of the modules that decide what is written, changed in a copy of the package. A guard
that no test notices is a survivor, and the exit code is then 1. Only tests of `make test` count.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from helpdesk_assets_tests.chaos.guards import GUARDS

ROOT = Path(__file__).parent.parent
# Those without a warehouse come first, since they are quick; pytest stops at the first failure.
SUITES = (
    "extract",
    "warehouse/merge",
    "warehouse/stores",
    "operations",
    "contract",
    "promises",
    "providers/rest",
    "warehouse",
)
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutation:
    """A line of the package, and its replacement."""

    name: str
    path: str
    line: str
    instead: str


MERGE = "warehouse/merge/statement.py"
GUARD = "warehouse/merge/newer_wins.py"
PLAN = "extract/plan.py"
STATE = "warehouse/stores/state.py"
SYNC_STATE = "warehouse/statements/sync_state.py"

MUTATIONS = (
    Mutation("merge: NULL keys pass", MERGE, "    if name in spec.key:\n", "    if False:\n"),
    Mutation("merge: no newest first", MERGE, "    if newest:\n", "    if False:\n"),
    Mutation("merge: oldest first", MERGE, "DESC' for name in newest", "ASC' for name in newest"),
    Mutation("merge: two rows of one key", MERGE, '") = 1"', '") <= 2"'),
    Mutation(
        "merge: rows of NULL partition are lost", MERGE, "({part} IS NULL OR {part} ", "({part} "
    ),
    Mutation(
        "merge: an equal time overwrites",
        GUARD,
        "T.{version} < S.{version}",
        "T.{version} <= S.{version}",
    ),
    Mutation("merge: a row without a time stays", GUARD, "T.{version} IS NULL", "FALSE"),
    Mutation(
        "merge: an equal time never overwrites",
        GUARD,
        'f"T.{quote(str(mark))} IS DISTINCT FROM S.{quote(str(mark))}"',
        '"FALSE"',
    ),
    Mutation(
        "merge: a slow run revives a deleted row",
        GUARD,
        'tests += [f"T.{read_at} IS NULL", f"T.{read_at} < S.{alive_at}"]',
        'tests += ["TRUE"]',
    ),
    Mutation(
        "merge: a version read earlier wins at equal times",
        GUARD,
        'self._is_later("<")',
        '""',
    ),
    Mutation(
        "merge: a late deletion undoes a later reading",
        GUARD,
        "{self._is_later('<=')}",
        "",
    ),
    Mutation(
        "merge: a deletion moves the version",
        GUARD,
        "(self.spec.deleted_column, self.spec.read_at_column, *self.spec.stamps)",
        "(self.spec.deleted_column, self.spec.version, *self.spec.stamps)",
    ),
    Mutation(
        "merge: force compares nothing",
        GUARD,
        "if not self.forced:",
        "if True:",
    ),
    Mutation(
        "merge: write-once columns change",
        GUARD,
        "kept = {*self.spec.key, *self.spec.write_once}",
        "kept = {*self.spec.key}",
    ),
    Mutation(
        "merge: a tombstone empties the row",
        GUARD,
        'f"NOT S.{quote(str(self.spec.tombstone_flag))} AND " if self.has_tombstones else ""',
        '""',
    ),
    Mutation(
        "merge: a row moves its partition", GUARD, "if name == self.spec.partition_by:", "if False:"
    ),
    Mutation(
        "plan: no lookback", PLAN, "since=start - lookback(overlap, capabilities)", "since=start"
    ),
    Mutation(
        "plan: the helpdesk's overlap is ignored",
        PLAN,
        "max(overlap, capabilities.minimum_overlap, capabilities.time_resolution)",
        "overlap",
    ),
    Mutation(
        "plan: a range moves the watermark",
        PLAN,
        "advances_watermark=False",
        "advances_watermark=True",
    ),
    Mutation("plan: a range closes the run", PLAN, "is_range=True", "is_range=False"),
    Mutation(
        "plan: another helpdesk's checkpoint",
        PLAN,
        "and checkpoint.provider == capabilities.name",
        "",
    ),
    Mutation(
        "plan: every load is a first one", PLAN, "first_load=start is None", "first_load=True"
    ),
    Mutation(
        "plan: the version is not remembered",
        PLAN,
        "expected_version=state.version if state else 0",
        "expected_version=0",
    ),
    Mutation(
        "plan: a range that ends before it begins",
        PLAN,
        "if since and until and since > until:",
        "if False:",
    ),
    Mutation(
        "state: the highest of two first watermarks",
        STATE,
        "return min(states",
        "return max(states",
    ),
    Mutation(
        "state: a repeated close counts again", STATE, "seen.run_id == manifest.run_id", "False"
    ),
    Mutation(
        "state: a lost compare-and-set passes", STATE, "state.run_id != manifest.run_id", "False"
    ),
    Mutation(
        "state: stagings in use are removed",
        STATE,
        "for state in self._read_all() if state.checkpoint}",
        "for state in () if state.checkpoint}",
    ),
    Mutation(
        "sync_state: the watermark goes backwards",
        SYNC_STATE,
        "S.watermark > T.watermark, S.watermark, T.watermark",
        "TRUE, S.watermark, T.watermark",
    ),
    Mutation(
        "sync_state: any version is overwritten",
        SYNC_STATE,
        "T.version = @expected_version",
        "TRUE",
    ),
    Mutation(
        "sync_state: a vanished row is made anew",
        SYNC_STATE,
        "WHEN NOT MATCHED AND @expected_version = 0",
        "WHEN NOT MATCHED",
    ),
    Mutation(
        "sync_state: a closed run keeps its checkpoint",
        SYNC_STATE,
        '"unfinished": "CAST(NULL AS STRING)"',
        '"unfinished": "T.unfinished"',
    ),
    Mutation(
        "sync_state: a listing moves the watermark",
        SYNC_STATE,
        "if manifest.advances_watermark else None",
        "",
    ),
)


def main(wanted: str = "") -> int:
    """Disable each guard with `wanted` in its name, and print a line for each.

    Returns:
        1 if a guard survives, else 0.
    """
    survivors = 0
    for guard in GUARDS:
        if wanted in guard:
            survivors += _report(guard, _first_failure(ROOT, f"--without-guard={guard}"))
    for mutation in MUTATIONS:
        if wanted in mutation.name:
            with tempfile.TemporaryDirectory(prefix="mutation-") as directory:
                _mutate(Path(directory), mutation)
                survivors += _report(mutation.name, _first_failure(Path(directory)))
    print(f"{survivors} survived")  # noqa: T201 - the output of the command
    return min(survivors, 1)


def _mutate(directory: Path, mutation: Mutation) -> None:
    """Copy the sources, and replace the line wherever it occurs."""
    for name in ("helpdesk_assets", "helpdesk_assets_tests", "docs"):
        shutil.copytree(ROOT / name, directory / name)
    shutil.copy(ROOT / "pyproject.toml", directory)
    path = directory / "helpdesk_assets" / mutation.path
    text = path.read_text()
    if mutation.line not in text:
        raise SystemExit(f"{mutation.name}: {mutation.path} has no {mutation.line!r}")
    path.write_text(text.replace(mutation.line, mutation.instead))


def _first_failure(directory: Path, *options: str) -> str | None:
    """The first test that fails in this checkout, None if all pass."""
    for marks in ("not warehouse", "warehouse"):
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", *options]
        command += ["-p", "no:cacheprovider", "-m", f"not slow and not extended and {marks}"]
        done = subprocess.run(
            [*command, *(f"helpdesk_assets_tests/{suite}" for suite in SUITES)],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(directory)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            found = FAILED.search(done.stdout)
            if found is None:
                raise SystemExit(
                    f"pytest failed without a failed test:\n{done.stdout}{done.stderr}"
                )
            return found[1].removeprefix("helpdesk_assets_tests/")
    return None


def _report(name: str, failed: str | None) -> bool:
    print(f"{name:<50} {failed or 'SURVIVED'}", flush=True)  # noqa: T201
    return failed is None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
