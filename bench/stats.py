"""Medians, spreads, and ratios of what was measured in the same round."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def median(samples: Sequence[float]) -> float:
    return statistics.median(samples)


def spread(samples: Sequence[float]) -> float:
    """Half the distance between the quartiles, as a share of the median."""
    if len(samples) < 2 or not median(samples):
        return 0.0
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return (high - low) / 2 / median(samples)


def ratio(samples: Sequence[float], reference: Sequence[float]) -> float:
    """The median of the ratios round by round, so that what slows a whole round cancels out."""
    rounds = [a / b for a, b in zip(samples, reference, strict=False) if b]
    return median(rounds) if rounds else math.nan
