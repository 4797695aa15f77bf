"""The report of what stands in the way of a command, before anything is begun. Owns its form, not the looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.progress import StepFailed


@dataclass(frozen=True)
class Obstacle:
    """One thing that stands in the way: what it is, what it would do, and how to put it right."""

    what: str
    harm: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}\n    harm: {self.harm}\n    fix:  {self.fix}"


class NotReady(StepFailed):
    """Nothing was begun; `obstacles` holds every reason and str() is the whole report."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        self.obstacles = tuple(obstacles)
        stand = "1 thing stands" if len(self.obstacles) == 1 else f"{len(self.obstacles)} things stand"
        head = f"{stand} in the way; nothing was created or changed"
        super().__init__("\n".join([head, *(f"- {one}" for one in self.obstacles)]))
