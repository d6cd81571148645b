"""Percentages of simulated cases, with intervals."""

from collections.abc import Sequence

from search.analysis.pruning_audit import wilson


def percentage(hits: Sequence[bool]) -> str:
    """`4.9 (4.2-5.7)`: in percent, with the 95 % interval of Wilson (1927), which suits rare events too."""
    rate = wilson(sum(hits), len(hits))
    return f"{100 * rate.share:.1f} ({100 * rate.low:.1f}-{100 * rate.high:.1f})"
