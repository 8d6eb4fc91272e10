"""The state of a model: summary statistics of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from theory import InputError, Model
from theory.keywords import with_known_keywords
from theory.notebook import equations_latex, matrix_latex, numbers_text, short_repr

from .covariance.band_arrays import axes_of, fractions_of, inverse_of
from .packed_symmetric import _upper
from .parameters import Parameters
from .validation import PSD_SLACK, Array, as_array, as_scalar, check_gram, check_square, kind_of

if TYPE_CHECKING:
    from .problem import Problem


class HasState(Protocol):
    """What knows its state at any time, as a dense Curve does."""

    def state(self, time: float) -> State:
        """The state at a time."""


@with_known_keywords
@dataclass(frozen=True, init=False, eq=False)
class State:
    r"""Summary statistics of the weights: everything the effective theory depends on.

    Parameters
    ----------
    overlap : array, shape (C, r)
        m_as = x^a . e_s.
    gram_perp : array, shape (C, C)
        R_perp: Gram matrix of the parts of x orthogonal to the directions; symmetric positive
        semidefinite.
    readout : array, shape (q,), optional
        Finite-dimensional parameters v.

    With B > 1 bands of the noise overlaps and Gram matrices have one more axis, the first: m^g_as
    of shape (B, C, r) and R^g_perp of shape (B, C, C).

    Raises
    ------
    theory.InputError
        NaN, wrong shapes, or a ``gram_perp`` that is not symmetric positive semidefinite.

    Examples
    --------
    >>> state = State([[1.0, 0.0]], [[0.5]])
    >>> state.gram(np.eye(2))
    array([[1.5]])
    """

    overlap: Array
    gram_perp: Array
    readout: Array

    def __init__(self, overlap: ArrayLike, gram_perp: ArrayLike, readout: ArrayLike = ()) -> None:
        axes = axes_of(overlap)
        overlap = as_array("overlap", overlap, axes)
        gram_perp = as_array("gram_perp", gram_perp, axes)
        readout = as_array("readout", readout, 1)
        expected = (*overlap.shape[:-1], overlap.shape[-2])
        if gram_perp.shape != expected:
            raise InputError(
                "gram_perp",
                f"shape {gram_perp.shape}",
                f"shape {expected}",
                "give one row and column per unit, as the overlap has rows",
            )
        if axes == 2:
            check_gram("gram_perp", gram_perp)
        else:
            for g, band in enumerate(gram_perp):
                check_gram(f"gram_perp[{g}]", band)
        object.__setattr__(self, "overlap", overlap)
        object.__setattr__(self, "gram_perp", gram_perp)
        object.__setattr__(self, "readout", readout)

    def __repr__(self) -> str:
        named = {name: numbers_text(getattr(self, name)) for name in ("overlap", "gram_perp")}
        if self.readout.size:
            named["readout"] = numbers_text(self.readout)
        return short_repr(self, **named)

    def _repr_latex_(self) -> str:
        """The statistics as matrices of four digits, for notebooks."""
        return equations_latex(self.equations())

    def equations(self) -> list[tuple[str, str]]:
        """Left and right hand sides in LaTeX."""
        parts = []
        for letter, matrices in (("m", self.overlap), (r"R^\perp", self.gram_perp)):
            if matrices.ndim == 2:
                parts.append((letter, matrix_latex(matrices.tolist())))
            for g, matrix in enumerate(matrices if matrices.ndim == 3 else (), start=1):
                parts.append((f"{{{letter}}}^{{({g})}}", matrix_latex(matrix.tolist())))
        if self.readout.size:
            parts.append(("v", matrix_latex([self.readout.tolist()])))
        return parts

    @classmethod
    @with_known_keywords
    def zero(cls, problem: Problem | Model) -> State:
        """Weights that know nothing: no overlap, R_perp = I, a readout of zeros.

        With bands every band has its share rho_g of R_perp.

        Parameters
        ----------
        problem : Problem or theory.Model

        Examples
        --------
        >>> from theory import kgmm
        >>> State.zero(kgmm(2)).gram_perp
        array([[1., 0.],
               [0., 1.]])
        """
        model = _model_of(problem)
        s, gram = model.symbols, np.eye(model.units)
        if model.mixture.bands is not None and model.bands > 1:
            gram = fractions_of(model)[:, None, None] * gram
        return cls(np.zeros(s.overlap_shape), gram, np.zeros(model.readout_size))

    @classmethod
    @with_known_keywords
    def at(
        cls, result: xr.Dataset | HasState, time: float | None = None, *, replica: int | None = None
    ) -> State:
        """The state at one recorded time of a curve or of runs, or that of a fixed point.

        Parameters
        ----------
        result : xarray.Dataset or Curve
            As integrate_curves, integrate_noiseless, simulate_sgd or solve_fixed_point return it,
            or as :func:`numerics.from_netcdf` loads it.
        time : float, optional
            A recorded time; a dense Curve takes any.  ``State.at(curve, 0)`` is the start.  May be
            left out where the result holds one time.
        replica : int, optional
            Label of a run, counted from 1 as in ``runs.sel(replica=1)``.  May be left out where
            there is one.

        Returns
        -------
        State
            Its R_perp is that of the result; eigenvalues below 0 by no more than the stated error
            of a curve become 0.

        Raises
        ------
        theory.InputError
            A time that is not recorded (the nearest are named), a run that is not there, or a
            Dataset without summary statistics.

        Examples
        --------
        >>> from theory import kgmm
        >>> from numerics import Problem, integrate_curves
        >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
        >>> curve = integrate_curves(problem, State.zero(problem), [0, 1, 4])
        >>> State.at(curve, 0).overlap
        array([[0., 0.],
               [0., 0.]])
        """
        if not isinstance(result, xr.Dataset):
            dense = getattr(result, "state", None)
            if dense is None or time is None or isinstance(result, State):
                raise InputError(
                    "result",
                    kind_of(result),
                    "a Dataset of a curve, of runs or of a fixed point",
                    "give time=... of a dense curve"
                    if dense is not None
                    else "give what integrate_curves or simulate_sgd returned",
                )
            return dense(time)
        absent = [name for name in ("overlap", "gram_perp") if name not in result]
        if absent:
            raise InputError(
                "result",
                kind_of(result),
                f"a Dataset with {' and '.join(absent)}",
                "give what integrate_curves or simulate_sgd returned",
            )
        record = _pick_replica(_pick_time(result, time), replica)
        error = _stated_error(result)
        if "band" in record.dims:
            gram = np.array([_within_error(each, error) for each in record.gram_perp.values])
        else:
            gram = _within_error(record.gram_perp.values, error)
        readout = record.readout.values if "readout" in record else ()
        return cls(record.overlap.values, gram, readout)

    def gram(self, directions_gram: Array) -> Array:
        """Q = R_perp + m Gamma^-1 m^T, shape (C, C), or that of every band, (B, C, C)."""
        if self.overlap.ndim == 3:
            inverse = inverse_of(directions_gram)
            return self.gram_perp + self.overlap @ inverse @ np.swapaxes(self.overlap, -1, -2)
        return self.gram_perp + self.overlap @ np.linalg.solve(directions_gram, self.overlap.T)

    def flatten(self) -> Array:
        """The state vector: overlap row-major, upper triangle of gram_perp, readout (order of
        theory.symbols).
        """
        rows, columns = _upper(self.gram_perp.shape[-1])
        upper = self.gram_perp[..., rows, columns].ravel()
        return np.concatenate([self.overlap.ravel(), upper, self.readout])


class HasSizes(Protocol):
    """A model, or what is known of it before it is built."""

    @property
    def name(self) -> str: ...
    @property
    def units(self) -> int: ...
    @property
    def directions(self) -> int: ...
    @property
    def readout_size(self) -> int: ...


def bands_of(model: HasSizes) -> int:
    """Number of bands of the noise: what is known of a model before it is built has one."""
    return int(getattr(model, "bands", 1))


def _within_error(values: Array, error: float) -> Array:
    """A Gram matrix; eigenvalues below 0 by no more than an error become 0."""
    gram = as_array("gram_perp", values, 2)
    check_square("gram_perp", gram)
    lowest = np.linalg.eigvalsh(gram)[0] if np.isfinite(gram).all() and gram.size else 0.0
    if 0 < -lowest <= max(PSD_SLACK * np.abs(gram).max(), error):
        return nearest_psd(gram)
    return gram


def check_state(model: HasSizes, state: object, name: str = "initial") -> State:
    """Return ``state``; anything but a State of the shapes of the model is refused."""
    if not isinstance(state, State):
        raise InputError(name, kind_of(state), "an sa.State", _instead_of(state))
    bands = bands_of(model)
    band = (bands,) if bands > 1 else ()
    expected: dict[str, tuple[int, ...]] = {
        "overlap": (*band, model.units, model.directions),
        "gram_perp": (*band, model.units, model.units),
        "readout": (model.readout_size,),
    }
    for part, shape in expected.items():
        got = getattr(state, part).shape
        if got != shape:
            raise InputError(
                f"{name}.{part}",
                f"shape {got}",
                f"shape {shape}",
                f"the model {model.name} has {model.units} units, {model.directions} directions "
                f"and {model.readout_size} readout parameters",
            )
    return state


def _instead_of(value: object) -> str:
    """How to get a state from what was taken for one."""
    if isinstance(value, xr.Dataset):
        return "take one time of it: State.at(dataset, time=...)"
    if isinstance(value, Parameters):
        return "the order is (model, parameters, state, ...)"
    return "write State(overlap, gram_perp, readout), State.zero(model) or State.at(result, time=8)"


def _model_of(model: object) -> Model:
    """The model of a problem, or the model itself."""
    found = getattr(model, "model", model)
    if not isinstance(found, Model):
        raise InputError("model", kind_of(model), "a Problem or an sa.Model", "give one of them")
    return found


def _stated_error(result: xr.Dataset) -> float:
    """The error a curve states of its entries; runs are exact up to rounding."""
    return float(result.attrs.get("error_estimate", 0.0))


def _pick_time(data: xr.Dataset, time: float | None) -> xr.Dataset:
    """The record at a time.  Between records nothing is interpolated: the Gram matrix of an
    interpolated state is none of any weights.
    """
    if "time" not in data.dims:
        return data
    times = as_array("time", data.time.values, 1)
    if time is None and times.size == 1:
        return data.isel(time=0)
    if time is None:
        raise InputError(
            "time",
            "None",
            f"one of the {times.size} recorded times from {times[0]:g} to {times[-1]:g}",
            "write State.at(result, time=...)",
        )
    wanted = as_scalar("time", time, 0.0, False, "give a recorded time, in units of steps * delta")
    distance = np.abs(times - wanted)
    nearest = int(distance.argmin())
    if distance[nearest] > 1e-9 * max(1.0, abs(wanted)):
        around = np.unique(times[np.argsort(distance)[:2]])
        raise InputError(
            "time",
            f"{wanted:g}, which is not recorded",
            f"a recorded time; the nearest are {' and '.join(f'{t:.12g}' for t in around)}",
            "take one of them, record this time, or use sa.solve_curve(...).state(time)",
        )
    return data.isel(time=nearest)


def _pick_replica(data: xr.Dataset, replica: int | None) -> xr.Dataset:
    if "replica" not in data.dims:
        if replica is not None:
            raise InputError(
                "replica", replica, "nothing: the result is no set of runs", "leave it out"
            )
        return data
    labels = data.replica.values.tolist()
    if replica is None and len(labels) == 1:
        return data.isel(replica=0)
    if replica not in labels:
        raise InputError(
            "replica",
            repr(replica),
            f"one of the {len(labels)} runs, {labels[0]} to {labels[-1]}",
            f"write State.at(runs, time=..., replica={labels[0]})",
        )
    return data.sel(replica=replica)


def nearest_psd(gram: Array) -> Array:
    """The positive semidefinite matrix next to a symmetric one: negative eigenvalues become 0.

    Of matrices of bands, (B, C, C), each one.
    """
    if gram.ndim == 3:
        return np.array([nearest_psd(each) for each in gram])
    symmetric = (gram + gram.T) / 2
    values, vectors = np.linalg.eigh(symmetric)
    if not values.size or values[0] >= 0:
        return np.asarray(symmetric)
    return np.asarray((vectors * np.clip(values, 0.0, None)) @ vectors.T)
