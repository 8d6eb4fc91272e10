"""Sample sizes of the levels of verification."""

from __future__ import annotations

from dataclasses import dataclass

from theory import InputError
from theory.keywords import with_known_keywords


@dataclass(frozen=True)
class Level:
    """Sample sizes of a verification level.

    Attributes
    ----------
    dimensions, replicas : tuple of int
        Of the SGD runs compared with curves.
    trained_dimension, trained_replicas : int
        Of the reduced chain at several precisions; also run at twice the dimension.
    test_points : int
        For block-by-block comparisons.
    aspects : tuple of int
        M/d of the empirical spectra.
    spectrum_dimensions : tuple of int
    spectrum_replicas : int
    layer_points : int
        Test points of every second-layer spectrum.
    risk_replicas, risk_samples : int
        Replicas whose loss is measured on fresh data, and fresh samples of each.
    outcome_runs : tuple of int
        Random starts at every precision of the outcome study.
    wide_dimensions, wide_replicas : tuple of int
        Of the reduced chain, for the covariance of fluctuations.
    shift_dimensions, shift_replicas : tuple of int
        For the shift of the mean, which is 1 / sqrt(d) of a fluctuation and needs many runs.
    settled_dimensions, settled_replicas : tuple of int
        At a fixed point.
    other_dimensions, other_replicas
        Of direct runs with other noise.
    aligned_replicas : int
        Runs of a single step with noise along coordinates.
    effective_dimensions, effective_replicas : tuple of int
        Of spectra at fixed M/d; matrices of all units at a third of the dimensions.
    train_dimension, train_ratios, train_replicas
        Of spectra of the samples that trained the weights, and M/d.
    """

    name: str
    dimensions: tuple[int, ...]
    replicas: tuple[int, ...]
    trained_dimension: int
    trained_replicas: int
    test_points: int
    aspects: tuple[int, ...]
    spectrum_dimensions: tuple[int, ...]
    spectrum_replicas: int
    layer_points: int = 20_000
    risk_replicas: int = 80
    risk_samples: int = 400
    outcome_runs: tuple[int, ...] = (2_500, 400, 400, 1_200)
    wide_dimensions: tuple[int, ...] = (100, 1_000, 10_000, 100_000, 1_000_000)
    wide_replicas: tuple[int, ...] = (2_000, 1_000, 500, 100, 20)
    shift_dimensions: tuple[int, ...] = (50, 100, 200, 400)
    shift_replicas: tuple[int, ...] = (30_000,) * 4
    settled_dimensions: tuple[int, ...] = (100, 200, 400)
    settled_replicas: tuple[int, ...] = (2_000, 2_000, 2_000)
    other_dimensions: tuple[int, ...] = (64, 128, 256)
    other_replicas: int = 700
    aligned_replicas: int = 1_000
    effective_dimensions: tuple[int, ...] = (64, 128, 256)
    effective_replicas: tuple[int, ...] = (120, 90, 80)
    train_dimension: int = 64
    train_ratios: tuple[int, ...] = (4, 16, 64)
    train_replicas: int = 40


LEVELS = {
    "quick": Level(
        "quick",
        dimensions=(32, 64, 128, 256),
        replicas=(12000, 8000, 6000, 3000),
        trained_dimension=64,
        trained_replicas=500,
        test_points=100_000,
        aspects=(32, 128, 512),
        spectrum_dimensions=(24, 48),
        spectrum_replicas=24,
    ),
    "full": Level(
        "full",
        dimensions=(32, 64, 128, 256, 512, 1024),
        replicas=(64000, 48000, 32000, 16000, 8000, 2000),
        trained_dimension=128,
        trained_replicas=2000,
        test_points=2_000_000,
        aspects=(32, 128, 512, 1024),
        spectrum_dimensions=(32, 64, 128),
        spectrum_replicas=32,
        layer_points=200_000,
        risk_replicas=400,
        risk_samples=2_000,
        outcome_runs=(20_000, 10_000, 10_000, 10_000),
        wide_replicas=(40_000, 20_000, 10_000, 3_000, 600),
        shift_dimensions=(50, 100, 200, 400, 800, 1_600),
        shift_replicas=(300_000,) * 6,
        settled_replicas=(20_000, 20_000, 20_000),
        other_dimensions=(64, 128, 256, 512),
        other_replicas=6_000,
        aligned_replicas=10_000,
        effective_dimensions=(64, 128, 256, 512),
        effective_replicas=(400, 200, 100, 50),
        train_dimension=128,
        train_replicas=200,
    ),
}


@with_known_keywords
def get_level(name: str) -> Level:
    """Return a level by name.

    Examples
    --------
    >>> get_level("quick").dimensions
    (32, 64, 128, 256)
    """
    if not isinstance(name, str) or name not in LEVELS:
        raise InputError("level", repr(name), f"one of {sorted(LEVELS)}", "use quick or full")
    return LEVELS[name]
