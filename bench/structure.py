"""The drawing of the package in numbers: modules, folders, arrows between them, chains, cycles.

    python -m bench.structure              # the working tree
    python -m bench.structure d130c5f HEAD # commits, each in a temporary worktree

A part is a folder or a loose module at the package's root, the package's `__init__` left out. Part
A has an arrow to part B if any module of A imports one of B, at the top, in a function or for types
alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import grimp

PACKAGE = "helpdesk_assets"
LABELS = {
    "modules": "modules",
    "parts": "folders and modules at the root",
    "arrows": "arrows between these",
    "chain": "longest chain of arrows",
    "cycles": "cycles among these",
    "module_cycles": "cycles among modules",
    "dagster_parts": "folders that import Dagster",
    "google_parts": "folders that import Google's client",
}

# By part or module: what it imports, without itself.
Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Structure:
    """What is counted; `LABELS` says what each number is."""

    modules: int
    parts: int
    arrows: int
    chain: int
    cycles: int
    module_cycles: int
    dagster_parts: int
    google_parts: int


def measure(checkout: Path) -> Structure:
    """Count the package in this checkout. Each process can count one: grimp asks `sys.path`."""
    sys.path.insert(0, str(checkout))
    graph = grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)
    ours = {name for name in graph.modules if name.startswith(f"{PACKAGE}.")}
    imports = {name: graph.find_modules_directly_imported_by(name) for name in ours}
    modules = {name: frozenset((found & ours) - {name}) for name, found in imports.items()}
    parts = _by_part(modules)
    return Structure(
        modules=sum(1 for path in (checkout / PACKAGE).rglob("*.py") if path.name != "__init__.py"),
        parts=len(parts),
        arrows=sum(len(below) for below in parts.values()),
        chain=_longest_chain(parts),
        cycles=len(_cycles(parts)),
        module_cycles=len(_cycles(modules)),
        dagster_parts=_parts_that_import(imports, "dagster"),
        google_parts=_parts_that_import(imports, "google"),
    )


def _part(module: str) -> str:
    return module.split(".")[1]


def _by_part(modules: Graph) -> Graph:
    below: dict[str, set[str]] = {_part(name): set() for name in modules}
    for name, imported in modules.items():
        below[_part(name)] |= {_part(each) for each in imported} - {_part(name)}
    return {name: frozenset(found) for name, found in below.items()}


def _parts_that_import(imports: Mapping[str, set[str]], external: str) -> int:
    return len({_part(name) for name, found in imports.items() if external in found})


def _reached(graph: Graph) -> Graph:
    """By node: every node that some chain of arrows leads to."""
    reached: dict[str, frozenset[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += graph[node]
        reached[start] = frozenset(seen)
    return reached


def _cycles(graph: Graph) -> set[frozenset[str]]:
    """Groups of nodes each of which leads to all others of its group."""
    reached = _reached(graph)
    return {
        frozenset(other for other in reached[node] if node in reached[other])
        for node in graph
        if node in reached[node]
    }


def _longest_chain(graph: Graph) -> int:
    """Nodes on the longest path; nodes of one cycle count as one."""
    reached = _reached(graph)
    lengths: dict[str, int] = {}
    # What leads to less comes first, so that everything below a node has its length already.
    for node in sorted(graph, key=lambda name: len(reached[name] | {name})):
        below = [lengths[n] for n in reached[node] if n in lengths and node not in reached[n]]
        lengths[node] = 1 + max(below, default=0)
    return max(lengths.values(), default=0)


@contextmanager
def _worktree(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        _git("worktree", "add", "--detach", str(checkout), revision)
        try:
            yield checkout
        finally:
            _git("worktree", "remove", "--force", str(checkout))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)  # noqa: S607


def _count_in_process(checkout: Path) -> list[int]:
    command = [sys.executable, "-m", "bench.structure", "--count", str(checkout)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [int(number) for number in output.split()]


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--count"]:
        found = measure(Path(arguments[1]))
        print(*(getattr(found, field.name) for field in fields(found)))
        return
    columns: dict[str, list[int]] = {}
    for revision in arguments:
        with _worktree(revision) as checkout:
            columns[revision] = _count_in_process(checkout)
    if not arguments:
        columns["working tree"] = _count_in_process(Path.cwd())
    print("| |", " | ".join(columns), "|")
    print("| --- |", " | ".join("---:" for _ in columns), "|")
    for label, *numbers in zip(LABELS.values(), *columns.values(), strict=True):
        print(f"| {label} |", " | ".join(map(str, numbers)), "|")


if __name__ == "__main__":
    main(sys.argv[1:])
