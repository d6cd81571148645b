"""A figure with its 95 % interval: what an answer about noise comes to."""

from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


def student_margin(error: float, freedom: float, level: float = LEVEL) -> float:
    """Half the width of Student's t interval of a figure with this standard error."""
    from scipy.special import stdtrit  # slow to import, and many commands have no interval to show

    return float(stdtrit(freedom, (1 + level) / 2)) * error
