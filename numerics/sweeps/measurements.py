"""What a sweep can measure at a point: named functions with declared variables, dimensions and
units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numerics.core.results import TIME_UNIT
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.data.risk import empirical_risk
from numerics.spectra.empirical_distance import empirical_distance
from numerics.spectra.population_block import population_block
from numerics.spectra.span_matrix import SpanMatrix
from theory import InputError
from theory.keywords import with_known_keywords
from theory.notebook import short_repr
from theory.problem.covariance.bands import refuse_bands

from .setting import Setting
from .trial import Trial, sampled_blocks, sum_of_bands

_BLOCK = ("replica", "matrix", "unit")


@with_known_keywords
@dataclass(frozen=True)
class Variable:
    """A variable of the store: dimensions besides the axes of the sweep, meaning and unit.

    Examples
    --------
    >>> Variable(("replica", "time"), "loss on fresh samples")
    Variable(dims=('replica', 'time'), meaning='loss on fresh samples', units='1')
    """

    dims: tuple[str, ...]
    meaning: str
    units: str = "1"


@with_known_keywords
@dataclass(frozen=True)
class Measurement:
    """Something to measure at every point of a sweep.

    Parameters
    ----------
    name : str
    compute : callable
        Takes a :class:`numerics.Trial` and returns an array for every variable.  For worker
        processes it has to be a function of an importable module.
    variables : mapping from names to Variable
        Dimensions are those of :attr:`numerics.sweeps.setting.Setting.sizes`, or have a size in
        ``sizes``.
    needs : tuple of str
        ``"samples"``: the setting must say M; ``"gaussian"``: noise must be Gaussian; ``"start"``:
        the start must not be random; ``"isotropic"``: the noise must have no bands.
    sizes : mapping from names to int
        Sizes of dimensions of its own.

    Examples
    --------
    >>> def largest(trial):
    ...     return {"largest": abs(trial.records("overlap")).max(axis=(1, 2, 3))}
    >>> variable = Variable(("replica",), "largest overlap ever")
    >>> Measurement("largest", largest, {"largest": variable}).name
    'largest'
    """

    name: str
    compute: Callable[[Trial], Mapping[str, Any]]
    variables: Mapping[str, Variable]
    needs: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return short_repr(self, repr(self.name), variables=list(self.variables), needs=self.needs)

    def check(self, setting: Setting) -> None:
        """Refuse a setting that lacks what the measurement needs."""
        if "samples" in self.needs and setting.samples is None:
            raise InputError(
                "samples",
                "nothing",
                f"the number M of test samples, which {self.name} draws",
                "give samples or samples_per_dimension",
            )
        if "isotropic" in self.needs:
            refuse_bands(setting.model.mixture, f"the measurement {self.name}")
        noise = setting.options.get("noise", "gaussian")
        if "gaussian" in self.needs and noise != "gaussian":
            raise InputError(
                "noise",
                repr(noise),
                f"gaussian noise, which {self.name} assumes of test data",
                f"leave {self.name} or the noise away",
            )
        if "start" in self.needs and not isinstance(setting.initial, State):
            raise InputError(
                "measure",
                f"{self.name!r} from a random start",
                "a start of given statistics",
                f"leave {self.name} or the random start away",
            )

    def values(self, trial: Trial) -> dict[str, Array]:
        """Compute, and check that what comes is what was declared."""
        found = {
            name: np.asarray(value, dtype=float) for name, value in self.compute(trial).items()
        }
        if found.keys() != self.variables.keys():
            raise ValueError(
                f"measurement {self.name} returned {sorted(found)}, declared is "
                f"{sorted(self.variables)}"
            )
        sizes = trial.setting.sizes | dict(self.sizes)
        for name, value in found.items():
            expected = tuple(sizes[d] for d in self.variables[name].dims)
            if value.shape != expected:
                raise ValueError(
                    f"measurement {self.name}: {name} has shape {value.shape}, declared is "
                    f"{expected}"
                )
        return found


# --- the measurements -----------------------------------------------------------------------------


def _statistics(trial: Trial) -> dict[str, Array]:
    return {
        name: trial.records(name) for name in ("overlap", "gram_perp", "readout", "misalignment")
    }


def _curve(trial: Trial) -> dict[str, Any]:
    curve = trial.curve
    found: dict[str, Any] = {
        f"curve_{name}": sum_of_bands(curve[name])
        for name in ("overlap", "gram_perp", "readout", "misalignment")
    }
    return found | {"curve_error": curve.attrs["error_estimate"]}


def _alignment(trial: Trial) -> dict[str, Array]:
    return {
        "alignment": trial.by_block(
            lambda i, matrix, a: float(trial.spectrum(i, matrix, a)["unit_share"].to_numpy()[a])
        ),
        "final_misalignment": trial.runs["misalignment"].isel(time=-1).to_numpy(),
    }


def _gap(trial: Trial) -> dict[str, Array]:
    r = trial.setting.model.directions

    def eigenvalue(number: int) -> Array:
        return trial.by_block(
            lambda i, matrix, a: float(
                trial.spectrum(i, matrix, a)["eigenvalue"].to_numpy()[number]
            )
        )

    outlier, edge = eigenvalue(r - 1), eigenvalue(r)
    return {
        "outlier": outlier,
        "bulk_edge": edge,
        "gap": outlier - edge,
        "gap_ratio": outlier / edge,
    }


def _population(trial: Trial) -> dict[str, Array]:
    r = trial.setting.model.directions

    def gap(i: int, matrix: str, a: int) -> float:
        found = trial.population(i, matrix, a)
        values = np.sort(np.append(found["eigenvalue"].to_numpy(), found["bulk"].to_numpy()))[::-1]
        return float(values[r - 1] - values[r])

    def share(i: int, matrix: str, a: int) -> float:
        return float(trial.population(i, matrix, a)["unit_share"].to_numpy()[a])

    return {"population_alignment": trial.by_block(share), "population_gap": trial.by_block(gap)}


def _concentration(trial: Trial) -> dict[str, Array]:
    setting = trial.setting

    relative: dict[tuple[int, str, int], float] = {}

    def distance(i: int, matrix: str, a: int) -> float:
        state = trial.final(i)
        small = population_block(
            setting.model,
            setting.parameters,
            state,
            matrix=matrix,
            block=(a, a),
            regularized=False,
            blocks=sampled_blocks(setting.model, matrix),
        )
        absolute = empirical_distance(
            setting.model,
            setting.parameters,
            state,
            small,
            dimension=setting.dimension,
            samples=trial.samples,
            seed=trial.seed("concentration", i, a, len(matrix)),
        )
        relative[i, matrix, a] = absolute / _norm(small)
        return absolute

    return {
        "distance": trial.by_block(distance),
        "relative_distance": trial.by_block(lambda i, matrix, a: relative[i, matrix, a]),
    }


def _norm(small: SpanMatrix) -> float:
    values = np.linalg.eigvalsh((small.matrix + small.matrix.T) / 2)
    return float(max(np.abs(values).max(), abs(small.bulk[0, 0])))


def _escape(trial: Trial) -> dict[str, Array]:
    gamma = trial.setting.parameters.directions_gram
    lengths = np.sqrt(np.diagonal(gamma if gamma.ndim == 2 else gamma.sum(axis=0)))
    largest = np.abs(trial.records("overlap") / lengths).max(axis=(2, 3))
    given = trial.options.threshold
    threshold = largest[:, -1] / 2 if given is None else np.full(len(largest), given)
    above = largest > threshold[:, None]
    escaped = above.any(axis=1)
    if given is None:
        # half of the final value is passed at once by a run that decays: it escapes from nothing
        escaped &= ~above[:, 0]
    first = trial.setting.grid[above.argmax(axis=1)]
    return {
        "escape_time": np.where(escaped, first, np.nan),
        "escaped": escaped.astype(float),
        "final_overlap": largest[:, -1],
    }


def _risk(trial: Trial) -> dict[str, Array]:
    setting = trial.setting
    rows = []
    for i in range(setting.replicas):
        found = empirical_risk(
            setting.model,
            setting.parameters,
            trial.final(i),
            dimension=setting.dimension,
            samples=trial.samples,
            seed=trial.sequence("risk", i),
        )
        rows.append([float(found["loss"]), float(found["accuracy"])])
    loss, accuracy = np.array(rows).T
    return {"loss": loss, "accuracy": accuracy}


_PAIR = ("time", "unit", "unit_b")
_RUN = "of the SGD runs; a time is rounded to whole steps"
_FLOW = "of the effective dynamics"
_ENDS = "block (a, a) on fresh samples at the end of a run, without ridge"

MEASUREMENTS: dict[str, Measurement] = {
    m.name: m
    for m in (
        Measurement(
            "statistics",
            _statistics,
            {
                "overlap": Variable(
                    ("replica", "time", "unit", "direction"), f"m_as = x^a . e_s {_RUN}"
                ),
                "gram_perp": Variable(
                    ("replica", *_PAIR), f"Gram matrix of x orthogonal to the directions {_RUN}"
                ),
                "readout": Variable(
                    ("replica", "time", "parameter"), f"finite parameters v {_RUN}"
                ),
                "misalignment": Variable(
                    ("replica", "time", "unit"), f"|P_perp x^a| / |x^a| {_RUN}"
                ),
            },
        ),
        Measurement(
            "curve",
            _curve,
            {
                "curve_overlap": Variable(
                    ("time", "unit", "direction"), f"m_as = x^a . e_s {_FLOW}"
                ),
                "curve_gram_perp": Variable(
                    _PAIR, f"Gram matrix of x orthogonal to the directions {_FLOW}"
                ),
                "curve_readout": Variable(("time", "parameter"), f"finite parameters v {_FLOW}"),
                "curve_misalignment": Variable(("time", "unit"), f"|P_perp x^a| / |x^a| {_FLOW}"),
                "curve_error": Variable(
                    (), "largest absolute error of a statistic of the effective dynamics, estimated"
                ),
            },
            needs=("start",),
        ),
        Measurement(
            "alignment",
            _alignment,
            {
                "alignment": Variable(
                    _BLOCK, f"share of x^a in the span of the r leading eigenvectors of {_ENDS}"
                ),
                "final_misalignment": Variable(
                    ("replica", "unit"), "|P_perp x^a| / |x^a| at the end of a run"
                ),
            },
            needs=("samples", "gaussian", "isotropic"),
        ),
        Measurement(
            "gap",
            _gap,
            {
                "outlier": Variable(_BLOCK, f"eigenvalue number r of {_ENDS}"),
                "bulk_edge": Variable(_BLOCK, f"eigenvalue number r + 1 of {_ENDS}"),
                "gap": Variable(_BLOCK, f"eigenvalue number r minus number r + 1 of {_ENDS}"),
                "gap_ratio": Variable(_BLOCK, f"eigenvalue number r over number r + 1 of {_ENDS}"),
            },
            needs=("samples", "gaussian", "isotropic"),
        ),
        Measurement(
            "population",
            _population,
            {
                "population_alignment": Variable(
                    _BLOCK, "as alignment, of the population block at the end of a run"
                ),
                "population_gap": Variable(
                    _BLOCK, "as gap, of the population block at the end of a run"
                ),
            },
            needs=("gaussian", "isotropic"),
        ),
        Measurement(
            "concentration",
            _concentration,
            {
                "distance": Variable(
                    _BLOCK, f"operator norm of the difference from the population, {_ENDS}"
                ),
                "relative_distance": Variable(
                    _BLOCK, "distance over the norm of the population block"
                ),
            },
            needs=("samples", "gaussian", "isotropic"),
        ),
        Measurement(
            "escape",
            _escape,
            {
                "escape_time": Variable(
                    ("replica",),
                    "first recorded time with the largest |x^a . e_s| / |e_s| above the threshold",
                    TIME_UNIT,
                ),
                "escaped": Variable(("replica",), "1 if a run escaped, 0 if it never did"),
                "final_overlap": Variable(
                    ("replica",), "largest |x^a . e_s| / |e_s| at the end of a run"
                ),
            },
        ),
        Measurement(
            "risk",
            _risk,
            {
                "loss": Variable(
                    ("replica",), "mean loss on fresh samples at the end of a run, without ridge"
                ),
                "accuracy": Variable(
                    ("replica",), "share of fresh samples classified correctly at the end of a run"
                ),
            },
            needs=("samples", "gaussian", "isotropic"),
        ),
    )
}
"""What a sweep may measure, by name; rows of docs/sweeps.md."""
