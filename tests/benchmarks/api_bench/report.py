"""What was found, as lines for a terminal and as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

HEADING = (
    f"{'':<46}{'p50 ms':>8}{'p99 ms':>8}  {'at /s':>6}{'most /s':>9}{'cloud':>9}{'Postgres':>9}  {'goal of p99':<13}"
)
LEGEND = """\
p50, p99: requests that come at the fixed rate "at /s" whether or not those before are answered, each from the moment
it was due. most /s: eight clients (facts: twenty), each asking again at once. cloud, Postgres: CPU ms a request."""


@dataclass(frozen=True)
class Figure:
    """One operation under one set of circumstances."""

    circumstances: str
    operation: str
    p50_ms: float
    p99_ms: float
    rate: float
    most_a_second: float
    cloud_cpu_ms: float
    postgres_cpu_ms: float
    client_late_ms: float
    goal_ms: float | None
    failed: dict[str, int]

    @property
    def met(self) -> bool | None:
        """None: there is no goal."""
        return None if self.goal_ms is None else self.p99_ms <= self.goal_ms and not self.failed

    def text(self) -> str:
        """For a terminal."""
        numbers = f"{self.p50_ms:>8.1f}{self.p99_ms:>8.1f}  {self.rate:>6.0f}{self.most_a_second:>9.0f}"
        cpu = f"{self.cloud_cpu_ms:>9.2f}{self.postgres_cpu_ms:>9.2f}"
        goal = "" if self.goal_ms is None else f"≤ {self.goal_ms:.0f} ms  {verdict(self.met)}"
        failed = f"  FAILED {self.failed}" if self.failed else ""
        return f"  {self.operation:<44}{numbers}{cpu}  {goal}{failed}"


@dataclass(frozen=True)
class Doorbells:
    """Gateways that hang on one instance and do nothing."""

    count: int
    rss_mb: float
    rss_before_mb: float
    cpu_percent: float
    """Of one core, while nothing moves."""
    goal_mb: float

    @property
    def met(self) -> bool:
        """Whether they take no more than they may."""
        return self.rss_mb <= self.goal_mb

    def text(self) -> str:
        """For a terminal."""
        each = (self.rss_mb - self.rss_before_mb) * 1000 / self.count
        took = f"{self.rss_mb:.0f} MB at most, {self.rss_before_mb:.0f} MB without, {each:.0f} KB each"
        goal = f"goal ≤ {self.goal_mb:.0f} MB  {verdict(self.met)}"
        return f"{self.count:,} doorbells on one instance: {took}; {self.cpu_percent:.1f} % of a core; {goal}"


@dataclass
class Report:
    """One run."""

    at: str
    cores: int
    orders: int
    machines: int
    load_before: float
    fill_s: float = 0.0
    load_after: float = 0.0
    figures: list[Figure] = field(default_factory=list)
    peak_rss_mb: dict[str, list[float]] = field(default_factory=dict)
    doorbells: Doorbells | None = None

    @property
    def has_failures(self) -> bool:
        """Whether any request was not answered as it should be."""
        return any(figure.failed for figure in self.figures)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with what follows from the rest."""
        told = asdict(self)
        for line, figure in zip(told["figures"], self.figures, strict=True):
            line["met"] = figure.met
        if self.doorbells is not None:
            told["doorbells"]["met"] = self.doorbells.met
        return told


def verdict(met: bool | None) -> str:
    """In a word."""
    return {None: "", True: "met", False: "NOT MET"}[met]
