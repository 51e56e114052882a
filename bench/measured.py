"""What was measured of one program, and the goals that it is held to."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.environment import ProcessUsage

SYNC, FLOOR, OLDER, DLT = "sync", "floor", "older algorithm", "dlt"
FULL, CHANGED, AGAIN = "full load", "50 changes", "the same again"

MAX_FULL_WALL, MAX_FULL_CPU, MAX_GROWTH = 1.8, 1.7, 1.5


@dataclass(frozen=True, slots=True)
class Measured:
    """One process, and what the local warehouse did meanwhile: CPU seconds, and jobs by kind."""

    usage: ProcessUsage
    warehouse_cpu: float
    jobs: Counter[str]

    @property
    def work(self) -> float:
        """CPU seconds of the process and of the warehouse."""
        return self.usage.cpu + self.warehouse_cpu


# By program and task.
Cells = Mapping[tuple[str, str], Measured]


@dataclass(frozen=True, slots=True)
class Goal:
    """A measured number and the most that it may be."""

    name: str
    value: float
    most: float

    @property
    def is_missed(self) -> bool:
        return self.value > self.most

    def __str__(self) -> str:
        verdict = "MISSED" if self.is_missed else "met"
        return f"{self.name}: {self.value:.2f}, at most {self.most:.2f} ({verdict})"


def goals(found: Mapping[int, Cells]) -> list[Goal]:
    """Return the goals, most of which are ratios and so valid on a noisy machine."""
    judged: list[Goal] = []
    for tickets, cells in found.items():
        judged += [Goal(f"{tickets:,}: {goal.name}", goal.value, goal.most) for goal in _of(cells)]
    least, most = found[min(found)], found[max(found)]
    if least is not most:
        growth = most[SYNC, CHANGED].work / least[SYNC, CHANGED].work
        name = f"{CHANGED}, CPU time at {max(found):,} / at {min(found):,}"
        judged.append(Goal(name, growth, MAX_GROWTH))
    return judged


def _of(cells: Cells) -> list[Goal]:
    sync, floor = cells[SYNC, FULL], cells[FLOOR, FULL]
    judged = [
        Goal("full load / floor, wall", sync.usage.wall / floor.usage.wall, MAX_FULL_WALL),
        Goal("full load / floor, client's CPU", sync.usage.cpu / floor.usage.cpu, MAX_FULL_CPU),
        Goal("query jobs of the same again", cells[SYNC, AGAIN].jobs["query"], 1),
    ]
    changed = cells[SYNC, CHANGED]
    for other in (OLDER, DLT):
        if (other, CHANGED) in cells:
            ratio = changed.usage.wall / cells[other, CHANGED].usage.wall
            judged.append(Goal(f"{CHANGED} / {other}'s, wall", ratio, 1.0))
    ratio = cells[SYNC, AGAIN].work / changed.work
    return [*judged, Goal(f"{AGAIN} / {CHANGED}, CPU time", ratio, 1.0)]


def show(cells: Cells) -> None:
    """Print one line for each program and task."""
    floor = cells[FLOOR, FULL]
    for (program, task), cell in cells.items():
        line = f"  {task:15} {program:16} {cell.usage.wall:6.2f} s, client {cell.usage.cpu:5.2f} s"
        line += f" of CPU and {cell.usage.peak_mib:4.0f} MiB, warehouse {cell.warehouse_cpu:5.2f} s"
        line += f", {cell.jobs['query']} query and {cell.jobs['load']} load jobs"
        if task == FULL:
            wall, cpu = cell.usage.wall / floor.usage.wall, cell.usage.cpu / floor.usage.cpu
            line += f"; {wall:.2f} (CPU {cpu:.2f}) of the floor"
        print(line, flush=True)


def middle(rounds: Sequence[Cells]) -> Cells:
    """Return of each cell the round with the wall in the middle."""

    def of(key: tuple[str, str]) -> Measured:
        walls = {cells[key].usage.wall: cells[key] for cells in rounds}
        return walls[statistics.median_low(walls)]

    return {key: of(key) for key in rounds[0]}
