"""What a measurement found, beside its floor and its goal."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report. `floor` is what nothing of ours could beat; `met` is None where there is no goal."""

    name: str
    figure: float
    unit: str
    floor: float | None = None
    goal: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Figure by floor."""
        return self.figure / self.floor if self.floor else None

    def text(self) -> str:
        """For a terminal."""
        floor = f"{self.floor:,.2f}" if self.floor is not None else "–"
        ratio = f"{self.ratio:.2f} ×" if self.ratio is not None else "–"
        verdict = {None: "", True: "met", False: "NOT MET"}[self.met]
        return f"{self.name:<46}{self.figure:>10,.2f} {self.unit:<9}{floor:>10}{ratio:>9}  {self.goal:<12}{verdict}"


HEADING = f"{'':<46}{'figure':>10} {'':<9}{'floor':>10}{'ratio':>9}  {'goal':<12}"


def median(values: Sequence[float]) -> float:
    """The upper median."""
    return sorted(values)[len(values) // 2]


def p99(values: Sequence[float]) -> float:
    """The value that 99 % do not exceed (nearest rank)."""
    return sorted(values)[-(-len(values) * 99 // 100) - 1]
