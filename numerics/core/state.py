"""Numbers for a model: parameters of the problem and the state of its summary statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory import InputError, Model

from .packed_symmetric import _upper
from .validation import Array, as_array, check_gram


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
        overlap = as_array("overlap", overlap, 2)
        gram_perp = as_array("gram_perp", gram_perp, 2)
        readout = as_array("readout", readout, 1)
        if gram_perp.shape != (overlap.shape[0],) * 2:
            raise InputError(
                "gram_perp",
                f"shape {gram_perp.shape}",
                f"shape {(overlap.shape[0],) * 2}",
                "give one row and column per unit, as the overlap has rows",
            )
        check_gram("gram_perp", gram_perp)
        object.__setattr__(self, "overlap", overlap)
        object.__setattr__(self, "gram_perp", gram_perp)
        object.__setattr__(self, "readout", readout)

    def gram(self, directions_gram: Array) -> Array:
        """Q = R_perp + m Gamma^-1 m^T, shape (C, C)."""
        return self.gram_perp + self.overlap @ np.linalg.solve(directions_gram, self.overlap.T)

    def flatten(self) -> Array:
        """The state vector: overlap row-major, upper triangle of gram_perp, readout (order of
        theory.symbols).
        """
        rows, columns = _upper(self.gram_perp.shape[0])
        return np.concatenate([self.overlap.ravel(), self.gram_perp[rows, columns], self.readout])


def check_state(model: Model, state: State, name: str = "initial") -> None:
    """Refuse a state whose shapes differ from the model's."""
    expected = {
        "overlap": (model.units, model.directions),
        "gram_perp": (model.units, model.units),
        "readout": (model.readout_size,),
    }
    for part, shape in expected.items():
        got = getattr(state, part).shape
        if got != shape:
            raise InputError(
                f"{name}.{part}",
                f"shape {got}",
                f"shape {shape}",
                f"the model {model.name} has {model.units} units, {model.directions} directions and "
                f"{model.readout_size} readout parameters",
            )
