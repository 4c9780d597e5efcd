"""Tables of the figures, with medians, extremes, ratios and targets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

_NAME_WIDTH = 56
_COLUMNS = f"{{:<{_NAME_WIDTH}}}{{:>9}}{{:>9}}{{:>9}}{{:>7}}  {{:<20}}{{:>7}}{{:>6}}{{:>10}}{{:>9}}"

LEGEND = """\
Rounds alternate between the yardstick and the measured code. min and max are those of a round.
ratio: the median, over the rounds, of the ratio to the yardstick's neighboring round.
failed, lost: the totals of all rounds. If one is not 0, the target counts as missed.
peak MiB: the largest resident memory of the process until then (VmHWM).
client %: the CPU that the measuring process used itself. Near 100, the server is faster than it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for the ratio to the yardstick, or for the median."""

    of: Literal["ratio", "median"]
    bound: Literal["at most", "at least"]
    limit: float

    def is_met(self, row: "Row") -> bool:
        """Return whether a row is within the bound."""
        value = row.median if self.of == "median" else row.ratio
        if value is None:
            return False
        return value <= self.limit if self.bound == "at most" else value >= self.limit

    def __str__(self) -> str:
        """Format the target for the table."""
        return f"{self.of} {'<=' if self.bound == 'at most' else '>='} {self.limit:,g}"


@dataclass(slots=True)
class Row:
    """The figures of one measurement, one for each round, with counts of its failures."""

    name: str
    figures: list[float] = field(default_factory=list)
    yardstick: "Row | None" = None
    target: Target | None = None
    failed: int = 0
    lost: int = 0
    peak_mib: float | None = None
    client_percents: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.figures)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of neighboring rounds, which noise affects alike."""
        if self.yardstick is None:
            return None
        pairs = zip(self.figures, self.yardstick.figures, strict=True)
        return median(figure / yardstick for figure, yardstick in pairs)

    @property
    def is_clean(self) -> bool:
        """Whether no request failed and no answer was lost."""
        return self.failed == self.lost == 0

    @property
    def is_met(self) -> bool:
        """Whether the row is clean, and within its target if it has one."""
        return self.is_clean and (self.target is None or self.target.is_met(self))


def print_section(title: str) -> None:
    """Print a title and the heads of the columns."""
    print(f"\n{title}\n", flush=True)
    heads = (
        "",
        "median",
        "min",
        "max",
        "ratio",
        "target",
        "failed",
        "lost",
        "peak MiB",
        "client %",
    )
    print(_COLUMNS.format(*heads), flush=True)


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print rows under a title."""
    print(title)
    for row in rows:
        print(_line(row).rstrip(), flush=True)


def print_verdict(rows: Sequence[Row]) -> None:
    """Print how many targets were met, and the totals of failures."""
    targets = [row for row in rows if row.target is not None]
    met = sum(row.is_met for row in targets)
    failed, lost = sum(row.failed for row in rows), sum(row.lost for row in rows)
    print(f"\n{met} of {len(targets)} targets met; {failed} failed, {lost} lost")


def _line(row: Row) -> str:
    verdict = "" if row.target is None else f"{row.target} {'met' if row.is_met else 'MISSED'}"
    return _COLUMNS.format(
        f"  {row.name}",
        _format(row.median),
        _format(min(row.figures)),
        _format(max(row.figures)),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        verdict,
        row.failed,
        row.lost,
        "" if row.peak_mib is None else f"{row.peak_mib:.0f}",
        f"{median(row.client_percents):.0f}" if row.client_percents else "",
    )


def _format(figure: float) -> str:
    """Format with three significant digits."""
    decimals = 0 if figure <= 0 else max(0, 2 - math.floor(math.log10(figure)))
    return f"{figure:,.{decimals}f}"
